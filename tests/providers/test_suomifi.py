"""suomi.fi: what is asked of it, and who comes of what it answers."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from idbroker.errors import Cancelled, Refused, Untrusted
from idbroker.identity import Identity, LoA
from idbroker.providers import Described, Federated, Post, Redirect
from idbroker.providers.suomifi import (
    AUTHENTICATOR,
    EIDAS2,
    EIDAS3,
    LOA2,
    LOA3,
    TEST_IDP,
    TEST_TOKEN,
    Settings,
    SuomiFi,
    make,
)
from tests.providers.saml_party import SSO, TESSA, Came, World, make_world, read
from tests.saml.idp import IDP
from tests.saml.metadata_documents import REDIRECT

world = pytest.fixture(make_world)
EIDAS_PERSON = "http://eidas.europa.eu/attributes/naturalperson/"
PROTECTION = "urn:oid:1.2.246.517.2002.2.27"
HETU, SATU = "urn:oid:1.2.246.21", "urn:oid:1.2.246.22"
VTJ = "urn:oid:1.2.246.517.3002.111.2"
ELENA = {
    f"{EIDAS_PERSON}PersonIdentifier": "ES/FI/99900088P",
    f"{EIDAS_PERSON}CurrentFamilyName": "Pruebas",
    f"{EIDAS_PERSON}CurrentGivenName": "Elena",
    f"{EIDAS_PERSON}DateOfBirth": "1988-05-17",
    VTJ: "false",
}
IVANA = {
    "urn:oid:1.2.246.517.3002.111.17": "FA-0000-4410",
    "urn:oid:1.2.246.517.3002.111.17.1": "low",
    "urn:oid:2.5.4.4": "Koeulkomaalainen",
    "urn:oid:2.5.4.42": "Ivana",
    VTJ: "false",
}


def suomifi(world: World, **more: Any) -> SuomiFi:
    """Return the provider, in a worker of its own."""
    return make("suomifi", Settings(**world.table(**more)), world.means())


def signed_in(world: World, attributes: dict[str, str], context: str = LOA2, **more: Any) -> Identity:
    """Go all the way with what suomi.fi tells about somebody."""
    asking = {name: more.pop(name) for name in ("loa", "minimum") if name in more}
    provider, asked = suomifi(world, **more), world.asked(**asking)
    begun = provider.begin(asked)
    came = read(begun)
    says = world.idp.says(came, attributes=attributes, context=context)
    return provider.resume(asked, begun.state, world.idp.answer(came, says))


def asked_for(world: World, language: str = "sv", least: LoA = LoA.SUBSTANTIAL, **more: Any) -> Came:
    """Return what arrives at suomi.fi."""
    return read(suomifi(world, **more).begin(world.asked(language=language, loa=least)))


def test_it_is_what_the_house_expects(world: World) -> None:
    """It has a session of its own, which ends both ways, and must know us by our metadata."""
    provider = suomifi(world)

    assert isinstance(provider, Federated)
    assert isinstance(provider, Described)


# ---- what is asked ------------------------------------------------------------------------------------


def test_request(world: World) -> None:
    """It is signed, for suomi.fi's own address, answered to ours by POST, and asks for a transient name."""
    came = asked_for(world)

    assert came.relay_state == "handle-1"
    assert {str(name): str(value) for name, value in came.root.attrib.items()} == {
        "ID": came.id,
        "Version": "2.0",
        "IssueInstant": "2026-11-22T09:00:00Z",
        "Destination": SSO[REDIRECT],
        "AssertionConsumerServiceURL": "https://broker.example.test/callback/suomifi",
        "ProtocolBinding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
        "AttributeConsumingServiceIndex": "0",
    }
    assert came.text("Issuer") == ["https://broker.example.test/metadata/suomifi"]
    assert [one.get("Format") for one in came.root.iter("{*}NameIDPolicy")] == [
        "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
    ]


@pytest.mark.parametrize(("language", "spoken"), [("fi", "fi"), ("sv", "sv"), ("en", "en"), ("da", "en"), ("nb", "en")])
def test_language(world: World, language: str, spoken: str) -> None:
    """suomi.fi speaks Finnish, Swedish and English; the others get English."""
    came = asked_for(world, language)

    assert came.text("LG") == [spoken]


@pytest.mark.parametrize("binding", ["redirect", "post"])
def test_language_in_the_address(world: World, binding: str) -> None:
    """As `locale` the language is the last of the address, and no part of what is signed."""
    begun = suomifi(world, language_by="locale", binding=binding).begin(world.asked(language="fi"))

    match begun:
        case Redirect():
            assert begun.url.endswith("&locale=fi")
        case Post():
            assert begun.action.endswith("/sso/post?locale=fi")
    assert read(begun).text("LG") == []


@pytest.mark.parametrize(
    ("contexts", "least", "named"),
    [
        ("needed", LoA.SUBSTANTIAL, []),
        ("needed", LoA.HIGH, [LOA3]),
        ("never", LoA.HIGH, []),
        ("always", LoA.SUBSTANTIAL, [LOA2, LOA3]),
        ("always", LoA.HIGH, [LOA3]),
    ],
)
def test_contexts(world: World, contexts: str, least: LoA, named: list[str]) -> None:
    """Methods are named only where some of the accepted ones would not do, unless the operator says otherwise."""
    came = asked_for(world, least=least, contexts=contexts)

    assert came.text("AuthnContextClassRef") == named
    assert [one.get("Comparison") for one in came.root.iter("{*}RequestedAuthnContext")] == ["exact"] * bool(named)


def test_a_wish_goes_first(world: World) -> None:
    """A wish for more than is needed is said by the order (SAML core, 3.3.2.2.1), and excludes nobody."""
    asked = world.asked(loa=LoA.HIGH, minimum=LoA.SUBSTANTIAL)

    assert read(suomifi(world, contexts="always").begin(asked)).text("AuthnContextClassRef") == [LOA3, LOA2]


@pytest.mark.parametrize(
    ("more", "forced"), [({}, None), ({"fresh": True}, "true"), ({"max_age": timedelta(1)}, "true")]
)
def test_a_new_proof(world: World, more: dict[str, Any], forced: str | None) -> None:
    """Who must act now, or must have acted lately, is sent past suomi.fi's own session (SAML core, 3.4.1)."""
    assert read(suomifi(world).begin(world.asked(**more))).root.get("ForceAuthn") == forced


# ---- who comes of it ----------------------------------------------------------------------------------


def test_identity(world: World) -> None:
    """All that is known of a person at home: every first name is given, the one they go by is in the name."""
    identity = signed_in(world, {**TESSA, SATU: "99900001B"})

    assert identity.number is not None
    assert identity.upstream_logout is not None
    assert identity == Identity(
        provider="suomifi",
        issuer=IDP,
        subject="satu:99900001B",
        loa=LoA.SUBSTANTIAL,
        proved_at=world.clock.now(),
        amr=("mfa",),
        number=identity.number,
        name="Tessa Testilä",
        given_name="Tessa Maaria",
        family_name="Testilä",
        birthdate=date(1980, 2, 1),
        upstream_names=('index:["AAdzZWNyZXQx", "_session1"]', "name:AAdzZWNyZXQx"),
        upstream_logout=identity.upstream_logout,
        upstream_issued=identity.upstream_issued,
    )
    assert identity.number.key == "FI:010280-952L"


@pytest.mark.parametrize(
    ("context", "level", "more"),
    [
        (LOA2, LoA.SUBSTANTIAL, {}),
        (LOA3, LoA.HIGH, {}),
        (LOA3, LoA.HIGH, {"methods": (LOA2,)}),
        (EIDAS2, LoA.SUBSTANTIAL, {"eidas": "full"}),
        (EIDAS3, LoA.HIGH, {"eidas": "form"}),
        ("urn:oid:1.2.246.517.3002.110.996", LoA.HIGH, {"eidas": "full"}),
        ("urn:oid:1.2.246.517.3002.110.997", LoA.SUBSTANTIAL, {"eidas": "full"}),
        (TEST_TOKEN, LoA.SUBSTANTIAL, {"environment": "test"}),
        (TEST_IDP, LoA.SUBSTANTIAL, {"environment": "test"}),
    ],
)
def test_levels(world: World, context: str, level: LoA, more: dict[str, Any]) -> None:
    """The level is that of the method that was used; a stronger one than accepted is accepted."""
    assert signed_in(world, TESSA, context, **more).loa is level


@pytest.mark.parametrize(
    ("context", "more"),
    [
        (LOA2, {"methods": (LOA3,)}),
        (EIDAS3, {}),
        (AUTHENTICATOR, {}),
        (TEST_TOKEN, {}),
        (TEST_IDP, {}),
        ("http://ftn.ficora.fi/2017/loatest2", {"environment": "test"}),
        ("urn:oid:1.2.246.517.3002.110.5", {}),
        ("urn:oid:1.2.246.517.3002.110.998", {"eidas": "full"}),
        ("urn:oasis:names:tc:SAML:2.0:ac:classes:Password", {}),
    ],
)
def test_methods_that_were_never_accepted(world: World, context: str, more: dict[str, Any]) -> None:
    """A method that our metadata does not name is no honest answer, however well it is signed (S33)."""
    with pytest.raises(Untrusted, match="context"):
        signed_in(world, TESSA, context, **more)


@pytest.mark.parametrize(("loa", "minimum"), [(LoA.HIGH, None), (LoA.HIGH, LoA.HIGH)])
def test_too_low_for_this_service(world: World, loa: LoA, minimum: LoA | None) -> None:
    """An accepted method that is weaker than the service needs is refused, in words (S33; ASVS 6.8.4)."""
    with pytest.raises(Refused) as refused:
        signed_in(world, TESSA, LOA2, loa=loa, minimum=minimum)

    assert refused.value.reason == "level_too_low"


def test_lower_than_wished(world: World) -> None:
    """A wish is no demand: what is enough signs in."""
    assert signed_in(world, TESSA, LOA2, loa=LoA.HIGH, minimum=LoA.SUBSTANTIAL).loa is LoA.SUBSTANTIAL


def test_protection_order(world: World) -> None:
    """Who has a protection order keeps their name, is marked, and no address gets in, were it sent."""
    address = {f"urn:oid:1.2.246.517.2002.2.{n}": f"Salakatu {n}" for n in (4, 5, 6, 7, 8, 18, 19, 20, 31)}
    identity = signed_in(world, {**TESSA, PROTECTION: "1", **address}, extent="medium")

    assert identity.protected
    assert identity.name == "Tessa Testilä"
    assert "Salakatu" not in str([getattr(identity, name) for name in identity.__dataclass_fields__])


@pytest.mark.parametrize(("told", "protected"), [("0", False), ("1", True), ("2", True), ("true", True)])
def test_protection_order_told_otherwise(world: World, told: str, protected: bool) -> None:
    """Only 0 says that there is none: a word that we do not know protects."""
    assert signed_in(world, {**TESSA, PROTECTION: told}).protected is protected


def test_by_eidas(world: World) -> None:
    """Who comes from another country has no Finnish number and signs in without, though one was wanted."""
    identity = signed_in(world, ELENA, EIDAS2, eidas="full")

    assert (identity.number, identity.subject) == (None, "eidas:ES/FI/99900088P")
    assert (identity.name, identity.given_name, identity.family_name) == ("Elena Pruebas", "Elena", "Pruebas")
    assert identity.birthdate == date(1988, 5, 17)


def test_foreigners(world: World) -> None:
    """Who has the Finnish Authenticator proves low, where the service takes that."""
    identity = signed_in(world, IVANA, AUTHENTICATOR, foreign=True, loa=LoA.LOW)

    assert (identity.number, identity.subject, identity.loa) == (None, "foreign:FA-0000-4410", LoA.LOW)
    assert (identity.name, identity.birthdate, identity.amr) == ("Ivana Koeulkomaalainen", None, ())


def test_subjects_are_apart(world: World) -> None:
    """An identifier of another country that reads like a Finnish one is not that one: each kind has its prefix."""
    told = {**ELENA, f"{EIDAS_PERSON}PersonIdentifier": TESSA[HETU]}
    subjects = {signed_in(world, told, EIDAS2, eidas="full").subject, signed_in(world, TESSA).subject}

    assert subjects == {"eidas:010280-952L", "hetu:010280-952L"}


@pytest.mark.parametrize("told", ["false", "0", "TRUE", ""])
def test_not_in_the_register(world: World, told: str) -> None:
    """Whom the register did not confirm is refused where that is required; what is not true is not true."""
    with pytest.raises(Refused) as refused:
        signed_in(world, {**TESSA, VTJ: told})

    assert refused.value.reason == "vtj_not_verified"


def test_the_register_says_nothing(world: World) -> None:
    """No word of the register is no word that they are in it."""
    with pytest.raises(Refused, match="register"):
        signed_in(world, {name: value for name, value in TESSA.items() if name != VTJ})


def test_the_register_is_not_asked(world: World) -> None:
    """Where it is not required, people sign in whom the register does not know."""
    assert signed_in(world, {**TESSA, VTJ: "false"}, vtj_required=False).number is not None


def test_a_finnish_number_from_abroad(world: World) -> None:
    """Who comes by eIDAS with a Finnish number is asked of the register as well: the number joins them to a person."""
    told = {**ELENA, HETU: TESSA[HETU]}
    with pytest.raises(Refused, match="register"):
        signed_in(world, told, EIDAS2, eidas="full")

    assert signed_in(world, {**told, VTJ: "true"}, EIDAS2, eidas="full").subject == "hetu:010280-952L"


@pytest.mark.parametrize(
    "change",
    [
        {HETU: "010280-952K"},
        {HETU: "010280"},
        {HETU: "320280-952L"},
        {HETU: "010280-952L 010280-952L"},
        {HETU: "", VTJ: "true"},
        {f"{EIDAS_PERSON}DateOfBirth": "17.5.1988"},
        {f"{EIDAS_PERSON}DateOfBirth": "2088-05-17"},
    ],
)
def test_malformed(world: World, change: dict[str, str]) -> None:
    """A number or a birth date that is none, or nothing that says who it is, is nobody's honest answer."""
    with pytest.raises(Untrusted):
        signed_in(world, {**TESSA, **change})


def test_the_sign_counts(world: World) -> None:
    """Two people who differ by the century sign alone stay two: all eleven characters are kept."""
    both = [signed_in(world, {**TESSA, HETU: number}) for number in ("010594-9032", "010594Y9032")]

    assert [one.subject for one in both] == ["hetu:010594-9032", "hetu:010594Y9032"]


def test_nothing_stands_in_its_words(world: World) -> None:
    """What is shown of an identity, in a log say, names nobody."""
    identity = signed_in(world, TESSA)

    assert not [word for word in ("Tessa", "Testilä", "010280", "AAdzZWNyZXQx") if word in repr(identity)]


# ---- what went otherwise ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codes", "error"),
    [
        (("Requester", "AuthnFailed"), Cancelled),
        (("Responder", "AuthnFailed"), Cancelled),
        (("Responder", "NoAuthnContext"), Refused),
        (("Responder",), Refused),
        (("Responder", "urn:x"), Refused),
    ],
)
def test_refusals(world: World, codes: tuple[str, ...], error: type[Exception]) -> None:
    """Cancelling, and being dead, are AuthnFailed to suomi.fi; anything else is a refusal."""
    provider, asked = suomifi(world), world.asked()
    begun = provider.begin(asked)

    with pytest.raises(error):
        provider.resume(asked, begun.state, world.idp.refusal(read(begun), *codes))


def test_leaving_and_coming(world: World) -> None:
    """A sign-in can be ended: our request names them as suomi.fi did, both qualifiers and the index."""
    provider, identity = suomifi(world), signed_in(world, TESSA)
    went = provider.leave(world.leaving(identity.upstream_logout or ""))
    came = read(went)

    assert isinstance(went, Redirect)
    assert urlsplit(went.url).path == "/slo"
    named = next(came.root.iter("{*}NameID"))
    assert (named.text, named.get("NameQualifier")) == ("AAdzZWNyZXQx", IDP)
    assert named.get("SPNameQualifier") == "https://broker.example.test/metadata/suomifi"
    assert came.text("SessionIndex") == ["_session1"]
    answer = world.idp.logout_response("https://broker.example.test/logout/suomifi", came.id)
    message = world.idp.by_query("https://broker.example.test/logout/suomifi", answer, "farewell-1")
    assert provider.left(world.leaving(identity.upstream_logout or ""), went.state, message)


def test_summoned(world: World) -> None:
    """suomi.fi's request, which comes without our cookies, names the session that this sign-in had."""
    provider, identity = suomifi(world), signed_in(world, TESSA)
    url = "https://broker.example.test/logout/suomifi"
    summons = provider.summoned(world.idp.by_query(url, world.idp.logout_request(url), "theirs"))
    answer = read(provider.dismissed(summons, world.clock.now(), complete=True))

    assert set(summons.names) & set(identity.upstream_names)
    assert (answer.root.get("InResponseTo"), answer.relay_state) == ("_out1", "theirs")


def test_another_person_after(world: World) -> None:
    """One worker's provider serves many: nothing of one sign-in is left in the next."""
    provider, asked = suomifi(world), world.asked()
    first = provider.begin(asked)
    second = provider.begin(replace(asked, handle="handle-2"))
    other = world.idp.says(read(second), attributes={**TESSA, HETU: "010594Y9032"})

    identity = provider.resume(replace(asked, handle="handle-2"), second.state, world.idp.answer(read(second), other))
    earlier = provider.resume(asked, first.state, world.idp.answer(read(first)))
    assert (identity.subject, earlier.subject) == ("hetu:010594Y9032", "hetu:010280-952L")
