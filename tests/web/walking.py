"""Steps of a person's journey that several tests take."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

import requests

from tests.door import Browser, form_of


def name_of(page: requests.Response) -> str:
    """Return the transaction of a page."""
    return urlsplit(page.url).path.split("/")[2]


def at_mitid(browser: Browser, **asked: str) -> requests.Response:
    """Return MitID's page."""
    return browser.press(browser.authorize(**asked), provider="mitid")


def approved(browser: Browser, page: requests.Response, person: str = "anna", outcome: str = "approve") -> str:
    """Press at MitID and return where it sends the browser, without going there."""
    form = form_of(page)
    url = urljoin(page.url, form.action)
    answer = browser.fetch(url, "POST", data={**form.hidden, "person": person, "outcome": outcome})
    return answer.headers["Location"]


def language_of(page: requests.Response) -> str:
    """Return the page's language."""
    found = re.search(r'<html lang="([^"]*)"', page.text)
    assert found
    return found[1]
