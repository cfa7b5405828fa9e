"""Clients' keys: theirs alone, public, strong, and fetched without being made a weapon."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from idbroker.client import Client
from idbroker.oidc.client_keys import COOL_DOWN, FRESH, ClientKeys, read_keys
from tests.conftest import NOW
from tests.oidc.making import b64, make_client

JWKS_URI = "https://portal.example.org/jwks.json"


def public(*keys: Any, **changes: Any) -> dict[str, Any]:
    """Return a JWK set of public keys, each changed as told."""
    return {"keys": [{**key.as_dict(private=False), **changes} for key in keys]}


class Portal:
    """A portal's server: what it answers with, and how often it was asked."""

    def __init__(self, answer: bytes | Exception) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def fetch(self, url: str) -> bytes:
        """Answer."""
        self.asked.append(url)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def by_uri() -> Client:
    """Return a client whose keys are fetched."""
    return make_client(auth_method="private_key_jwt", jwks_uri=JWKS_URI)


# ---- what is a key set ---------------------------------------------------------------------------


def test_keys_by_kid(keys: dict[str, Any]) -> None:
    """Public signature keys are found by `kid`; without one only if there is a single key."""
    both = read_keys(public(keys["ES256"], keys["RS256"]))

    assert set(both) == {"es", "rs"}
    assert set(read_keys(public(keys["ES256"]))) == {"es", None}


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
def test_private_keys_are_refused(keys: dict[str, Any], alg: str) -> None:
    """A private key among them makes the whole set untrusted: anyone may have it (J17)."""
    with pytest.raises(ValueError, match="private"):
        read_keys({"keys": [*public(keys["PS256"])["keys"], keys[alg].as_dict(private=True)]})


@pytest.mark.parametrize("member", ["d", "p", "q", "dp", "dq", "qi", "k", "oth"])
def test_private_members_are_refused(keys: dict[str, Any], member: str) -> None:
    """Even one private member, whatever its value."""
    with pytest.raises(ValueError, match="private"):
        read_keys(public(keys["RS256"], **{member: "AA"}))


def test_symmetric_keys_are_refused(keys: dict[str, Any]) -> None:
    """A published secret is no secret (J17)."""
    for oct_key in (OctKey.generate_key(256).as_dict(), {"kty": "oct"}, {"kty": "oct", "k": ""}):
        with pytest.raises(ValueError, match="symmetric"):
            read_keys({"keys": [keys["ES256"].as_dict(private=False), oct_key]})


def test_a_kid_twice_is_refused(keys: dict[str, Any]) -> None:
    """Two keys of one name, or two without any, are ambiguous (J4)."""
    other = ECKey.generate_key("P-256", {"kid": "es"})
    nameless = [{k: v for k, v in key.items() if k != "kid"} for key in public(keys["ES256"], other)["keys"]]

    for listed in (public(keys["ES256"], other)["keys"], nameless):
        with pytest.raises(ValueError, match="twice"):
            read_keys({"keys": listed})


@pytest.mark.parametrize("kid", [1, [], {}, True])
def test_kid_must_be_text(keys: dict[str, Any], kid: Any) -> None:
    """A `kid` of another type is refused, not a fault of ours."""
    with pytest.raises(ValueError, match="kid"):
        read_keys(public(keys["ES256"], kid=kid))


@pytest.mark.parametrize("document", [{}, {"keys": None}, {"keys": {}}, {"keys": [1]}, {"keys": ["x"]}, {"keys": [[]]}])
def test_what_is_no_key_set(document: dict[str, Any]) -> None:
    """Anything but a list of objects is refused."""
    with pytest.raises(ValueError, match=r"key"):
        read_keys(document)


def test_ten_thousand_keys(keys: dict[str, Any]) -> None:
    """A set of more than 32 keys is refused unread (J17)."""
    with pytest.raises(ValueError, match="size"):
        read_keys(public(*[keys["RS256"]] * 10_000))


@pytest.mark.parametrize(
    "unusable",
    [
        {"kty": "AKP", "kid": "x", "alg": "ML-DSA-44", "pub": "AA"},
        {"kid": "x"},
        {"kty": "EC", "crv": "made-up", "x": "AA", "y": "AA", "kid": "x"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "x"},
        {"kty": "EC", "kid": "x"},
        {"kty": "RSA", "n": 1, "e": [], "kid": "x"},
        {"kty": "OKP", "crv": "X25519", "x": b64(b"\x09" + b"\x00" * 31), "kid": "x"},
        {"kty": "RSA", "use": "enc", "n": "AQAB", "e": "AQAB", "kid": "x"},
    ],
)
def test_keys_of_no_use_are_passed_over(keys: dict[str, Any], unusable: dict[str, Any]) -> None:
    """A key we do not understand does not spoil those we do (RFC 7517, 5)."""
    assert set(read_keys({"keys": [unusable, *public(keys["ES256"])["keys"]]})) == {"es", None}


def numbers(n: int, e: int) -> dict[str, Any]:
    """Return an RSA key of these numbers, padded to look long."""
    octets = n.to_bytes(max(256, (n.bit_length() + 7) // 8), "big")
    return {"keys": [{"kty": "RSA", "n": b64(octets), "e": b64(b"\x00" + e.to_bytes(8, "big")), "kid": "x"}]}


@pytest.mark.filterwarnings("ignore:Key size should be:UserWarning")  # joserfc says it too
def test_weak_keys_are_passed_over(keys: dict[str, Any]) -> None:
    """RSA under 2048 bits, tiny or huge exponents and other curves are not used, however they are written (J11)."""
    n = keys["RS256"].public_key.public_numbers().n
    weak = [
        numbers(n >> 1024 | 1, 65537),
        numbers(n, 1),
        numbers(n, 3),
        numbers(n, 2**33 + 1),
        numbers(n << 8000 | 1, 65537),
    ]
    weak += [public(ECKey.generate_key(curve)) for curve in ("P-384", "P-521", "secp256k1")]

    assert [read_keys(document) for document in weak] == [{}] * len(weak)
    assert set(read_keys(numbers(n, 65537))) == {"x", None}


# ---- whose key it is -----------------------------------------------------------------------------


def test_only_within_the_clients_own(keys: dict[str, Any]) -> None:
    """The `kid` of another client's key finds nothing (J4)."""
    known = ClientKeys(Portal(b"").fetch)
    mine = make_client(id="mine", jwks=public(keys["ES256"]))
    theirs = make_client(id="theirs", jwks=public(keys["EdDSA"], keys["RS256"]))

    assert known.finder(theirs, NOW)("ed", "EdDSA") is not None
    assert known.finder(mine, NOW)("ed", "EdDSA") is None
    assert known.finder(mine, NOW)("es", "ES256") is not None


def test_algorithm_fits_the_kind(keys: dict[str, Any]) -> None:
    """A key is found only for an algorithm of its kind (J2)."""
    find = ClientKeys(Portal(b"").fetch).finder(make_client(jwks=public(keys["ES256"], keys["RS256"])), NOW)

    assert [find("es", alg) is not None for alg in ("ES256", "RS256", "PS256", "EdDSA")] == [True, False, False, False]
    assert [find("rs", alg) is not None for alg in ("ES256", "RS256", "PS256", "EdDSA")] == [False, True, True, False]


def test_changed_registration_counts_at_once(keys: dict[str, Any]) -> None:
    """Keys that were taken out of a registration are gone."""
    known = ClientKeys(Portal(b"").fetch)

    assert known.finder(make_client(jwks=public(keys["ES256"])), NOW)("es", "ES256") is not None
    assert known.finder(make_client(jwks=public(keys["EdDSA"])), NOW)("es", "ES256") is None


# ---- fetching ------------------------------------------------------------------------------------


def test_fetched_once_while_fresh(keys: dict[str, Any], by_uri: Client) -> None:
    """A set is fetched at its first use and kept ten minutes."""
    portal = Portal(json.dumps(public(keys["ES256"])).encode())
    known = ClientKeys(portal.fetch)
    for later in (timedelta(), FRESH - timedelta(seconds=1)):
        assert known.finder(by_uri, NOW + later)("es", "ES256") is not None
    assert portal.asked == [JWKS_URI]

    known.finder(by_uri, NOW + FRESH)("es", "ES256")
    assert len(portal.asked) == 2


def test_rotation_is_followed(keys: dict[str, Any], by_uri: Client) -> None:
    """An unknown `kid` makes us look again: the client may have rotated (Core 10.1.1)."""
    portal = Portal(json.dumps(public(keys["ES256"])).encode())
    known = ClientKeys(portal.fetch)
    known.finder(by_uri, NOW)("es", "ES256")
    portal.answer = json.dumps(public(keys["EdDSA"])).encode()

    assert known.finder(by_uri, NOW + COOL_DOWN)("ed", "EdDSA") is not None
    assert known.finder(by_uri, NOW + COOL_DOWN)("es", "ES256") is None


def test_made_up_kids_do_not_make_us_a_weapon(keys: dict[str, Any], by_uri: Client) -> None:
    """However many unknown kids come, we ask once in thirty seconds (J4)."""
    portal = Portal(json.dumps(public(keys["ES256"], keys["EdDSA"])).encode())
    known = ClientKeys(portal.fetch)
    for n in range(100):
        assert known.finder(by_uri, NOW + timedelta(milliseconds=n))(f"kid-{n}", "ES256") is None

    assert len(portal.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        OSError("away"),
        b"",
        b"<html>",
        b"[]",
        b"\xff",
        b'{"keys":' + b"[" * 100_000,
        b'{"keys":[],"keys":[]}',
        b'{"keys":[{"kty":"oct","k":"AA"}]}',
    ],
)
def test_their_server_is_away(keys: dict[str, Any], by_uri: Client, answer: bytes | Exception) -> None:
    """While their server is away or answers nonsense, the last good keys go on; at first there are none."""
    portal = Portal(answer)
    assert ClientKeys(portal.fetch).finder(by_uri, NOW)("es", "ES256") is None

    known = ClientKeys(portal.fetch)
    portal.answer = json.dumps(public(keys["ES256"])).encode()
    known.finder(by_uri, NOW)("es", "ES256")
    portal.answer = answer
    assert known.finder(by_uri, NOW + 2 * FRESH)("es", "ES256") is not None


def all_at_once(times: int, ask: Callable[[], object]) -> list[object]:
    """Return what so many threads are told that ask at the same time."""
    barrier = threading.Barrier(times)

    def asks() -> object:
        barrier.wait()
        return ask()

    with ThreadPoolExecutor(times) as pool:
        return [future.result() for future in [pool.submit(asks) for _ in range(times)]]


def test_many_at_once_ask_once(keys: dict[str, Any], by_uri: Client) -> None:
    """Twenty first requests at once: one fetch, and all of them get the key."""
    portal = Portal(json.dumps(public(keys["ES256"])).encode())
    find = ClientKeys(portal.fetch).finder(by_uri, NOW)

    assert all(all_at_once(20, lambda: find("es", "ES256")))
    assert len(portal.asked) == 1


def test_a_slow_server_holds_up_one(keys: dict[str, Any], by_uri: Client) -> None:
    """While one thread waits for the client's slow server, others go on with the keys there are."""
    portal = Portal(json.dumps(public(keys["ES256"])).encode())
    asked_again, let_go = threading.Event(), threading.Event()

    def slow(url: str) -> bytes:
        if portal.asked:
            asked_again.set()
            assert let_go.wait(10)
        return portal.fetch(url)

    known = ClientKeys(slow)
    known.finder(by_uri, NOW)("es", "ES256")
    later = known.finder(by_uri, NOW + FRESH)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(later, "es", "ES256")
        assert asked_again.wait(10)
        assert later("es", "ES256") is not None
        assert not waiting.done()
        let_go.set()
        assert waiting.result() is not None


def test_rsa_keys_verify_both_ways(keys: dict[str, Any]) -> None:
    """An RSA key without `alg` serves RS256 and PS256, as RFC 7517 allows."""
    key = read_keys(public(keys["RS256"]))["rs"]

    assert isinstance(key, RSAKey)
    assert key.alg is None
