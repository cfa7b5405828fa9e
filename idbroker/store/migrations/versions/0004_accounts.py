"""Accounts, enrolments, links, consents, messages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from idbroker.store.schema import Moment

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    _account()
    _enrolment()
    _link()
    _consent()
    _message()
    op.create_index("event_person", "event", ["person", "id"])
    op.add_column("refresh_token", sa.Column("person", sa.Text()))
    op.create_index("refresh_token_person", "refresh_token", ["person"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_index("refresh_token_person", "refresh_token")
    with op.batch_alter_table("refresh_token") as changed:
        changed.drop_column("person")
    op.drop_index("event_person", "event")
    for table in ("message", "consent", "link", "enrolment", "account"):
        op.drop_table(table)


def _account() -> None:
    op.create_table(
        "account",
        sa.Column("person", sa.String(32), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("data_key", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("person", name="account_pkey"),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name="account_person_fkey", ondelete="CASCADE"),
    )
    op.create_index("account_data_key", "account", ["data_key"])


def _enrolment() -> None:
    op.create_table(
        "enrolment",
        sa.Column("person", sa.String(32), nullable=False),
        sa.Column("clinic", sa.Text(), nullable=False),
        sa.Column("standing", sa.String(20), nullable=False),
        sa.Column("asked_at", Moment(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("data_key", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("person", "clinic", name="enrolment_pkey"),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name="enrolment_person_fkey", ondelete="CASCADE"),
    )
    op.create_index("enrolment_data_key", "enrolment", ["data_key"])
    op.create_index("enrolment_queue", "enrolment", ["clinic", "standing", "asked_at", "person"])


def _link() -> None:
    op.create_table(
        "link",
        sa.Column("person", sa.String(32), nullable=False),
        sa.Column("purpose", sa.String(20), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("clinic", sa.Text(), nullable=False),
        sa.Column("client", sa.Text()),
        sa.Column("transaction_id", sa.Text()),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("made_at", Moment(), nullable=False),
        sa.Column("ends_at", Moment(), nullable=False),
        sa.Column("used_at", Moment()),
        sa.PrimaryKeyConstraint("person", "purpose", name="link_pkey"),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name="link_person_fkey", ondelete="CASCADE"),
        sa.UniqueConstraint("digest", name="link_digest_key"),
    )
    op.create_index("link_ends_at", "link", ["ends_at"])


def _consent() -> None:
    op.create_table(
        "consent",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("items", sa.JSON(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("given_at", Moment(), nullable=False),
        sa.Column("withdrawn_at", Moment()),
        sa.PrimaryKeyConstraint("id", name="consent_pkey"),
    )
    op.create_index("consent_person", "consent", ["person", "given_at", "id"])
    holds = sa.text("withdrawn_at IS NULL")
    op.create_index(
        "consent_held", "consent", ["person", "kind", "about"], unique=True, sqlite_where=holds, postgresql_where=holds
    )


def _message() -> None:
    op.create_table(
        "message",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("channel", sa.String(20), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("since", Moment(), nullable=False),
        sa.Column("due_at", Moment(), nullable=False),
        sa.Column("ends_at", Moment(), nullable=False),
        sa.Column("data_key", sa.Integer()),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="message_pkey"),
    )
    op.create_index("message_queue", "message", ["state", "channel", "due_at", "id", "ends_at"])
    op.create_index("message_ends_at", "message", ["ends_at"])
    op.create_index("message_data_key", "message", ["data_key"])
