"""The durable store as one value: everything that outlives a restart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from idbroker import backchannel
from idbroker.accounts.records import AccountRows, Consents, EnrolmentRows, Links
from idbroker.client import Clients
from idbroker.clock import Clock
from idbroker.events import Event, Events
from idbroker.evidence import SealedEvidence
from idbroker.grant import RefreshTokens
from idbroker.guardianship.delegation import Delegations
from idbroker.guardianship.records import Guardianships
from idbroker.messages.message import Outbox
from idbroker.person import PersonKey
from idbroker.staff.records import StaffRows
from idbroker.store.accounts import StoredAccounts
from idbroker.store.clients import StoredClients
from idbroker.store.consents import StoredConsents
from idbroker.store.database import Database, ping
from idbroker.store.delegations import StoredDelegations
from idbroker.store.enrolments import StoredEnrolments
from idbroker.store.events import StoredEvents, insert_event
from idbroker.store.evidence import StoredEvidence
from idbroker.store.guardianships import StoredGuardianships
from idbroker.store.links import StoredLinks
from idbroker.store.logout_notices import StoredLogoutNotices
from idbroker.store.many_patients import StoredManyPatients
from idbroker.store.merges import StoredMerges
from idbroker.store.messages import StoredMessages
from idbroker.store.migrate import migrate, upgrade_needed
from idbroker.store.persons import StoredPersons
from idbroker.store.refresh_tokens import StoredRefreshTokens
from idbroker.store.sealed import StoredSealed
from idbroker.store.staff import StoredStaff
from idbroker.store.webhooks import StoredWebhookNotices, StoredWebhooks


@dataclass(frozen=True, slots=True, kw_only=True)
class Durable:
    """The interfaces of one database, and its life."""

    persons: StoredPersons
    clients: Clients
    events: Events
    refresh_tokens: RefreshTokens
    evidence: StoredEvidence
    logout_notices: backchannel.Outbox
    account_rows: AccountRows
    enrolment_rows: EnrolmentRows
    links: Links
    consents: Consents
    guardianships: Guardianships
    delegations: Delegations
    staff_rows: StaffRows
    many_patients: StoredManyPatients
    merges: StoredMerges
    webhooks: StoredWebhooks
    webhook_notices: StoredWebhookNotices
    messages: Outbox
    sealed: StoredSealed
    database: Database = field(repr=False)

    def signed_in(
        self,
        keys: Sequence[PersonKey],
        make_event: Callable[[str], Event],
        now: datetime,
        make_evidence: Callable[[str], SealedEvidence] | None = None,
    ) -> str:
        """Meet a person and keep the event and the evidence made of the person's id: one commit for all."""
        if make_evidence is None:
            return self.persons.signed_in(keys, make_event, now)

        def keep(connection: Connection, person: str) -> None:
            self.evidence.add(connection, make_evidence(person), now)

        return self.persons.signed_in(keys, make_event, now, keep)

    def witnessed(self, event: Event, evidence: SealedEvidence | None, now: datetime) -> None:
        """Keep an event of somebody known, and the evidence for it: one commit for both."""
        with self.database.connected() as connection:
            insert_event(connection, event)
            if evidence is not None:
                self.evidence.add(connection, evidence, now)

    def ping(self) -> None:
        """Return if the database answers. StoreError otherwise."""
        ping(self.database)

    def upgrade_needed(self) -> bool:
        """Tell whether the tables are not those of this version."""
        return upgrade_needed(self.database)

    def migrate(self) -> None:
        """Bring the tables to this version; any number of workers may do so at once."""
        migrate(self.database)

    def close(self) -> None:
        """Close the idle connections."""
        self.database.close()


def durable(database: Database, clock: Clock, monotonic: Callable[[], float]) -> Durable:
    """Return the durable store in a database."""
    persons = StoredPersons(database)
    return Durable(
        persons=persons,
        clients=StoredClients(database, clock, monotonic),
        events=StoredEvents(database),
        refresh_tokens=StoredRefreshTokens(database),
        evidence=StoredEvidence(database),
        logout_notices=StoredLogoutNotices(database),
        account_rows=StoredAccounts(database, persons),
        enrolment_rows=StoredEnrolments(database),
        links=StoredLinks(database),
        consents=StoredConsents(database),
        guardianships=StoredGuardianships(database),
        delegations=StoredDelegations(database),
        staff_rows=StoredStaff(database),
        many_patients=StoredManyPatients(database),
        merges=StoredMerges(database),
        webhooks=StoredWebhooks(database),
        webhook_notices=StoredWebhookNotices(database),
        messages=StoredMessages(database),
        sealed=StoredSealed(database),
        database=database,
    )
