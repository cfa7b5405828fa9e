"""When registers are asked again about what clinics have approved."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from idbroker.store.schema import Moment

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the moment; what holds already is asked about soon."""
    op.add_column("guardianship", sa.Column("check_at", Moment()))
    op.execute("UPDATE guardianship SET check_at = recorded_at WHERE ended_at IS NULL")
    op.create_index("guardianship_check", "guardianship", ["clinic", "check_at"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index("guardianship_check", "guardianship")
    with op.batch_alter_table("guardianship") as changed:
        changed.drop_column("check_at")
