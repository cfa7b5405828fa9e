"""The names SAML, XML Signature and XML Encryption go by: namespaces, tags, identifiers of algorithms."""

from __future__ import annotations

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
DS = "http://www.w3.org/2000/09/xmldsig#"
EC = "http://www.w3.org/2001/10/xml-exc-c14n#"
XENC = "http://www.w3.org/2001/04/xmlenc#"
XENC11 = "http://www.w3.org/2009/xmlenc11#"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
VETUMA = "urn:vetuma:SAML:2.0:extensions"
NL = "https://data.gov.dk/eid/saml/extensions"


def saml(name: str) -> str:
    """Return the tag of an element of the assertion schema."""
    return f"{{{SAML}}}{name}"


def samlp(name: str) -> str:
    """Return the tag of an element of the protocol schema."""
    return f"{{{SAMLP}}}{name}"


def ds(name: str) -> str:
    """Return the tag of an element of XML Signature."""
    return f"{{{DS}}}{name}"


def xenc(name: str) -> str:
    """Return the tag of an element of XML Encryption."""
    return f"{{{XENC}}}{name}"


RESPONSE = samlp("Response")
LOGOUT_REQUEST = samlp("LogoutRequest")
LOGOUT_RESPONSE = samlp("LogoutResponse")
AUTHN_REQUEST = samlp("AuthnRequest")
ASSERTION = saml("Assertion")
ENCRYPTED_ASSERTION = saml("EncryptedAssertion")
ISSUER = saml("Issuer")
NAME_ID = saml("NameID")
ENCRYPTED_ID = saml("EncryptedID")
SIGNATURE = ds("Signature")
KEY_INFO = ds("KeyInfo")
INCLUSIVE_NAMESPACES = f"{{{EC}}}InclusiveNamespaces"
MGF = f"{{{XENC11}}}MGF"

# Formats of names (SAML core, 8.3).
ENTITY = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
UNSPECIFIED = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"

BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"

# Bindings (SAML bindings, 3.4 and 3.5).
REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
DEFLATE = "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE"

# Status codes (SAML core, 3.2.2.2).
STATUS = "urn:oasis:names:tc:SAML:2.0:status:"
SUCCESS = STATUS + "Success"
REQUESTER = STATUS + "Requester"
RESPONDER = STATUS + "Responder"
AUTHN_FAILED = STATUS + "AuthnFailed"
NO_AUTHN_CONTEXT = STATUS + "NoAuthnContext"
PARTIAL_LOGOUT = STATUS + "PartialLogout"
REQUEST_DENIED = STATUS + "RequestDenied"

# Algorithms. What is not named here is refused.
ENVELOPED = DS + "enveloped-signature"
EXC_C14N = EC
_DSIG_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
RSA_SHA256 = _DSIG_MORE + "rsa-sha256"
RSA_SHA384 = _DSIG_MORE + "rsa-sha384"
RSA_SHA512 = _DSIG_MORE + "rsa-sha512"
ECDSA_SHA256 = _DSIG_MORE + "ecdsa-sha256"
SHA1 = DS + "sha1"
SHA256 = XENC + "sha256"
SHA384 = _DSIG_MORE + "sha384"
SHA512 = XENC + "sha512"

RSA_OAEP_MGF1P = XENC + "rsa-oaep-mgf1p"
RSA_OAEP = XENC11 + "rsa-oaep"
MGF1_SHA1 = XENC11 + "mgf1sha1"
MGF1_SHA256 = XENC11 + "mgf1sha256"
MGF1_SHA512 = XENC11 + "mgf1sha512"
AES128_CBC = XENC + "aes128-cbc"
AES192_CBC = XENC + "aes192-cbc"
AES256_CBC = XENC + "aes256-cbc"
AES128_GCM = XENC11 + "aes128-gcm"
AES192_GCM = XENC11 + "aes192-gcm"
AES256_GCM = XENC11 + "aes256-gcm"
ENCRYPTED_ELEMENT = XENC + "Element"
ENCRYPTED_KEY = XENC + "EncryptedKey"
