"""The durable tables. Every look-up is by an index, so that a million persons cost what a thousand cost."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

# The newest migration in migrations/versions; a test holds the two together.
REVISION = "0007"


class Moment(TypeDecorator[datetime]):
    """An aware moment, in UTC. SQLite keeps no time zone, so there it is left out and put back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return what the driver keeps. ValueError for a moment without a time zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        return value.astimezone(UTC).replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return what was kept, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# Names by rule, so that a later migration can drop what it must (SQLite names nothing by itself).
metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_name)s",
        "uq": "%(table_name)s_%(column_0_name)s_key",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)

# SQLite counts by itself only in a column that is exactly INTEGER.
Counted = BigInteger().with_variant(Integer(), "sqlite")

person = Table(
    "person",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("created_at", Moment, nullable=False),
)

person_key = Table(
    "person_key",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("person_id", ForeignKey("person.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("kind", String(20), nullable=False),
    Column("sealed", LargeBinary),
    Column("since", Moment, nullable=False),
)

client = Table(
    "client",
    metadata,
    Column("id", Text, primary_key=True),
    Column("document", Text, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

event = Table(
    "event",
    metadata,
    Column("id", Counted, Identity(), primary_key=True),
    Column("at", Moment, nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("transaction_id", Text),
    Column("client", Text),
    Column("clinic", Text),
    Column("provider", Text),
    # No foreign key: the trail outlives what it tells of.
    Column("person", Text),
    Column("ref", Text),
    Column("detail", JSON, nullable=False),
    # My page: a person's own, the newest first.
    Index("event_person", "person", "id"),
)

refresh_token = Table(
    "refresh_token",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("family", Text, nullable=False, index=True),
    Column("client_id", Text, nullable=False),
    Column("session", Text, index=True),
    # None of those from before revision 0004.
    Column("person", Text, index=True),
    Column("grant", LargeBinary, nullable=False),
    Column("issued_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    Column("used_at", Moment),
)

evidence = Table(
    "evidence",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("at", Moment, nullable=False, index=True),
    Column("until", Moment, nullable=False, index=True),
    # No foreign key: what proves a sign-in ends by its own time alone.
    Column("person", Text, nullable=False, index=True),
    Column("provider", Text, nullable=False),
    # The number that `sealed` begins with. Of its own: reading it from ten kilobytes a row would take a rewrap hours.
    Column("data_key", Integer, nullable=False, index=True),
    Column("sealed", LargeBinary, nullable=False),
)

logout_notice = Table(
    "logout_notice",
    metadata,
    Column("client_id", Text, primary_key=True),
    Column("sid", Text, primary_key=True),
    Column("person", Text, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("ends_at", Moment, nullable=False, index=True),
    # Each client's queue.
    Index("logout_notice_queue", "client_id", "due_at", "sid"),
)

account = Table(
    "account",
    metadata,
    Column("person", String(32), ForeignKey("person.id", ondelete="CASCADE"), primary_key=True),
    Column("revision", Integer, nullable=False),
    # The number that `sealed` begins with, here and below: as in `evidence`.
    Column("data_key", Integer, nullable=False, index=True),
    Column("sealed", LargeBinary, nullable=False),
)

enrolment = Table(
    "enrolment",
    metadata,
    Column("person", String(32), ForeignKey("person.id", ondelete="CASCADE"), primary_key=True),
    Column("clinic", Text, primary_key=True),
    Column("standing", String(20), nullable=False),
    Column("asked_at", Moment, nullable=False),
    # What the clinic knows the patient by.
    Column("handle", String(32), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("data_key", Integer, nullable=False, index=True),
    Column("sealed", LargeBinary, nullable=False),
    # Each clinic's queue of those who asked.
    Index("enrolment_queue", "clinic", "standing", "asked_at", "person"),
    Index("enrolment_handle", "clinic", "handle", unique=True),
)

# What a clinic finds a patient by, besides the number: digests of birth date and one word of the name.
finding = Table(
    "finding",
    metadata,
    Column("clinic", Text, primary_key=True),
    Column("digest", LargeBinary(32), primary_key=True),
    Column("person", String(32), primary_key=True),
    ForeignKeyConstraint(["person", "clinic"], ["enrolment.person", "enrolment.clinic"], ondelete="CASCADE"),
    # Of one patient, to be written anew.
    Index("finding_person", "person", "clinic"),
)

staff = Table(
    "staff",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("data_key", Integer, nullable=False, index=True),
    Column("sealed", LargeBinary, nullable=False),
)

# What a staff member is recognised by: digests of the user name, of an organisation's own name for them, of passkeys.
staff_key = Table(
    "staff_key",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("staff", ForeignKey("staff.id", ondelete="CASCADE"), nullable=False, index=True),
)

merge = Table(
    "merge",
    metadata,
    Column("id", String(32), primary_key=True),
    # No foreign keys: the record of a merge outlives both.
    Column("survivor", Text, nullable=False, index=True),
    Column("absorbed", Text, nullable=False, index=True),
    Column("at", Moment, nullable=False),
    Column("by", Text, nullable=False),
    Column("undone_at", Moment),
    # What it takes to undo it.
    Column("data_key", Integer, nullable=False, index=True),
    Column("sealed", LargeBinary, nullable=False),
)

webhook = Table(
    "webhook",
    metadata,
    Column("client_id", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("kinds", JSON, nullable=False),
    Column("since", Moment, nullable=False),
    # The secret that what is sent is signed with.
    Column("data_key", Integer, nullable=False, index=True),
    Column("sealed", LargeBinary, nullable=False),
)

webhook_notice = Table(
    "webhook_notice",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("client_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", Moment, nullable=False),
    # The patient's handle at the client's clinic, and nothing else that is personal.
    Column("patient", String(32), nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("ends_at", Moment, nullable=False, index=True),
    # Each client's queue.
    Index("webhook_notice_queue", "client_id", "due_at", "id"),
)

# One row for a person and purpose, so that a newer link is the end of the older one, however many are made at once.
link = Table(
    "link",
    metadata,
    Column("person", String(32), ForeignKey("person.id", ondelete="CASCADE"), primary_key=True),
    Column("purpose", String(20), primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("clinic", Text, nullable=False),
    Column("client", Text),
    Column("transaction_id", Text),
    Column("language", Text, nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("ends_at", Moment, nullable=False, index=True),
    Column("used_at", Moment),
)

consent = Table(
    "consent",
    metadata,
    Column("id", String(32), primary_key=True),
    # No foreign key: what somebody agreed to is a record, which outlives whom it is about.
    Column("person", Text, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("about", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("items", JSON, nullable=False),
    Column("language", Text, nullable=False),
    Column("given_at", Moment, nullable=False),
    Column("withdrawn_at", Moment),
    Index("consent_person", "person", "given_at", "id"),
    # And consent_held, unique: one that holds (withdrawn_at is null), of each kind about each thing. It is made in
    # revision 0004 and not named here: that would load both databases' dialects at every start.
)

message = Table(
    "message",
    metadata,
    Column("id", Text, primary_key=True),
    Column("channel", String(20), nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("tries", Integer, nullable=False),
    # When it was due at first: `due_at` moves with every courier that takes it.
    Column("since", Moment, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("ends_at", Moment, nullable=False, index=True),
    # None when what it said is forgotten: nothing is left to seal anew.
    Column("data_key", Integer, index=True),
    Column("sealed", LargeBinary, nullable=False),
    # What waits, a queue for each channel. What has ended lies in other parts; the end is in it so that rows past
    # theirs are passed over without being read.
    Index("message_queue", "state", "channel", "due_at", "id", "ends_at"),
)

guardianship = Table(
    "guardianship",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("clinic", Text, nullable=False),
    Column("guardian", Text, nullable=False),
    Column("ward", Text, nullable=False),
    Column("relation", Text, nullable=False),
    Column("basis", Text, nullable=False),
    Column("powers", JSON, nullable=False),
    Column("until", Date),
    Column("recorded_at", Moment, nullable=False),
    Column("by", Text, nullable=False),
    Column("ended_at", Moment),
    Column("ended_why", Text, nullable=False),
    Column("limit_on", Date),
    Column("told", Integer),
    # When registers are asked about it again; None once it has ended.
    Column("check_at", Moment),
    Index("guardianship_guardian", "guardian"),
    Index("guardianship_ward", "ward", "clinic"),
    Index("guardianship_limit", "limit_on"),
    Index("guardianship_check", "clinic", "check_at"),
)
# guardianship_holds: one that holds for each clinic, ward and guardian; of two who note it at once, one does. It is
# made by the migration alone, as consent_held is: a partial index would load PostgreSQL's dialect at every start.

delegation = Table(
    "delegation",
    metadata,
    Column("grant", Text, primary_key=True),
    Column("session", Text, nullable=False),
    Column("client", Text, nullable=False),
    Column("clinic", Text, nullable=False),
    Column("sid", Text, nullable=False),
    Column("guardian", Text, nullable=False, index=True),
    Column("ward", Text, nullable=False, index=True),
    Column("register", Text, nullable=False),
    Column("check_at", Moment, nullable=False, index=True),
    Column("until", Moment, nullable=False, index=True),
)
