"""NemLog-in's comparison of a CPR number with somebody who has signed in: for services that may not be told it."""

from __future__ import annotations

import json

import requests

from idbroker.errors import Unreachable
from idbroker.numbers import NationalNumber
from idbroker.providers import Means
from idbroker.providers._oiosaml.settings import Settings

_ANSWERS = {"Match": True, "NoMatch": False}


class CprMatch:
    """The service, over mutual TLS; threads may share it."""

    def __init__(self, settings: Settings, means: Means, entity_id: str) -> None:
        root = settings.service_root_file
        self.http = means.http(cert=_certificate(settings), trust=None if root is None else str(root))
        self._url, self._entity_id = settings.cpr_match_url or "", entity_id

    def __call__(self, name_id: str, number: NationalNumber) -> bool:
        """Tell whether the number is that person's. Raises Unreachable for anything but yes or no."""
        body = {"cpr": number.value, "subjectNameID": name_id, "entityID": self._entity_id}
        try:
            response = self.http.request("POST", self._url, json=body)
        except requests.RequestException as error:
            raise Unreachable(f"CPR match: {type(error).__name__}") from error
        if response.status_code != 200:
            raise Unreachable(f"CPR match: HTTP {response.status_code}")
        return _answer(response.content)


def _answer(octets: bytes) -> bool:
    try:
        said = json.loads(octets)
    except (ValueError, RecursionError):
        raise Unreachable("CPR match: not JSON") from None
    if not isinstance(said, str) or said not in _ANSWERS:
        raise Unreachable("CPR match: neither yes nor no")
    return _ANSWERS[said]


def _certificate(settings: Settings) -> tuple[str, ...] | None:
    """Return what `kept_session` takes: the certificate, the key and, if the key is encrypted, its passphrase."""
    certificate, key, passphrase = (
        settings.service_certificate_file,
        settings.service_key_file,
        settings.service_passphrase_file,
    )
    if certificate is None or key is None:
        return None
    words = [] if passphrase is None else [passphrase.read_text("utf-8").strip()]
    return (str(certificate), str(key), *words)
