"""What a hostile BankID says, word by word: what a relying party must not believe, or must survive."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from idbroker.sandbox.people import SimPerson

STRANGER = SimPerson(
    id="stranger",
    given_name="Sture",
    family_name="Främmande",
    country="SE",
    born=date(1964, 4, 9),
    number="196404094739",
    story="Somebody else",
    eids=("bankid",),
)

# Told about the person: in the answer of /collect, from when the order is approved.
COMPLETION_LIES: Mapping[str, str] = {
    "wrong_person": "the answer names somebody else than the certificate",
    "wrong_ip": "the app's address is one that the browser never had",
    "risk_moderate": "the risk of the order is moderate",
    "risk_high": "the risk of the order is high",
    "no_risk": "the risk could not be computed, and is left out",
    "no_user": "the answer names nobody",
    "no_signature": "the answer holds no signature document",
    "no_ocsp": "the answer holds no OCSP response",
    "foreign_number": "the number of the person is of ten digits",
}
# Told in the signature document.
DOCUMENT_LIES: Mapping[str, str] = {
    "wrong_visible": "another text was shown and signed",
    "wrong_nonvisible": "other hidden data was signed",
    "wrong_service": "it was signed for another relying party",
    "wrong_function": "it is a signature, not an identification",
    "foreign_leaf": "somebody else signed it, well",
    "unsigned": "the signature value is empty",
    "broken_signature": "one bit of the signature value is wrong",
    "broken_digest": "what was signed was changed afterwards",
    "sha1": "it is signed with rsa-sha1",
    "one_reference": "the certificates are not under the signature",
    "third_reference": "it has three references",
    "wrapped": "what was signed lies beside a forged element of the same id (XML signature wrapping)",
    "doctype": "it declares entities",
    "not_xml": "it ends in the middle",
    "other_root": "the whole chain is somebody else's, by the same names",
    "no_chain": "it holds the person's certificate alone",
    "expired_leaf": "the person's certificate has run out",
    "foreign_policy": "the person's certificate is of a policy that nobody knows",
}
# Told in the OCSP response.
OCSP_LIES: Mapping[str, str] = {
    "revoked": "the person's certificate is revoked",
    "unknown_ocsp": "the responder does not know the certificate",
    "ocsp_of_another": "it is about another certificate",
    "ocsp_by_stranger": "it is signed by a responder of another chain",
    "ocsp_by_user": "it is signed with the person's own key",
    "ocsp_error": "it says: try later",
    "old_ocsp": "it is a month old",
    "no_nonce": "it holds no nonce: it could be any earlier one",
    "wrong_nonce": "its nonce is of another signature",
    "wrapped_nonce": "its nonce is wrapped in a second octet string: no lie, but RFC 8954, and not BankID's way",
}
# Told on the wire.
WIRE_LIES: Mapping[str, str] = {
    "lost_response": "the connection drops while the end of an order is told, which is told once",
    "other_order": "the answer is about another order",
    "new_hint": "the hintCode is one that nobody has heard of",
    "new_status": "the status is one that nobody has heard of",
    "new_error": "the errorCode is one that nobody has heard of",
    "garbage_json": "the answer is cut off in the middle",
    "list_json": "the answer is a list",
    "html_body": "the answer is a page, with status 200",
    "huge_body": "the answer is ten megabytes",
    "maintenance": "503 with errorCode maintenance",
    "too_many": "429 with RateLimit headers",
    "bad_tokens": "/auth gives tokens that are no text",
}

MEANINGS = {**COMPLETION_LIES, **DOCUMENT_LIES, **OCSP_LIES, **WIRE_LIES}
LIES = frozenset(MEANINGS)
