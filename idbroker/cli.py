"""The operator's tool: `idbroker serve | check | keys | clients | clinics | accounts | enrolments | store | …`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points, version

import click

from idbroker.errors import OperatorError, StoreError

GROUP = "idbroker.commands"
_COMMANDS: Mapping[str, str] = {
    "serve": "idbroker.commands.serve:serve",
    "check": "idbroker.commands.check:check",
    "keys": "idbroker.commands.keys:keys",
    "clients": "idbroker.commands.clients:clients",
    "clinics": "idbroker.commands.clinics:clinics",
    "store": "idbroker.commands.store:store",
    "events": "idbroker.commands.events:events",
    "evidence": "idbroker.commands.evidence:evidence",
    "accounts": "idbroker.commands.accounts:accounts",
    "staff": "idbroker.commands.staff:staff",
    "enrolments": "idbroker.commands.enrolments:enrolments",
    "patients": "idbroker.commands.patients:patients",
}


class Commands(click.Group):
    """Loads each command when it is called: `keys list` should not wait for the web server's imports.

    Commands of other packages join by the entry-point group `idbroker.commands`, which is how the
    sandbox gets here without anything in production importing it.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names."""
        return sorted({*_COMMANDS, *(point.name for point in entry_points(group=GROUP))})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one command, or None."""
        if cmd_name in _COMMANDS:
            module, _, name = _COMMANDS[cmd_name].partition(":")
            found = getattr(importlib.import_module(module), name)
        else:
            points = entry_points(group=GROUP, name=cmd_name)
            found = next(iter(points)).load() if points else None
        return found if isinstance(found, click.Command) else None


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", type=click.Path(dir_okay=False), help="The configuration file [config.toml].")
@click.version_option(version("idbroker"), prog_name="idbroker")
@click.pass_context
def idbroker(context: click.Context, config: str | None) -> None:
    r"""Identity broker for Nordic health care.

    \b
    Examples:
      idbroker sandbox          try it: simulated people, demo portals, no set-up
      idbroker check            is the configuration right?
      idbroker serve            run it
      idbroker keys list        our keys and what happens to them next
    """
    context.obj = config


def main() -> None:
    """Run the tool. Errors go to stderr as `error:` and `hint:`; exit codes are those of the command."""
    try:
        code = idbroker.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OperatorError as error:
        click.echo(f"error: {error.detail}", err=True)
        if error.hint:
            click.echo(f"hint: {error.hint}", err=True)
        sys.exit(error.exit_code)
    except StoreError as error:
        click.echo(f"error: {error.detail}\nhint: idbroker check", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
