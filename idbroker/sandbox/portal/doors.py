"""What a demo portal is: its doors, its words, its languages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from idbroker.sandbox.portal.forms import Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One place in a portal that a link may lead to: `path` is below the portal's own.

    A path that ends in a slash is the beginning of one door for each thing it is about. A `public`
    door opens without a login. `facts` are shown as they are, and `leads` is another door with its label.
    A `room` is a video visit, which one is invited to and which opens at its time; `mine` lists one's own.
    `name` is what the broker knows the door by, `asks` are the questions of its form. `beyond` is a path of the
    broker's that it leads to, for staff.
    """

    path: str
    label: str
    title: str
    text: str
    action: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    leads: tuple[str, str] | None = None
    public: bool = False
    room: bool = False
    mine: bool = False
    name: str = ""
    asks: tuple[Question, ...] = ()
    beyond: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One demo portal. The first door is where a person ends who named none.

    `example` is one door of many with its label, for the last of the `notes`. `stranger` is what
    somebody is told who is not invited, `refused` what is said when the broker let nobody in. `register` leads
    whoever is new to the login page, where one registers. With a `menu` the doors hang under the button that logs
    in. Where it `acts`, one may log in for somebody else; a child's own login ends at the age of `own_until`. `room`
    are the words of its video visits, `form` those of its forms and of help by staff. `zone` is where its clocks are.
    `also` is the same portal in other languages, with the same doors.
    """

    id: str
    name: str
    site: str
    language: str
    tongue: str
    scope: str
    lead: str
    doors: tuple[Door, ...]
    notes: tuple[str, ...]
    help_path: str
    help_before: tuple[str, ...]
    help_after: tuple[str, ...]
    words: Mapping[str, str] = field(repr=False)
    example: tuple[str, str] | None = None
    stranger: str = ""
    refused: str = ""
    menu: bool = False
    register: tuple[str, ...] = ()
    room: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: Mapping[str, str] = field(default_factory=dict, repr=False)
    zone: str = "Europe/Copenhagen"
    acts: bool = False
    own_until: int | None = None
    also: tuple[Service, ...] = ()

    def door(self, path: str) -> Door | None:
        """Return the door at a path, or None."""
        return next((door for door in self.doors if _leads(door, path)), None)

    def said_in(self, language: str | None) -> Service:
        """Return the portal in a language; in its own for one it has not."""
        return next((one for one in self.also if one.language == language), self)


def _leads(door: Door, path: str) -> bool:
    if not door.path.endswith("/"):
        return door.path == path
    rest = path.removeprefix(door.path)
    return rest != path and rest.isdecimal() and len(rest) <= 8
