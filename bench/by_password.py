"""What the browser of somebody without an eID does: it signs in by password and code, registers, has forgotten.

As in visit.py nothing is sent here: requests out, answers in. Codes are asked for at the post office
(post_office.py), where the message really came.
"""

from __future__ import annotations

import html
import itertools
import json
import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from bench.judge import Judge, Wrong
from bench.people import person
from bench.post_office import CODE
from bench.visit import ISSUER, Answer, Browser, Call, Visit, Wish, location
from idbroker.words import Words

PASSWORD = "tre blå cykler i regn"
# The series that PTS keeps for books and films: 070-174 06 05 to 99.
MOBILES = 95
# What the page says in the browsers' language.
_SAYS = {name: Words().say(f"p.e.{name}", "da", "DK").encode() for name in ("busy", "wrong", "id")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Somebody with an account: every second has a mobile, the others an e-mail address."""

    index: int
    number: str = field(repr=False)
    to: str = field(repr=False)
    channel: str


def member(index: int) -> Member:
    """Return the account of a synthetic person."""
    by_sms = index % 2 == 0
    return Member(
        index=index,
        number=person(index).number,
        to=mobile(index // 2) if by_sms else email(index),
        channel="sms" if by_sms else "email",
    )


def mobile(index: int) -> str:
    """Return one of the numbers that nobody has."""
    return f"+467017406{5 + index % MOBILES:02}"


def email(index: int) -> str:
    """Return an address that nobody has."""
    return f"person{index}@example.test"


class Newcomers:
    """Gives browsers, each at a network address of its own, as a crowd of people has."""

    def __init__(self) -> None:
        self._next = itertools.count(1)

    def browser(self) -> Browser:
        """Return one that nobody has seen."""
        number = next(self._next)
        return Browser(f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}")


def page(browser: Browser, step: str, address: str) -> Generator[Call, Answer, tuple[str, bytes]]:
    """Load a page of ours; return its form's nonce, and the page. Raises Wrong."""
    answer = yield from browser.get(step, address)
    nonce = re.search(rb'name="_n" value="([^"]+)"', answer.body)
    if answer.status != 200 or nonce is None:
        raise Wrong(f"{step}: HTTP {answer.status}")
    return html.unescape(nonce[1].decode()), answer.body


def sent(
    browser: Browser, step: str, address: str, fields: Mapping[str, str], *, to: str
) -> Generator[Call, Answer, str]:
    """Load a page, send its form off, and return where it leads: to the page `to`, or elsewhere if that is empty."""
    nonce, _ = yield from page(browser, step, address)
    there = location(303, (yield from browser.post(f"{step}_post", address, {"_n": nonce, **fields})))
    return _at(step, there, to)


def _at(step: str, there: str, to: str) -> str:
    """Return the whole address, if it is that of the page it must be. Raises Wrong."""
    if to and not there.endswith(f"/{to}"):
        raise Wrong(f"{step}: on to {there.rpartition('/')[2][:20]}, not {to}")
    return ISSUER + there if there.startswith("/") else there


def code_for(office: str, to: str) -> Generator[Call, Answer, str]:
    """Wait for the code that was sent to an address. Raises Wrong when none comes."""
    answer = yield Call(step="message", to=office, target=f"{CODE}?to={quote(to)}")
    code = json.loads(answer.body).get("code")
    if not code:
        raise Wrong("no code came")
    return str(code)


def to_password(browser: Browser, wish: Wish) -> Generator[Call, Answer, str]:
    """Go from the portal to the page that asks for number and password; return its address."""
    choice = ISSUER + location(303, (yield from browser.get("authorize", wish.address())))
    return (yield from sent(browser, "choose", choice, {"provider": "fallback"}, to="password"))


def sign_in(judge: Judge, browser: Browser, who: Member, office: str) -> Visit:
    """Sign somebody in by number, password and code: the whole way. Raises Wrong."""
    wish = Wish()
    there = yield from to_password(browser, wish)
    typed = {"number": who.number, "password": PASSWORD}
    there = yield from sent(browser, "password", there, typed, to="code")
    nonce, _ = yield from page(browser, "code", there)
    code = yield from code_for(office, who.to)
    answer = yield from browser.post("code_post", there, {"_n": nonce, "code": code})
    return (yield from wish.redeemed(judge, location(303, answer)))


def register(judge: Judge, browser: Browser, index: int, office: str, *, password: bool = True) -> Visit:
    """Register somebody whom MitID proves: contacts, a code to each, a password, a last look. Raises Wrong.

    Who it is the stand-in draws; `index` is for addresses that nobody else has just now.
    """
    wish = Wish()
    choice = ISSUER + location(303, (yield from browser.get("authorize", wish.address())))
    there = yield from sent(browser, "wish", choice, {"do": "register"}, to="choose")
    there = yield from sent(browser, "choose", there, {"provider": "mitid"}, to="")
    back = location(302, (yield from browser.get("upstream", there)))
    there = _at("callback", location(303, (yield from browser.get("callback", back))), "contact")
    contacts = {"email": email(index), "phone": mobile(index)}
    there = yield from sent(browser, "contact", there, contacts, to="code")
    for to, after in ((contacts["email"], "code"), (contacts["phone"], "newpassword")):
        nonce, _ = yield from page(browser, "code", there)
        code = yield from code_for(office, to)
        answer = yield from browser.post("code_post", there, {"_n": nonce, "code": code})
        there = _at("code", location(303, answer), after)
    chosen = {"password": f"{PASSWORD} {index}"} if password else {"do": "skip"}
    there = yield from sent(browser, "newpassword", there, chosen, to="check")
    there = yield from sent(browser, "check", there, {}, to="")
    return (yield from wish.redeemed(judge, there))


def forget(browser: Browser, number: str) -> Generator[Call, Answer, None]:
    """Ask for a link because the password is forgotten. Raises Wrong."""
    there = yield from to_password(browser, Wish())
    address = there.removesuffix("password") + "forgot"
    yield from sent(browser, "forgot", address, {"number": number}, to="sent")


def try_password(
    browser: Browser, there: str, nonce: str, typed: Mapping[str, str]
) -> Generator[Call, Answer, tuple[str, str]]:
    """Type a password at the page `there`; return what came of it, and the nonce of the page that then shows.

    `right`, or a verdict. Raises Wrong.
    """
    answer = yield from browser.post("password_post", there, {"_n": nonce, **typed})
    if location(303, answer).endswith("/code"):
        return "right", ""
    again, body = yield from page(browser, "password_again", there)
    return verdict(body), again


def verdict(body: bytes) -> str:
    """Return what the page says after a try: `busy`, `wrong`, `id` (no number); `locked` for anything else."""
    return next((name for name, text in _SAYS.items() if text in body), "locked")
