"""The demo portals: what they are called, their doors and their words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from idbroker.sandbox.settings import ALERIS, PATIENTPORTALEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One place in a portal that a link may lead to: `path` is below the portal's own.

    A path that ends in a slash is the beginning of one door for each thing it is about.
    """

    path: str
    label: str
    title: str
    text: str
    action: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One demo portal. The first door is where a person ends who named none."""

    id: str
    name: str
    site: str
    language: str
    scope: str
    lead: str
    doors: tuple[Door, ...]
    notes: tuple[str, ...]
    help_path: str
    help_before: tuple[str, ...]
    help_after: tuple[str, ...]
    words: Mapping[str, str] = field(repr=False)

    def door(self, path: str) -> Door | None:
        """Return the door at a path, or None."""
        return next((door for door in self.doors if _leads(door, path)), None)


def _leads(door: Door, path: str) -> bool:
    if not door.path.endswith("/"):
        return door.path == path
    rest = path.removeprefix(door.path)
    return rest != path and rest.isdecimal() and len(rest) <= 8


_DANISH = {
    "login": "Log ind", "logout": "Log ud", "help": "Hjælp", "doors": "Hvad vil du?", "you": "Dig",
    "signed_in": "Du er logget ind som", "protected": "en person med beskyttet navn", "name": "Navn",
    "born": "Født", "number": "CPR-nummer", "level": "Sikringsniveau", "when": "Logget ind kl.",
    "goodbye": "Du er logget ud", "close": "Luk alle browservinduer, hvis andre bruger denne enhed.",
    "front": "Til forsiden", "cancelled": "Du loggede ikke ind",
    "cancelled_text": "Login blev afbrudt. Du kan prøve igen eller ringe til klinikken.",
    "failed": "Vi kunne ikke logge dig ind", "failed_text": "Prøv igen. Hjælper det ikke, så ring til klinikken.",
    "again": "Prøv igen", "skip": "Gå til indhold", "happened": "What just happened", "opens": "Linket fører hertil:",
    "open": "Åbn", "lost": "Den side findes ikke", "lost_text": "Linket kan være forkert eller for gammelt.",
    "strange": "Dette login begyndte ikke i denne browser",
    "strange_text": "Det kan være afsluttet i et andet vindue. Gå til forsiden, og log ind derfra.",
    "here": "Vælg her", "support": "Hjælp",
}  # fmt: skip
_ENGLISH = {
    "login": "Log in", "logout": "Log out", "help": "Help", "doors": "What do you want to do?", "you": "You",
    "signed_in": "You are logged in as", "protected": "a person whose name is protected", "name": "Name",
    "born": "Born", "number": "CPR number", "level": "Level of assurance", "when": "Logged in at",
    "goodbye": "You are logged out", "close": "Close all browser windows if others use this device.",
    "front": "To the front page", "cancelled": "You did not log in",
    "cancelled_text": "The login was cancelled. Try again, or call the clinic.",
    "failed": "We could not log you in", "failed_text": "Try again. If that does not help, call the clinic.",
    "again": "Try again", "skip": "Skip to content", "happened": "What just happened", "opens": "The link leads here:",
    "open": "Open", "lost": "There is no such page", "lost_text": "The link may be wrong or too old.",
    "strange": "This login did not begin in this browser",
    "strange_text": "It may be finished in another window. Go to the front page and log in from there.",
    "here": "Choose here", "support": "Support",
}  # fmt: skip

_PATIENTPORTALEN = Service(
    id=PATIENTPORTALEN,
    name="Patientportalen",
    site="Clinea Lægeklinik",
    language="da",
    scope="openid profile national_number offline_access",
    lead="Klinikkens digitale indgang. Vælg, hvad du vil, og log ind med MitID.",
    doors=(
        Door(
            path="tidsbestilling", label="Tidsbestilling", title="Bestil tid",
            text="Bestil en tid hos lægen eller sygeplejersken. Er det akut, så ring til klinikken.",
            action="Ledige tider: mandag kl. 9.10 og tirsdag kl. 13.40.",
        ),
        Door(
            path="e-konsultation", label="E-konsultation", title="Skriv til lægen",
            text="Stil et spørgsmål, for eksempel om et blodprøvesvar. Ikke til akutte henvendelser.",
            action="Du har ingen ubesvarede beskeder.",
        ),
        Door(
            path="receptfornyelse", label="Receptfornyelse", title="Forny en recept",
            text="Forny din faste medicin. Mangler en ordination på listen, så ring til sekretæren.",
            action="Du har ingen recepter, der kan fornyes.",
        ),
    ),
    notes=("MitID kan ikke bruges af eller på vegne af børn under 15 år.",),
    help_path="hjaelp",
    help_before=(
        "Du logger ind med MitID. Vælg det, du vil, på forsiden, og tryk på Log ind.",
        "Du sendes til en fælles loginside, videre til MitID og tilbage hertil, lige dér, hvor du ville hen.",
        "Du har ét login for alle klinikker, der bruger Patientportalen.",
        "Virker det ikke, så ring til klinikken på 70 00 00 02.",
    ),
    help_after=(
        "Tidsbestilling: find en ledig tid, og bestil den.",
        "E-konsultation: skriv til lægen, og læs svaret.",
        "Receptfornyelse: forny din faste medicin.",
        "Log ud, og luk alle browservinduer, når du er færdig.",
    ),
    words=_DANISH,
)  # fmt: skip

_ALERIS = Service(
    id=ALERIS,
    name="Aleris Online",
    site="Aleris",
    language="en",
    scope="openid profile",
    lead="Your appointments, your bookings and your contact details. Log in with MitID, as at your bank.",
    doors=(
        Door(
            path="profile", label="My profile", title="My profile",
            text="Keep your contact details up to date: we send reminders by text message.",
            action="Mobile number and e-mail: not filled in yet.",
        ),
        Door(
            path="appointments", label="My appointments", title="My appointments",
            text="Your active bookings, with the time and the place.",
            action="Booking 1042: video consultation on Thursday at 10:20.",
        ),
        Door(
            path="booking/", label="", title="Booking confirmation",
            text="The confirmation of the booking that was linked to in the text message.",
            action="Video consultation on Thursday at 10:20. We send a link about 10 minutes before.",
        ),
    ),
    notes=("A link from a text message opens its booking, and nothing else:",),
    help_path="help",
    help_before=(
        "You log in with MitID. Press Log in on the front page.",
        "You are sent to a common login page, on to MitID and back here.",
        "A link in a text message leads to its booking, after the login.",
        "If it does not work, call us on 70 00 00 03.",
    ),
    help_after=(
        "My profile: your contact details.",
        "My appointments: what is booked, and where.",
        "Log out and close all browser windows when you are done.",
    ),
    words=_ENGLISH,
)  # fmt: skip

SERVICES: tuple[Service, ...] = (_ALERIS, _PATIENTPORTALEN)
