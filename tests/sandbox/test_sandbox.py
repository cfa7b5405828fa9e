"""The sandbox starts with nothing, tells scripts what they need, and keeps strangers out."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests

from idbroker.errors import OperatorError
from idbroker.sandbox.command import check_host
from idbroker.sandbox.people import SimPerson
from idbroker.sandbox.world import check_cast
from tests.conftest import NOW
from tests.sandbox.running import COMMAND, PATIENCE, ROOT, Browser, Sandbox, environment, started

LOOPBACK_REDIRECT = {"redirect_uris": ["http://localhost:5000/callback"]}


# ---- starting and stopping ---------------------------------------------------------------------------


def test_ready_line(sandbox: Sandbox) -> None:
    """The first line on stdout is JSON that names issuer, api, inbox and portals, and all of them answer (X-5)."""
    ready = sandbox.ready

    assert ready["ready"] is True
    portals = {"aleris", "patientportalen", "minhalsa", "neuroreg", "videovisit", "havnens", "alerisapp"}
    assert set(ready["portals"]) == portals
    for address in (ready["issuer"], ready["inbox"], f"{ready['api']}/people", *ready["portals"].values()):
        assert requests.get(address, timeout=PATIENCE).status_code == 200
    found = requests.get(f"{ready['issuer']}/.well-known/openid-configuration", timeout=PATIENCE).json()
    assert found["issuer"] == ready["issuer"]


@pytest.mark.parametrize(("by", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_ends(by: signal.Signals, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends cleanly and leaves nothing behind: 0 after SIGTERM, 130 after Ctrl-C."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    with started() as sandbox:
        assert list(tmp_path.iterdir())
        assert sandbox.stop(by) == code

    assert list(tmp_path.iterdir()) == []


def test_two_at_once(sandbox: Sandbox) -> None:
    """Two sandboxes run beside each other, each with its own people's logins (X-6)."""
    with started() as other:
        assert other.issuer != sandbox.issuer
        assert other.call("GET", "people").status_code == 200

        assert other.stop() == 0


def test_busy_port() -> None:
    """A port that is busy gives way to the next free one, and the first line says so."""
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        command = [*COMMAND, "--port", str(port)]
        with subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            lines: list[str] = []
            while not lines or not lines[-1].startswith("ready in"):
                line = process.stdout.readline()
                assert line, "the sandbox ended"
                lines.append(line)
            process.terminate()
            process.wait(PATIENCE)

    assert f"port {port} is busy" in lines[0]
    assert not any(f"localhost:{port}" in line for line in lines)
    assert any("Start here" in line for line in lines)


@pytest.mark.parametrize(("host", "code"), [("0.0.0.0", 3), ("192.0.2.1", 3), ("example", 2)])  # noqa: S104
def test_refuses_open_hosts(host: str, code: int) -> None:
    """Addresses that others can reach are refused, unless somebody says that this is known."""
    with pytest.raises(OperatorError) as refused:
        check_host(host, open_=False)

    assert refused.value.exit_code == code


def test_known_open_host() -> None:
    """With --i-know-this-is-open any address may be listened on, as a container has to."""
    check_host("0.0.0.0", open_=True)  # noqa: S104


def test_keeps_data(tmp_path: Path) -> None:
    """With --data the registered portals outlive a restart."""
    with started("--data", str(tmp_path)) as first:
        client = first.call("POST", "clients", LOOPBACK_REDIRECT).json()["client_id"]
        assert first.stop() == 0

    with started("--data", str(tmp_path)) as second:
        told = second.call("POST", "clients", {**LOOPBACK_REDIRECT, "client_id": client})
        assert "is taken" in told.json()["error"]
        assert second.stop() == 0


def test_no_real_numbers() -> None:
    """Nobody whose number could be a real person's gets into the cast."""
    born = NOW.date().replace(year=1990)
    real = SimPerson(
        id="x", given_name="X", family_name="Y", country="DK", number=f"{born:%d%m%y}4021", born=born, story=""
    )

    with pytest.raises(OperatorError, match="could be a real person's"):
        check_cast([real])


# ---- the interface for scripts -----------------------------------------------------------------------


def test_people(sandbox: Sandbox) -> None:
    """Everybody is told with id, name, country, number, birth date, ways, relations and story."""
    people = {person["id"]: person for person in sandbox.call("GET", "people").json()}

    assert {"id", "name", "country", "number", "born", "eids", "relations", "story"} <= set(people["anna"])
    assert people["anna"]["eids"] == ["mitid", "borgeradgang"]
    assert people["anna"]["relations"] == {"emil": "child"}
    assert people["marta"]["password"]
    assert "password" not in people["anna"]
    assert people["nora"]["number"] is None


def test_nothing_waits(sandbox: Sandbox) -> None:
    """Nobody else has mail, no order waits, and an unknown order is not found."""
    assert sandbox.call("GET", "inbox?to=anna@example.test").json() == []
    assert sandbox.call("GET", "orders").json() == []
    assert sandbox.call("POST", "orders/abc", {"person": "anna", "outcome": "approve"}).status_code == 404


def test_clock(sandbox: Sandbox) -> None:
    """The clock is set by a moment and moved by seconds; the new time is the answer."""
    assert sandbox.call("PUT", "clock", {"now": "2030-01-01T00:00:00+01:00"}).json()["now"].startswith("2029-12-31T23:")
    assert sandbox.call("PUT", "clock", {"plus": 86400}).json()["now"].startswith("2030-01-01T23:")
    assert sandbox.call("PUT", "clock", {"plus": -3600.5}).json()["now"].startswith("2030-01-01T2")
    assert sandbox.call("GET", "clock").json()["now"].startswith("2030-01-01T2")


@pytest.mark.parametrize(
    "body",
    [
        {}, [], {"now": "noon"}, {"now": "2030-01-01T00:00:00"}, {"now": 5}, {"plus": "1"}, {"plus": True},
        {"plus": 1e99}, {"plus": 10**20}, {"now": "9999-12-31T23:59:59Z"}, {"now": "2030-01-01T00:00:00Z", "plus": 1},
    ],
)  # fmt: skip
def test_bad_clock(sandbox: Sandbox, body: Any) -> None:
    """What is no moment is refused in words, and the clock goes on as it was."""
    before = sandbox.call("GET", "clock").json()["now"][:10]

    told = sandbox.call("PUT", "clock", body)

    assert told.status_code == 400
    assert told.json()["error"]
    assert sandbox.call("GET", "clock").json()["now"][:10] == before


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "people", 405), ("DELETE", "clock", 405), ("GET", "reset", 405), ("GET", "clients", 405),
        ("GET", "nothing", 404), ("PUT", "faults/nobody", 404), ("GET", "", 404),
    ],
)  # fmt: skip
def test_wrong_calls(sandbox: Sandbox, method: str, path: str, status: int) -> None:
    """A wrong path or method is answered in JSON, with the methods there are."""
    told = sandbox.call(method, path, {})

    assert told.status_code == status
    assert told.headers["Content-Type"] == "application/json"
    assert "error" in told.json()
    assert status != 405 or told.headers["Allow"]


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff", b"[" * 50000, b'"x"'])
def test_malformed_json(sandbox: Sandbox, body: bytes) -> None:
    """What is no JSON object is a 400 in JSON, whatever it is."""
    told = requests.put(f"{sandbox.ready['api']}/clock", data=body, timeout=PATIENCE)

    assert told.status_code == 400
    assert "JSON" in told.json()["error"]


def test_faults(sandbox: Sandbox) -> None:
    """A fault is told back, healed by an empty object, and a misspelt one is refused."""
    assert sandbox.call("PUT", "faults/mitid", {"slow": 3}).json()["slow"] == 3
    assert sandbox.call("PUT", "faults/mitid", {"down": True}).json()["down"] is True
    assert sandbox.call("PUT", "faults/mitid", {"dwon": True}).status_code == 400
    assert sandbox.call("PUT", "faults/mitid", {}).json() == {"down": False, "slow": 0.0, "status": None, "lies": []}


def test_register(sandbox: Sandbox) -> None:
    """A redirect URI is enough for a client id and a secret that the token endpoint accepts."""
    told = sandbox.call("POST", "clients", LOOPBACK_REDIRECT)

    assert told.status_code == 201
    client = told.json()
    form = {"grant_type": "authorization_code", "code": "x", "redirect_uri": "http://localhost:5000/callback"}
    auth = (client["client_id"], client["client_secret"])
    answer = requests.post(f"{sandbox.issuer}/token", data=form, auth=auth, timeout=PATIENCE)
    assert answer.json()["error"] != "invalid_client"


def test_register_mistakes(sandbox: Sandbox) -> None:
    """Every mistake of a registration is named at once, by its setting, and nothing is registered."""
    wish = {"redirect_uris": ["http://portal.test/cb"], "refresh": "always", "scops": ["openid"]}

    told = sandbox.call("POST", "clients", wish)

    assert told.status_code == 400
    named = {mistake["setting"] for mistake in told.json()["mistakes"]}
    assert {"redirect_uris", "refresh", "scops"} <= named
    assert "did you mean scopes?" in told.json()["error"]


@pytest.mark.parametrize("wish", [{}, {"redirect_uris": "x"}, {"redirect_uris": []}, {"client_id": 5}])
def test_register_nothing(sandbox: Sandbox, wish: dict[str, Any]) -> None:
    """A registration without a list of redirect URIs is refused in words."""
    assert sandbox.call("POST", "clients", wish).status_code == 400


def test_rotation(sandbox: Sandbox) -> None:
    """After a rotation the key set holds the new key beside the old one, and tokens are signed with the new."""
    before = _kids(sandbox)

    kid = sandbox.call("POST", "keys/rotate").json()["kid"]

    assert kid in _kids(sandbox)
    assert before <= _kids(sandbox)


def _kids(sandbox: Sandbox) -> set[str]:
    keys = requests.get(f"{sandbox.issuer}/jwks.json", timeout=PATIENCE).json()["keys"]
    return {jwt.PyJWK(key).key_id or "" for key in keys}


def test_reset(sandbox: Sandbox) -> None:
    """A reset forgets clients and faults, and brings the clock back."""
    client = sandbox.call("POST", "clients", LOOPBACK_REDIRECT).json()["client_id"]
    year = sandbox.call("GET", "clock").json()["now"][:4]
    sandbox.call("PUT", "clock", {"plus": 20 * 365 * 86400})

    sandbox.call("POST", "reset")

    assert sandbox.call("POST", "clients", {**LOOPBACK_REDIRECT, "client_id": client}).status_code == 201
    assert sandbox.call("GET", "clock").json()["now"][:4] == year


# ---- strangers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.test"}, {"Host": "localhost.evil.test"}, {"Host": "evil.test@localhost:x"},
        {"Origin": "https://evil.test"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)  # fmt: skip
def test_strangers(sandbox: Sandbox, headers: dict[str, str]) -> None:
    """Pages of other sites cannot use the sandbox: neither by DNS rebinding nor by forged requests."""
    assert sandbox.call("GET", "people", headers=headers).status_code == 403
    assert sandbox.call("POST", "reset", headers=headers).status_code == 403
    for path in ("/sandbox/reset", "/sandbox/connect", "/sandbox/clock", "/sandbox/keys", "/sandbox/break/mitid"):
        assert requests.post(sandbox.issuer + path, headers=headers, timeout=PATIENCE).status_code == 403
    assert requests.post(sandbox.portal("aleris", "logout"), headers=headers, timeout=PATIENCE).status_code == 403


# ---- pages -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "/inbox", "/sandbox/people", "/sandbox/clock", "/sandbox/break", "/sandbox/connect", "/sandbox/reset"]
)
def test_pages(sandbox: Sandbox, browser: Browser, path: str) -> None:
    """Every panel says SANDBOX in its banner and its title, and loads nothing from elsewhere."""
    page = browser.open(sandbox.issuer + path).page

    assert page.status_code == 200
    assert "<title>SANDBOX" in page.text
    assert 'class="sandbox"' in page.text
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    for asset in re.findall(r'(?:src|href)="(/sandbox/static/[^"]+)"', page.text):
        assert requests.get(sandbox.issuer + asset, timeout=PATIENCE).status_code == 200


def test_clock_panel(sandbox: Sandbox, browser: Browser) -> None:
    """The clock panel moves the clock, and says so when it cannot read what was typed."""
    before = sandbox.call("GET", "clock").json()["now"]
    browser.open(f"{sandbox.issuer}/sandbox/clock").press(plus="86400")
    assert sandbox.call("GET", "clock").json()["now"][:10] > before[:10]

    browser.press(now="2031-05-06T07:08")
    assert sandbox.call("GET", "clock").json()["now"].startswith("2031-05-06T05:08")

    assert browser.press(now="soon").page.status_code == 400


def test_connect_panel(sandbox: Sandbox, browser: Browser) -> None:
    """A pasted redirect URI gives a client with snippets that hold it; a bad one is explained."""
    browser.open(f"{sandbox.issuer}/sandbox/connect").press(redirect_uri="http://portal.test/cb")
    assert browser.page.status_code == 400
    assert "must be https" in browser.text

    browser.press(redirect_uri="http://localhost:5000/callback")
    client = re.search(r'id="client_id">([^<]+)<', browser.page.text)
    assert client is not None
    assert browser.page.text.count(client[1]) >= 4
    for framework in ("Authlib", "openid-client", "mod_auth_openidc"):
        assert framework in browser.text


def test_break_panel(sandbox: Sandbox, browser: Browser) -> None:
    """The panel breaks an eID, heals it, and rotates the keys."""
    browser.open(f"{sandbox.issuer}/sandbox/break").press("fault", fault="down")
    assert "Now: Down" in browser.text

    browser.press("fault", fault="fine")
    assert "Now: Works" in browser.text

    assert "keys were rotated" in browser.press("Rotate keys now").text


def test_reset_panel(sandbox: Sandbox, browser: Browser) -> None:
    """The panel resets, and says so."""
    sandbox.call("PUT", "clock", {"plus": 20 * 365 * 86400})

    assert "Everything is as new" in browser.open(f"{sandbox.issuer}/sandbox/reset").press().text
    assert sandbox.call("GET", "clock").json()["now"] < "2040"
