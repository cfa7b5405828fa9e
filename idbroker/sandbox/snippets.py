"""Ready-made beginnings for a portal of one's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

_FLASK = """\
# pip install flask authlib requests
import os
from authlib.integrations.flask_client import OAuth
from flask import Flask, redirect, session

app = Flask(__name__)
app.secret_key = os.urandom(32)
login = OAuth(app).register(
    "idbroker",
    server_metadata_url="{issuer}/.well-known/openid-configuration",
    client_id="{client_id}",
    client_secret="{secret}",
    client_kwargs={{"scope": "openid profile", "code_challenge_method": "S256"}},
)

@app.get("/login")
def start():
    return login.authorize_redirect("{redirect_uri}")

@app.get("{path}")
def callback():
    token = login.authorize_access_token()
    session["who"] = login.userinfo(token=token)
    return redirect("/")

@app.get("/")
def front():
    return dict(session.get("who") or {{"log in at": "/login"}})

app.run(port={port})
"""

_EXPRESS = """\
// npm install express express-session openid-client@6
import express from "express";
import session from "express-session";
import * as client from "openid-client";

const config = await client.discovery(
  new URL("{issuer}"), "{client_id}", undefined, client.ClientSecretBasic("{secret}"),
  {{ execute: [client.allowInsecureRequests] }}, // the sandbox speaks http
);
const app = express();
app.use(session({{ secret: crypto.randomUUID(), resave: false, saveUninitialized: false }}));

app.get("/login", async (req, res) => {{
  const verifier = client.randomPKCECodeVerifier();
  req.session.pending = {{ verifier, state: client.randomState(), nonce: client.randomNonce() }};
  const {{ state, nonce }} = req.session.pending;
  res.redirect(client.buildAuthorizationUrl(config, {{
    redirect_uri: "{redirect_uri}", scope: "openid profile", state, nonce,
    code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256",
  }}).href);
}});

app.get("{path}", async (req, res) => {{
  const {{ verifier, state, nonce }} = req.session.pending;
  const tokens = await client.authorizationCodeGrant(config, new URL(req.originalUrl, "{origin}"), {{
    pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce,
  }});
  res.json(await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub));
}});

app.listen({port});
"""

_APACHE = """\
# apt install libapache2-mod-auth-openidc
OIDCProviderMetadataURL {issuer}/.well-known/openid-configuration
OIDCClientID {client_id}
OIDCClientSecret {secret}
OIDCRedirectURI {redirect_uri}
OIDCCryptoPassphrase "exec:/bin/bash -c \\"head -c 32 /dev/urandom | base64\\""
OIDCResponseType code
OIDCPKCEMethod S256
OIDCScope "openid profile"

<Location />
  AuthType openid-connect
  Require valid-user
</Location>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """A piece of code or configuration, filled in."""

    title: str
    text: str = field(repr=False)


def snippets(issuer: str, client_id: str, secret: str, redirect_uri: str) -> tuple[Snippet, ...]:
    """Return the snippets for a registered portal."""
    parts = urlsplit(redirect_uri)
    values = {
        "issuer": issuer,
        "client_id": client_id,
        "secret": secret,
        "redirect_uri": redirect_uri,
        "path": parts.path or "/",
        "origin": f"{parts.scheme}://{parts.netloc}",
        "port": str(parts.port or 5000),
    }
    named = (
        ("Flask with Authlib", _FLASK),
        ("Express with openid-client", _EXPRESS),
        ("Apache with mod_auth_openidc", _APACHE),
    )
    return tuple(Snippet(title=title, text=text.format(**values)) for title, text in named)
