"""First tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from idbroker.store.schema import Moment

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make all tables."""
    _persons()
    _clients()
    _events()
    _refresh_tokens()


def downgrade() -> None:
    """Drop all tables."""
    for table in ("refresh_token", "event", "client", "person_key", "person"):
        op.drop_table(table)


def _persons() -> None:
    op.create_table(
        "person",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="person_pkey"),
    )
    op.create_table(
        "person_key",
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("person_id", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("sealed", sa.LargeBinary()),
        sa.Column("since", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="person_key_pkey"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="person_key_person_id_fkey", ondelete="CASCADE"),
    )
    op.create_index("person_key_person_id", "person_key", ["person_id"])


def _clients() -> None:
    op.create_table(
        "client",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="client_pkey"),
    )


def _events() -> None:
    op.create_table(
        "event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), sa.Identity(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("transaction_id", sa.Text()),
        sa.Column("client", sa.Text()),
        sa.Column("clinic", sa.Text()),
        sa.Column("provider", sa.Text()),
        sa.Column("person", sa.Text()),
        sa.Column("ref", sa.Text()),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="event_pkey"),
    )
    op.create_index("event_at", "event", ["at"])


def _refresh_tokens() -> None:
    op.create_table(
        "refresh_token",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("session", sa.Text()),
        sa.Column("grant", sa.LargeBinary(), nullable=False),
        sa.Column("issued_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.Column("used_at", Moment()),
        sa.PrimaryKeyConstraint("digest", name="refresh_token_pkey"),
    )
    for column in ("family", "session", "expires_at"):
        op.create_index(f"refresh_token_{column}", "refresh_token", [column])
