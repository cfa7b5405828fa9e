"""The simulated suomi.fi e-Identification: its SAML as DVV's own code and its customers' messages have it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from flask import Flask

from idbroker.clock import Clock
from idbroker.identity import LoA
from idbroker.saml import names
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.people import SimPerson, hetu
from idbroker.sandbox.saml_asked import Asked
from idbroker.sandbox.saml_farewell import Manner
from idbroker.sandbox.saml_idp import Profile, Proved, SamlIdp, write_signer
from idbroker.sandbox.saml_keys import IdpKeys
from idbroker.sandbox.saml_lies import MEANINGS
from idbroker.sandbox.saml_metadata import Described
from idbroker.sandbox.saml_pages import Words
from idbroker.sandbox.saml_party import Misuse, Party
from idbroker.sandbox.saml_says import Dialect, Name, new_id
from idbroker.sandbox.saml_sessions import Proof
from idbroker.sandbox.saml_web import INVALID_NAME_POLICY, SamlWeb, WhyNot
from idbroker.sandbox.suomifi_register import HETU, attributes, found, usual_kind
from idbroker.sandbox.suomifi_words import WORDS

PROVIDER = "suomifi"
LIES = frozenset(MEANINGS)
OUTCOMES = ("approve", "cancel", "vtj_false", "protected", "deceased", "eidas", "foreign", "unknown_hetu")
SSO_LIFE = timedelta(minutes=32)
# By method: the AuthnContextClassRef, and what it proves. In the order of the page.
METHODS: Mapping[str, tuple[str, LoA]] = {
    "bank": ("http://ftn.ficora.fi/2017/loa2", LoA.SUBSTANTIAL),
    "mobile": ("http://ftn.ficora.fi/2017/loa2", LoA.SUBSTANTIAL),
    "card": ("http://ftn.ficora.fi/2017/loa3", LoA.HIGH),
    "eidas": ("http://eidas.europa.eu/LoA/substantial", LoA.SUBSTANTIAL),
    "foreign": ("urn:oid:1.2.246.517.3002.110.7", LoA.LOW),
    "testitunnistaja": ("urn:oid:1.2.246.517.3002.110.999", LoA.LOW),
}
METADATA_PATH = "/static/metadata/idp-metadata.xml"
LOGOUT_PATH = "/idp/profile/Logout"

_LOA2, _LOA3 = METHODS["bank"][0], METHODS["card"][0]
_VTJ_REQUIRED = "urn:oid:1.2.246.517.3003.111.3"
_FAILED = WhyNot((names.REQUESTER, names.AUTHN_FAILED), "An error occurred.")
_OWN_KIND = {"eidas": "eidas", "foreign": "foreign"}

__all__ = ["LIES", "METHODS", "OUTCOMES", "SimSuomiFi", "make_suomifi"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimSuomiFi:
    """What a sandbox needs of it: the application for the root of its origin, and what a broker configures."""

    app: Flask
    entity_id: str
    metadata_url: str
    signer_certificate: Path
    logout_url: str


def make_suomifi(
    people: Iterable[SimPerson],
    clock: Clock,
    faults: Faults,
    origin: str,
    parties: Callable[[], Mapping[str, bytes]],
    *,
    folder: Path,
    keys: IdpKeys | None = None,
) -> SimSuomiFi:
    """Return the simulator; mount its application at the root of `origin`.

    `parties` are the services' metadata documents by entity id, asked for anew at each request. Into
    `folder` goes the certificate that its metadata is signed with. Without `keys` it makes its own.
    """
    keys = keys or IdpKeys("suomi.fi", clock.now())
    profile = _profile(origin)
    idp = SamlIdp(profile, keys, clock, lambda: faults.of(PROVIDER).lies, parties)
    theirs = [person for person in people if PROVIDER in person.eids]
    words = Words(texts=WORDS, cookie="E-Identification-Lang")
    web = SamlWeb(idp, faults, PROVIDER, theirs, words, _Front(idp))
    manner = Manner(frames=True, first=False, path=LOGOUT_PATH, cookie=f"{PROVIDER}-sim-session")
    return SimSuomiFi(
        app=web.app(METADATA_PATH, manner),
        entity_id=profile.described.entity_id,
        metadata_url=origin + METADATA_PATH,
        signer_certificate=write_signer(keys, folder),
        logout_url=origin + LOGOUT_PATH,
    )


def _profile(origin: str) -> Profile:
    place = f"{origin}/idp/profile/SAML2"
    described = Described(
        entity_id=f"{origin}/idp1",
        sign_on={names.REDIRECT: f"{place}/Redirect/SSO", names.POST: f"{place}/POST/SSO"},
        logout={names.REDIRECT: f"{place}/Redirect/SLO", names.POST: f"{place}/POST/SLO"},
        name_formats=(names.TRANSIENT,),
        refers_to_all=True,
    )
    return Profile(
        described=described,
        dialect=Dialect(protocol="saml2p", assertion="saml2", typed=True),
        life=SSO_LIFE,
        signs_response=True,
        qualified=True,
        number=HETU,
        strange_number=hetu(date(1950, 1, 1), 994),
        low_context=METHODS["testitunnistaja"][0],
        logged_out="Successfully logged out from service",
    )


class _Front:
    """What suomi.fi asks its people, and says about them."""

    template = "suomifi.html"

    def __init__(self, idp: SamlIdp) -> None:
        self._idp = idp

    def values(self, asked: Asked, language: str) -> Mapping[str, Any]:
        """Return the methods that the service takes, and the outcomes."""
        return {"methods": offered(asked), "outcomes": OUTCOMES}

    def proof(self, asked: Asked, person: SimPerson, outcome: str, method: str) -> Proof:
        """Return what the person did; without a method, the one they usually have."""
        if outcome not in OUTCOMES:
            raise Misuse("unknown_outcome")
        kind = _OWN_KIND.get(outcome) or usual_kind(person)
        usual = next((one for one in offered(asked) if _fits(one, kind)), "bank" if kind == "finnish" else kind)
        if method not in {"", *METHODS}:
            raise Misuse("unknown_method")
        chosen = _OWN_KIND.get(outcome) or method or usual
        return Proof(person=person, outcome=outcome, method=chosen, at=self._idp.clock.now())

    def unmet(self, asked: Asked) -> WhyNot | None:
        """Tell why nobody can: a name of another format, or no method that the service takes."""
        if asked.name_format not in (None, names.TRANSIENT, names.UNSPECIFIED):
            return WhyNot((names.REQUESTER, INVALID_NAME_POLICY))
        if not offered(asked):
            return WhyNot((names.REQUESTER, names.NO_AUTHN_CONTEXT))
        return None

    def why_not(self, asked: Asked, proof: Proof) -> WhyNot | None:
        """Tell why the person is not signed in. Whoever cancels and whoever fails get the same answer."""
        return None if all(check(asked, proof) for check in _CHECKS) else _FAILED

    def proved(self, asked: Asked, proof: Proof, address: str) -> Proved:
        """Return the method used, and what the service's metadata asks for."""
        name = Name(
            value=new_id(),
            format=names.TRANSIENT,
            qualifier=self._idp.profile.described.entity_id,
            sp_qualifier=asked.party.entity_id,
        )
        told = attributes(found(proof), asked.party.wanted)
        return Proved(name=name, context=METHODS[proof.method][0], attributes=told, address=address)


def offered(asked: Asked) -> list[str]:
    """Return the methods that a service's metadata takes, and of those the ones it asks for (exactly) this time."""
    taken = set(_with_higher(asked.party.traits.get("FinnishAuthMethod", ())))
    wanted = set(_with_higher(asked.contexts)) or taken
    return [method for method, (context, _) in METHODS.items() if context in taken and context in wanted]


def _with_higher(contexts: Iterable[str]) -> list[str]:
    # Who takes loa2 takes loa3 too.
    found = list(contexts)
    return [*found, _LOA3] if _LOA2 in found else found


def _fits(method: str, kind: str) -> bool:
    return method == kind if kind != "finnish" else method not in _OWN_KIND.values()


def _has_not_cancelled(_asked: Asked, proof: Proof) -> bool:
    return proof.outcome != "cancel"


def _is_offered(asked: Asked, proof: Proof) -> bool:
    return proof.method in offered(asked)


def _can_use(_asked: Asked, proof: Proof) -> bool:
    return proof.method == "testitunnistaja" or proof.person.loa >= METHODS[proof.method][1]


def _has_number(_asked: Asked, proof: Proof) -> bool:
    return proof.person.number is not None or proof.method in _OWN_KIND.values()


def _is_alive_if_asked(asked: Asked, proof: Proof) -> bool:
    gone = proof.person.deceased or proof.outcome in {"deceased", "unknown_hetu"}
    return not (gone and _requires_register(asked.party))


_CHECKS: tuple[Callable[[Asked, Proof], bool], ...] = (
    _has_not_cancelled,
    _is_offered,
    _can_use,
    _has_number,
    _is_alive_if_asked,
)


def _requires_register(party: Party) -> bool:
    return party.traits.get(_VTJ_REQUIRED) == ("true",)
