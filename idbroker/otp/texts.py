"""What a message with a code says."""

from __future__ import annotations

from datetime import datetime

from idbroker.messages.message import Channel, Message
from idbroker.otp.one_time import Spot
from idbroker.visit import Visit
from idbroker.words import Words, clock_time


class Texts:
    """Writes messages with codes, in the person's language and in the service's name."""

    def __init__(self, say: Words) -> None:
        self._say = say

    def message(self, spot: Spot, visit: Visit, code: str, *, message_id: str, until: datetime) -> Message:
        """Return the message; after the code's end it is of no use."""
        sms = spot.channel is Channel.SMS
        return Message(
            id=message_id,
            channel=spot.channel,
            to=spot.to,
            subject="" if sms else self._words("m.mailsub", visit, code=code, service=_line(visit.service)),
            text=self._sms(visit, code) if sms else self._mail(visit, code, until),
            kind="code",
            person=spot.person,
            clinic=visit.clinic.id,
            ends_at=until,
        )

    def _sms(self, visit: Visit, code: str) -> str:
        """Return the text, its last line bound to our host: a phone offers the code on no other page.

        Origin-bound one-time codes delivered via SMS (WICG), 4.3: a host without its port.
        """
        return f"{self._first(visit, code)}\n\n@{_host(visit.host)} #{code}"

    def _mail(self, visit: Visit, code: str, until: datetime) -> str:
        time = clock_time(until, visit.clinic.zone, visit.language)
        lines = (self._first(visit, code), self._words("o.until", visit, time=time), self._words("o.never", visit))
        return "\n\n".join(lines) + "\n"

    def _first(self, visit: Visit, code: str) -> str:
        return self._words("m.sms", visit, code=code, service=_line(visit.service))

    def _words(self, key: str, visit: Visit, **values: object) -> str:
        return self._say.say(key, visit.language, visit.clinic.country, **values)


def _line(name: str) -> str:
    """Return a name in one line: a line of its own in a message could pass for the code's."""
    return " ".join(name.split())


def _host(host: str) -> str:
    name, _, port = host.rpartition(":")
    return name if name and port.isdigit() and not name.endswith(":") else host
