"""What a client's registration must be, so that nobody registers a hole."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from idbroker import ages
from idbroker.client import API_SCOPES, AUTH_METHODS, Client
from idbroker.clinic import LANGUAGES, Clinics
from idbroker.identity import LoA
from idbroker.outbound import leads_inside

SCOPES = ("openid", "profile", "national_number", "offline_access", "acting_for")
RESPONSE_MODES = ("query", "form_post")
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "auth_method": AUTH_METHODS,
    "id_token_alg": ("ES256", "RS256"),
    "access_token": ("opaque", "jwt"),
    "refresh": ("never", "keep", "rotate"),
    "consent": ("never", "ask"),
    "assisted": ("never", "allowed", "role"),
    "acting": ("never", "asked", "always", "required"),
}
# What our answers add to an address: a second one there would let two parsers read two answers.
_OURS = {"code", "state", "iss", "error", "error_description", "error_uri", "response"}
_HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.?|[0-9a-f:.]+")
LONGEST_NAME = 100
_UNSEEN = frozenset({"Cc", "Cf", "Zl", "Zp"})  # controls; direction, joiners and the like; ends of lines
_PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "k", "oth"}

Mistake = tuple[str, str]


def mistakes_of(client: Client, clinics: Clinics | None = None) -> tuple[Mistake, ...]:
    """Return (setting, what is wrong and how to mend it) for everything that is wrong with a client."""
    return tuple(mistake for check in CHECKS for mistake in check(client)) + _clinic_mistakes(client, clinics)


def check_id(client: Client) -> Iterable[Mistake]:
    """Require a plain id: it stands in cookies, logs and URLs."""
    if not re.fullmatch(r"[A-Za-z0-9._~-]{1,100}", client.id):
        yield "id", "use letters, digits and . _ ~ - only, at most 100"
    if client.id.startswith("me."):
        # Stops a registration that would be taken for somebody's own page, or for the clinic's whose page it names.
        yield "id", "me. begins the ids of our own pages"


def check_name(client: Client) -> Iterable[Mistake]:
    """Require names that read as they are written: they stand on pages and in letters, beside a link."""
    for language, name in client.name.items():
        if problem := name_problem(name):
            yield "name", f"{language}: {problem}"


def name_problem(name: str) -> str | None:
    """Return why a name may not be shown, or None.

    Stops line ends, which would add words of anybody's to a letter, and signs that turn what follows about.
    """
    if not 0 < len(name.strip()) <= len(name) <= LONGEST_NAME:
        return f"must have 1 to {LONGEST_NAME} characters"
    unseen = any(unicodedata.category(letter) in _UNSEEN for letter in name)
    return "holds a character that is not seen" if unseen else None


def check_redirect_uris(client: Client) -> Iterable[Mistake]:
    """Require exact addresses that codes may safely go to (RFC 9700, 2.1, 2.6; RFC 8252, 7)."""
    if not client.redirect_uris and not client.api:
        yield "redirect_uris", "at least one is needed"
    for uri in client.redirect_uris:
        if problem := uri_problem(uri, app_schemes=client.auth_method == "none"):
            yield "redirect_uris", f"{uri}: {problem}"
    for uri in client.post_logout_redirect_uris:
        if problem := uri_problem(uri, app_schemes=client.auth_method == "none"):
            yield "post_logout_redirect_uris", f"{uri}: {problem}"


def uri_problem(uri: str, *, app_schemes: bool = False) -> str | None:
    """Return why an address may not be sent to, or None."""
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "not an address"
    faults = (
        (not re.fullmatch(r"[\x21-\x7e]+", uri) or "\\" in uri, "only visible ASCII, and no backslash"),
        (host is not None and not _HOST.fullmatch(host), "the host is not a plain one"),
        ("#" in uri, "a fragment is not allowed"),
        ("@" in parts.netloc, "a user part (before @) is not allowed"),
        ("*" in uri, "wildcards are not allowed"),
        (bool(_OURS & _names(parts.query)), "its query holds a parameter that our answer adds"),
        (not _safe_scheme(parts.scheme, host, app_schemes=app_schemes), _SCHEMES),
    )
    return next((words for wrong, words in faults if wrong), None)


def _names(query: str) -> set[str]:
    return {name for name, _ in parse_qsl(query, keep_blank_values=True)}


_SCHEMES = "must be https (http only on localhost; an app's own scheme only for public clients)"


def _safe_scheme(scheme: str, host: str | None, *, app_schemes: bool) -> bool:
    if scheme == "http":
        return host in ("localhost", "127.0.0.1", "::1")
    own = app_schemes and re.fullmatch(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+", scheme) is not None
    return own or (scheme == "https" and bool(host))


def check_start_url(client: Client) -> Iterable[Mistake]:
    """Require a web address: it is a link on our pages, where `javascript:` would run as us."""
    if client.start_url is not None and (problem := uri_problem(client.start_url)):
        yield "start_url", problem


def check_logout_addresses(client: Client) -> Iterable[Mistake]:
    """Require addresses that the end of a sign-on may be told to (Back-Channel Logout 2.2, Front-Channel Logout 2)."""
    for way in ("backchannel", "frontchannel"):
        setting = f"{way}_logout_uri"
        uri: str | None = getattr(client, setting)
        if uri is None:
            if getattr(client, f"{way}_logout_session_required"):
                yield f"{way}_logout_session_required", f"goes with {setting}, never without"
        elif problem := uri_problem(uri) or (
            _frame_problem(uri, client) if way == "frontchannel" else _told_problem(uri)
        ):
            yield setting, problem


def _told_problem(uri: str) -> str | None:
    """Return why our server would never post to an address: it is one of our own network's.

    Stops a registration that looks sound and tells nobody, or that has us knock at an inner door. Http stays
    for localhost alone (`uri_problem`): the sandbox tells portals there, and production never does (outbound).
    """
    parts = urlsplit(uri)
    inside = parts.scheme == "https" and leads_inside(parts.hostname or "")
    return (
        "the host must be reachable from outside: our server never posts to an address of its own network"
        if inside
        else None
    )


def _frame_problem(uri: str, client: Client) -> str | None:
    """Return why an address may not be framed by our page: it must be the client's own, not somebody's to be hit."""
    if "sid" in _names(urlsplit(uri).query):
        return "its query holds sid, which we add"
    ours = {_origin(each) for each in client.redirect_uris if not uri_problem(each)}
    return None if _origin(uri) in ours else "scheme, host and port must be those of one of the redirect_uris"


def _origin(uri: str) -> tuple[str, str | None, int]:
    parts = urlsplit(uri)
    port = parts.port if parts.port is not None else {"http": 80, "https": 443}[parts.scheme]
    return parts.scheme, parts.hostname, port


def check_choices(client: Client) -> Iterable[Mistake]:
    """Require words that we know."""
    for name, allowed in _CHOICES.items():
        if getattr(client, name) not in allowed:
            yield name, f"must be one of {', '.join(allowed)}"
    for scope in set(client.scopes) - set(SCOPES):
        yield "scopes", f"{scope} is not known; there are {', '.join(SCOPES)}"
    if "openid" not in client.scopes:
        yield "scopes", "must contain openid"
    if not client.response_modes:
        yield "response_modes", "at least one is needed"
    for language in sorted(set(client.purpose) - set(LANGUAGES)):
        yield "purpose", f"{language} is not a language of ours: {', '.join(LANGUAGES)}"
    for mode in set(client.response_modes) - set(RESPONSE_MODES):
        yield "response_modes", f"{mode} is not known; there are {', '.join(RESPONSE_MODES)}"


def check_credentials(client: Client) -> Iterable[Mistake]:
    """Require what the client's way of authenticating needs."""
    if client.auth_method.startswith("client_secret") and not client.secret_digests:
        yield "secret_digests", "a client with a secret needs the digest of one: idbroker clients secret"
    for digest in client.secret_digests:
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            yield "secret_digests", "must be the SHA-256 of the secret in hexadecimal, never the secret itself"
    if client.auth_method == "private_key_jwt" and client.jwks is None and client.jwks_uri is None:
        yield "jwks", "private_key_jwt needs jwks or jwks_uri"
    if client.jwks is not None and client.jwks_uri is not None:
        yield "jwks", "give jwks or jwks_uri, not both (RFC 7591, 2)"
    if client.jwks_uri is not None and not client.jwks_uri.startswith("https://"):
        yield "jwks_uri", "must be https"
    if client.jwks is not None and _holds_private(client.jwks):
        yield "jwks", "holds a private or symmetric key: take it out, and make a new one"


def _holds_private(jwks: Mapping[str, Any]) -> bool:
    listed = jwks.get("keys")
    return not isinstance(listed, list) or any(
        not isinstance(key, dict) or _PRIVATE_MEMBERS & set(key) for key in listed
    )


def check_public_client(client: Client) -> Iterable[Mistake]:
    """Keep a client without a secret to what is safe for it (RFC 9700, 2.1.1 and 2.2.2)."""
    if client.auth_method != "none":
        return
    if not client.require_pkce:
        yield "require_pkce", "a public client must use PKCE"
    if client.refresh == "keep":
        yield "refresh", "a public client's refresh tokens must rotate"
    if client.national_number:
        yield "national_number", "a public client cannot keep a number safe; use a confidential client"
    if client.introspect:
        yield "introspect", "a client that cannot prove who it is may not look into others' tokens"


def check_numbers(client: Client) -> Iterable[Mistake]:
    """Let the number out only where both the scope and the permission say so."""
    if client.national_number and "national_number" not in client.scopes:
        yield "scopes", "national_number = true needs the scope national_number too"
    if "national_number" in client.scopes and not client.national_number:
        yield "national_number", "the scope national_number needs national_number = true"


def check_offline(client: Client) -> Iterable[Mistake]:
    """Require that scope and policy for refresh tokens agree."""
    if (client.refresh != "never") != ("offline_access" in client.scopes):
        yield "refresh", "refresh = keep or rotate goes with the scope offline_access, never without"


def check_origins(client: Client) -> Iterable[Mistake]:
    """Require bare origins for CORS; no wildcard can be written."""
    for origin in client.origins:
        parts = urlsplit(origin)
        if uri_problem(origin) or origin != f"{parts.scheme}://{parts.netloc}":
            yield "origins", f"{origin}: must be scheme, host and port only"


def check_lives(client: Client) -> Iterable[Mistake]:
    """Bound how long tokens live."""
    if not 60 <= client.access_token_life.total_seconds() <= 86400:
        yield "access_token_life", "must be between 1 minute and 24 hours"
    if not 3600 <= client.refresh_life.total_seconds() <= 366 * 86400:
        yield "refresh_life", "must be between 1 hour and 1 year"


def check_sector(client: Client) -> Iterable[Mistake]:
    """Require a sector where redirect URIs have several hosts, or `sub` would hang on their order (Core 8.1)."""
    hosts = {urlsplit(uri).hostname for uri in client.redirect_uris if not uri_problem(uri, app_schemes=True)}
    if len(hosts) > 1 and not client.sector:
        yield "sector", "redirect_uris have several hosts: name the sector"


def check_doors(client: Client) -> Iterable[Mistake]:
    """Require doors whose names stand in addresses, and are called something that reads as it is written."""
    for name, called in client.doors.items():
        if not re.fullmatch(r"[a-z0-9-]{1,32}", name):
            yield "doors", f"{name}: use small letters, digits and hyphens only, at most 32"
        problems = {name_problem(text) for text in called.values()} - {None}
        if problems or not called:
            yield "doors", f"{name}: {', '.join(sorted(map(str, problems))) or 'has no name'}"


def check_assisted(client: Client) -> Iterable[Mistake]:
    """Let staff sign patients in only where the service takes the level that this has."""
    if client.assisted != "never" and client.minimum is not LoA.LOW:
        yield "assisted", 'a sign-in by staff is of level low: it needs minimum = "low"'
    if client.initiate_login_uri and (problem := uri_problem(client.initiate_login_uri)):
        yield "initiate_login_uri", problem


def check_acting(client: Client) -> Iterable[Mistake]:
    """Let guardians in only where the service takes what their own eID proves, and knows it is not them it is about."""
    if ("acting_for" in client.scopes) and client.acting == "never":
        yield "acting", "the scope acting_for needs acting = asked, always or required"
    for what in ages.mistakes_of(client.ages):
        yield "ages", what


def check_api(client: Client) -> Iterable[Mistake]:
    """Give the API's scopes by name, and only to clients that can prove who they are (RFC 6749, 4.4)."""
    for scope in sorted(set(client.api) - set(API_SCOPES)):
        yield "api", f"{scope} is not known; there are {', '.join(API_SCOPES)}"
    if client.api and client.auth_method == "none":
        yield "api", "a public client cannot prove who it is; use a confidential client"


CHECKS: tuple[Callable[[Client], Iterable[Mistake]], ...] = (
    check_id,
    check_name,
    check_redirect_uris,
    check_start_url,
    check_logout_addresses,
    check_choices,
    check_credentials,
    check_public_client,
    check_numbers,
    check_offline,
    check_origins,
    check_lives,
    check_sector,
    check_doors,
    check_assisted,
    check_acting,
    check_api,
)


def _clinic_mistakes(client: Client, clinics: Clinics | None) -> tuple[Mistake, ...]:
    if clinics is None:
        return ()
    clinic = clinics.find(client.clinic)
    if clinic is None:
        return (("clinic", f"there is no clinic {client.clinic}"),)
    missing = sorted(set(client.providers) - set(clinic.providers))
    problem = name_problem(clinic.name)
    named = (("clinic", f"the clinic's name: {problem}"),) if problem else ()
    return (*named, *(("providers", f"{name} is not one of the clinic's") for name in missing))
