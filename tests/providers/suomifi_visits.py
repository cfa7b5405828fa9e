"""The simulated suomi.fi over loopback, a worker of ours with a real keyring, and a person's browser between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from lxml import html

from idbroker.clock import StoppedClock
from idbroker.identity import Identity, LoA
from idbroker.keeping import Copies, Copy, Shelf
from idbroker.keyfiles import KeyFiles
from idbroker.keyring import Keyring, ensure_keys
from idbroker.keyset import NEEDED
from idbroker.providers import Asked, Leaving, Means, Message, Post, Redirect
from idbroker.providers._http import kept_session
from idbroker.providers.suomifi import CHAINS, Settings, SuomiFi, make
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.people import cast
from idbroker.sandbox.suomifi import LIES, SimSuomiFi, make_suomifi
from idbroker.store import open_transient
from idbroker.tokens import once
from idbroker.transaction import Transient
from tests.conftest import NOW
from tests.sandbox.loopback import serve

OURS = "https://broker.example.test"
BACK, OUT = f"{OURS}/callback/suomifi", f"{OURS}/logout/suomifi"


@cache
def keys() -> tuple[TemporaryDirectory[str], Keyring]:
    """Return our keys, made once for the run as a first start of a sandbox makes them."""
    folder = TemporaryDirectory()
    store = KeyFiles(Path(folder.name))
    ensure_keys(store, StoppedClock(NOW), sandbox=True, chains=(*NEEDED, *CHAINS))
    return folder, Keyring(store, sandbox=True)


@dataclass(frozen=True)
class Arrived:
    """Where a browser was sent that comes to us: an address, and what it posts there."""

    url: str
    fields: Mapping[str, str] = field(default_factory=dict)

    def message(self, clock: StoppedClock) -> Message:
        """Return it as our logout address gets it."""
        assert self.url.startswith(OUT)
        return Message(now=clock.now(), url=OUT, query=urlsplit(self.url).query.encode(), fields=self.fields)


class Browser:
    """A person's browser: goes where it is sent, until that is to us."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False

    def go(self, sent: Redirect | Post) -> Arrived | str:
        """Go where we send it. Return where it arrives at us, or the address of the page it is on."""
        if isinstance(sent, Redirect):
            return self.get(sent.url)
        return self._on(self._session.post(sent.action, data=dict(sent.fields), allow_redirects=False))

    def get(self, url: str) -> Arrived | str:
        """Open an address."""
        return self._on(self._session.get(url, allow_redirects=False))

    def press(self, url: str, **values: str) -> Arrived | str:
        """Send the form of a page."""
        return self._on(self._session.post(url, data=values, allow_redirects=False))

    def page(self, url: str) -> html.HtmlElement:
        """Return a page."""
        return html.fromstring(self._session.get(url).content)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _on(self, response: requests.Response) -> Arrived | str:
        if "Location" in response.headers:
            url = urljoin(response.url, response.headers["Location"])
            return Arrived(url) if url.startswith(OURS) else self.get(url)
        assert response.status_code == 200, response.text
        form = next(html.fromstring(response.content).iter("form"), None)
        action = "" if form is None else str(form.get("action", ""))
        if form is not None and action.startswith(OURS):
            return Arrived(action, {str(one.get("name")): str(one.get("value")) for one in form.iter("input")})
        return response.url


@dataclass
class House:
    """The simulator, served, and what all workers of ours share."""

    clock: StoppedClock
    faults: Faults
    transient: Transient
    parties: dict[str, bytes]
    browser: Browser
    sim: SimSuomiFi | None = None

    def lie(self, *lies: str) -> None:
        """Have it tell these lies, and no others."""
        self.faults.set("suomifi", {"lies": list(lies)})

    def provider(self, **more: Any) -> SuomiFi:
        """Return suomi.fi in a worker of ours; our metadata is installed there."""
        assert self.sim is not None
        pinned = {"metadata_url": self.sim.metadata_url, "metadata_signer_file": self.sim.signer_certificate}
        means = Means(
            clock=self.clock,
            http=lambda: kept_session(timeout=(2, 5), deadline=timedelta(seconds=5), sandbox=True),
            keys=keys()[1],
            issuer=OURS,
            once=once(self.transient, self.clock),
            copies=Copies(Shelf(self.transient, "m", Copy)),
            sandbox=True,
        )
        provider = make("suomifi", Settings(**{"idp": self.sim.entity_id, **pinned, **more}), means)
        self.parties[f"{OURS}/metadata/suomifi"] = provider.metadata(self.clock.now())
        return provider

    def asked(self, **more: Any) -> Asked:
        """Return what the broker asks."""
        usual = Asked(
            transaction="t1",
            handle="handle-1",
            return_url=BACK,
            loa=LoA.SUBSTANTIAL,
            language="sv",
            service="Videomottagningen",
            now=self.clock.now(),
            want_number=True,
        )
        return replace(usual, **more)

    def sign_in(
        self, person: str = "aino", outcome: str = "approve", method: str = "", *, provider: SuomiFi, **more: Any
    ) -> Identity:
        """Go all the way, to an identity."""
        asked = self.asked(**more)
        begun = provider.begin(asked)
        arrived = self.browser.go(begun)
        if isinstance(arrived, str):
            arrived = self.browser.press(arrived, person=person, outcome=outcome, method=method)
        assert isinstance(arrived, Arrived), arrived
        assert arrived.url == BACK
        return provider.resume(asked, begun.state, arrived.fields)

    def leaving(self, identity: Identity) -> Leaving:
        """Return what the broker says when somebody signs out."""
        logout = identity.upstream_logout or ""
        return Leaving(logout=logout, handle="farewell-1", return_url=OUT, language="sv", now=self.clock.now())


@contextmanager
def house(clock: StoppedClock, folder: Path) -> Iterator[House]:
    """Serve the simulator, and open what we share."""
    faults = Faults({"suomifi": LIES})
    transient = open_transient(f"sqlite:///{folder}/transient.db", clock)
    made = House(clock, faults, transient, {}, Browser())

    def simulator(address: str) -> Any:
        people = cast(clock.now().date())
        made.sim = make_suomifi(people, clock, faults, address, lambda: made.parties, folder=folder / "suomifi")
        return made.sim.app

    with serve(simulator):
        yield made
    made.browser.close()
    transient.close()
