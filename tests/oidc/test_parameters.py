"""Parameters off the wire: one reading, or none."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idbroker.errors import OAuthError
from idbroker.oidc.parameters import MOST_OCTETS, MOST_PARAMETERS, parse_form, refuse_duplicates


def test_decodes() -> None:
    """Plus is a space, percent is an octet, octets are UTF-8 (HTML form encoding)."""
    parameters = parse_form(b"a=1+2%2B&%C3%A5=%e2%82%ac&b=x%3Dy=z")

    assert dict(parameters) == {"a": "1 2+", "å": "€", "b": "x=y=z"}


def test_empty_value_is_absent() -> None:
    """A parameter without a value counts as omitted (RFC 6749, 3.1)."""
    assert dict(parse_form(b"a=&b&c=1&&")) == {"c": "1"}


@pytest.mark.parametrize("raw", [b"a=1&a=2", b"a=1&a=1", b"a=&a=1", b"a&a", b"x=1&a=1&%61=2"])
def test_duplicates_are_remembered(raw: bytes) -> None:
    """A parameter sent twice is noticed, equal, empty or spelled another way (RFC 6749, 3.1)."""
    parameters = parse_form(raw)

    assert parameters.duplicates == {"a"}
    with pytest.raises(OAuthError, match="more than once"):
        refuse_duplicates(parameters)


@pytest.mark.parametrize("raw", [b"a=%ff", b"a=%ed%a0%80", b"a=%c0%ae", b"\xff=1", b"a=%00", b"%00=1"])
def test_refuses_what_two_parsers_read_differently(raw: bytes) -> None:
    """Octets that are not UTF-8, half surrogate pairs, overlong forms and NUL are invalid_request."""
    with pytest.raises(OAuthError) as error:
        parse_form(raw)

    assert error.value.code == "invalid_request"


def test_bounds() -> None:
    """More than 32 KiB or 64 parameters are refused before they cost anything."""
    with pytest.raises(OAuthError) as large:
        parse_form(b"a=" + b"x" * MOST_OCTETS)
    with pytest.raises(OAuthError, match="too many"):
        parse_form(b"&".join(b"p%d=1" % n for n in range(MOST_PARAMETERS + 1)))

    assert large.value.status == 413


def test_words_each_once_in_order() -> None:
    """A space-delimited value is a list without doubles; an absent one is empty."""
    parameters = parse_form(b"scope=openid+profile+openid")

    assert parameters.words("scope") == ("openid", "profile")
    assert parameters.words("prompt") == ()


def test_values_are_not_shown() -> None:
    """A log line that holds the parameters holds no value of theirs."""
    assert "secret-code" not in repr(parse_form(b"code=secret-code"))


@given(st.binary(max_size=200))
def test_any_octets(raw: bytes) -> None:
    """Whatever octets come, the answer is parameters or invalid_request."""
    with contextlib.suppress(OAuthError):
        assert parse_form(raw) is not None
