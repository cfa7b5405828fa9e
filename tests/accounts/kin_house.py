"""The asking house at clinics that ask a register whose children are whose: one of the test's, which may be down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from idbroker.accounts.account import Enrolment
from idbroker.accounts.approving import Approving
from idbroker.accounts.child import Child
from idbroker.accounts.letters import Letters
from idbroker.accounts.linking import Aim, Linking, Origin
from idbroker.clinic import Clinic
from idbroker.guardianship.families import RegisteredFamilies
from idbroker.guardianship.judging import Judging
from idbroker.guardianship.records import Guardianship, Guardianships
from idbroker.guardianship.registers import Registers
from idbroker.guardianship.tie import Answer, Tie
from idbroker.keeping import SealedTransient, Shelf
from idbroker.messages.message import Channel
from idbroker.numbers import NationalNumber
from idbroker.sealing import SealingKeys
from idbroker.store import open_transient
from tests.accounts.asking_house import AUTOMATIC, MAIL, PASSWORD, AskingHouse, Walk
from tests.accounts.desk_house import EMIL
from tests.guardianship.acting_house import Folk

_KEYS = SealingKeys(data={1: b"k" * 32}, newest=1, index=b"i" * 32)


@dataclass(frozen=True, kw_only=True)
class KinHouse:
    """The question of who the child is, with a register behind it."""

    asking: AskingHouse
    folk: Folk
    question: Child
    rows: Guardianships
    linking: Linking
    judging: Judging

    @property
    def anna(self) -> str:
        """Return the guardian's person id."""
        return self.asking.proved().person

    @property
    def emil(self) -> str:
        """Return the child's person id."""
        return self.asking.proved(EMIL).person

    def knows(self, *ties: Tie) -> None:
        """Have the register say of Anna what it knows."""
        self.folk.ties[self.anna] = ties

    def guardian(self, clinic: Clinic = AUTOMATIC, **changes: Any) -> Walk:
        """Return Anna, with a MitID, who has come to register a child."""
        return self.asking.walk(self.question, self.asking.proved(wish="child", **changes), clinic)

    def enrolment(self) -> Enrolment | None:
        """Return how Emil stands at the clinic."""
        return self.asking.enrolment(self.emil)

    def noted(self) -> tuple[Guardianship, ...]:
        """Return what is noted of who may act for Emil."""
        return self.rows.of_ward(self.emil)


def emil(**changed: Any) -> Tie:
    """Return what the register says of Anna and Emil."""
    tie = Tie(number=EMIL, given_name="Emil", family_name="Registersen", birthdate=EMIL.birthdate)
    return replace(tie, **changed)


def sent_off(walk: Walk, *, login: bool = True) -> Walk:
    """Go on from the child to the end: an address, its code, a password for the child or none, the last look."""
    walk = walk.post(email=MAIL)
    walk = walk.code(Channel.EMAIL) if walk.page == "code" else walk
    walk = walk.post(do="yes").post(password=PASSWORD) if login else walk.post(do="no")
    return walk.post()


def typed(walk: Walk, number: NationalNumber = EMIL) -> Walk:
    """Type a child's number and name."""
    return walk.post(do="typed", number=number.display, given="Emil", family="Prøvesen")


@contextmanager
def kin_house(asking: AskingHouse, folder: Path) -> Iterator[KinHouse]:
    """Put a register behind the question of an asking house."""
    desk, records, folk = asking.desk_house, asking.records, Folk()
    transient = open_transient(f"sqlite:///{folder}/transient.db", desk.clock)
    sealed = SealedTransient(transient, lambda: _KEYS)
    judging = Judging(registers=Registers(always=(folk,), kept=Shelf(sealed, "G", Answer)), records=records)
    rows, letters = desk.durable.guardianships, asking.joining.letters
    assert isinstance(letters, Letters)
    linking = Linking(
        links=records.links, origins=Shelf(sealed, "k", Origin), aims=Shelf(sealed, "d", Aim), sealer=desk.sealer
    )
    approving = Approving(
        accounts=records.accounts,
        enrolments=records.enrolments,
        links=records.links,
        letters=letters,
        events=desk.durable.events,
        linking=linking,
    )
    families = RegisteredFamilies(
        judging=judging, guardianships=rows, events=desk.durable.events, clients=desk.durable.clients
    )
    question = replace(asking.child, families=families, approving=approving)
    try:
        yield KinHouse(asking=asking, folk=folk, question=question, rows=rows, linking=linking, judging=judging)
    finally:
        transient.close()
