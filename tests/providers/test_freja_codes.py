"""Freja over REST: what the code says, where the link leads, and dropping an order."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from idbroker.clock import StoppedClock
from idbroker.errors import Unreachable, Untrusted
from idbroker.providers import Progress
from idbroker.visitor import Device, Visitor, visitor
from tests.providers.freja_service import WHO, Desk, Opened, b64, open_desk
from tests.providers.upstream import BACK

SECRET = b"the secret of the tests"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
ANDROID = "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36"


@pytest.fixture
def opened(tmp_path: Path, clock: StoppedClock) -> Opened:
    """Give a maker of desks."""
    return lambda **more: open_desk(tmp_path, clock, **more)


@pytest.fixture
def desk(opened: Opened) -> Iterator[Desk]:
    """Give a provider with the usual settings."""
    with opened() as made:
        yield made


def test_the_code_is_the_link_without_a_way_back(opened: Opened) -> None:
    """A code that stands still: a reference holds + and /, all of it is escaped, and read as Freja gave it."""
    with opened(dynamic_qr=False) as desk:
        code = desk.provider.code(desk.begin().state, desk.clock.now())
        newest = desk.service.newest

    assert code is not None
    assert code.startswith("https://app.test.frejaeid.com/freja?action=bindUserToTransaction&transactionReference=")
    assert code.endswith(quote("+/=", safe=""))
    assert parse_qs(urlsplit(code).query)["transactionReference"] == [newest]


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
