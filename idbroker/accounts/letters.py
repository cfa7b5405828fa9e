"""What people are told by e-mail and text message about their account, in their own language."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from idbroker.accounts.account import Account, Contact, Enrolment, Link, Standing
from idbroker.accounts.choosing import Gift
from idbroker.accounts.vouching import here, told_of_help
from idbroker.client import Client, Clients
from idbroker.clinic import Clinic, Clinics
from idbroker.clock import Clock
from idbroker.messages.message import Channel, Message, Post
from idbroker.sealing import Sealer
from idbroker.visit import Visit
from idbroker.words import Words, calendar_date, clock_time

NEWS = timedelta(days=3)  # how long it is tried to tell somebody of what has happened
WARNING = timedelta(hours=24)
Secrets = Mapping[Channel, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Letter:
    """One text for each channel: an e-mail's subject and paragraphs, a text message; `link` is alone on its line."""

    kind: str
    subject: str
    paragraphs: tuple[str, ...] = field(repr=False)
    short: str = field(repr=False)
    link: str | None = field(default=None, repr=False)
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """A link to a child's first password: each channel has its own way to write it; good `until` a moment."""

    until: datetime
    secret: Callable[[Channel], str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Birthday:
    """So many days before it, or on it, a child gets as old as `age`, `at` midnight; a clinic's word, for a service."""

    ward: str
    clinic: str
    client: str | None
    at: datetime
    age: int
    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Voice:
    """The words of one clinic and service, in one language."""

    words: Words
    clinic: Clinic
    client: Client | None
    language: str

    def say(self, key: str, at: datetime | None = None, **more: str) -> str:
        """Return a text with names and the moment in place; a clinic without a telephone has its own wording."""
        bare = f"{key}.nophone"
        chosen = bare if not self.clinic.phone and self.words.knows(bare) else key
        return self.words.say(chosen, self.language, self.clinic.country, **self._values(at), **more)

    @property
    def service(self) -> str:
        """Return what the service is called."""
        return self.client.called(self.language) if self.client else self.clinic.name

    def _values(self, at: datetime | None) -> dict[str, str]:
        values = {"service": self.service, "clinic": self.clinic.name, "phone": self.clinic.phone or ""}
        if at is None:
            return values
        day = calendar_date(at.astimezone(self.clinic.zone).date(), self.language)
        return {**values, "date": day, "time": clock_time(at, self.clinic.zone, self.language)}


@dataclass(frozen=True, kw_only=True)
class Letters:
    """Writes letters and posts them. Every method may raise StoreError; none waits for a mail server.

    Plain text only: no picture tells the sender that it was read, and no link is hidden behind other words.
    Nothing is sent in the name of a clinic that the configuration has no more; a service that is gone is
    called by its clinic's name. `knows` tells whether a clinic has to do with a person.
    """

    post: Post
    say: Words
    clinics: Clinics
    clients: Clients
    issuer: str
    clock: Clock
    sealer: Sealer
    knows: Callable[[str, str], bool]

    # ---- links -----------------------------------------------------------------------------------

    def reset(self, link: Link, secrets: Secrets, contacts: Iterable[Contact]) -> None:
        """Send the link to choose a new password: each channel has its own way to write it."""
        voice = self._voice_to(link.person, link.clinic, link.client, link.language)
        keys = ("m.reset.sub", "m.reset", "m.reset.sms", "m.reset.not")
        self._linked(keys, voice, link, secrets, contacts, kind="reset")

    def activation(self, link: Link, secrets: Secrets, contacts: Iterable[Contact], *, eid: bool) -> None:
        """Send the link to choose the first password: each channel has its own way to write it.

        `eid` says that the first sign-in asks for an eID.
        """
        keys = ("m.act.sub", "m.act", "m.act.sms", *(["m.act.eid"] if eid else []), "m.act.not")
        voice = self._voice(link.clinic, link.client, link.language)
        self._linked(keys, voice, link, secrets, contacts, kind="activation")

    def renewal(self, link: Link, secrets: Secrets, contacts: Iterable[Contact]) -> None:
        """Send the link that staff send to somebody whose address has not been shown to be theirs."""
        voice = self._voice(link.clinic, link.client, link.language)
        keys = ("m.reset.sub", "m.renew", "m.act.sms", "m.act.not")
        self._linked(keys, voice, link, secrets, contacts, kind="renewal")

    def _linked(
        self, keys: Sequence[str], voice: _Voice | None, link: Link, secrets: Secrets, to: Iterable[Contact], kind: str
    ) -> None:
        """Send a link; the keys are of the subject, the text, the text message, and what stands below the link."""
        if voice is None:
            return
        subject, text, short = (voice.say(key, link.ends_at) for key in keys[:3])
        after = tuple(map(voice.say, keys[3:]))
        for contact in to:
            way = self.address(secrets[contact.channel])
            letter = _Letter(kind=kind, subject=subject, paragraphs=(text,), short=short, link=way, after=after)
            self._send(letter, voice, link.person, (contact,), (link.digest,), link.ends_at)

    def lasting(self, account: Account, gift: Gift) -> None:
        """Send a password that was made for somebody: alone on its line, with what it is for (R31, R40)."""
        voice = self._voice(gift.clinic, gift.client, gift.language)
        if voice is None:
            return
        letter = _Letter(
            kind="lasting",
            subject=voice.say("m.last.sub"),
            paragraphs=(voice.say("m.last"),),
            short=voice.say("m.last.sms"),
            link=gift.password,
            after=(voice.say("f.keep"),),
        )
        contacts = [Contact(channel=channel, address=address) for channel, address in gift.to.items()]
        self._send(letter, voice, account.person, contacts, (gift.at.isoformat(), gift.password))

    def address(self, secret: str) -> str:
        """Return the address of a link: below the configured issuer, never a Host that somebody sent (O14)."""
        return f"{self.issuer}/set/{secret}"

    # ---- news ------------------------------------------------------------------------------------

    def changed(
        self, account: Account, before: Iterable[Contact], clinic: str, client: str | None, at: datetime
    ) -> None:
        """Tell every address known before and after that the password was changed `at` a moment (ASVS 6.3.7).

        And that a code app is connected, if one is: somebody else's lets them in after the new password too.
        """
        contacts = (*before, *account.contacts)
        voice = self._voice_to(account.person, clinic, client, account.language)
        more = ("m.changed.app",) if account.app_secret else ()
        self._news("m.changed", "changed", account, contacts, voice, at, more=more)

    def contact_changed(self, before: Account, after: Account, visit: Visit) -> None:
        """Tell every address known before and after that the addresses were changed (ASVS 6.3.7)."""
        voice = self._voice(visit.clinic.id, visit.client.id, after.language)
        self._news("m.contact", "contact", after, (*before.contacts, *after.contacts), voice, visit.now)

    def clinic_changed(
        self, enrolment: Enrolment, account: Account | None, gone: Mapping[Channel, str], at: datetime
    ) -> None:
        """Tell the addresses that a clinic has put others in the place of, and those that codes go to (ASVS 6.3.7).

        Nothing of the new ones, which may be somebody else's.
        """
        voice = self._voice(enrolment.clinic, enrolment.client, enrolment.language)
        if voice is None:
            return
        old = tuple(Contact(channel=channel, address=address) for channel, address in gone.items())
        own = here(account, enrolment)
        contacts = (*old, *(own.reachable if own else ()))
        letter = _piece("m.told", "told", voice, at)
        self._send(letter, voice, enrolment.person, contacts, (enrolment.clinic, at.isoformat()))

    def merged(
        self, enrolment: Enrolment, person: str, contacts: Iterable[Contact], at: datetime, kind: str = "merged"
    ) -> None:
        """Tell every address of two that they were joined, or parted again, in the name of a clinic that has them.

        Who is not one with the other learns of it by this: it says whom to ask, and nothing of either.
        """
        voice = self._voice(enrolment.clinic, enrolment.client, enrolment.language)
        if voice is not None:
            letter, about = _piece(f"m.{kind}", kind, voice, at), (enrolment.clinic, at.isoformat())
            self._send(letter, voice, person, contacts, about)

    def guarded(self, enrolment: Enrolment, account: Account | None, at: datetime) -> None:
        """Tell a patient that a clinic lets somebody act for them; who that is, the clinic says."""
        voice = self._voice(enrolment.clinic, enrolment.client, enrolment.language)
        if voice is not None:
            self.merged(enrolment, enrolment.person, told_of_help(enrolment, account, voice.clinic, at), at, "guard")

    def app_changed(self, account: Account, visit: Visit) -> None:
        """Tell somebody that an authenticator app was added to their account, or removed (ASVS 6.3.7)."""
        voice = self._voice(visit.clinic.id, visit.client.id, account.language)
        self._news("m.app", "app", account, account.contacts, voice, visit.now)

    def locked(self, account: Account, clinic: str, client: str | None, until: datetime) -> None:
        """Tell somebody that others try to sign in as them (ASVS 6.3.5): once a day, by e-mail if they have any.

        Each message costs, and a stranger with a list of numbers decides how many there are (O8, O9).
        """
        voice = self._voice_to(account.person, clinic, client, account.language)
        if voice is None:
            return
        text, ends_at = voice.say("m.locked", until), self.clock.now() + WARNING
        letter = _Letter(
            kind="locked", subject=voice.say("m.locked.sub"), paragraphs=(text,), short=_named(voice, text)
        )
        by_mail = [contact for contact in account.reachable if contact.channel is Channel.EMAIL]
        day = f"{until.astimezone(voice.clinic.zone):%Y-%m-%d}"
        self._send(letter, voice, account.person, by_mail or account.reachable, (day,), ends_at)

    def assisted(
        self, enrolment: Enrolment, account: Account | None, client: str | None, at: datetime, about: str
    ) -> None:
        """Tell a patient that staff have signed them in: at their own addresses, and at those that the clinic has.

        `about` names that sign-in; the same is told once.
        """
        voice = self._voice(enrolment.clinic, client, account.language if account else enrolment.language)
        if voice is None:
            return
        text = voice.say("m.assist", at)
        letter = _Letter(kind="assisted", subject=voice.say("m.assist.sub"), paragraphs=(text,), short=text)
        self._send(letter, voice, enrolment.person, told_of_help(enrolment, account, voice.clinic, at), (about,))

    def handed_over(self, account: Account, approved: Enrolment, at: datetime) -> None:
        """Tell the guardian who set a child's sign-in up that the child is grown and has come with an eID of its own.

        In the name of the clinic that approved them, whichever service the child has come to: that is its own affair.
        """
        voice = self._voice(approved.clinic, None, account.language)
        self._news("m.grown", "grown", account, account.contacts, voice, at)

    def handled(self, enrolment: Enrolment, account: Account, first: First | None = None) -> None:
        """Tell who asked that the clinic has answered: yes, with the way in; or no, with whom to ask.

        `account` is the guardian's, where a guardian asked for a child; `first` leads to the child's first password.
        Never why not: that is the clinic's to say.
        """
        voice = self._voice(enrolment.clinic, enrolment.client, enrolment.language)
        if voice is None:
            return
        letter = _answer(voice, enrolment, child=account.person != enrolment.person)
        decided = (enrolment.decided_at or enrolment.asked_at).isoformat()
        contacts = _one_way(account.reachable or account.contacts)
        if first is not None and contacts:
            text, short = voice.say("m.childset", first.until), voice.say("m.act.sms", first.until)
            way = self.address(first.secret(contacts[0].channel))
            letter = replace(letter, paragraphs=(text,), short=short, link=way)
        self._send(letter, voice, account.person, contacts, (enrolment.person, enrolment.clinic, decided))

    def birthday(self, birthday: Birthday, account: Account, contacts: tuple[Contact, ...]) -> None:
        """Tell a child, or its guardian, that what a guardian may do ends by itself; on the day, with the way in."""
        voice = self._voice(birthday.clinic, birthday.client, account.language)
        if voice is None:
            return
        key = "m.age" + (".own" if account.person == birthday.ward else "") + ("" if birthday.days else ".day")
        said = [voice.say(key + part, birthday.at, age=str(birthday.age)) for part in (".sub", "", ".sms")]
        way = voice.client.way_back if voice.client and not birthday.days else None
        letter = _Letter(kind="age", subject=said[0], paragraphs=(said[1],), short=said[2], link=way)
        about = (birthday.ward, birthday.clinic, birthday.at.isoformat(), str(birthday.days))
        self._send(letter, voice, account.person, _one_way(contacts), about)

    # ---- how -------------------------------------------------------------------------------------

    def _voice(self, clinic_id: str, client_id: str | None, language: str) -> _Voice | None:
        clinic = self.clinics.find(clinic_id)
        if clinic is None:
            return None
        client = self.clients.find(client_id) if client_id else None
        return _Voice(words=self.say, clinic=clinic, client=client, language=language)

    def _voice_to(self, person: str, clinic_id: str, client_id: str | None, language: str) -> _Voice | None:
        """Return the voice of what anybody may have brought about; ours alone where the clinic is not the person's.

        Stops a stranger from having a clinic's name sent to whom it has nothing to do with, for others to read.
        """
        voice = self._voice(clinic_id, client_id, language)
        if voice is None or voice.clinic.registration == "unneeded" or self.knows(person, clinic_id):
            return voice
        ours = replace(voice.clinic, name=urlsplit(self.issuer).hostname or self.issuer, phone=None)
        return replace(voice, clinic=ours, client=None)

    def _news(
        self,
        key: str,
        kind: str,
        account: Account,
        contacts: Iterable[Contact],
        voice: _Voice | None,
        at: datetime,
        *,
        more: tuple[str, ...] = (),
    ) -> None:
        if voice is not None:
            self._send(_piece(key, kind, voice, at, more), voice, account.person, contacts, (at.isoformat(),))

    def _send(
        self,
        letter: _Letter,
        voice: _Voice,
        person: str,
        contacts: Iterable[Contact],
        about: tuple[str, ...],
        ends_at: datetime | None = None,
    ) -> None:
        """Post a letter to each address. The same about the same is the same message, and is sent once."""
        addresses = dict.fromkeys((contact.channel, contact.address) for contact in contacts)
        until = ends_at or self.clock.now() + NEWS
        messages = [
            Message(
                id=self._id(letter.kind, person, *about, channel, address),
                channel=channel,
                to=address,
                subject=letter.subject if channel is Channel.EMAIL else "",
                text=_mail(letter, voice) if channel is Channel.EMAIL else _short(letter),
                kind=letter.kind,
                person=person,
                clinic=voice.clinic.id,
                ends_at=until,
            )
            for channel, address in addresses
        ]
        if messages:
            self.post.send(*messages)

    def _id(self, *parts: str) -> str:
        """Return a message's id; nobody who reads it there, in clear, can try addresses until one fits."""
        return self.sealer.index("message", "\n".join(parts)).hex()[:40]


def _answer(voice: _Voice, enrolment: Enrolment, *, child: bool) -> _Letter:
    if enrolment.standing is Standing.APPROVED:
        text = voice.say("m.childok" if child else "m.approved")
        subject, way = voice.say("m.approved.sub"), voice.client.way_back if voice.client else None
        return _Letter(kind="approved", subject=subject, paragraphs=(text,), short=text, link=way)
    text = voice.say("m.childno" if child else "m.declined")
    return _Letter(kind="declined", subject=voice.say("m.declined.sub"), paragraphs=(text,), short=text)


def _piece(key: str, kind: str, voice: _Voice, at: datetime, more: tuple[str, ...] = ()) -> _Letter:
    text = " ".join((voice.say(key, at), *map(voice.say, more)))
    return _Letter(kind=kind, subject=voice.say(f"{key}.sub"), paragraphs=(text,), short=_named(voice, text))


def _one_way(contacts: tuple[Contact, ...]) -> tuple[Contact, ...]:
    """Return the e-mail address, which the page has promised the answer to; without one the telephone."""
    return tuple(sorted(contacts, key=lambda contact: contact.channel is not Channel.EMAIL)[:1])


def _named(voice: _Voice, text: str) -> str:
    return f"{voice.service}: {text}"


def _mail(letter: _Letter, voice: _Voice) -> str:
    """Return an e-mail's text: a link alone on its line, so that no program takes a full stop for a part of it."""
    links = (letter.link,) if letter.link else ()
    signature = "\n".join(dict.fromkeys((voice.service, voice.clinic.name)))
    return "\n\n".join((*letter.paragraphs, *links, *letter.after, signature)) + "\n"


def _short(letter: _Letter) -> str:
    return f"{letter.short}\n{letter.link}" if letter.link else letter.short
