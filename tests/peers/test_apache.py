"""Debian's Apache with mod_auth_openidc, a relying party in C, signs people in with us."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import jwt
import pytest
import requests

from tests.door import SECRET, Browser, Door, open_door
from tests.peers.apache import PAGE, apache
from tests.peers.node import RunningClock
from tests.peers.portals import prove, way_back
from tests.servers import LOOPBACK, free_port

pytestmark = pytest.mark.peers

DIRECTIVES = """
OIDCProviderMetadataURL {issuer}/.well-known/openid-configuration
OIDCClientID apache
OIDCClientSecret {secret}
OIDCRedirectURI {address}/protected/callback
OIDCProviderTokenEndpointAuth client_secret_basic
OIDCIDTokenSignedResponseAlg ES256
OIDCPKCEMethod S256
OIDCResponseMode {mode}
OIDCScope "openid profile"
OIDCPassClaimsAs environment
OIDCCookieSameSite On
OIDCCryptoPassphrase only-for-this-test
"""


@dataclass(frozen=True, kw_only=True)
class Site:
    """A site behind mod_auth_openidc, and the broker it trusts."""

    address: str
    mode: str
    door: Door

    def page(self, browser: Browser) -> requests.Response:
        """Open the protected page; return what the browser shows at last."""
        # Apache closes kept connections when it likes, and sessions do not ask again.
        browser.session.headers["Connection"] = "close"
        return browser.get(f"{self.address}/protected/")

    def signed_in(self, browser: Browser) -> requests.Response:
        """Open the protected page, go through the sign-in it asks for, and return it."""
        page = prove(browser, self.page(browser))
        # By form_post our last page holds the answer for the site, as a form that posts itself.
        return page if page.url.startswith(self.address) else browser.press(page)


@pytest.fixture(scope="module", params=["query", "form_post"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Start both, with the answer brought in the query or posted."""
    port = free_port()
    address = f"http://{LOOPBACK}:{port}"
    registered = {
        "redirect_uris": [f"{address}/protected/callback"],
        "post_logout_redirect_uris": [f"{address}/bye"],
    }
    with open_door(tmp_path_factory.mktemp("broker"), RunningClock(), clients={"apache": registered}) as door:
        directives = DIRECTIVES.format(issuer=door.issuer, secret=SECRET, address=address, mode=request.param)
        with apache(directives, port=port):
            yield Site(address=address, mode=request.param, door=door)


def test_a_site_behind_mod_auth_openidc_knows_its_person(site: Site) -> None:
    """The module takes our answer and ID token, and the page behind it is told who came, how surely (Core 3.1)."""
    page = site.signed_in(site.door.browser())

    assert page.text == PAGE
    assert page.headers["Claim-iss"] == site.door.issuer
    assert page.headers["Claim-aud"] == "apache"
    assert page.headers["Claim-acr"] == "substantial"
    assert page.headers["Claim-name"].encode("latin-1").decode() == site.door.people["anna"].name


def test_a_site_behind_mod_auth_openidc_knows_its_person_again(site: Site) -> None:
    """The same person from another browser is the same subject, whom no other portal can tell (Core 8.1)."""
    first, second = (site.signed_in(site.door.browser()).headers["Claim-sub"] for _ in range(2))
    elsewhere = jwt.decode(site.door.signed_in()["id_token"], options={"verify_signature": False})["sub"]

    assert first == second
    assert first != elsewhere


def test_a_site_behind_mod_auth_openidc_signs_its_person_out(site: Site) -> None:
    """The module's own way out ends the session with us too, and leads back to the site (RP-Initiated Logout 2)."""
    browser = site.door.browser()
    site.signed_in(browser)

    back = browser.get(f"{site.address}/protected/callback?logout={quote(site.address + '/bye', safe='')}")
    again = site.page(browser)

    assert back.url == f"{site.address}/bye"
    assert again.url.startswith(site.door.issuer)
    assert 'name="provider"' in again.text


def test_a_site_behind_mod_auth_openidc_signs_on_without_a_page(site: Site) -> None:
    """Where only the site's session is over, ours signs the person on again without asking them anything."""
    browser = site.door.browser()
    first = site.signed_in(browser)
    browser.session.cookies.clear(domain=LOOPBACK, path="/", name="mod_auth_openidc_session")

    again = site.page(browser)
    again = again if again.url.startswith(site.address) else browser.press(again)

    assert (again.text, again.headers["Claim-sub"]) == (PAGE, first.headers["Claim-sub"])


def test_a_site_behind_mod_auth_openidc_lets_nobody_in_who_cancelled(site: Site) -> None:
    """A person who goes back to the site has no session there (RFC 6749, 4.1.2.1)."""
    browser = site.door.browser()
    page = prove(browser, site.page(browser), outcome="cancel")

    back = browser.get(way_back(page))
    back = back if back.url.startswith(site.address) else browser.press(back)

    assert back.url.startswith(f"{site.address}/protected/callback")
    assert PAGE not in back.text
    # An error that stands in the address beside `iss`, as RFC 9207 wants it, 2.4.12 takes for a sign-in that
    # a third party begins (Core 4): such a site should use form_post, where it reads the error.
    assert site.mode == "query" or "access_denied" in back.text
    assert site.page(browser).url.startswith(site.door.issuer)
