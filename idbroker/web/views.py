"""What each page is made of: frozen values, filled in by the routes."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo

from idbroker.clinic import LANGUAGES
from idbroker.patients.assisting import PROVIDER
from idbroker.visitor import Device
from idbroker.web.qr import Drawing

DOCUMENTS = ("help", "privacy", "accessibility")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What surrounds every page.

    `languages` are those of the switch. A page with a form of its own switches by posting it; any
    other is asked for again at `switch_path` with `switch_fields` and `lang`, or has no switch.
    `country` is the clinic's market. Help, privacy and accessibility default to our own pages.
    `open_until` is shown as a clock time in `zone`, `left` is seconds until then; with `last` no more can be had.
    `whence` is what our own help, privacy and accessibility are told of where somebody comes from.
    `about` is the name of whom somebody acts for here ("" if it is not known), who may be changed by the page's own
    form (`do` = person).
    """

    language: str
    languages: tuple[str, ...] = LANGUAGES
    country: str | None = None
    service: str | None = None
    clinic: str | None = None
    phone: str | None = None
    help_href: str | None = None
    privacy_href: str | None = None
    accessibility_href: str | None = None
    cancel_href: str | None = None
    open_until: datetime | None = None
    left: int = 0
    last: bool = False
    zone: tzinfo = UTC
    about: str | None = field(default=None, repr=False)
    switch_path: str | None = None
    switch_fields: Mapping[str, str] = field(default_factory=dict)
    whence: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to log in: a button. `title` is the eID's name in sentences, `label` the key of the button's text.

    `value` is what the configuration calls it, and `kind` what it is: words and brand go by that.
    """

    value: str
    title: str
    kind: str = ""
    label: str = "c.with"
    style: str = ""
    hint: str | None = None
    note_down: bool = False
    last_used: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Why the person is here again: a text's key, the name of the eID it is about, the code to tell us.

    `age` is for the text, where it speaks of one; `besides` are sentences after it, each with an age of its own.
    """

    key: str
    eid: str | None = None
    ref: str | None = None
    age: int | None = None
    besides: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Younger:
    """What is left to who is too young, below the ways of their own: to ask a guardian.

    `acts` is the age before which one acts for them, with one of the `ways`; `by_password` says that who is
    registered by one has a password. Each is empty where it is not so.
    """

    ways: tuple[Way, ...] = ()
    acts: int = 0
    by_password: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChooseView:
    """The choice of a way to log in; the form posts `_n`, and `provider`, `do` or `lang` (neither: the first way).

    `register` offers to (`do` = register or child, those under `child_age`); with a `wish` (self or child) the
    person has chosen that, is told to prove who they are first, and may go back on it (`do` = signin). With `acts` it
    says that whose login is about a child chooses it afterwards. With `younger` it is for who is too young here.
    """

    frame: Frame
    action: str
    nonce: str
    ways: tuple[Way, ...]
    notice: Notice | None = None
    register: bool = False
    child_age: int | None = None
    wish: str = ""
    acts: bool = False
    younger: Younger | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FormView:
    """A page that somebody fills in: the template `page`; the form posts `_n`, its fields, and `do` or `lang`.

    `values` fill it in, moments as ISO 8601; `errors` are texts' keys by field. `rows` are lists of such values.
    Without an `action` nothing is posted. `ways` are eIDs to use instead, posted to `elsewhere` as the choice does.
    """

    frame: Frame
    action: str
    nonce: str
    page: str
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    errors: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict, repr=False)
    eid: str = ""
    ways: tuple[Way, ...] = ()
    elsewhere: str = ""


class WaitState(enum.StrEnum):
    """Which of its parts the page that waits shows."""

    WAITING = "waiting"
    OPENED = "opened"
    RETURNING = "returning"
    LAPSED = "lapsed"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitView:
    """The page that waits for an app; the form posts `_n`, and `do` or `lang`.

    `base` is the transaction's path, `way` the button that led here, `eid` the app's name in
    sentences, `says` the key of the words for now.
    """

    frame: Frame
    base: str
    nonce: str
    way: Way
    eid: str
    device: Device
    state: WaitState = WaitState.WAITING
    says: str = "b.st.start"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeView:
    """The small document with the code, for a page without script: a stream, one code, or words.

    `stream_src` is the address of pictures that follow one another; `says` are texts' keys.
    """

    frame: Frame
    eid: str
    says: tuple[str, ...] = ()
    stream_src: str | None = None
    drawing: Drawing | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WayBackView:
    """A page that only says something and links to the service; `own_href` to the person's own page."""

    frame: Frame
    back_href: str | None = None
    own_href: str | None = None
    shared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TellingView:
    """Services are told in frames that a sign-on is over; then the person goes on."""

    frame: Frame
    frames: tuple[str, ...] = field(repr=False)
    onward_href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FarewellView:
    """What has ended, by name; `unsure` are eIDs that have not said so."""

    frame: Frame
    back_href: str | None = None
    ended: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()


class Problem(enum.StrEnum):
    """What a problem page is about: the stem of its texts' keys."""

    FAULT = "x.500"
    CLOSED = "x.503"
    DOWN = "x.down"
    NOT_FOUND = "x.404"
    TOO_MANY = "x.429"
    LINK = "x.link"
    COOKIE = "x.cookie"
    BROWSER = "x.browser"
    EID = "x.eid"
    NUMBER = "q.e.many"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemView:
    """Something went wrong: what happened, what to do, the code to tell us, the way on.

    CLOSED needs `reopens`, EID needs `eid`. `explanation` is in English, and shown in the sandbox only.
    """

    frame: Frame
    problem: Problem
    ref: str | None = None
    retry_href: str | None = None
    back_href: str | None = None
    eid: str | None = None
    reopens: datetime | None = None
    explanation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutView:
    """The question before a logout nobody proved to have asked for; posts `confirm` = yes or no, or `lang`."""

    frame: Frame
    action: str
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FormPostView:
    """The answer to a service that wants it posted (OAuth 2.0 Form Post Response Mode)."""

    frame: Frame
    action: str
    fields: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentView:
    """One of DOCUMENTS, about what the service offers that somebody comes from, or about all there is.

    `ways` are the service's; where none is known, `by_country` has each market's. `registration` is the clinic's
    (`Clinic.registration`), "" if it is not known; `child_age` is the age before which a child may be registered.
    `acts` says that guardians act there, `by_password` that there is a way without an eID, `by_app` one with an app
    whose signatures are kept `signed_days`. `hours` is the longest life of a sign-on. `back_href` leads to the sign-in
    that is under way, `service_href` to the service, `own_href` to My page.
    """

    frame: Frame
    name: str
    ways: tuple[Way, ...] = ()
    by_country: Mapping[str, tuple[Way, ...]] = field(default_factory=dict)
    registration: str = ""
    child_age: int = 0
    acts: bool = True
    by_password: bool = True
    own_code: bool = True
    by_app: bool = True
    signed_days: int = 0
    hours: int = 8
    back_href: str | None = None
    service_href: str | None = None
    own_href: str | None = None


_KNOWN_WAYS = {
    "mitid": ("c.mitid", "mitid", None),
    "bankid": ("c.bankidse", "", None),
    "freja": ("c.freja", "", None),
    "suomifi": ("c.suomi", "", None),
    "borgeradgang": ("c.borgeradgang", "", None),
    "fallback": ("c.pw", "sec", "c.pwhint"),
    PROVIDER: ("s.as.door", "door", None),
}


def way(value: str, title: str, kind: str = "", *, note_down: bool = False, last_used: bool = False) -> Way:
    """Return the button of a provider: with the words of its kind where we have them, else "Log in with …".

    `kind` is left out where the provider is called as its kind is.
    """
    found = kind or value
    label, style, hint = _KNOWN_WAYS.get(found, ("c.with", "", None))
    seen = Way(value=value, title=title, kind=found, label=label, style=style, hint=hint)
    return replace(seen, note_down=note_down, last_used=last_used)
