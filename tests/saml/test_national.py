"""The tables of what Finland and Denmark want in our metadata."""

from __future__ import annotations

import pytest

from idbroker.saml.national import danish_attributes, finnish_attributes, finnish_entity_attributes


def test_finnish_choices() -> None:
    """Each of what suomi.fi reads can be said otherwise."""
    said = finnish_entity_attributes(["x"], vtj_required=False, skip_endpoint_validation=True, cipher=None)

    assert [one.values for one in said] == [("x",), ("false",), ("true",), ("none",)]


def test_finnish_licences() -> None:
    """A wider licence asks for all that a narrower one does; only known licences are one."""
    limited, medium, large = (set(finnish_attributes(extent)) for extent in ("limited", "medium", "large"))

    assert limited < medium < large
    assert {"urn:oid:1.2.246.21", "urn:oid:1.2.246.22"} <= {one.name for one in limited}
    assert "urn:oid:1.2.246.517.2002.2.27" in {one.name for one in medium - limited}
    assert len(finnish_attributes("limited", eidas=True, foreign=True)) == len(limited) + 5
    with pytest.raises(KeyError):
        finnish_attributes("all")


def test_danish_attributes() -> None:
    """A private service asks for no CPR number and no powers of attorney; the level is always required."""
    public, private = danish_attributes(public=True), danish_attributes(public=False)

    assert {one.name.rpartition("/")[2] for one in set(public) - set(private)} == {
        "cprNumber",
        "privilegesIntermediate",
    }
    assert [one.name.rpartition("/")[2] for one in private if one.required] == ["specVersion", "loa"]
