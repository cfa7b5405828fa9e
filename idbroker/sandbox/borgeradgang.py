"""The simulated citizen gateway of the Danish health authority, an OIOSAML identity provider; and NemLog-in itself.

Entity id and addresses of the real gateway are not published: those here have the form of its sister
for staff. All else is OIOSAML 3.0.3, as the reference implementations of the standard have it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from flask import Flask, jsonify, request
from werkzeug.wrappers import Response

from idbroker.clock import Clock
from idbroker.identity import LoA
from idbroker.saml import names
from idbroker.sandbox.borgeradgang_attributes import CPR, LOA, LOA_4, attributes, subject
from idbroker.sandbox.borgeradgang_words import WORDS
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.people import SimPerson, cpr
from idbroker.sandbox.saml_asked import Asked
from idbroker.sandbox.saml_farewell import Manner
from idbroker.sandbox.saml_idp import Profile, Proved, SamlIdp, write_signer
from idbroker.sandbox.saml_keys import IdpKeys
from idbroker.sandbox.saml_lies import MEANINGS
from idbroker.sandbox.saml_metadata import Described
from idbroker.sandbox.saml_pages import Words
from idbroker.sandbox.saml_party import Misuse
from idbroker.sandbox.saml_says import Dialect, Name, new_id
from idbroker.sandbox.saml_sessions import Proof
from idbroker.sandbox.saml_web import INVALID_NAME_POLICY, SamlWeb, WhyNot

PROVIDER = "borgeradgang"
NEMLOGIN = "nemlogin"
OWN_MANNERS: Mapping[str, str] = {"oiosaml_4": "attributes have the names of OIOSAML 4.0"}
LIES = frozenset({*MEANINGS, *OWN_MANNERS})
OUTCOMES = ("approve", "cancel", "lower_level", "no_cpr", "blocked")
# By method, what it can prove at most.
METHODS: Mapping[str, LoA] = {"app": LoA.HIGH, "code_display": LoA.SUBSTANTIAL}
SSO_LIFE = timedelta(minutes=30)
MATCH_PATH = "/api/uuidmatch/subjectmatchescpr"

_LEVELS = {
    f"{stem}/{level.word.capitalize()}": level
    for stem in ("https://data.gov.dk/concept/core/nsis/loa", "https://data.gov.dk/concept/core/loa")
    for level in LoA
}
_CONTEXT = "https://data.gov.dk/concept/core/nsis/loa/"
_PROFESSIONAL = "https://data.gov.dk/eid/Professional"
_PERSON = "https://data.gov.dk/eid/Person"

__all__ = ["LIES", "METHODS", "OUTCOMES", "SimGateway", "make_borgeradgang"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimGateway:
    """What a sandbox needs of it: the application for the root of its origin, and what a broker configures."""

    app: Flask
    entity_id: str
    metadata_url: str
    signer_certificate: Path
    logout_url: str
    match_url: str


def make_borgeradgang(
    people: Iterable[SimPerson],
    clock: Clock,
    faults: Faults,
    origin: str,
    parties: Callable[[], Mapping[str, bytes]],
    *,
    folder: Path,
    nemlogin: bool = False,
    keys: IdpKeys | None = None,
) -> SimGateway:
    """Return the simulator; mount its application at the root of `origin`.

    `parties` are the services' metadata documents by entity id, asked for anew at each request. Into
    `folder` goes the certificate that its metadata is signed with. `nemlogin` makes it NemLog-in
    itself, whose faults go by the name of nemlogin; its entity id is its origin with a slash at the end.
    Without `keys` it makes its own.
    """
    people = tuple(people)
    provider = NEMLOGIN if nemlogin else PROVIDER
    keys = keys or IdpKeys(provider, clock.now())
    profile = _profile(origin, nemlogin=nemlogin)
    idp = SamlIdp(profile, keys, clock, lambda: faults.of(provider).lies, parties)
    theirs = [person for person in people if PROVIDER in person.eids]
    words = Words(texts=WORDS, cookie=f"{provider}-sim-language")
    web = SamlWeb(idp, faults, provider, theirs, words, _Front(idp, people))
    metadata = "/metadata" if nemlogin else "/runtime/saml2/metadata.idp"
    manner = Manner(frames=False, first=True, path="/logout", cookie=f"{provider}-sim-session")
    app = web.app(metadata, manner)
    app.add_url_rule(MATCH_PATH, "match", _Match(theirs), methods=["POST"])
    return SimGateway(
        app=app,
        entity_id=profile.described.entity_id,
        metadata_url=origin + metadata,
        signer_certificate=write_signer(keys, folder),
        logout_url=f"{origin}/logout",
        match_url=origin + MATCH_PATH,
    )


def _profile(origin: str, *, nemlogin: bool) -> Profile:
    # NemLog-in has one address for everything, the gateway's product has one for each.
    sign_on, logout = f"{origin}/runtime/saml2/issue.idp", f"{origin}/runtime/saml2auth/logout.idp"
    if nemlogin:
        sign_on = logout = f"{origin}/idp/saml/3.0/"
    described = Described(
        entity_id=f"{origin}/" if nemlogin else f"{origin}/runtime/",
        sign_on={names.REDIRECT: sign_on},
        logout={names.REDIRECT: logout, names.POST: logout},
        name_formats=(names.TRANSIENT, names.PERSISTENT),
        refers_to_all=False,
    )
    return Profile(
        described=described,
        dialect=Dialect(),
        life=SSO_LIFE,
        signs_response=False,
        qualified=False,
        number=CPR,
        strange_number=cpr(date(1950, 1, 1), 199),
        low_context=f"{_CONTEXT}Low",
        low_attributes={LOA: "Low", LOA_4: "Low"},
    )


class _Front:
    """What the gateway asks its people, and says about them."""

    template = "borgeradgang.html"

    def __init__(self, idp: SamlIdp, people: Iterable[SimPerson]) -> None:
        self._idp = idp
        self._people = {person.id: person for person in people}

    def values(self, asked: Asked, language: str) -> Mapping[str, Any]:
        """Return the ways to act, and the outcomes."""
        return {"methods": list(METHODS), "outcomes": OUTCOMES}

    def proof(self, asked: Asked, person: SimPerson, outcome: str, method: str) -> Proof:
        """Return what the person did: in the app, unless they said otherwise."""
        if outcome not in OUTCOMES:
            raise Misuse("unknown_outcome")
        if method not in {"", *METHODS}:
            raise Misuse("unknown_method")
        return Proof(person=person, outcome=outcome, method=method or "app", at=self._idp.clock.now())

    def unmet(self, asked: Asked) -> WhyNot | None:
        """Tell why nobody can: a name of another format, professionals, or levels that are compared otherwise."""
        if asked.name_format not in (None, names.TRANSIENT, names.PERSISTENT, names.UNSPECIFIED):
            return WhyNot((names.REQUESTER, INVALID_NAME_POLICY))
        if asked.contexts and asked.comparison != "minimum":
            return WhyNot((names.REQUESTER, names.NO_AUTHN_CONTEXT))
        if _PROFESSIONAL in asked.contexts and _PERSON not in asked.contexts:
            return WhyNot((names.RESPONDER, names.NO_AUTHN_CONTEXT))
        return None

    def why_not(self, asked: Asked, proof: Proof) -> WhyNot | None:
        """Tell why the person is not signed in: they cancelled, were blocked, or cannot prove the level."""
        if proof.outcome in {"cancel", "blocked"}:
            return WhyNot((names.RESPONDER, names.AUTHN_FAILED))
        if _level(proof) < _least(asked):
            return WhyNot((names.RESPONDER, names.NO_AUTHN_CONTEXT))
        return None

    def proved(self, asked: Asked, proof: Proof, address: str) -> Proved:
        """Return the level that was reached, and what the service may know."""
        person, party, lies = proof.person, asked.party, self._idp.lies()
        level = _level(proof)
        principals = [
            self._people[other]
            for other, what in person.relations.items()
            if what == "principal" and other in self._people
        ]
        told = attributes(
            person,
            level,
            self._idp.clock.now().date(),
            principals=principals,
            wanted=party.wanted,
            newer="oiosaml_4" in lies,
            numbered=proof.outcome != "no_cpr",
        )
        return Proved(
            name=self._name(asked, person),
            context=_CONTEXT + level.word.capitalize(),
            attributes=told,
            address=address,
        )

    def _name(self, asked: Asked, person: SimPerson) -> Name:
        if asked.name_format == names.TRANSIENT:
            return Name(value=new_id(), format=names.TRANSIENT)
        return Name(value=subject(person, asked.party.entity_id), format=names.PERSISTENT)


def _least(asked: Asked) -> LoA:
    return max((_LEVELS[one] for one in asked.contexts if one in _LEVELS), default=LoA.LOW)


def _level(proof: Proof) -> LoA:
    level = min(proof.person.loa, METHODS[proof.method])
    return LoA(max(level - 1, LoA.LOW)) if proof.outcome == "lower_level" else level


class _Match:
    """Tells a service that may not see CPR numbers whether one is a person's (the real one wants mutual TLS)."""

    def __init__(self, people: Iterable[SimPerson]) -> None:
        self._people = tuple(people)

    def __call__(self) -> Response:
        asked = request.get_json(silent=True)
        wanted = ("cpr", "subjectNameID", "entityID")
        if not isinstance(asked, dict) or not all(isinstance(asked.get(name), str) for name in wanted):
            return Response('{"error": "invalid_request"}', 400, mimetype="application/json")
        found = [one for one in self._people if subject(one, asked["entityID"]) == asked["subjectNameID"]]
        return jsonify("Match" if [one.number for one in found] == [asked["cpr"]] else "NoMatch")
