"""The sandbox's configuration, as an operator would write it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

PATIENTPORTALEN = "patientportalen"
ALERIS = "aleris"
MINHALSA = "minhalsa"
NEUROREG = "neuroreg"
VIDEOVISIT = "videovisit"
HAVNENS = "havnens"
ALERISAPP = "alerisapp"
KEYED = (ALERIS, MINHALSA, VIDEOVISIT)  # prove who they are with a key of their own
SECRET = (PATIENTPORTALEN, NEUROREG)  # prove it with a secret
# Told by a frame of the browser that a sign-on is over; the others by a message from server to server.
FRAMED = (NEUROREG,)
# Video visits: the number in the link, whom it is for, and how long after the start of the sandbox it begins.
VISITS = (("4107", "aino", timedelta(minutes=15)), ("4108", "jaana", timedelta()))
CLINEA = "clinea"
OWN_CLINIC = CLINEA
MITID_CLIENT = "idbroker-sandbox"


def document(
    *,
    issuer: str,
    portals: str,
    mitid: str,
    eids: Mapping[str, Mapping[str, Any]],
    secrets: Mapping[str, str],
    jwks: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the document that `config.read` checks.

    `eids` are the provider tables of the other simulators but for the kind, by kind: their addresses
    and files. `secrets` are digests and `jwks` key sets, by client.
    """
    return {
        "server": {"issuer": issuer, "workers": 1},
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
        },
        "clinics": {
            "clinea": {
                "name": "Test klinik 2",
                "country": "DK",
                "providers": ["borgeradgang", "mitid"],
                "phone": "+45 70 00 00 02",
                "help_url": f"{portals}/{PATIENTPORTALEN}/hjaelp",
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
                "phone": "+46 980 31 92 10",
                "help_url": f"{portals}/{MINHALSA}/hjalp",
            },
            "neuroreg": {
                "name": "Svenska neuroregister",
                "country": "SE",
                "providers": ["bankid"],
                "phone": "+46 980 31 92 20",
                "help_url": f"{portals}/{NEUROREG}/hjalp",
            },
            "hyvinvointialue": {
                "name": "Esimerkkilän hyvinvointialue",
                "country": "FI",
                "providers": ["suomifi"],
                "languages": ["fi", "sv", "en"],
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
                "scopes": ["openid", "profile", "national_number"],
                "national_number": True,
            },
            NEUROREG: {
                **_addresses(portals, NEUROREG),
                "name": "Neuroreg PER",
                "clinic": "neuroreg",
                "secret_digests": [secrets[NEUROREG]],
                "scopes": ["openid", "profile", "national_number"],
                "national_number": True,
            },
            VIDEOVISIT: {
                **_addresses(portals, VIDEOVISIT),
                "name": "Videovisit",
                "clinic": "hyvinvointialue",
                "auth_method": "private_key_jwt",
                "jwks": jwks[VIDEOVISIT],
                "scopes": ["openid", "profile", "national_number"],
                "national_number": True,
            },
        },
    }


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
