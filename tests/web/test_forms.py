"""The pages to fill in, as documents: words, errors, moments, and what browsers are told of each field."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from lxml import html

from idbroker.clinic import LANGUAGES
from idbroker.web.forms import typed
from idbroker.web.pages import Pages
from idbroker.web.views import ChooseView, FormView
from idbroker.words import Words
from tests.web.gallery import WAYS, all_pages, form_view, frame
from tests.web.gallery_forms import FORMS

PAGES = Pages(Words())


def parsed(page: str) -> Any:
    """Return HTML as a document."""
    return html.document_fromstring(page)


def read(name: str, language: str = "da", **changes: object) -> Any:
    """Return a page of FORMS as a document."""
    return parsed(PAGES.form(form_view(language, name, **changes)))


def filled(page: str, language: str = "da", market: str = "DK", **values: str) -> Any:
    """Return a page filled in with these values, as a document."""
    within = frame(language, country=market)
    view = FormView(frame=within, action=f"/t/abc/{page}", nonce="n", page=page, values=values, eid="MitID")
    return parsed(PAGES.form(view))


def text_of(page: Any) -> str:
    """Return the text of a document's main part, on one line."""
    return " ".join(page.xpath("string(//main)").split())


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_form_has_its_words_without_a_telephone(name: str, language: str) -> None:
    """Each page and each of its errors is whole where a clinic has no telephone number."""
    page = read(name, language, phone=None)

    assert "None" not in text_of(page)
    assert not page.xpath("//a[@class='tel']")


@pytest.mark.parametrize("name", FORMS)
def test_a_heading_is_said_once(name: str) -> None:
    """1.8, 1.9: a page has one h1; where it is what the choices are called, it is their legend, not said twice."""
    page = read(name)
    (heading,) = page.xpath("//h1")
    legends = [legend.text_content().strip() for legend in page.xpath("//legend")]

    assert legends.count(heading.text_content()) == len(heading.xpath("ancestor::legend"))


@pytest.mark.parametrize("name", [name for name, form in FORMS.items() if form.errors])
def test_errors_are_said_in_the_title_above_and_at_the_field(name: str) -> None:
    """Each error is in a summary that links to its field, and at the field, which says that it is wrong (3.3.1)."""
    page, form = read(name), FORMS[name]
    links = page.xpath("//div[@role='alert' and @tabindex='-1']//li/a")

    assert page.findtext(".//title").startswith("Fejl: ")
    assert len(links) == len(form.errors)
    for link in links:
        field = page.get_element_by_id(link.get("href")[1:])
        told = field.get("aria-describedby").split()[-1]
        assert field.get("aria-invalid") == "true"
        assert page.get_element_by_id(told).text_content() == link.text_content()


def test_errors_come_in_the_order_of_the_fields() -> None:
    """The summary goes down the page, in whatever order the mistakes were found."""
    view = replace(form_view("da", "contact"), errors={"phone": "r.e.mob", "email": "r.e.mail"})
    page = parsed(PAGES.form(view))

    assert page.xpath("//div[@role='alert']//a/@href") == ["#email", "#phone"]


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("password", {"number": "username", "password": "current-password"}),
        ("code", {"code": "one-time-code"}),
        ("contact", {"email": "email", "phone": "tel"}),
        ("newpassword", {None: "username", "password": "new-password"}),
        ("set", {None: "username", "password": "new-password"}),
        ("forgot", {"number": "username"}),
        ("cpr", {"number": "username"}),
        ("child", {"number": None, "given": "section-child given-name", "family": "section-child family-name"}),
        ("differ-other", {"email": "email", "phone": "tel"}),
    ],
)
def test_browsers_are_told_what_each_field_is_for(name: str, fields: dict[str | None, str | None]) -> None:
    """Managers and keyboards know the fields (WCAG 1.3.5, 3.3.8); a child's number is nobody's own user name."""
    page = parsed(all_pages(PAGES, "da")[name])
    found = page.xpath("//main//input[not(@type='hidden' or @type='checkbox' or @type='radio')]")

    assert {field.get("name"): field.get("autocomplete") for field in found} == fields


def test_a_new_password_is_saved_with_the_number_it_belongs_to() -> None:
    """The masked number stands in a field that managers read, that nobody can change and that is not posted (1.4)."""
    field = read("set").get_element_by_id("whose")

    assert (field.get("value"), field.get("name"), field.get("readonly")) == ("010772-••••", None, "readonly")


def test_a_password_never_comes_back() -> None:
    """No page carries a password or a code, whatever the values hold."""
    page = filled("password", number="1", password="hemmelig", code="123456")
    code = filled("code", channel="sms", shown="56", code="123456", password="hemmelig")

    for document in (page, code):
        assert not document.xpath("//input[@id='password' or @id='code']/@value")
        assert "hemmelig" not in html.tostring(document, encoding="unicode")


@pytest.mark.parametrize(
    ("language", "country", "label", "hint"),
    [
        ("da", "DK", "CPR-nummer", "10 cifre, med eller uden bindestreg"),
        ("da", "SE", "Svensk personnummer", "10 eller 12 cifre, med eller uden bindestreg"),
        ("sv", "SE", "Personnummer", "10 eller 12 siffror, med eller utan bindestreck"),
        ("sv", "FI", "Personbeteckning", "11 tecken, stora eller små bokstäver"),
        ("fi", "FI", "Henkilötunnus", "11 merkkiä, isot tai pienet kirjaimet"),
        ("fi", "DK", "CPR-numero", "10 numeroa, väliviivalla tai ilman"),
        ("en", "FI", "Finnish personal identity code", "11 characters, capital or small letters"),
        ("en", "SE", "Swedish personal identity number", "10 or 12 digits, with or without a hyphen"),
        ("nb", "DK", "CPR-nummer", "10 sifre, med eller uten bindestrek"),
    ],
)
def test_a_number_is_called_what_its_country_calls_it(language: str, country: str, label: str, hint: str) -> None:
    """The words follow the market, and a country chosen on the page before it, never the language (0.3, D12)."""
    for page in (filled("password", language, country), filled("password", language, "NO", country=country)):
        assert page.xpath("//label[@for='pid']/text()") == [label]
        assert page.get_element_by_id("pid-hint").text == hint


def test_swedish_in_finland_has_its_own_words() -> None:
    """In Finland Swedish speaks of personbeteckning and nätbankskoder wherever a number is asked for (0.3)."""
    wrong = FormView(
        frame=frame("sv", country="FI"), action="/t", nonce="n", page="password", errors={"number": "p.e.wrong"}
    )

    assert "Personbeteckningen eller lösenordet stämmer inte." in PAGES.form(wrong)
    assert "Skriv din personbeteckning." in text_of(filled("forgot", "sv", "FI"))
    assert "Har du nätbankskoder?" in text_of(filled("forgot", "sv", "FI"))
    assert "Barnets personbeteckning" in text_of(filled("child", "sv", "FI", age="12"))


@pytest.mark.parametrize(("country", "keys"), [("DK", "numeric"), ("SE", "numeric"), ("FI", None)])
def test_the_keyboard_fits_the_number(country: str, keys: str | None) -> None:
    """A Finnish number has letters; the others bring up figures (0.3)."""
    field = filled("password", "en", country).get_element_by_id("pid")

    assert (field.get("inputmode"), field.get("type")) == (keys, "text")
    assert (field.get("autocapitalize") == "characters") is (country == "FI")


def test_the_choice_of_a_country_is_open_once_it_was_used() -> None:
    """Who has a number from another country sees which one is read; others see one line."""
    assert not filled("password").xpath("//details[@open]")
    assert filled("password", "da", "DK", choose="1").xpath("//details[@open]")
    abroad = read("password-abroad").xpath("//details[@open]//select[@name='country']/option[@selected]/@value")
    assert abroad == ["FI"]


@pytest.mark.parametrize(("left", "told"), [("2", "You have 2 tries left"), ("1", "You have 1 try left")])
def test_tries_left_are_counted_in_words(left: str, told: str) -> None:
    """How many tries are left stands in the summary (1.2)."""
    view = replace(form_view("en", "password-wrong"), values={"left": left})
    assert told in PAGES.form(view)


def test_a_lock_says_when_it_ends_and_leaves_the_eids_open() -> None:
    """A lock is a clock time where the clinic is, and closes the password only (O5)."""
    for name in ("password-locked", "code-locked"):
        page = read(name)
        buttons = page.xpath("//main//button[@name='provider']")

        assert page.findtext(".//title").startswith("Fejl: ")
        assert "Du kan prøve igen kl. 14.20." in page.xpath("string(//div[@role='alert'])")
        assert [button.get("value") for button in buttons] == ["mitid", "bankid"]
        assert {button.get("formaction") for button in buttons} == {"/t/abc/choose"}
    assert not read("password-wrong").xpath("//button[@name='provider']")


def test_a_day_is_written_as_the_language_writes_it() -> None:
    """The day of an answer is a date; a moment just before midnight UTC is the next day in Denmark."""
    assert "senest 25.11.2026." in text_of(read("waiting"))
    assert "by 2026-11-25." in text_of(read("waiting", "en"))
    assert "senest 26.11.2026." in text_of(filled("waiting", until="2026-11-25T23:30:00+00:00"))


def test_a_page_that_ends_the_way_has_one_way_on() -> None:
    """Where nothing is left to do here, one button leads to the service, and no clock runs."""
    for name in ("waiting", "notaken"):
        page = read(name)

        assert page.xpath("//a[@href='/t/abc/cancel']/@class") == ["btn"]
        assert "Siden er åben til" not in text_of(page)


@pytest.mark.parametrize("name", [name for name, form in FORMS.items() if form.page == "code"])
def test_the_code_page_has_one_field_and_one_status(name: str) -> None:
    """One field, not focused by itself; the status is there from the start, so that a reader hears it change (1.3)."""
    page = read(name)

    assert len(page.xpath("//main//input[not(@type='hidden')]")) == 1
    assert not page.xpath("//*[@autofocus]")
    assert len(page.xpath("//*[@role='status']")) == 1
    assert bool(page.xpath("string(//*[@role='status'])")) is ("again" in FORMS[name].values)


def test_the_other_channels_are_one_press_away() -> None:
    """Under "Did not get the code?": send again, and every other way there is (1.3)."""
    buttons = "//main//details//button[@name='do']/@value"

    assert read("code").xpath(buttons) == ["again", "email", "app"]
    assert read("code-mail").xpath(buttons) == ["again"]
    assert read("code-app").xpath(buttons) == ["sms"]


def test_a_channel_that_is_dead_is_said_and_the_others_shown() -> None:
    """A message that did not get away is not waited for: the page says so, with the other ways open."""
    page = read("code-dead")

    assert page.xpath("//p[@class='note warn']")
    assert page.xpath("//details[@open]")
    assert "Vi har sendt en kode" not in text_of(page)
    assert "et par minutter" not in text_of(page)


def test_consent_shows_what_is_released() -> None:
    """Each item with its value and its purpose; the number only when asked to; No says what happens then (1.14)."""
    page = read("consent")
    rows = {" ".join(dt.text_content().split()): dt for dt in page.xpath("//dl/div/dt")}

    assert [*rows] == ["Navn", "Fødselsdato", "CPR-nummer", "Landet, nummeret er fra"]
    assert "1.7.1972" in text_of(page)
    assert "Danmark" in text_of(page)
    assert page.xpath("//details[not(@open)]/summary/text()") == ["Vis nummeret"]
    assert "De bruges til: at vise dine recepter" in text_of(page)
    assert "Siger du nej, kan du stadig få behandling." in text_of(page)


def test_the_last_look_can_mend_everything() -> None:
    """What was given can be changed before it is sent (3.3.4), and the terms be read; each button has its own name."""
    page = read("check")
    changes = page.xpath("//button[@name='do']")

    assert [change.get("value") for change in changes] == ["contact", "contact", "password"]
    assert len({change.get("aria-label") for change in changes}) == 3
    assert "Klinikken bruger dine oplysninger" in page.xpath("string(//details)")


def test_two_addresses_are_told_apart() -> None:
    """Mine, the clinic's, or something else: three choices, none made for the person, each with its addresses (1.8)."""
    page = read("differ")
    cards = [" ".join(card.text_content().split()) for card in page.xpath("//label[@class='card']")]

    assert page.xpath("//input[@type='radio']/@value") == ["mine", "clinic", "other"]
    assert not page.xpath("//input[@checked]")
    assert "anna@example.com" in cards[0]
    assert "anna.aaberg.1972.privat@long-name.example.com" in cards[1]


def test_the_choice_offers_to_register_where_the_clinic_takes_people() -> None:
    """Who is new may register when the clinic takes people, and the hint of the password speaks of children."""
    new = parsed(all_pages(PAGES, "da")["choose-new"])
    plain = parsed(all_pages(PAGES, "da")["choose"])

    assert new.xpath("//main//button[@name='do']/@value") == ["register", "child"]
    assert "Opret et barn under 15 år" in text_of(new)
    assert "Til dig uden MitID og til børn under 15 år" in text_of(new)
    assert not plain.xpath("//main//button[@name='do']")


def test_who_registers_is_told_to_prove_who_they_are() -> None:
    """With a wish the choice says what comes first, and offers to log in instead; nothing asks twice (1.5)."""
    page = parsed(all_pages(PAGES, "da")["choose-wish"])

    assert page.xpath("string(//h1)") == "Vis først, hvem du er"
    assert "Først bekræfter du, hvem du er, med MitID eller Suomi.fi." in text_of(page)
    assert page.xpath("//main//button[@name='do']/@value") == ["signin"]


def test_the_hint_for_those_without_an_eid_belongs_to_the_market() -> None:
    """Children are spoken of where children have logins of their own; elsewhere the hint is the country's (0.3)."""
    finnish = ChooseView(
        frame=frame("sv", country="FI"), action="/c", nonce="n", ways=(WAYS[5],), register=True, child_age=12
    )

    assert "Om du inte har nätbankskoder eller mobilcertifikat" in PAGES.choose(finnish)


@pytest.mark.parametrize("odd", ["<b>\"& 'x", "</title><script>alert(1)</script>", "{{ 7*7 }}", "{0}"])
@pytest.mark.parametrize(
    ("page", "value"),
    [("password", "number"), ("contact", "email"), ("check", "name"), ("enrol", "clinic"), ("terms", "text")],
)
def test_what_was_typed_is_text(page: str, value: str, odd: str) -> None:
    """Values are shown as they are, in fields, headings and titles (stored cross-site scripting; G23)."""
    document = filled(page, **{"service": "S", "version": "1", "text": "t", value: odd})

    assert odd in " ".join([document.text_content(), *document.xpath("//input/@value")])
    assert len(document.xpath("//script")) == 1


def test_what_was_typed_fills_the_page_in_again() -> None:
    """A press that is about something else takes along what was typed, never a secret (WCAG 3.3.7)."""
    told = {"number": "010190", "mask": "1", "password": "hemmelig", "code": "123456", "_n": "n", "lang": "fi"}

    assert typed("password", told) == {"number": "010190", "country": "", "mask": "1"}
    assert typed("child", {"given": "Ida", "family": "T" * 900})["name"] == "Ida"
    assert len(typed("child", {"family": "T" * 900})["family"]) == 254
    assert typed("code", told) == typed("newpassword", told) == {}


def test_a_page_there_is_none_of_is_a_fault_of_ours() -> None:
    """A form that names no template is a KeyError; one that names a moment that is none a ValueError."""
    with pytest.raises(KeyError):
        filled("nothing")
    with pytest.raises(ValueError, match="isoformat"):
        filled("waiting", until="soon")
