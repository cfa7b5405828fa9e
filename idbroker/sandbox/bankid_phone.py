"""The simulated BankID app: it scans, follows links, and does what a person does."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from idbroker.clock import Clock
from idbroker.sandbox.bankid_chain import MOBILE_POLICY
from idbroker.sandbox.bankid_lies import STRANGER
from idbroker.sandbox.bankid_orders import OUTSTANDING, Completion, Orders, Placed
from idbroker.sandbox.bankid_signing import Evidence, Signer, Signing
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.orders import Order, Unreadable
from idbroker.sandbox.people import SimPerson

# By the names they have on the wire; the last is one that nobody has heard of.
FAILURES = (
    "expiredTransaction",
    "certificateErr",
    "userCancel",
    "cancelled",
    "startFailed",
    "userDeclinedCall",
    "notSupportedByUserApp",
    "transactionRiskBlocked",
    "mrtdVerificationFailed",
    "facialRecognitionFailed",
    "nfcNotSupportedByDevice",
    "multipleBankIdsOnDevice",
    "stepUpFailed",
    "somethingNew",
)
# Opened and not finished; `open` says userSign, the others what they are called.
STEPS = (
    "open",
    "noClient",
    "started",
    "userMrtd",
    "userCallConfirm",
    "userSign",
    "processing",
    "userStepUp",
    "userFace",
    "somethingPending",
)
OUTCOMES = ("approve", "cancel", *FAILURES, *STEPS)
CODE_WINDOW = 5  # seconds a code may be early or late; BankID's own tolerance is not known
_APP_LINKS = ("https://app.bankid.com/", "bankid:///")
# Habits that people have at other eIDs, in BankID's words.
_HABITS = {"blocked": "certificateErr", "timeout": "expiredTransaction"}
# What the app asks of an order by telephone, besides its text.
_CALLERS = {"user": "Did you call?", "RP": "Did somebody call you?"}
_RISKS = ("low", "moderate", "high")
WRONG_IP = "203.0.113.99"

Lies = frozenset[str]


class BankIDPhone:
    """Everybody's app. A login that it approves is signed at that moment, with the lies that are told then."""

    provider = "bankid"
    outcomes: tuple[str, ...] = OUTCOMES

    def __init__(
        self, people: Iterable[SimPerson], clock: Clock, faults: Faults, orders: Orders, signer: Signer, app_link: str
    ) -> None:
        self._people = {person.id: person for person in people if "bankid" in person.eids}
        self._clock, self._faults, self._orders, self._signer = clock, faults, orders, signer
        self._links = (app_link, *_APP_LINKS)

    def waiting(self) -> tuple[Order, ...]:
        """Return the orders that nobody has finished, the newest first."""
        return tuple(map(self._opened, self._orders.going()))

    def scan(self, content: str) -> Order:
        """Open the order of an animated QR code: its token, its code and its age must be right. Raises Unreadable."""
        parts = content.split(".")
        if len(parts) != 4 or parts[0] != "bankid" or not content.isascii():
            raise Unreadable("this is no code of BankID")
        _, token, time, code = parts
        order = self._orders.find(token)
        if order.qr_start_token != token:
            raise Unreadable("this is no code of BankID")
        if not hmac.compare_digest(code.encode(), qr_auth_code(order.qr_start_secret, time).encode()):
            raise Unreadable("this code is forged")
        age = int((self._clock.now() - order.at).total_seconds())
        # A photographed or relayed code must be of no use a moment later.
        if not time.isdecimal() or abs(age - int(time)) > CODE_WINDOW:
            raise Unreadable("this code is out of date")
        return self._opened(self._orders.start(order.id, scanned=True))

    def follow(self, link: str) -> Order:
        """Open the order of a launch link. Raises Unreadable."""
        if not link.startswith(self._links):
            raise Unreadable("this link does not open the BankID app")
        query = parse_qs(urlsplit(link).query)
        token = query.get("autostarttoken", [""])[0]
        order = self._orders.find(token)
        if order.auto_start_token != token:
            raise Unreadable("this link does not open the BankID app")
        redirect = query.get("redirect", ["null"])[0]
        return self._opened(
            self._orders.start(order.id, scanned=False, redirect=None if redirect == "null" else redirect)
        )

    def act(self, order: str, person: SimPerson, outcome: str, *, ip: str = "127.0.0.1") -> str | None:
        """Do what a person does, or what their habit is; return where the app leads back to.

        Somebody whose BankID may not be used for the order leaves it as started. Raises Unreadable for
        an order that is no more or somebody else's, ValueError for an outcome or person not known here.
        """
        done = self._done(person, outcome)
        found = self._orders.find(order)
        if not _may(found.wish.number, person) or not found.wish.takes(MOBILE_POLICY):
            self._orders.hint(found.id, "started")
            return None
        taken = self._orders.take(found.id, person)
        if done in STEPS:
            self._orders.hint(taken.id, "userSign" if done == "open" else done)
            return None
        if done != "approve":
            self._orders.fail(taken.id, "userCancel" if done == "cancel" else done)
            return taken.back if done == "cancel" else None
        return self._approve(taken, person, ip)

    def _done(self, person: SimPerson, outcome: str) -> str:
        if person.id not in self._people:
            raise ValueError(f"{person.id} has no BankID")
        if outcome not in OUTCOMES:
            raise ValueError(f"unknown outcome: one of {', '.join(OUTCOMES)}")
        habit = _HABITS.get(person.habit, person.habit)
        return habit if outcome == "approve" and habit in OUTCOMES else outcome

    def _approve(self, order: Placed, person: SimPerson, ip: str) -> str | None:
        lies = self._faults.of("bankid").lies
        risk = _risk(lies)
        if order.wish.risk is not None and _RISKS.index(risk) > _RISKS.index(order.wish.risk):
            self._orders.fail(order.id, "transactionRiskBlocked")
            return None
        # Outside the lock: making somebody's first key takes longer than everything else.
        evidence = self._signer.sign(_signing(order, person), person, self._clock.now(), lies)
        self._orders.complete(order.id, _completion(order, person, ip, evidence, lies))
        return order.back

    def _opened(self, order: Placed) -> Order:
        shown = _shown(order, self._clock.now())
        return shown if order.wish.caller is None else replace(shown, code=None, person=self._called(order))

    def _called(self, order: Placed) -> str | None:
        """Return whose app an order by telephone is in: it is there when they open it."""
        return next((one.id for one in self._people.values() if one.number == order.wish.number), None)


def qr_auth_code(secret: str, time: str) -> str:
    """Return the code of one second: HMAC-SHA256 of the seconds, with the secret as it is written."""
    return hmac.digest(secret.encode(), time.encode(), "sha256").hex()


def _shown(order: Placed, now: datetime) -> Order:
    code = None
    if order.hint == OUTSTANDING:
        time = str(int((now - order.at).total_seconds()))
        code = f"bankid.{order.qr_start_token}.{time}.{qr_auth_code(order.qr_start_secret, time)}"
    person = order.person.id if order.person else None
    text = f"{order.wish.text}\n\n{_CALLERS[order.wish.caller]}" if order.wish.caller else order.wish.text
    return Order(id=order.id, provider="bankid", text=text, status=order.hint, person=person, code=code)


def _may(number: str | None, person: SimPerson) -> bool:
    return number is None or number == person.number


def _risk(lies: Lies) -> str:
    if "risk_high" in lies:
        return "high"
    return "moderate" if "risk_moderate" in lies else "low"


def _signing(order: Placed, person: SimPerson) -> Signing:
    return Signing(
        visible=order.wish.visible,
        visible_format=order.wish.visible_format,
        non_visible=order.wish.non_visible,
        service=order.party.name,
        display_name=order.party.display_name,
        uhi=_hardware_id(person),
        policies=order.wish.policies or (MOBILE_POLICY,),
    )


def _hardware_id(person: SimPerson) -> str:
    return base64.b64encode(hashlib.sha1(person.uuid.encode(), usedforsecurity=False).digest()).decode()


def _completion(order: Placed, person: SimPerson, ip: str, evidence: Evidence, lies: Lies) -> Completion:
    """Return `completionData`, with what the lies leave of it."""
    named = STRANGER if "wrong_person" in lies else person
    number = str(named.number)
    told: Mapping[str, Any] = {
        "user": {
            "personalNumber": number[2:] if "foreign_number" in lies else number,
            "name": named.name,
            "givenName": named.given_name,
            "surname": named.family_name,
        },
        "device": {"ipAddress": WRONG_IP if "wrong_ip" in lies else ip, "uhi": _hardware_id(person)},
        "bankIdIssueDate": evidence.issued.date().isoformat(),
        "stepUp": {"mrtd": order.wish.mrtd},
        "signature": evidence.signature,
        "ocspResponse": evidence.ocsp_response,
        "risk": _risk(lies) if order.wish.return_risk or order.wish.risk else None,
    }
    left_out = {"no_user": "user", "no_signature": "signature", "no_ocsp": "ocspResponse", "no_risk": "risk"}
    missing = {member for lie, member in left_out.items() if lie in lies}
    return {name: value for name, value in told.items() if value is not None and name not in missing}
