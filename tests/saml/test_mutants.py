"""Mutants of good responses, by the thousand: none of them makes anybody somebody else."""

from __future__ import annotations

import functools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from idbroker.errors import ProviderError, Untrusted
from idbroker.saml import bindings
from idbroker.saml.assertion import Assertion
from idbroker.saml.response import Expected, read
from tests.saml.idp import SAML, SAMLP, Says, certificate, enveloped, expected, loosely, plain, posted, response, sign
from tests.saml.test_bindings import usual

RUNS, EACH = 10, 1000
# What attackers put in.
TOKENS = [
    b"<!-- -->",
    b"<!---->",
    b"<?x y?>",
    b"<![CDATA[x]]>",
    b"<!DOCTYPE x>",
    b"&amp;",
    b"&#x41;",
    b"&x;",
    b' ID="_assertion1"',
    b' ID="_evil"',
    b' xml:id="_assertion1"',
    b' xmlns="urn:evil"',
    b' xmlns:saml="urn:evil"',
    b' xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"',
    b"<saml:NameID>evil</saml:NameID>",
    b"<saml:AttributeValue>evil</saml:AttributeValue>",
    b"evil",
    b" ",
    b"\n",
    b"\t",
    b"\r",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xc3",
    b"'",
    b'"',
    b"<",
    b"/>",
]


@functools.cache
def good() -> tuple[tuple[bytes, Expected, Assertion], ...]:
    """Return responses that are believed, what is expected of them, and who comes of them."""
    cases = [
        (plain(), loosely()),
        (response(), expected()),
        (sign(enveloped(sign(Says().assertion()))), expected(encrypted=False)),
        (sign(enveloped(Says().assertion())), expected(encrypted=False, assertion_signed=False)),
    ]
    return tuple((text.encode(), expecting, read(posted(text), expecting)) for text, expecting in cases)


def mutant(chance: random.Random, octets: bytes) -> bytes:
    """Return the bytes with something changed: a bit, a slice left out, doubled, moved, or something put in."""
    at, other = sorted(chance.randrange(len(octets)) for _ in range(2))
    end = min(at + chance.choice([1, 2, 8, 64, 512]), len(octets))
    match chance.randrange(6):
        case 0:
            return octets[:at] + bytes([octets[at] ^ 1 << chance.randrange(8)]) + octets[at + 1 :]
        case 1:
            return octets[:at] + octets[end:]
        case 2:
            return octets[:end] + octets[at:end] + octets[end:]
        case 3:
            return octets[:at] + octets[end:other] + octets[at:end] + octets[max(end, other) :]
        case 4:
            return octets[:at] + bytes([chance.randrange(256)]) + octets[at + 1 :]
        case _:
            edges = [place for place in range(len(octets)) if octets[place : place + 1] in b"<> \"'&="]
            place = chance.choice([at, *chance.choices(edges, k=3)])
            return octets[:place] + chance.choice(TOKENS) + octets[place:]


def unbelievable(octets: bytes, expecting: Expected, told: Assertion) -> str | None:
    """Return what is wrong with how a mutant was read, or None: it must be refused, or say the very same."""
    try:
        found = read(posted(octets), expecting)
    except ProviderError:
        return None
    return None if found == told else f"{octets!r} was believed"


@pytest.mark.parametrize("run", range(RUNS))
def test_ten_thousand_mutants(run: int) -> None:
    """None of 10,000 mutants yields another identity, and none raises anything but the errors that are ours."""
    chance = random.Random(run)  # noqa: S311 - the same mutants in every run
    for number in range(EACH):
        octets, expecting, told = good()[number % len(good())]
        for _ in range(chance.choice([1, 1, 1, 2, 3])):
            octets = mutant(chance, octets)
        assert unbelievable(octets, expecting, told) is None


OPERATIONS = ["copy", "move", "drop", "text", "tag", "attribute", "tail", "wrap"]
NAMES = [f"{{{SAML}}}Assertion", f"{{{SAMLP}}}Extensions", f"{{{SAML}}}NameID", f"{{{SAMLP}}}Response", "x"]
CHANGES = st.lists(
    st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 80), st.integers(0, 80), st.integers(0, 4)),
    min_size=1,
    max_size=4,
)


@settings(max_examples=400)
@given(which=st.sampled_from([0, 2, 3]), changes=CHANGES)
def test_trees_rearranged(which: int, changes: list[tuple[str, int, int, int]]) -> None:
    """Elements copied, moved, dropped, renamed, wrapped: whoever is believed is still the same."""
    octets, expecting, told = good()[which]
    root = etree.fromstring(octets)
    for change in changes:
        root = wrapped(root, change[3]) if change[0] == "wrap" else rearranged(root, *change)

    assert unbelievable(etree.tostring(root), expecting, told) is None


def rearranged(root: etree._Element, operation: str, first: int, second: int, name: int) -> etree._Element:
    """Return the tree with one thing done to it."""
    nodes = list(root.iter())
    node, other = nodes[first % len(nodes)], nodes[second % len(nodes)]
    match operation:
        case "copy":
            other.insert(name, etree.fromstring(etree.tostring(node, with_tail=False)))
        case "move" if node is not root and other not in list(node.iter()):
            other.insert(name, node)
        case "drop" if (parent := node.getparent()) is not None:
            parent.remove(node)
        case "text":
            node.text = ["evil", "", " ", None, "\u202e"][name]
        case "tail" if node is not root:
            node.tail = ["evil", "", " ", "\n", None][name]
        case "tag":
            node.tag = NAMES[name]
        case "attribute":
            node.set(["ID", "Id", "InResponseTo", "NotOnOrAfter", "Recipient"][name], "_evil")
        case _:
            pass
    return root


def wrapped(root: etree._Element, name: int) -> etree._Element:
    """Return the tree inside another root."""
    outer = etree.Element(NAMES[name])
    outer.append(root)
    return outer


@settings(max_examples=300)
@given(octets=st.binary(max_size=300))
def test_any_bytes(octets: bytes) -> None:
    """Any bytes at all are refused in the words of ours."""
    with pytest.raises(Untrusted):
        read(posted(octets), loosely())
    with pytest.raises(Untrusted):
        read(octets.decode("latin-1"), loosely())
    with pytest.raises(Untrusted):
        bindings.verified_query(octets, [certificate("idp")])


def test_a_thousand_queries() -> None:
    """No mutant of a signed query yields another message or another relay state."""
    chance = random.Random(1)  # noqa: S311 - the same mutants in every run
    text = usual().encode()
    told = bindings.verified_query(text, [certificate("idp")])
    for _ in range(1000):
        try:
            found = bindings.verified_query(mutant(chance, text), [certificate("idp")])
        except Untrusted:
            continue
        assert found == told
