"""Signing out with the Finnish Trust Network, where the broker has a session of its own; and our keys for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from idbroker.clock import StoppedClock
from idbroker.errors import Untrusted
from idbroker.keyfiles import KeyFiles
from idbroker.keyring import Keyring, ensure_keys
from idbroker.keyset import NEEDED, Use
from idbroker.providers import Leaving, Message, Post, Redirect
from idbroker.providers.ftn import CHAINS
from tests.conftest import NOW
from tests.providers.ftn_broker import Finland, finland
from tests.providers.upstream import OurKeys, means

OUT = "http://127.0.0.1:9/logout/ftn"


@pytest.fixture
def idura(clock: StoppedClock) -> Iterator[Finland]:
    """Serve a broker that offers an end of session."""
    with finland(clock, "idura") as there:
        yield there


def leaving(there: Finland) -> Leaving:
    """Sign somebody in, and have them sign out."""
    logout = there.go().upstream_logout
    assert logout is not None
    return Leaving(logout=logout, handle="farewell-1", return_url=OUT, language="fi", now=NOW)


def sessions(there: Finland) -> tuple[str, ...]:
    """Return who is signed in there."""
    return tuple(session.person for session in there.sessions._open.values())


def test_signing_out_here_ends_the_session_there(idura: Finland) -> None:
    """Core, 3.1.2.1: the hint is the signed token without its encryption; it holds the number, so it is posted."""
    provider, going = idura.provider(), leaving(idura)
    gone = provider.leave(going)

    assert isinstance(gone, Post)
    assert gone.fields["id_token_hint"].count(".") == 2
    assert sessions(idura) == ("aino",)
    back = requests.post(gone.action, data=dict(gone.fields), allow_redirects=False, timeout=5).headers["Location"]
    assert provider.left(going, gone.state, Message(now=NOW, url=back, query=back.partition("?")[2].encode()))
    assert sessions(idura) == ()


def test_the_number_comes_into_no_address(idura: Finland) -> None:
    """With `end_session = "get"` the ID token stays here, and with `off`, or nothing offered, so does the person."""
    going = leaving(idura)
    gone = idura.provider(end_session="get").leave(going)
    assert isinstance(gone, Redirect)
    assert "id_token_hint" not in gone.url

    assert idura.provider(end_session="off").leave(going) is None
    idura.op.extra_metadata = {**idura.op.extra_metadata, "end_session_endpoint": None}
    assert idura.provider().leave(going) is None


def test_logout_tokens_are_encrypted_too(idura: Finland) -> None:
    """Back-Channel Logout, 2.6: where ID tokens are encrypted, a logout token that is not is refused."""
    identity = idura.go()
    (session,) = idura.sessions._open.values()
    sealed = Message(now=NOW, url=OUT, fields={"logout_token": idura.sessions.logout_token(session)})
    assert idura.provider().summoned(sealed).names == identity.upstream_names[:1]

    for lie in ("unencrypted", "nested_json", "rsa1_5", "other_signer", "logout_with_nonce", "logout_no_event"):
        idura.lie(lie)
        token = idura.sessions.logout_token(session)
        with pytest.raises(Untrusted):
            idura.provider().summoned(replace(sealed, fields={"logout_token": token}))
    with pytest.raises(Untrusted):
        idura.provider().summoned(replace(sealed, fields={"logout_token": str(identity.upstream_logout)}))


class NoneLeft(OurKeys):
    """Keys that sign, and none that opens."""

    def decryption(self, _use: Use) -> tuple[()]:
        """Return none."""
        return ()


def test_without_our_key_nothing_opens(idura: Finland) -> None:
    """Our keys are asked for each time: where none is left, nothing is believed."""
    provider = idura.provider()
    provider._client._means = replace(means(idura.clock), keys=NoneLeft())

    with pytest.raises(Untrusted, match="does not open"):
        idura.go(provider)


def test_the_houses_own_keyring_will_do(idura: Finland, clock: StoppedClock, tmp_path: Path) -> None:
    """The keys that a first start makes for this provider sign what goes out and open what comes back."""
    store = KeyFiles(tmp_path / "keys")
    ensure_keys(store, clock, sandbox=True, chains=(*NEEDED, *CHAINS))
    keyring = Keyring(store, sandbox=True)
    idura.clients["us"] = replace(idura.clients["us"], jwks=lambda: json.loads(keyring.jwks().body))
    provider = idura.provider()
    provider._client._means = replace(means(clock), keys=keyring)

    assert idura.go(provider).number is not None
