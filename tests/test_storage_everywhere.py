"""The whole broker on every store: it works, nothing readable lies there, and it says so when one is away."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import psycopg
import pytest
import redis
import requests

from idbroker.app import open_keys
from idbroker.clock import StoppedClock
from idbroker.keyring import carry_out
from idbroker.keyset import Rules, Use
from idbroker.rotation import plan_rotation
from idbroker.sandbox.people import SimPerson
from tests import servers
from tests.door import SECRET, Browser, Door, answer_of, at_once, authorize_url, form_of, open_door, words_of

SCOPE = "openid profile national_number offline_access"
KINDS = ("sqlite/sqlite", "redis/sqlite", "redis/postgresql", "sqlite/postgresql")
PUBLIC: dict[str, Any] = {
    "auth_method": "none",
    "secret_digests": [],
    "scopes": ["openid", "profile", "offline_access"],
    "national_number": False,
    "refresh": "rotate",
}


@pytest.fixture
def redis_database(redis_url: str) -> Iterator[str]:
    """Give a database of its own on the run's Redis, emptied afterwards."""
    url = redis_url.removesuffix("/0") + "/9"
    yield url
    with redis.Redis.from_url(url) as store:
        store.flushdb()


@pytest.fixture(params=KINDS)
def stores(request: pytest.FixtureRequest) -> dict[str, str]:
    """Give the addresses of a pair of stores."""
    transient, _, durable = request.param.partition("/")
    chosen = {}
    if transient == "redis":
        chosen["transient"] = request.getfixturevalue("redis_database")
    if durable == "postgresql":
        chosen["durable"] = request.getfixturevalue("postgres_database")
    return chosen


@pytest.fixture
def door(stores: dict[str, str], tmp_path: Path, clock: StoppedClock) -> Iterator[Door]:
    """Open the broker on them."""
    with open_door(tmp_path, clock, store=stores, clients={"public": PUBLIC}) as opened:
        yield opened


def contents(door: Door, stores: dict[str, str]) -> bytes:
    """Return everything that lies in the stores, as it lies there."""
    parts = [file.read_bytes() for file in sorted(door.folder.glob("var/*"))]
    if "transient" in stores:
        with redis.Redis.from_url(stores["transient"]) as store:
            parts += [key + store.dump(key) for key in store.scan_iter()]
    if "durable" in stores:
        with psycopg.connect(stores["durable"].replace("+psycopg", "")) as connection:
            names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            rows = [row for (name,) in names for row in connection.execute(f'SELECT t::text FROM "{name}" t')]  # noqa: S608
        texts = [str(row[0]) for row in rows]
        # Octets are shown in hexadecimal: read those too.
        parts += [text.encode() for text in texts]
        parts += [bytes.fromhex(octets) for text in texts for octets in re.findall(r"\\x([0-9a-f]+)", text)]
    return b"\n".join(parts)


def given_away(person: SimPerson) -> list[bytes]:
    """Return what must not be found, each as it could be written."""
    born = person.born
    texts = [person.number or "?", person.name, person.given_name, person.family_name, born.isoformat()]
    texts += [f"{born:%Y%m%d}", f"{born:%d%m%y}"]
    codings = ("utf-8", "utf-16-le", "latin-1", "unicode_escape")
    return [text.encode(coding) for text in texts for coding in codings]


def test_a_whole_life_on_every_store(door: Door, stores: dict[str, str]) -> None:
    """Sign-in, single sign-on, refresh, rotation, replay, logout: the same on SQLite, Redis and PostgreSQL."""
    browser = door.browser()
    tokens = door.signed_in(browser, scope=SCOPE)
    assert door.userinfo(tokens["access_token"]).json()["national_number"] == door.people["anna"].number
    assert "code" in answer_of(browser.fetch(authorize_url(prompt="none")))
    renewed = door.refresh(tokens["refresh_token"]).json()
    assert door.userinfo(renewed["access_token"]).status_code == 200

    code = browser.sign_in(client_id="public", scope="openid offline_access")["code"]
    first = door.redeem(code, auth=None, client_id="public").json()
    second = door.refresh(first["refresh_token"], auth=None, client_id="public").json()
    assert door.refresh(first["refresh_token"], auth=None, client_id="public").json()["error"] == "invalid_grant"
    assert door.refresh(second["refresh_token"], auth=None, client_id="public").json()["error"] == "invalid_grant"

    browser.get(f"/logout?id_token_hint={tokens['id_token']}")
    assert door.userinfo(renewed["access_token"]).status_code == 401
    assert door.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert answer_of(browser.fetch(authorize_url(prompt="none")))["error"] == "login_required"
    assert requests.get(f"{door.issuer}/readyz", timeout=5).status_code == 200


def test_one_code_at_once_on_every_store(door: Door) -> None:
    """A4: of twenty redemptions at once exactly one succeeds, whatever the store."""
    code = door.browser().sign_in()["code"]
    statuses = sorted(answer.status_code for answer in at_once(20, lambda: door.redeem(code)))

    assert statuses == [200] + [400] * 19


def test_nothing_readable_lies_in_any_store(door: Door, stores: dict[str, str]) -> None:
    """No number, name or birth date, no code, token or cookie can be read by whoever reads a store."""
    browser = door.browser()
    waiting = browser.authorize()
    tokens = door.signed_in(browser, scope=SCOPE)
    unredeemed = browser.sign_in("susan", prompt="login", scope=SCOPE)["code"]
    secrets = [tokens["access_token"], tokens["refresh_token"], unredeemed, form_of(waiting).hidden["_n"]]
    secrets += [cookie.value or "?" for cookie in browser.session.cookies if cookie.name == "s"]

    lying = contents(door, stores)

    assert len(lying) > 1000
    for name in ("anna", "susan"):
        assert not [found for found in given_away(door.people[name]) if found in lying]
    for secret in secrets:
        for part in secret.split("."):
            assert len(part) < 30 or part.encode() not in lying


def test_odd_names_on_every_store(door: Door) -> None:
    """A12: names that no database takes as text (NUL, half a pair, much) are simply unknown."""
    for cookie in (b'"1.x.da.\\000"', b"1.x.da.\xed\xa0\x80", b"1.x.da." + b"x" * 300, b'"1.x.da.\\377"'):
        page = requests.get(
            f"{door.issuer}/t/aaaaaaaaaaaaaaaaaaaaaa/choose", headers={"Cookie": b"t-aaaaaaaa=" + cookie}, timeout=5
        )
        assert page.status_code == 410
    for path in (
        "/authorize?client_id=%F0%9F%A6%86",
        "/logout?client_id=%E2%80%AE",
        "/callback/mitid?state=" + "é" * 22,
    ):
        assert requests.get(f"{door.issuer}{path}", timeout=5).status_code in (200, 400, 410)


# ---- a store that is away ------------------------------------------------------------------------


def assert_down(page: requests.Response) -> None:
    """Check that a person gets a page that says so, with a code and no parts of ours."""
    assert (page.status_code, page.headers["Content-Type"]) == (503, "text/html; charset=utf-8")
    assert "You cannot log in right now" in words_of(page)
    assert "Give the code" in words_of(page)
    assert "Traceback" not in page.text
    assert int(page.headers["Retry-After"]) > 0


def assert_busy(answer: requests.Response) -> None:
    """Check that a program is told to come again."""
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert int(answer.headers["Retry-After"]) > 0


def test_redis_goes_away(tmp_path: Path, clock: StoppedClock) -> None:
    """X1: Redis stops in the middle of a sign-in: 503 for people and programs, never a fault."""
    folder = tmp_path / "redis"
    folder.mkdir()
    with contextlib.ExitStack() as running:
        url = running.enter_context(servers.redis_server(folder))
        with open_door(tmp_path, clock, store={"transient": url}) as door:
            browser = door.browser("en")
            tokens = door.signed_in(browser, scope=SCOPE)
            code = browser.sign_in()["code"]
            choice = browser.authorize(prompt="login")
            mitid = browser.press(choice, provider="mitid")
            running.close()

            assert_down(browser.fetch(authorize_url()))
            assert_down(browser.fetch(choice.url))
            assert_down(browser.press(choice, provider="mitid"))
            assert_down(browser.press(mitid, person="anna", outcome="approve"))
            assert_down(browser.fetch("/logout"))
            assert_busy(door.redeem(code))
            assert_busy(door.userinfo(tokens["access_token"]))
            assert_busy(door.post("/introspect", {"token": tokens["access_token"]}))
            assert [health(door, path) for path in ("/healthz", "/readyz", "/jwks.json", "/help")] == [
                200,
                503,
                200,
                200,
            ]


def test_postgresql_goes_away(tmp_path: Path, clock: StoppedClock) -> None:
    """X1: PostgreSQL stops while somebody is at MitID: 503, not ready, and a retry leads back to the choice at once."""
    with contextlib.ExitStack() as running:
        server = running.enter_context(servers.postgres_server())
        made = running.enter_context(servers.postgres_database(server, "away"))
        with open_door(tmp_path, clock, store={"durable": made}) as door:
            browser = door.browser("en")
            tokens = door.signed_in(browser, scope=SCOPE)
            page = browser.press(browser.authorize(prompt="login"), provider="mitid")
            with contextlib.suppress(psycopg.Error):
                running.close()
            failed = browser.press(page, person="anna", outcome="approve")
            began = time.monotonic()
            again = browser.get(failed.url)

            assert_down(failed)
            assert "How do you want to log in?" in words_of(again)
            assert time.monotonic() - began < 5
            assert_busy(door.refresh(tokens["refresh_token"]))
            assert_busy(door.post("/revoke", {"token": tokens["refresh_token"]}))
            assert_down(browser.fetch(authorize_url(client_id="stored-client")))
            assert [health(door, path) for path in ("/healthz", "/readyz", "/jwks.json")] == [200, 503, 200]


def health(door: Door, path: str) -> int:
    """Return the status of a path."""
    return requests.get(f"{door.issuer}{path}", timeout=15).status_code


# ---- keys that change ----------------------------------------------------------------------------


def eventually(ask: Callable[[], bool]) -> bool:
    """Ask until the answer is yes, for five seconds at most: workers follow a change of keys within one."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        if ask():
            return True
    return False


def rotate(door: Door) -> None:
    """Do what `idbroker keys rotate` does, as another process would."""
    keys = open_keys(door.house.settings, door.folder)
    plan = plan_rotation(keys.load(), Rules(), door.clock.now(), Use.OIDC_SIGN)
    carry_out(keys, plan, "tester", door.clock.now())


def kid(token: str) -> str:
    """Return which key signed."""
    return str(jwt.get_unverified_header(token)["kid"])


def verified(door: Door, keys: jwt.PyJWKSet, token: str) -> dict[str, Any]:
    """Verify an ID token as a portal that keeps a key set does."""
    options: Any = {"verify_exp": False, "verify_iat": False}
    claims: dict[str, Any] = jwt.decode(
        token, keys[kid(token)], algorithms=["ES256"], audience="portal", issuer=door.issuer, options=options
    )
    return claims


def key_set(door: Door) -> jwt.PyJWKSet:
    """Fetch the key set."""
    return jwt.PyJWKSet.from_dict(requests.get(f"{door.issuer}/jwks.json", timeout=5).json())


def test_keys_rotate_under_way(tmp_path: Path, clock: StoppedClock) -> None:
    """A rotation while people sign in: a portal that fetches the keys once a day verifies all tokens."""
    with open_door(tmp_path, clock) as door:
        browser = door.browser()
        before = door.signed_in(browser, scope=SCOPE)
        kept = key_set(door)  # the portal keeps this for a day
        clock.move(timedelta(hours=24, minutes=20))
        under_way = browser.press(browser.authorize(), provider="mitid")
        rotate(door)
        assert eventually(lambda: kid(door.signed_in()["id_token"]) != kid(before["id_token"]))
        answer = answer_of(browser.press(under_way, person="anna", outcome="approve"))
        after = door.redeem(answer["code"]).json()
        assert verified(door, kept, after["id_token"])["sub"] == verified(door, kept, before["id_token"])["sub"]
        renewed = door.refresh(before["refresh_token"]).json()

        assert kid(renewed["id_token"]) == kid(after["id_token"]) != kid(before["id_token"])
        assert "code" in browser.sign_in(id_token_hint=before["id_token"])
        assert door.post("/introspect", {"token": renewed["access_token"]}, auth=("portal", SECRET)).json()["active"]
        assert answer_of(Browser(issuer=door.issuer).fetch(authorize_url(prompt="none")))["error"] == "login_required"
