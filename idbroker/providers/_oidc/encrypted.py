"""A signed token inside an encrypted one: opened with our keys, by what was agreed alone (RFC 7516; RFC 7519, 5.2)."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from joserfc.util import urlsafe_b64decode

from idbroker.errors import Untrusted
from idbroker.providers._oidc.upstream import Encryption, json_object

# Those that stand, for a setting to choose from. RSA1_5 is an oracle (Bleichenbacher); with `dir` and PBES2 whoever
# knows a password or an old key writes tokens, and PBES2 lets them choose how long we count.
KEY_ALGORITHMS = ("RSA-OAEP", "RSA-OAEP-256")
CONTENT_ALGORITHMS = ("A128CBC-HS256", "A128GCM", "A256CBC-HS512", "A256GCM")
_LONGEST = 65536
_LONGEST_HEADER = 1024
# One text for all that can go wrong once our key is used: the difference would be an oracle.
_CLOSED = "encrypted: does not open"


def open_nested(token: str, accepted: Encryption, keys: Sequence[tuple[str, RSAPrivateKey]]) -> str:
    """Return the token inside, which is still to be verified. Untrusted when there is none.

    `keys` are ours with their names: the one that is named opens it, or any where none of ours is.
    """
    kid = _check_header(token, accepted)
    registry = jwe.JWERegistry(algorithms=[*accepted.keys, *accepted.contents], strict_check_header=False)
    for name, key in keys:
        if name == kid or kid not in dict(keys):
            try:
                inside = jwe.decrypt_compact(token, RSAKey(key, key), registry=registry).plaintext or b""
            except (JoseError, ValueError):
                continue
            return _checked(inside)
    raise Untrusted(_CLOSED)


def _check_header(token: str, accepted: Encryption) -> str | None:
    # An ID token in the open shows the number to whoever sees it, and is not what was agreed.
    if len(token) > _LONGEST or not token.isascii() or token.count(".") != 4:
        raise Untrusted("encrypted: not an encrypted token")
    head = token.partition(".")[0]
    try:
        header = json_object(urlsafe_b64decode(head.encode())) if len(head) <= _LONGEST_HEADER else {}
    except ValueError as error:
        raise Untrusted("encrypted: a header that does not read") from error
    if header.get("alg") not in accepted.keys or header.get("enc") not in accepted.contents:
        raise Untrusted("encrypted: an algorithm we do not take")
    # What is small when packed may be without end (CVE-2024-28102 and its kin); `crit` names rules we do not know.
    if "zip" in header or "crit" in header:
        raise Untrusted("encrypted: packed, or critical")
    kid = header.get("kid")
    if not isinstance(kid, str | None):
        raise Untrusted("encrypted: a key id that is none")
    return kid


def _checked(inside: bytes) -> str:
    # Anybody can encrypt to our public key: what is inside proves nothing unless it is signed (CVE-2026-9793).
    if not inside.isascii() or inside.count(b".") != 2:
        raise Untrusted("encrypted: not signed inside")
    return inside.decode()
