"""A hostile broker of the network: wrongly encrypted, wrong inside (standards J1-J12), over real HTTP."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import RSAKey
from joserfc.util import urlsafe_b64encode

from idbroker.clock import StoppedClock
from idbroker.errors import ProviderError, Refused, Untrusted
from idbroker.identity import LoA
from idbroker.providers._oidc import Encryption
from idbroker.providers._oidc.encrypted import open_nested
from idbroker.sandbox.ftn_lies import FTN_LIES
from idbroker.sandbox.op_lies import LIES
from tests.conftest import NOW
from tests.providers.ftn_broker import Finland, finland
from tests.providers.test_oidc import UNTRUSTED as WRONG_INSIDE
from tests.providers.test_oidc_tokens import json_values

ENCRYPTED_WRONGLY = [
    "unencrypted",
    "stranger_key",
    "stranger_key_our_kid",
    "rsa1_5",
    "jwe_other_enc",
    "jwe_crit",
    "zip",
    "zip_bomb",
    "dir",
    "pbes2",
    "nested_json",
    "nested_text",
    "double_encrypted",
    "cut_tag",
    "changed_text",
]
LEVELS = ["wrong_acr", "unknown_ftn_acr", "test_acr", "list_acr", "missing_acr"]
ACCEPTED = ["jwe_oaep_256", "jwe_gcm", "jwe_gcm_128", "jwe_no_kid", "jwe_other_kid", "eidas_acr"]
# The level is asked in another claim than MitID's, nothing of this broker's is fetched at userinfo, and a broker
# with one key need not name it.
ELSEWHERE = {"missing_level", "unknown_level", "two_levels", "bad_birthdate", "foreign_endpoints", "no_kid"}
INSIDE = sorted(lie for lie in WRONG_INSIDE if lie not in ELSEWHERE and "userinfo" not in lie)
OPENED = Encryption(keys=("RSA-OAEP",), contents=("A128CBC-HS256",))
KEYS = tuple((name, generate_private_key(65537, 2048)) for name in ("new", "old"))


@pytest.fixture(scope="module")
def served() -> Iterator[Finland]:
    """Serve one broker for all lies: its keys take long to make."""
    with finland(StoppedClock(NOW)) as there:
        yield there


@pytest.fixture
def telia(served: Finland) -> Iterator[Finland]:
    """Give it, honest; each test has a provider of its own."""
    served.faults.clear()
    yield served
    served.faults.clear()
    served.clock.move(timedelta(hours=2))


@pytest.mark.parametrize("lie", ENCRYPTED_WRONGLY)
def test_takes_only_what_is_signed_inside_what_is_encrypted_to_us(telia: Finland, lie: str) -> None:
    """J7, J8, J9: unencrypted, weakly, packed, by password, to another, or with nothing signed inside: Untrusted."""
    telia.lie(lie)

    with pytest.raises(Untrusted, match=r"encrypted|key|token"):
        telia.go()


def test_a_bomb_is_not_unpacked(telia: Finland) -> None:
    """J7: thirty megabytes in thirty kilobytes cost nothing: the header is refused before anything is opened."""
    telia.lie("zip_bomb")
    provider = telia.provider()
    begun = time.process_time()

    with pytest.raises(Untrusted, match="packed"):
        telia.go(provider)
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("lie", INSIDE)
def test_believes_no_lie_inside(telia: Finland, lie: str) -> None:
    """J1-J6, J12, B1-B5: what is wrong with a token is wrong inside an encrypted one, too."""
    telia.lie(lie)

    with pytest.raises(Untrusted):
        telia.go()


def test_another_keys_signature_is_refused(telia: Finland) -> None:
    """B5: the right header, the right claims, RS256 by a key that is not the broker's."""
    telia.lie("other_signer")

    with pytest.raises(Untrusted, match="signature"):
        telia.go()


def test_only_rs256_signs(telia: Finland) -> None:
    """The network signs by RS256: another algorithm of the same broker is not taken (RFC 8725, 3.1)."""
    telia.op.extra_metadata = {**telia.op.extra_metadata, "id_token_signing_alg_values_supported": ["ES256"]}

    with pytest.raises(Untrusted, match="algorithm"):
        telia.go()
    telia.op.extra_metadata = {**telia.op.extra_metadata, "id_token_signing_alg_values_supported": ["RS256"]}


@pytest.mark.parametrize("lie", LEVELS)
def test_an_unknown_level_is_none(telia: Finland, lie: str) -> None:
    """A level that is missing, unknown, of the test network or no text is not believed."""
    telia.lie(lie)

    with pytest.raises(Untrusted):
        telia.go()


def test_a_low_level_is_refused(telia: Finland) -> None:
    """EIDAS low is low."""
    telia.lie("low_acr")

    with pytest.raises(Refused, match="got low"):
        telia.go()


@pytest.mark.parametrize("lie", ACCEPTED)
def test_accepts_what_the_settings_allow(telia: Finland, lie: str) -> None:
    """Other sound algorithms, a key id left out or not ours, and eIDAS levels are fine."""
    telia.lie(lie)

    assert telia.go().loa is LoA.SUBSTANTIAL


@pytest.mark.parametrize("lie", ["jwe_oaep_256", "jwe_gcm", "jwe_gcm_128"])
def test_the_settings_may_allow_less(telia: Finland, lie: str) -> None:
    """With only the profile's own two algorithms, no other opens."""
    telia.lie(lie)

    with pytest.raises(Untrusted, match="algorithm"):
        telia.go(telia.provider(key_encryption=("RSA-OAEP",), content_encryption=("A128CBC-HS256",)))


def test_userinfo_is_encrypted_too(telia: Finland) -> None:
    """The profile encrypts userinfo as well: plain or only signed, it is refused."""
    provider = telia.provider(userinfo=True)
    assert telia.go(provider).number is not None

    for lie in ("plain_userinfo", "unencrypted_userinfo"):
        telia.lie(lie)
        with pytest.raises(Untrusted, match="encrypted"):
            telia.go(provider)


@pytest.mark.parametrize(("dialect", "claim"), [("idura", "identityscheme"), ("signicat", "ftn_idp")])
def test_no_level_without_the_network(dialect: str, claim: str) -> None:
    """A broker that tells no level must say that the network proved the person; a wrong level is still wrong."""
    with finland(StoppedClock(NOW), dialect) as there:
        assert there.go().loa is LoA.SUBSTANTIAL
        for lie in ("wrong_acr", "unknown_ftn_acr"):
            there.lie(lie)
            with pytest.raises(Untrusted, match="level"):
                there.go()
        there.lie(f"missing_{claim}")
        with pytest.raises(Untrusted, match="level"):
            there.go()


def test_every_lie_is_told_in_some_test() -> None:
    """A lie nobody tests would be a door nobody watches."""
    elsewhere = {"low_acr", "other_signer", "plain_userinfo", "unencrypted_userinfo"}
    named = {"missing_identityscheme", "missing_ftn_idp"}

    assert {*ENCRYPTED_WRONGLY, *LEVELS, *ACCEPTED, *elsewhere, *named} == FTN_LIES - LIES


def closed(header: dict[str, str], plain: bytes, name: str = "new") -> str:
    """Return something encrypted to one of our keys."""
    public = dict(KEYS)[name].public_key()
    return jwe.encrypt_compact({"alg": "RSA-OAEP", "enc": "A128CBC-HS256", **header}, plain, RSAKey(public, public))


def test_opens_by_name_or_by_trying() -> None:
    """The key that is named opens it; where none of ours is named, any may; a wrong name of ours opens nothing."""
    assert open_nested(closed({"kid": "old"}, b"a.b.c", "old"), OPENED, KEYS) == "a.b.c"
    assert open_nested(closed({}, b"a.b.c", "old"), OPENED, KEYS) == "a.b.c"
    assert open_nested(closed({"kid": "theirs"}, b"a.b.c", "old"), OPENED, KEYS) == "a.b.c"

    with pytest.raises(Untrusted, match="does not open"):
        open_nested(closed({"kid": "new"}, b"a.b.c", "old"), OPENED, KEYS)
    with pytest.raises(Untrusted, match="does not open"):
        open_nested(closed({}, b"a.b.c"), OPENED, ())


@given(place=st.integers(0, 10_000), letter=st.sampled_from("AQgwxyz09-_"))
def test_no_change_of_a_letter_opens_to_something_else(place: int, letter: str) -> None:
    """Whatever letter is changed, what opens is what was closed, or nothing."""
    place %= len(CLOSED)

    with suppress(Untrusted):
        assert open_nested(CLOSED[:place] + letter + CLOSED[place + 1 :], OPENED, KEYS) == "a.b.c"


@given(name=st.sampled_from(["alg", "enc", "kid", "zip", "crit", "typ", "p2c"]), value=json_values)
def test_no_header_crashes_the_opener(name: str, value: object) -> None:
    """Whatever a header's members are, the answer is Untrusted."""
    header = json.dumps({"alg": "RSA-OAEP", "enc": "A128CBC-HS256", name: value}).encode()
    with pytest.raises(Untrusted):
        open_nested(urlsafe_b64encode(header).decode() + ".AA.AA.AA.AA", OPENED, KEYS)


letters = st.text(alphabet='AZaz09-_.={}"ø', max_size=200)
pieces = st.lists(st.sampled_from(["e30", "", "AA", "eyJ9"]), max_size=7).map(".".join)


@given(letters | pieces)
def test_nothing_crashes_the_opener(token: str) -> None:
    """Whatever stands where an encrypted token should, the answer is Untrusted."""
    with pytest.raises(Untrusted):
        open_nested(token, OPENED, KEYS)


def test_all_failures_of_our_key_look_alike() -> None:
    """A wrong key, a changed key, text or tag are told by the same words: a difference would be an oracle."""
    head, key, start, text, tag = CLOSED.split(".")
    told = set()
    for wrong in (
        (head, key[::-1], start, text, tag),
        (head, key, start, text[::-1], tag),
        (head, key, start, text, tag[::-1]),
        (head, "", start, text, tag),
        (head, key, "", text, tag),
        (head, key, start, text, ""),
    ):
        with pytest.raises(Untrusted) as stopped:
            open_nested(".".join(wrong), OPENED, KEYS)
        told.add(str(stopped.value))

    assert told == {"encrypted: does not open"}


def test_logs_tell_no_secrets(telia: Finland, caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG too, no log line has a number or a name, of an answer that is believed or of one that is not."""
    caplog.set_level(logging.DEBUG)
    identity = telia.go()
    telia.lie("wrong_nonce")
    with pytest.raises(ProviderError) as stopped:
        telia.go()

    aino = telia.people["aino"]
    said = [caplog.text, repr(identity), str(stopped.value)]
    assert not [text for text in said if str(aino.number) in text or aino.given_name in text]


CLOSED = closed({"kid": "new"}, b"a.b.c")
