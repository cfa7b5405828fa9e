"""The simulated Freja app opens what Freja's app opens, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest

from idbroker.sandbox.orders import Unreadable
from tests.sandbox.freja_rp import APP, Rp, wish

pytest_plugins = ["tests.sandbox.freja_fixtures"]
LINK = "https://login.test/callback/freja?state=a%20b"


def test_scans_what_the_page_shows(rp: Rp) -> None:
    """A scan of the code opens the order; its code is then shown no more, and the app leads nobody back."""
    begun = rp.start()
    code = rp.newest.code
    assert code is not None
    assert code.startswith(f"{APP}?action=bindUserToTransaction&transactionReference=")

    order = rp.freja.phone.scan(code)

    assert (order.provider, order.status, order.person, order.code) == ("freja", "DELIVERED_TO_MOBILE", None, None)
    assert "SSN" in order.text
    assert rp.status(begun) == "DELIVERED_TO_MOBILE"
    assert rp.act("approve") is None
    assert rp.status(begun) == "APPROVED"


@pytest.mark.parametrize(
    "start",
    [
        "frejaeid://bindUserToTransaction?",
        "https://app.test.frejaeid.com/freja?action=bindUserToTransaction&",
        "https://app.prod.frejaeid.com/freja?action=bindUserToTransaction&",
        f"{APP}?",
        f"{APP}?action=bindUserToTransaction&",
    ],
)
def test_follows_links(rp: Rp, start: str) -> None:
    """A link of either kind opens the order, and the app leads back to the originAppScheme it names."""
    begun = rp.start()
    reference = begun["authRef"].replace("+", "%2B").replace("/", "%2F")
    back = LINK.replace("%", "%25").replace("?", "%3F").replace("=", "%3D").replace("&", "%26")

    order = rp.freja.phone.follow(f"{start}transactionReference={reference}&originAppScheme={back}")

    assert (order.id, rp.status(begun)) == (rp.newest.id, "DELIVERED_TO_MOBILE")
    assert rp.freja.phone.act(order.id, rp.people["bjorn"], "open") is None
    assert rp.freja.phone.act(order.id, rp.people["bjorn"], "approve") == LINK


@pytest.mark.parametrize("outcome", ["cancel", "REJECTED"])
def test_leads_back_from_failures_too(rp: Rp, outcome: str) -> None:
    """The app leads back whatever the person did."""
    rp.start()
    code = rp.newest.code

    rp.freja.phone.follow(f"{code}&originAppScheme=googlechrome%3A%2F%2F")

    assert rp.act(outcome) == "googlechrome://"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "hello",
        "https://[",
        "bankid:///?autostarttoken=x",
        "frejaeid://bindUserToTransaction",
        "frejaeid://bindUserToTransaction?transactionReference=",
        "frejaeid://elsewhere?transactionReference={ref}",
        "https://evil.example/freja?action=bindUserToTransaction&transactionReference={ref}",
        "http://app.test.frejaeid.com/freja?action=bindUserToTransaction&transactionReference={ref}",
        "https://app.test.frejaeid.com/freja?transactionReference={ref}",
        "https://app.test.frejaeid.com/freja?action=sign&transactionReference={ref}",
        "frejaeid://bindUserToTransaction?transactionReference={ref}&transactionReference={ref}",
        "frejaeid://bindUserToTransaction?transactionReference={ref}x",
        "frejaeid://bindUserToTransaction?transactionReference={raw}",
        "frejaeid://bindUserToTransaction?transactionReference={ref}.1",
        "frejaeid://bindUserToTransaction?transactionReference={ref}.1.x",
        "frejaeid://bindUserToTransaction?transactionReference={ref}.²²²²²²²²²².x",
    ],
)
def test_other_codes_are_not_read(rp: Rp, content: str) -> None:
    """What is no code of Freja's opens nothing: among it a reference whose + was not escaped."""
    begun = rp.start()
    escaped = begun["authRef"].replace("+", "%2B").replace("/", "%2F")
    text = content.format(ref=escaped, raw=begun["authRef"])

    for read in (rp.freja.phone.scan, rp.freja.phone.follow):
        with pytest.raises(Unreadable):
            read(text)
    assert rp.status(begun) == "STARTED"


def test_same_device_orders_show_no_code(rp: Rp) -> None:
    """Of an order that is for the browser's own device there is no code to read."""
    rp.start(wish(originDeviceDetails={"flowType": "SAME_DEVICE"}))

    assert rp.newest.code is None


def test_codes_can_move(rp: Rp) -> None:
    """E2: with useDynamicQrCode the code changes each second, and an old or a still one opens nothing."""
    begun = rp.start(wish(useDynamicQrCode=True))
    assert set(begun) == {"authRef", "qrCodeSecret"}
    first = rp.newest.code
    rp.clock.move(timedelta(seconds=11))
    now = rp.newest.code
    assert first is not None
    assert now is not None

    with pytest.raises(Unreadable, match="out of date"):
        rp.freja.phone.scan(first)
    with pytest.raises(Unreadable, match="does not move"):
        rp.freja.phone.scan(first.rsplit(".", 2)[0])
    with pytest.raises(Unreadable, match="proof"):
        rp.freja.phone.scan(now[:-1] + ("A" if now[-1] != "A" else "B"))
    with pytest.raises(Unreadable, match="proof"):
        rp.freja.phone.scan(f"{first.rsplit('.', 2)[0]}.11.{first.rsplit('.', 1)[1]}")
    with pytest.raises(Unreadable, match="no link"):
        rp.freja.phone.follow(now)
    assert rp.freja.phone.scan(now).status == "DELIVERED_TO_MOBILE"


def test_a_moving_order_can_be_followed(rp: Rp) -> None:
    """On the same device the link carries the reference alone: nothing has to be filmed."""
    begun = rp.start(wish(useDynamicQrCode=True))
    code = rp.newest.code
    assert code is not None

    rp.freja.phone.follow(code.rsplit(".", 2)[0])

    assert rp.status(begun) == "DELIVERED_TO_MOBILE"
