"""The identity provider that the simulators of suomi.fi and of the Danish gateway share (SAML core and profiles)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from idbroker.clock import Clock
from idbroker.saml import names
from idbroker.sandbox.saml_asked import Asked, LogoutWanted, read_asked, read_logout
from idbroker.sandbox.saml_keys import IdpKeys, Signer
from idbroker.sandbox.saml_lies import Means, lie_about_answer, lie_about_logout, lie_about_request
from idbroker.sandbox.saml_metadata import Described, publish
from idbroker.sandbox.saml_party import LogoutPlace, Misuse, Party, read_party
from idbroker.sandbox.saml_says import (
    Answer,
    Attribute,
    Dialect,
    LogoutAsked,
    LogoutTold,
    Name,
    Says,
    Told,
    new_id,
)
from idbroker.sandbox.saml_sealing import CIPHERS, Sealing
from idbroker.sandbox.saml_sessions import Participant, Session, Sessions
from idbroker.sandbox.saml_wire import Came, Leaves, by_post, by_redirect, read_posted, read_redirect

LIFETIME = timedelta(minutes=5)  # of assertions and logout messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What one kind of identity provider does in its own way.

    `life` is of its sessions. `qualified` says that names carry both qualifiers, and that logout
    requests must. `number` is the attribute with the national number; `strange_number`, `low_context`
    and `low_attributes` are what its lies are made of.
    """

    described: Described
    dialect: Dialect
    life: timedelta
    signs_response: bool
    qualified: bool
    number: str
    strange_number: str
    low_context: str
    low_attributes: Mapping[str, str] = field(default_factory=dict)
    logged_out: str | None = None  # the status message of a logout response


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """What is to be asserted about a person to one service."""

    name: Name
    context: str
    attributes: tuple[Attribute, ...] = field(repr=False)
    address: str


class SamlIdp:
    """One identity provider. `lies` says at each step what it lies about now; see `saml_lies.MEANINGS`.

    `parties` are the services' metadata documents by entity id, asked for anew at each message.
    """

    def __init__(
        self,
        profile: Profile,
        keys: IdpKeys,
        clock: Clock,
        lies: Callable[[], frozenset[str]],
        parties: Callable[[], Mapping[str, bytes]],
    ) -> None:
        self.profile, self.keys, self.clock, self.lies = profile, keys, clock, lies
        self._parties = parties
        self.sessions = Sessions(clock, profile.life)
        self._previous: dict[str, Leaves] = {}

    @property
    def signer(self) -> Signer:
        """Return the key that signs now."""
        return self.keys.next if "next_key" in self.lies() else self.keys.active

    def party(self, entity_id: str) -> Party:
        """Return a service by its entity id, octet by octet. Misuse for one we do not know."""
        documents = self._parties()
        if entity_id not in documents:
            raise Misuse("unknown_service")
        party = read_party(documents[entity_id])
        if party.entity_id != entity_id:
            raise Misuse("metadata_of_another")
        return party

    def metadata(self) -> bytes:
        """Return what it publishes."""
        return publish(self.profile.described, self.keys, self.clock.now(), self.lies())

    def came(self, binding: str, raw: bytes, form: Mapping[str, str]) -> Came:
        """Return a message that came by Redirect (`raw`) or by POST (`form`). Misuse when nobody signed it."""
        return read_redirect(raw, self.party) if binding == names.REDIRECT else read_posted(form, self.party)

    def asked(self, came: Came, binding: str) -> Asked:
        """Return the sign-in asked for."""
        return read_asked(came, self.profile.described.sign_on[binding], self.clock.now())

    def logout_wanted(self, came: Came, binding: str) -> LogoutWanted:
        """Return the logout asked for."""
        url = self.profile.described.logout.get(binding, "")
        return read_logout(came, url, self.clock.now(), qualified=self.profile.qualified)

    def logout_answered(self, came: Came) -> tuple[str, bool]:
        """Return to which request of ours a service's LogoutResponse is, and whether all went well."""
        if came.message.tag != names.LOGOUT_RESPONSE:
            raise Misuse("another_message")
        code = came.message.find(f"{names.samlp('Status')}/{names.samlp('StatusCode')}")
        return came.message.get("InResponseTo", ""), code is not None and code.get("Value") == names.SUCCESS

    def approve(self, asked: Asked, session: Session, proved: Proved) -> Leaves:
        """Return the response that signs somebody in, and remember the service for the logout."""
        index = new_id()
        told = session.participants.get(asked.party.entity_id)
        if told is not None:
            # One session is one name to one service, however often it asks.
            index, proved = told.index, replace(proved, name=told.name)
        participant = Participant(entity_id=asked.party.entity_id, name=proved.name, index=index)
        session.participants[asked.party.entity_id] = participant
        says = self._says(asked, session, proved, index)
        sealing = self._sealing(asked.party)
        answer = self._answer(asked)
        return self._sent(asked, replace(answer, told=(Told(says=says, signer=self.signer, sealing=sealing),)))

    def refuse(self, asked: Asked, statuses: tuple[str, ...], message: str | None = None) -> Leaves:
        """Return the response that says why not: status codes, outermost first."""
        return self._sent(asked, replace(self._answer(asked), statuses=statuses, message=message))

    def logout_request(self, participant: Participant, place: LogoutPlace) -> tuple[str, Leaves]:
        """Return a request to end a session at a service, and its ID."""
        now = self.clock.now()
        asked = LogoutAsked(
            id=new_id(),
            issued=now,
            issuer=self.profile.described.entity_id,
            destination=place.location,
            name=participant.name,
            session_indexes=(participant.index,),
            not_on_or_after=now + LIFETIME,
            dialect=self.profile.dialect,
        )
        lied = lie_about_request(asked, self.lies())
        return asked.id, self._logout("SAMLRequest", place.binding, place.location, lied, None)

    def logout_response(self, wanted: LogoutWanted, place: LogoutPlace, statuses: tuple[str, ...]) -> Leaves:
        """Return the answer to a service's request to end a session."""
        told = LogoutTold(
            id=new_id(),
            issued=self.clock.now(),
            issuer=self.profile.described.entity_id,
            destination=place.answers,
            in_response_to=wanted.id,
            dialect=self.profile.dialect,
            statuses=statuses,
            message=self.profile.logged_out if statuses == (names.SUCCESS,) else None,
        )
        lied = lie_about_logout(told, self.lies())
        return self._logout("SAMLResponse", place.binding, place.answers, lied, wanted.relay_state)

    def _logout(
        self, name: str, binding: str, url: str, message: LogoutAsked | LogoutTold, relay_state: str | None
    ) -> Leaves:
        lies = self.lies()
        unsigned = "logout_unsigned_request" if name == "SAMLRequest" else "logout_unsigned_response"
        honest = self.keys.stranger if "logout_unknown_key" in lies else self.signer
        signer = None if unsigned in lies else honest
        if binding == names.POST:
            return by_post(url, name, message.octets(signer), relay_state)
        return by_redirect(url, name, message.octets(None), relay_state, signer)

    def _answer(self, asked: Asked) -> Answer:
        return Answer(
            id=new_id(),
            issued=self.clock.now(),
            issuer=self.profile.described.entity_id,
            destination=asked.consumer,
            in_response_to=asked.id,
            signer=self.signer if self.profile.signs_response else None,
            dialect=self.profile.dialect,
        )

    def _says(self, asked: Asked, session: Session, proved: Proved, index: str) -> Says:
        now = self.clock.now()
        return Says(
            id=new_id(),
            issued=now,
            issuer=self.profile.described.entity_id,
            name=proved.name,
            recipient=asked.consumer,
            in_response_to=asked.id,
            address=proved.address,
            not_before=now,
            not_on_or_after=now + LIFETIME,
            confirmed_until=now + LIFETIME,
            audience=asked.party.entity_id,
            authenticated_at=session.proof.at,
            session_index=index,
            session_ends=None,
            context=proved.context,
            attributes=proved.attributes,
        )

    def _sealing(self, party: Party) -> Sealing:
        # Of the ciphers that a service names (metadata 2.4.1.1) the one we prefer; a manner is stronger.
        chosen = sorted(self.lies() & CIPHERS.keys())
        named = [one for one in party.ciphers if one in CIPHERS.values()]
        preferred = names.AES256_GCM if not named or names.AES256_GCM in named else named[0]
        cipher = CIPHERS[chosen[0]] if chosen else preferred
        return Sealing(certificate=party.encryption[0], recipient=party.entity_id, cipher=cipher)

    def _sent(self, asked: Asked, answer: Answer) -> Leaves:
        lies, party = self.lies(), asked.party.entity_id
        leaves = by_post(
            asked.consumer, "SAMLResponse", lie_about_answer(answer, self._means(), lies).octets(), asked.relay_state
        )
        before, fields = self._previous.get(party), dict(leaves.fields or {})
        if "replayed" in lies and before is not None and before.fields is not None:
            fields["SAMLResponse"] = before.fields["SAMLResponse"]
        elif answer.told:
            self._previous[party] = leaves
        if "other_relay_state" in lies:
            fields["RelayState"] = "somebody-elses-handle"
        if "no_relay_state" in lies:
            fields.pop("RelayState", None)
        return replace(leaves, fields=fields)

    def _means(self) -> Means:
        profile = self.profile
        return Means(
            keys=self.keys,
            low_context=profile.low_context,
            low_attributes=profile.low_attributes,
            number=profile.number,
            strange_number=profile.strange_number,
        )


def write_signer(keys: IdpKeys, folder: Path) -> Path:
    """Write the certificate that a broker pins into a folder, which is made; return its path."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return keys.write(folder)
