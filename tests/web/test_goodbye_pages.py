"""The pages of somebody on the way out, as documents."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import html

from idbroker.clinic import LANGUAGES
from idbroker.web.pages import Pages
from idbroker.words import Words
from tests.web.gallery import all_pages

WORDS = Words()
PAGES = Pages(WORDS)


def test_services_are_told_in_hidden_frames() -> None:
    """Each service has a frame that nobody sees, hears or tabs into; the way on is a link (Front-Channel Logout, 3)."""
    page = _read(all_pages(PAGES, "sv")["telling"])
    (frame_,) = page.xpath("//iframe")

    assert dict(frame_.attrib) == {
        "class": "vh",
        "src": "/told",
        "title": "",
        "tabindex": "-1",
        "aria-hidden": "true",
    }
    assert page.xpath("//main//a[@id='on']/@href") == ["/goodbye/abc/on"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_last_page_says_what_ended(language: str) -> None:
    """The last page names what has ended; of an eID that did not say so it does not say that it has."""
    every = all_pages(PAGES, language)
    sure, unsure = (_words_of(every[name]) for name in ("farewell", "farewell-unsure"))

    assert "Min Lægeside, Patientportalen, Suomi.fi." in sure
    assert WORDS.say("x.out.part", language, eid="MitID via borgeradgang") in unsure
    assert unsure.count("MitID via borgeradgang") == 1


def _read(page: str) -> Any:
    return html.document_fromstring(page)


def _words_of(page: str) -> str:
    return " ".join(_read(page).text_content().split())
