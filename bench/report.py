"""What is printed, and the targets it is held against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# On two cores, the broker having one for itself. A benchmark reports; it never fails a build.
TARGETS: Mapping[str, str] = {
    "broker CPU per sign-in, production": "<= 4.5 ms",
    "the same, were the core undisturbed": "<= 4.5 ms",
    "sign-ins per second, 8 users, production": ">= 220",
    "cold start to the first discovery answer": "< 0.8 s",
    "resident memory per worker": "< 90 MiB",
    "cost from 1,000 to 1,000,000 persons": "0.9 to 1.1",
    "sign-ins per second, 100 ms away, 64 users": ">= 150",
    "one order waited for: pause between two looks": ">= 2 s",
    "1,000 orders: CPU of both workers": "< 15 %",
    "from approval to the next page, worst": "<= 3 s",
    "suomi.fi's answer, verified, opened; scaled": "<= 2 ms",
    "fallback: p95 of a step that hashes nothing": "<= 150 ms",
    "fallback: p95 of the step that hashes": "<= 800 ms",
    "eID's p99 under 100 passwords, to p99 alone": "<= 2",
    "forgotten: known to unknown number, by pairs": "0.95 to 1.05",
    "deciding who may act or enter, worst": "<= 50 us",
}

# Microseconds of one ES256 signature on this machine when nothing else ran: what the peers were measured at.
QUIET = 19.6


def part(name: str, measured: Mapping[str, Any]) -> Iterator[str]:
    """Return one part's results for people."""
    yield f"\n{name}"
    if name == "waiting":
        yield from _waiting(measured)
        return
    if name == "saml":
        yield from _saml(measured)
        return
    if name == "fallback":
        yield from _fallback(measured)
        return
    if name == "ages":
        yield from _ages(measured)
        return
    if name != "starts":
        yield from _table(measured)
        return
    for store, start in measured.items():
        first = start["first_seconds"]
        yield f"{store:31} {_spread(start['seconds'])} s; the first, which makes tables and keys: {first} s"


def ending(results: Mapping[str, Any]) -> Iterator[str]:
    """Return where it was measured, and how it stands to the targets."""
    machine = results["machine"]
    yield f"\n{results['date']}, revision {machine['revision']}, {machine['cpu']}, Python {machine['python']}"
    yield f"load average before and after: {results['load_average']}; self-check: {results['self_check']}"
    yield "against the targets (with others on the machine these are indications only):"
    for what, value in against(results).items():
        yield f"  {what:44} {value:>8}   target {TARGETS[what]}"


def _table(part: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for name, value in part.items():
        label = f"{path} {name}".strip()
        if isinstance(value, Mapping) and "per_second" in value:
            yield _row(label, value)
        elif isinstance(value, Mapping) and value and all(isinstance(each, Mapping) for each in value.values()):
            yield from _table(value, label)
        else:
            yield f"{label}: {value}"


def _row(label: str, figures: Mapping[str, Any]) -> str:
    cpu = "  ".join(f"{who} {_spread(ms)}" for who, ms in figures["cpu_ms"].items())
    times = " / ".join(f"{figures[name]['median']:.1f}" for name in ("p50_ms", "p90_ms", "p99_ms"))
    others = figures["broker_core_used_by_others"]["median"]
    row = f"{label:31} {_spread(figures['per_second'])}/s  p50/90/99 {times} ms  cpu ms: {cpu}  others {others:.2f}"
    row += f"  ES256 {figures['es256_signature_us']['median']:.0f} us"
    return row + (f"  FAILED {figures['failed']}: {figures['failures']}" if figures["failed"] else "")


def _waiting(part: Mapping[str, Any]) -> Iterator[str]:
    for name in ("nobody", "upkeep", "asking", "approvals", "showing_codes", "sign_ins", "sign_ins_crowded"):
        window = part[name]
        upstream, cpu = window["upstream"], "  ".join(f"{who} {used}" for who, used in window["cpu_percent"].items())
        yield f"{name:17} {window['seconds']:5.1f} s  cpu %: {cpu}  others {window['used_by_others_percent']}"
        yield f"{'':17} ES256 {window['es256_signature_us']} us  upstream: {upstream}"
        for told in ("questions", "from_approval_to_code_s", "per_second", "took_s", "cpu_ms_per_sign_in"):
            if window.get(told):
                yield f"{'':17} {told}: {window[told]}"
    for what, cost in part["costs"].items():
        yield f"{what:48} {cost}"
    for when in ("nobody", "waiting"):
        yield f"memory, {when}: {part[f'memory_mib_{when}']}"
    yield f"failures: {part['failures']}"


def _saml(part: Mapping[str, Any]) -> Iterator[str]:
    reading = part["reading"]
    for what, cost in reading["cpu_ms"].items():
        scaled, octets = reading["cpu_ms_scaled"][what], reading["octets"][what]
        yield f"{what:31} {octets:6} octets  cpu ms: {_spread(cost)}  scaled {scaled}"
    yield f"slower than the machine of the targets: {reading['slower_than_the_machine_of_the_targets']}"
    for store, visits in part["visits"].items():
        for name in ("sign_in", "logout"):
            cpu, more = visits[name]["cpu_ms"], {k: v for k, v in visits[name].items() if k != "cpu_ms"}
            yield f"{store} {name}: cpu ms {_spread(cpu)}  {more}"
        yield f"{store} provider, cpu ms: {visits['provider_cpu_ms']}"


def _fallback(part: Mapping[str, Any]) -> Iterator[str]:
    for store in ("sqlite", "production", "growth"):
        for name, figures in part.get(store, {}).items():
            known = isinstance(figures, Mapping) and "visit_ms" in figures
            yield from _visits(f"{store} {name}", figures) if known else [f"{store} {name}: {figures}"]
    for name, window in part.get("starving", {}).items():
        yield f"starving {name}: {window}"
    for name, figures in part.get("eid_beside", {}).items():
        known = isinstance(figures, Mapping) and "p50_ms" in figures
        yield _row(f"eid {name}", figures) if known else f"eid {name}: {figures}"


def _ages(part: Mapping[str, Any]) -> Iterator[str]:
    for what, took in part["deciding"].items():
        yield f"{what:31} us: {_spread(took)}" if "median" in took else f"{what:31} {took}"
    for store, by_wards in part["asking"].items():
        for wards, acts in by_wards.items():
            for act in ("page", "choice"):
                yield f"{store} {act}, {wards} ward(s)".ljust(32) + f"{acts[act]}"


def _visits(label: str, figures: Mapping[str, Any]) -> Iterator[str]:
    cpu = "  ".join(f"{who} {_spread(ms)}" for who, ms in figures["cpu_ms"].items())
    others = figures["broker_core_used_by_others"]["median"]
    yield f"{label:31} {_spread(figures['per_second'])}/s  cpu ms: {cpu}  others {others:.2f}"
    yield f"{'':31} ms: {figures['visit_ms']}  failures: {figures['failures']}"
    for step, took in figures["step_ms"].items():
        yield f"{'':31} {step:17} {took}"


def _spread(values: Mapping[str, float]) -> str:
    digits = 0 if values["median"] >= 100 else 2
    return f"{values['median']:.{digits}f} [{values['min']:.{digits}f}..{values['max']:.{digits}f}]"


def against(results: Mapping[str, Any]) -> dict[str, str]:
    """Return what was measured of what has a target."""
    found: dict[str, str] = {}
    names = iter(TARGETS)
    production = results.get("sign_ins", {}).get("sign_in", {}).get("production")
    cpu, quiet, rate, start, memory, ratio, away, pause, upkeep, wait, answer, *by_password, deciding = names
    if production:
        found[cpu] = f"{production['cpu_ms']['broker']['median']:.2f} ms"
        found[quiet] = f"{production['broker_cpu_in_signatures']['median'] * QUIET / 1000:.2f} ms"
        found[rate] = f"{production['per_second']['median']:.0f}"
    if results.get("starts"):
        found[start] = f"{max(each['seconds']['median'] for each in results['starts'].values()):.2f} s"
    if "memory_mib" in results.get("sign_ins", {}):
        found[memory] = f"{max(each['worker_rss'] for each in results['sign_ins']['memory_mib'].values()):.0f} MiB"
    if results.get("sizes"):
        found[ratio] = f"{list(results['sizes']['cpu_ratio_to_smallest'].values())[-1]:.2f}"
    if results.get("far_away"):
        found[away] = f"{max(each['per_second']['median'] for each in results['far_away'].values()):.0f}"
    if results.get("waiting"):
        waiting = results["waiting"]
        window, approvals = waiting["upkeep"], waiting["approvals"]
        gaps = [
            each["upstream"]["gap_s"]["smallest"]
            for each in (window, waiting["asking"], approvals, waiting["showing_codes"])
        ]
        found[pause] = f"{min(gaps):.3f} s"
        found[upkeep] = f"{window['cpu_percent']['workers'] * 1000 / waiting['people']:.1f} %"
        found[wait] = f"{approvals['from_approval_to_code_s']['worst']:.2f} s"
    if results.get("saml"):
        found[answer] = f"{results['saml']['reading']['cpu_ms_scaled']['suomifi_verify_and_decrypt']:.2f} ms"
    found |= dict(zip(by_password, _against_fallback(results.get("fallback", {})), strict=False))
    return found | dict(zip([deciding], _against_ages(results.get("ages", {})), strict=False))


def _against_ages(part: Mapping[str, Any]) -> tuple[str, ...]:
    decisions = [took["median"] for took in part.get("deciding", {}).values() if "median" in took]
    return (f"{max(decisions):.1f} us",) if decisions else ()


def _against_fallback(part: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the worst of the stores; the time until a message comes is the courier's, not a step of the server's."""
    if not part:
        return ()
    stores = [part[name] for name in ("sqlite", "production") if name in part]
    steps = [store["sign_ins_one_a_second"]["step_ms"] for store in stores]
    plain = [took["p95"] for each in steps for step, took in each.items() if step not in ("message", "password_post")]
    starving = part.get("starving", {}).get("eid_p99_to_alone", {})
    ratios = [store["forgotten"]["known_to_unknown_by_pairs"]["median"] for store in stores]
    return (
        f"{max(plain):.0f} ms",
        f"{max(each['password_post']['p95'] for each in steps):.0f} ms",
        " ".join(f"{starving[name]:.1f}" for name in ("at_once", "people") if name in starving),
        " ".join(f"{ratio:.2f}" for ratio in ratios),
    )
