"""What OpenID providers upstream share: the sign-in with one of them, from request to verified proof.

Authlib is the client, PyJWT the verifier of signatures, and every check of a claim is ours to see. A
provider's own module says only what it asks for and how it reads the claims.
"""

from idbroker.providers._oidc.client_auth import AUTH_METHODS
from idbroker.providers._oidc.flow import OpenIdClient, Proof
from idbroker.providers._oidc.upstream import SKEW, Upstream, ask, clean, told, words

__all__ = ["AUTH_METHODS", "SKEW", "OpenIdClient", "Proof", "Upstream", "ask", "clean", "told", "words"]
