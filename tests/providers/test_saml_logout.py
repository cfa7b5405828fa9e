"""Leaving a SAML party, and being sent away by it: who is meant, who says so, and what goes back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from idbroker.errors import Untrusted
from idbroker.providers import Message, Post, Redirect, Summons
from idbroker.providers._saml import Party, logout_of, names_of
from idbroker.saml.assertion import Assertion, NameID
from tests.providers.saml_party import SLO, SLO_ANSWERS, World, make_world, read
from tests.saml.idp import IDP
from tests.saml.metadata_documents import POST, REDIRECT

world = pytest.fixture(make_world)
URL = "https://broker.example.test/logout/eid"
NAMED = NameID(value="AAdzZWNyZXQx", format="urn:x", name_qualifier=IDP, sp_name_qualifier="us & <them>")
BY = pytest.mark.parametrize("way", ["query", "post"])


def proved(world: World, **more: Any) -> Assertion:
    """Return what a sign-in left behind."""
    now = world.clock.now()
    usual: dict[str, Any] = {"session_index": "_session1", "name_id": NAMED} | more
    return Assertion(
        id="_a",
        issuer=IDP,
        issued=now,
        context="urn:x",
        authenticated_at=now,
        not_on_or_after=now + timedelta(minutes=5),
        **usual,
    )


def sent(world: World, way: str, text: str, relay_state: str | None = None, by: str | None = "idp") -> Message:
    """Return a message of theirs, by redirect or by post."""
    return (world.idp.by_query if way == "query" else world.idp.by_post)(URL, text, relay_state, by)


def only_by(world: World, binding: str) -> None:
    """Have their metadata name one binding for logout."""
    world.idp.describe(signer=None)
    other = REDIRECT if binding == POST else POST
    text = world.idp.document.decode()
    place = f'<md:SingleLogoutService Binding="{other}" Location="{SLO}" ResponseLocation="{SLO_ANSWERS}"/>'
    assert place in text
    world.idp.publish(text.replace(place, ""))


# ---- leaving ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("binding", [REDIRECT, POST])
def test_leave(world: World, binding: str) -> None:
    """The request is signed, for their address, and names the session as they named it (profiles, 4.4.4.1)."""
    only_by(world, binding)
    went = world.party().leave(world.leaving(logout_of(proved(world))))
    came = read(went)

    assert isinstance(went, Redirect if binding == REDIRECT else Post)
    assert came.relay_state == "farewell-1"
    assert (came.root.get("Destination"), came.root.get("NotOnOrAfter")) == (SLO, "2026-11-22T09:05:00Z")
    assert came.text("SessionIndex") == ["_session1"]
    named = next(came.root.iter("{*}NameID"))
    assert (named.text, named.get("Format"), named.get("NameQualifier"), named.get("SPNameQualifier")) == (
        *("AAdzZWNyZXQx", "urn:x"),
        *(IDP, "us & <them>"),
    )


def test_leave_without_an_index(world: World) -> None:
    """Who was given no session index names none, and no qualifiers that were not there."""
    told = proved(world, session_index=None, name_id=NameID(value="x"))
    came = read(world.party().leave(world.leaving(logout_of(told))))

    assert came.text("SessionIndex") == []
    assert next(came.root.iter("{*}NameID")).get("NameQualifier") is None


def test_nothing_to_leave(world: World) -> None:
    """An identity provider without a logout address has nothing to be sent to, nor is answered."""
    world.idp.describe(signer=None)
    text = world.idp.document.decode()
    world.idp.publish(text[: text.index("<md:SingleLogoutService")] + text[text.index("<md:NameIDFormat") :])
    party = world.party()

    assert party.leave(world.leaving(logout_of(proved(world)))) is None
    assert party.dismissed(summoned(world, party=party), world.clock.now(), complete=True) is None


class Left:
    """Somebody who has gone to them to sign out."""

    def __init__(self, world: World) -> None:
        self.party = world.party()
        went = self.party.leave(world.leaving(logout_of(proved(world))))
        assert isinstance(went, Redirect)
        self.state, self.id = went.state, read(went).id


@BY
@pytest.mark.parametrize(
    ("codes", "complete"),
    [
        (("Success",), True),
        (("Success", "PartialLogout"), False),
        (("Responder", "PartialLogout"), False),
        (("Responder",), False),
        (("Requester", "UnknownPrincipal"), False),
    ],
)
def test_left(world: World, way: str, codes: tuple[str, ...], *, complete: bool) -> None:
    """Their answer says whether all of it ended: anything but a plain Success says that it did not (core, 3.7.3.2)."""
    left = Left(world)
    message = sent(world, way, world.idp.logout_response(URL, left.id, *codes), "farewell-1")

    assert left.party.left(left.state, message) is complete


@BY
@pytest.mark.parametrize(
    ("lie", "options"),
    [
        ({"in_response_to": "_another"}, {}),
        ({"Destination": "https://broker.example.test/logout/other"}, {}),
        ({"Destination": ""}, {}),
        ({"issuer": "https://another.example.test"}, {}),
        ({"IssueInstant": "2026-11-22T08:53:59Z"}, {}),
        ({"IssueInstant": "2026-11-22T09:02:00Z"}, {}),
        ({"Version": "1.1"}, {}),
        ({}, {"by": None}),
        ({}, {"by": "evil"}),
    ],
)
def test_left_lies(world: World, way: str, lie: dict[str, str], options: dict[str, Any]) -> None:
    """An answer of somebody else's, to somebody else, to something else, or unsigned, says nothing."""
    left = Left(world)
    text = world.idp.logout_response(URL, **{"in_response_to": left.id, **lie})

    with pytest.raises(Untrusted):
        left.party.left(left.state, sent(world, way, text, **options))


@BY
def test_left_in_another_browser(world: World, way: str) -> None:
    """An answer to another person's logout is not this one's: each has a request of its own."""
    one, other = Left(world), Left(world)

    with pytest.raises(Untrusted, match="another request"):
        one.party.left(one.state, sent(world, way, world.idp.logout_response(URL, other.id)))


@BY
def test_a_request_is_no_answer(world: World, way: str) -> None:
    """A request where an answer is due, and an answer where a request is due, are refused."""
    left = Left(world)
    with pytest.raises(Untrusted, match="a request"):
        left.party.left(left.state, sent(world, way, world.idp.logout_request(URL)))

    with pytest.raises(Untrusted, match="an answer"):
        left.party.summoned(sent(world, way, world.idp.logout_response(URL, left.id)))


# ---- being sent away ----------------------------------------------------------------------------------


def summoned(world: World, way: str = "query", party: Party | None = None, **changes: Any) -> Summons:
    """Return what comes of a request of theirs."""
    options = {name: changes.pop(name) for name in ("relay_state", "by") if name in changes}
    message = sent(world, way, world.idp.logout_request(URL, **changes), **options)
    return (party or world.party()).summoned(message)


@BY
def test_summoned(world: World, way: str) -> None:
    """The session meant is found by name and index, without a cookie; the message counts once while it lives."""
    summons, identity = summoned(world, way), proved(world)

    assert set(summons.names) & set(names_of(identity))
    assert not set(summons.names) & set(names_of(proved(world, session_index="_session2")))
    assert not set(summons.names) & set(names_of(proved(world, name_id=NameID(value="somebody else"))))
    assert summons.id == f"logout {IDP} _out1"
    assert summons.until == world.clock.now() + timedelta(minutes=6, seconds=1)


@BY
def test_summoned_by_name(world: World, way: str) -> None:
    """A request without an index means all sessions of that name (SAML core, 3.7.1)."""
    names = set(summoned(world, way, indexes="").names)

    assert names & set(names_of(proved(world)))
    assert names & set(names_of(proved(world, session_index="_session2")))
    assert names & set(names_of(proved(world, session_index=None)))


def test_summoned_for_several(world: World) -> None:
    """A request may name several sessions."""
    names = set(summoned(world, indexes="_session1 _session2").names)

    assert all(names & set(names_of(proved(world, session_index=one))) for one in ("_session1", "_session2"))


def test_names_are_apart(world: World) -> None:
    """No name and index can be put together so that they read as another's."""
    told = [("a", "b"), ("a\nb", "c"), ("a", "b\nc"), ("a\nb", None), ("index:a\nb", None)]
    names = [names_of(proved(world, name_id=NameID(value=name), session_index=index)) for name, index in told]

    assert len({one[0] for one in names}) == len(told)


@BY
@pytest.mark.parametrize(
    "lie",
    [
        {"by": None},
        {"by": "evil"},
        {"issuer": "https://another.example.test"},
        {"Destination": "https://broker.example.test/logout/other"},
        {"Destination": ""},
        {"NotOnOrAfter": "2026-11-22T08:59:00Z"},
        {"IssueInstant": "2026-11-22T08:53:59Z"},
        {"IssueInstant": "2026-11-22T09:02:00Z"},
        {"ID": ""},
        {"name_id": " "},
    ],
)
def test_summoned_lies(world: World, way: str, lie: dict[str, Any]) -> None:
    """Nobody can sign people out but their own identity provider, now, by a message for us."""
    with pytest.raises(Untrusted):
        summoned(world, way, **lie)


@BY
def test_summoned_with_either_key(world: World, way: str) -> None:
    """While they change keys either signs."""
    world.idp.describe("next", "idp")
    party = world.party()

    assert summoned(world, way, party, by="next").id == summoned(world, way, party, by="idp").id


@BY
def test_the_same_message_is_the_same(world: World, way: str) -> None:
    """A message that comes again has the same id, by which the caller knows a replay."""
    party = world.party()

    assert summoned(world, way, party).id == summoned(world, way, party).id != summoned(world, way, party, ID="_o").id


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"fields": {"RelayState": "x"}},
        {"fields": {"SAMLRequest": "", "SAMLResponse": ""}},
        {"fields": {"SAMLRequest": "%%%"}},
        {"query": b"RelayState=x"},
        {"query": b"SAMLRequest=x&SAMLResponse=y"},
        {"query": b"\xff\xfe=%"},
    ],
)
def test_no_message(world: World, message: dict[str, Any]) -> None:
    """Whatever else is sent to the logout address is refused as one kind of error."""
    with pytest.raises(Untrusted):
        world.party().summoned(Message(now=world.clock.now(), url=URL, **message))


@BY
@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("binding", [REDIRECT, POST])
def test_dismissed(world: World, way: str, binding: str, *, complete: bool) -> None:
    """The answer goes signed to where answers go, to that very request, and says if anything was left over."""
    only_by(world, binding)
    party = world.party()
    back = party.dismissed(summoned(world, way, party), world.clock.now(), complete=complete)
    came = read(back)

    assert (back.url if isinstance(back, Redirect) else back.action if back else "").startswith(SLO_ANSWERS)
    assert (came.root.get("InResponseTo"), came.root.get("Destination")) == ("_out1", SLO_ANSWERS)
    codes = [str(one.get("Value")).rpartition(":")[2] for one in came.root.iter("{*}StatusCode")]
    assert codes == (["Success"] if complete else ["Success", "PartialLogout"])


@BY
@pytest.mark.parametrize("relay_state", [None, "theirs", "ä€ &=+%", "x" * 1024])
@pytest.mark.parametrize("binding", [REDIRECT, POST])
def test_their_relay_state(world: World, way: str, relay_state: str | None, binding: str) -> None:
    """What they want back goes back to the letter, up to 1024 bytes (bindings, 3.4.3, says eighty; not all do)."""
    only_by(world, binding)
    party = world.party()
    summons = summoned(world, way, party, relay_state=relay_state)

    assert read(party.dismissed(summons, world.clock.now(), complete=True)).relay_state == relay_state


@BY
def test_their_relay_state_is_too_long(world: World, way: str) -> None:
    """More than that is refused at once, and not when the session is over and the answer cannot go."""
    with pytest.raises(Untrusted, match="relay state"):
        summoned(world, way, relay_state="x" * 1025)


def test_an_empty_relay_state(world: World) -> None:
    """An empty one is none."""
    party = world.party()
    summons = summoned(world, "post", party, relay_state="")

    assert read(party.dismissed(summons, world.clock.now(), complete=True)).relay_state is None


@pytest.mark.parametrize("state", [b"", b"{}", b"[]", b'{"id":1}'])
def test_a_state_of_something_else(world: World, state: bytes) -> None:
    """A state that is another kind of provider's breaks nothing, here too."""
    summons = Summons(id="x", issued=world.clock.now(), until=world.clock.now(), names=(), state=state)

    with pytest.raises(Untrusted, match="state"):
        world.party().dismissed(summons, world.clock.now(), complete=True)


def test_nobody_is_named_in_words(world: World) -> None:
    """A summons as a log would show it names nobody."""
    assert "AAdzZWNyZXQx" not in repr(summoned(world))
