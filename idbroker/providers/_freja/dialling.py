"""An order that is begun by somebody's number, while they are on the telephone (Freja: userInfoType SSN)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from idbroker.errors import Cancelled, ProviderError, Refused
from idbroker.numbers import NationalNumber
from idbroker.providers import Asked
from idbroker.providers._freja.details import BY_NUMBER
from idbroker.providers._freja.levels import HIGHEST, Registration


def asked_on(now: datetime, requirement: Mapping[str, Any]) -> Asked:
    """Return what a sign-in would ask: a number is believed at Plus only, so no less will do."""
    return Asked(
        transaction="",
        handle="",
        return_url="",
        loa=HIGHEST,
        language="",
        service="",
        now=now,
        want_number=True,
        requirement=requirement,
    )


def ordered(
    number: NationalNumber, least: Registration, attributes: Sequence[str], requirement: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return initAuthRequest for a number. Refused for one that is not Swedish.

    Freja does not say whether anybody has it: an order of nobody's expires.
    """
    if number.country != "SE":
        raise Refused("freja_expired", "no Swedish number")
    named = json.dumps({"country": number.country, "ssn": number.value}, separators=(",", ":"))
    method = requirement.get("confirmation_method")
    return {
        "userInfoType": BY_NUMBER,
        "userInfo": base64.b64encode(named.encode()).decode(),
        "minRegistrationLevel": least.name,
        "attributesToReturn": [{"attribute": name} for name in attributes],
        **({"userConfirmationMethod": method} if method else {}),
    }


def ended_as(status: str) -> ProviderError | None:
    """Return what an order came to that nobody approved; None for one that goes on, or a word that says no end."""
    match status:
        case "CANCELED":
            return Cancelled("declined in the app")
        case "REJECTED":
            return Refused("freja_rejected", "as when two orders wait for one person")
        case "EXPIRED" | "RP_CANCELED":
            return Refused("freja_expired", "not answered in time")
        case _:
            return None
