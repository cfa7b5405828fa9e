"""A portal that is Apache with mod_auth_openidc: a process of its own, in a folder of its own."""

from __future__ import annotations

import os
import pwd
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import LOOPBACK, missing, program, serving

MODULES = Path(os.environ.get("TEST_APACHE_MODULES", "/usr/lib/apache2/modules"))
LOADED = ("mpm_event", "authn_core", "authz_core", "authz_user", "dir", "headers", "auth_openidc")
SHOWN = ("iss", "sub", "aud", "acr", "name")
PAGE = "what only those who signed in may read\n"


@contextmanager
def apache(directives: str, *, port: int) -> Iterator[str]:
    """Serve a protected page, the directives added to its configuration; give its address.

    The page answers with a header `Claim-NAME` for each of SHOWN. Root's Apache gives its rights up to
    another user, who cannot enter pytest's folders: it has a folder elsewhere.
    """
    binary = program("apache2", variable="TEST_APACHE_BIN", folders=[Path("/usr/sbin")])
    if binary is None:
        missing("Apache", "install apache2, or name its program in TEST_APACHE_BIN")
    if not (MODULES / "mod_auth_openidc.so").exists():
        missing("mod_auth_openidc", "install libapache2-mod-auth-openidc, or name its folder in TEST_APACHE_MODULES")
    with tempfile.TemporaryDirectory(prefix="idbroker-apache-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        _write(folder, directives, port)
        command = [str(binary), "-X", "-d", str(folder), "-f", str(folder / "apache.conf")]
        with serving(lambda _: command, lambda _: _listens(port), folder):
            yield f"http://{LOOPBACK}:{port}"


def _write(folder: Path, directives: str, port: int) -> None:
    page = folder / "pages" / "protected" / "index.txt"
    page.parent.mkdir(parents=True)
    page.write_text(PAGE)
    (folder / "apache.conf").write_text(_configuration(folder, port) + directives)


def _configuration(folder: Path, port: int) -> str:
    lines = [f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in LOADED]
    lines += [
        *_rights(),
        f"ServerName {LOOPBACK}",
        f"Listen {LOOPBACK}:{port}",
        f"DefaultRuntimeDir {folder}",
        f"PidFile {folder}/apache.pid",
        f"Mutex file:{folder}",
        "ErrorLog /dev/stderr",
        f"DocumentRoot {folder}/pages",
        "DirectoryIndex index.txt",
        "<Location /protected>",
        "AuthType openid-connect",
        "Require valid-user",
        *(f'Header set Claim-{claim} "%{{OIDC_CLAIM_{claim}}}e"' for claim in SHOWN),
        "</Location>",
    ]
    return "\n".join(lines) + "\n"


def _rights() -> list[str]:
    if os.geteuid() != 0:
        return []
    users = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = users.get("www-data") or users["nobody"]
    return [f"User {user.pw_name}", f"Group #{user.pw_gid}"]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0
