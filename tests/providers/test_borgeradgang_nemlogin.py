"""NemLog-in's integration tests that concern a service, each by its name in the test report (3.0.3)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from idbroker.errors import Refused, Unreachable, Untrusted
from idbroker.identity import Identity, LoA, Power
from idbroker.numbers import parse
from idbroker.providers import Redirect
from idbroker.providers.borgeradgang import Borgeradgang
from tests.providers.oiosaml_party import (
    LOA,
    PERSISTENT,
    PERSON,
    PRIVILEGES,
    UUID,
    WARD,
    Danish,
    encoded,
    group,
    listed,
    says,
)
from tests.providers.saml_party import SLO, SLO_ANSWERS, read
from tests.saml.idp import at

pytest_plugins = ["tests.providers.oiosaml_fixtures"]

OUT = "https://broker.example.test/logout/eid"
MEDICINE = "urn:dk:nspop:sts:fuldmagt:medicinkort"
NAME_ID = f'<saml:NameID Format="{PERSISTENT}">{PERSON}</saml:NameID>'


def signed_in(danish: Danish, provider: Borgeradgang, **told: Any) -> Identity:
    """Return somebody who has signed in."""
    return danish.sign_in(provider, **told)


def test_it_logon_1(danish: Danish) -> None:
    """IT-LOGON-1: a citizen without a session anywhere signs in, by our signed request and its signed answer."""
    assert danish.sign_in().subject == UUID


def test_it_sso_1(danish: Danish) -> None:
    """IT-SSO-1: who has a session at the gateway already comes back at once; when they acted is what it says."""
    before = danish.clock.now() - timedelta(minutes=20)

    identity = danish.sign_in(authenticated=before)

    assert identity.proved_at == before


def test_it_slo_1(danish: Danish) -> None:
    """IT-SLO-1: who signs out here is sent to the gateway with name and session, and its answer is read."""
    provider = danish.provider()
    identity = signed_in(danish, provider)

    sent = provider.leave(danish.leaving(identity.upstream_logout or ""))

    assert isinstance(sent, Redirect)
    came = read(sent)
    assert sent.url.startswith(f"{SLO}?")
    assert came.text("NameID") == [PERSON]
    assert came.text("SessionIndex") == ["_session1"]
    answer = danish.idp.by_query(OUT, danish.idp.logout_response(OUT, came.id), "farewell-1")
    assert provider.left(danish.leaving(""), sent.state, answer) is True


def test_it_slo_1_partly(danish: Danish) -> None:
    """IT-SLO-1: when another service could not be reached, the person is not told that all is over."""
    provider = danish.provider()
    sent = provider.leave(danish.leaving(signed_in(danish, provider).upstream_logout or ""))
    assert isinstance(sent, Redirect)

    text = danish.idp.logout_response(OUT, read(sent).id, "Success", "PartialLogout")

    assert provider.left(danish.leaving(""), sent.state, danish.idp.by_query(OUT, text)) is False


@pytest.mark.parametrize("way", ["by_query", "by_post"])
def test_it_slo_2(danish: Danish, way: str) -> None:
    """IT-SLO-2: who signs out elsewhere is signed out here: the gateway's request is read, and answered."""
    provider = danish.provider()
    identity = signed_in(danish, provider)
    text = danish.idp.logout_request(OUT, PERSON)

    summons = provider.summoned(getattr(danish.idp, way)(OUT, text, "theirs"))

    assert set(summons.names) & set(identity.upstream_names)
    answer = provider.dismissed(summons, danish.clock.now(), complete=True)
    assert isinstance(answer, Redirect)
    came = read(answer)
    assert answer.url.startswith(SLO_ANSWERS)
    assert came.root.get("InResponseTo") == "_out1"
    assert came.relay_state == "theirs"


def test_it_slo_2_without_a_session_index(danish: Danish) -> None:
    """IT-SLO-2: without a session index every session of that person ends (SAML core, 3.7.1)."""
    provider = danish.provider()
    identity = signed_in(danish, provider)

    summons = provider.summoned(danish.idp.by_query(OUT, danish.idp.logout_request(OUT, PERSON, indexes="")))

    assert set(summons.names) & set(identity.upstream_names)


def test_it_slo_2_of_somebody_else(danish: Danish) -> None:
    """IT-SLO-2: another's session of the same index is not this one's."""
    provider = danish.provider()
    identity = signed_in(danish, provider)
    other = PERSON.replace("3f0c", "4f0c")

    summons = provider.summoned(danish.idp.by_query(OUT, danish.idp.logout_request(OUT, other)))

    assert not set(summons.names) & set(identity.upstream_names)


@pytest.mark.parametrize("by", [None, "mallory"])
def test_it_slo_3(danish: Danish, by: str | None) -> None:
    """IT-SLO-3: a logout request that is not signed by the gateway ends nothing."""
    provider = danish.provider()
    text = danish.idp.logout_request(OUT, PERSON)

    for way in (danish.idp.by_query, danish.idp.by_post):
        with pytest.raises(Untrusted):
            provider.summoned(way(OUT, text, by=by))


@pytest.mark.parametrize(
    "change", [{"issuer": "https://other.example.dk"}, {"Destination": "https://other.example.dk"}]
)
def test_it_slo_3_of_another(danish: Danish, change: dict[str, str]) -> None:
    """IT-SLO-3: nor one of another gateway, or for another service."""
    with pytest.raises(Untrusted):
        danish.provider().summoned(danish.idp.by_query(OUT, danish.idp.logout_request(OUT, PERSON, **change)))


def test_it_loa_1(danish: Danish) -> None:
    """IT-LOA-1: a level below the one asked for gives no access; what is high enough does."""
    provider = danish.provider()

    with pytest.raises(Refused) as caught:
        danish.begin(provider).end(but={LOA: "Low"})
    assert caught.value.reason == "level_too_low"
    assert danish.sign_in(provider, asked={"loa": LoA.LOW}, but={LOA: "Low"}).loa is LoA.LOW


def test_it_tim_1(danish: Danish) -> None:
    """IT-TIM-1: an assertion that is over, or has not begun, proves nobody."""
    now, provider = danish.clock.now(), danish.provider()
    far = timedelta(minutes=4)

    for told in (
        {"conditions": {"NotBefore": at(now + far)}},
        {"conditions": {"NotOnOrAfter": at(now - far)}},
        {"data": {"NotOnOrAfter": at(now - far)}},
        {"issued": now + far},
        {"authenticated": now + far},
    ):
        with pytest.raises(Untrusted):
            danish.begin(provider).end(**told)


def test_it_tim_2(danish: Danish) -> None:
    """IT-TIM-2: clocks may differ by three minutes (OIO-GE-01), and the settings allow no more than five."""
    now, provider = danish.clock.now(), danish.provider()
    near = timedelta(minutes=2, seconds=55)

    told: dict[str, Any] = {
        "conditions": {"NotBefore": at(now + near), "NotOnOrAfter": at(now - near)},
        "issued": now + near,
    }

    assert danish.sign_in(provider, **told).subject == UUID


def test_it_force_1(danish: Danish) -> None:
    """IT-FORCE-1: who must act now is asked to, and an answer from a session of before is refused."""
    provider = danish.provider()
    visit = danish.begin(provider, fresh=True)

    assert visit.came.root.get("ForceAuthn") == "true"
    with pytest.raises(Untrusted, match="before we asked"):
        visit.end(authenticated=danish.clock.now() - timedelta(minutes=20))
    assert danish.sign_in(provider, asked={"fresh": True}).subject == UUID


def test_it_repl_1(danish: Danish) -> None:
    """IT-REPL-1: an assertion counts once, in this worker or another."""
    visit = danish.begin()
    reply = visit.reply()
    visit.end(reply)

    with pytest.raises(Untrusted, match="used before"):
        visit.end(reply)
    visit.provider = danish.provider()
    with pytest.raises(Untrusted, match="used before"):
        visit.end(reply)


def test_it_priv_1(danish: Danish) -> None:
    """IT-PRIV-1: a power of attorney is read: whose affairs, and what."""
    identity = danish.sign_in(but={PRIVILEGES: listed(group(WARD, MEDICINE))})

    assert identity.powers == (Power(number=parse(WARD, "DK", now=date(2026, 11, 22)), what=MEDICINE),)


def test_it_priv_2(danish: Danish) -> None:
    """IT-PRIV-2: what limits a power comes with it; privileges in a company are none of ours."""
    limit = '<Constraint Name="urn:dk:limit">2027-01-01</Constraint>'
    text = listed(group(WARD, MEDICINE, inside=limit), group("12345678", "urn:dk:role", scope="cvrNumberIdentifier"))

    powers = danish.sign_in(but={PRIVILEGES: text}).powers

    assert [(power.what, power.constraints) for power in powers] == [(MEDICINE, (("urn:dk:limit", "2027-01-01"),))]


@pytest.mark.parametrize("text", ["!", encoded("<x/>"), encoded("<!DOCTYPE x><x/>"), listed("<Other/>")])
def test_it_priv_3(danish: Danish, text: str) -> None:
    """IT-PRIV-3: privileges that do not read give no power, and the person signs in for themselves all the same."""
    identity = danish.sign_in(but={PRIVILEGES: text})

    assert identity.subject == UUID
    assert identity.powers == ()


def test_it_user_1(danish: Danish) -> None:
    """IT-USER-1: the same person is the same to us at every sign-in, whatever else has changed."""
    first, second = danish.sign_in(), danish.sign_in(but={f"{LOA}": "High"}, id="_another")

    assert (first.issuer, first.subject) == (second.issuer, second.subject)


def test_a_gateway_without_logout(danish: Danish) -> None:
    """Where the gateway has no place for logout, nobody is sent anywhere."""
    provider = danish.provider()
    identity = signed_in(danish, provider)
    text = danish.idp.document.decode()
    start, end = text.index("<md:SingleLogoutService"), text.index("<md:NameIDFormat")
    danish.idp.document = (text[:start] + text[end:]).encode()

    assert danish.provider().leave(danish.leaving(identity.upstream_logout or "")) is None


def test_an_answer_to_another_logout(danish: Danish) -> None:
    """An answer to somebody else's logout says nothing about this one."""
    provider = danish.provider()
    sent = provider.leave(danish.leaving(signed_in(danish, provider).upstream_logout or ""))
    assert isinstance(sent, Redirect)
    assert urlsplit(sent.url).scheme == "https"

    answer = danish.idp.by_query(OUT, danish.idp.logout_response(OUT, "_another"))

    with pytest.raises(Untrusted, match="another request"):
        provider.left(danish.leaving(""), sent.state, answer)


def test_a_summons_when_the_metadata_is_gone(danish: Danish) -> None:
    """Nothing is believed of a gateway that is not known: the message waits for nobody."""
    provider = danish.provider()
    (danish.folder / "gateway.xml").write_text("nothing")

    with pytest.raises(Unreachable):
        provider.summoned(danish.idp.by_query(OUT, danish.idp.logout_request(OUT, PERSON)))


def test_names_are_the_assertions(danish: Danish) -> None:
    """The name that a logout is asked by is the one that the assertion gave, qualifiers and all."""
    visit = danish.begin()
    qualified = NAME_ID.replace(" Format", ' NameQualifier="https://q.example.dk" Format')
    reply = visit.reply(subject=qualified)
    assert says(danish.idp, visit.came, subject=qualified).subject == qualified

    sent = visit.provider.leave(danish.leaving(visit.end(reply).upstream_logout or ""))

    assert read(sent).root.xpath("string(//*[local-name()='NameID']/@NameQualifier)") == "https://q.example.dk"
