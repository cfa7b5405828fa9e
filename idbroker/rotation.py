"""The rules of a key's life: plans that change the key set, or the refusal and the earliest time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from idbroker.errors import OperatorError
from idbroker.keyset import CHAINS, ENCRYPTION, FIXED, NEEDED, Chain, Change, Key, KeySet, Record, Rules, State, Use

COMPROMISED = "compromised"
REASONS = (COMPROMISED, "lost", "test")
_IMPORT = "idbroker keys import --use {} --certificate FILE --key FILE"
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One key going from one state to another; `kid` is None for a key that is still to be made.

    `moment` belongs to the new state: active since when public; retiring or staged until or from
    when. `early` marks a key that signs before everybody can know it: only a revocation does that.
    """

    kid: str | None
    use: Use
    alg: str
    was: State | None
    becomes: State
    moment: datetime | None = None
    early: bool = False

    @property
    def chain(self) -> Chain:
        """Return the chain this step is in."""
        return Chain(self.use, self.alg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A staged key that may not sign yet."""

    key: Key
    needs: timedelta
    earliest: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would be done to one version of the key set. No steps: there is nothing to do."""

    id: str
    action: str
    now: datetime
    version: str
    steps: tuple[Step, ...]
    waiting: tuple[Waiting, ...] = ()
    reason: str = ""
    revokes: tuple[str, ...] = ()


class TooEarly(OperatorError):
    """A staged key is not known to everybody yet. `waiting` says which, and from when."""

    def __init__(self, waiting: Sequence[Waiting], now: datetime, active: str) -> None:
        first = min(waiting, key=lambda one: one.earliest)
        super().__init__(f"{first.key.kid} may sign from {first.earliest.isoformat()}", code="too_early", exit_code=3)
        self.waiting = first
        self.now = now
        self.active = active


def plan_first(keys: KeySet, rules: Rules, now: datetime, chains: Iterable[Chain] = NEEDED) -> Plan:
    """Plan the keys a start needs and does not find.

    The first of a chain is active at once: nobody can have cached a key set that lacks it.
    """
    missing = [chain for chain in chains if not any(key.chain == chain and key.alive for key in keys.keys)]
    return _plan("first", keys, now, [step for chain in missing for step in _first(chain, rules, now)])


def plan_rotation(keys: KeySet, rules: Rules, now: datetime, use: Use, older_than: timedelta | None = None) -> Plan:
    """Plan the next link of every chain of a use, or of those whose active key is older than `older_than`.

    A chain that must wait does not hold up the other; TooEarly (exit 3) when all must.
    """
    _check_rotates(use)
    steps: list[Step] = []
    waiting: list[Waiting] = []
    for chain in (chain for chain in CHAINS if chain.use is use):
        if older_than is not None and not _old(keys, chain, now, older_than):
            continue
        _check_successor(keys, chain, now)
        waits = _waits(keys, rules, now, chain)
        if waits is None:
            steps.extend(_rotate_chain(keys, rules, now, chain))
        else:
            waiting.append(waits)
    if waiting and not steps:
        held = keys.active(min(waiting, key=lambda one: one.earliest).key.chain)
        raise TooEarly(waiting, now, held.kid if held else "")
    return _plan("rotate", keys, now, steps, waiting=waiting)


def plan_back(keys: KeySet, rules: Rules, now: datetime, use: Use) -> Plan:
    """Plan to undo a use's last rotation: what signed before signs again.

    Everybody still knows that key, and the one that signed meanwhile stays public as a staged one,
    so no verifier breaks either way. Refused (exit 3) once `rules.undo` has passed.
    """
    _check_rotates(use)
    steps = [step for chain in CHAINS if chain.use is use for step in _back_chain(keys, rules, now, chain)]
    if not steps:
        hours = int(rules.undo.total_seconds() // 3600)
        raise OperatorError(
            f"there is no {use} rotation of the last {hours} h to undo",
            hint="see: idbroker keys history",
            code="nothing_to_undo",
            exit_code=3,
        )
    return _plan("back", keys, now, steps)


def plan_revocation(keys: KeySet, rules: Rules, now: datetime, key: Key, reason: str) -> Plan:
    """Plan to take a key out of use at once, its successor in, however short that one has been public.

    A lost key signs no more but was never anybody else's: it stays public until its tokens end. One
    that opens is of no use to anybody when it is lost. A data key stays until everything it sealed is
    sealed anew. A compromised one goes with every copy of it, whatever the copy's use or certificate.
    """
    if key.use in FIXED:
        _check_rotates(key.use)
    if key.state is State.RETIRED:
        return _plan("revoke", keys, now, [], reason=reason, revokes=(key.kid,))
    if key.use is Use.DATA and key.state is State.RETIRING:
        raise OperatorError(
            f"data key {key.number} still opens what it sealed",
            hint="seal everything anew first: idbroker keys rewrap",
            code="still_needed",
            exit_code=3,
        )
    # A renewed certificate over the stolen key, staged, would be the successor: the thief would sign on.
    copies = [one for one in copies_of(keys, key.public or {}) if one.alive and one.kid != key.kid]
    going = [key, *copies] if reason == COMPROMISED else [key]
    steps = [step for one in going for step in _leaves(keys, rules, now, one, going, reason)]
    return _plan("revoke", keys, now, steps, reason=reason, revokes=tuple(one.kid for one in going))


def copies_of(keys: KeySet, public: Mapping[str, str]) -> tuple[Key, ...]:
    """Return the keys, gone ones too, with this public JWK's modulus: one secret, whatever is built around it."""
    modulus = public.get("n")
    return tuple(key for key in keys.keys if modulus is not None and (key.public or {}).get("n") == modulus)


def plan_import(keys: KeySet, rules: Rules, now: datetime, chain: Chain) -> Plan:
    """Plan to take in a key that was made elsewhere: staged like any other, or active when it is the first.

    It takes the place of what was staged before it. A key to encrypt to that was staged is in somebody's
    metadata already and opens until that is forgotten.
    """
    steps: list[Step] = []
    for key in keys.of(chain, State.STAGED):
        stays = chain.use in ENCRYPTION
        end = State.RETIRING if stays else State.RETIRED
        steps.append(_step(key, end, rules.may_go(key, now) if stays else None))
    becomes = State.ACTIVE if keys.active(chain) is None else State.STAGED
    return _plan("import", keys, now, [*steps, _new(chain, becomes, rules, now)])


def plan_retirement(keys: KeySet, rules: Rules, now: datetime, use: Use | None = None) -> Plan:
    """Plan to let go of the retiring keys that nobody needs any more, of one use or of all, and of nothing else."""
    steps: list[Step] = []
    for key in keys.keys:
        ends = rules.may_go(key, key.since) if key.state is State.RETIRING else None
        if ends is not None and ends <= now and use in {None, key.use}:
            steps.append(_step(key, State.RETIRED, ends))
    return _plan("retire", keys, now, steps)


def plan_rewrapped(keys: KeySet, rules: Rules, now: datetime) -> Plan:
    """Plan to retire the data keys that seal nothing any more, once a rewrap has come to its end.

    Sessions and transactions are not sealed anew: a key stays until the last of them has ended.
    """
    retiring = [key for key in keys.keys if key.use is Use.DATA and key.state is State.RETIRING]
    old = [key for key in retiring if key.since + rules.transient_life <= now]
    return _plan("rewrap", keys, now, [_step(key, State.RETIRED, None) for key in old])


def repeats(keys: KeySet, rules: Rules, now: datetime, use: Use, action: str, plan_id: str | None) -> bool:
    """Tell whether the newest change was this very command: to repeat it is not to rotate twice."""
    last = keys.last
    if last is None or now - last.at >= rules.repeat or last.action != action:
        return False
    same_plan = plan_id is None or plan_id.upper() == last.plan
    return same_plan and any(step.use is use for step in last.steps)


def apply_plan(keys: KeySet, plan: Plan, made: Sequence[Key], at: datetime) -> tuple[Key, ...]:
    """Return the keys after the plan; `made` are the new ones, in the order of their steps.

    `at` is when it is done, not when it was planned: a key signs until that moment.
    """
    moves = {step.kid: step for step in plan.steps if step.kid is not None}
    moved = tuple(key.become(moves[key.kid].becomes, at) if key.kid in moves else key for key in keys.keys)
    return (*(replace(key, revoked=plan.reason) if key.kid in plan.revokes else key for key in moved), *made)


def record_of(plan: Plan, made: Sequence[Key], who: str, at: datetime) -> Record:
    """Return the history's entry for a plan that was carried out."""
    new = iter(made)
    steps = tuple(
        Change(kid=step.kid or next(new).kid, use=step.use, alg=step.alg, was=step.was, becomes=step.becomes)
        for step in plan.steps
    )
    return Record(at=at, who=who, action=plan.action, plan=plan.id, reason=plan.reason, steps=steps)


def find_key(keys: KeySet, prefix: str) -> Key:
    """Return the one key whose name begins so. OperatorError (exit 2) for none or several."""
    found = [key for key in keys.keys if key.kid == prefix] or [k for k in keys.keys if k.kid.startswith(prefix)]
    if len(found) == 1 and prefix:
        return found[0]
    problem = "several keys begin" if found else "no key begins"
    raise OperatorError(f"{problem} with {prefix!r}", hint="see: idbroker keys list", code="no_such_key", exit_code=2)


def _check_rotates(use: Use) -> None:
    if use in FIXED:
        what = "every blind index" if use is Use.INDEX else "every portal's sub"
        raise OperatorError(
            f"the {use} key is never exchanged: {what} is computed with it and would be lost",
            hint="if it may be known to others, see docs/operating.md before doing anything",
            code="fixed_key",
            exit_code=3,
        )


def _old(keys: KeySet, chain: Chain, now: datetime, older_than: timedelta) -> bool:
    """Tell whether a chain is due. One that no provider has needed so far is not: nobody asked for it."""
    active = keys.active(chain)
    if active is None:
        return chain in NEEDED or any(key.chain == chain for key in keys.keys)
    return now - active.since >= older_than


def _check_successor(keys: KeySet, chain: Chain, now: datetime) -> None:
    staged = keys.of(chain, State.STAGED)
    if not staged and _certified(keys, chain):
        raise OperatorError(
            f"the {chain.use} key has a certificate of an authority, and we cannot make its successor",
            hint=f"have one made, then: {_IMPORT.format(chain.use)}",
            code="needs_import",
            exit_code=3,
        )
    if staged and staged[0].ends_at is not None and staged[0].ends_at <= now:
        raise OperatorError(
            f"the certificate of {staged[0].kid} ended {staged[0].ends_at:%Y-%m-%d}: nobody would take it",
            hint=f"stage another: idbroker keys revoke {staged[0].kid[:8]} --reason test",
            code="certificate_ended",
            exit_code=3,
        )


def _certified(keys: KeySet, chain: Chain) -> bool:
    """Tell whether an authority certifies this chain's keys: partners take none that we make."""
    active = keys.active(chain)
    return active is not None and active.imported


def _waits(keys: KeySet, rules: Rules, now: datetime, chain: Chain) -> Waiting | None:
    staged = keys.of(chain, State.STAGED)
    if not staged or keys.active(chain) is None or now >= rules.may_sign(staged[0]):
        return None
    earliest = rules.may_sign(staged[0])
    return Waiting(key=staged[0], needs=earliest - staged[0].published_at, earliest=earliest)


def _rotate_chain(keys: KeySet, rules: Rules, now: datetime, chain: Chain) -> Iterator[Step]:
    staged = keys.of(chain, State.STAGED)
    active = keys.active(chain)
    if not staged:
        yield from _first(chain, rules, now) if active is None else [_new(chain, State.STAGED, rules, now)]
        return
    yield _step(staged[0], State.ACTIVE, staged[0].published_at)
    if active is not None:
        yield _step(active, State.RETIRING, rules.may_go(active, now))
    for key in keys.of(chain, State.RETIRING):
        ends = rules.may_go(key, key.since)
        if ends is not None and ends <= now:
            yield _step(key, State.RETIRED, ends)
    yield from _next(keys, rules, now, chain)


def _back_chain(keys: KeySet, rules: Rules, now: datetime, chain: Chain) -> Iterator[Step]:
    active = keys.active(chain)
    if active is None or active.active_at is None or now - active.active_at > rules.undo:
        return
    before = [key for key in keys.of(chain, State.RETIRING) if key.retiring_at == active.active_at]
    if not before or before[0].revoked:
        return
    yield _step(before[0], State.ACTIVE, before[0].published_at)
    yield _step(active, State.STAGED, rules.may_sign(active))
    for key in keys.of(chain, State.STAGED):
        # It came with that rotation and has signed nothing; but somebody may have begun to encrypt to it.
        if key.created_at == active.active_at and chain.use not in ENCRYPTION:
            yield _step(key, State.RETIRED, None)


def _leaves(keys: KeySet, rules: Rules, now: datetime, key: Key, going: Sequence[Key], reason: str) -> Iterator[Step]:
    """Return the steps that take one of those that go out of its chain, whose place none of the others takes."""
    left = replace(keys, keys=tuple(one for one in keys.keys if one not in going))
    verifies = reason == "lost" and key.use not in ENCRYPTION
    stays = key.state is State.ACTIVE and (verifies or key.use is Use.DATA)
    step = _step(key, State.RETIRING if stays else State.RETIRED, rules.may_go(key, now) if stays else None)
    if key.state is State.ACTIVE:
        yield from (*_successor(left, rules, now, key), step, *_next(left, rules, now, key.chain))
        return
    yield step
    alone = key.state is State.STAGED and not left.of(key.chain, State.STAGED)
    if alone and not _certified(keys, key.chain) and keys.active(key.chain) not in going:
        yield _new(key.chain, State.STAGED, rules, now)


def _successor(keys: KeySet, rules: Rules, now: datetime, key: Key) -> list[Step]:
    staged = keys.of(key.chain, State.STAGED)
    if not staged:
        return [replace(_new(key.chain, State.ACTIVE, rules, now), early=True)]
    step = _step(staged[0], State.ACTIVE, staged[0].published_at)
    return [replace(step, early=now < rules.may_sign(staged[0]))]


def _next(keys: KeySet, rules: Rules, now: datetime, chain: Chain) -> list[Step]:
    """Return the step that stages another key once the one staged longest has become active."""
    staged = keys.of(chain, State.STAGED)
    if len(staged) > 1 or (staged and staged[0].imported):
        return []
    return [_new(chain, State.STAGED, rules, now)]


def _first(chain: Chain, rules: Rules, now: datetime) -> list[Step]:
    steps = [_new(chain, State.ACTIVE, rules, now)]
    return steps if chain.use in FIXED else [*steps, _new(chain, State.STAGED, rules, now)]


def _new(chain: Chain, state: State, rules: Rules, now: datetime) -> Step:
    future = Key(kid="", use=chain.use, alg=chain.alg, state=state, created_at=now, published_at=now)
    moment = rules.may_sign(future) if state is State.STAGED else None
    return Step(kid=None, use=chain.use, alg=chain.alg, was=None, becomes=state, moment=moment)


def _step(key: Key, becomes: State, moment: datetime | None) -> Step:
    return Step(kid=key.kid, use=key.use, alg=key.alg, was=key.state, becomes=becomes, moment=moment)


def _plan(
    action: str,
    keys: KeySet,
    now: datetime,
    steps: Sequence[Step],
    *,
    waiting: Sequence[Waiting] = (),
    reason: str = "",
    revokes: tuple[str, ...] = (),
) -> Plan:
    """Name the plan after what it starts from and does, never after the time it was looked at."""
    lines = [keys.version, action, *(f"{s.kid} {s.use} {s.alg} {s.was} {s.becomes}" for s in steps)]
    bits = int.from_bytes(hashlib.sha256("\n".join(lines).encode()).digest()[:3], "big")
    return Plan(
        id="".join(_CROCKFORD[bits >> shift & 31] for shift in (15, 10, 5, 0)),
        action=action,
        now=now,
        version=keys.version,
        steps=tuple(steps),
        waiting=tuple(waiting),
        reason=reason,
        revokes=revokes,
    )
