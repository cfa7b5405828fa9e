"""What is ordered at BankID: words, binding, requirement, and the way back (RP API v6.0, /auth)."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from idbroker.errors import Unreachable
from idbroker.visitor import Device, Visitor, visitor
from tests.providers.bankid_party import BACK, COMPUTER, HERE, IPHONE, SAFARI, Party, on_phone

pytest_plugins = ["tests.providers.bankid_fixtures"]


def text_of(body: dict[str, Any], member: str = "userVisibleData") -> str:
    """Return a text of an order, decoded."""
    return base64.b64decode(body[member], validate=True).decode()


# ---- what is ordered -----------------------------------------------------------------------------


def test_orders_what_the_api_takes(party: Party) -> None:
    """The content type is application/json and nothing behind it (415 otherwise); the risk is always asked for."""
    body = party.ordered(visitor=visitor("::ffff:192.0.2.7", "u" * 300, "cookie"))
    call, headers, _ = party.wire.asked[-1]

    assert (call, headers["Content-Type"]) == ("auth", "application/json")
    assert body["endUserIp"] == "192.0.2.7"
    assert body["returnRisk"] is True
    assert body["web"] == {
        "referringDomain": "login.example.se",
        "userAgent": "u" * 256,
        "deviceIdentifier": hashlib.sha256(b"cookie").hexdigest(),
    }
    assert set(body) == {
        "endUserIp",
        "userVisibleData",
        "userVisibleDataFormat",
        "userNonVisibleData",
        "returnRisk",
        "web",
    }


def test_says_nothing_of_a_browser_it_knows_nothing_of(party: Party) -> None:
    """`web` without members would be refused, and so would a domain that is an IPv6 address."""
    assert "web" not in party.ordered(visitor=Visitor(ip="2001:db8::7"), return_url="https://[::1]/callback/bankid")


def test_needs_the_visitors_address(party: Party) -> None:
    """`endUserIp` is demanded, and never made up: that would blind BankID's own judgement."""
    with pytest.raises(Unreachable, match="proxies"):
        party.provider().begin(party.asked(visitor=Visitor()))


@pytest.mark.parametrize(
    ("language", "start"),
    [
        ("sv", "# Logga in hos Kliniken\n\n"),
        ("da", "# Log ind hos Kliniken\n\n"),
        ("fi", "# Kirjaudu palveluun Kliniken\n\n"),
        ("nb", "# Logg inn hos Kliniken\n\n"),
        ("en", "# Log in to Kliniken\n\n"),
        ("xx", "# Log in to Kliniken\n\n"),
    ],
)
def test_names_the_service_in_the_persons_language(party: Party, language: str, start: str) -> None:
    """What the person reads in the app names whom they sign in to (E2: relayed codes)."""
    body = party.ordered(language=language)

    assert text_of(body).startswith(start)
    assert body["userVisibleDataFormat"] == "simpleMarkdownV1"
    assert len(body["userVisibleData"]) <= 1500


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Evil\n\n# Your bank", "Evil Your bank"),
        ("*A* _b_ `c` | + ~d~ [e](f) <g> {h} \\", "A b c d e (f) g h"),
        ("\u202eknab\u2066 \u200bX\u0000Y\u2028Z", "knab X Y Z"),
        ("Tandläkarna A/S – Malmö & Lund, nr. 1", "Tandläkarna A/S – Malmö & Lund, nr. 1"),
        ("n" * 500, "n" * 100),
        ("***", "login.example.se"),
    ],
)
def test_name_can_only_be_a_name(party: Party, name: str, shown: str) -> None:
    """No markup, line break, control or change of direction of a client's name reaches the app."""
    assert text_of(party.ordered(service=name)).split("\n")[0] == f"# Logga in hos {shown}"


def test_operator_words_it(party: Party) -> None:
    """`user_text` replaces our words in its language only."""
    provider = party.provider(user_text={"sv": "Hej {service}!"})
    provider.begin(party.asked())
    provider.begin(party.asked(language="en"))

    assert [order.text.split("\n")[0] for order in party.bankid.phone.waiting()] == [
        "# Log in to Kliniken",
        "Hej Kliniken!",
    ]


def test_binds_the_transaction(party: Party) -> None:
    """`userNonVisibleData` is a hash of the handle, so what is signed is for this sign-in; the handle stays here."""
    bound = text_of(party.ordered(), "userNonVisibleData")

    assert bound == "idbroker:" + hashlib.sha256(b"t1.handle-1").hexdigest()


def test_requires_what_the_clinic_does(party: Party) -> None:
    """A clinic's demands are BankID's own requirement, in BankID's words."""
    demands = {"pin_code": True, "mrtd": False, "card_reader": "class2", "certificate_policies": ["1.2.3.4.10"]}
    body = party.ordered(requirement=demands)

    assert body["requirement"] == {"pinCode": True, "cardReader": "class2", "certificatePolicies": ["1.2.3.4.10"]}


def test_reads_documents_where_demanded(party: Party) -> None:
    """With mrtd demanded, the proof must say that the document was read."""
    assert party.sign_in(requirement={"mrtd": True}).number is not None


@pytest.mark.parametrize(("hint", "sent"), [("198706192393", True), ("0706192393", False), (None, False)])
def test_number_known_already_must_be_the_one(party: Party, hint: str | None, sent: bool) -> None:
    """A Swedish number that is known limits who may answer; it never starts an order on somebody's phone."""
    assert ("requirement" in party.ordered(number_hint=hint)) is sent


# ---- the way back --------------------------------------------------------------------------------

_ADDRESS = f"{BACK}?state=t1.handle-1"
_REST = "login.example.se/callback/bankid?state=t1.handle-1"


@pytest.mark.parametrize(
    ("agent", "way_back"),
    [
        (SAFARI, _ADDRESS),
        (f"{IPHONE} CriOS/140.0.0.0 Mobile/15E148 Safari/604.1", f"googlechromes://{_REST}"),
        (
            f"{IPHONE} FxiOS/140.0 Mobile/15E148 Safari/605.1.15",
            "firefox://open-url?url=https%3A%2F%2Flogin.example.se%2Fcallback%2Fbankid%3Fstate%3Dt1.handle-1",
        ),
        (f"{IPHONE} Version/18.5 Mobile/15E148 Safari/604.1 OPT/5.0", f"touch-https://{_REST}"),
        (f"{IPHONE} Version/18.5 EdgiOS/140.0 Mobile/15E148 Safari/605.1.15", None),
        (f"{IPHONE} Version/18.5 Mobile/15E148 Safari/604.1 OPiOS/16.0", None),
        ("Mozilla/5.0 (Linux; Android 16; K) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36", _ADDRESS),
        (COMPUTER, _ADDRESS),
    ],
)
def test_leads_back_into_the_browser_that_began(party: Party, agent: str, way_back: str | None) -> None:
    """E1: the app leads back with the one-time handle, on iOS by the scheme of the visitor's own browser."""
    assert party.ordered(**on_phone(agent)).get("returnUrl") == way_back


def test_leads_nowhere_from_another_device(party: Party) -> None:
    """An order for another device has no way back: a browser there is nobody we know."""
    assert "returnUrl" not in party.ordered(device=Device.OTHER, visitor=visitor(HERE, SAFARI))


def test_way_back_that_is_too_long_is_left_out(party: Party) -> None:
    """BankID takes 512 characters; an order without a way back is worth more than none."""
    assert "returnUrl" not in party.ordered(**on_phone(), handle="h" * 500)
