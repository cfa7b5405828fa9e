"""Freja over OpenID Connect: the person goes to Freja's own page (claims and scopes: eduID's and Freja's own words)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from idbroker.errors import Unreachable
from idbroker.identity import Identity
from idbroker.providers import Asked, Redirect
from idbroker.providers._freja.levels import HIGHEST, read_level
from idbroker.providers._freja.people import Source, Told, check_subject, least_of, make_identity
from idbroker.providers._freja.settings import Settings
from idbroker.providers._oidc import OpenIdClient, Proof, words

_SCOPE = "https://frejaeid.com/oidc/scopes/"
_CLAIM = "https://frejaeid.com/oidc/claims/"
_SCOPES = ("openid", "profile", *(_SCOPE + name for name in ("registrationLevel", "relyingPartyUserId", "birthdate")))


class FrejaOpenId:
    """Signs people in with Freja, on its own page."""

    loa = HIGHEST

    def __init__(self, name: str, settings: Settings, client: OpenIdClient) -> None:
        self.title, self.short = settings.title, settings.short
        self.origins = _origins(settings)
        self._name, self._settings, self._client = name, settings, client

    def begin(self, asked: Asked) -> Redirect:
        """Send the person to Freja."""
        least_of(asked)
        # It cannot be asked for here: better nobody signs in than somebody with less than the clinic demands.
        if asked.requirement.get("confirmation_method", "DEFAULT") != "DEFAULT":
            raise Unreachable("freja: a clinic requires confirmation_method, which needs api = rest")
        acr = {} if self._settings.acr_values is None else {"acr_values": self._settings.acr_values}
        parameters = {"scope": " ".join(self._scopes(asked)), "ui_locales": asked.language, **acr}
        return self._client.begin(self._seen(asked), lambda _pushed: parameters)

    def resume(self, asked: Asked, state: bytes, reply: Mapping[str, str]) -> Identity:
        """Read Freja's answer."""
        proof = self._client.finish(self._seen(asked), state, reply, userinfo=True)
        source = Source(
            provider=self._name,
            issuer=proof.issuer,
            subject=check_subject(proof.subject),
            at=proof.proved_at,
            id_token=proof.id_token,
        )
        return make_identity(asked, source, _told(proof), least_of(asked))

    def _seen(self, asked: Asked) -> Asked:
        """Return what to ask; where every answer is fresh, nothing need be said of freshness, or checked."""
        return replace(asked, fresh=False, max_age=None) if self._settings.always_asks else asked

    def _scopes(self, asked: Asked) -> tuple[str, ...]:
        scopes = self._settings.scopes or _SCOPES
        level = (_SCOPE + "loaLevel",) if self._settings.loa_level and not self._settings.scopes else ()
        number = (_SCOPE + "personalIdentityNumber",) if asked.want_number else ()
        return tuple(dict.fromkeys((*scopes, *level, *number)))


def _told(proof: Proof) -> Told:
    # Where the signed token says it, userinfo is not heard.
    claims = proof.claims
    return Told(
        level=read_level(words(claims, _CLAIM + "registrationLevel"), words(claims, _CLAIM + "loaLevel")),
        number=words(claims, _CLAIM + "personalIdentityNumber"),
        country=words(claims, _CLAIM + "country"),
        given_name=words(claims, "given_name"),
        family_name=words(claims, "family_name"),
        birthdate=words(claims, "birthdate"),
    )


def _origins(settings: Settings) -> tuple[str, ...]:
    parts = urlsplit(settings.issuer_address)
    hosts = (f"https://{host}" for host in settings.hosts)
    return tuple(dict.fromkeys((f"{parts.scheme}://{parts.netloc}", *hosts)))
