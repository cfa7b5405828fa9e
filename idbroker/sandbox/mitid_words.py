"""The words of the simulated MitID pages, Danish and English."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

WORDS: Mapping[str, Mapping[str, str]] = {
    "da": {
        "title": "Simuleret MitID - ikke den rigtige",
        "banner": "SANDBOX: opdigtede personer, intet rigtigt eID",
        "who": "Hvem er du?",
        "what": "Hvad sker der?",
        "for": "Tjenesten",
        "go": "Fortsæt",
        "approve": "Godkend",
        "cancel": "Afbryd",
        "timeout": "Vent for længe",
        "blocked": "MitID er spærret",
        "lower_level": "Godkend på et lavere niveau",
        "no_number": "Godkend uden CPR-nummer",
        "cpr_title": "Skriv dit CPR-nummer",
        "cpr": "CPR-nummer",
        "cpr_hint": "10 cifre, med eller uden bindestreg. Du har tre forsøg.",
        "cpr_wrong": "Det er ikke det CPR-nummer, der hører til dette MitID. Prøv igen.",
        "sessions": "Hvem er logget ind?",
        "sign_out": "Log ud",
        "nobody": "Ingen er logget ind.",
        "sorry": "Det kan ikke lade sig gøre",
    },
    "en": {
        "title": "Simulated MitID - not the real one",
        "banner": "SANDBOX: invented people, no real eID",
        "who": "Who are you?",
        "what": "What happens?",
        "for": "The service",
        "go": "Continue",
        "approve": "Approve",
        "cancel": "Cancel",
        "timeout": "Wait too long",
        "blocked": "MitID is blocked",
        "lower_level": "Approve at a lower level",
        "no_number": "Approve without a CPR number",
        "cpr_title": "Enter your CPR number",
        "cpr": "CPR number",
        "cpr_hint": "10 digits, with or without a hyphen. You have three tries.",
        "cpr_wrong": "That is not the CPR number of this MitID. Try again.",
        "sessions": "Who is signed in?",
        "sign_out": "Sign out",
        "nobody": "Nobody is signed in.",
        "sorry": "That cannot be done",
    },
}


def reference_text(asked: Mapping[str, Any]) -> str:
    """Return the text the app would show: base64 on the wire, at most 130 characters."""
    try:
        return base64.b64decode(asked.get("reference_text", ""), validate=True).decode()[:130]
    except (binascii.Error, TypeError, UnicodeDecodeError):
        return ""
