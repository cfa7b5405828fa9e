"""The metadata document (OpenID Connect Discovery 3; RFC 8414, 2; Back-Channel and Front-Channel Logout 1.0, 2)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from idbroker.oidc import authorize, client_auth, levels, token
from idbroker.registration import RESPONSE_MODES, SCOPES

LANGUAGE_TAGS = ("da", "sv", "fi", "en", "nb")


def document(issuer: str, *, languages: Collection[str] = LANGUAGE_TAGS) -> Mapping[str, Any]:
    """Return the metadata of an issuer, which has no trailing slash. Only what works is advertised."""
    methods = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]
    assertion_algorithms = list(client_auth.ASSERTION_ALGORITHMS)
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "userinfo_endpoint": f"{issuer}/userinfo",
        "jwks_uri": f"{issuer}/jwks.json",
        "revocation_endpoint": f"{issuer}/revoke",
        "introspection_endpoint": f"{issuer}/introspect",
        "end_session_endpoint": f"{issuer}/logout",
        "scopes_supported": list(SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": list(RESPONSE_MODES),
        "grant_types_supported": list(token.GRANT_TYPES),
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["ES256", "RS256"],
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": assertion_algorithms,
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": assertion_algorithms,
        "introspection_endpoint_auth_methods_supported": methods[:-1],
        "introspection_endpoint_auth_signing_alg_values_supported": assertion_algorithms,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "acr_values_supported": list(levels.SUPPORTED),
        "prompt_values_supported": list(authorize.PROMPTS),
        "display_values_supported": list(authorize.DISPLAYS),
        "claim_types_supported": ["normal"],
        "claims_supported": [
            "sub",
            "iss",
            "aud",
            "exp",
            "iat",
            "auth_time",
            "nonce",
            "acr",
            "amr",
            "sid",
            "act",
            "guardianship",
            "name",
            "given_name",
            "family_name",
            "birthdate",
            "national_number",
            "national_number_country",
        ],
        "claims_parameter_supported": True,
        # Our own: who a sign-in is about (docs/integrating.md). Whoever does not know it ignores it (RFC 8414, 2).
        "acting_for_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "frontchannel_logout_supported": True,
        "frontchannel_logout_session_supported": True,
        "ui_locales_supported": list(languages),
    }
