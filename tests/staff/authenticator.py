"""An authenticator in software, as a browser and a security key make it together (WebAuthn Level 3; ES256)."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, WITH_KEY = 0x01, 0x04, 0x40


@dataclass(kw_only=True)
class Authenticator:
    """One passkey: made with `create`, used with `get`; each may be told to lie."""

    origin: str
    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    counter: int = 0
    owner: bytes = b""

    def create(self, options: str, **lies: Any) -> str:
        """Answer a request to make a passkey."""
        asked = json.loads(options)
        self.owner = unpadded(asked["user"]["id"])
        numbers = self.key.public_key().public_numbers()
        point = {-1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        public = cbor2.dumps({1: 2, 3: -7, **point})
        credential = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + public
        data = self._data(asked["rp"]["id"], WITH_KEY, lies) + credential
        statement = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client("webauthn.create", asked, lies)
        return self._answer({"clientDataJSON": base64url(client), "attestationObject": base64url(statement)}, lies)

    def get(self, options: str, **lies: Any) -> str:
        """Answer a request to use it."""
        asked = json.loads(options)
        self.counter += lies.get("steps", 1)
        data = self._data(asked["rpId"], 0, lies)
        client = self._client("webauthn.get", asked, lies)
        signed = data + hashlib.sha256(client).digest()
        key = lies.get("key", self.key)
        return self._answer(
            {
                "clientDataJSON": base64url(client),
                "authenticatorData": base64url(data),
                "signature": base64url(key.sign(signed, ec.ECDSA(hashes.SHA256()))),
                "userHandle": base64url(lies.get("owner", self.owner)),
            },
            lies,
        )

    def _data(self, host: str, more: int, lies: dict[str, Any]) -> bytes:
        flags = lies.get("flags", PRESENT | VERIFIED) | more
        host = lies.get("host", host)
        return hashlib.sha256(host.encode()).digest() + bytes([flags]) + self.counter.to_bytes(4, "big")

    def _client(self, kind: str, asked: dict[str, Any], lies: dict[str, Any]) -> bytes:
        told = {
            "type": lies.get("type", kind),
            "challenge": lies.get("challenge", asked["challenge"]),
            "origin": lies.get("origin", self.origin),
            "crossOrigin": False,
        }
        return json.dumps(told).encode()

    def _answer(self, response: dict[str, str], lies: dict[str, Any]) -> str:
        name = base64url(lies.get("id", self.id))
        return json.dumps(
            {"id": name, "rawId": name, "type": "public-key", "response": response, "clientExtensionResults": {}}
        )


def base64url(octets: bytes) -> str:
    """Return octets as WebAuthn's JSON has them."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def unpadded(text: str) -> bytes:
    """Return the octets of such a text."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
