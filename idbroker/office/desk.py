"""What the staff's pages work with. Made once, by offices.py."""

from __future__ import annotations

from dataclasses import dataclass

from idbroker.office.looks import Looks
from idbroker.office.provider import Organisation
from idbroker.patients.access import Access
from idbroker.patients.assisting import Assisting
from idbroker.patients.merging import Merging
from idbroker.patients.noting import Noting
from idbroker.patients.queue import Queue
from idbroker.patients.register import Register
from idbroker.patients.telephone import Calls
from idbroker.staff.entrance import Entrance
from idbroker.staff.roster import Roster


@dataclass(frozen=True, kw_only=True)
class Desk:
    """The engines behind the pages, and how pages look."""

    entrance: Entrance
    roster: Roster
    organisation: Organisation | None
    register: Register
    queue: Queue
    access: Access
    assisting: Assisting
    calls: Calls
    merging: Merging
    noting: Noting
    looks: Looks
