"""A person's way through an OpenID provider upstream, as their browser goes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from joserfc.jwk import ECKey, KeySet, RSAKey

from idbroker.clock import StoppedClock
from idbroker.identity import Identity, LoA
from idbroker.keeping import Tallies
from idbroker.keyring import SigningKey
from idbroker.keyset import Use
from idbroker.providers import Asked, Challenge, Form, Means, NoKeys, Redirect
from idbroker.providers._http import kept_session
from idbroker.providers.mitid import MitID, Settings, make
from idbroker.sandbox.op_client import SimClient
from idbroker.store import open_transient

BACK = "http://127.0.0.1:9/callback/mitid"
OUR_KEYS: Mapping[str, RSAKey | ECKey] = {
    "RS256": RSAKey.generate_key(2048, {"kid": "our-rs256", "use": "sig"}),
    "ES256": ECKey.generate_key("P-256", {"kid": "our-es256", "use": "sig"}),
}
# The active one, which is published, and one that is on its way out.
OUR_ENCRYPTION = tuple((name, generate_private_key(65537, 2048)) for name in ("our-enc-2", "our-enc-1"))


def our_jwks() -> Mapping[str, Any]:
    """Return what we publish, for private_key_jwt, signed requests and encrypted tokens."""
    kid, key = OUR_ENCRYPTION[0]
    public = RSAKey(key.public_key(), key.public_key()).as_dict(private=False)
    signing = KeySet(list(OUR_KEYS.values())).as_dict(private=False)
    return {"keys": [*signing["keys"], {**public, "kid": kid, "use": "enc", "alg": "RSA-OAEP"}]}


CLIENTS = {
    "public": SimClient(id="public", redirect_uris=(BACK,), secret="s:e c+r%t"),
    "private": SimClient(id="private", redirect_uris=(BACK,), secret="s:e c+r%t", private=True),
    "post": SimClient(id="post", redirect_uris=(BACK,), secret="s:e c+r%t", auth_method="client_secret_post"),
    "rs256": SimClient(id="rs256", redirect_uris=(BACK,), secret="s:e c+r%t", id_token_alg="RS256"),
    "key": SimClient(id="key", redirect_uris=(BACK,), auth_method="private_key_jwt", jwks=our_jwks),
}


class OurKeys(NoKeys):
    """Our keys for private_key_jwt, and those that open what is encrypted to us."""

    def client_key(self, alg: str) -> SigningKey:
        """Return the key that signs by an algorithm."""
        return SigningKey(kid=f"our-{alg.lower()}", alg=alg, key=OUR_KEYS[alg])

    def decryption(self, use: Use) -> tuple[tuple[str, RSAPrivateKey], ...]:
        """Return the keys that open encrypted tokens."""
        return OUR_ENCRYPTION if use is Use.OIDC_ENC else super().decryption(use)


def means(clock: StoppedClock, *, sandbox: bool = True, patience: float = 2) -> Means:
    """Return what the provider works with; its patience is short, for the tests of slow upstreams."""
    return Means(
        clock=clock,
        http=lambda: kept_session(timeout=(patience, patience), deadline=timedelta(seconds=patience), sandbox=sandbox),
        keys=OurKeys(),
        tally=Tallies(open_transient("sqlite://", clock)),
        sandbox=sandbox,
    )


def asked(clock: StoppedClock, **more: Any) -> Asked:
    """Return what the broker asks: substantial, with the number, in Danish."""
    usual = Asked(
        transaction="t1",
        handle="handle-1",
        return_url=BACK,
        loa=LoA.SUBSTANTIAL,
        language="da",
        service="Klinikken",
        now=clock.now(),
        want_number=True,
    )
    return replace(usual, **more)


def settings(issuer: str, client: str = "public", **more: Any) -> Settings:
    """Return the provider's settings for one of the clients."""
    registered = CLIENTS[client]
    return Settings(
        issuer=issuer,
        client_id=client,
        client_secret=registered.secret,
        auth_method=registered.auth_method,
        **more,
    )


def visit(url: str, person: str = "anna", outcome: str = "approve", cpr: str | None = None) -> dict[str, str]:
    """Go to the simulator, choose, and return what the browser brings back."""
    with requests.Session() as browser:
        browser.trust_env = False
        data = {"person": person, "outcome": outcome}
        response = browser.post(url, data=data, allow_redirects=False)
        if "/connect/cpr/" in response.headers.get("Location", ""):
            response = browser.post(response.headers["Location"], data={"cpr": cpr}, allow_redirects=False)
    assert response.status_code == 303, response.text
    assert response.headers["Location"].startswith(BACK + "?")
    return dict(parse_qsl(urlsplit(response.headers["Location"]).query))


@dataclass(frozen=True)
class Journey:
    """One person's sign-in with one provider."""

    provider: MitID
    clock: StoppedClock

    def begin(self, **more: Any) -> Redirect:
        """Send the person away."""
        return self.provider.begin(asked(self.clock, **more))

    def back(self, begun: Redirect, reply: Mapping[str, str], **more: Any) -> Challenge | Identity:
        """Bring the person back."""
        return self.provider.resume(asked(self.clock, **more), begun.state, reply)

    def go(self, person: str = "anna", outcome: str = "approve", cpr: str | None = None, **more: Any) -> Identity:
        """Go all the way, to an identity."""
        begun = self.begin(**more)
        end = self.back(begun, visit(begun.url, person, outcome, cpr), **more)
        assert isinstance(end, Identity), end
        return end

    def form(self, person: str = "anna", **more: Any) -> Form:
        """Go as far as the form for the CPR number."""
        begun = self.begin(**more)
        end = self.back(begun, visit(begun.url, person), **more)
        assert isinstance(end, Form), end
        return end

    def close(self) -> None:
        """Let the connections go."""
        self.provider._client.http.close()


def journey(issuer: str, clock: StoppedClock, client: str = "public", *, patience: float = 2, **more: Any) -> Journey:
    """Return a journey with MitID at this issuer."""
    return Journey(make("mitid", settings(issuer, client, **more), means(clock, patience=patience)), clock)
