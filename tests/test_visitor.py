"""The browser in front of us: its address in one spelling, and what its user agent is a guess for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idbroker.visitor import LONGEST_AGENT, Browser, Kind, System, normal_address, visitor

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
IPAD = "Mozilla/5.0 (iPad; CPU OS 17_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
ANDROID = "Mozilla/5.0 (Linux; Android 16; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) "
TABLET = "Mozilla/5.0 (Linux; Android 15; SM-X510) AppleWebKit/537.36 (KHTML, like Gecko) "
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "


@pytest.mark.parametrize(
    ("seen", "normal"),
    [
        ("192.0.2.10", "192.0.2.10"),
        ("::ffff:192.0.2.10", "192.0.2.10"),
        ("::FFFF:c000:20a", "192.0.2.10"),
        ("2001:DB8::0:1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::1", "::1"),
        (None, None),
        ("", None),
        ("unknown", None),
        ("192.0.2.10:4711", None),
        ("192.0.2.010", None),
        ("[2001:db8::1]", None),
        ("192.0.2.10, 198.51.100.1", None),
        ("unix:", None),
    ],
)
def test_an_address_has_one_spelling(seen: str | None, normal: str | None) -> None:
    """PART D: what a proxy spells in another way is the same address to an eID; what is none is not guessed at."""
    assert normal_address(seen) == normal


@given(st.ip_addresses().map(str) | st.text())
def test_the_one_spelling_stays(seen: str) -> None:
    """Whatever comes, what is made of it stays as it is, and nothing raises."""
    once = normal_address(seen)

    assert normal_address(once) == once


@pytest.mark.parametrize(
    ("seen", "network"),
    [
        ("192.0.2.10", "192.0.2.10"),
        ("::ffff:192.0.2.10", "192.0.2.10"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("nonsense", None),
    ],
)
def test_whose_address_it_is(seen: str, network: str | None) -> None:
    """One customer has a whole /64 of IPv6: orders are counted by that, or there would be no limit."""
    assert visitor(seen, "").network == network


@pytest.mark.parametrize(
    ("agent", "kind", "system", "browser"),
    [
        (IPHONE + "Version/18.5 Mobile/15E148 Safari/604.1", Kind.PHONE, System.IOS, Browser.OTHER),
        (IPHONE + "CriOS/150.0 Mobile/15E148 Safari/604.1", Kind.PHONE, System.IOS, Browser.CHROME),
        (IPHONE + "FxiOS/140.0 Mobile/15E148 Safari/605.1.15", Kind.PHONE, System.IOS, Browser.FIREFOX),
        (IPHONE + "Version/18.0 EdgiOS/130.0 Mobile/15E148 Safari/604.1", Kind.PHONE, System.IOS, Browser.EDGE),
        (IPHONE + "Version/18.0 Mobile/15E148 Safari/604.1 OPT/5.4", Kind.PHONE, System.IOS, Browser.OPERA_TOUCH),
        (IPHONE + "OPiOS/16.0 Mobile/15E148 Safari/9537.53", Kind.PHONE, System.IOS, Browser.OPERA),
        (IPAD + "Version/17.7 Mobile/15E148 Safari/604.1", Kind.TABLET, System.IOS, Browser.OTHER),
        (ANDROID + "Chrome/150.0 Mobile Safari/537.36", Kind.PHONE, System.ANDROID, Browser.CHROME),
        (ANDROID + "Chrome/150.0 Mobile Safari/537.36 EdgA/150.0", Kind.PHONE, System.ANDROID, Browser.EDGE),
        (ANDROID + "Chrome/150.0 Mobile Safari/537.36 OPR/80.0", Kind.PHONE, System.ANDROID, Browser.OPERA),
        (TABLET + "Chrome/150.0 Safari/537.36", Kind.TABLET, System.ANDROID, Browser.CHROME),
        (WINDOWS + "Chrome/150.0 Safari/537.36", Kind.COMPUTER, System.DESKTOP, Browser.CHROME),
        (WINDOWS + "Chrome/150.0 Safari/537.36 Edg/150.0", Kind.COMPUTER, System.DESKTOP, Browser.EDGE),
        (MAC + "Version/18.5 Safari/605.1.15", Kind.COMPUTER, System.DESKTOP, Browser.OTHER),
        ("", Kind.COMPUTER, System.DESKTOP, Browser.OTHER),
    ],
)
def test_what_it_seems_to_run_on(agent: str, kind: Kind, system: System, browser: Browser) -> None:
    """1.10: phones are offered their own app first, and each browser the way back that leads into it."""
    made = visitor(None, agent)

    assert (made.kind, made.system, made.browser) == (kind, system, browser)


@given(st.text())
def test_an_agent_is_cut_to_what_eids_take(agent: str) -> None:
    """A3.1: BankID takes 256 letters; none that a header or a log could break on is kept."""
    made = visitor(None, agent)

    assert len(made.agent) <= LONGEST_AGENT
    assert made.agent.isprintable()
    assert made.kind in Kind


def test_an_address_is_not_printed() -> None:
    """Neither the address nor the user agent nor our number for it shows in logs and tracebacks."""
    assert repr(visitor("192.0.2.10", "Agent/1", "device")) == "Visitor()"
