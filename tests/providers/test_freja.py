"""Freja over REST: what an order asks for, how it goes, what it proves, over real mutual TLS."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from idbroker.clock import StoppedClock
from idbroker.errors import Cancelled, Refused, Unreachable, Untrusted
from idbroker.identity import LoA
from idbroker.numbers import PERSONNUMMER, SAMORDNINGSNUMMER
from idbroker.providers import App, Binding, Progress
from idbroker.sandbox.people import cpr, hetu, samordningsnummer
from idbroker.visitor import Device, Visitor, visitor
from tests.providers.freja_service import BJORN, WHO, Desk, b64, open_desk
from tests.providers.upstream import BACK

SAMIR = samordningsnummer(date(1993, 9, 18), 239)
EERO = hetu(date(1977, 12, 4), 907)
ANNA = cpr(date(1985, 3, 14), 101)
SECRET = b"the secret of the tests"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
ANDROID = "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36"


class Opened(Protocol):
    """Opens a desk with some settings changed."""

    def __call__(self, **more: Any) -> AbstractContextManager[Desk]:
        """Open one."""
        ...


@pytest.fixture
def opened(tmp_path: Path, clock: StoppedClock) -> Opened:
    """Give a maker of desks."""
    return lambda **more: open_desk(tmp_path, clock, **more)


@pytest.fixture
def desk(opened: Opened) -> Iterator[Desk]:
    """Give a provider with the usual settings."""
    with opened() as made:
        yield made


def test_is_an_app(desk: Desk) -> None:
    """The provider is of the kind that is waited for, at the pace Freja suggests."""
    provider = desk.provider

    assert isinstance(provider, App)
    assert (provider.title, provider.short, provider.loa) == ("Freja eID Plus", "Freja", LoA.SUBSTANTIAL)
    assert (provider.pace, provider.binding) == (timedelta(seconds=2.5), Binding.RETURN)


def test_proves_who_the_person_is(desk: Desk, clock: StoppedClock) -> None:
    """A person who approves is known by subject, number, name, birth date, level and moment, with the evidence."""
    identity = desk.go()

    assert (identity.provider, identity.issuer) == ("freja", "https://services.test.frejaeid.com")
    assert (identity.subject, identity.loa, identity.proved_at) == (WHO, LoA.SUBSTANTIAL, clock.now())
    assert identity.number is not None
    assert (identity.number.kind, identity.number.value) == (PERSONNUMMER, BJORN)
    assert (identity.name, identity.given_name, identity.family_name) == ("Björn Provsson", "Björn", "Provsson")
    assert (identity.birthdate, identity.amr, identity.app_ip) == (date(1987, 6, 5), ("swk", "mfa"), None)
    assert identity.evidence == {"details": desk.service.orders[desk.service.newest]["details"]}


def test_asks_by_nobodys_name(desk: Desk) -> None:
    """E2: an order is INFERRED, whatever hint there is: never put into the app of whoever somebody names."""
    desk.begin(number_hint=BJORN, visitor=visitor("192.0.2.7", "Agent/1"))

    call = desk.service.calls[-1]
    assert call.message == {
        "userInfoType": "INFERRED",
        "userInfo": "N/A",
        "minRegistrationLevel": "PLUS",
        "attributesToReturn": [
            {"attribute": name}
            for name in ("RELYING_PARTY_USER_ID", "REGISTRATION_LEVEL", "BASIC_USER_INFO", "DATE_OF_BIRTH", "SSN")
        ],
        "originDeviceDetails": {"flowType": "ANOTHER_DEVICE", "userAgent": "Agent/1", "userIpAddress": "192.0.2.7"},
    }
    assert call.content_type == "application/x-www-form-urlencoded"
    assert [name for name, _ in call.fields] == ["initAuthRequest"]


@pytest.mark.parametrize(("agent", "device"), [("å?>~" * 20, Device.THIS), ("", Device.OTHER)])
def test_a_message_arrives_letter_by_letter(desk: Desk, agent: str, device: Device) -> None:
    """Base64's + and / are escaped in the form: what the service reads is what was asked, on every device."""
    desk.begin(visitor=Visitor(ip=None, agent=agent), device=device)

    flow = "SAME_DEVICE" if device is Device.THIS else "ANOTHER_DEVICE"
    told = {"userAgent": agent} if agent else {}
    assert desk.service.calls[-1].message["originDeviceDetails"] == {"flowType": flow, **told}


def test_says_for_whom_it_asks(opened: Opened) -> None:
    """An integrator's calls each name the relying party."""
    with opened(relying_party_id="party&1") as desk:
        begun = desk.begin()
        desk.look(begun)
        desk.provider.drop(begun.state)

        assert [dict(call.fields)["relyingPartyId"] for call in desk.service.calls] == ["party&1"] * 3


def test_asks_for_no_number_that_nobody_wants(desk: Desk) -> None:
    """Data minimisation: without `want_number` it is not asked for, and not taken if it comes."""
    identity = desk.go(want_number=False)

    wanted = desk.service.calls[0].message["attributesToReturn"]
    assert {"attribute": "SSN"} not in wanted
    assert identity.number is None


@pytest.mark.parametrize(
    ("level", "requirement", "wanted"),
    [
        (LoA.SUBSTANTIAL, {}, "PLUS"),
        (LoA.LOW, {}, "EXTENDED"),
        (LoA.LOW, {"registration_level": "PLUS"}, "PLUS"),
        (LoA.SUBSTANTIAL, {"registration_level": "EXTENDED"}, "PLUS"),
    ],
)
def test_asks_for_the_level_that_is_needed(desk: Desk, level: LoA, requirement: dict[str, str], wanted: str) -> None:
    """Whichever is more of what the client and the clinic demand; name and birth date need EXTENDED at least."""
    desk.begin(loa=LoA.SUBSTANTIAL, minimum=level, requirement=requirement)

    assert desk.service.calls[-1].message["minRegistrationLevel"] == wanted


def test_asks_for_a_face_where_a_clinic_does(desk: Desk) -> None:
    """`confirmation_method` goes to Freja in its own words, and only where it is required."""
    desk.begin(requirement={"confirmation_method": "DEFAULT_AND_FACE"})
    desk.begin()

    methods = [call.message.get("userConfirmationMethod") for call in desk.service.calls]
    assert methods == ["DEFAULT_AND_FACE", None]


def test_more_than_there_is_is_not_asked_for(desk: Desk) -> None:
    """Freja has no level high: nobody is sent to their telephone for nothing."""
    with pytest.raises(Refused) as stopped:
        desk.begin(loa=LoA.HIGH)

    assert (stopped.value.reason, desk.service.calls) == ("level_too_low", [])


def test_goes_from_waiting_to_opened(desk: Desk) -> None:
    """STARTED is waiting and DELIVERED_TO_MOBILE opened; once opened, an order does not go back."""
    begun = desk.begin()
    assert (begun.progress, begun.says) == (Progress.WAITING, "b.st.start")

    assert desk.waiting(begun) == begun
    opened = desk.waiting(begun, status="DELIVERED_TO_MOBILE")
    assert (opened.progress, opened.says) == (Progress.OPENED, "b.st.sign")
    assert desk.waiting(opened) == opened
    assert desk.waiting(opened, status="STARTED") == opened


@pytest.mark.parametrize("status", ["EXPIRED", "RP_CANCELED"])
def test_an_order_nobody_opened_lapses(desk: Desk, status: str) -> None:
    """It may be replaced in silence; one that somebody had open has failed, and they are told."""
    begun = desk.begin()

    assert desk.waiting(begun, status=status).progress is Progress.LAPSED
    opened = desk.waiting(begun, status="DELIVERED_TO_MOBILE")
    desk.service.set(status=status)
    with pytest.raises(Refused) as stopped:
        desk.look(opened)
    assert stopped.value.reason == "freja_expired"


def test_what_the_person_did_is_told_apart(desk: Desk) -> None:
    """CANCELED is the person's own doing; REJECTED is Freja's, as when two orders wait for one person."""
    begun = desk.begin()

    desk.service.set(status="CANCELED")
    with pytest.raises(Cancelled):
        desk.look(begun)
    desk.service.set(status="REJECTED")
    with pytest.raises(Refused) as stopped:
        desk.look(begun)
    assert stopped.value.reason == "freja_rejected"


def test_a_word_of_a_later_version_keeps_waiting(desk: Desk) -> None:
    """A status that we do not know ends nothing, neither before nor after the app was opened."""
    begun = desk.begin()

    waiting = desk.waiting(begun, status="CONTEMPLATED")
    assert (waiting.progress, waiting.says) == (Progress.WAITING, "b.st.work")
    opened = desk.waiting(begun, status="DELIVERED_TO_MOBILE")
    assert desk.waiting(opened, status="CONTEMPLATED").progress is Progress.OPENED


def test_a_result_may_be_read_twice(desk: Desk) -> None:
    """What proves a person proves the same person again: a look that was lost loses nothing."""
    begun = desk.begin()
    desk.service.approve()

    assert desk.proved(begun) == desk.proved(begun)


def test_a_reply_of_the_browser_proves_nothing(desk: Desk) -> None:
    """The browser's return only says that it came back; the order is looked at all the same."""
    begun = desk.begin(device=Device.THIS)
    reply = {"state": "handle-1", "status": "APPROVED", "details": "a.b.c"}

    assert desk.provider.resume(desk.asked(), begun.state, reply) == begun


# ---- levels ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("registration", "assurance", "loa"),
    [
        ("PLUS", None, LoA.SUBSTANTIAL),
        ("PLUS", "LOA3", LoA.SUBSTANTIAL),
        ("PLUS", "LOA2", LoA.LOW),
        ("PLUS", "LOA3_NR", LoA.LOW),
        ("EXTENDED", None, LoA.LOW),
        ("EXTENDED", "LOA2", LoA.LOW),
        ("EXTENDED", "LOA3", LoA.LOW),
        ("EXTENDED", "LOA3_NR", LoA.LOW),
    ],
)
def test_a_level_is_the_lower_of_what_two_words_say(
    desk: Desk, registration: str, assurance: str | None, loa: LoA
) -> None:
    """Plus of a resident is substantial (Digg: 3), and all else low (2); the number counts only with the former."""
    told = {"registrationLevel": registration, "loaLevel": assurance}
    identity = desk.go(told, minimum=LoA.LOW)

    assert (identity.loa, identity.number is not None) == (loa, loa is LoA.SUBSTANTIAL)
    assert identity.subject == WHO


@pytest.mark.parametrize(
    ("told", "more"),
    [
        ({"registrationLevel": "EXTENDED"}, {}),
        ({"loaLevel": "LOA2"}, {}),
        ({"loaLevel": "LOA3_NR"}, {}),
        ({"registrationLevel": "BASIC"}, {"minimum": LoA.LOW}),
        ({"loaLevel": "LOA1"}, {"minimum": LoA.LOW}),
        ({"registrationLevel": "EXTENDED"}, {"minimum": LoA.LOW, "requirement": {"registration_level": "PLUS"}}),
    ],
)
def test_a_lower_level_than_needed_is_refused(desk: Desk, told: dict[str, str], more: dict[str, Any]) -> None:
    """ASVS 6.8.4: what came back counts; an e-mail address alone (BASIC) is below low (eIDAS 2015/1502, 2.1.2)."""
    with pytest.raises(Refused) as stopped:
        desk.go(told, **more)

    assert stopped.value.reason == "level_too_low"


@pytest.mark.parametrize(
    "told",
    [
        {"registrationLevel": None},
        {"registrationLevel": "plus"},
        {"registrationLevel": ["PLUS"]},
        {"loaLevel": "LOA9"},
        {"loaLevel": 3},
    ],
)
def test_a_level_we_do_not_know_is_not_believed(desk: Desk, told: dict[str, Any]) -> None:
    """Missing or unknown is no level, never the highest."""
    with pytest.raises(Untrusted):
        desk.go(told)


def test_asks_for_what_freja_has_enabled(opened: Opened) -> None:
    """The assurance level and the app's address are asked for when set; the address is told in one spelling."""
    with opened(loa_level=True, network_info=True, binding=Binding.RETURN_OR_IP) as desk:
        identity = desk.go({"loaLevel": "LOA3", "networkInfo": {"publicIp": "::ffff:192.0.2.9"}})

        names = [one["attribute"] for one in desk.service.calls[0].message["attributesToReturn"]]
        assert names[-2:] == ["LOA_LEVEL", "NETWORK_INFO"]
        assert (identity.app_ip, desk.provider.binding) == ("192.0.2.9", Binding.RETURN_OR_IP)


# ---- numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("country", "number"),
    [("FI", EERO), ("DK", ANNA), ("FI", BJORN), ("se", BJORN), ("", BJORN), (None, BJORN)],
    ids=["finnish", "danish", "abroad", "misspelled", "empty", "nowhere"],
)
def test_a_foreign_number_never_becomes_a_swedish_one(desk: Desk, country: str | None, number: str) -> None:
    """The same digits are another person's in each country: such a person is known by Freja's own name alone."""
    identity = desk.go({"ssn": {"country": country, "ssn": number} if country else {"ssn": number}})

    assert (identity.number, identity.subject) == (None, WHO)


def test_a_coordination_number_is_one(desk: Desk) -> None:
    """SKV 707: Plus may rest on a samordningsnummer, and says so."""
    identity = desk.go({"ssn": {"country": "SE", "ssn": SAMIR}})

    assert identity.number is not None
    assert (identity.number.kind, identity.number.value) == (SAMORDNINGSNUMMER, SAMIR)


@pytest.mark.parametrize("number", [BJORN[:-1] + "7", f"{BJORN[:8]}T{BJORN[9:]}"], ids=["mistyped", "interim"])
def test_what_is_no_number_is_not_believed(desk: Desk, number: str) -> None:
    """A wrong check digit, and an interim number with a letter: not a personnummer, whoever says so (SKV 704)."""
    with pytest.raises(Untrusted, match="number"):
        desk.go({"ssn": {"country": "SE", "ssn": number}})


@pytest.mark.parametrize(
    "told",
    [
        {"relyingPartyUserId": None},
        {"relyingPartyUserId": ""},
        {"relyingPartyUserId": 7},
        {"relyingPartyUserId": "a\nb"},
        {"relyingPartyUserId": "x" * 256},
        {"dateOfBirth": "05-06-1987"},
        {"dateOfBirth": 19870605},
        {"basicUserInfo": "Björn"},
        {"basicUserInfo": {"name": "a\x00b"}},
        {"ssn": [BJORN]},
        {"networkInfo": "192.0.2.1"},
    ],
)
def test_attributes_of_another_shape_are_not_believed(desk: Desk, told: dict[str, Any]) -> None:
    """Signed nonsense is nonsense: nobody is signed in by half of what they are."""
    with pytest.raises(Untrusted):
        desk.go(told)


def test_a_person_without_names_is_still_proved(desk: Desk) -> None:
    """What Freja leaves out stays open; Freja's own name for the person is enough."""
    identity = desk.go({"basicUserInfo": None, "dateOfBirth": None, "ssn": None})

    assert (identity.subject, identity.name, identity.birthdate, identity.number) == (WHO, None, None, None)


# ---- codes and links -------------------------------------------------------------------------------


def test_the_code_is_the_link_without_a_way_back(desk: Desk) -> None:
    """A reference holds + and /: all of it is escaped, and what the camera reads is what Freja gave."""
    begun = desk.begin()

    code = desk.provider.code(begun.state, desk.clock.now())
    assert code is not None
    assert code.startswith("https://app.test.frejaeid.com/freja?action=bindUserToTransaction&transactionReference=")
    assert code.endswith(quote("+/=", safe=""))
    assert parse_qs(urlsplit(code).query)["transactionReference"] == [desk.service.newest]


def test_a_code_is_shown_only_while_it_is_of_use(desk: Desk) -> None:
    """Not when the app has the order, not when it has lapsed or its two minutes are over, not for this device."""
    begun, provider, now = desk.begin(), desk.provider, desk.clock.now()
    opened = desk.waiting(begun, status="DELIVERED_TO_MOBILE")
    lapsed = desk.waiting(begun, status="EXPIRED")

    assert provider.code(opened.state, now) is None
    assert provider.code(lapsed.state, now) is None
    assert provider.code(begun.state, now + timedelta(seconds=119)) is not None
    assert provider.code(begun.state, now + timedelta(minutes=2)) is None
    assert provider.code(desk.begin(device=Device.THIS).state, now) is None


def test_no_link_opens_another_devices_order(desk: Desk) -> None:
    """E1: an order shown as a code has no link that somebody could be sent."""
    with pytest.raises(Untrusted):
        desk.provider.link(desk.begin().state, Visitor())


@pytest.mark.parametrize(
    ("agent", "back"),
    [
        ("", "http://127.0.0.1:9/callback/freja?state=a.b"),
        (ANDROID, "http://127.0.0.1:9/callback/freja?state=a.b"),
        (IPHONE + "Version/18.0 Mobile/15E148 Safari/604.1", "http://127.0.0.1:9/callback/freja?state=a.b"),
        (IPHONE + "CriOS/140.0 Mobile/15E148 Safari/604.1", "googlechrome://127.0.0.1:9/callback/freja?state=a.b"),
        (
            IPHONE + "FxiOS/140.0 Mobile/15E148 Safari/605.1.15",
            "firefox://open-url?url=http%3A%2F%2F127.0.0.1%3A9%2Fcallback%2Ffreja%3Fstate%3Da.b",
        ),
        (
            IPHONE + "EdgiOS/140.0 Mobile/15E148 Safari/605.1.15",
            "microsoft-edge-http://127.0.0.1:9/callback/freja?state=a.b",
        ),
        (IPHONE + "OPT/5.0 Mobile/15E148 Safari/604.1", "touch-http://127.0.0.1:9/callback/freja?state=a.b"),
    ],
)
def test_the_link_leads_back_to_the_same_browser(desk: Desk, agent: str, back: str) -> None:
    """E1: the way back carries the one-time handle; on iOS it is spelled so that this browser opens it."""
    begun = desk.begin(device=Device.THIS, handle="a.b", return_url="http://127.0.0.1:9/callback/freja")

    link = desk.provider.link(begun.state, visitor(None, agent))
    query = parse_qs(urlsplit(link).query)
    assert query == {
        "action": ["bindUserToTransaction"],
        "transactionReference": [desk.service.newest],
        "originAppScheme": [back],
    }


def test_chrome_on_ios_goes_back_securely(desk: Desk) -> None:
    """An https address keeps being one."""
    begun = desk.begin(device=Device.THIS, return_url="https://login.example/callback/freja")

    link = desk.provider.link(begun.state, visitor(None, IPHONE + "CriOS/140.0 Mobile"))
    assert parse_qs(urlsplit(link).query)["originAppScheme"] == [
        "googlechromes://login.example/callback/freja?state=handle-1"
    ]


def test_the_apps_own_scheme_may_be_used(opened: Opened) -> None:
    """`app_link` is the scheme or an https address; the environment's is the default."""
    with opened(app_link="frejaeid://bindUserToTransaction") as desk:
        begun = desk.begin(device=Device.THIS)
        reference = quote(desk.service.newest, safe="")
        link = desk.provider.link(begun.state, Visitor())

        assert link == (
            f"frejaeid://bindUserToTransaction?transactionReference={reference}"
            f"&originAppScheme={quote(BACK + '?state=handle-1', safe='')}"
        )


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("spelled", ["text", "base64"])
def test_a_moving_code_changes_every_second(opened: Opened, spelled: str, *, padded: bool) -> None:
    """E2: reference, whole seconds and their HMAC, made on the server: the secret never leaves it."""
    with opened(dynamic_qr=True, dynamic_qr_secret=spelled, dynamic_qr_padding=padded) as desk:
        begun, now = desk.begin(), desk.clock.now()
        secret = {"text": desk.service.secret.encode(), "base64": SECRET}[spelled]
        shown = [desk.provider.code(begun.state, now + timedelta(seconds=s)) for s in (-1, 0.9, 1, 61)]

        read = [parse_qs(urlsplit(code or "").query)["transactionReference"][0] for code in shown]
        macs = [b64(hmac.digest(secret, str(second).encode(), "sha256")) + "=" * padded for second in (0, 0, 1, 61)]
        assert read == [f"{desk.service.newest}.{second}.{m}" for second, m in zip((0, 0, 1, 61), macs, strict=True)]
        assert desk.service.calls[0].message["useDynamicQrCode"] is True


def test_only_a_code_moves(opened: Opened) -> None:
    """An order for this device is opened by its link, once: there is nothing to film."""
    with opened(dynamic_qr=True) as desk:
        begun = desk.begin(device=Device.THIS)

        assert "useDynamicQrCode" not in desk.service.calls[0].message
        assert quote(desk.service.newest, safe="") + "&" in desk.provider.link(begun.state, Visitor())


@pytest.mark.parametrize(("secret", "spelled"), [("", "text"), ("a", "base64")])
def test_a_code_that_cannot_move_is_not_shown_still(opened: Opened, secret: str, spelled: str) -> None:
    """E2: without a secret that reads there is no order; the weaker code is not what was decided on."""
    with opened(dynamic_qr=True, dynamic_qr_secret=spelled) as desk:
        desk.service.secret = secret

        with pytest.raises(Unreachable):
            desk.begin()


# ---- dropping --------------------------------------------------------------------------------------


def test_an_order_is_dropped(desk: Desk) -> None:
    """Dropping cancels it at Freja, so that a forgotten order blocks nobody; twice is as good as once."""
    begun = desk.begin()

    desk.provider.drop(begun.state)
    assert desk.service.orders[desk.service.newest]["status"] == "RP_CANCELED"
    desk.provider.drop(begun.state)
    assert desk.waiting(begun).progress is Progress.LAPSED


def test_an_order_that_has_ended_is_left_alone(desk: Desk) -> None:
    """What was approved stays so."""
    begun = desk.begin()
    desk.service.approve()

    desk.provider.drop(begun.state)
    assert desk.proved(begun).subject == WHO


@pytest.mark.parametrize("state", [b"", b"{}", b"null", b"match:{}", b"\xff"])
def test_a_state_that_does_not_read_is_untrusted(desk: Desk, state: bytes) -> None:
    """Another version's or another provider's state is nobody's order."""
    for use in (
        lambda: desk.provider.resume(desk.asked(), state, {}),
        lambda: desk.provider.code(state, desk.clock.now()),
        lambda: desk.provider.link(state, Visitor()),
    ):
        with pytest.raises(Untrusted):
            use()
