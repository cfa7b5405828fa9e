"""Mutants of a good answer of suomi.fi's, through the provider itself: nobody becomes somebody else."""

from __future__ import annotations

import base64
import random
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idbroker.errors import ProviderError
from idbroker.identity import Identity
from idbroker.providers.suomifi import Settings, make
from tests.providers.saml_party import World, make_world, read
from tests.saml.test_mutants import mutant

world = pytest.fixture(make_world)


class Answered:
    """One sign-in with its answer, and a provider that finds every assertion new."""

    def __init__(self, world: World) -> None:
        self.provider = make("suomifi", Settings(**world.table()), replace(world.means(), once=always))
        self.asked = world.asked()
        begun = self.provider.begin(self.asked)
        self.state = begun.state
        self.reply = world.idp.answer(read(begun))
        self.octets = base64.b64decode(self.reply["SAMLResponse"])
        self.identity = self.resume(self.octets)

    def resume(self, octets: bytes) -> Identity:
        """Read a response."""
        reply = {**self.reply, "SAMLResponse": base64.b64encode(octets).decode()}
        return self.provider.resume(self.asked, self.state, reply)


def always(_name: str, _until: datetime) -> bool:
    """Find everything new: what is looked for here is not a replay."""
    return True


@pytest.fixture
def answered(world: World) -> Answered:
    """Give a sign-in that went well."""
    return Answered(world)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), times=st.integers(1, 3))
def test_no_mutant_is_somebody_else(answered: Answered, seed: int, times: int) -> None:
    """No change of the bytes of a posted response yields another identity; whoever comes of it is the very same."""
    chance = random.Random(seed)  # noqa: S311 - the same mutants in every run
    octets = answered.octets
    for _ in range(times):
        octets = mutant(chance, octets)

    try:
        found = answered.resume(octets)
    except ProviderError:
        return
    assert found == answered.identity


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=200), relay_state=st.text(max_size=90))
def test_whatever_is_posted(answered: Answered, text: str, relay_state: str) -> None:
    """Whatever is posted to our address, it ends in an error of the family that the house knows."""
    for handle in (relay_state, answered.asked.handle):
        with pytest.raises(ProviderError):
            answered.provider.resume(answered.asked, answered.state, {"SAMLResponse": text, "RelayState": handle})
