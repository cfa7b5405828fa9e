"""What the browser of somebody who waits for an app does: it begins, asks for news each second, and goes on.

As in visit.py nothing is sent here: requests out, answers in.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from bench.judge import Wrong
from bench.visit import ISSUER, Answer, Browser, Call, Wish, location


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The page that waits: its address, and the nonce of its form."""

    address: str
    nonce: str


def begin(browser: Browser, wish: Wish) -> Generator[Call, Answer, Page]:
    """Come from a portal that names BankID, and load the page that waits. Raises Wrong."""
    there = location(303, (yield from browser.get("authorize", wish.address(idp="bankid"))))
    page = yield from browser.get("page", ISSUER + there)
    nonce = re.search(rb'name="_n" value="([^"]+)"', page.body)
    if page.status != 200 or not there.endswith("/wait") or nonce is None:
        raise Wrong(f"page: HTTP {page.status} at {there.rpartition('/')[2]}")
    return Page(address=ISSUER + there, nonce=html.unescape(nonce[1].decode()))


def ask(browser: Browser, page: Page) -> Generator[Call, Answer, dict[str, Any]]:
    """Ask for news as the page's script does. Raises Wrong."""
    answer = yield from browser.get("question", f"{page.address}.json")
    if answer.status != 200:
        raise Wrong(f"question: HTTP {answer.status}")
    news: dict[str, Any] = json.loads(answer.body)
    return news


def go_on(browser: Browser, page: Page, wish: Wish) -> Generator[Call, Answer, str]:
    """Press the button, as the script does when it may; return where the portal's code is. Raises Wrong."""
    answer = yield from browser.post("check", page.address, {"_n": page.nonce, "do": "check"})
    there = location(303, answer)
    wish.code_in(there)
    return there
