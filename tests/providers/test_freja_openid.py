"""Freja over OpenID Connect: Freja's own words for scopes and claims, and the same rules for levels and numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from flask import Flask, request
from flask import redirect as to
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.wrappers import Response

from idbroker.clock import StoppedClock
from idbroker.errors import Cancelled, ProviderError, Refused, Unreachable, Untrusted
from idbroker.identity import Identity, LoA
from idbroker.providers import Asked
from idbroker.providers.freja import FrejaOpenId, Settings, make
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.op import OpenIdProvider, Paths
from idbroker.sandbox.op_client import SimClient
from idbroker.sandbox.op_lies import LIES
from idbroker.sandbox.op_web import add_op_routes
from idbroker.sandbox.people import cpr
from tests.providers.freja_service import BJORN, means
from tests.providers.upstream import BACK, asked
from tests.sandbox.loopback import serve

SCOPE, CLAIM = "https://frejaeid.com/oidc/scopes/", "https://frejaeid.com/oidc/claims/"
PERSON: Mapping[str, Any] = {
    CLAIM + "registrationLevel": "PLUS",
    CLAIM + "relyingPartyUserId": "3f" * 32,
    CLAIM + "personalIdentityNumber": BJORN,
    CLAIM + "country": "SE",
    "given_name": "Björn",
    "family_name": "Provsson",
    "birthdate": "1987-06-19",
}
SIGNED = (CLAIM + "registrationLevel", CLAIM + "loaLevel")


@dataclass
class Page:
    """Freja's page, where a person approves at once, unless there is an error to answer with."""

    op: OpenIdProvider
    faults: Faults
    claims: dict[str, Any] = field(default_factory=lambda: dict(PERSON))
    id_claims: dict[str, Any] = field(default_factory=lambda: {"auth_time": None})
    error: tuple[str, str] | None = None
    seen: dict[str, str] = field(default_factory=dict)

    def authorize(self) -> Response:
        """Answer the browser."""
        self.seen = dict(request.args)
        wanted = self.op.read(request.args)
        if self.error:
            return to(self.op.refuse(wanted, *self.error), 303)
        return to(self.op.approve(wanted, "freja-subject", self.id_claims, self.claims), 303)


def _app(address: str, clock: StoppedClock, pages: list[Page]) -> Any:
    """Return Freja's OpenID provider at /oidc/, whose issuer ends with that slash."""
    issuer, faults = f"{address}/oidc/", Faults({"freja": LIES})
    op = OpenIdProvider(
        issuer=issuer,
        clock=clock,
        clients={"us": SimClient(id="us", redirect_uris=(BACK,), secret="s:e c", id_token_alg="RS256")},
        lies=lambda: faults.of("freja").lies,
        paths=Paths(authorize="/authorize", token="/token", userinfo="/userinfo", pushed="/par", jwks="/jwk"),
        extra_metadata={
            "authorization_endpoint": issuer + "authorize",
            "token_endpoint": issuer + "token",
            "userinfo_endpoint": issuer + "userinfo",
            "jwks_uri": issuer + "jwk",
            "pushed_authorization_request_endpoint": None,
            "authorization_response_iss_parameter_supported": False,
        },
    )
    app = Flask(__name__)
    add_op_routes(app, op, faults, "freja")
    page = Page(op, faults)
    pages.append(page)
    app.add_url_rule("/authorize", "authorize", page.authorize)
    return DispatcherMiddleware(Response(status=404), {"/oidc": app})


@dataclass
class Desk:
    """A provider and the page it sends people to."""

    provider: FrejaOpenId
    page: Page
    clock: StoppedClock

    def asked(self, **more: Any) -> Asked:
        """Return what the broker asks now."""
        return replace(asked(self.clock, language="sv"), **more)

    def go(self, **more: Any) -> Identity:
        """Send a person there and take what they bring back."""
        begun = self.provider.begin(self.asked(**more))
        with requests.Session() as browser:
            browser.trust_env = False
            back = browser.get(begun.url, allow_redirects=False).headers["Location"]
        return self.provider.resume(self.asked(**more), begun.state, dict(parse_qsl(urlsplit(back).query)))


Opened = Callable[..., Desk]


@pytest.fixture
def opened(clock: StoppedClock) -> Iterator[Opened]:
    """Give a maker of desks, at one page."""
    pages: list[Page] = []
    made: list[Desk] = []
    with serve(lambda address: _app(address, clock, pages)) as address:

        def open_desk(**more: Any) -> Desk:
            usual = Settings(api="oidc", issuer=f"{address}/oidc/", client_id="us", client_secret="s:e c")
            provider = make("freja", replace(usual, **more), means(clock))
            assert isinstance(provider, FrejaOpenId)
            made.append(Desk(provider, pages[0], clock))
            return made[-1]

        yield open_desk
        for desk in made:
            desk.provider._client.http.close()


@pytest.fixture
def desk(opened: Opened) -> Desk:
    """Give a provider with the usual settings."""
    return opened()


def test_proves_who_the_person_is(desk: Desk, clock: StoppedClock) -> None:
    """By issuer (with its slash) and subject, number, name, birth date, level and moment; with the signed token."""
    identity = desk.go()

    assert (identity.issuer, identity.subject) == (desk.page.op.issuer, "freja-subject")
    assert identity.issuer.endswith("/oidc/")
    assert identity.number is not None
    assert (identity.loa, identity.number.value) == (LoA.SUBSTANTIAL, BJORN)
    assert (identity.name, identity.birthdate) == ("Björn Provsson", date(1987, 6, 19))
    assert (identity.proved_at, identity.amr) == (clock.now(), ("swk", "mfa"))
    assert identity.upstream_logout is not None


def test_asks_in_frejas_words(desk: Desk) -> None:
    """Scopes are Freja's own; the number's only when it is wanted; PKCE and nonce go along."""
    desk.go(want_number=False)
    without = desk.page.seen["scope"].split()
    desk.go()

    scopes = desk.page.seen["scope"].split()
    assert without == [
        "openid",
        "profile",
        *(SCOPE + n for n in ("registrationLevel", "relyingPartyUserId", "birthdate")),
    ]
    assert scopes == [*without, SCOPE + "personalIdentityNumber"]
    assert (desk.page.seen["code_challenge_method"], desk.page.seen["ui_locales"]) == ("S256", "sv")
    assert "acr_values" not in desk.page.seen


def test_asks_for_what_is_set(opened: Opened) -> None:
    """The level of assurance, other scopes and acr_values are the operator's: Freja documents none of the last."""
    desk = opened(loa_level=True, acr_values="urn:x")
    desk.go()
    assert desk.page.seen["scope"].split()[-2:] == [SCOPE + "loaLevel", SCOPE + "personalIdentityNumber"]
    assert desk.page.seen["acr_values"] == "urn:x"

    desk = opened(loa_level=True, scopes=("openid", "email"))
    desk.go(want_number=False)
    assert desk.page.seen["scope"] == "openid email"


@pytest.mark.parametrize(
    ("registration", "assurance", "loa"),
    [
        ("PLUS", None, LoA.SUBSTANTIAL),
        ("PLUS", "LOA3", LoA.SUBSTANTIAL),
        ("PLUS", "LOA3_NR", LoA.LOW),
        ("EXTENDED", "LOA2", LoA.LOW),
        ("EXTENDED", None, LoA.LOW),
    ],
)
@pytest.mark.parametrize("where", ["claims", "id_claims"])
def test_a_level_is_what_was_told(desk: Desk, where: str, registration: str, assurance: str | None, loa: LoA) -> None:
    """In the ID token or in userinfo; the number counts with the level substantial only."""
    told = {SIGNED[0]: registration, **({SIGNED[1]: assurance} if assurance else {})}
    del desk.page.claims[SIGNED[0]]
    getattr(desk.page, where).update(told)

    identity = desk.go(minimum=LoA.LOW)
    assert (identity.loa, identity.number is not None) == (loa, loa is LoA.SUBSTANTIAL)
    if loa is LoA.LOW:
        with pytest.raises(Refused) as stopped:
            desk.go()
        assert stopped.value.reason == "level_too_low"


@pytest.mark.parametrize(
    ("told", "error"),
    [
        ({SIGNED[0]: "BASIC"}, Refused),
        ({SIGNED[0]: None}, Untrusted),
        ({SIGNED[0]: "GOLD"}, Untrusted),
        ({SIGNED[1]: "LOA4"}, Untrusted),
        ({SIGNED[0]: ["PLUS"]}, Untrusted),
    ],
)
def test_no_level_is_not_believed(desk: Desk, told: dict[str, Any], error: type[ProviderError]) -> None:
    """RP-side enforcement: Freja decides the least level at registration, we decide it each time."""
    desk.page.claims |= told

    with pytest.raises(error):
        desk.go(minimum=LoA.LOW)


def test_what_is_signed_goes_before_what_is_fetched(desk: Desk) -> None:
    """A level in the ID token is not raised by one in userinfo."""
    desk.page.id_claims |= {SIGNED[0]: "EXTENDED"}

    with pytest.raises(Refused):
        desk.go()


@pytest.mark.parametrize(
    ("country", "number"),
    [("DK", cpr(date(1985, 3, 14), 101)), ("FI", BJORN), (None, BJORN), ("se", BJORN)],
    ids=["danish", "abroad", "nowhere", "misspelled"],
)
def test_a_foreign_number_never_becomes_a_swedish_one(desk: Desk, country: str | None, number: str) -> None:
    """A personalIdentityNumber is Swedish only beside the country SE; the person is known by the subject."""
    desk.page.claims |= {CLAIM + "country": country, CLAIM + "personalIdentityNumber": number}

    assert desk.go().number is None


def test_a_coordination_number_is_one(desk: Desk) -> None:
    """SKV 707."""
    desk.page.claims[CLAIM + "personalIdentityNumber"] = "199309802396"

    number = desk.go().number
    assert number is not None
    assert number.kind == "samordningsnummer"


@pytest.mark.parametrize(
    "told", [{CLAIM + "personalIdentityNumber": "19870619T393"}, {"birthdate": "5 juni"}, {"given_name": 7}]
)
def test_claims_of_another_shape_are_not_believed(desk: Desk, told: dict[str, Any]) -> None:
    """Nobody is signed in by half of what they are."""
    desk.page.claims |= told

    with pytest.raises(Untrusted):
        desk.go()


def test_what_the_person_did_is_told_apart(desk: Desk) -> None:
    """Cancelling is the person's own doing; anything else is Freja's refusal or its trouble."""
    for code, kind in (("access_denied", Cancelled), ("server_error", Unreachable), ("invalid_scope", Refused)):
        desk.page.error = code, "so"
        with pytest.raises(kind):
            desk.go()


def test_the_level_high_is_not_to_be_had(desk: Desk) -> None:
    """Nobody is sent away for nothing."""
    with pytest.raises(Refused):
        desk.go(loa=LoA.HIGH)


def test_what_a_clinic_requires_is_met_or_refused(desk: Desk) -> None:
    """A level counts here too; a face cannot be asked for, and is not silently left out."""
    desk.page.claims[SIGNED[0]] = "EXTENDED"

    with pytest.raises(Refused):
        desk.go(minimum=LoA.LOW, requirement={"registration_level": "PLUS"})
    with pytest.raises(Unreachable, match="confirmation_method"):
        desk.go(requirement={"confirmation_method": "DEFAULT_AND_FACE"})
    assert desk.go(minimum=LoA.LOW, requirement={"confirmation_method": "DEFAULT"}).loa is LoA.LOW


@pytest.mark.parametrize("freshness", [{"fresh": True}, {"max_age": timedelta(minutes=5)}])
def test_a_fresh_sign_in_needs_a_proof_or_the_operators_word(opened: Opened, freshness: dict[str, Any]) -> None:
    """B9: Freja's tokens carry no auth_time. `always_asks` says that the person acted whenever one is made."""
    with pytest.raises(Untrusted, match="auth_time"):
        opened().go(**freshness)

    assert opened(always_asks=True).go(**freshness).proved_at == opened().clock.now()


@pytest.mark.parametrize(
    "lie",
    [
        "discovery_issuer_mismatch",
        "wrong_iss",
        "slash_iss",
        "wrong_aud",
        "wrong_nonce",
        "missing_nonce",
        "old_iat",
        "expired",
        "alg_none",
        "hs256_with_public_key",
        "attacker_key",
        "embedded_jwk",
        "bad_signature",
        "duplicate_members",
        "wrong_state",
        "wrong_sub_userinfo",
        "forged_userinfo",
    ],
)
def test_a_lie_is_not_believed(desk: Desk, lie: str) -> None:
    """The client is the house's one OpenID client, with all its checks: the slash belongs to the issuer."""
    desk.page.faults.set("freja", {"lies": [lie]})

    with pytest.raises(Untrusted):
        desk.go()
