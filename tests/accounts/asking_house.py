"""What is asked after the proof, over real stores, codes and letters; and somebody who fills the pages in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from idbroker.accounts.account import Account, Enrolment, Standing
from idbroker.accounts.agreeing import Agreeing
from idbroker.accounts.child import Child
from idbroker.accounts.joining import Joining
from idbroker.accounts.letters import Letters
from idbroker.accounts.question import Onward, Proved, Question, Settled, Stopped
from idbroker.accounts.reaching import Reaching
from idbroker.accounts.reconciling import Reconciling
from idbroker.accounts.records import Enrolments, Records
from idbroker.accounts.registering import Registering
from idbroker.accounts.releasing import Releasing
from idbroker.accounts.vouching import known_by
from idbroker.client import Client, ConfiguredClients
from idbroker.clinic import Clinic, Clinics, Terms
from idbroker.clock import StoppedClock
from idbroker.form import Form
from idbroker.identity import Identity, LoA
from idbroker.messages.message import Channel, Message
from idbroker.numbers import NationalNumber
from idbroker.request import SigninRequest
from idbroker.session import Session
from idbroker.visit import Visit
from idbroker.words import Words
from tests.accounts.desk_house import ANNA, PATIENCE, DeskHouse, desk_house
from tests.conftest import NOW
from tests.oidc.making import CALLBACK, ISSUER, make_client

# Of the ranges that PTS keeps for books and films.
MOBILE, OTHER_MOBILE, LANDLINE = "+46701740605", "+46701740606", "+46980319231"
MAIL, OTHER_MAIL = "somebody@example.test", "another@example.test"
PASSWORD = "tre blå cykler"
TERMS = Terms(version="2026-1", texts={"en": "Be kind.", "da": "Vær venlig."})
AUTOMATIC = Clinic(id="clinea", name="Clinea", country="DK", providers=("mitid", "fallback"), registration="automatic")
APPROVAL = replace(AUTOMATIC, registration="approval")
OFF = replace(AUTOMATIC, registration="off")
UNNEEDED = replace(AUTOMATIC, registration="unneeded")
ELSEWHERE = replace(AUTOMATIC, id="elsewhere", name="Elsewhere")


@dataclass
class Walk:
    """One person's way through one question; `now` is the page in front of them, or how it ended."""

    house: AskingHouse
    question: Question
    visit: Visit
    proved: Proved
    now: Form | Settled | Stopped | Onward | None = None

    def begin(self) -> Walk:
        """Begin, as the broker does."""
        self.now = self.question.begin(self.visit, self.proved)
        return self

    def post(self, **reply: str) -> Walk:
        """Send the page off, ten seconds later: never one press with the last."""
        form = self.form
        self.house.desk_house.clock.move(timedelta(seconds=10))
        self.visit = replace(self.visit, now=self.house.desk_house.clock.now())
        self.now = self.question.resume(self.visit, self.proved, form, reply)
        return self

    def code(self, channel: Channel) -> Walk:
        """Type the code that came."""
        return self.post(code=self.house.desk_house.code(channel))

    @property
    def form(self) -> Form:
        """Return the page."""
        assert isinstance(self.now, Form), f"no page: {self.now}"
        return self.now

    @property
    def page(self) -> str:
        """Return the page's name."""
        return self.form.page

    @property
    def values(self) -> dict[str, str]:
        """Return what the page is filled in with."""
        return dict(self.form.values)

    @property
    def errors(self) -> dict[str, str]:
        """Return what is wrong."""
        return dict(self.form.errors)


@dataclass(kw_only=True)
class AskingHouse:
    """The questions, and what a test looks at or turns."""

    desk_house: DeskHouse
    records: Records
    joining: Joining
    child: Child
    agreeing: Agreeing
    reconciling: Reconciling
    releasing: Releasing

    def walk(
        self,
        question: Question,
        proved: Proved,
        clinic: Clinic = AUTOMATIC,
        client: Client | None = None,
        **changes: Any,
    ) -> Walk:
        """Return somebody at the beginning of a question."""
        client = client or make_client(clinic=clinic.id)
        return Walk(self, question, self.desk_house.visit(clinic=clinic, client=client, **changes), proved).begin()

    def proved(self, number: NationalNumber | None = ANNA, loa: LoA = LoA.HIGH, **changes: Any) -> Proved:
        """Return what somebody has proved; a low level is a password's."""
        person = changes.pop("person", None) or self.records.accounts.person(number or ANNA, NOW)
        names = ("wish", "accepted", "claimed", "request")
        own = {name: changes.pop(name) for name in names if name in changes}
        identity = Identity(
            provider="mitid" if loa > LoA.LOW else "fallback",
            issuer="https://eid.example.org",
            subject="somebody",
            loa=loa,
            proved_at=NOW,
            number=number,
            name="Ada Prøvesen",
            given_name="Ada",
            family_name="Prøvesen",
            birthdate=number.birthdate if number else None,
        )
        request = SigninRequest(
            client_id="portal", redirect_uri=CALLBACK, scopes=("openid", "profile"), received_at=NOW
        )
        return Proved(person=person, identity=replace(identity, **changes), **{"request": request, **own})

    def account(self, number: NationalNumber = ANNA, **changes: Any) -> Account:
        """Return a new account, kept."""
        return self.desk_house.account(number, **changes)

    def enrolled(
        self, person: str, standing: Standing = Standing.APPROVED, clinic: Clinic = AUTOMATIC, **changes: Any
    ) -> Enrolment:
        """Return a new enrolment, kept; or the one there is, changed."""
        fresh = Enrolment(person=person, clinic=clinic.id, standing=standing, asked_at=NOW)
        kept = self.records.enrolments.change(
            person, clinic.id, lambda there: replace(there or fresh, standing=standing, **changes)
        )
        assert kept is not None
        return kept

    def enrolment(self, person: str, clinic: Clinic = AUTOMATIC) -> Enrolment | None:
        """Return how somebody stands."""
        return self.records.enrolments.find(person, clinic.id)

    def told(self, *kinds: str) -> list[str]:
        """Return which of these kinds of events there were, in order."""
        return [event.kind for event in self.desk_house.events(*kinds)]

    def letter(self, channel: Channel) -> Message:
        """Return what was sent next by a channel."""
        return self.desk_house.wires[channel].taken.get(timeout=PATIENCE)


@dataclass
class Silence:
    """Asserts that nothing was sent while it was open."""

    house: AskingHouse
    before: int = field(default=0)

    def __enter__(self) -> Silence:
        self.before = len(self.house.desk_house.drawn.codes)
        return self

    def __exit__(self, *_: object) -> None:
        assert len(self.house.desk_house.drawn.codes) == self.before, "a code was drawn"


@contextmanager
def asking_house(folder: Path, clock: StoppedClock) -> Iterator[AskingHouse]:
    """Give the questions on SQLite files."""
    with desk_house(folder, clock) as desk:
        yield _house(desk)


def _house(desk: DeskHouse) -> AskingHouse:
    durable = desk.durable
    enrolments = Enrolments(durable.enrolment_rows, desk.sealer)
    records = Records(
        accounts=desk.desk.accounts, enrolments=enrolments, links=durable.links, consents=durable.consents
    )
    letters = Letters(
        post=desk.post,
        say=Words(),
        clinics=Clinics({clinic.id: clinic for clinic in (AUTOMATIC, ELSEWHERE)}),
        clients=ConfiguredClients((make_client(),), durable.clients),
        issuer=ISSUER,
        clock=desk.clock,
        sealer=desk.sealer,
        knows=known_by(desk.desk.accounts, enrolments),
    )
    agreeing = Agreeing(records=records, events=durable.events)
    reaching = Reaching(codes=desk.desk.codes)
    registering = Registering(reaching=reaching, hasher=desk.desk.hasher, agreeing=agreeing)
    return AskingHouse(
        desk_house=desk,
        records=records,
        joining=Joining(
            records=records, events=durable.events, registering=registering, letters=letters, sign_ons=SignedOn()
        ),
        child=Child(records=records, events=durable.events, registering=registering),
        agreeing=agreeing,
        reconciling=Reconciling(records=records, events=durable.events, reaching=reaching, letters=letters),
        releasing=Releasing(records=records, events=durable.events),
    )


class SignedOn:
    """The sign-ons of a house without a web: none (tests/test_questions.py has the real ones)."""

    def of_person(self, _person: str) -> tuple[Session, ...]:
        """Return none."""
        return ()

    def end_one(self, _person: str, _key: str) -> bool:
        """End none."""
        return False


def cpr(born: date, serial: int) -> str:
    """Return a Danish replacement number: day + 60, which the register never gives."""
    return f"{born.day + 60:02}{born:%m%y}{serial:04}"
