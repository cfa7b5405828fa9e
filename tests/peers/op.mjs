// A MitID broker made of oidc-provider, that says of people what Nets eID Broker does. One JSON object a line in and out.
import { once } from "node:events";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { Provider } from "oidc-provider";

// oidc-provider writes some of its words to where the answers go.
console.info = console.log = console.error;

const LEVELS = "https://data.gov.dk/concept/core/nsis/";
const FORM = '<!doctype html><form method="post" action=""><button name="person"></button></form>';

// What each scope gives. A claim under openid stands in the ID token, the others in userinfo (Core 5.4).
const CLAIMS = {
  openid: ["sub", "acr", "amr", "auth_time", "loa", "idp", "neb_sid"],
  mitid: ["mitid.uuid", "mitid.date_of_birth", "mitid.identity_name", "mitid.has_cpr"],
  ssn: ["dk.cpr"],
};

const EVENTS = [
  "pushed_authorization_request.success",
  "pushed_authorization_request.error",
  "authorization.error",
  "grant.success",
  "grant.error",
  "userinfo.error",
  "server_error",
];

function makeProvider(issuer, { people, client, keys, settings }) {
  return new Provider(issuer, {
    clients: [client],
    jwks: { keys },
    claims: CLAIMS,
    extraParams: ["idp_values", "idp_params", "language"],
    cookies: { keys: ["only for this test"] },
    clientAuthMethods: ["client_secret_basic", "client_secret_post", "private_key_jwt"],
    enabledJWA: { idTokenSigningAlgValues: ["ES256", "PS256", "RS256"] },
    features: { devInteractions: { enabled: false }, userinfo: { enabled: true }, jwtUserinfo: { enabled: true } },
    interactions: { url: (_, { uid }) => `/interaction/${uid}` },
    loadExistingGrant: grantAll,
    // Without the dispatcher that keeps it from this machine's own addresses (SSRF): our key set is on one.
    fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
    ...settings,
  });
}

// The broker's customers agreed to the scopes by contract: the person is not asked.
async function grantAll({ oidc }) {
  const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
  grant.addOIDCScope(oidc.requestParamScopes.size ? [...oidc.requestParamScopes].join(" ") : "openid");
  await grant.save();
  return grant;
}

async function interact(provider, people, request, response) {
  const { params } = await provider.interactionDetails(request, response);
  if (request.method === "GET") {
    response.setHeader("content-type", "text/html").end(FORM);
    return;
  }
  const form = new URLSearchParams(Buffer.concat(await request.toArray()).toString());
  const [id, outcome] = [form.get("person"), form.get("outcome")];
  const level = outcome === "lower_level" ? "low" : JSON.parse(params.idp_params).mitid.loa_value;
  const acr = LEVELS + level[0].toUpperCase() + level.slice(1);
  people[id].loa = acr;
  const result =
    outcome === "cancel"
      ? { error: "access_denied", error_description: "mitid_user_aborted" }
      : { login: { accountId: id, acr, amr: ["code_app"] } };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

const server = createServer();
const heard = [];

const DEEDS = {
  async listen() {
    await once(server.listen(0, "127.0.0.1"), "listening");
    return `http://127.0.0.1:${server.address().port}`;
  },
  open(asked) {
    const provider = makeProvider(asked.issuer, asked);
    const serve = provider.callback();
    for (const event of EVENTS) {
      provider.on(event, (ctx, error) => heard.push(error instanceof Error ? `${event}: ${error.message}: ${error.error_detail ?? error.error_description ?? error.stack}` : event));
    }
    server.on("request", (request, response) => {
      if (!request.url.startsWith("/interaction/")) return serve(request, response);
      return interact(provider, asked.people, request, response).catch((error) => {
        response.writeHead(500).end(error.message);
      });
    });
  },
  heard: () => heard,
};

for await (const line of createInterface({ input: process.stdin })) {
  const { deed, ...asked } = JSON.parse(line);
  const answer = await Promise.resolve()
    .then(() => DEEDS[deed](asked))
    .then((done) => ({ done: done ?? null }), ({ message }) => ({ fault: { message } }));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

// Whoever started this is gone.
process.exit(0);
