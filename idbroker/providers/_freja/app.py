"""Freja over REST: an order that waits in the person's app, and the signed answer to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from idbroker.codec import Codec
from idbroker.errors import Cancelled, Refused, StoreError, Unreachable, Untrusted
from idbroker.identity import Identity
from idbroker.numbers import NationalNumber
from idbroker.providers import Asked, Progress, Wait
from idbroker.providers._freja.details import BY_NUMBER, INFERRED, Details, Expected, Signers, verified
from idbroker.providers._freja.dialling import asked_on, ended_as, ordered
from idbroker.providers._freja.levels import HIGHEST, Registration, read_level
from idbroker.providers._freja.links import ADDRESSES, app_link, moving_reference, read_secret, way_back
from idbroker.providers._freja.people import Source, Told, check_subject, least_of, make_identity
from idbroker.providers._freja.rest import ADDRESSES as ISSUERS
from idbroker.providers._freja.rest import RestService
from idbroker.providers._freja.settings import Settings
from idbroker.providers._oidc import words
from idbroker.visitor import Device, Visitor, normal_address

PACE = timedelta(seconds=2.5)
ORDER_LIFE = timedelta(minutes=2)
_FLOWS = {Device.THIS: "SAME_DEVICE", Device.OTHER: "ANOTHER_DEVICE"}
_ATTRIBUTES = ("RELYING_PARTY_USER_ID", "REGISTRATION_LEVEL", "BASIC_USER_INFO", "DATE_OF_BIRTH")
_SAYS = {Progress.OPENED: "b.st.sign"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """What is remembered of an order. `back` is where the app leads, for one on the browser's own device."""

    reference: str = field(repr=False)
    made_at: datetime
    least: Registration
    device: Device
    back: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)
    progress: Progress = Progress.WAITING
    kind: str = INFERRED


_ORDERS = Codec(_Order)


class FrejaApp:
    """Signs people in with the Freja app.

    Orders are INFERRED: whoever scans the code or follows the link is who signs in. Never by a number
    or an address, which would put an attacker's order into the app of whoever they name (E2); only staff
    do that, with somebody whom they have on the telephone, and it signs nobody in. Freja's
    `frejaCookie` is not kept: it spares people a warning of a new device, and would follow them around.
    """

    loa = HIGHEST
    origins: tuple[str, ...] = ()
    pace = PACE
    shows = False  # whom it is for is the name that Freja has for us: an authentication carries no text

    def __init__(self, name: str, settings: Settings, service: RestService, signers: Signers) -> None:
        self.title, self.short, self.binding = settings.title, settings.short, settings.binding
        self.dials = settings.telephone
        self._name, self._settings, self._service, self._signers = name, settings, service, signers
        self._app = settings.app_link or ADDRESSES[settings.environment]

    def begin(self, asked: Asked) -> Wait:
        """Make an order."""
        least = least_of(asked)
        started = self._service.start(self._wanted(asked, least), moving=self._moves(asked))
        order = _Order(
            reference=started.reference,
            made_at=asked.now,
            least=least,
            device=asked.device,
            back=f"{asked.return_url}?state={asked.handle}" if asked.device is Device.THIS else None,
            secret=started.secret,
        )
        self._check_secret(order)
        return Wait(state=_ORDERS.pack(order))

    def resume(self, asked: Asked, state: bytes, reply: Mapping[str, str]) -> Wait | Identity:
        """Look at the order once."""
        order = _unpacked(state)
        looked = self._service.look(order.reference)
        opened = order.progress is Progress.OPENED
        match looked.status:
            case "STARTED":
                return _waiting(order, state, order.progress)
            case "DELIVERED_TO_MOBILE":
                return _waiting(order, state, Progress.OPENED)
            case "APPROVED":
                return self._proved(asked, order, looked.details)
            case "CANCELED":
                raise Cancelled("declined in the app")
            case "REJECTED":
                raise Refused("freja_rejected", "as when two orders wait for one person")
            case "EXPIRED" | "RP_CANCELED" if opened:
                raise Refused("freja_expired", "opened, and not answered in time")
            case "EXPIRED" | "RP_CANCELED":
                return _waiting(order, state, Progress.LAPSED)
            case _:  # a word of a later version: it says at least that nothing has ended
                return _waiting(order, state, order.progress, "b.st.work")

    def code(self, state: bytes, now: datetime) -> str | None:
        """Return what the QR code says: a link without a way back, as the app is on another device."""
        order = _unpacked(state)
        shown = order.device is Device.OTHER and order.progress is Progress.WAITING
        if not shown or now >= order.made_at + ORDER_LIFE:
            return None
        return app_link(self._app, self._reference(order, now))

    def link(self, state: bytes, visitor: Visitor) -> str:
        """Return the address that opens the app here. Untrusted for an order that is another device's."""
        order = _unpacked(state)
        # Such a link, sent to somebody, would sign the sender in as them (E1): it leads nobody back.
        if order.back is None:
            raise Untrusted("an order for another device has no link")
        return app_link(self._app, order.reference, way_back(order.back, visitor))

    def drop(self, state: bytes) -> None:
        """Cancel the order; Freja refuses for one that has ended, which is as good."""
        try:
            self._service.cancel(_unpacked(state).reference)
        except Refused:
            return

    # ---- by telephone: `patients.telephone.Dialled` ----------------------------------------------

    def dial(
        self,
        number: NationalNumber,
        said: str,
        *,
        by_clinic: bool,
        now: datetime,
        requirement: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Make an order for whoever has this number. Freja shows neither our words nor who called whom."""
        asked = asked_on(now, requirement or {})
        least = least_of(asked)
        wanted = ordered(number, least, self._attributes(asked), asked.requirement)
        started = self._service.start(wanted, moving=False)
        order = _Order(reference=started.reference, made_at=now, least=least, device=Device.OTHER, kind=BY_NUMBER)
        return _ORDERS.pack(order)

    def heard(self, state: bytes, now: datetime) -> Identity | None:
        """Look once; return who approved, None while nobody has."""
        order = _unpacked(state)
        looked = self._service.look(order.reference)
        if looked.status == "APPROVED":
            return self._proved(asked_on(now, {}), order, looked.details)
        ended = ended_as(looked.status)
        if ended is not None:
            raise ended
        return None

    def hang_up(self, state: bytes) -> None:
        """Cancel such an order; one that has ended is left alone."""
        self.drop(state)

    def _wanted(self, asked: Asked, least: Registration) -> Mapping[str, Any]:
        method = asked.requirement.get("confirmation_method")
        device = {"userAgent": asked.visitor.agent, "userIpAddress": asked.visitor.ip}
        return {
            "userInfoType": INFERRED,
            "userInfo": "N/A",
            "minRegistrationLevel": least.name,
            "attributesToReturn": [{"attribute": name} for name in self._attributes(asked)],
            "originDeviceDetails": {
                "flowType": _FLOWS[asked.device],
                **{name: value for name, value in device.items() if value},
            },
            **({"userConfirmationMethod": method} if method else {}),
            **({"useDynamicQrCode": True} if self._moves(asked) else {}),
        }

    def _attributes(self, asked: Asked) -> tuple[str, ...]:
        more = {
            "SSN": asked.want_number,
            "LOA_LEVEL": self._settings.loa_level,
            "NETWORK_INFO": self._settings.network_info,
        }
        return (*_ATTRIBUTES, *(name for name, wanted in more.items() if wanted))

    def _moves(self, asked: Asked) -> bool:
        return self._settings.dynamic_qr and asked.device is Device.OTHER

    def _reference(self, order: _Order, now: datetime) -> str:
        if order.secret is None:
            return order.reference
        seconds = max(0, int((now - order.made_at).total_seconds()))
        secret = read_secret(order.secret, self._settings.dynamic_qr_secret)
        return moving_reference(order.reference, secret, seconds, padded=self._settings.dynamic_qr_padding)

    def _check_secret(self, order: _Order) -> None:
        try:
            self._reference(order, order.made_at)
        except ValueError as error:
            raise Unreachable("freja: a qrCodeSecret that is not spelled as dynamic_qr_secret says") from error

    def _proved(self, asked: Asked, order: _Order, token: Any) -> Identity:
        expected = Expected(
            reference=order.reference, least=order.least, made_at=order.made_at, now=asked.now, kind=order.kind
        )
        details = verified(token, self._signers, self._settings.jws_algorithms, expected)
        attributes = details.attributes
        source = Source(
            provider=self._name,
            issuer=ISSUERS[self._settings.environment],
            subject=check_subject(attributes.get("relyingPartyUserId")),
            at=details.at,
            app_ip=normal_address(words(_part(attributes, "networkInfo"), "publicIp")),
            evidence={"details": token},
        )
        return make_identity(asked, source, _told(details), order.least)


def _waiting(order: _Order, state: bytes, progress: Progress, says: str | None = None) -> Wait:
    """Return the order as it is now. Most looks find what the last one found: then nothing is packed."""
    if progress is not order.progress:
        state = _ORDERS.pack(replace(order, progress=progress))
    return Wait(state=state, progress=progress, says=says or _SAYS.get(progress, "b.st.start"))


def _unpacked(state: bytes) -> _Order:
    try:
        return _ORDERS.unpack(state)
    except StoreError as error:
        raise Untrusted("a state that does not read") from error


def _told(details: Details) -> Told:
    attributes = details.attributes
    name, ssn = _part(attributes, "basicUserInfo"), _part(attributes, "ssn")
    return Told(
        level=read_level(words(attributes, "registrationLevel"), words(attributes, "loaLevel")),
        number=words(ssn, "ssn"),
        country=words(ssn, "country"),
        given_name=words(name, "name"),
        family_name=words(name, "surname"),
        birthdate=words(attributes, "dateOfBirth"),
    )


def _part(attributes: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = attributes.get(name, {})
    if not isinstance(part, dict):
        raise Untrusted(f"{name}: not an object")
    return part
