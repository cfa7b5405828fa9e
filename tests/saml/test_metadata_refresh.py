"""What is believed after a refresh of metadata, good or bad."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from idbroker.errors import BrokerError, Unreachable, Untrusted
from idbroker.saml.metadata import IdentityProvider, Keep, Lapsed, Take, newer, read
from tests.saml.metadata_documents import ENTITY_ID, NOW, SOON, certificate, described, entity, role

OVER = NOW + timedelta(days=7)  # SOON


def provider(*names: str) -> IdentityProvider:
    """Return an identity provider with the signing certificates of these names, valid until SOON."""
    keys = "".join(described(certificate(name)) for name in names or ("idp",))
    text = entity(role(keys=keys), attributes=f'validUntil="{SOON}"')
    return read(text.encode(), signer_certificates=[], file_trusted=True, now=NOW, entity_id=ENTITY_ID)


def test_first() -> None:
    """The first copy is taken, and is news."""
    assert newer(None, provider(), NOW) == Take(provider=provider(), changed=True)


def test_the_same_for_longer() -> None:
    """A copy that only lives longer is taken, and is no news."""
    longer = replace(provider(), valid_until=OVER + timedelta(days=7), refresh_after=timedelta(hours=1))

    assert newer(provider(), longer, NOW) == Take(provider=longer, changed=False)


@pytest.mark.parametrize("names", [("idp", "next"), ("next", "idp"), ("next",)])
def test_rollover(names: tuple[str, ...]) -> None:
    """A certificate that comes, goes or moves up is news."""
    assert newer(provider("idp"), provider(*names), NOW) == Take(provider=provider(*names), changed=True)


def test_withdrawn_key() -> None:
    """A certificate that is no longer listed is gone with the old copy: nothing of it is mixed in."""
    decision = newer(provider("idp", "stolen"), provider("idp"), NOW)

    assert isinstance(decision, Take)
    assert decision.provider.signing == (certificate("idp"),)


@pytest.mark.parametrize("failure", [Untrusted("metadata: expired"), Unreachable("timed out"), Untrusted()])
def test_failed(failure: BrokerError) -> None:
    """A refresh that fails keeps the old copy, and says why."""
    assert newer(provider(), failure, OVER - timedelta(seconds=1)) == Keep(
        provider=provider(), reason=failure.detail or failure.code
    )


def test_failed_for_too_long() -> None:
    """The old copy is kept until its validUntil and not a second longer: a withdrawn key must not live for ever."""
    assert newer(provider(), Unreachable("timed out"), OVER) == Lapsed(reason="timed out")


def test_failed_at_the_start() -> None:
    """Without an old copy a failure leaves nothing to believe."""
    assert newer(None, Untrusted("metadata: expired"), NOW) == Lapsed(reason="metadata: expired")


def test_fetched_too_late() -> None:
    """A copy that has expired since it was read is not taken."""
    old = replace(provider("old"), valid_until=OVER + timedelta(days=1))

    assert newer(old, provider(), OVER) == Keep(provider=old, reason="metadata: expired")


def test_another_party() -> None:
    """A copy about somebody else never takes the place of the old one."""
    other = replace(provider("evil"), entity_id=f"{ENTITY_ID}/")

    assert newer(provider(), other, NOW) == Keep(provider=provider(), reason="metadata: of another identity provider")


def test_back_in_time() -> None:
    """After the old copy has lapsed the next good one is taken."""
    good = replace(provider(), valid_until=OVER + timedelta(days=7))

    assert newer(provider(), good, OVER + timedelta(days=1)) == Take(provider=good, changed=False)
