"""The portals that other people's software plays: how we register them, and how a person comes from them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from joserfc.jwk import ECKey, Key, RSAKey

from tests.door import CALLBACK, SECRET, Browser, Door, answer_of
from tests.peers.node import Peer

BYE = "https://portal.test/bye"


@dataclass(frozen=True, kw_only=True)
class Registration:
    """One portal: what we register, and what openid-client is told."""

    registered: Mapping[str, Any]
    metadata: Mapping[str, Any]
    auth: Mapping[str, Any]


def with_secret(method: str = "client_secret_basic", *, alg: str = "ES256", **more: Any) -> Registration:
    """Return a portal with a secret; `more` is registered too."""
    return Registration(
        registered={"auth_method": method, "id_token_alg": alg, **more},
        metadata={"id_token_signed_response_alg": alg},
        auth={"method": method, "secret": SECRET},
    )


def with_key(alg: str) -> Registration:
    """Return a portal that signs, with a new key of its own, registered as its public half."""
    key: Key = ECKey.generate_key("P-256", auto_kid=True) if alg == "ES256" else RSAKey.generate_key(auto_kid=True)
    return Registration(
        registered={
            "auth_method": "private_key_jwt",
            "secret_digests": [],
            "jwks": {"keys": [{**key.as_dict(private=False), "use": "sig", "alg": alg}]},
        },
        metadata={"id_token_signed_response_alg": "ES256"},
        auth={"method": "private_key_jwt", "alg": alg, "jwk": key.as_dict(private=True)},
    )


def public() -> Registration:
    """Return a portal that can keep no secret: an app, or a page of one."""
    return Registration(
        registered={
            "auth_method": "none",
            "secret_digests": [],
            "scopes": ["openid", "profile", "offline_access"],
            "national_number": False,
            "refresh": "rotate",
        },
        metadata={"id_token_signed_response_alg": "ES256"},
        auth={"method": "none"},
    )


@dataclass(frozen=True, kw_only=True)
class Portal:
    """A portal made of openid-client, and the browser of a person who uses it."""

    door: Door
    peer: Peer
    browser: Browser

    def asks(self, **parameters: str) -> requests.Response:
        """Send the browser to us with a request; return our first page, or the way back."""
        usual = {"redirect_uri": CALLBACK, "scope": "openid profile"}
        return self.browser.get(self.peer.does("authorize", parameters={**usual, **parameters})["url"])

    def signs_in(self, *, max_age: int | None = None, **parameters: str) -> dict[str, Any]:
        """Go the whole way; return the token response and, under `claims`, what openid-client read."""
        asked = parameters if max_age is None else {**parameters, "max_age": str(max_age)}
        return self.takes(prove(self.browser, self.asks(**asked)), max_age=max_age)

    def takes(self, back: requests.Response, *, max_age: int | None = None) -> dict[str, Any]:
        """Give openid-client what our answer brings to its callback. Raises PeerFault."""
        checked = {} if max_age is None else {"max_age": max_age}
        if "Location" in back.headers:
            brought: dict[str, Any] = {"url": back.headers["Location"]}
        else:
            brought = {"url": CALLBACK, "form": answer_of(back)}
        tokens: dict[str, Any] = self.peer.does("callback", **brought, **checked)
        return tokens


def prove(browser: Browser, page: requests.Response, outcome: str = "approve") -> requests.Response:
    """Press MitID on our page and sign in as Anna there; return what leads back to the portal."""
    return browser.press(browser.press(page, provider="mitid"), person="anna", outcome=outcome)


def way_back(page: requests.Response) -> str:
    """Return where our page's link back to the service leads."""
    link = re.search(r'href="(/t/[^"]+/cancel)"', page.text)
    assert link, page.text[:2000]
    return link[1]
