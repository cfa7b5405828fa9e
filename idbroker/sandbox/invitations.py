"""The video visits that are booked when a world begins, and the e-mails that invite to them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from idbroker.sandbox.people import SimPerson
from idbroker.sandbox.portal.rooms import Booking, Bookings
from idbroker.sandbox.settings import BROUGHT_BY, VIDEOVISIT, VISITS
from idbroker.sandbox.world import World

_ZONE = ZoneInfo("Europe/Helsinki")
_SUBJECT = "Kutsu videovastaanotolle / Kallelse till videomottagning"
_TEXT = """\
Sinulle on varattu videovastaanotto {moment:%-d.%-m.} klo {moment:%H.%M}. Liity Videovisitillä tästä linkistä:
{link}
Pidä pankkitunnukset tai mobiilivarmenne saatavilla.

Du har en videomottagning {moment:%-d.%-m} kl. {moment:%H.%M}. Anslut med Videovisit via länken ovan.
Ha dina nätbankskoder eller ditt mobilcertifikat till hands.
"""


def booked(people: Iterable[SimPerson], now: datetime) -> Bookings:
    """Return the visits of a world that begins now; each begins at a full minute."""
    numbers = {person.id: person.number for person in people}
    return Bookings(
        Booking(
            number=number,
            invited=numbers[person] or "",
            person=person,
            opens=_minute(now + later),
            guardian=BROUGHT_BY.get(person, ""),
        )
        for number, person, later in VISITS
    )


def invite(world: World, bookings: Bookings) -> None:
    """Send everybody who is invited the link to their visit; who is first to come in is told last."""
    for booking in reversed(bookings.all()):
        link = f"{world.addresses.portals}/{VIDEOVISIT}/visit/{booking.number}"
        text = _TEXT.format(moment=booking.opens.astimezone(_ZONE), link=link)
        world.inbox.add("email", f"{booking.guardian or booking.person}@example.test", text, subject=_SUBJECT)


def _minute(moment: datetime) -> datetime:
    return moment - timedelta(seconds=moment.second, microseconds=moment.microsecond)
