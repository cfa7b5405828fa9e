"""Powers of attorney and birth dates, as the gateway tells them: read whole, or not at all (OIO-BPP 1.2)."""

from __future__ import annotations

import base64
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idbroker.codec import Codec
from idbroker.errors import Untrusted
from idbroker.identity import Identity, Power
from idbroker.providers._oiosaml.attributes import read_date
from idbroker.providers._oiosaml.privileges import LONGEST, MOST_PRIVILEGES, SCOPES, Privilege, powers_in, read
from idbroker.sandbox.people import cpr
from tests.providers.oiosaml_party import NUMBER, PRIVILEGES, WARD, Danish, encoded, group, listed

pytest_plugins = ["tests.providers.oiosaml_fixtures"]

TODAY = date(2026, 11, 22)
WORD = st.from_regex(r"[a-z0-9:/._-]{1,60}", fullmatch=True)
SCOPED = st.tuples(st.sampled_from(SCOPES), WORD, st.lists(WORD, min_size=1, max_size=4))


@given(st.lists(SCOPED, max_size=8))
def test_what_is_written_is_read(groups: list[tuple[str, str, list[str]]]) -> None:
    """Every privilege comes out as it went in, in order, with its scope."""
    text = listed(*(group(value, *names, scope=scope) for scope, value, names in groups))

    told = [Privilege(scope=scope, value=value, name=name) for scope, value, names in groups for name in names]

    assert read(text) == tuple(told)


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    """Whatever text is sent, it is read or it is Untrusted; nothing else happens."""
    for sent in (text, base64.b64encode(text.encode("utf-8", "replace")).decode()):
        with pytest.raises(Untrusted):
            read(sent)


@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=3))
def test_any_damage(at: int, octets: bytes) -> None:
    """Octets put anywhere into an honest list give a list of ours, or Untrusted."""
    honest = base64.b64decode(listed(group(WARD, "urn:dk:a", "urn:dk:b")))
    place = at % len(honest)

    try:
        found = read(base64.b64encode(honest[:place] + octets + honest[place:]).decode())
    except Untrusted:
        return
    assert all(one.scope in SCOPES and 0 < len(one.name) <= LONGEST for one in found)


@pytest.mark.parametrize(
    "space", ["http://digst.dk/oiosaml/basic_privilege_profile", "http://itst.dk/oiosaml/basic_privilege_profile"]
)
def test_both_versions(space: str) -> None:
    """Both versions of the profile are met: 1.2's namespace, and that of the one before."""
    assert len(read(listed(group(WARD, "urn:dk:a"), space=space))) == 1


def test_everything_in_the_namespace() -> None:
    """Some write what is inside in the namespace too: it means the same."""
    inside = '<PrivilegeGroup Scope="urn:dk:gov:saml:cprNumberIdentifier:1"><Privilege>a</Privilege></PrivilegeGroup>'
    text = f'<PrivilegeList xmlns="http://itst.dk/oiosaml/basic_privilege_profile">{inside}</PrivilegeList>'

    assert [one.name for one in read(encoded(text))] == ["a"]


@pytest.mark.parametrize(
    "text",
    [
        encoded("<PrivilegeList/>"),
        encoded('<PrivilegeList xmlns="urn:x"/>'),
        encoded('<!DOCTYPE x [<!ENTITY a "a">]><x>&a;</x>'),
        listed("text"),
        listed("<Other/>"),
        listed("<PrivilegeGroup><Privilege>a</Privilege></PrivilegeGroup>"),
        listed(group("1", "a", scope="passport")),
        listed('<PrivilegeGroup Scope="cprNumberIdentifier:1"><Privilege>a</Privilege></PrivilegeGroup>'),
        listed(group("", "a")),
        listed(group(WARD, "")),
        listed(group(WARD, "a" * (LONGEST + 1))),
        listed(group(WARD, "a<b/>c")),
        listed(group(WARD, "a<!-- -->b")),
        listed(group(WARD, "a", inside="<Constraint>b</Constraint>")),
        listed(group(WARD, "a", inside='<Constraint Name="n"/>')),
        listed(group(WARD, "a", inside="<Privileges/>")),
        listed(group(WARD, "a", inside="text")),
        listed(group(WARD, *(["a"] * (MOST_PRIVILEGES + 1)))),
        listed(*(group(WARD, "a") for _ in range(600))),
        encoded(" " * 200_000),
        "",
    ],
)
def test_what_is_no_list(text: str) -> None:
    """What is not understood to the last element gives nothing: a limit overlooked would be a power more."""
    with pytest.raises(Untrusted):
        read(text)


def test_powers_are_about_people() -> None:
    """A privilege about a company gives no power over a person; one about nobody's number is counted."""
    text = listed(group(WARD, "a", "a"), group("12345678", "b", scope="cvrNumberIdentifier"), group("99", "c"))

    powers, unread = powers_in(text, today=TODAY)

    assert [(power.number.value, power.what) for power in powers] == [(WARD, "a")]
    assert unread == 1


def test_one_bad_number_among_good(danish: Danish) -> None:
    """One power of attorney that is about no number does not take the others away."""
    identity = danish.sign_in(but={PRIVILEGES: listed(group("99", "a"), group(WARD, "b"))})

    assert [power.what for power in identity.powers] == ["b"]


def test_no_power_over_oneself(danish: Danish) -> None:
    """What somebody may do for themselves is no power over another."""
    identity = danish.sign_in(but={PRIVILEGES: listed(group(NUMBER, "a"))})

    assert identity.powers == ()


def test_a_private_service_has_no_powers(danish: Danish) -> None:
    """A private service does not take powers of attorney, though they were sent."""
    provider = danish.provider(public=False)

    assert danish.sign_in(provider, but={PRIVILEGES: listed(group(WARD, "a"))}).powers == ()


def test_powers_are_kept(danish: Danish) -> None:
    """A session keeps them, and tells nobody whose they are by being shown."""
    identity = danish.sign_in(but={PRIVILEGES: listed(group(WARD, "a", inside='<Constraint Name="n">v</Constraint>'))})
    codec = Codec(Identity)

    assert codec.unpack(codec.pack(identity)) == identity
    assert WARD not in repr(identity)
    assert WARD not in repr(identity.powers)
    assert isinstance(identity.powers[0], Power)


@given(st.dates(date(1900, 1, 1), TODAY))
def test_every_day_in_both_spellings(day: date) -> None:
    """Each day is read from both spellings, and never taken for another."""
    assert read_date(f"{day:%d-%m-%Y}") == read_date(day.isoformat()) == day


@given(st.text(alphabet="0123456789-./ T+:Z", max_size=12))
def test_any_date(text: str) -> None:
    """Whatever is sent for a day: it is that day in one of two spellings, or Untrusted."""
    try:
        found = read_date(text)
    except Untrusted:
        return
    assert text.startswith((f"{found:%d-%m-}{found.year:04}", found.isoformat()))


def test_numbers_are_nobodys() -> None:
    """The numbers of these tests are replacement numbers, which no register gives."""
    assert {NUMBER[0], WARD[0], cpr(date(1990, 1, 1), 1)[0]} <= {"6", "7", "8", "9"}
