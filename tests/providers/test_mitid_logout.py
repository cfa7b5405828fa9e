"""Signing out with MitID: from here there, and from there here (B10), over real HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from werkzeug.wrappers import Request, Response

from idbroker.clock import StoppedClock
from idbroker.errors import ConfigError, Unreachable, Untrusted
from idbroker.identity import Identity
from idbroker.providers import Federated, Leaving, Message, Post, Redirect, Summons
from idbroker.providers.mitid import MitID, make
from idbroker.sandbox.op_logout import LOGOUT_LIES, SimSession
from tests.conftest import NOW
from tests.providers.conftest import Broker
from tests.providers.test_mitid_dialects import Dialects, Elsewhere, elsewhere, speak
from tests.providers.upstream import Journey, means, settings
from tests.sandbox.loopback import serve

__all__ = ["elsewhere", "speak"]

Travel = Callable[..., Journey]
OUT = "http://127.0.0.1:9/logout/mitid"

REFUSED = [
    # The standard's own tests of a client (B10).
    "logout_alg_none",
    "logout_hs256",
    "logout_attacker_key",
    "logout_bad_signature",
    "logout_wrong_iss",
    "logout_wrong_aud",
    "logout_foreign_aud",
    "logout_no_event",
    "logout_wrong_event",
    "logout_two_events",
    "logout_event_true",
    "logout_events_list",
    "logout_with_nonce",
    "logout_no_jti",
    "logout_jti_number",
    "logout_nobody",
    "logout_sid_number",
    "logout_no_iat",
    "logout_no_exp",
    "logout_expired",
    "logout_old",
    "logout_future",
    "logout_access_typ",
    "logout_id_token",
]
TAKEN = ["logout_no_typ", "logout_plain_typ", "logout_aud_array", "logout_no_sub", "logout_endless"]
ANSWERED = ["logout_wrong_state", "logout_no_state", "logout_no_sid"]


@dataclass
class Door:
    """Our logout address: what was read there, and what was refused."""

    provider: MitID
    clock: StoppedClock
    summons: list[Summons] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def answer(self, request: Request) -> Response:
        """Read a posted token as the web does."""
        message = Message(now=self.clock.now(), url=request.url, fields=dict(request.form))
        try:
            self.summons.append(self.provider.summoned(message))
        except Untrusted as error:
            self.refused.append(error.detail)
            return Response(status=400)
        return Response()


@pytest.fixture
def door(broker: Broker, travel: Travel, clock: StoppedClock) -> Iterator[Door]:
    """Serve our logout address, and have the broker know it."""
    there = Door(travel().provider, clock)
    with serve(lambda _: Request.application(there.answer)) as address:
        known = replace(
            broker.clients["public"], backchannel_logout_uri=f"{address}/logout/mitid", post_logout_redirect_uris=(OUT,)
        )
        broker.clients["public"] = known
        yield there


def leaving(identity: Identity, clock: StoppedClock, **more: str) -> Leaving:
    """Return somebody who signs out."""
    logout = identity.upstream_logout
    assert logout is not None
    usual = Leaving(logout=logout, handle="farewell-1", return_url=OUT, language="da", now=clock.now())
    return replace(usual, **more)  # type: ignore[arg-type]  # all of them are texts


def follow(gone: Redirect | Post | None) -> Message:
    """Go there as a browser does, and return what it brings back."""
    with requests.Session() as browser:
        browser.trust_env = False
        if isinstance(gone, Post):
            response = browser.post(gone.action, data=dict(gone.fields), allow_redirects=False, timeout=5)
        else:
            assert gone is not None
            response = browser.get(gone.url, allow_redirects=False, timeout=5)
    assert response.status_code == 303, response.text
    back = urlsplit(response.headers["Location"])
    assert back._replace(query="").geturl() == OUT
    return Message(now=NOW, url=response.headers["Location"], query=back.query.encode())


def sign_out_there(broker: Broker, person: str = "anna") -> None:
    """Have a person sign out at the broker itself."""
    response = requests.post(f"{broker.issuer}/connect/sessions", data={"person": person}, timeout=10)
    assert response.status_code == 200


def test_it_has_sessions_of_its_own(travel: Travel) -> None:
    """MitID's brokers are told when somebody leaves, and tell it."""
    there: Federated = travel().provider

    assert isinstance(there, Federated)


def test_signing_out_here_ends_the_session_there(travel: Travel, broker: Broker, door: Door) -> None:
    """RP-Initiated Logout, 2: posted with the ID token, which comes into no address; the way back has our state."""
    there = travel()
    identity = there.go()
    going = leaving(identity, there.clock)

    gone = there.provider.leave(going)
    assert isinstance(gone, Post)
    assert gone.action == f"{broker.issuer}/connect/endsession"
    assert set(gone.fields) == {"id_token_hint", "post_logout_redirect_uri", "state"}
    assert broker.sessions.people() == ("anna",)
    assert there.provider.left(going, gone.state, follow(gone))
    assert broker.sessions.people() == ()
    assert [names for summons in door.summons for names in summons.names] == [identity.upstream_names[0]]


def test_signing_out_there_is_told_here(travel: Travel, broker: Broker, door: Door) -> None:
    """Back-Channel Logout, 2.5: a summons names the session of that identity, once, until the token is over."""
    identity, other = travel().go("anna"), travel().go("petra")
    sign_out_there(broker, "anna")

    (summons,) = door.summons
    assert set(summons.names) & set(identity.upstream_names)
    assert not set(summons.names) & set(other.upstream_names)
    assert summons.id.startswith(broker.issuer + " ")
    assert door.clock.now() < summons.until < door.clock.now() + timedelta(minutes=5)
    assert door.provider.dismissed(summons, door.clock.now(), complete=True) is None
    assert broker.sessions.told == [(broker.clients["public"].backchannel_logout_uri, 200)]


@pytest.mark.parametrize("lie", REFUSED)
def test_no_false_logout_token_ends_anything(travel: Travel, broker: Broker, door: Door, lie: str) -> None:
    """B10: forged, for another, of another kind, replayable or naming nobody: 400 and no summons."""
    travel().go()
    broker.lie(lie)
    sign_out_there(broker)

    assert door.summons == []
    assert len(door.refused) == 1
    assert broker.sessions.told[0][1] == 400


@pytest.mark.parametrize("lie", TAKEN)
def test_takes_logout_tokens_as_the_standard_allows(travel: Travel, broker: Broker, door: Door, lie: str) -> None:
    """2.4: `typ` is recommended only, a list of one audience is one, and `sub` may be left out beside `sid`."""
    identity = travel().go()
    broker.lie(lie)
    sign_out_there(broker)

    (summons,) = door.summons
    assert summons.names == identity.upstream_names[:1]
    # One that says it is never over is over for us in an hour: so long is its id remembered.
    assert summons.until <= door.clock.now() + timedelta(minutes=62)


def test_a_person_may_be_meant_with_all_their_sessions(travel: Travel, broker: Broker, door: Door) -> None:
    """2.7: without `sid` all sessions of that subject end."""
    identity = travel().go()
    broker.lie("logout_no_sid")
    sign_out_there(broker)

    assert door.summons[0].names == (f"sub:{identity.subject}",)
    assert door.summons[0].names[0] in identity.upstream_names


def test_the_same_token_again_has_the_same_id(travel: Travel, broker: Broker, door: Door) -> None:
    """B10: a replay is known by its id, which counts once across all workers until it is over."""
    travel().go()
    sign_out_there(broker)
    token = broker.sessions.logout_token(session_of(broker, travel()))
    message = Message(now=door.clock.now(), url=OUT, fields={"logout_token": token})

    assert door.provider.summoned(message).id == door.provider.summoned(message).id
    assert door.provider.summoned(message).id != door.summons[0].id
    door.clock.move(timedelta(minutes=4))
    with pytest.raises(Untrusted, match="over"):
        door.provider.summoned(replace(message, now=door.clock.now()))


def session_of(broker: Broker, there: Journey) -> SimSession:
    """Sign somebody in and return their session there."""
    there.go()
    return next(iter(broker.sessions._open.values()))


@pytest.mark.parametrize("lie", ["logout_wrong_state", "logout_no_state"])
def test_anothers_way_back_is_not_ours(travel: Travel, broker: Broker, door: Door, lie: str) -> None:
    """RP-Initiated Logout, 3: an answer with another `state`, or none, says nothing about this logout."""
    there = travel()
    going = leaving(there.go(), there.clock)
    broker.lie(lie)
    back = follow(there.provider.leave(going))

    with pytest.raises(Untrusted, match="another"):
        there.provider.left(going, b"", back)


def test_an_error_on_the_way_back_is_not_the_end(travel: Travel, clock: StoppedClock) -> None:
    """An upstream that says that it went wrong has not ended everything."""
    there = travel()
    going = leaving(there.go(), clock)

    wrong = Message(now=clock.now(), url=OUT, query=b"state=farewell-1&error=server_error")
    assert there.provider.left(going, b"", wrong) is False
    with pytest.raises(Untrusted):
        there.provider.left(going, b"", replace(wrong, query=b"state=" + b"x" * 5000))


def test_a_message_without_a_token_is_none(travel: Travel, clock: StoppedClock) -> None:
    """2.5: the token comes in a posted form; one in an address is not looked at."""
    with pytest.raises(Untrusted, match="no token"):
        travel().provider.summoned(Message(now=clock.now(), url=OUT, query=b"logout_token=x"))


def test_an_id_token_is_no_logout_token_nor_the_other_way_round(travel: Travel, broker: Broker, door: Door) -> None:
    """J13: each of the issuer's own tokens, genuine and in time, is refused where the other is due."""
    there = travel()
    identity = there.go()
    logout = broker.sessions.logout_token(session_of(broker, there))

    for token in (identity.upstream_logout, "", "x", f"{logout}.{logout}"):
        with pytest.raises(Untrusted):
            door.provider.summoned(Message(now=door.clock.now(), url=OUT, fields={"logout_token": str(token)}))
    client, metadata = there.provider._client, there.provider._client.metadata(there.clock.now())
    with pytest.raises(Untrusted, match="kind"):
        client._keys.verified(logout, metadata, there.clock.now())


def test_by_get_only_what_holds_no_number_is_in_the_address(
    travel: Travel, speak: Dialects, elsewhere: Elsewhere, clock: StoppedClock
) -> None:
    """Nets' ID token has no number and may be a hint in an address; Idura's has one and is left out."""
    for there, hinted in ((travel(end_session="get"), True), (speak("idura"), False)):
        gone = there.provider.leave(leaving(there.go(), clock))
        assert isinstance(gone, Redirect)
        query = dict(parse_qsl(urlsplit(gone.url).query))
        assert ("id_token_hint" in query) is hinted
        assert (query["state"], query["post_logout_redirect_uri"]) == ("farewell-1", OUT)


def test_by_get_it_ends_as_well(travel: Travel, broker: Broker, door: Door) -> None:
    """RP-Initiated Logout, 2: both methods are to be supported by the upstream."""
    there = travel(end_session="get")
    going = leaving(there.go(), there.clock)

    assert there.provider.left(going, b"", follow(there.provider.leave(going)))
    assert broker.sessions.people() == ()


def test_nothing_to_end_is_nothing(travel: Travel, broker: Broker, clock: StoppedClock) -> None:
    """With `end_session = "off"`, or an upstream that offers none or one elsewhere, nobody is sent anywhere."""
    identity = travel().go()
    assert travel(end_session="off").provider.leave(leaving(identity, clock)) is None

    for offered in (None, "https://elsewhere.example/end", "javascript:alert(1)", 7):
        broker.op.extra_metadata = {"end_session_endpoint": offered}
        assert travel().provider.leave(leaving(identity, clock)) is None
        assert travel().go().loa is identity.loa


def test_an_upstream_that_is_away_is_unreachable(travel: Travel, broker: Broker, clock: StoppedClock) -> None:
    """Who cannot be asked, or describes itself wrongly, is Unreachable: our own session is over by then."""
    going = leaving(travel().go(), clock)
    broker.faults.set("mitid", {"down": True})
    with pytest.raises(Unreachable):
        travel().provider.leave(going)

    broker.lie("discovery_issuer_mismatch")
    with pytest.raises(Unreachable):
        travel().provider.leave(going)


def test_a_wrong_setting_stops_the_start(clock: StoppedClock) -> None:
    """`end_session` is post, get or off."""
    with pytest.raises(ConfigError, match="end_session"):
        make("mitid", settings("https://broker.test", end_session="maybe"), means(clock))


def test_every_lie_is_told_in_some_test() -> None:
    """A lie nobody tests would be a door nobody watches."""
    assert {*REFUSED, *TAKEN, *ANSWERED} == LOGOUT_LIES
