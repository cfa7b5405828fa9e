"""What a hostile identity provider says, or somebody between it and us: the S rows of the reject list, by word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from idbroker.saml import names
from idbroker.sandbox.saml_keys import IdpKeys
from idbroker.sandbox.saml_says import Answer, Attribute, LogoutAsked, LogoutTold, Says, Told, new_id
from idbroker.sandbox.saml_sealing import CIPHERS, RSA_1_5
from idbroker.sandbox.saml_signing import HMAC_SHA256, RSA_SHA1

_HOUR = timedelta(hours=1)
_ELSEWHERE = "https://somebody-else.example/acs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a liar has: keys, the weakest context, the name of the attribute that holds a person's number."""

    keys: IdpKeys = field(repr=False)
    low_context: str
    low_attributes: Mapping[str, str]
    number: str
    strange_number: str


SaysLie = Callable[[Says, Means], Says]
AnswerLie = Callable[[Answer, Means], Answer]


def _says(**changes: object) -> SaysLie:
    return lambda says, _: replace(says, **changes)  # type: ignore[arg-type]  # names of its fields


def _moved(by: timedelta) -> SaysLie:
    return lambda says, _: replace(
        says,
        issued=says.issued + by,
        not_before=says.not_before + by,
        not_on_or_after=says.not_on_or_after + by,
        confirmed_until=says.confirmed_until + by,
    )


def _lower(says: Says, means: Means) -> Says:
    told = tuple(
        replace(one, value=means.low_attributes[one.name]) if one.name in means.low_attributes else one
        for one in says.attributes
    )
    return replace(says, context=means.low_context, attributes=told)


def _twice(says: Says, means: Means) -> Says:
    stranger = Attribute(name=means.number, value=means.strange_number)
    return replace(says, attributes=(*says.attributes, stranger))


def _cut(says: Says, means: Means) -> Says:
    told = tuple(replace(one, cut=one.name == means.number) for one in says.attributes)
    return replace(says, attributes=told)


def _somebody_else(says: Says, means: Means) -> Says:
    told = tuple(
        replace(one, value=means.strange_number) if one.name == means.number else one for one in says.attributes
    )
    return replace(says, id=new_id(), attributes=told)


# Lies in the assertion, which is signed and sealed well.
_SAYS: Mapping[str, tuple[str, SaysLie]] = {
    "wrong_audience": ("the assertion is for another service", _says(audience="https://somebody-else.example")),
    "no_audience": ("the assertion is for anybody", _says(audience=None)),
    "wrong_recipient": ("the assertion is for another address", _says(recipient=_ELSEWHERE)),
    "no_recipient": ("the confirmation names no address", _says(recipient=None)),
    "assertion_to_another": ("the assertion answers another request than the response", _says(in_response_to="_other")),
    "expired": ("the assertion ran out an hour ago", _moved(-_HOUR)),
    "confirmation_expired": (
        "the confirmation ran out, the conditions did not",
        lambda says, _: replace(says, confirmed_until=says.confirmed_until - _HOUR),
    ),
    "future": ("the assertion is valid in an hour", _moved(_HOUR)),
    "old_authn_instant": (
        "the person acted ten hours ago",
        lambda says, _: replace(says, authenticated_at=says.authenticated_at - 10 * _HOUR),
    ),
    "future_authn_instant": (
        "the person acts in an hour",
        lambda says, _: replace(says, authenticated_at=says.authenticated_at + _HOUR),
    ),
    "session_over": (
        "the session of the assertion is over",
        lambda says, _: replace(says, session_ends=says.issued - _HOUR),
    ),
    "lower_context": ("the way is weaker than was asked for", _lower),
    "duplicated_attribute": ("the number is there twice: the second is somebody else's", _twice),
    "comment_in_number": ("a comment stands in the middle of the number", _cut),
    "no_number": (
        "the number is left out",
        lambda says, means: replace(says, attributes=tuple(one for one in says.attributes if one.name != means.number)),
    ),
    "assertion_other_issuer": (
        "the assertion is of another issuer than the response",
        _says(issuer="https://other-idp.example/idp"),
    ),
}


def _each(change: Callable[[Told, Means], Told]) -> AnswerLie:
    return lambda answer, means: replace(answer, told=tuple(change(one, means) for one in answer.told))


def _in_assertion(change: SaysLie) -> AnswerLie:
    return _each(lambda told, means: replace(told, says=change(told.says, means)))


def _by_stranger(answer: Answer, means: Means) -> Answer:
    signer = None if answer.signer is None else means.keys.stranger
    return _each(lambda told, _: replace(told, signer=means.keys.stranger))(replace(answer, signer=signer), means)


def _to(request: str | None) -> AnswerLie:
    def lie(answer: Answer, means: Means) -> Answer:
        told = _in_assertion(lambda says, _: replace(says, in_response_to=request))
        return told(replace(answer, in_response_to=request), means)

    return lie


def _other_issuer(answer: Answer, means: Means) -> Answer:
    issuer = "https://other-idp.example/idp"
    return _in_assertion(lambda says, _: replace(says, issuer=issuer))(replace(answer, issuer=issuer), means)


def _transported(told: Told, _: Means) -> Told:
    return told if told.sealing is None else replace(told, sealing=replace(told.sealing, transport=RSA_1_5))


def _added(*, first: bool, signed: bool, plain: bool) -> AnswerLie:
    def lie(answer: Answer, means: Means) -> Answer:
        extra = [
            replace(
                one,
                says=_somebody_else(one.says, means),
                signer=one.signer if signed else None,
                sealing=None if plain else one.sealing,
            )
            for one in answer.told
        ]
        return replace(answer, told=(*extra, *answer.told) if first else (*answer.told, *extra))

    return lie


def _failing(*statuses: str) -> AnswerLie:
    # A refusal is left as it is: it is no contradiction.
    return lambda answer, _: replace(answer, statuses=statuses) if answer.told else answer


# Lies in or about the response.
_ANSWERS: Mapping[str, tuple[str, AnswerLie]] = {
    "wrong_destination": (
        "the response is for another address",
        lambda answer, _: replace(answer, destination=_ELSEWHERE),
    ),
    "no_destination": ("the response is for no address", lambda answer, _: replace(answer, destination=None)),
    "in_response_to_another": ("the answer is to a request of somebody else's", _to("_somebody-elses-request")),
    "unsolicited": ("the answer is to no request", _to(None)),
    "other_issuer": ("the answer is of another issuer, signed with our identity provider's key", _other_issuer),
    "unsigned_response": ("the response is not signed", lambda answer, _: replace(answer, signer=None)),
    "unsigned_assertion": ("the assertion is not signed", _each(lambda told, _: replace(told, signer=None))),
    "unknown_key": ("everything is signed with a key that no metadata names", _by_stranger),
    "sha1": ("the assertion is signed with rsa-sha1", _each(lambda told, _: replace(told, method=RSA_SHA1))),
    "hmac": (
        "the assertion is signed with HMAC, the public certificate taken for a secret",
        _each(lambda told, _: replace(told, method=HMAC_SHA256)),
    ),
    "plain_assertion": ("the assertion is not encrypted", _each(lambda told, _: replace(told, sealing=None))),
    "two_assertions": (
        "a second assertion follows, signed and encrypted too, of somebody else",
        _added(first=False, signed=True, plain=False),
    ),
    "unsigned_assertion_first": (
        "an unsigned, encrypted assertion of somebody else comes before the true one",
        _added(first=True, signed=False, plain=False),
    ),
    "plain_assertion_appended": (
        "an unsigned, plain assertion of somebody else comes after the true one",
        _added(first=False, signed=False, plain=True),
    ),
    "no_assertion": ("a success without an assertion", lambda answer, _: replace(answer, told=())),
    "rsa_1_5": ("the content key is sealed with RSA 1.5", _each(_transported)),
    "nested_failure": (
        "the status is a failure inside a success, and an assertion comes with it",
        _failing(names.SUCCESS, names.AUTHN_FAILED),
    ),
    "failure_with_assertion": (
        "the status is a failure, and an assertion comes with it",
        _failing(names.RESPONDER, names.AUTHN_FAILED),
    ),
    **{word: (meaning, _in_assertion(lie)) for word, (meaning, lie) in _SAYS.items()},
}

# Told of how a message travels; `saml_idp` plays them.
_TRAVEL: Mapping[str, str] = {
    "replayed": "the response is the one before, to the letter",
    "other_relay_state": "the response comes with another RelayState",
    "no_relay_state": "the response comes without the RelayState",
}

# Told in metadata.
_METADATA: Mapping[str, str] = {
    "metadata_unsigned": "the metadata is not signed",
    "metadata_expired": "the metadata ran out an hour ago",
    "metadata_other_signer": "the metadata is signed by somebody else",
    "metadata_extra_key": "somebody has put a signing key of theirs into the signed metadata",
    "metadata_other_entity": "the metadata is of another entity id",
    "metadata_not_xml": "the metadata ends in the middle",
}

LogoutLie = Callable[[LogoutAsked], LogoutAsked]
ToldLie = Callable[[LogoutTold], LogoutTold]

_LOGOUT_ASKED: Mapping[str, tuple[str, LogoutLie]] = {
    "logout_wrong_name": (
        "the logout request names somebody else",
        lambda asked: replace(asked, name=replace(asked.name, value="somebody-else")),
    ),
    "logout_other_session": (
        "the logout request is about a session index nobody has",
        lambda asked: replace(asked, session_indexes=("_no-such-session",)),
    ),
    "logout_expired": (
        "the logout request ran out an hour ago",
        lambda asked: replace(asked, issued=asked.issued - _HOUR, not_on_or_after=asked.not_on_or_after - _HOUR),
    ),
    "logout_wrong_destination": (
        "the logout request is for another address",
        lambda asked: replace(asked, destination=_ELSEWHERE),
    ),
    "logout_other_issuer": (
        "the logout request is of another issuer",
        lambda asked: replace(asked, issuer="https://other-idp.example/idp"),
    ),
}
_LOGOUT_TOLD: Mapping[str, tuple[str, ToldLie]] = {
    "logout_response_to_another": (
        "the logout response answers another request",
        lambda told: replace(told, in_response_to="_another-request"),
    ),
    "logout_response_wrong_destination": (
        "the logout response is for another address",
        lambda told: replace(told, destination=_ELSEWHERE),
    ),
    "logout_partial": (
        "the logout ended not everywhere (no lie: PartialLogout)",
        lambda told: replace(told, statuses=(names.RESPONDER, names.PARTIAL_LOGOUT)),
    ),
}
_LOGOUT_SIGNED: Mapping[str, str] = {
    "logout_unsigned_request": "the logout request is not signed",
    "logout_unsigned_response": "the logout response is not signed",
    "logout_unknown_key": "logout messages are signed with a key that no metadata names",
}

# No lies, but other ways of being honest: what a real one may do tomorrow.
MANNERS: Mapping[str, str] = {
    "next_key": "everything is signed with the second certificate of the metadata",
    **{cipher: f"assertions are encrypted with {cipher.upper().replace('_', '-')}" for cipher in CIPHERS},
    "no_sso": "no session is kept: everybody must act at each sign-in",
}

MEANINGS: Mapping[str, str] = {
    **{word: meaning for word, (meaning, _) in _ANSWERS.items()},
    **_TRAVEL,
    **_METADATA,
    **{word: meaning for word, (meaning, _) in _LOGOUT_ASKED.items()},
    **{word: meaning for word, (meaning, _) in _LOGOUT_TOLD.items()},
    **_LOGOUT_SIGNED,
    **MANNERS,
}


def lie_about_answer(answer: Answer, means: Means, lies: frozenset[str]) -> Answer:
    """Return the response, or what the lies make of it. A refusal has no assertion to lie about."""
    for lie in sorted(lies & _ANSWERS.keys()):
        answer = _ANSWERS[lie][1](answer, means)
    return answer


def lie_about_request(asked: LogoutAsked, lies: frozenset[str]) -> LogoutAsked:
    """Return the logout request, or what the lies make of it."""
    for lie in sorted(lies & _LOGOUT_ASKED.keys()):
        asked = _LOGOUT_ASKED[lie][1](asked)
    return asked


def lie_about_logout(told: LogoutTold, lies: frozenset[str]) -> LogoutTold:
    """Return the logout response, or what the lies make of it."""
    for lie in sorted(lies & _LOGOUT_TOLD.keys()):
        told = _LOGOUT_TOLD[lie][1](told)
    return told
