"""Table of rows that survive a restart besides commands: stations, tokens, transactions, reservations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One table; nothing of before belongs into it."""
    op.create_table(
        "kept",
        sa.Column("gateway", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(32), primary_key=True),
        sa.Column("key", sa.String(512), primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("wall", sa.Double, nullable=False),
        sa.Column("ended", sa.Double),
    )
    op.create_index("kept_ended", "kept", ["gateway", "ended"])


def downgrade() -> None:
    """Without it."""
    op.drop_table("kept")
