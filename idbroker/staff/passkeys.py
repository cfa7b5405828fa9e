"""Passkeys (WebAuthn Level 3): made, and used to come in. The library verifies; whose, when and how often is ours.

A passkey is the whole sign-in: it must verify its user (a finger, a face, a PIN), so that it is two factors by itself
(SP 800-63B-4, 3.2.5; ASVS 6.3.3), and it answers to our address only, whatever page asks (phishing).
"""

from __future__ import annotations

import base64
import hmac
import ipaddress
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
from webauthn.helpers import (
    parse_authentication_credential_json,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from idbroker.keeping import Tallies
from idbroker.otp.one_time import Locked
from idbroker.otp.throttle import Limit, Throttle
from idbroker.sealing import Sealer
from idbroker.staff.entrance import Refused
from idbroker.staff.familiar import Familiar
from idbroker.staff.member import Member, Passkey
from idbroker.staff.records import Members
from idbroker.staff.settings import Settings
from idbroker.visitor import Visitor

LIFE = timedelta(minutes=10)  # of a challenge: as long as somebody looks for their key
MOST = 10  # passkeys of one member
MOST_OCTETS = 16 * 1024
LONGEST_NAME = 60
WRONG = Limit(most=30, per=timedelta(minutes=15))
CHECKS = 600  # answers looked at in a minute, from one address: more than a clinic gives, less than a processor takes
_MINUTE = timedelta(minutes=1)
# What a library says to bytes that are no answer of an authenticator: it parses CBOR, keys and JSON for us.
_BAD = (WebAuthnException, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError)
_VERIFIED = UserVerificationRequirement.REQUIRED
_ENTER, _MAKE = "enter", "make"  # what a challenge is for: the answer to one is none to the other


@dataclass(frozen=True, kw_only=True)
class Passkeys:
    """Asks for passkeys and takes their answers. `bound` is what only this browser knows, hashed.

    A challenge is ours (a MAC), for one browser, to make a key or to come in, for ten minutes, and once: an answer that
    was heard is of no use again or elsewhere. Every method may raise StoreError.
    """

    members: Members
    settings: Settings
    sealer: Sealer
    tallies: Tallies
    throttle: Throttle
    familiar: Familiar
    issuer: str

    @property
    def host(self) -> str:
        """Return the relying party's id: our host."""
        return urlsplit(self.issuer).hostname or ""

    @property
    def usable(self) -> bool:
        """Tell whether passkeys are taken here: browsers bind them to a name, which an IP address is not."""
        if not self.settings.passwords:
            return False
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return True
        return False

    # ---- asked for -------------------------------------------------------------------------------

    def asks(self, bound: str, now: datetime, member: Member | None = None) -> str:
        """Return what the browser is asked, as JSON: any passkey for us, or one of somebody's."""
        known = [] if member is None else [PublicKeyCredentialDescriptor(id=key.id) for key in member.passkeys]
        return options_to_json(
            generate_authentication_options(
                rp_id=self.host,
                challenge=self._challenge(_ENTER, bound, now),
                allow_credentials=known,
                user_verification=_VERIFIED,
            )
        )

    def asks_new(self, member: Member, bound: str, now: datetime) -> str:
        """Return what the browser is asked to make, as JSON: one that finds its owner by itself."""
        return options_to_json(
            generate_registration_options(
                rp_id=self.host,
                rp_name=self.host,
                user_id=bytes.fromhex(member.id),
                user_name=member.login,
                user_display_name=member.name,
                challenge=self._challenge(_MAKE, bound, now),
                exclude_credentials=[PublicKeyCredentialDescriptor(id=key.id) for key in member.passkeys],
                authenticator_selection=AuthenticatorSelectionCriteria(
                    resident_key=ResidentKeyRequirement.REQUIRED, user_verification=_VERIFIED
                ),
            )
        )

    # ---- answered --------------------------------------------------------------------------------

    def enter(
        self, answer: str, bound: str, ip: str | None, now: datetime, brought: Iterable[str] = ()
    ) -> Member | Refused | Locked:
        """Return whose passkey answered. Refused for every other answer: forged, old, heard before, of a copy.

        A right answer is never refused for the wrong ones of others at its address, or one device on the clinic's
        network would keep all staff out. After thirty wrong ones there, wrong ones are Locked, and in no trail. Only
        the processor is guarded by a cap on answers; a browser that somebody has signed in with has its own.
        """
        source = self.familiar.browser(brought, now) or Visitor(ip=ip).network
        if self.tallies.add(f"staff passkey|{source}", _MINUTE) > CHECKS:
            return Locked(until=now + _MINUTE)
        found = self._entered(answer, bound, now) if self.usable else Refused(why="off")
        if isinstance(found, Member):
            return found
        counted = self.throttle.spend(f"staff|passkey|{Visitor(ip=ip).network}", WRONG, pause=WRONG.per, now=now)
        return counted if isinstance(counted, Locked) else found

    def _entered(self, answer: str, bound: str, now: datetime) -> Member | Refused:
        try:
            credential = parse_authentication_credential_json(answer) if len(answer) <= MOST_OCTETS else None
            challenge = b"" if credential is None else _challenge_in(credential.response.client_data_json)
        except _BAD:
            return Refused(why="passkey")
        if credential is None or not self._spend(challenge, _ENTER, bound, now):
            return Refused(why="challenge")
        member = self.members.by_passkey(credential.raw_id)
        if member is None:
            return Refused(why="passkey")
        if member.disabled:
            return Refused(why="disabled")
        return self._verified(member, credential, challenge, now)

    def _verified(
        self, member: Member, credential: AuthenticationCredential, challenge: bytes, now: datetime
    ) -> Member | Refused:
        key = next(key for key in member.passkeys if key.id == credential.raw_id)
        whose = credential.response.user_handle
        # A passkey that names another as its owner is not how this one signs in (WebAuthn Level 3, 7.2, step 6).
        if whose is not None and not hmac.compare_digest(whose, bytes.fromhex(member.id)):
            return Refused(why="passkey")
        try:
            proof = verify_authentication_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=self.host,
                expected_origin=self.issuer,
                credential_public_key=key.public_key,
                credential_current_sign_count=key.counter,
                require_user_verification=True,
            )
        except _BAD:
            return Refused(why="passkey")
        used = self._used(member, key, proof, now)
        return Refused(why="counter") if used is None else used

    def _used(self, member: Member, key: Passkey, proof: VerifiedAuthentication, now: datetime) -> Member | None:
        """Keep the newest counter; None when another answer with it came meanwhile: one is a copy's (7.2, 22)."""
        kept = False

        def use(one: Member) -> Member | None:
            nonlocal kept
            newest = next((other for other in one.passkeys if other.id == key.id), None)
            counted = newest is not None and (proof.new_sign_count > newest.counter or newest.counter == 0)
            kept = counted and not one.disabled and one.epoch == member.epoch
            if newest is None or not kept:
                return None
            used = replace(newest, counter=max(proof.new_sign_count, newest.counter), used_at=now)
            return replace(one, passkeys=tuple(used if other.id == key.id else other for other in one.passkeys))

        after = self.members.change(member.id, use)
        return after if kept else None

    def made(self, answer: str, name: str, bound: str, now: datetime) -> Passkey | None:
        """Return a passkey that was made; None for an answer that is not one to what we asked in this browser."""
        try:
            credential = parse_registration_credential_json(answer) if len(answer) <= MOST_OCTETS else None
            challenge = b"" if credential is None else _challenge_in(credential.response.client_data_json)
            if credential is None or not self._spend(challenge, _MAKE, bound, now):
                return None
            proof = verify_registration_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=self.host,
                expected_origin=self.issuer,
                require_user_verification=True,
            )
        except _BAD:
            return None
        return Passkey(
            id=proof.credential_id,
            public_key=proof.credential_public_key,
            counter=proof.sign_count,
            name="".join(filter(str.isprintable, name))[:LONGEST_NAME].strip(),
            added_at=now,
        )

    # ---- challenges ------------------------------------------------------------------------------

    def _challenge(self, ceremony: str, bound: str, now: datetime) -> bytes:
        words = f"{int(now.timestamp())}.{secrets.token_urlsafe(16)}"
        return f"{words}.{self._mac(words, ceremony, bound)}".encode()

    def _spend(self, challenge: bytes, ceremony: str, bound: str, now: datetime) -> bool:
        """Tell whether a challenge is ours, for this, of this browser, of late, and has not been answered before."""
        words, _, mac = challenge.decode("ascii", "replace").rpartition(".")
        if not hmac.compare_digest(mac.encode(), self._mac(words, ceremony, bound).encode()):
            return False
        at = int(words.partition(".")[0])
        fresh = 0 <= now.timestamp() - at < LIFE.total_seconds()
        return fresh and self.tallies.add(f"staff challenge|{words}", LIFE) == 1

    def _mac(self, words: str, ceremony: str, bound: str) -> str:
        digest = self.sealer.index("staff challenge", f"{ceremony}\n{words}\n{bound}")
        return base64.urlsafe_b64encode(digest[:24]).decode()


def _challenge_in(client_data: bytes) -> bytes:
    return parse_client_data_json(client_data).challenge


def with_passkey(member: Member, passkey: Passkey) -> Member | None:
    """Return a member with one more passkey; None when there are as many as may be, or it is theirs already."""
    if len(member.passkeys) >= MOST or any(key.id == passkey.id for key in member.passkeys):
        return None
    return replace(member, passkeys=(*member.passkeys, passkey))
