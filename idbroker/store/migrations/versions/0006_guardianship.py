"""Who may act for whom, as clinics have noted it; what acts for a ward now."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from idbroker.store.schema import Moment

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "guardianship",
        sa.Column("id", sa.String(32), primary_key=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("clinic", "guardian", "ward", "relation", "basis")),
        sa.Column("powers", sa.JSON(), nullable=False),
        sa.Column("until", sa.Date()),
        sa.Column("recorded_at", Moment(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("ended_at", Moment()),
        sa.Column("ended_why", sa.Text(), nullable=False),
        sa.Column("limit_on", sa.Date()),
        sa.Column("told", sa.Integer()),
    )
    op.create_index("guardianship_guardian", "guardianship", ["guardian"])
    op.create_index("guardianship_ward", "guardianship", ["ward", "clinic"])
    op.create_index("guardianship_limit", "guardianship", ["limit_on"])
    holds = sa.text("ended_at IS NULL")
    op.create_index(
        "guardianship_holds",
        "guardianship",
        ["clinic", "ward", "guardian"],
        unique=True,
        sqlite_where=holds,
        postgresql_where=holds,
    )
    op.create_table(
        "delegation",
        sa.Column("grant", sa.Text(), primary_key=True),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("session", "client", "clinic", "sid", "guardian", "ward", "register")
        ),
        sa.Column("check_at", Moment(), nullable=False),
        sa.Column("until", Moment(), nullable=False),
    )
    for name in ("guardian", "ward", "check_at", "until"):
        op.create_index(f"delegation_{name}", "delegation", [name])


def downgrade() -> None:
    """Drop the tables."""
    for table in ("delegation", "guardianship"):
        op.drop_table(table)
