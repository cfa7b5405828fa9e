"""What a client asked for, checked, free of any protocol."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from idbroker.identity import LoA


@dataclass(frozen=True, slots=True, kw_only=True)
class SigninRequest:
    """A checked request. `minimum` is the level that must be received, whatever else was wished.

    `acr_values` are the client's spellings, by preference; `essential_acr` says that one of them
    must be met (OpenID Connect Core 5.5.1.1). `claims_*` are names asked for one by one (5.5). `door` is the way in
    that the person took, where the client has several and has registered them. `acting_for` is who it is to be
    about: `ask`, `self`, or the `sub` of a ward; `must_act` says that it must be somebody's ward.
    """

    client_id: str
    redirect_uri: str
    response_mode: str = "query"
    scopes: tuple[str, ...] = ("openid",)
    state: str | None = field(default=None, repr=False)
    nonce: str | None = field(default=None, repr=False)
    code_challenge: str | None = field(default=None, repr=False)
    prompt: tuple[str, ...] = ()
    max_age: timedelta | None = None
    acr_values: tuple[str, ...] = ()
    essential_acr: bool = False
    minimum: LoA = LoA.LOW
    claims_id_token: tuple[str, ...] = ()
    claims_userinfo: tuple[str, ...] = ()
    required_subject: str | None = field(default=None, repr=False)
    provider_hint: str | None = None
    door: str | None = None
    acting_for: str | None = field(default=None, repr=False)
    must_act: bool = False
    ui_locales: tuple[str, ...] = ()
    received_at: datetime
