"""The authorization request: from parameters to a checked SigninRequest (OpenID Connect Core 3.1.2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlencode

from idbroker.client import Client, Clients
from idbroker.errors import BadLink, OAuthError
from idbroker.oidc import levels
from idbroker.oidc.claims_request import ClaimsRequest, parse_claims
from idbroker.oidc.parameters import Parameters, refuse_duplicates
from idbroker.oidc.token import is_acting_for
from idbroker.registration import RESPONSE_MODES, SCOPES
from idbroker.request import SigninRequest

PROMPTS = ("none", "login", "consent", "select_account")
DISPLAYS = ("page", "popup", "touch", "wap")

MOST_STATE = 4096
MOST_NONCE = 1024
MOST_HINT = 4096
MOST_AGE = timedelta(days=3650)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationResponse:
    """What the browser carries back to the client: where, how, and which parameters."""

    redirect_uri: str
    mode: str
    parameters: Mapping[str, str] = field(repr=False)

    @property
    def url(self) -> str:
        """Return the redirect URI with the parameters in its query (`response_mode=query`)."""
        joint = "&" if "?" in self.redirect_uri else "?"
        return f"{self.redirect_uri}{joint}{urlencode(self.parameters)}"


class Refused(OAuthError):
    """An error that may be sent to the redirect URI, which is a registered one."""

    def __init__(self, error: OAuthError, response: AuthorizationResponse) -> None:
        super().__init__(error.code, error.description, status=error.status, detail=error.detail)
        self.response = response


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What the checks look at."""

    parameters: Parameters
    client: Client
    claims: ClaimsRequest


def parse(
    parameters: Parameters,
    clients: Clients,
    *,
    issuer: str,
    now: datetime,
    hinted_subject: Callable[[str, Client], str],
    providers: Collection[str] = (),
) -> SigninRequest:
    """Check a request and return it as a SigninRequest.

    `hinted_subject` verifies an id_token_hint and returns its `sub`, or raises OAuthError.
    Raises BadLink where nothing may be redirected (unknown client, unregistered redirect URI) and
    Refused, which carries the response to send, for everything else that is the client's fault.
    """
    client = find_client(parameters, clients)
    redirect_uri = registered_redirect_uri(parameters, client)
    try:
        return _checked(parameters, client, redirect_uri, now, hinted_subject, providers)
    except OAuthError as error:
        raise refuse(error, parameters, client, redirect_uri, issuer) from error


def find_client(parameters: Parameters, clients: Clients) -> Client:
    """Return the client that asks. BadLink when there is none such: an error page, never a redirect."""
    client_id = parameters.get("client_id", "")
    if "client_id" in parameters.duplicates or not client_id or len(client_id) > 200:
        raise BadLink("client_id is missing or sent twice")
    client = clients.find(client_id)
    if client is None or client.disabled:
        raise BadLink("client_id is unknown or disabled")
    return client


def registered_redirect_uri(parameters: Parameters, client: Client) -> str:
    """Return the redirect URI, compared octet by octet with the registered ones (RFC 9700, 2.1 and 4.1).

    No normalising: `/../`, another case, a user part or a longer host would each be somebody else's
    address. Missing is an error even if only one is registered (Core 3.1.2.1 requires it).
    """
    redirect_uri = parameters.get("redirect_uri", "")
    if "redirect_uri" in parameters.duplicates or redirect_uri not in client.redirect_uris:
        raise BadLink("redirect_uri is missing or not registered for this client")
    return redirect_uri


def refuse(error: OAuthError, parameters: Parameters, client: Client, redirect_uri: str, issuer: str) -> Refused:
    """Return the error as a response to the (registered) redirect URI, `state` and `iss` included."""
    mode = parameters.get("response_mode", "query")
    state = None if "state" in parameters.duplicates else parameters.get("state")
    return Refused(
        error,
        error_response(
            error,
            redirect_uri=redirect_uri,
            mode=mode if mode in client.response_modes and mode in RESPONSE_MODES else "query",
            state=state if state is not None and len(state) <= MOST_STATE else None,
            issuer=issuer,
        ),
    )


def error_response(
    error: OAuthError, *, redirect_uri: str, mode: str, state: str | None, issuer: str
) -> AuthorizationResponse:
    """Return an error as an authorization response (RFC 6749, 4.1.2.1; `iss` by RFC 9207, 2)."""
    fields = {"error": error.code, "error_description": error.description, "state": state, "iss": issuer}
    return AuthorizationResponse(
        redirect_uri=redirect_uri, mode=mode, parameters={k: v for k, v in fields.items() if v}
    )


def code_response(request: SigninRequest, code: str, issuer: str) -> AuthorizationResponse:
    """Return the success response: code, `state` as it came, `iss` (Core 3.1.2.5; RFC 9207, 2)."""
    fields = {"code": code, "state": request.state, "iss": issuer}
    return AuthorizationResponse(
        redirect_uri=request.redirect_uri,
        mode=request.response_mode,
        parameters={k: v for k, v in fields.items() if v},
    )


def _checked(
    parameters: Parameters,
    client: Client,
    redirect_uri: str,
    now: datetime,
    hinted_subject: Callable[[str, Client], str],
    providers: Collection[str],
) -> SigninRequest:
    refuse_duplicates(parameters)
    asking = Asking(parameters=parameters, client=client, claims=parse_claims(parameters.get("claims")))
    for check in CHECKS:
        check(asking)
    max_age = parameters.get("max_age")
    idp = parameters.get("idp")
    return SigninRequest(
        client_id=client.id,
        redirect_uri=redirect_uri,
        response_mode=parameters.get("response_mode", "query"),
        scopes=tuple(s for s in parameters.words("scope") if s in client.scopes and s in SCOPES),
        state=parameters.get("state"),
        nonce=parameters.get("nonce"),
        code_challenge=parameters.get("code_challenge"),
        prompt=parameters.words("prompt"),
        max_age=timedelta(seconds=int(max_age)) if max_age is not None else client.default_max_age,
        acr_values=asking.claims.acr_values or parameters.words("acr_values"),
        essential_acr=asking.claims.essential_acr,
        minimum=max(client.minimum, levels.lowest(asking.claims.acr_values) or client.minimum)
        if asking.claims.essential_acr
        else client.minimum,
        claims_id_token=asking.claims.id_token,
        claims_userinfo=asking.claims.userinfo,
        required_subject=_required_subject(asking, hinted_subject),
        provider_hint=idp if idp in providers else None,
        door=_registered_door(asking),
        acting_for=_acting_for(asking),
        must_act=asking.claims.essential_act,
        ui_locales=parameters.words("ui_locales")[:16],
        received_at=now,
    )


def _registered_door(asking: Asking) -> str | None:
    """Return the way in that the request names, a parameter of ours. One that is not registered is as none.

    The person can sign in all the same; the pages say only what the service has registered (phishing by words).
    """
    door = asking.parameters.get("door", "")
    return door if door in asking.client.doors else None


def _acting_for(asking: Asking) -> str | None:
    """Return who it is to be about: our own parameter, or the scope that stands for `ask`.

    A hint without a page says it, too: a portal that always asks for the scope renews all the same.
    """
    named = asking.parameters.get("acting_for")
    if named is not None:
        return named
    if "id_token_hint" in asking.parameters and "none" in asking.parameters.words("prompt"):
        return None
    asks = "acting_for" in asking.parameters.words("scope") and "acting_for" in asking.client.scopes
    return "ask" if asks or asking.claims.essential_act else None


def _required_subject(asking: Asking, hinted_subject: Callable[[str, Client], str]) -> str | None:
    """Return who must sign in, by hint or by name. A hint is verified in any case (Core 3.1.2.1, 5.5.1)."""
    hint = asking.parameters.get("id_token_hint")
    named = {asking.claims.subject, hinted_subject(hint, asking.client) if hint else None} - {None}
    if len(named) > 1:
        raise OAuthError("invalid_request", "The id_token_hint and the claims parameter name two persons")
    return next(iter(named), None)


# ---- the checks, in order ------------------------------------------------------------------------


def check_no_request_object(asking: Asking) -> None:
    """Answer what we do not support with its own error, never ignore it (Core 6, 7.2.1; RFC 9101, 10)."""
    if "request" in asking.parameters:
        raise OAuthError("request_not_supported", "Request objects are not supported")
    if "request_uri" in asking.parameters:
        raise OAuthError("request_uri_not_supported", "The request_uri parameter is not supported")
    if "registration" in asking.parameters:
        raise OAuthError("registration_not_supported", "The registration parameter is not supported")


def check_response_type(asking: Asking) -> None:
    """Accept only the code flow: no token ever stands in a URL (RFC 9700, 2.1.2)."""
    response_type = asking.parameters.get("response_type")
    if response_type is None:
        raise OAuthError("invalid_request", "The response_type parameter is missing")
    if response_type != "code":
        raise OAuthError("unsupported_response_type", "Only response_type=code is supported")


def check_response_mode(asking: Asking) -> None:
    """Accept the modes registered for the client (OAuth 2.0 Multiple Response Types 2.1; ASVS 10.4.12)."""
    mode = asking.parameters.get("response_mode", "query")
    if mode not in RESPONSE_MODES or mode not in asking.client.response_modes:
        raise OAuthError("invalid_request", "This response_mode is not available to the client")


def check_scope(asking: Asking) -> None:
    """Require `openid`; scopes we do not know or the client may not have are left out (Core 3.1.2.1)."""
    if "openid" not in asking.parameters.words("scope"):
        raise OAuthError("invalid_scope", "The scope must contain openid")


def check_pkce(asking: Asking) -> None:
    """Require an S256 challenge; `plain` and a missing method would allow a downgrade (RFC 9700, 2.1.1)."""
    challenge = asking.parameters.get("code_challenge")
    method = asking.parameters.get("code_challenge_method")
    if challenge is None:
        if asking.client.require_pkce or method is not None:
            raise OAuthError("invalid_request", "A code_challenge is required")
        return
    if method != "S256":
        raise OAuthError("invalid_request", "The code_challenge_method must be S256")
    if not re.fullmatch(r"[A-Za-z0-9_-]{43}", challenge):
        raise OAuthError("invalid_request", "The code_challenge is malformed")


def check_state_and_nonce(asking: Asking) -> None:
    """Bound both, never cut them; require a nonce where the client registered for one (ASVS 10.5.1)."""
    if len(asking.parameters.get("state", "")) > MOST_STATE:
        raise OAuthError("invalid_request", "The state is too long")
    if len(asking.parameters.get("nonce", "")) > MOST_NONCE:
        raise OAuthError("invalid_request", "The nonce is too long")
    if asking.client.require_nonce and "nonce" not in asking.parameters:
        raise OAuthError("invalid_request", "A nonce is required")


def check_prompt(asking: Asking) -> None:
    """Refuse unknown prompts, and `none` together with any other (Core 3.1.2.1)."""
    prompts = asking.parameters.words("prompt")
    if any(prompt not in PROMPTS for prompt in prompts):
        raise OAuthError("invalid_request", "The prompt parameter holds an unknown value")
    if "none" in prompts and len(prompts) > 1:
        raise OAuthError("invalid_request", "prompt=none cannot be combined with another value")


def check_max_age(asking: Asking) -> None:
    """Require whole seconds, at most ten years."""
    text = asking.parameters.get("max_age")
    if text is None:
        return
    if not re.fullmatch(r"[0-9]{1,10}", text) or timedelta(seconds=int(text)) > MOST_AGE:
        raise OAuthError("invalid_request", "The max_age parameter is not a number of seconds")


def check_hints(asking: Asking) -> None:
    """Bound what is taken but not used: a login_hint may be somebody's number, so it is kept nowhere."""
    for name in ("login_hint", "id_token_hint", "ui_locales", "claims_locales", "acr_values"):
        if len(asking.parameters.get(name, "")) > MOST_HINT:
            raise OAuthError("invalid_request", "A hint is too long")


def check_essential_acr(asking: Asking) -> None:
    """Refuse at once an essential `acr` of which we know no value (Core 5.5.1.1; error by OIDC UAR 1.0)."""
    if asking.claims.essential_acr and levels.lowest(asking.claims.acr_values) is None:
        raise OAuthError("unmet_authentication_requirements", "The requested acr is not known here")


def check_acting(asking: Asking) -> None:
    """Refuse to ask for guardians where none may sign in: a service must never take a parent for the child."""
    wished, essential = asking.parameters.get("acting_for"), asking.claims.essential_act
    if wished is not None and not is_acting_for(wished):
        raise OAuthError("invalid_request", "The acting_for parameter is malformed")
    if asking.client.acting == "never" and (essential or wished not in (None, "self")):
        raise OAuthError("invalid_request", "The client is not registered for people who act for others")
    if wished == "self" and (essential or asking.client.acting == "required"):
        raise OAuthError("invalid_request", "The request wants nobody and somebody to act")


Check = Callable[[Asking], None]

CHECKS: tuple[Check, ...] = (
    check_no_request_object,  # first: what else the request says may stand inside the object
    check_response_type,
    check_response_mode,
    check_scope,
    check_pkce,
    check_state_and_nonce,
    check_prompt,
    check_max_age,
    check_hints,
    check_essential_acr,
    check_acting,
)
