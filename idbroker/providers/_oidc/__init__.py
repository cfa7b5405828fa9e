"""What OpenID providers upstream share: the sign-in with one of them, from request to verified proof.

Authlib is the client, PyJWT the verifier of signatures, and every check of a claim is ours to see. A
provider's own module says only what it asks for and how it reads the claims.
"""

from idbroker.providers._oidc.client_auth import AUTH_METHODS
from idbroker.providers._oidc.encrypted import CONTENT_ALGORITHMS, KEY_ALGORITHMS
from idbroker.providers._oidc.ending import END_SESSION, EndsSessions, session_names
from idbroker.providers._oidc.flow import OpenIdClient, Proof
from idbroker.providers._oidc.keys import parse_keys
from idbroker.providers._oidc.settings import birthdate, is_issuer, origins, read_secret
from idbroker.providers._oidc.upstream import SKEW, Encryption, Upstream, ask, clean, json_object, told, words

__all__ = [
    "AUTH_METHODS",
    "CONTENT_ALGORITHMS",
    "END_SESSION",
    "KEY_ALGORITHMS",
    "SKEW",
    "Encryption",
    "EndsSessions",
    "OpenIdClient",
    "Proof",
    "Upstream",
    "ask",
    "birthdate",
    "clean",
    "is_issuer",
    "json_object",
    "origins",
    "parse_keys",
    "read_secret",
    "session_names",
    "told",
    "words",
]
