"""A citizen signs in through a Danish gateway: what is asked, what is read, how it may end (OIOSAML 3.0.3, 4.0)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from idbroker.errors import Cancelled, Refused, Unreachable
from idbroker.identity import Identity, LoA
from idbroker.numbers import parse
from idbroker.visitor import Visitor
from tests.providers.oiosaml_party import BORN, CPR, DANE, EID, LOA, LOA_4, NUMBER, PERSISTENT, UUID, VERSION, Danish
from tests.saml.idp import IDP

pytest_plugins = ["tests.providers.oiosaml_fixtures"]

NSIS = "https://data.gov.dk/concept/core/nsis/loa/"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Safari/604.1"
ANDROID = "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36"
BACK = {"app_switch_ios": "https://app.example.dk/ios", "app_switch_android": "https://app.example.dk/android"}


def test_a_citizen_signs_in(danish: Danish) -> None:
    """Who it is comes from the assertion: number, names, birth date, level, and the identifier that lasts."""
    identity = danish.sign_in()

    assert (identity.provider, identity.issuer, identity.subject) == ("eid", IDP, UUID)
    assert identity.number == parse(NUMBER, "DK", now=date(2026, 11, 22))
    assert identity.name == DANE[f"{EID}fullName"]
    assert (identity.given_name, identity.family_name) == (DANE[f"{EID}firstName"], DANE[f"{EID}lastName"])
    assert identity.birthdate == date(1985, 3, 14)
    assert identity.loa is LoA.SUBSTANTIAL
    assert identity.proved_at == danish.clock.now()
    assert identity.upstream_logout is not None
    assert len(identity.upstream_names) == 2


def test_the_request(danish: Danish) -> None:
    """By Redirect, signed: at least the level, a citizen, a name that lasts, our address for the answer."""
    visit = danish.begin()

    root = visit.came.root
    assert visit.came.text("AuthnContextClassRef") == [f"{NSIS}Substantial", "https://data.gov.dk/eid/Person"]
    assert root.xpath("string(//*[local-name()='RequestedAuthnContext']/@Comparison)") == "minimum"
    assert root.xpath("string(//*[local-name()='NameIDPolicy']/@Format)") == PERSISTENT
    assert root.get("AssertionConsumerServiceURL") == "https://broker.example.test/callback/eid"
    assert root.get("ForceAuthn") is None
    assert visit.came.text("Extensions") == []
    assert visit.came.relay_state == visit.asked.handle


def test_the_least_is_asked_for(danish: Danish) -> None:
    """A level that is only wished for is not demanded: the gateway would refuse who is good enough."""
    visit = danish.begin(loa=LoA.HIGH, minimum=LoA.LOW)

    assert visit.came.text("AuthnContextClassRef")[0] == f"{NSIS}Low"


def test_profile_4(danish: Danish) -> None:
    """OIOSAML 4.0 asks in its own words, and its level and version are taken."""
    provider = danish.provider(profile="4")
    visit = danish.begin(provider)

    assert visit.came.text("AuthnContextClassRef")[0] == "https://data.gov.dk/concept/core/loa/Substantial"
    assert visit.came.text("Profile") == ["https://data.gov.dk/eid/Person/DK"]
    identity = visit.end(but={VERSION: "OIO-SAML-4.0", LOA: None, LOA_4: "High"})
    assert isinstance(identity, Identity)
    assert identity.loa is LoA.SUBSTANTIAL  # its means were no better


def test_profile_4_of_a_private_service(danish: Danish) -> None:
    """A private service asks for the profile without a number."""
    visit = danish.begin(danish.provider(profile="4", public=False))

    assert visit.came.text("Profile") == ["https://data.gov.dk/eid/Person/DK/WithoutCPR"]


@pytest.mark.parametrize(
    ("agent", "told"), [(IPHONE, ["iOS", BACK["app_switch_ios"]]), (ANDROID, ["Android", BACK["app_switch_android"]])]
)
def test_app_switch(danish: Danish, agent: str, told: list[str]) -> None:
    """On a phone the request says how MitID's app leads back, where that is configured."""
    provider = danish.provider(**BACK)

    came = danish.begin(provider, visitor=Visitor(agent=agent)).came

    assert came.text("Platform") + came.text("ReturnURL") == told
    assert danish.begin(provider).came.text("Platform") == []
    assert danish.begin(visitor=Visitor(agent=agent)).came.text("Platform") == []


def test_more_contexts(danish: Danish) -> None:
    """What else an agreement says to ask for is a setting."""
    mitid = "https://nemlogin.dk/internal/credential/type/mitid"

    visit = danish.begin(danish.provider(contexts=(mitid,)))

    assert visit.came.text("AuthnContextClassRef")[-1] == mitid


def test_without_single_sign_on(danish: Danish) -> None:
    """Outside the federation's single sign-on the person acts every time, and their session there stays theirs."""
    provider = danish.provider(single_sign_on=False)
    visit = danish.begin(provider)

    assert visit.came.root.get("ForceAuthn") == "true"
    identity = visit.end()
    assert isinstance(identity, Identity)
    assert identity.upstream_logout is None


def test_the_lowest_counts(danish: Danish) -> None:
    """No proof is better than the identity or the means behind it, nor than the class it names."""
    assert danish.sign_in(but={LOA: "High"}).loa is LoA.SUBSTANTIAL
    assert danish.sign_in(context=f"{NSIS}Low", asked={"loa": LoA.LOW}).loa is LoA.LOW


def test_no_number(danish: Danish) -> None:
    """Somebody without a CPR number is let in without one: they have MitID all the same."""
    assert danish.sign_in(but={CPR: None}).number is None


@pytest.mark.parametrize("spelling", ["14-03-1985", "1985-03-14", "1985-03-14Z"])
def test_birth_dates(danish: Danish, spelling: str) -> None:
    """Both spellings that are met are read."""
    assert danish.sign_in(but={BORN: spelling}).birthdate == date(1985, 3, 14)


def test_a_birth_date_unlike_the_number(danish: Danish) -> None:
    """What the gateway says of the birth date goes before what the number tells."""
    assert danish.sign_in(but={BORN: "15-03-1985"}).birthdate == date(1985, 3, 15)


def test_a_protected_name(danish: Danish) -> None:
    """A name that is protected does not reach a client by way of us."""
    identity = danish.sign_in(but={f"{EID}fullName": "NAVNE &amp; ADRESSEBESKYTTET"})

    assert identity.protected
    assert (identity.name, identity.given_name, identity.family_name) == (None, None, None)


def test_other_names_of_attributes(danish: Danish) -> None:
    """A gateway that calls things otherwise is a table: attributes, levels, versions, identifiers."""
    provider = danish.provider(
        attributes={"number": ("urn:x:cpr", CPR), "level": ("urn:x:level",)},
        levels={"2": "low", "3": "substantial", "4": "high"},
        versions=("SEB-1",),
        person_uri="urn:x:person:",
    )

    told = {VERSION: "SEB-1", "urn:x:level": "3", "urn:x:cpr": NUMBER, CPR: None, **dict.fromkeys([LOA, *_PARTS])}
    identity = danish.sign_in(provider, name=f"urn:x:person:{UUID}", but=told)

    assert identity.number is not None
    assert (identity.loa, identity.subject) == (LoA.SUBSTANTIAL, UUID)
    assert danish.begin(provider).came.text("AuthnContextClassRef")[0] == f"{NSIS}3"


_PARTS = [f"https://data.gov.dk/concept/core/nsis/{one}" for one in ("ial", "aal")]


def test_an_encrypted_assertion_by_the_staged_key(danish: Danish) -> None:
    """What was encrypted to the next key of ours opens too: the gateway has our new metadata first."""
    danish.keys.opening = ("old", "sp")

    assert danish.sign_in().subject == UUID


@pytest.mark.parametrize(
    ("codes", "error", "reason"),
    [
        (("Responder", "AuthnFailed"), Cancelled, None),
        (("Requester", "NoAuthnContext"), Refused, "level_too_low"),
        (("Requester", "RequestDenied"), Refused, "eid_refused"),
        (("Responder",), Refused, "eid_refused"),
    ],
)
def test_no_sign_in(danish: Danish, codes: tuple[str, ...], error: type[Exception], reason: str | None) -> None:
    """What the gateway says instead of an assertion ends in words the pages have."""
    visit = danish.begin()
    reply = {**danish.idp.refusal(visit.came, *codes)}

    with pytest.raises(error) as caught:
        visit.end(reply)

    assert getattr(caught.value, "reason", None) == reason


def test_metadata_that_says_nothing(danish: Danish) -> None:
    """A gateway whose metadata does not read cannot be reached; nobody is asked for anything."""
    provider = danish.provider()
    (danish.folder / "gateway.xml").write_text("<nothing/>")

    with pytest.raises(Unreachable):
        provider.begin(danish.asked())


def test_where_the_way_leads(danish: Danish) -> None:
    """A form post on the way to the gateway may end up at its own addresses and at those behind it."""
    provider = danish.provider(hosts=("more.example.dk",))

    assert "https://idp.example.test" in provider.origins
    assert "https://login.test-nemlog-in.dk" in provider.origins
    assert provider.origins[-1] == "https://more.example.dk"


def test_metadata_is_taken_anew(danish: Danish) -> None:
    """A key that the gateway has changed in its metadata signs people in without a restart."""
    provider = danish.provider()
    danish.sign_in(provider)
    danish.idp.describe("next", signer=None)
    (danish.folder / "gateway.xml").write_bytes(danish.idp.document)
    danish.clock.move(timedelta(hours=2))

    assert danish.sign_in(provider, by="next").subject == UUID


def test_a_person_in_capitals_is_the_same(danish: Danish) -> None:
    """A UUID in capitals is the same UUID: nobody becomes somebody new by it."""
    identity: Any = danish.sign_in(name=f"{EID}person/uuid/{UUID.upper()}")

    assert identity.subject == UUID
