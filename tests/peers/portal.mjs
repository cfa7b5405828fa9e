// A portal made of openid-client: reads one JSON object a line, does what it says, answers in one line.
import { createInterface } from "node:readline";
import * as oidc from "openid-client";

let config;
let pending;

const IMPORTS = {
  ES256: { name: "ECDSA", namedCurve: "P-256" },
  PS256: { name: "RSA-PSS", hash: "SHA-256" },
  RS256: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
};

async function authentication({ method, secret, jwk, alg }) {
  switch (method) {
    case "client_secret_basic":
      return oidc.ClientSecretBasic(secret);
    case "client_secret_post":
      return oidc.ClientSecretPost(secret);
    case "private_key_jwt": {
      const key = await crypto.subtle.importKey("jwk", jwk, IMPORTS[alg], false, ["sign"]);
      return oidc.PrivateKeyJwt({ key, kid: jwk.kid });
    }
    default:
      return oidc.None();
  }
}

const DEEDS = {
  // Without the second switch, openid-client trusts TLS and leaves the ID token's signature unread (Core 3.1.3.7, 6).
  async discover({ issuer, client_id, metadata, auth }) {
    const execute = [oidc.allowInsecureRequests, oidc.enableNonRepudiationChecks];
    config = await oidc.discovery(new URL(issuer), client_id, metadata, await authentication(auth), { execute });
    return config.serverMetadata();
  },
  async authorize({ parameters }) {
    pending = { verifier: oidc.randomPKCECodeVerifier(), state: oidc.randomState(), nonce: oidc.randomNonce() };
    const url = oidc.buildAuthorizationUrl(config, {
      code_challenge: await oidc.calculatePKCECodeChallenge(pending.verifier),
      code_challenge_method: "S256",
      state: pending.state,
      nonce: pending.nonce,
      ...parameters,
    });
    return { url: url.href, nonce: pending.nonce };
  },
  async callback({ url, form, max_age }) {
    const body = form && new URLSearchParams(form);
    const tokens = await oidc.authorizationCodeGrant(
      config,
      body ? new Request(url, { method: "POST", body }) : new URL(url),
      {
        pkceCodeVerifier: pending.verifier,
        expectedState: pending.state,
        expectedNonce: pending.nonce,
        maxAge: max_age,
        idTokenExpected: true,
      },
    );
    return { ...tokens, claims: tokens.claims() };
  },
  async refresh({ token, parameters }) {
    const tokens = await oidc.refreshTokenGrant(config, token, parameters);
    return { ...tokens, claims: tokens.claims() };
  },
  userinfo: ({ token, subject }) => oidc.fetchUserInfo(config, token, subject),
  introspect: ({ token }) => oidc.tokenIntrospection(config, token),
  revoke: ({ token }) => oidc.tokenRevocation(config, token),
  end_session: ({ parameters }) => oidc.buildEndSessionUrl(config, parameters).href,
};

function fault(error) {
  const { name, code, error: oauth, error_description: description, status, message, cause } = error;
  return { name, code, error: oauth, description, status, message, cause: cause?.message };
}

for await (const line of createInterface({ input: process.stdin })) {
  const { deed, ...asked } = JSON.parse(line);
  const answer = await Promise.resolve()
    .then(() => DEEDS[deed](asked))
    .then((done) => ({ done: done ?? null }), (error) => ({ fault: fault(error) }));
  console.log(JSON.stringify(answer));
}
