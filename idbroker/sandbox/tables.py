"""Where the sandbox's servers are, and the configuration tables that name them and the simulators' files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from idbroker.sandbox import gateways
from idbroker.sandbox.bankid import PREFIX, SimBankID
from idbroker.sandbox.borgeradgang import SimGateway
from idbroker.sandbox.freja import SimFreja
from idbroker.sandbox.suomifi import SimSuomiFi


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the servers are: origins, without a slash at the end. BankID's and Freja's want mutual TLS.

    `mail` is the port of the mail server, on this machine's own address.
    """

    issuer: str
    portals: str
    mitid: str
    suomifi: str
    borgeradgang: str
    bankid: str
    freja: str
    sms: str
    mail: int

    @property
    def phone(self) -> str:
        """Return where the phone is; its apps are below."""
        return f"{self.issuer}/sandbox/phone"


def bankid_table(sim: SimBankID, addresses: Addresses) -> Mapping[str, Any]:
    """Return the provider table for the simulated BankID."""
    return {
        "environment": "test",
        "address": f"{addresses.bankid}{PREFIX}",
        "server_root_file": str(sim.server_root),
        "certificate_file": str(sim.client_certificate),
        "key_file": str(sim.client_key),
        "signing_root_files": [str(sim.signing_root)],
        "certificate_policies": list(sim.policies),
        "app_link": f"{addresses.phone}/bankid",
        "program_link": f"{addresses.phone}/bankid",
        "telephone": True,
    }


def freja_table(sim: SimFreja, addresses: Addresses) -> Mapping[str, Any]:
    """Return the provider table for the simulated Freja."""
    return {
        "environment": "test",
        "address": addresses.freja,
        "server_root_file": str(sim.server_root),
        "certificate_file": str(sim.client_certificate),
        "key_file": str(sim.client_key),
        "jws_certificate_files": [str(path) for path in sim.jws_certificates],
        "app_link": f"{addresses.phone}/freja",
        "telephone": True,
    }


def suomifi_table(sim: SimSuomiFi) -> Mapping[str, Any]:
    """Return the provider table for the simulated suomi.fi."""
    texts = {"fi": "idbroker-hiekkalaatikko", "sv": "idbrokers sandlåda", "en": "idbroker sandbox"}
    privacy = dict.fromkeys(texts, "https://idbroker.invalid/privacy")
    return {
        **_saml_table(sim),
        "environment": "test",
        "extent": "medium",
        "eidas": "full",
        "foreign": True,
        "service_names": texts,
        "display": {"names": texts, "descriptions": texts, "privacy_statements": privacy},
    }


def borgeradgang_table(sim: SimGateway) -> Mapping[str, Any]:
    """Return the provider table for the simulated the citizen gateway."""
    return {
        **_saml_table(sim),
        "gateway": "seb",
        "environment": "test",
        "public": True,
        "title": "MitID via borgeradgang",
        "service_names": {"da": "idbrokers sandkasse", "en": "idbroker sandbox"},
    }


def _saml_table(sim: SimSuomiFi | SimGateway) -> Mapping[str, Any]:
    return {
        "idp": sim.entity_id,
        "metadata_url": sim.metadata_url,
        "metadata_signer_file": str(sim.signer_certificate),
    }


def channels(addresses: Addresses, sms_token: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the tables of the mail server and the SMS gateway."""
    return {
        "email": {
            "host": "127.0.0.1",
            "port": addresses.mail,
            "security": "none",
            "sender": "noreply@idbroker.example",
            "sender_name": "idbroker sandbox",
        },
        "sms": {
            "kind": "gatewayapi",
            "address": f"{addresses.sms}{gateways.GATEWAYAPI}",
            "sender": "Sandbox",
            "token": sms_token,
        },
    }
