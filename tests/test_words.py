"""The words: complete, in place, escaped once, and in the right language."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from markupsafe import Markup

from idbroker.clinic import LANGUAGES
from idbroker.words import NATIVE_NAMES, Words, calendar_date, clock_time, faults, negotiate, read_texts

OFFERED = ("da", "en", "sv", "fi", "nb")


@pytest.fixture(scope="module")
def words() -> Words:
    """Return the shipped words."""
    return Words()


def test_every_text_is_there_in_every_language() -> None:
    """No key is missing and every text has the same placeholders in all five languages."""
    assert faults(read_texts()) == []


def test_the_checker_is_a_command() -> None:
    """`make check` can run the checker: it exits with 0 when the texts are complete."""
    done = subprocess.run([sys.executable, "-m", "idbroker.words"], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("key", "text", "fault"),
    [
        ("g.skip", None, "fi: g.skip is missing"),
        ("g.svc", "Olet kirjautumassa", "fi: g.svc has other placeholders than English (service)"),
        ("g.skip", " Siirry", "fi: g.skip is empty or has spaces around it"),
        ("g.skip", "", "fi: g.skip is empty or has spaces around it"),
        ("g.new", "Uusi", "fi: g.new is not in English"),
        ("p.id@XX", "Tunnus", "fi: p.id@XX is for no country of ours: XX"),
        ("g.svc@FI", "{name}", "fi: g.svc@FI has other placeholders than English (service)"),
    ],
)
def test_the_checker_names_each_fault(key: str, text: str | None, fault: str) -> None:
    """A missing, unknown, empty or differently filled text is reported by language and key."""
    texts = read_texts()
    if text is None:
        del texts["fi"][key]
    else:
        texts["fi"][key] = text

    assert faults(texts) == [fault]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_voice_is_calm(language: str) -> None:
    """No text shouts, and none says "invalid", "authenticate", "please" or "oops"."""
    said = "\n".join(read_texts()[language].values())

    assert "!" not in said
    assert not any(word in said.lower() for word in ("invalid", "authenticat", "please", "oops", "autentiser"))


def test_a_swedish_page_in_finland_uses_finnish_nouns(words: Words) -> None:
    """What the number is called belongs to the market of the service, not to the language."""
    assert words.say("p.id", "sv", "FI") == "Personbeteckning"
    assert words.say("p.id", "sv", "SE") == "Personnummer"
    assert words.say("p.id", "en", "DK") == "CPR number"
    assert words.say("p.id", "sv") == "Personnummer"


def test_an_unknown_text_is_an_error(words: Words) -> None:
    """A key nobody wrote a text for raises, and so does a missing value: no page shows a hole."""
    with pytest.raises(KeyError):
        words.say("no.such", "da")
    with pytest.raises(KeyError):
        words.say("g.svc", "da")


def test_a_value_is_never_read_as_a_template(words: Words) -> None:
    """A name with braces is shown as it is; it cannot reach into objects (format string injection)."""
    hostile = "{service.__class__} {0}"

    assert words.say("x.in.go", "en", service=hostile) == f"Go to {hostile}"


def test_markup_values_are_kept_and_others_escaped(words: Words) -> None:
    """With one value of HTML, the text and the other values are escaped exactly once."""
    said = words.say("c.call", "da", clinic="<i>&", phone=Markup("<b>1</b>"))

    assert said == Markup("Kan du ikke logge ind? Ring til &lt;i&gt;&amp;: <b>1</b>")
    assert isinstance(said, Markup)
    assert not isinstance(words.say("x.in.go", "en", service="<i>"), Markup)


@pytest.mark.parametrize(
    ("language", "shown"), [("da", "09.05"), ("sv", "09:05"), ("fi", "9.05"), ("en", "09:05"), ("nb", "09:05")]
)
def test_a_clock_time_is_local(language: str, shown: str) -> None:
    """A time is what the clock on the person's wall says, written as the language writes it."""
    assert clock_time(datetime(2026, 7, 1, 7, 5, tzinfo=UTC), ZoneInfo("Europe/Copenhagen"), language) == shown


def test_a_date_is_in_figures() -> None:
    """A date is written in the order of the language."""
    assert calendar_date(date(2026, 1, 9), "fi") == "9.1.2026"
    assert calendar_date(date(2026, 1, 9), "sv") == "2026-01-09"


@pytest.mark.parametrize(
    ("ui_locales", "header", "spoken"),
    [
        ((), None, "da"),
        ((), "", "da"),
        (("fi",), "sv", "fi"),
        (("fr", "fi-FI"), "sv", "fi"),
        ((), "sv-FI,sv;q=0.9,en;q=0.8", "sv"),
        ((), "en;q=0.5, fi;q=0.9", "fi"),
        ((), "no", "nb"),
        ((), "nn-NO,nn;q=0.9", "nb"),
        (("nb_NO",), None, "nb"),
        ((), "fi;q=0, *", "da"),
        ((), "de-DE,de", "da"),
        ((), ";;q=x,,=", "da"),
        ((), "x" * 100_000 + ",fi", "da"),
    ],
)
def test_the_language_is_what_was_asked_for(ui_locales: tuple[str, ...], header: str | None, spoken: str) -> None:
    """The service's `ui_locales` come before the browser's languages (Core 3.1.2.1); else the market's own."""
    assert negotiate(ui_locales, header, OFFERED) == spoken


def test_only_an_offered_language_is_spoken() -> None:
    """A clinic that offers two languages is never shown in a third."""
    assert negotiate(("en",), "da", ("fi", "sv")) == "fi"


def test_each_language_is_called_by_its_own_name() -> None:
    """The switch has a name for every language."""
    assert set(NATIVE_NAMES) == set(LANGUAGES)
