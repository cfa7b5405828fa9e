"""Notices of ended sign-ons."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from idbroker.store.schema import Moment

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "logout_notice",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("sid", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("due_at", Moment(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("ends_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("client_id", "sid", name="logout_notice_pkey"),
    )
    op.create_index("logout_notice_queue", "logout_notice", ["client_id", "due_at", "sid"])
    op.create_index("logout_notice_ends_at", "logout_notice", ["ends_at"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("logout_notice")
