"""The broker with somebody else's SAML identity providers behind it, and a browser that carries what they say."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from idbroker import config
from idbroker.app import House, make_site, open_house, open_keys
from idbroker.clock import SystemClock
from idbroker.keyring import carry_out
from idbroker.keyset import Rules, State, Use
from idbroker.rotation import plan_rotation
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.people import cast
from idbroker.web.front import make_web
from tests.app_eids import eventually
from tests.door import CLIENT, Browser, Door, answer_of, form_of
from tests.peers.node import RunningClock
from tests.sandbox.loopback import serve

MESSAGES = {"SAMLRequest", "SAMLResponse"}
CLINIC = {"name": "Klinikka", "country": "FI", "phone": "+358 9 000 0000"}
BYE = "https://portal.test/bye"


@contextmanager
def open_saml_door(folder: Path, tables: Callable[[str], Mapping[str, Mapping[str, Any]]]) -> Iterator[Door]:
    """Serve the broker with `[providers.*]` tables made of its address; the time is the machine's."""
    clock, built = RunningClock(), list[House]()

    def broker(address: str) -> Any:
        house = open_house(_settings(address, tables(address)), folder, clock=clock, sandbox=True)
        built.append(house)
        house.durable.migrate()
        return make_web(make_site(house))

    with contextlib.ExitStack() as afterwards:
        issuer = afterwards.enter_context(serve(broker))
        afterwards.callback(built[0].close)
        people = {person.id: person for person in cast(clock.now().date())}
        yield Door(issuer=issuer, house=built[0], folder=folder, clock=clock, faults=Faults({}), people=people)


def _settings(issuer: str, tables: Mapping[str, Mapping[str, Any]]) -> config.Settings:
    return config.read(
        {
            "server": {"issuer": issuer, "workers": 1},
            "providers": {name: dict(table) for name, table in tables.items()},
            "clinics": {"clinea": {**CLINIC, "providers": list(tables)}},
            "clients": {"portal": CLIENT},
        }
    )


def our_metadata(door: Door, name: str) -> bytes:
    """Fetch what we publish for an eID, as its operator would."""
    response = requests.get(f"{door.issuer}/metadata/{name}", timeout=10)
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/samlmetadata+xml")
    return response.content


def carried(browser: Browser, page: requests.Response) -> requests.Response:
    """Send the forms that a browser would send by itself, until a page waits for the person."""
    for _ in range(6):
        if not is_message(page):
            return page
        form = form_of(page)
        page = browser.post(urljoin(page.url, form.action), form.hidden)
    raise AssertionError("messages without end")


def is_message(page: requests.Response) -> bool:
    """Tell whether a page is a SAML message on its way."""
    return page.status_code == 200 and "<form" in page.text and bool(MESSAGES & set(form_of(page).hidden))


def sent_to(browser: Browser, eid: str, **asked: str) -> requests.Response:
    """Come from the portal and choose an eID; return what that shows, or its answer where it knows us already."""
    page = browser.press(browser.authorize(**asked), provider=eid)
    return carried_on(browser, page)


def carried_on(browser: Browser, page: requests.Response) -> requests.Response:
    """Carry our request, if it goes by POST, and nothing of theirs."""
    if is_message(page) and "SAMLRequest" in form_of(page).hidden:
        form = form_of(page)
        return browser.post(urljoin(page.url, form.action), form.hidden)
    return page


def answered(page: requests.Response) -> dict[str, str]:
    """Return what the portal was told: a code, or an error. A page of ours in between leads back to it."""
    assert page.status_code in (302, 303), page.text[-3000:]
    return answer_of(page)


def sign_out(browser: Browser, tokens: Mapping[str, Any]) -> requests.Response:
    """Leave as the portal asks for it, with everything that eIDs and browsers do on the way."""
    hint = f"id_token_hint={tokens['id_token']}&post_logout_redirect_uri={BYE}&state=out"
    return carried(browser, browser.get(f"/logout?{hint}"))


def silently(browser: Browser) -> dict[str, str]:
    """Ask with prompt=none whether the person is signed on here."""
    return answer_of(browser.authorize(prompt="none"))


def framed(door: Door, browser: Browser) -> Browser:
    """Return the browser as it is inside a page of somebody else's: it keeps our cookies to itself (SameSite)."""
    frame = door.browser()
    frame.session.cookies.update(browser.session.cookies)
    for name in {"s"} & set(frame.session.cookies.keys()):
        frame.session.cookies.clear("127.0.0.1", "/", name)
    return frame


def rotate(door: Door, use: Use) -> None:
    """Have the staged key of a use take over, and see that the broker follows."""
    store, rules = open_keys(door.house.settings, door.folder), Rules()
    staged = [key for key in store.load().alive() if key.use is use and key.state is State.STAGED]
    later = max(rules.may_sign(key) for key in staged)
    made = carry_out(store, plan_rotation(store.load(), rules, later, use), "test", later)
    eventually(lambda: door.house.keyring.loaded_version == made.version)


def make_pair(folder: Path, name: str) -> x509.Certificate:
    """Make an identity provider's RSA key and its certificate, as NAME.key and NAME.crt."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = SystemClock().now()
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (folder / f"{name}.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made
