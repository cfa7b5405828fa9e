"""The `claims` parameter: single claims asked for one by one (OpenID Connect Core 5.5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from idbroker.errors import OAuthError
from idbroker.oidc import strict_json

MOST_CHARACTERS = 8192
MOST_CLAIMS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimsRequest:
    """Names asked for in either place, the `acr` values an ID token must have, the `sub` it must be for."""

    id_token: tuple[str, ...] = ()
    userinfo: tuple[str, ...] = ()
    acr_values: tuple[str, ...] = ()
    essential_acr: bool = False
    subject: str | None = field(default=None, repr=False)
    essential_act: bool = False


def parse_claims(text: str | None) -> ClaimsRequest:
    """Parse the parameter. Raises OAuthError invalid_request for anything that is not as 5.5 says."""
    if text is None:
        return ClaimsRequest()
    document = _object(text)
    id_token = _members(document, "id_token")
    userinfo = _members(document, "userinfo")
    acr = id_token.get("acr") or {}
    return ClaimsRequest(
        id_token=tuple(id_token),
        userinfo=tuple(userinfo),
        acr_values=_values(acr),
        essential_acr=acr.get("essential") is True and bool(_values(acr)),
        subject=_subject(id_token),
        essential_act=any((place.get("act") or {}).get("essential") is True for place in (id_token, userinfo)),
    )


def _object(text: str) -> Mapping[str, Any]:
    if len(text) > MOST_CHARACTERS:
        raise OAuthError("invalid_request", "The claims parameter is too long")
    try:
        return strict_json.read_object(text)
    except ValueError:
        raise OAuthError("invalid_request", "The claims parameter is not a JSON object") from None


def _members(document: Mapping[str, Any], place: str) -> Mapping[str, Mapping[str, Any]]:
    asked = document.get(place)
    if asked is None:
        return {}
    if not isinstance(asked, dict) or len(asked) > MOST_CLAIMS:
        raise OAuthError("invalid_request", "A member of the claims parameter is malformed")
    if not all(value is None or isinstance(value, dict) for value in asked.values()):
        raise OAuthError("invalid_request", "A member of the claims parameter is malformed")
    return {name: value or {} for name, value in asked.items()}


def _values(ask: Mapping[str, Any]) -> tuple[str, ...]:
    values = ask.get("values", [ask["value"]] if "value" in ask else [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise OAuthError("invalid_request", "A value in the claims parameter is malformed")
    return tuple(values)


def _subject(id_token: Mapping[str, Mapping[str, Any]]) -> str | None:
    values = _values(id_token.get("sub") or {})
    return values[0] if values else None
