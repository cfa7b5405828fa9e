"""The rules of a key's life."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idbroker.errors import OperatorError
from idbroker.keyset import CHAINS, Chain, Key, KeySet, Rules, State, Use
from idbroker.rotation import (
    Plan,
    TooEarly,
    apply_plan,
    find_key,
    plan_back,
    plan_first,
    plan_import,
    plan_retirement,
    plan_revocation,
    plan_rewrapped,
    plan_rotation,
    record_of,
    repeats,
)
from tests.conftest import NOW

RULES = Rules()
ES256 = Chain(Use.OIDC_SIGN, "ES256")
DATA = Chain(Use.DATA, "A256GCM")
HOUR = timedelta(hours=1)


def _applied(keys: KeySet, plan: Plan, at: datetime) -> KeySet:
    new = [
        Key(
            kid=f"{len(keys.keys) + number:04d}",
            use=step.use,
            alg=step.alg,
            state=step.becomes,
            created_at=at,
            published_at=at,
            active_at=at if step.becomes is State.ACTIVE else None,
        )
        for number, step in enumerate(step for step in plan.steps if step.kid is None)
    ]
    version = str(int(keys.version or "0") + 1)
    return KeySet(keys=apply_plan(keys, plan, new, at), version=version, last=record_of(plan, new, "test", at))


def _first() -> KeySet:
    return _applied(KeySet(), plan_first(KeySet(), RULES, NOW), NOW)


def _rotated(keys: KeySet, at: datetime, use: Use = Use.OIDC_SIGN) -> KeySet:
    return _applied(keys, plan_rotation(keys, RULES, at, use), at)


def _kid(keys: KeySet, chain: Chain, state: State) -> str:
    return keys.of(chain, state)[0].kid


def test_first_start() -> None:
    """The first keys sign at once, for nobody has cached anything, and successors are staged beside them."""
    keys = _first()

    for chain in (ES256, Chain(Use.OIDC_SIGN, "RS256"), DATA):
        assert [key.state for key in keys.of(chain, *State)] == [State.ACTIVE, State.STAGED]
    assert [key.use for key in keys.keys if key.state is State.ACTIVE][-2:] == [Use.INDEX, Use.SUBJECT]
    assert plan_first(keys, RULES, NOW).steps == ()


def test_too_early() -> None:
    """A key may sign only once it has been public longer than key sets are cached, and the skew."""
    keys = _first()
    earliest = NOW + RULES.jwks_cache + RULES.skew

    with pytest.raises(TooEarly) as refused:
        plan_rotation(keys, RULES, earliest - timedelta(seconds=1), Use.OIDC_SIGN)

    assert refused.value.exit_code == 3
    assert refused.value.waiting.earliest == earliest
    assert plan_rotation(keys, RULES, earliest, Use.OIDC_SIGN).steps


def test_rotation() -> None:
    """A rotation moves each chain one link on: staged signs, active retires, a new one is staged."""
    keys = _first()
    before, staged = _kid(keys, ES256, State.ACTIVE), _kid(keys, ES256, State.STAGED)

    keys = _rotated(keys, NOW + 25 * HOUR)

    assert _kid(keys, ES256, State.ACTIVE) == staged
    assert _kid(keys, ES256, State.RETIRING) == before
    assert keys.of(ES256, State.STAGED)[0].published_at == NOW + 25 * HOUR


def test_goes_after_last_token() -> None:
    """A key is removed only after the last token it signed has ended: it signed until it retired."""
    rules = replace(RULES, token_life=timedelta(hours=72))
    at = NOW + 25 * HOUR
    keys = _rotated(_first(), at)
    old = _kid(keys, ES256, State.RETIRING)

    early = plan_rotation(keys, rules, at + 25 * HOUR, Use.OIDC_SIGN)
    due = plan_rotation(keys, rules, at + rules.token_life + rules.skew, Use.OIDC_SIGN)

    assert not [step for step in early.steps if step.kid == old]
    assert [step.becomes for step in due.steps if step.kid == old] == [State.RETIRED]


def test_waiting_chain() -> None:
    """A chain whose successor must wait does not hold up the other."""
    keys = _first()
    signs = keys.active(ES256)
    assert signs is not None
    at = NOW + 25 * HOUR
    keys = _applied(keys, plan_revocation(keys, RULES, at, signs, "test"), at)

    plan = plan_rotation(keys, RULES, at + HOUR, Use.OIDC_SIGN)

    assert {step.alg for step in plan.steps} == {"RS256"}
    assert [one.key.alg for one in plan.waiting] == ["ES256"]


def test_if_older_than() -> None:
    """With an age given, only chains whose active key is that old are rotated."""
    keys = _first()

    assert not plan_rotation(keys, RULES, NOW + 30 * HOUR, Use.OIDC_SIGN, timedelta(days=60)).steps
    assert plan_rotation(keys, RULES, NOW + 61 * 24 * HOUR, Use.OIDC_SIGN, timedelta(days=60)).steps


def test_plan_name() -> None:
    """A plan's name stays while nothing changes, however often it is looked at, and differs when anything does."""
    keys = _first()
    name = plan_rotation(keys, RULES, NOW + 25 * HOUR, Use.OIDC_SIGN).id

    assert plan_rotation(keys, RULES, NOW + 26 * HOUR, Use.OIDC_SIGN).id == name
    assert plan_rotation(replace(keys, version="other"), RULES, NOW + 25 * HOUR, Use.OIDC_SIGN).id != name
    assert plan_rotation(keys, RULES, NOW + 25 * HOUR, Use.DATA).id != name


def test_back() -> None:
    """Within a day a rotation is undone: the old key signs again, the new one stays public, no stranger stays."""
    first = _first()
    at = NOW + 25 * HOUR
    rotated = _rotated(first, at)
    staged = _kid(rotated, ES256, State.STAGED)

    back = _applied(rotated, plan_back(rotated, RULES, at + 24 * HOUR, Use.OIDC_SIGN), at + 24 * HOUR)

    assert _kid(back, ES256, State.ACTIVE) == _kid(first, ES256, State.ACTIVE)
    assert _kid(back, ES256, State.STAGED) == _kid(rotated, ES256, State.ACTIVE)
    assert staged in [key.kid for key in back.of(ES256, State.RETIRED)]
    assert plan_rotation(back, RULES, at + 24 * HOUR, Use.OIDC_SIGN).steps


@pytest.mark.parametrize("late", [timedelta(hours=24, seconds=1), timedelta(days=3)])
def test_back_too_late(late: timedelta) -> None:
    """After a day there is nothing to undo, and the refusal is a safety rule's."""
    at = NOW + 25 * HOUR
    keys = _rotated(_first(), at)

    with pytest.raises(OperatorError) as refused:
        plan_back(keys, RULES, at + late, Use.OIDC_SIGN)

    assert refused.value.exit_code == 3


def test_back_never_to_revoked() -> None:
    """A key that was revoked never signs again, not by an undo either."""
    keys = _first()
    signs = keys.active(ES256)
    assert signs is not None
    keys = _applied(keys, plan_revocation(keys, RULES, NOW + HOUR, signs, "lost"), NOW + HOUR)

    with pytest.raises(OperatorError, match="undo"):
        plan_back(keys, RULES, NOW + 2 * HOUR, Use.OIDC_SIGN)


@pytest.mark.parametrize(("reason", "ends"), [("compromised", State.RETIRED), ("lost", State.RETIRING)])
def test_revoke_active(reason: str, ends: State) -> None:
    """A stolen key goes at once and its successor signs early; a lost one still verifies what it signed."""
    keys = _first()
    signs, staged = keys.active(ES256), _kid(keys, ES256, State.STAGED)
    assert signs is not None

    plan = plan_revocation(keys, RULES, NOW + HOUR, signs, reason)
    after = _applied(keys, plan, NOW + HOUR)

    assert [step.early for step in plan.steps if step.becomes is State.ACTIVE] == [True]
    assert _kid(after, ES256, State.ACTIVE) == staged
    assert find_key(after, signs.kid).state is ends
    assert find_key(after, signs.kid).revoked == reason
    assert len(after.of(ES256, State.STAGED)) == 1


def test_revoke_copies() -> None:
    """A compromised key goes with its copies under other names; what is lost, or another key, goes alone."""
    stolen, other = {"kty": "RSA", "n": "one", "e": "AQAB"}, {"kty": "RSA", "n": "two", "e": "AQAB"}
    first = _rotated(_rotated(_first(), NOW, Use.SAML_SIGN), NOW, Use.SAML_ENC)
    public = {Use.SAML_SIGN: stolen, Use.SAML_ENC: {**stolen, "e": "Aw"}, Use.OIDC_SIGN: other}
    keys = replace(first, keys=tuple(replace(key, public=public.get(key.use)) for key in first.keys))
    active = next(key for key in keys.keys if key.use is Use.SAML_SIGN and key.state is State.ACTIVE)

    stolen_plan, lost_plan = (plan_revocation(keys, RULES, NOW, active, reason) for reason in ("compromised", "lost"))

    assert {key.use for key in keys.keys if key.kid in stolen_plan.revokes} == {Use.SAML_SIGN, Use.SAML_ENC}
    assert lost_plan.revokes == (active.kid,)
    after = _applied(keys, stolen_plan, NOW)
    for use in (Use.SAML_SIGN, Use.SAML_ENC):
        states = {key.state: key.kid for key in after.keys if key.use is use and key.alive}
        assert set(states) == {State.ACTIVE, State.STAGED}
        assert not set(states.values()) & set(stolen_plan.revokes)


def test_revoke_staged() -> None:
    """A stolen key that has not signed yet goes, and another takes its place and waits from the start."""
    keys = _first()
    staged = keys.of(ES256, State.STAGED)[0]

    after = _applied(keys, plan_revocation(keys, RULES, NOW + HOUR, staged, "compromised"), NOW + HOUR)

    assert find_key(after, staged.kid).state is State.RETIRED
    assert after.of(ES256, State.STAGED)[0].published_at == NOW + HOUR


def test_revoke_data() -> None:
    """A data key that seals no more still opens what it sealed: it cannot be thrown away."""
    keys = _first()
    seals = keys.active(DATA)
    assert seals is not None

    after = _applied(keys, plan_revocation(keys, RULES, NOW + HOUR, seals, "compromised"), NOW + HOUR)

    assert find_key(after, seals.kid).state is State.RETIRING
    with pytest.raises(OperatorError, match="still opens") as refused:
        plan_revocation(after, RULES, NOW + HOUR, find_key(after, seals.kid), "test")
    assert refused.value.exit_code == 3


def test_rewrapped() -> None:
    """After a rewrap old data keys go, once the last session sealed with them has ended."""
    keys = _rotated(_first(), NOW + HOUR, Use.DATA)

    assert not plan_rewrapped(keys, RULES, NOW + HOUR + RULES.transient_life - timedelta(seconds=1)).steps
    assert len(plan_rewrapped(keys, RULES, NOW + HOUR + RULES.transient_life).steps) == 1


@pytest.mark.parametrize("use", [Use.INDEX, Use.SUBJECT])
def test_fixed(use: Use) -> None:
    """Keys that indexes and subjects are computed with are never exchanged, and the refusal says why."""
    keys = _first()
    key = next(key for key in keys.keys if key.use is use)

    for attempt in (plan_rotation, plan_back):
        with pytest.raises(OperatorError, match="would be lost") as refused:
            attempt(keys, RULES, NOW, use)
        assert refused.value.exit_code == 3
    with pytest.raises(OperatorError, match="would be lost"):
        plan_revocation(keys, RULES, NOW, key, "test")


def test_saml_begins_with_rotate() -> None:
    """The first SAML key is active at once; its successor waits as long as metadata is cached."""
    plan = plan_rotation(_first(), RULES, NOW, Use.SAML_SIGN)

    assert [step.becomes for step in plan.steps] == [State.ACTIVE, State.STAGED]
    assert plan.steps[1].moment == NOW + RULES.saml_cache + RULES.skew


def test_encryption_key_by_rotate() -> None:
    """A key that brokers encrypt to waits as long as key sets are cached, and a retiring one as long again."""
    keys = _rotated(_first(), NOW, Use.OIDC_ENC)
    with pytest.raises(TooEarly):
        plan_rotation(keys, RULES, NOW + 24 * HOUR, Use.OIDC_ENC)

    keys = _rotated(keys, NOW + 25 * HOUR, Use.OIDC_ENC)

    assert not plan_retirement(keys, RULES, NOW + 49 * HOUR, Use.OIDC_ENC).steps
    assert [step.becomes for step in plan_retirement(keys, RULES, NOW + 50 * HOUR).steps] == [State.RETIRED]


def test_weeks_of_metadata() -> None:
    """Where partners install metadata by hand, the operator's time for it counts."""
    rules = replace(RULES, saml_cache=timedelta(days=14))
    keys = _rotated(_first(), NOW, Use.SAML_SIGN)

    with pytest.raises(TooEarly) as refused:
        plan_rotation(keys, rules, NOW + timedelta(days=14), Use.SAML_SIGN)
    assert refused.value.waiting.earliest == NOW + timedelta(days=14) + rules.skew


def test_not_due_before_it_exists() -> None:
    """A timer that rotates what is old makes no keys for eIDs that nobody has set up."""
    assert not plan_rotation(_first(), RULES, NOW, Use.OIDC_ENC, timedelta(days=60)).steps


def test_staged_certificate_ended() -> None:
    """A staged key whose certificate has ended is not let sign: no partner would take it."""
    keys = _rotated(_first(), NOW, Use.SAML_SIGN)
    ended = tuple(replace(key, ends_at=NOW + HOUR) if key.use is Use.SAML_SIGN else key for key in keys.keys)

    with pytest.raises(OperatorError, match="ended 2026-11-22") as refused:
        plan_rotation(replace(keys, keys=ended), RULES, NOW + 80 * HOUR, Use.SAML_SIGN)
    assert refused.value.exit_code == 3


def test_repeats() -> None:
    """The same command within a minute is a repetition; another, or a later one, is not."""
    at = NOW + 25 * HOUR
    keys = _rotated(_first(), at)

    assert repeats(keys, RULES, at + timedelta(seconds=59), Use.OIDC_SIGN, "rotate", None)
    assert not repeats(keys, RULES, at + timedelta(seconds=60), Use.OIDC_SIGN, "rotate", None)
    assert not repeats(keys, RULES, at, Use.OIDC_SIGN, "back", None)
    assert not repeats(keys, RULES, at, Use.DATA, "rotate", None)
    assert not repeats(keys, RULES, at, Use.OIDC_SIGN, "rotate", "0000")


def test_find_key() -> None:
    """A key is found by its first characters if these are one key's only."""
    keys = _first()

    assert find_key(keys, "0003").kid == "0003"
    for prefix in ("000", "zz", ""):
        with pytest.raises(OperatorError) as refused:
            find_key(keys, prefix)
        assert refused.value.exit_code == 2


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["rotate", "back", "lost", "compromised", "import", "retire"]),
        st.sampled_from([Use.OIDC_SIGN, Use.DATA, Use.SAML_SIGN, Use.SAML_ENC, Use.OIDC_ENC]),
        st.integers(0, 200).map(lambda hours: hours * HOUR),
    ),
    max_size=12,
)


@given(MOVES)
def test_whatever_is_done(moves: list[tuple[str, Use, timedelta]]) -> None:
    """Whatever is done in whatever order: one active key a chain, and none signs early but by a revocation."""
    keys, now = _first(), NOW
    for move, use, later in moves:
        now += later
        try:
            plan = _plan_of(move, use, keys, now)
        except OperatorError:
            continue
        for step in plan.steps:
            if step.becomes is State.ACTIVE and step.kid is not None and not step.early:
                assert now >= RULES.may_sign(find_key(keys, step.kid))
            if step.becomes is State.RETIRED and plan.action in {"rotate", "retire"}:
                gone = find_key(keys, step.kid or "")
                assert (ends := RULES.may_go(gone, gone.since)) is not None
                assert now >= ends
        keys = _applied(keys, plan, now)

    for chain in CHAINS:
        alive = keys.of(chain, State.STAGED, State.ACTIVE, State.RETIRING)
        assert not alive or len(keys.of(chain, State.ACTIVE)) == 1
    assert len({key.kid for key in keys.keys}) == len(keys.keys)


def _plan_of(move: str, use: Use, keys: KeySet, now: datetime) -> Plan:
    if move == "rotate":
        return plan_rotation(keys, RULES, now, use)
    if move == "back":
        return plan_back(keys, RULES, now, use)
    if move == "import":
        return plan_import(keys, RULES, now, next(chain for chain in CHAINS if chain.use is use))
    if move == "retire":
        return plan_retirement(keys, RULES, now, use)
    key = next((key for key in keys.keys if key.use is use and key.state is State.ACTIVE), keys.keys[0])
    return plan_revocation(keys, RULES, now, key, move)
