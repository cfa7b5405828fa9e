"""The simulated Freja over OpenID Connect tells what the real one tells, in its own words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest
import requests
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.wrappers import Response

from idbroker.clock import StoppedClock
from idbroker.errors import Cancelled, ProviderError, Refused, Untrusted
from idbroker.identity import Identity, LoA
from idbroker.providers import Asked, Means
from idbroker.providers._http import kept_session
from idbroker.providers.freja import FrejaOpenId, Settings, make
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.freja_oidc import LIES, OUTCOMES, make_freja_oidc
from idbroker.sandbox.op_client import SimClient
from idbroker.sandbox.people import cast
from tests.sandbox.loopback import serve

BACK = "https://login.test/callback/freja"
CLIENT = SimClient(id="us", redirect_uris=(BACK,), secret="s:e c", id_token_alg="RS256")


@dataclass
class Desk:
    """The broker's provider, and a browser."""

    provider: FrejaOpenId
    clock: StoppedClock
    faults: Faults
    issuer: str

    def asked(self, loa: LoA = LoA.SUBSTANTIAL) -> Asked:
        """Return what the broker asks."""
        now = self.clock.now()
        return Asked(
            transaction="t1", handle="h1", return_url=BACK, loa=loa, language="sv", service="Kliniken", now=now,
            want_number=True,
        )  # fmt: skip

    def go(self, person: str = "bjorn", outcome: str = "approve", loa: LoA = LoA.SUBSTANTIAL) -> Identity:
        """Choose somebody on the page; return what is proved."""
        begun = self.provider.begin(self.asked(loa))
        form = {"person": person, "outcome": outcome}
        answer = requests.post(begun.url, data=form, allow_redirects=False, timeout=10)
        assert answer.status_code == 303, answer.text
        return self.provider.resume(
            self.asked(loa), begun.state, dict(parse_qsl(urlsplit(answer.headers["Location"]).query))
        )


@pytest.fixture
def desk(clock: StoppedClock) -> Iterator[Desk]:
    """Give a provider before the simulator."""
    faults = Faults({"freja_oidc": LIES})
    people = cast(clock.now().date())

    def app(address: str) -> DispatcherMiddleware:
        simulated = make_freja_oidc(people, clock, faults, f"{address}/oidc/", {"us": CLIENT})
        return DispatcherMiddleware(Response(status=404), {"/oidc": simulated})

    with serve(app) as address:
        settings = Settings(
            api="oidc", issuer=f"{address}/oidc/", client_id="us", client_secret="s:e c", loa_level=True
        )
        http = partial(kept_session, timeout=(2, 2), sandbox=True)
        provider = make("freja", settings, Means(clock=clock, http=http, sandbox=True))
        assert isinstance(provider, FrejaOpenId)
        yield Desk(provider, clock, faults, f"{address}/oidc/")
        provider._client.http.close()


def test_signs_people_in(desk: Desk) -> None:
    """Somebody who approves is known with number and level; the token says nothing of when they acted."""
    identity = desk.go()

    assert (identity.loa, identity.issuer) == (LoA.SUBSTANTIAL, desk.issuer)
    assert identity.number is not None
    token = jwt.decode(identity.upstream_logout or "", options={"verify_signature": False})
    assert {"sub", "iss", "aud", "nonce", "exp", "iat", "jti"} <= set(token)
    assert "auth_time" not in token
    assert jwt.get_unverified_header(identity.upstream_logout or "")["alg"] == "RS256"


def test_describes_itself(desk: Desk) -> None:
    """The issuer ends with its slash, and the endpoints below it have one slash each."""
    told = requests.get(f"{desk.issuer}.well-known/openid-configuration", timeout=10).json()

    assert told["issuer"] == desk.issuer
    assert told["token_endpoint"] == f"{desk.issuer}token"
    assert told["jwks_uri"] == f"{desk.issuer}jwk"
    assert "https://frejaeid.com/oidc/scopes/personalIdentityNumber" in told["scopes_supported"]


@pytest.mark.parametrize("person", ["elin", "eero", "dagny"])
def test_tells_other_levels(desk: Desk, person: str) -> None:
    """People below Plus come in where little is asked for, and without a number that counts."""
    assert (desk.go(person, loa=LoA.LOW).loa, desk.go(person, loa=LoA.LOW).number) == (LoA.LOW, None)
    with pytest.raises(Refused):
        desk.go(person)


@pytest.mark.parametrize(("person", "outcome"), [("ake", "approve"), ("bjorn", "cancel")])
def test_people_cancel(desk: Desk, person: str, outcome: str) -> None:
    """By habit or by choice."""
    with pytest.raises(Cancelled):
        desk.go(person, outcome)


@pytest.mark.parametrize("outcome", ["expired", "failed"])
def test_people_fail(desk: Desk, outcome: str) -> None:
    """The other outcomes come back as errors too."""
    with pytest.raises(ProviderError):
        desk.go("bjorn", outcome)


def test_shows_a_page(desk: Desk) -> None:
    """The page is one form without JavaScript, and says what it is."""
    page = requests.get(desk.provider.begin(desk.asked()).url, timeout=10)

    assert page.status_code == 200
    assert all(f'value="{outcome}"' in page.text for outcome in OUTCOMES)
    assert "SANDBOX" in page.text
    assert "<script" not in page.text
    assert page.headers["Content-Security-Policy"].endswith("frame-ancestors 'none'")


@pytest.mark.parametrize("form", [{"person": "anna"}, {"person": "bjorn", "outcome": "agree"}])
def test_nonsense_gets_a_page(desk: Desk, form: dict[str, str]) -> None:
    """People without Freja and unknown outcomes are answered here, not at the service."""
    assert requests.post(desk.provider.begin(desk.asked()).url, data=form, timeout=10).status_code == 400


@pytest.mark.parametrize("lie", ["wrong_iss", "wrong_aud", "wrong_nonce", "bad_signature", "alg_none", "attacker_key"])
def test_lies(desk: Desk, lie: str) -> None:
    """It lies as the simulated MitID does."""
    desk.faults.set("freja_oidc", {"lies": [lie]})

    with pytest.raises(Untrusted):
        desk.go()
