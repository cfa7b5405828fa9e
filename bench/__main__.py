"""The command: `python -m bench [all|profile|look]`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest

from bench import fallback, looking, machine, profiling, report, run
from bench.ages import ages
from bench.importing import SIZES, importing
from bench.saml import saml
from bench.stage import Stage, Stores
from bench.waiting import Waiting, waiting

RESULTS = Path(__file__).parent / "results"
PARTS = ("sign_ins", "endpoints", "far_away", "starts", "sizes", "waiting", "saml", "fallback", "import", "ages")
ON_PRODUCTION = {"sizes", "waiting"}  # these need Redis and PostgreSQL
ALONE = {"waiting", "saml", "fallback", "import", "ages"}  # these start brokers of their own
QUICK = run.Effort(rounds=2, seconds=1.0, sizes=(1_000, 20_000), starts=2, warm_up=0.5)


@click.group(invoke_without_command=True)
@click.option("--users", default=8, show_default=True, help="Virtual users at once.")
@click.option("--rounds", default=5, show_default=True, help="Rounds, taken in turns between the stores.")
@click.option("--seconds", default=3.0, show_default=True, help="Length of a round.")
@click.option("--store", type=click.Choice(["sqlite", "production", "both"]), help="[both; with --quick: production]")
@click.option("--only", type=click.Choice(PARTS), multiple=True, help="Only this part; may be given again.")
@click.option("--waiting", "people", default=1000, show_default=True, help="People who wait for BankID at once.")
@click.option("--beside", type=click.Path(path_type=Path), help="Another checkout, to measure eID sign-ins of both.")
@click.option("--quick", is_flag=True, help="A look in half a minute: shorter, and with fewer persons.")
@click.option("--date", default=f"{datetime.now(UTC):%Y-%m-%d}", help="The date in the results [today].")
@click.option("--save", help="Write bench/results/NAME.json.")
@click.pass_context
def bench(context: click.Context, /, **options: Any) -> None:
    """Measure the broker: processor time, speed, memory and start. README.md says how."""
    if context.invoked_subcommand is not None:
        return
    usual = run.Effort(users=options["users"], rounds=options["rounds"], seconds=options["seconds"])
    effort = QUICK if options["quick"] else usual
    store = options["store"] or ("production" if options["quick"] else "both")
    names = ["sqlite", "production"] if store == "both" else [store]
    results = {"date": options["date"], "effort": _plain(effort), "machine": machine.description()}
    patients = _patients(options["people"], quick=options["quick"])
    results |= measured(effort, patients, names, options["only"] or PARTS, options["beside"])
    for line in report.ending(results):
        click.echo(line)
    if options["save"]:
        RESULTS.mkdir(exist_ok=True)
        text = json.dumps(results, indent=1, ensure_ascii=False)
        (RESULTS / f"{options['save']}.json").write_text(text + "\n", encoding="utf-8")


def measured(
    effort: run.Effort, patients: Waiting, names: list[str], parts: tuple[str, ...], beside: Path | None
) -> dict[str, Any]:
    """Start everything, measure the parts, and end everything."""
    load = machine.load_average()
    with tempfile.TemporaryDirectory(prefix="idbroker-bench-") as folder, Stage(Path(folder)) as stage:
        stores, stand_in = _stores(stage, names), stage.stand_in()
        brokers = [stage.broker(each, stand_in) for each in stores] if not set(parts) <= ALONE else []
        results: dict[str, Any] = {"self_check": run.self_check(brokers, stand_in)}
        measures: dict[str, Callable[[], Any]] = {
            "sign_ins": lambda: run.sign_ins(brokers, stand_in, stage, effort),
            "endpoints": lambda: run.endpoints(brokers, stage, effort),
            "far_away": lambda: run.far_away(stage, stores[-1], stand_in, effort),
            "starts": lambda: run.starts(stage, stores, effort),
            "sizes": lambda: run.sizes(stage, stand_in, effort),
            "waiting": lambda: waiting(stage, patients),
            "saml": lambda: saml(stage, stores, rounds=effort.rounds),
            "ages": lambda: ages(stage, stores, rounds=effort.rounds),
            "import": lambda: importing(stage, stores, sizes=_sizes(effort), rounds=min(effort.rounds, 3)),
            "fallback": lambda: fallback.fallback(stage, stores, stand_in, _fallback_effort(effort, beside)),
        }
        for name in parts:
            if name not in ON_PRODUCTION or "production" in names:
                results[name] = measures[name]()
                for line in report.part(name, results[name]):
                    click.echo(line)
        return {"load_average": [round(load, 2), round(machine.load_average(), 2)], **results}


def _patients(people: int, *, quick: bool) -> Waiting:
    """Return how many wait, and how long they are watched; those who fill the cores are in the same proportion."""
    if quick:
        return Waiting(people=min(people, 100), approvals=20, seconds=6.0, crowd=24)
    return Waiting(people=people, approvals=max(1, people // 5))


def _fallback_effort(effort: run.Effort, beside: Path | None) -> fallback.Effort:
    quick = effort is QUICK
    return fallback.Effort(
        rounds=min(effort.rounds, 3),
        seconds=effort.seconds,
        many=fallback.MANY // 10 if quick else fallback.MANY,
        beside=beside,
    )


def _sizes(effort: run.Effort) -> tuple[int, ...]:
    return SIZES[:1] if effort is QUICK else SIZES


def _stores(stage: Stage, names: list[str]) -> list[Stores]:
    try:
        return run.stores_of(stage, names)
    except pytest.skip.Exception as missing:
        raise click.ClickException(f"{missing}; or measure with --store sqlite") from None


def _plain(effort: run.Effort) -> dict[str, Any]:
    return {name: getattr(effort, name) for name in effort.__slots__}


bench.add_command(profiling.profile)
bench.add_command(looking.look)

if __name__ == "__main__":
    bench()
