"""Commands with their results, and the journal."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """From nothing."""
    op.create_table(
        "commands",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("evse", sa.String(64)),
        sa.Column("verb", sa.String(32), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("source", sa.String(64)),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("received", sa.Double, nullable=False),
        sa.Column("in_force", sa.Boolean, nullable=False),
        sa.Column("reply_topic", sa.String(512)),
        sa.Column("reply_correlation", sa.LargeBinary),
        sa.Column("first", sa.Text),
        sa.Column("final", sa.Text),
        sa.Column("first_delivered", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("final_delivered", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("ended", sa.Double),
    )
    op.create_index("commands_received", "commands", ["received"])
    op.create_table(
        "journal",
        sa.Column("seq", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("wall", sa.Double, nullable=False),
        sa.Column("step", sa.String(16), nullable=False),
        sa.Column("cause", sa.String(256), nullable=False),
        sa.Column("command", sa.String(128)),
        sa.Column("evse", sa.String(64)),
        sa.Column("data", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("journal_wall", "journal", ["wall"])
    op.create_index("journal_command", "journal", ["command"])
    op.create_index("journal_evse", "journal", ["evse", "seq"])


def downgrade() -> None:
    """To nothing."""
    op.drop_table("journal")
    op.drop_table("commands")
