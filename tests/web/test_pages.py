"""The pages as documents: right structure, right language, everything escaped, nothing forbidden."""

from __future__ import annotations

import gzip
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lxml import html

from idbroker.clinic import LANGUAGES
from idbroker.errors import NotFound
from idbroker.web.pages import Pages
from idbroker.web.views import (
    ChooseView,
    DocumentView,
    FormPostView,
    FormView,
    LogoutView,
    Notice,
    Problem,
    ProblemView,
    WayBackView,
    way,
)
from idbroker.words import Words, read_texts
from tests.web.gallery import BACK, MOMENT, WAYS, all_pages, frame

WORDS = Words()
PAGES = Pages(WORDS)
NAMES = sorted(all_pages(PAGES, "da"))
ODD_NAMES = (
    '<b>"& Klinik',
    "Æbeltoft Sygehus ø å",
    "Vård ä ö 'é - \"",
    "N" * 60,
    "</title><script>alert(1)</script>",
    "{{ 7*7 }}",
)
NOTICES = (
    *("e.back", "e.loa", "c.down", "e.refused", "e.failed", "e.blocked", "e.expired", "e.outgrown", "x.429"),
    *(key for key in read_texts()["en"] if key.startswith("b.e.")),
)

# What must not be in a page of ours (G20), and what the policy would block anyway (G8).
FORBIDDEN = (
    r"\sdisabled",
    r"\splaceholder=",
    r"\smaxlength=",
    r'autocomplete="off"',
    r'tabindex="[1-9]',
    r"javascript:",
    r'target="_blank"',
    r"\sstyle=",
    r"<style",
    r"<script(?![^>]*\ssrc=)",
    r"\son[a-z]+=",
    r"<iframe(?! src=\"/t/[^/]*/qr\"| class=\"vh\" src=\")",
    r"@import",
)


@pytest.fixture(scope="module")
def gallery() -> dict[tuple[str, str], str]:
    """Return every page in every language."""
    return {(language, name): page for language in LANGUAGES for name, page in all_pages(PAGES, language).items()}


def _read(page: str) -> Any:
    return html.document_fromstring(page)


def _every(gallery: dict[tuple[str, str], str]) -> list[tuple[str, Any]]:
    return [(f"{language} {name}", _read(page)) for (language, name), page in gallery.items()]


def _text(page: str) -> str:
    return " ".join(_read(page).text_content().split())


def test_every_page_has_the_same_frame(gallery: dict[tuple[str, str], str]) -> None:
    """Each page has its language, one h1, one main to skip to, a title of "h1 – service", and help in its footer.

    Where the h1 names somebody, the title does not: a tablet's browser would keep it in its history.
    """
    for where, page in _every(gallery):
        h1 = page.xpath("//main//h1")

        assert page.get("lang") == where.split()[0], where
        assert len(h1) == len(page.xpath("//h1")) == 1, where
        assert page.xpath("//a[@class='skip']/@href") == ["#main"], where
        assert page.xpath("count(//main[@id='main' and @tabindex='-1'])") == 1, where
        title = page.findtext(".//title")
        if where.split()[1] == "give":
            assert "Anna" in h1[0].text_content(), where
            assert "Anna" not in title, where
        else:
            assert title.endswith(f"{h1[0].text_content()} – Min Lægeside"), where
        assert len(page.xpath("//footer//li/a[starts-with(@href, '/') and contains(@href, '?lang=')]")) == 3, where


def test_order_on_the_page_is_order_in_the_document(gallery: dict[tuple[str, str], str]) -> None:
    """Default button, skip link, languages, main, footer; in main: service, message, h1, the rest. Time last."""
    page = _read(gallery["da", "cpr-error"])
    wanted = "//*[@class='vh' or @class='skip' or @class='langs' or self::main or @class='svc' or @class='sum'"
    found = page.xpath(wanted + " or self::h1 or @id='pid' or self::footer or contains(@href, 'cancel')]")

    marks = [element.get("class") or element.get("id") or element.tag for element in found]
    assert marks == ["vh", "skip", "langs", "main", "svc", "sum", "h1", "pid", "footer", "tlink", "btn sec"]


def test_ids_are_unique_and_references_exist(gallery: dict[tuple[str, str], str]) -> None:
    """Every id is there once, and every aria reference, label, form and in-page link points at one (G21)."""
    for where, page in _every(gallery):
        ids = page.xpath("//@id")
        wanted = page.xpath("//@aria-describedby | //@aria-labelledby | //@for | //@form")
        wanted += [link[1:] for link in page.xpath("//@href[starts-with(., '#')]")]

        assert len(ids) == len(set(ids)), where
        assert {name for value in wanted for name in value.split()} <= set(ids), where


def test_nothing_forbidden_is_on_a_page(gallery: dict[tuple[str, str], str]) -> None:
    """No disabled button, placeholder, maxlength, autocomplete=off, inline script or style, foreign frame (G8, G20)."""
    for where, page in gallery.items():
        # What staff type on a patient's screen must not stay there.
        staffs = where[1].startswith(("staff", "assistedwho"))
        patterns = [one for one in FORBIDDEN if not (staffs and one == 'autocomplete="off"')]
        assert not [pattern for pattern in patterns if re.search(pattern, page)], where


def test_nothing_is_loaded_from_elsewhere(gallery: dict[tuple[str, str], str]) -> None:
    """Whatever a page loads is a versioned file of ours that exists (G8)."""
    for where, page in _every(gallery):
        for address in page.xpath("//link/@href | //*[not(self::iframe)]/@src"):
            name, _, version = address.removeprefix("/static/").partition("?v=")

            assert PAGES.static_file(name)[2] == version, where
            assert PAGES.asset(name) == address


def test_a_form_is_neither_checked_nor_nested(gallery: dict[tuple[str, str], str]) -> None:
    """The person's form is left to the server to check, and no form is within another."""
    for where, page in _every(gallery):
        assert not page.xpath("//form//form"), where
        assert len(page.xpath("//form")) <= 1, where


def test_the_first_button_of_a_form_is_nobody(gallery: dict[tuple[str, str], str]) -> None:
    """The form's first button has no name: Enter in a field means the main action, never "Svenska"."""
    for where, page in _every(gallery):
        if page.xpath("//form[@method='post']") and "form-post" not in where:
            first = page.xpath("//button")[0]

            assert (first.get("name"), first.get("form"), first.get("aria-hidden")) == (None, "f", "true"), where


@pytest.mark.parametrize("name", [n for n in NAMES if not n.startswith(("form-post", "telling", "farewell"))])
def test_each_page_switches_its_language(name: str) -> None:
    """Every page offers the other four by their own names, each marked as the language it is; the current is text.

    Not the pages of somebody on the way, and of the way out: they are in the language of the page before.
    """
    page = _read(all_pages(PAGES, "fi")[name])
    buttons = page.xpath("//button[@name='lang' and @form='f']")

    assert [(b.get("value"), b.get("lang"), b.text) for b in buttons] == [
        ("da", "da", "Dansk"),
        ("sv", "sv", "Svenska"),
        ("en", "en", "English"),
        ("nb", "nb", "Norsk"),
    ]
    assert page.xpath("//b[@aria-current='true' and @lang='fi']/text()") == ["Suomi"]


def test_a_switch_on_a_page_without_a_form_keeps_what_the_address_said() -> None:
    """A page that has nothing to post is asked for again, with its own parameters and the language."""
    page = _read(all_pages(PAGES, "da")["gone"])

    assert page.xpath("//form[@method='get']/@action") == ["/page"]
    assert page.xpath("//form//input/@name") == ["p"]


@pytest.mark.parametrize("languages", [(), ("da",)])
def test_one_language_needs_no_switch(languages: tuple[str, ...]) -> None:
    """Where there is nothing to switch to, there is no empty list to be read out."""
    view = LogoutView(frame=frame("da", languages=languages), action="/logout")

    assert not _read(PAGES.confirm_logout(view)).xpath("//header//nav")


@pytest.mark.parametrize("odd", ODD_NAMES)
def test_a_name_is_shown_as_it_is(odd: str) -> None:
    """A service's or a clinic's name is text, whatever is in it (stored cross-site scripting; G23)."""
    within = frame("da", service=odd, clinic=odd, cancel_href="/t/x/cancel")
    view = ChooseView(frame=within, action="/t/x/choose", nonce="n", ways=WAYS, notice=Notice(key="e.loa", eid=odd))
    page = _read(PAGES.choose(view))

    assert page.findtext(".//title") == f"Hvordan vil du logge ind? – {odd}"
    assert page.xpath("//p[@class='svc']/b[@translate='no']/text()") == [odd]
    assert page.xpath("//footer//a[@href='/t/x/cancel']/b/text()") == [odd]
    assert len(page.xpath("//script")) == 1


def test_the_providers_buttons_carry_the_names_scripts_know() -> None:
    """Buttons are `provider` with the provider's value, in the order given; the form posts to the transaction."""
    page = _read(all_pages(PAGES, "da")["choose-all"])
    wanted = ["mitid", "bankid", "freja", "suomifi", "borgeradgang", "fallback", "gaia"]

    assert page.xpath("//form[@id='f']//button[@name='provider']/@value") == wanted
    assert page.xpath("//form/@action") == ["/t/abc/choose"]
    assert page.xpath("//form//input[@name='_n']/@value") == ["n1"]


@pytest.mark.parametrize(
    ("language", "text", "spoken"),
    [
        ("da", "Log ind med MitID", None),
        ("en", "Log on with MitID", None),
        ("sv", "Log on with MitID", "en"),
        ("fi", "Log on with MitID", "en"),
        ("nb", "Log on with MitID", "en"),
    ],
)
def test_mitid_keeps_its_own_words(language: str, text: str, spoken: str | None) -> None:
    """The MitID button has one of its owner's texts, read out in the language they are in (C1)."""
    page = _read(all_pages(PAGES, language)["choose"])
    button = page.xpath("//button[@value='mitid']")[0]

    assert (button.text, button.get("lang"), button.get("class")) == (text, spoken, "btn mitid")


def test_a_way_that_is_down_stays_and_says_so() -> None:
    """An eID that does not answer keeps its button, described by a sentence that says so (C2)."""
    page = _read(all_pages(PAGES, "en")["choose-all"])
    described = page.xpath("//button[@value='mitid']/@aria-describedby")[0].split()
    notes = [page.get_element_by_id(name).text_content() for name in described]

    assert notes == [
        "Used last time on this device",
        "MitID is not answering right now. Choose another way or try later.",
    ]


def test_no_way_at_all_still_says_what_to_do() -> None:
    """With no way to log in, the page says so and keeps the telephone number and the way back (no dead end)."""
    said = _text(all_pages(PAGES, "en")["choose-none"])

    assert "No way to log in is working right now." in said
    assert "Call Lægerne på Åboulevarden: +45 33 12 34 56" in said
    assert "Cancel and go back to Min Lægeside" in said


@pytest.mark.parametrize("key", NOTICES)
@pytest.mark.parametrize("phone", ["+45 33 12 34 56", None])
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_notice_can_be_shown(key: str, phone: str | None, language: str) -> None:
    """Each notice has its words with and without the clinic's telephone number."""
    within = frame(language, phone=phone)
    notice = Notice(key=key, eid="MitID", ref="K7M2QX")
    view = ChooseView(frame=within, action="/c", nonce="n", ways=WAYS, notice=notice)
    page = _read(PAGES.choose(view))

    assert "K7M2QX" in page.xpath("//div[@role='status']")[0].text_content()
    assert "None" not in page.text_content()


def test_an_error_is_said_three_times() -> None:
    """An error is in the title, in a summary that links to the field, and at the field (WCAG 3.3.1)."""
    page = _read(all_pages(PAGES, "da")["cpr-error"])
    told = "Skriv alle 10 cifre i CPR-nummeret"
    field = page.get_element_by_id("pid")

    assert page.findtext(".//title") == "Fejl: Hvad er dit CPR-nummer? – Min Lægeside"
    assert page.xpath("//div[@role='alert' and @tabindex='-1']//a[@href='#pid']/text()") == [told]
    assert page.get_element_by_id("pid-error").text == told
    assert (field.get("aria-invalid"), field.get("aria-describedby")) == ("true", "pid-hint pid-error")
    assert (field.get("name"), field.get("value"), field.get("type")) == ("number", "1234", "text")


def test_a_typed_number_is_in_no_representation() -> None:
    """What was typed is not in the representation of a view, so it is in no log."""
    view = FormView(frame=frame("da"), action="/", nonce="n", page="cpr", values={"number": "0107729995"})

    assert "0107729995" not in repr(view)


@pytest.mark.parametrize("problem", list(Problem))
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_problem_has_words_and_a_way_back(problem: Problem, language: str) -> None:
    """Each problem says what happened, what to do, the code to tell us, and links to the service (X1)."""
    page = _read(all_pages(PAGES, language)[f"problem-{problem.name.lower()}"])

    assert "K7M2QX" in page.xpath("string(//main)")
    assert page.xpath("//main//a[last()]/@href") == [BACK]
    assert "redirect_uri" not in page.text_content()


def test_a_clock_time_says_when_it_opens() -> None:
    """A closed page says at what local clock time it opens again, not for how many minutes it is closed."""
    assert "Du kan logge ind igen kl. 14.05" in _text(all_pages(PAGES, "da")["problem-closed"])


def test_a_problem_nobody_belongs_to_still_renders() -> None:
    """Without a client, a clinic or a way back a problem page is whole: an unknown link is never followed."""
    bare = replace(frame("en"), service=None, clinic=None, phone=None, country=None)
    page = _read(PAGES.problem(ProblemView(frame=bare, problem=Problem.LINK)))

    assert page.findtext(".//title") == "The link you came from does not work"
    assert not page.xpath("//main//a")


@pytest.mark.parametrize("href", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "JAVASCRIPT:x", " /x"])
def test_a_link_to_a_script_is_refused(href: str) -> None:
    """A registered address that would run script or leave for another host by accident is not linked to."""
    with pytest.raises(ValueError, match="not an address"):
        PAGES.gone(WayBackView(frame=frame("da"), back_href=href))


def test_the_sandbox_is_seen_on_every_page() -> None:
    """Each page and each title of the sandbox says that it is one; explanations are shown there alone."""
    pages = all_pages(Pages(WORDS, sandbox=True), "sv")

    assert all("SANDBOX" in page.split("</title>")[0] and 'class="sandbox"' in page for page in pages.values())
    assert "redirect_uri differs in the last slash" in pages["problem-link"]
    assert "SANDBOX" not in "".join(all_pages(PAGES, "sv").values())


@pytest.mark.parametrize("value", ['a"b', "<&>'", "a+b%20c", "æøå", "&amp;", ""])
def test_a_posted_answer_arrives_as_it_is(value: str) -> None:
    """Values are HTML-escaped and nothing else (OAuth 2.0 Form Post Response Mode, 2)."""
    view = FormPostView(frame=frame("da"), action="https://portal.example/cb?x=1&y=2", fields={"state": value})
    page = _read(PAGES.form_post(view))

    assert page.xpath("//form[@method='post']/@action") == ["https://portal.example/cb?x=1&y=2"]
    assert page.xpath("//input[@type='hidden' and @name='state']/@value") == [value]
    assert [button.get("name") for button in page.xpath("//button")] == [None]


def test_help_lists_the_ways_there_are() -> None:
    """Help explains the ways it is given, and any other document is not found."""
    view = DocumentView(frame=frame("en"), name="help", ways=(way("mitid", "MitID"), way("gaia", "Gaia ID")))
    page = _read(PAGES.document(view))

    assert [term.text_content() for term in page.xpath("//dt")] == ["MitID", "Gaia ID"]
    with pytest.raises(NotFound):
        PAGES.document(replace(view, name="base"))


def test_the_statement_names_who_enforces_it() -> None:
    """The accessibility statement names the country's body, or all of them where no country is known (1.18)."""
    view = DocumentView(frame=frame("fi"), name="accessibility")

    assert "Digitaliseringsstyrelsen" in PAGES.document(view)
    assert "Traficom" not in PAGES.document(view)
    assert "Traficom" in PAGES.document(replace(view, frame=replace(view.frame, country=None)))


def test_pages_are_light(gallery: dict[tuple[str, str], str]) -> None:
    """First view: at most 20 kB and 5 requests; CSS at most 8, script 5, HTML 6 kB, gzipped (G6)."""
    largest = max(len(gzip.compress(page.encode())) for page in gallery.values())
    css, script, icon = (len(gzip.compress(PAGES.static_file(n)[0])) for n in ("app.css", "app.js", "favicon.svg"))

    assert (largest <= 6_000, css <= 8_000, script <= 5_000) == (True, True, True)
    assert largest + css + script + icon <= 20_000


def test_only_files_of_ours_are_served() -> None:
    """A static file is one of those there were at the start; a path to elsewhere is not found (path traversal)."""
    for name in ("../words.py", "/etc/passwd", "app.css/", "503.html", ""):
        with pytest.raises(NotFound):
            PAGES.static_file(name)


def test_the_page_for_a_total_outage_needs_nobody() -> None:
    """static/503.html has the same sentences in all five languages and loads nothing at all (X1)."""
    source = (Path(__file__).parents[2] / "idbroker/web/static/503.html").read_text("utf-8")
    page = _read(source)

    assert not page.xpath("//@src | //@href")
    for language in LANGUAGES:
        section = page.xpath("//*[@lang=$language]", language=language)[-1]
        assert WORDS.say("x.down.h1", language) in section.text_content()
        assert WORDS.say("x.down", language) in section.text_content()


def test_the_page_says_until_when_it_is_open() -> None:
    """The limit is a clock time in the clinic's zone, written in the page (WCAG 2.2.1)."""
    page = PAGES.choose(ChooseView(frame=frame("fi", open_until=MOMENT), action="/c", nonce="n", ways=WAYS))

    assert "Sivu on avoinna klo 14.05 asti." in page
