"""What clinics' staff work with: handles and words of patients, staff, merges, webhooks."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

from idbroker.store.schema import Moment

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_BATCH = 1000


def upgrade() -> None:
    """Make the tables; every enrolment that is there gets a handle."""
    op.add_column("enrolment", sa.Column("handle", sa.String(32), nullable=False, server_default=""))
    _give_handles()
    op.create_index("enrolment_handle", "enrolment", ["clinic", "handle"], unique=True)
    _finding()
    _staff()
    _sealed_table(
        "merge",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("survivor", sa.Text(), nullable=False),
        sa.Column("absorbed", sa.Text(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("undone_at", Moment()),
    )
    op.create_index("merge_survivor", "merge", ["survivor"])
    op.create_index("merge_absorbed", "merge", ["absorbed"])
    _webhook()


def downgrade() -> None:
    """Drop the tables."""
    for table in ("webhook_notice", "webhook", "merge", "staff_key", "staff", "finding"):
        op.drop_table(table)
    op.drop_index("enrolment_handle", "enrolment")
    with op.batch_alter_table("enrolment") as changed:
        changed.drop_column("handle")


def _give_handles() -> None:
    connection = op.get_bind()
    nameless = sa.text("SELECT person, clinic FROM enrolment WHERE handle = '' LIMIT :most")
    named = sa.text("UPDATE enrolment SET handle = :handle WHERE person = :person AND clinic = :clinic")
    while rows := connection.execute(nameless, {"most": _BATCH}).all():
        for person, clinic in rows:
            connection.execute(named, {"handle": secrets.token_urlsafe(16), "person": person, "clinic": clinic})


def _finding() -> None:
    op.create_table(
        "finding",
        sa.Column("clinic", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("person", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("clinic", "digest", "person", name="finding_pkey"),
        sa.ForeignKeyConstraint(
            ["person", "clinic"],
            ["enrolment.person", "enrolment.clinic"],
            name="finding_person_fkey",
            ondelete="CASCADE",
        ),
    )
    op.create_index("finding_person", "finding", ["person", "clinic"])


def _staff() -> None:
    _sealed_table(
        "staff", sa.Column("id", sa.String(32), primary_key=True), sa.Column("revision", sa.Integer(), nullable=False)
    )
    op.create_table(
        "staff_key",
        sa.Column("digest", sa.LargeBinary(32), primary_key=True),
        sa.Column("staff", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(["staff"], ["staff.id"], name="staff_key_staff_fkey", ondelete="CASCADE"),
    )
    op.create_index("staff_key_staff", "staff_key", ["staff"])


def _webhook() -> None:
    _sealed_table(
        "webhook",
        sa.Column("client_id", sa.Text(), primary_key=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("kinds", sa.JSON(), nullable=False),
        sa.Column("since", Moment(), nullable=False),
    )
    op.create_table(
        "webhook_notice",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("patient", sa.String(32), nullable=False),
        sa.Column("due_at", Moment(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("ends_at", Moment(), nullable=False),
    )
    op.create_index("webhook_notice_ends_at", "webhook_notice", ["ends_at"])
    op.create_index("webhook_notice_queue", "webhook_notice", ["client_id", "due_at", "id"])


def _sealed_table(name: str, *columns: sa.Column[object]) -> None:
    """Make a table with a sealed value, and the number of the key that sealed it."""
    op.create_table(
        name,
        *columns,
        sa.Column("data_key", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
    )
    op.create_index(f"{name}_data_key", name, ["data_key"])
