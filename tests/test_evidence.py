"""Evidence: kept sealed beside the sign-in it proves, and nowhere else."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from idbroker.app import House, make_site, open_house, open_keys, rewrap
from idbroker.clock import StoppedClock
from idbroker.errors import StoreError
from idbroker.evidence import Evidence, SealedEvidence, new_id, seal, unseal
from idbroker.identity import Identity, LoA
from idbroker.keeping import SealedTransient, Shelf
from idbroker.keyring import Keyring, carry_out
from idbroker.keyset import Rules, Use
from idbroker.providers import Asked, Challenge, Provider
from idbroker.request import SigninRequest
from idbroker.rotation import plan_rotation
from idbroker.sealing import Sealer, SealingKeys
from idbroker.session import Session, key_of
from idbroker.signon import Signon
from idbroker.transaction import Transaction
from tests.conftest import NOW
from tests.door import Door, open_door, session_cookie, settings
from tests.oidc.making import CALLBACK

CANARY = "PHhtbD5hIHNpZ25hdHVyZTwveG1sPg"
PARTS = {"signature": CANARY * 300, "ocsp": "an answer", "order": "ö"}
DAY = timedelta(days=1)


@dataclasses.dataclass
class Signing:
    """An eID that signs: what it proves comes with evidence."""

    inner: Provider

    @property
    def title(self) -> str:
        """Return its name."""
        return self.inner.title

    @property
    def loa(self) -> LoA:
        """Return the highest it can prove."""
        return self.inner.loa

    @property
    def origins(self) -> tuple[str, ...]:
        """Return where a form post may end up."""
        return self.inner.origins

    def begin(self, asked: Asked) -> Challenge:
        """Start."""
        return self.inner.begin(asked)

    def resume(self, asked: Asked, state: bytes, reply: Mapping[str, str]) -> Challenge | Identity:
        """Go on."""
        proved = self.inner.resume(asked, state, reply)
        return dataclasses.replace(proved, evidence=PARTS) if isinstance(proved, Identity) else proved


@pytest.fixture
def door(tmp_path: Path, clock: StoppedClock) -> Iterator[Door]:
    """Serve the broker in front of an eID that signs."""
    with open_door(tmp_path, clock) as opened:
        eids = opened.house.providers
        assert isinstance(eids, dict)
        eids["mitid"] = Signing(eids["mitid"])
        yield opened


@pytest.fixture
def house(tmp_path: Path, clock: StoppedClock) -> Iterator[House]:
    """Open a house whose stores are files."""
    opened = open_house(settings("http://127.0.0.1:9", "https://mitid.test", {}, {}, {}), tmp_path, clock=clock)
    opened.durable.migrate()
    yield opened
    opened.durable.close()
    opened.transient.close()


def proved(**changes: Any) -> Identity:
    """Return what an eID proved, with evidence."""
    made: dict[str, Any] = {
        "provider": "mitid",
        "issuer": "https://mitid.test",
        "subject": "s",
        "loa": LoA.SUBSTANTIAL,
        "proved_at": NOW,
        "evidence": PARTS,
    }
    return Identity(**{**made, **changes})


def meet(house: House, signon: Signon, identity: Identity, **asked: Any) -> str | None:
    """Have a proof met."""
    client = house.clients.find("portal")
    assert client is not None
    request = SigninRequest(
        client_id="portal", redirect_uri=CALLBACK, minimum=LoA.SUBSTANTIAL, received_at=NOW, **asked
    )
    transaction = Transaction(id="t", binding="b", request=request, language="da", opened_at=NOW)
    return signon.meet(transaction, client, house.settings.clinics.by_id["clinea"], identity)


def everything(house: House) -> list[tuple[str, str | None, Mapping[str, str]]]:
    """Return kind, person and detail of every event."""
    return [(e.kind, e.person, e.detail) for e in house.durable.events.since(NOW - DAY)]


def test_a_sign_in_is_proved_by_its_event(door: Door, capfd: pytest.CaptureFixture[str]) -> None:
    """The event names the evidence; the evidence opens to what the eID signed; nothing else has a word of it."""
    browser = door.browser()
    tokens = door.signed_in(browser, scope="openid profile offline_access")

    (granted,) = door.house.durable.events.since(NOW, kind="signin.granted")
    kept = door.house.durable.evidence.find(granted.detail["evidence"], NOW)
    assert kept is not None
    assert (kept.evidence.person, kept.evidence.provider) == (granted.person, "mitid")
    assert (kept.evidence.at, kept.evidence.until) == (NOW, NOW + 180 * DAY)
    assert unseal(kept, Sealer(door.house.keyring.sealing_keys)) == PARTS
    sessions = Shelf(SealedTransient(door.house.transient, door.house.keyring.sealing_keys), "s", Session)
    session = sessions.get(key_of(str(session_cookie(browser))))
    assert session is not None
    assert session.value.identity.evidence == {}
    told = json.dumps(tokens) + door.userinfo(tokens["access_token"]).text + repr(everything(door.house))
    assert CANARY not in told + "".join(capfd.readouterr())
    assert not [file for file in door.folder.rglob("*") if file.is_file() and CANARY.encode() in file.read_bytes()]


def test_a_sign_on_proves_nothing_anew(door: Door) -> None:
    """A portal that is answered from a sign-on leaves no second evidence: nobody signed anything."""
    browser = door.browser()
    door.signed_in(browser)
    door.signed_in(browser)

    assert [kind for kind, _, _ in everything(door.house)] == ["signin.granted", "signin.session"]
    assert len(door.house.durable.evidence.since(NOW, NOW, limit=9)) == 1


def test_every_sign_in_has_its_own(house: House) -> None:
    """Each proof leaves evidence of its own, sealed anew, of the same person."""
    signon = make_site(house).broker.signon

    people = {meet(house, signon, proved()) for _ in range(3)}

    kept = house.durable.evidence.since(NOW, NOW, limit=9)
    assert len({one.id for one in kept}) == 3
    assert {one.person for one in kept} == people
    assert {one.id for one in kept} == {detail["evidence"] for _, _, detail in everything(house)}


def test_another_person_is_proved_too(house: House) -> None:
    """Who signs in instead of the person asked for has signed all the same."""
    signon = make_site(house).broker.signon

    assert meet(house, signon, proved(), required_subject="somebody else") is None

    ((kind, person, detail),) = everything(house)
    (kept,) = house.durable.evidence.since(NOW, NOW, limit=9)
    assert (kind, detail["evidence"], person) == ("signin.other_person", kept.id, kept.person)


@pytest.mark.parametrize(("keep", "evidence"), [(timedelta(), PARTS), (180 * DAY, {})])
def test_none_is_kept(house: House, keep: timedelta, evidence: Mapping[str, str]) -> None:
    """Keep = 0 keeps none, and an eID that signs nothing leaves none; people sign in all the same."""
    signon = dataclasses.replace(make_site(house).broker.signon, keep_evidence=keep)

    person = meet(house, signon, proved(evidence=evidence))

    assert everything(house) == [("signin.granted", person, {"loa": "substantial"})]
    assert house.durable.evidence.since(NOW - DAY, NOW, limit=9) == ()


def test_evidence_is_not_printed() -> None:
    """Neither an identity nor sealed evidence shows what was signed, in logs and tracebacks."""
    kept = seal(of(), PARTS, sealer())

    assert CANARY not in f"{proved()!r} {kept!r}"
    assert CANARY.encode() not in kept.sealed


# ---- sealed ----------------------------------------------------------------------------------------


def sealer() -> Sealer:
    """Return a sealer."""
    keys = SealingKeys(data={1: b"d" * 32}, newest=1, index=b"i" * 32)
    return Sealer(lambda: keys)


def of(**changes: Any) -> Evidence:
    """Return evidence without what it says."""
    made = {"id": new_id(), "at": NOW, "until": NOW + DAY, "person": "p", "provider": "bankid", **changes}
    return Evidence(**made)


def test_opens_to_what_was_sealed() -> None:
    """Every part comes back, whatever letters it has."""
    assert unseal(seal(of(), PARTS, sealer()), sealer()) == PARTS


@pytest.mark.parametrize(
    "tampered",
    [{"id": "0" * 32}, {"person": "q"}, {"provider": "freja"}, {"at": NOW + timedelta(microseconds=1)}],
    ids=lambda change: next(iter(change)),
)
def test_does_not_open_as_anothers(tampered: dict[str, Any]) -> None:
    """Moved to another row, or given another person, eID or time, it proves nothing."""
    kept = seal(of(), PARTS, sealer())
    moved = SealedEvidence(evidence=dataclasses.replace(kept.evidence, **tampered), sealed=kept.sealed)

    with pytest.raises(StoreError):
        unseal(moved, sealer())


def test_a_shorter_time_can_be_read_later() -> None:
    """When it is deleted is no part of what it proves."""
    kept = seal(of(), PARTS, sealer())

    assert unseal(dataclasses.replace(kept, evidence=dataclasses.replace(kept.evidence, until=NOW)), sealer()) == PARTS


@pytest.mark.parametrize("where", ["sqlite", "postgresql"])
def test_rewrap(where: str, request: pytest.FixtureRequest, tmp_path: Path, clock: StoppedClock) -> None:
    """After a rotation of the data key all evidence is sealed with the new one, in batches, and opens as before."""
    store = {} if where == "sqlite" else {"durable": request.getfixturevalue("postgres_database")}
    found = settings("http://127.0.0.1:9", "https://mitid.test", {}, store, {})
    house, keys = open_house(found, tmp_path, clock=clock), open_keys(found, tmp_path)
    house.durable.migrate()
    signon = make_site(house).broker.signon
    for _ in range(5):
        meet(house, signon, proved())
    clock.move(timedelta(hours=1))
    carry_out(keys, plan_rotation(keys.load(), Rules(), clock.now(), Use.DATA), "test", clock.now())
    newest = Keyring(keys).sealing_keys().newest

    left = [rewrap(found, tmp_path, newest, 2) for _ in range(3)]

    assert left == [3, 1, 0]
    for one in house.durable.evidence.since(NOW, NOW, limit=9):
        kept = house.durable.evidence.find(one.id, NOW)
        assert kept is not None
        assert kept.sealed[:2] == newest.to_bytes(2, "big")
        assert unseal(kept, Sealer(Keyring(keys).sealing_keys)) == PARTS
    house.durable.close()
    house.transient.close()
