"""The simulated BankID app: what it reads, what it opens, where it leads back to."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from idbroker.sandbox.bankid_phone import OUTCOMES, qr_auth_code
from idbroker.sandbox.orders import Phone, Unreadable
from tests.sandbox.bankid_loopback import APP, Rp, encoded

pytest_plugins = ["tests.sandbox.bankid_fixtures"]

BACK = "https://login.test/callback/bankid?state=h"


def test_is_a_phone(rp: Rp) -> None:
    """It has what every simulated app has; outcomes begin with the two that everybody knows."""
    phone: Phone = rp.bankid.phone

    assert phone.provider == "bankid"
    assert phone.outcomes[:2] == ("approve", "cancel")


def test_shows_what_a_camera_and_a_person_see(rp: Rp) -> None:
    """Newest first: the text, the code of this second while it may be shown, who has it open."""
    rp.auth(userVisibleData=encoded("Hej åäö"))
    rp.clock.move(timedelta(seconds=7.8))
    placed = rp.auth()
    newest, older = rp.bankid.phone.waiting()
    rp.act("open")
    opened = rp.bankid.phone.waiting()[0]

    secret = placed["qrStartSecret"]
    assert newest.code == f"bankid.{placed['qrStartToken']}.0.{qr_auth_code(secret, '0')}"
    assert (older.code or "").split(".")[2] == "7"
    assert (older.text, older.status, older.person) == ("Hej åäö", "outstandingTransaction", None)
    assert (opened.status, opened.person, opened.code) == ("userSign", "bjorn", None)
    assert not {newest.id, older.id} & set(placed.values())


def test_codes_are_bankids() -> None:
    """HMAC-SHA256 over the seconds with the secret as text: the documentation's own example."""
    codes = [qr_auth_code("d28db9a7-4cde-429e-a983-359be676944c", str(second)) for second in range(3)]

    assert codes == [
        "dc69358e712458a66a7525beef148ae8526b1c71610eff2c16cdffb4cdac9bf8",
        "949d559bf23403952a94d103e67743126381eda00f0b3cbddbf7c96b1adcbce2",
        "a9e5ec59cb4eee4ef4117150abc58fad7a85439a6a96ccbecc3668b41795b3f3",
    ]


def code(order: dict[str, str], second: int | str) -> str:
    """Return the code of one second of an order."""
    return f"bankid.{order['qrStartToken']}.{second}.{qr_auth_code(order['qrStartSecret'], str(second))}"


@pytest.mark.parametrize(("second", "good"), [(4, False), (5, True), (10, True), (15, True), (16, False)])
def test_scans_codes_of_now(rp: Rp, second: int, good: bool) -> None:
    """A code five seconds early or late is read, one of six is not."""
    order = rp.auth()
    rp.clock.move(timedelta(seconds=10))

    if good:
        assert rp.bankid.phone.scan(code(order, second)).status == "started"
    else:
        with pytest.raises(Unreadable, match="out of date"):
            rp.bankid.phone.scan(code(order, second))


@pytest.mark.parametrize(
    "twist",
    [
        lambda o: "",
        lambda o: "hello",
        lambda o: f"bankid:///?autostarttoken={o['autoStartToken']}",
        lambda o: code(o, 0).replace("bankid.", "freja."),
        lambda o: code(o, 0)[:-1] + ("0" if code(o, 0)[-1] != "0" else "1"),
        lambda o: code(o, 0).upper(),
        lambda o: code(o, 0) + ".0",
        lambda o: code(o, 0).replace(".0.", ".1."),
        lambda o: code(o, 0).replace(".0.", ".٠."),
        lambda o: code(o, "00000x"),
        lambda o: code(o, "-1"),
        lambda o: code(o, " 0"),
        lambda o: code(o, 0) + "\ud800",
        lambda o: code({**o, "qrStartToken": o["autoStartToken"]}, 0),
        lambda o: code({**o, "qrStartToken": o["orderRef"]}, 0),
        lambda o: code({**o, "qrStartSecret": o["qrStartToken"]}, 0),
    ],
)
def test_scans_nothing_else(rp: Rp, twist: Any) -> None:
    """Another form, token, secret or second: unreadable, and the order is not opened."""
    order = rp.auth()
    with pytest.raises(Unreadable):
        rp.bankid.phone.scan(twist(order))
    assert rp.hint(order) == "pending/outstandingTransaction"


def test_a_code_opens_once(rp: Rp) -> None:
    """A second camera finds that an app has the order already; so does a link."""
    order = rp.auth()
    rp.bankid.phone.scan(code(order, 0))

    with pytest.raises(Unreadable, match="already"):
        rp.bankid.phone.scan(code(order, 0))
    with pytest.raises(Unreadable, match="already"):
        rp.bankid.phone.follow(f"{APP}?autostarttoken={order['autoStartToken']}")


@pytest.mark.parametrize("start", [APP, "https://app.bankid.com/", "bankid:///"])
def test_follows_links(rp: Rp, start: str) -> None:
    """The app opens by any of its addresses, and leads back to returnUrl after approving or cancelling."""
    backs = []
    for outcome in ("approve", "cancel"):
        order = rp.auth(returnUrl=BACK)
        opened = rp.bankid.phone.follow(
            f"{start}?autostarttoken={order['autoStartToken']}&redirect=https%3A%2F%2Fx.test"
        )
        backs.append((opened.status, rp.bankid.phone.act(opened.id, rp.people["bjorn"], outcome)))

    assert backs == [("started", BACK), ("started", BACK)]


def test_leads_nowhere_after_a_scan(rp: Rp) -> None:
    """The browser of a scanned order is elsewhere: the app leads nowhere, whatever the order says."""
    order = rp.auth(returnUrl=BACK)
    opened = rp.bankid.phone.scan(code(order, 0))

    assert rp.bankid.phone.act(opened.id, rp.people["bjorn"], "approve") is None


@pytest.mark.parametrize(
    ("redirect", "back"), [("null", None), ("https://login.test/x?a=1", "https://login.test/x?a=1")]
)
def test_follows_the_links_redirect_of_old(rp: Rp, redirect: str, back: str | None) -> None:
    """Without returnUrl the link's own `redirect` counts; `null` is nowhere."""
    order = rp.auth()
    opened = rp.bankid.phone.follow(
        f"{APP}?autostarttoken={order['autoStartToken']}&redirect={quote(redirect, safe='')}"
    )

    assert rp.bankid.phone.act(opened.id, rp.people["bjorn"], "approve") == back


@pytest.mark.parametrize(
    "link",
    ["", APP, f"{APP}?autostarttoken=", f"{APP}?autostarttoken=x", "https://evil.test/?autostarttoken=TOKEN",
     f"{APP}?autostarttoken=QR", "https://[?autostarttoken=TOKEN"],
)  # fmt: skip
def test_follows_no_other_link(rp: Rp, link: str) -> None:
    """Another site's link, another token: unreadable."""
    order = rp.auth()
    link = link.replace("TOKEN", order["autoStartToken"]).replace("QR", order["qrStartToken"])
    with pytest.raises(Unreadable):
        rp.bankid.phone.follow(link)
    assert rp.hint(order) == "pending/outstandingTransaction"


def test_names_every_outcome_once() -> None:
    """No outcome has two meanings."""
    assert len(OUTCOMES) == len(set(OUTCOMES))
