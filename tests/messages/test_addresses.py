"""What people type as an address, what is taken of it, and how little of it is shown."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from idbroker.clinic import COUNTRIES
from idbroker.messages.addresses import NotAnAddress, display, email, mobile, shown
from idbroker.messages.message import Channel

# The Swedish authority keeps 070-1740605 to 070-1740699 for fiction.
FICTION = "+46701740605"


@pytest.mark.parametrize(
    "typed",
    [
        "0701740605",
        "070-174 06 05",
        "070 174 06 05",
        " 070.174.06.05 ",
        "+46701740605",
        "+46 70 174 06 05",
        "+46 (0)70 174 06 05",
        "0046 70 174 06 05",
        "０７０－１７４ ０６ ０５",
        "+４６701740605",
        "070\u2011174\u00a006\u202f05",
        "\u202a070 174 06 05\u202c",
    ],
)
def test_however_it_is_spelled(typed: str) -> None:
    """National, + and 00 forms, with signs between and in full-width digits, are one number in E.164."""
    assert mobile(typed, "SE") == FICTION


@pytest.mark.parametrize("country", COUNTRIES)
def test_a_number_of_another_country(country: str) -> None:
    """With + or 00 a number is of the country it names, wherever the clinic is."""
    assert mobile("+46 70 174 06 05", country) == mobile("0046701740605", country) == FICTION


def example(country: str, kind: int, form: int = PhoneNumberFormat.NATIONAL) -> str:
    """Return the library's own example of a kind of number."""
    number = phonenumbers.example_number_for_type(country, kind)
    assert number is not None
    return phonenumbers.format_number(number, form)


@pytest.mark.parametrize("country", COUNTRIES)
def test_mobiles_of_each_country(country: str) -> None:
    """Each country's mobiles are taken in its own form, shown in the international one; a Danish number may be one."""
    typed = example(country, PhoneNumberType.MOBILE)

    taken = mobile(typed, country)

    assert taken == example(country, PhoneNumberType.MOBILE, PhoneNumberFormat.E164)
    assert display(taken) == example(country, PhoneNumberType.MOBILE, PhoneNumberFormat.INTERNATIONAL)


@pytest.mark.parametrize("country", ["SE", "FI", "NO"])
def test_landlines(country: str) -> None:
    """A fixed line takes no text messages, and the person is told that this is why."""
    for form in (PhoneNumberFormat.NATIONAL, PhoneNumberFormat.E164):
        assert refused(example(country, PhoneNumberType.FIXED_LINE, form), country) == "landline"


@pytest.mark.parametrize("country", COUNTRIES)
@pytest.mark.parametrize("kind", ["PREMIUM_RATE", "TOLL_FREE"])
def test_paid_and_free_numbers(country: str, kind: str) -> None:
    """Nobody sends codes to a number that costs us, or that is no person's (SMS pumping)."""
    assert refused(example(country, getattr(PhoneNumberType, kind)), country) == "kind"


@pytest.mark.parametrize("typed", ["+88216 12345678", "+800 1234 5678", "+999 123456789"])
def test_numbers_of_no_country(typed: str) -> None:
    """Satellites, worldwide and unknown codes are no mobile of anybody's."""
    assert refused(typed, "SE") == "country"


@pytest.mark.parametrize(
    "typed",
    [
        "", " ", "+", "-", "()", "1", "112", "0701", "07017406051234", "0701740605x1", "0701740605;ext=1",
        "tel:0701740605", "+46+46701740605", "O701740605", "07O1740605", "0701740605\n0701740606",
        "0701740605,0701740606", "0701740605\x00", "somebody@example.org", "0" * 5000, "٠٧٠١٧٤٠٦٠٥",
    ],
)  # fmt: skip
def test_what_is_no_number(typed: str) -> None:
    """Anything else is refused for its shape, whatever its length."""
    assert refused(typed, "SE") == "shape"


def refused(typed: str, country: str) -> str:
    """Return why a number is refused, and see that the refusal says nothing of it."""
    with pytest.raises(NotAnAddress) as caught:
        mobile(typed, country)
    assert len(typed) < 4 or typed not in str(caught.value) + caught.value.detail
    assert caught.value.__cause__ is None
    return caught.value.reason


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("somebody@example.org", "somebody@example.org"),
        ("  somebody@example.org\n", "somebody@example.org"),
        ("Some.Body+tag@EXAMPLE.Org", "Some.Body+tag@example.org"),
        ("o'hara_x-y@mail.example.co.uk", "o'hara_x-y@mail.example.co.uk"),
        ("a@ögon.example", "a@xn--gon-rna.example"),
        ("a@ØRE.example", "a@xn--re-kka.example"),
        ("a@o\u0308gon.example", "a@xn--gon-rna.example"),
        ("a@xn--gon-rna.example", "a@xn--gon-rna.example"),
        ("x" * 64 + "@example.org", "x" * 64 + "@example.org"),
    ],
)
def test_emails(typed: str, address: str) -> None:
    """An address is taken as typed, its domain in the form that mail goes by (RFC 5890, 2.3.2.1)."""
    assert email(typed) == address


@pytest.mark.parametrize(
    "typed",
    [
        "", "@", "somebody", "somebody@", "@example.org", "a@b", "a@@example.org", "a@b@example.org", "a b@example.org",
        '"a"@example.org', "a.@example.org", ".a@example.org", "a..b@example.org", "a@example..org", "a@example.org.",
        "a@.example.org", "a@-example.org", "a@example-.org", "a@exa_mple.org", "a@[192.0.2.1]", "a@192.0.2.1",
        "a@example.org,b@example.org", "a@example.org>", "<a@example.org>", "Name <a@example.org>",
        "a@example.org\r\nBcc: b@example.org", "a\r\n@example.org", "a\x00@example.org", "a@example.org\x7f",
        "åsa@example.org", "аnna@example.org", "a@exаmple.org", "a@exam\u200bple.org", "a@\u202eexample.org",
        "a@ｅxample.org", "a＠example.org", "a@straße.example", "a@ﬁrm.example", "a@xn--zzzzzz9999.example",
        "a@xn--.example", "x" * 65 + "@example.org", "a@" + "b" * 64 + ".example", "a@" + ".".join(["b" * 60] * 5),
        "a" * 10**6, "@" * 10**6, "a@" + "ö" * 10**6,
    ],
)  # fmt: skip
def test_what_is_no_email(typed: str) -> None:
    """Anything that hides, quotes, splits or maps to another address is refused for its shape, whatever its length."""
    with pytest.raises(NotAnAddress) as caught:
        email(typed)

    assert caught.value.reason == "shape"
    assert len(str(caught.value)) < 20
    assert caught.value.__cause__ is None


@given(st.text(max_size=60))
def test_anything_typed(text: str) -> None:
    """Whatever is typed is an address in plain ASCII without a space, or refused in the one way."""
    for read in (email, lambda typed: mobile(typed, "DK"), lambda typed: email(f"a@{typed}.dk")):
        try:
            address = read(text)
        except NotAnAddress:
            continue
        assert address.isascii()
        assert address.isprintable()
        assert " " not in address


def test_shown() -> None:
    """A page shows enough to know one's own address by, and too little to learn another's."""
    assert shown(Channel.EMAIL, "somebody@mail.example.dk") == "s•••@m•••.dk"
    assert shown(Channel.EMAIL, "s@d.dk") == "s•••@d•••.dk"
    assert shown(Channel.EMAIL, "a@xn--gon-rna.example") == "a•••@ö•••.example"
    assert shown(Channel.SMS, FICTION) == "05"


def test_display() -> None:
    """A number is shown in groups; what is none is left as it is."""
    assert display(FICTION) == "+46 70 174 06 05"
    assert display("x") == "x"
