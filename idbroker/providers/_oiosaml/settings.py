"""`[providers.NAME]` with `kind = "borgeradgang"`: what the operator decides, and everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from idbroker.identity import LoA
from idbroker.providers import Means
from idbroker.providers._oiosaml.gateways import ATTRIBUTES, GATEWAYS, LEVELS, PERSON, PROFILES, Gateway
from idbroker.providers._saml import SamlSettings, saml_mistakes
from idbroker.saml.metadata import Binding

ENVIRONMENTS = ("test", "production")
WAYS = ("attribute", "match", "none")
BINDINGS: Mapping[str, Binding] = {"redirect": Binding.REDIRECT, "post": Binding.POST}
Way = Literal["attribute", "match", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(SamlSettings):
    """`[providers.NAME]` with `kind = "borgeradgang"`.

    `gateway` names a table of what follows: `nemlogin`, or `seb`, the health authority's citizen
    gateway, whose `idp` must be told. `profile` is the version of OIOSAML: 3 (3.0.3) or 4 (4.0).
    `public` is for services of the public sector, which may be told the CPR number and powers of
    attorney; a private one must not ask. `cpr` is how the number is had: `attribute` (public), `match`
    (typed on our page and compared by the gateway, over mutual TLS with `service_certificate_file`,
    `service_key_file` and, if the key is encrypted, `service_passphrase_file`; `service_root_file` is
    to trust instead of the public authorities), or `none`. Without it a public service has the
    attribute, a private one nothing.

    `single_sign_on` false: the person acts at every sign-in, and their session there is not ours to
    end. `logout_bindings` are in our metadata in this order: NemLog-in takes the first. `hosts` are
    more hosts on the way to the eID, `contexts` more classes to ask for (the credential types, say).
    `app_switch_ios` and `app_switch_android` are where MitID's app leads back to.

    The rest overrides the table: `attributes` by our word (`level`, `number`, ...), `levels` the
    gateway's words for ours, `level_uri` in front of them in a request, `versions` of the
    specification that are taken, `person_uri` in front of a citizen's identifier.
    """

    idp: str = ""
    gateway: Literal["nemlogin", "seb"] = "nemlogin"
    environment: Literal["test", "production"]
    profile: Literal["3", "4"] = "3"
    public: bool = False
    cpr: Way | None = None
    skew: timedelta = timedelta(minutes=3)
    single_sign_on: bool = True
    logout_bindings: tuple[str, ...] = ("redirect", "post")
    hosts: tuple[str, ...] = ()
    contexts: tuple[str, ...] = ()
    app_switch_ios: str | None = None
    app_switch_android: str | None = None
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    levels: Mapping[str, str] = field(default_factory=lambda: LEVELS)
    level_uri: str = ""
    versions: tuple[str, ...] = ()
    person_uri: str = PERSON
    cpr_match_url: str | None = None
    service_certificate_file: Path | None = None
    service_key_file: Path | None = None
    service_passphrase_file: Path | None = None
    service_root_file: Path | None = None
    title: str = "MitID"

    @property
    def table(self) -> Gateway:
        """Return what is known of the gateway."""
        return GATEWAYS[self.gateway]

    @property
    def number_by(self) -> Way:
        """Return how the number is had."""
        return self.cpr or ("attribute" if self.public else "none")

    def names(self, word: str) -> tuple[str, ...]:
        """Return the attributes that one of our words stands for."""
        return self.attributes.get(word, ATTRIBUTES[word])

    def filled(self) -> Settings:
        """Return them with the tables' values where nothing is set."""
        table, profile = self.table, PROFILES[self.profile]
        return replace(
            self,
            idp=self.idp or table.idp.get((self.environment, self.profile), ""),
            level_uri=self.level_uri or profile.level_uri,
            versions=self.versions or profile.versions,
            cpr_match_url=self.cpr_match_url or table.cpr_match_url.get(self.environment),
        )


def mistakes_in(settings: Settings, means: Means) -> list[str]:
    """Return everything that cannot work, in sentences for the operator."""
    known = {
        f"gateway: one of {', '.join(GATEWAYS)}": settings.gateway in GATEWAYS,
        f"environment: one of {', '.join(ENVIRONMENTS)}": settings.environment in ENVIRONMENTS,
        f"profile: one of {', '.join(PROFILES)}": settings.profile in PROFILES,
    }
    wrong = [what for what, good in known.items() if not good]
    # Without these no table is known, and nothing else can be judged.
    return wrong or [*saml_mistakes(settings.filled(), means), *_own(settings), *_match(settings.filled(), means)]


def _own(settings: Settings) -> Iterator[str]:
    links = [settings.app_switch_ios, settings.app_switch_android]
    checks = {
        # OIOSAML: requests travel by Redirect and no other way.
        "binding: redirect": settings.binding == "redirect",
        # It is opened under a signed response only, and OIOSAML's is not signed.
        "cbc: OIOSAML leaves no way to open it safely": not settings.cbc,
        f"cpr: one of {', '.join(WAYS)}": settings.number_by in WAYS,
        "cpr: a private service may not be told the number; match, or none": settings.public
        or settings.number_by != "attribute",
        f"logout_bindings: one or both of {', '.join(BINDINGS)}": _is_order(settings.logout_bindings),
        f"attributes: of {', '.join(ATTRIBUTES)}, each with a name": _is_map(settings.attributes),
        "levels: their words for low, substantial and high": _are_levels(settings.levels),
        "person_uri: is missing": bool(settings.person_uri),
        "hosts: names of hosts, without scheme or path": all(map(_is_host, settings.hosts)),
        "app_switch_ios, app_switch_android: addresses": all(urlsplit(link).scheme for link in links if link),
    }
    yield from (what for what, good in checks.items() if not good)


def _match(settings: Settings, means: Means) -> Iterator[str]:
    if settings.number_by != "match":
        return
    pair = [settings.service_certificate_file, settings.service_key_file]
    parts = urlsplit(settings.cpr_match_url or "")
    simulated = means.sandbox and parts.scheme == "http"  # which knows nobody by a certificate
    if pair.count(None) == 1 or (pair.count(None) and not simulated):
        yield "service_certificate_file, service_key_file: the match of a CPR number needs both"
    yield from _unread(settings)
    if not parts.hostname or not (parts.scheme == "https" or simulated):
        yield "cpr_match_url: an https address"


def _unread(settings: Settings) -> Iterator[str]:
    for name in ("certificate", "key", "passphrase", "root"):
        file: Path | None = getattr(settings, f"service_{name}_file")
        if file is not None and not file.is_file():
            yield f"service_{name}_file: does not read"


def _is_order(bindings: tuple[str, ...]) -> bool:
    return bool(bindings) and len(set(bindings)) == len(bindings) and set(bindings) <= set(BINDINGS)


def _is_map(attributes: Mapping[str, tuple[str, ...]]) -> bool:
    return set(attributes) <= set(ATTRIBUTES) and all(names and all(names) for names in attributes.values())


def _are_levels(levels: Mapping[str, str]) -> bool:
    return bool(levels) and set(levels.values()) <= {loa.word for loa in LoA}


def _is_host(host: str) -> bool:
    parts = urlsplit(f"//{host}")
    return bool(parts.hostname) and parts.netloc == host and "@" not in host
