"""People who come to register a child, and who come as that child."""

from __future__ import annotations

from datetime import date

from idbroker.accounts.account import Account
from idbroker.clinic import Clinic
from idbroker.identity import LoA
from idbroker.messages.message import Channel
from idbroker.numbers import parse
from tests.accounts.asking_house import AUTOMATIC, MAIL, PASSWORD, AskingHouse, Walk, cpr
from tests.accounts.desk_house import EMIL
from tests.conftest import NOW

CHILD = {"number": EMIL.display, "given": "Emil", "family": "Prøvesen"}
STRANGER = parse(cpr(date(1979, 6, 3), 101), "DK", now=NOW.date())
DECIDED = {"decided_at": NOW, "by": "staff"}


def guardian(asking: AskingHouse, clinic: Clinic = AUTOMATIC, **changes: object) -> Walk:
    """Return Anna, with a MitID, who has come to register a child."""
    return asking.walk(asking.child, asking.proved(wish="child", **changes), clinic)  # type: ignore[arg-type]


def claimed(asking: AskingHouse, clinic: Clinic = AUTOMATIC, login: bool = True, **changes: object) -> Walk:
    """Return somebody who has sent a child's registration off."""
    walk = guardian(asking, clinic, **changes).post(**CHILD).post(email=MAIL)
    walk = walk.code(Channel.EMAIL) if walk.page == "code" else walk
    walk = walk.post(do="yes").post(password=PASSWORD) if login else walk.post(do="no")
    return walk.post()


def by_password(asking: AskingHouse, clinic: Clinic = AUTOMATIC) -> Walk:
    """Return somebody who has typed the child's number, the password, and the code."""
    return asking.walk(asking.joining, asking.proved(EMIL, LoA.LOW), clinic)


def child(asking: AskingHouse) -> Account | None:
    """Return the child's account."""
    return asking.records.accounts.of(asking.proved(EMIL).person)
