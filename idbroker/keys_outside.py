"""`idbroker keys export` and `import`: what partners are given, and what an authority has made for us."""

from __future__ import annotations

import os
from pathlib import Path

import click

from idbroker.errors import OperatorError
from idbroker.keyimport import check_usable, read_brought
from idbroker.keypublic import published, saml_certificates
from idbroker.keys_context import (
    BUSY,
    CLOSED,
    DONE,
    FAILED,
    MAYBE,
    REFUSED,
    UNCONFIRMED,
    WRONG,
    KeysContext,
    as_json,
    confirm,
    epilog,
    say_nothing_to_do,
    with_context,
)
from idbroker.keyset import CHAINS, SAML, Chain, Use
from idbroker.rotation import plan_import

_FILE = click.Path(path_type=Path)


@click.command(
    "export",
    epilog=epilog(
        [
            "idbroker keys export --jwks",
            "idbroker keys export --saml-cert --out signing.pem",
            "idbroker keys export --saml-enc-cert --out encryption.pem",
        ],
        DONE,
        FAILED,
        WRONG,
        CLOSED,
    ),
)
@click.option("--jwks", "what", flag_value="jwks", help="The published JWK set.")
@click.option("--saml-cert", "what", flag_value="saml-cert", help="The SAML signing certificates: active, then staged.")
@click.option("--saml-enc-cert", "what", flag_value="saml-enc-cert", help="Those to encrypt to, in the same order.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Into this file instead of to stdout.")
@click.option("--force", is_flag=True, help="Overwrite the file.")
@with_context
def export(context: KeysContext, *, what: str | None, out: Path | None, force: bool) -> None:
    """Write the public keys, for those who cannot fetch them."""
    if what is None:
        raise click.UsageError("say what: --jwks, --saml-cert or --saml-enc-cert")
    content = _content(context, what)
    if out is None:
        click.echo(content, nl=False)
        return
    try:
        with os.fdopen(
            os.open(out, os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL), 0o644), "wb"
        ) as file:
            file.write(content)
    except FileExistsError as error:
        raise OperatorError(f"{out} is there already", hint="overwrite it with --force", code="exists") from error
    except OSError as error:
        raise OperatorError(f"{out}: {error.strerror}", code="disk") from error


@click.command(
    "import",
    epilog=epilog(
        [
            "idbroker keys import --use saml-sign --certificate broker.pem --key broker-key.pem",
            "idbroker keys import --use saml-enc --certificate b.pem --key k.pem --passphrase-file p --yes",
        ],
        MAYBE,
        FAILED,
        UNCONFIRMED,
        REFUSED,
        CLOSED,
        BUSY,
    ),
)
@click.option("--use", type=click.Choice([use.value for use in SAML]), required=True, help="What the key is for.")
@click.option("--certificate", type=_FILE, required=True, help="PEM; of a chain, the key's own is taken.")
@click.option("--key", "key_file", type=_FILE, required=True, help="The private RSA key, PEM. It is copied, sealed.")
@click.option("--passphrase-file", "opens", type=_FILE, help="Holds the passphrase of an encrypted key.")
@click.option("--dry-run", is_flag=True, help="Only check the files and show the plan.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@as_json
@with_context
def import_(
    context: KeysContext,
    *,
    use: str,
    certificate: Path,
    key_file: Path,
    opens: Path | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Stage a SAML key with a certificate that an authority has made, in place of what was staged.

    Our metadata names it from now on; `keys rotate` lets it sign once partners can know it.
    The first key of its use is active at once.
    """
    brought = read_brought(certificate, key_file, opens)
    held, chain = context.store.load(), _chain(Use(use))
    known = next((key for key in held.keys if key.kid == brought.kid(chain.use)), None)
    if known is not None and known.alive:
        say_nothing_to_do(as_json=as_json, why=f"this certificate is here already, and {known.state}")
        return
    if known is not None:
        why = "this certificate was in use and is gone: keys do not come back"
        raise OperatorError(why, hint="see: idbroker keys history", code="was_retired", exit_code=3)
    check_usable(brought, held, context.rules, context.now, chain)
    plan = plan_import(held, context.rules, context.now, chain)
    question = "Take it in now? [y/N] "
    confirm(context, plan, held, question, yes=yes, dry_run=dry_run, as_json=as_json, make=brought.made)


def _chain(use: Use) -> Chain:
    return next(chain for chain in CHAINS if chain.use is use)


def _content(context: KeysContext, what: str) -> bytes:
    held = context.store.load()
    match what:
        case "saml-cert":
            return saml_certificates(held, Use.SAML_SIGN)
        case "saml-enc-cert":
            return saml_certificates(held, Use.SAML_ENC)
        case _:
            return published(held, context.rules.jwks_max_age).body + b"\n"
