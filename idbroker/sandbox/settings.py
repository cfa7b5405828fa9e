"""The sandbox's configuration, as an operator would write it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from idbroker.patients.assisting import PROVIDER as ASSISTED
from idbroker.providers import kinds
from idbroker.sandbox.register import NAME as FAMILIES
from idbroker.sandbox.texts import APP_TERMS, PURPOSE, TERMS

PATIENTPORTALEN = "patientportalen"
ALERIS = "aleris"
MINHALSA = "minhalsa"
NEUROREG = "neuroreg"
VIDEOVISIT = "videovisit"
HAVNENS = "havnens"
ALERISAPP = "alerisapp"
KEYED = (ALERIS, MINHALSA, VIDEOVISIT, ALERISAPP)  # prove who they are with a key of their own
SECRET = (PATIENTPORTALEN, NEUROREG, HAVNENS)  # prove it with a secret
# Programs of clinics that call the API as themselves.
JOURNAL = "journal"
LAEGESYSTEM = "laegesystem"
PROGRAMS = {JOURNAL: NEUROREG, LAEGESYSTEM: "clinea"}
# Told by a frame of the browser that a sign-on is over; the others by a message from server to server.
FRAMED = (NEUROREG,)
# Video visits: the number in the link, whom it is for, and how long after the start of the sandbox it begins.
VISITS = (("4107", "aino", timedelta(minutes=15)), ("4108", "jaana", timedelta()), ("4109", "eeli", timedelta()))
BROUGHT_BY = {"eeli": "leena"}  # a child's invitation goes to a guardian
CLINEA = "clinea"
OWN_CLINIC = CLINEA
# The portal of each clinic that keeps a list of its patients.
PORTAL_OF = {CLINEA: PATIENTPORTALEN, HAVNENS: HAVNENS, NEUROREG: NEUROREG}
# Clinics that have staff here: those that keep a list, and those whose patients telephone.
STAFFED = (NEUROREG, CLINEA, HAVNENS, "region", "hyvinvointialue")
# What neuroreg's patients may come for, by the name of the door.
_DOORS = {
    "per": {"sv": "Patientens egen registrering (PER)", "en": "My own registration (PER)"},
    "contacts": {"sv": "Mina vårdkontakter", "en": "My care contacts"},
}
_SCOPES = ["patients.read", "patients.write", "enrolments", "register", "webhooks"]
MITID_CLIENT = "idbroker-sandbox"
# At least 8 characters, small and capital letters, at least one digit.
_PASSWORD = {"least": 8, "mixed": True}


def document(
    *,
    issuer: str,
    portals: str,
    mitid: str,
    eids: Mapping[str, Mapping[str, Any]],
    secrets: Mapping[str, str],
    jwks: Mapping[str, Mapping[str, Any]],
    channels: Mapping[str, Mapping[str, Any]],
    registers: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the document that `config.read` checks.

    `eids` are the provider tables of the other simulators but for the kind, by kind: their addresses
    and files. `secrets` are digests and `jwks` key sets, by client. `channels` are the tables of the mail
    server and the SMS gateway, `registers` those of the registers of guardians.
    """
    return {
        "server": {"issuer": issuer, "workers": 1},
        **channels,
        "registers": registers,
        # As little as is allowed: nobody waits for a password here, and nothing is worth stealing.
        "passwords": {"memory_kib": 19456, "passes": 2},
        # All people of the sandbox have one browser address and one series of phone numbers: what is capped for
        # those would end everybody's codes. What is capped for one person or address is as in production.
        "codes": {"browser_hour": 1000, "prefix_hour": 1000},
        "providers": {
            "mitid": {
                "kind": "mitid",
                "broker": "nets",
                "issuer": mitid,
                "client_id": MITID_CLIENT,
                "auth_method": "private_key_jwt",
                "pushed": True,
            },
            **{kind: {"kind": kind, **table} for kind, table in eids.items()},
            "fallback": {"kind": "fallback"},
            **({ASSISTED: {"kind": ASSISTED}} if _assists() else {}),
        },
        "clinics": {
            "clinea": {
                "name": "Test klinik 2",
                "country": "DK",
                "providers": ["borgeradgang", "mitid", "fallback"],
                # As in its guide: the clinic approves, codes go by e-mail, children are under 15.
                "registration": "approval",
                "codes": ["email"],
                # Asked when somebody registers a child: nobody acts for anybody here.
                "registers": [FAMILIES],
                "password": _PASSWORD,
                "terms": {"version": "2026-1", "texts": TERMS},
                "phone": "+45 70 00 00 02",
                "help_url": f"{portals}/{PATIENTPORTALEN}/hjaelp",
            },
            HAVNENS: {
                "name": "Havnens Lægehus",
                "country": "DK",
                "providers": ["borgeradgang", "mitid", "fallback"],
                "registration": "automatic",
                # So a child whom the register knows as its guardian's is in at once.
                "registers": [FAMILIES],
                "codes": ["email", "sms", "app"],
                "password": _PASSWORD,
                "terms": {"version": "2026-1", "texts": TERMS},
                "phone": "+45 70 00 00 04",
                "help_url": f"{portals}/{HAVNENS}/hjaelp",
            },
            ALERISAPP: {
                "name": "Aleris",
                "country": "DK",
                "providers": ["mitid"],
                "languages": ["en", "da"],
                "terms": {"version": "2026-1", "texts": APP_TERMS, "before": True},
                "phone": "+45 70 00 00 03",
                "help_url": f"{portals}/{ALERISAPP}/help",
            },
            "aleris": {
                "name": "Aleris",
                "country": "DK",
                "providers": ["mitid"],
                "languages": ["en", "da"],
                "phone": "+45 70 00 00 03",
                "help_url": f"{portals}/{ALERIS}/help",
            },
            "region": {
                "name": "Region Jämtland Härjedalen",
                "country": "SE",
                "providers": ["bankid", "freja"],
                "registers": [FAMILIES],
                "phone": "+46 980 31 92 10",
                "help_url": f"{portals}/{MINHALSA}/hjalp",
            },
            "neuroreg": {
                "name": "Svenska neuroregister",
                "country": "SE",
                "providers": ["bankid", "fallback", *([ASSISTED] if _assists() else [])],
                # Staff enter the patients, and send them a lasting password; codes go as text message or e-mail.
                "registration": "off",
                "access": "password",
                "staff_email": "info@neuroreg.example",
                "codes": ["sms", "email"],
                "phone": "+46 980 31 92 20",
                "help_url": f"{portals}/{NEUROREG}/hjalp",
            },
            "hyvinvointialue": {
                "name": "Esimerkkilän hyvinvointialue",
                "country": "FI",
                "providers": ["suomifi"],
                "languages": ["fi", "sv", "en"],
                "registers": ["valtuudet"],
                "phone": "+358 9 000 0000",
                "help_url": f"{portals}/{VIDEOVISIT}/ohje",
            },
        },
        "clients": {
            PATIENTPORTALEN: {
                **_addresses(portals, PATIENTPORTALEN),
                "name": "Patientportalen",
                "clinic": "clinea",
                "secret_digests": [secrets[PATIENTPORTALEN]],
                "scopes": ["openid", "profile", "national_number", "offline_access"],
                "national_number": True,
                "refresh": "keep",
                "minimum": "low",
            },
            HAVNENS: {
                **_addresses(portals, HAVNENS),
                "name": "Havnens Patientportal",
                "clinic": HAVNENS,
                "secret_digests": [secrets[HAVNENS]],
                "scopes": ["openid", "profile", "national_number"],
                "national_number": True,
                "minimum": "low",
            },
            ALERISAPP: {
                **_addresses(portals, ALERISAPP),
                "name": "Aleris video",
                "clinic": ALERISAPP,
                "auth_method": "private_key_jwt",
                "jwks": jwks[ALERISAPP],
                "scopes": ["openid", "profile"],
                "consent": "ask",
                "purpose": PURPOSE,
            },
            ALERIS: {
                **_addresses(portals, ALERIS),
                "name": "Aleris Online",
                "clinic": "aleris",
                "auth_method": "private_key_jwt",
                "jwks": jwks[ALERIS],
                "scopes": ["openid", "profile"],
            },
            # These find a person by the national number: bookings, the register, whom a visit is for.
            MINHALSA: {
                **_addresses(portals, MINHALSA),
                "name": "Min Hälsa",
                "clinic": "region",
                "auth_method": "private_key_jwt",
                "jwks": jwks[MINHALSA],
                "scopes": ["openid", "profile", "national_number", "acting_for"],
                "national_number": True,
                # Whoever has a child to book for is asked whom it is about.
                "acting": "always",
            },
            NEUROREG: {
                **_addresses(portals, NEUROREG),
                "name": "Neuroreg PER",
                "clinic": "neuroreg",
                "secret_digests": [secrets[NEUROREG]],
                "scopes": ["openid", "profile", "national_number"],
                "national_number": True,
                "minimum": "low",
                "doors": _DOORS,
                "assisted": "role",
                "initiate_login_uri": f"{portals}/{NEUROREG}/initiate",
                "backchannel_logout_uri": f"{portals}/{NEUROREG}/backchannel-logout",
                "backchannel_logout_session_required": True,
            },
            **{
                name: {
                    "name": name.capitalize(),
                    "clinic": clinic,
                    "redirect_uris": [],
                    "secret_digests": [secrets[name]],
                    "api": _SCOPES,
                }
                for name, clinic in PROGRAMS.items()
            },
            VIDEOVISIT: {
                **_addresses(portals, VIDEOVISIT),
                "name": "Videovisit",
                "clinic": "hyvinvointialue",
                "auth_method": "private_key_jwt",
                "jwks": jwks[VIDEOVISIT],
                "scopes": ["openid", "profile", "national_number", "acting_for"],
                "national_number": True,
                # A visit may be a child's: whoever comes is asked, and chooses at Suomi.fi.
                "acting": "always",
            },
        },
    }


def _assists() -> bool:
    """Tell whether staff can sign patients in on the patient's screen with their own credentials."""
    return ASSISTED in kinds()


def _addresses(portals: str, name: str) -> dict[str, Any]:
    # All portals have one host here; in real life they have not, so they may not know a person by one `sub`.
    way = "frontchannel" if name in FRAMED else "backchannel"
    return {
        "redirect_uris": [f"{portals}/{name}/callback"],
        "post_logout_redirect_uris": [f"{portals}/{name}/goodbye"],
        "start_url": f"{portals}/{name}/",
        "sector": name,
        f"{way}_logout_uri": f"{portals}/{name}/{way}-logout",
        f"{way}_logout_session_required": True,
    }
