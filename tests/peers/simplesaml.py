"""SimpleSAMLphp as an identity provider: a process of its own, set up in a folder of its own."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from idbroker.providers.suomifi import LOA3
from idbroker.saml import names
from idbroker.sandbox.people import SimPerson
from tests.peers.saml_world import make_pair
from tests.servers import LOOPBACK, missing, program, serving

INSTALLED = Path(os.environ.get("TEST_SIMPLESAMLPHP", "/usr/share/simplesamlphp"))
PASSWORD = "only-for-this-test"
REGISTERED = "urn:oid:1.2.246.517.3002.111.2"
DESCRIBES = "describes"  # the pair of keys that signs metadata, and nothing else
CANCELS = "cancels"  # an attribute of those who do
SETS = ("config", "authsources", "metadata/saml20-idp-hosted")
# PHP reads all of its configuration from JSON that is written here.
_READS = "<?php ${} = json_decode(file_get_contents(__DIR__ . '/{}.json'), true);\n"
_QUIET = {"display_errors": "0", "log_errors": "1", "error_log": "/dev/stderr", "opcache.enable_cli": "0"}
_CANCEL = (
    f"if (isset($attributes['{CANCELS}'])) {{ \\SimpleSAML\\Auth\\State::throwException($state, "
    f"new \\SimpleSAML\\Module\\saml\\Error('{names.RESPONDER}', '{names.AUTHN_FAILED}')); }}"
)


@dataclass(kw_only=True)
class SimpleSaml:
    """A running SimpleSAMLphp. Every request reads its settings anew, so they can be changed while it runs."""

    folder: Path
    address: str
    people: Mapping[str, Mapping[str, list[str]]]
    pair: str = "first"
    next_pair: str | None = None

    @property
    def entity_id(self) -> str:
        """Return its name."""
        return f"{self.address}/idp"

    @property
    def metadata_file(self) -> Path:
        """Return where its metadata is put for us."""
        return self.folder / "idp.xml"

    @property
    def metadata_url(self) -> str:
        """Return where it publishes that itself, signed."""
        return f"{self.address}/saml2/idp/metadata.php"

    def describe(self) -> None:
        """Have it write its metadata, for us to read."""
        response = requests.get(self.metadata_url, timeout=10)
        assert response.status_code == 200, response.text
        self.metadata_file.write_bytes(response.content)

    def knows(self, **described: bytes) -> None:
        """Give it the metadata of service providers, by any name."""
        for name, document in described.items():
            (self.folder / f"{name}.xml").write_bytes(document)
        self.set_up([f"{name}.xml" for name in described])

    def set_up(self, documents: list[str] | None = None) -> None:
        """Write its settings; without documents those of the service providers stay."""
        if documents is not None:
            self._write("config", self._config(documents))
        self._write("authsources", {"people": {"0": "exampleauth:UserPass", **self._users()}})
        self._write("metadata/saml20-idp-hosted", {self.entity_id: self._hosted()})

    def _users(self) -> dict[str, Any]:
        return {f"{who}:{PASSWORD}": attributes for who, attributes in self.people.items()}

    def _write(self, name: str, settings: Mapping[str, Any]) -> None:
        (self.folder / f"{name}.json").write_text(json.dumps(settings))

    def _config(self, documents: list[str]) -> dict[str, Any]:
        folder = str(self.folder)
        return {
            "baseurlpath": f"{self.address}/",
            **dict.fromkeys(("certdir", "loggingdir", "datadir", "tempdir"), f"{folder}/"),
            "metadatadir": f"{folder}/metadata/",
            "metadata.sources": [
                {"type": "flatfile"},
                *({"type": "xml", "file": f"{folder}/{document}"} for document in documents),
            ],
            "secretsalt": "only for this test",
            "auth.adminpassword": PASSWORD,
            "timezone": "UTC",
            "technicalcontact_email": "nobody@idp.test",
            "logging.handler": "errorlog",
            "logging.level": 4,
            "errorreporting": False,
            "showerrors": True,
            "enable.saml20-idp": True,
            "metadata.sign.enable": True,
            "metadata.sign.privatekey": f"{DESCRIBES}.key",
            "metadata.sign.certificate": f"{DESCRIBES}.crt",
            "metadata.sign.algorithm": names.RSA_SHA256,
            "module.enable": {"exampleauth": True, "saml": True, "core": True},
            "store.type": "phpsession",
            "session.cookie.secure": False,
            "session.phpsession.savepath": folder,
            "session.phpsession.cookiename": "SimpleSAML",
            "language.default": "en",
        }

    def _hosted(self) -> dict[str, Any]:
        after = self.next_pair
        return {
            "host": "__DEFAULT__",
            "auth": "people",
            "privatekey": f"{self.pair}.key",
            "certificate": f"{self.pair}.crt",
            **({"new_privatekey": f"{after}.key", "new_certificate": f"{after}.crt"} if after else {}),
            "signature.algorithm": names.RSA_SHA256,
            "saml20.sign.response": True,
            "saml20.sign.assertion": True,
            "assertion.encryption": True,
            "sign.logout": True,
            "redirect.sign": True,
            "redirect.validate": True,
            "validate.authnrequest": True,
            "validate.logout": True,
            "SingleSignOnServiceBinding": [names.REDIRECT, names.POST],
            "SingleLogoutServiceBinding": [names.REDIRECT, names.POST],
            "attributes.NameFormat": "urn:oasis:names:tc:SAML:2.0:attrname-format:uri",
            "authproc": {
                "10": {"class": "saml:AuthnContextClassRef", "AuthnContextClassRef": LOA3},
                "20": {"class": "core:PHP", "code": _CANCEL},
                # What our metadata does not ask for is not sent.
                "50": "core:AttributeLimit",
                # suomi.fi says this of everybody, asked or not.
                "60": {"class": "core:AttributeAdd", REGISTERED: ["true"]},
            },
        }


@contextmanager
def simplesaml(people: Mapping[str, Mapping[str, list[str]]]) -> Iterator[SimpleSaml]:
    """Serve it: people with their attributes, by user name; service providers are told by `knows`."""
    php = program("php", variable="TEST_PHP_BIN")
    if php is None or not (INSTALLED / "www").is_dir():
        missing("SimpleSAMLphp", "install simplesamlphp and php-cli, or name its folder in TEST_SIMPLESAMLPHP")
    with tempfile.TemporaryDirectory(prefix="idbroker-simplesaml-") as name:
        folder = Path(name)
        (folder / "metadata").mkdir()
        for kind in SETS:
            variable = {"metadata/saml20-idp-hosted": "metadata"}.get(kind, "config")
            (folder / f"{kind}.php").write_text(_READS.format(variable, Path(kind).name))
        for pair in ("first", "second", "unknown", DESCRIBES):
            make_pair(folder, pair)
        made: list[SimpleSaml] = []

        def command(port: int) -> list[str]:
            made.append(SimpleSaml(folder=folder, address=f"http://{LOOPBACK}:{port}", people=people))
            made[-1].set_up([])
            options = [part for key, value in _QUIET.items() for part in ("-d", f"{key}={value}")]
            where = ["-S", f"{LOOPBACK}:{port}", "-t", str(INSTALLED / "www")]
            return ["env", f"SIMPLESAMLPHP_CONFIG_DIR={folder}", str(php), *options, *where]

        with serving(command, lambda _: _answers(made[-1]), folder):
            made[-1].describe()
            yield made[-1]


def _answers(peer: SimpleSaml) -> bool:
    try:
        return requests.get(peer.metadata_url, timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


def finn(person: SimPerson) -> dict[str, list[str]]:
    """Return what suomi.fi says of somebody, and something that nobody asked for."""
    told = {
        "urn:oid:1.2.246.21": person.number,
        "urn:oid:2.16.840.1.113730.3.1.241": person.name,
        "urn:oid:2.5.4.42": person.given_name,
        "urn:oid:2.5.4.4": person.family_name,
        "urn:test:not-asked-for": "nothing",
        **({CANCELS: "yes"} if person.habit == "cancel" else {}),
    }
    return {name: [value] for name, value in told.items() if value}
