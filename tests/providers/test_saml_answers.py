"""What a SAML party asks of an answer: how recent, how strong, with whose keys; and one error for all lies."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest

from idbroker.errors import Cancelled, Refused, Unreachable, Untrusted
from idbroker.providers._saml import Terms, Wish
from tests.providers.saml_party import TERMS, Journey, World, make_world, read
from tests.saml.idp import IDP, LOA2, LOA3, XENC, XENC11, Sealing, sign
from tests.saml.metadata_documents import POST, REDIRECT

world = pytest.fixture(make_world)


# ---- when, and how well (S33) -------------------------------------------------------------------------


@pytest.mark.parametrize("more", [{"fresh": True}, {"max_age": timedelta(hours=8)}])
def test_force_ignored(world: World, more: dict[str, Any]) -> None:
    """Who was to act now, and is answered for out of an old session, is not signed in (SAML core, 3.4.1)."""
    journey = Journey(world, **more)
    assert journey.came.root.get("ForceAuthn") == "true"

    with pytest.raises(Untrusted, match="before we asked"):
        journey.finish(journey.honest(authenticated=world.clock.now() - timedelta(minutes=2)))


def test_force_heeded(world: World) -> None:
    """Who acted after we asked is signed in, though the clocks differ a little."""
    journey = Journey(world, fresh=True)

    assert journey.finish(journey.honest(authenticated=world.clock.now() - timedelta(seconds=50))).issuer == IDP


def test_their_session(world: World) -> None:
    """Who need not act now may be answered for out of a session; when they acted is told as it was."""
    journey, then = Journey(world), world.clock.now() - timedelta(minutes=30)

    assert journey.finish(journey.honest(authenticated=then)).authenticated_at == then


def test_level_downgraded(world: World) -> None:
    """A weaker context than the terms allow is refused, however well the answer is signed."""
    journey = Journey(world)

    with pytest.raises(Untrusted, match="context"):
        journey.finish(journey.honest(context=LOA2), Terms(contexts=frozenset({LOA3})))


def test_level_read_elsewhere(world: World) -> None:
    """Terms without contexts leave the level to the caller."""
    journey = Journey(world)

    assert journey.finish(journey.honest(context="urn:x"), Terms(contexts=None)).context == "urn:x"


@pytest.mark.parametrize(("late", "good"), [(timedelta(minutes=5, seconds=59), True), (timedelta(minutes=6), False)])
def test_too_late(world: World, late: timedelta, good: bool) -> None:
    """An answer has its five minutes, and the skew that the operator allows."""
    journey = Journey(world)
    reply = journey.honest()
    world.clock.move(late)
    journey.asked = world.asked()

    if good:
        assert journey.finish(reply).issuer == IDP
    else:
        with pytest.raises(Untrusted, match="over"):
            journey.finish(reply)


# ---- keys, theirs and ours ----------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["idp", "next"])
def test_two_signing_certificates(world: World, by: str) -> None:
    """While they change keys their metadata has two, and either verifies."""
    world.idp.describe("idp", "next")
    journey = Journey(world)

    assert journey.finish(world.idp.answer(journey.came, by=by)).issuer == IDP


def test_a_withdrawn_certificate(world: World) -> None:
    """A key that their metadata names no more is believed until the next look, and then no more."""
    world.idp.describe("idp", "stolen")
    party = world.party()
    party.source.get(world.clock.now())
    world.idp.describe("idp")
    world.clock.move(timedelta(hours=1))
    journey = Journey(world, party)

    with pytest.raises(Untrusted, match="signature"):
        journey.finish(world.idp.answer(journey.came, by="stolen"))


def test_our_encryption_key_rotated(world: World) -> None:
    """What was sealed to our old key opens until it is retired, in the middle of a sign-in or after."""
    journey, second, third = Journey(world), Journey(world), Journey(world)
    world.keys.sealing, world.keys.opening = ("sp-new",), ("sp-new", "sp")

    assert journey.finish(world.idp.answer(journey.came, sealing=Sealing(to="sp"))).issuer == IDP
    assert second.finish(world.idp.answer(second.came, sealing=Sealing(to="sp-new"))).issuer == IDP
    world.keys.opening = ("sp-new",)
    with pytest.raises(Untrusted):
        third.finish(world.idp.answer(third.came, sealing=Sealing(to="sp")))


def test_our_signing_key_rotated(world: World) -> None:
    """From the moment that another key is active it signs our requests, without a restart."""
    party = world.party()
    Journey(world, party)
    world.keys.signing = ("ours-new", "ours")

    assert read(Journey(world, party).begun, "ours-new").relay_state == "handle-1"


@pytest.mark.parametrize(("cbc", "signed"), [(True, True), (False, True), (True, False)])
def test_cbc(world: World, cbc: bool, signed: bool) -> None:
    """AES-CBC opens only for a provider that must have it, and only under a signed response (S27)."""
    journey = Journey(world, world.party(cbc=cbc))
    assertion = world.idp.answer(journey.came, sealing=Sealing(to="sp", method=f"{XENC}aes256-cbc"))
    terms = TERMS if signed else Terms(contexts=None, response_signed=False)
    if not signed:
        inside = _sealed(world, journey, f"{XENC}aes256-cbc")
        assertion = world.idp.posted(journey.came, inside, by=None)

    if cbc and signed:
        assert journey.finish(assertion, terms).issuer == IDP
    else:
        with pytest.raises(Untrusted):
            journey.finish(assertion, terms)


def test_gcm_needs_no_envelope(world: World) -> None:
    """For a party whose responses are not signed, as the Danish gateway's, the assertion's signature is enough."""
    journey = Journey(world)
    reply = world.idp.posted(journey.came, _sealed(world, journey, f"{XENC11}aes128-gcm"), by=None)

    assert journey.finish(reply, Terms(contexts=None, response_signed=False)).issuer == IDP


def _sealed(world: World, journey: Journey, method: str) -> str:
    reply = world.idp.answer(journey.came, sealing=Sealing(to="sp", method=method))
    document = base64.b64decode(reply["SAMLResponse"]).decode()
    start, end = document.index("<saml:EncryptedAssertion"), document.index("</saml:EncryptedAssertion>")
    return document[start:end] + "</saml:EncryptedAssertion>"


# ---- one opaque family --------------------------------------------------------------------------------

LIES: dict[str, dict[str, Any]] = {
    "audience": {"audience": "https://another.example.test"},
    "no audience": {"audience": None},
    "recipient": {"data": {"Recipient": "https://another.example.test/acs"}},
    "confirmation to another": {"data": {"InResponseTo": "_another"}},
    "holder of key": {"method": "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"},
    "issuer": {"issuer": "https://another-idp.example.test"},
    "future": {"issued": None},
    "over": {"conditions": {"NotOnOrAfter": "2026-11-22T08:00:00Z"}},
}


@pytest.mark.parametrize("lie", LIES)
def test_lies(world: World, lie: str) -> None:
    """Whatever is wrong with an answer that says Success, it is one kind of error, with one code outside."""
    journey = Journey(world)
    changes = {name: value or world.clock.now() + timedelta(hours=1) for name, value in LIES[lie].items()}
    changes = LIES[lie] if lie != "future" else changes

    with pytest.raises(Untrusted) as refused:
        journey.finish(journey.honest(**changes))

    assert refused.value.code == "untrusted"
    assert "Tessa" not in refused.value.detail
    assert "010280" not in refused.value.detail


@pytest.mark.parametrize(
    "changes",
    [
        {"Destination": "https://another.example.test/acs"},
        {"InResponseTo": "_another"},
        {"InResponseTo": ""},
        {"Version": "1.1"},
        {"IssueInstant": "2026-11-22T12:00:00Z"},
        {"issuer": "<saml:Issuer>https://another.example.test</saml:Issuer>"},
        {"by": "evil"},
        {"by": None},
    ],
)
def test_lies_around_it(world: World, changes: dict[str, Any]) -> None:
    """The same goes for what is around the assertion."""
    journey = Journey(world)
    inside = _sealed(world, journey, f"{XENC11}aes256-gcm")

    with pytest.raises(Untrusted):
        journey.finish(world.idp.posted(journey.came, inside, **changes))


def test_not_encrypted(world: World) -> None:
    """What was to be encrypted and is not could be read on the way, and is refused (S26)."""
    journey = Journey(world)
    plain = sign(world.idp.says(journey.came).assertion())

    with pytest.raises(Untrusted, match="encrypted"):
        journey.finish(world.idp.posted(journey.came, plain))


@pytest.mark.parametrize(
    ("codes", "error"),
    [(("Requester", "AuthnFailed"), Cancelled), (("Responder", "RequestDenied"), Refused)],
)
def test_refusals_must_be_signed_too(world: World, codes: tuple[str, ...], error: type[Exception]) -> None:
    """Only they can say that it did not come to a sign-in."""
    journey = Journey(world)
    with pytest.raises(error):
        journey.finish(world.idp.refusal(journey.came, *codes))
    status = f'<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:{codes[0]}"/>'

    with pytest.raises(Untrusted, match="not signed"):
        journey.finish(world.idp.posted(journey.came, "", by=None, status=status))


def test_nowhere_to_go(world: World) -> None:
    """An identity provider that does not take the operator's binding is out of reach, and says so in the log."""
    world.idp.describe()
    world.idp.document = world.idp.document.replace(POST.encode(), REDIRECT.encode())
    journey = world.party(binding="post")

    with pytest.raises(Unreachable):
        journey.begin(world.asked(), Wish())
