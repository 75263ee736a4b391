"""Several gateways over one database, and what the meters showed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Rows of before belong to no gateway by name: the first one that starts takes them."""
    for table in ("commands", "journal"):
        op.add_column(table, sa.Column("gateway", sa.String(64), nullable=False, server_default=""))
    op.create_index("commands_in_force", "commands", ["gateway", "in_force"])
    op.create_table(
        "telemetry",
        sa.Column("evse", sa.String(64), primary_key=True),
        sa.Column("wall", sa.Double, primary_key=True),
        sa.Column("power_w", sa.Double),
        sa.Column("soc_pct", sa.Double),
        sa.Column("energy_charged_wh", sa.Double),
        sa.Column("energy_discharged_wh", sa.Double),
    )
    op.create_index("telemetry_wall", "telemetry", ["wall"])


def downgrade() -> None:
    """Without telemetry and names."""
    op.drop_table("telemetry")
    op.drop_index("commands_in_force", "commands")
    for table in ("commands", "journal"):
        with op.batch_alter_table(table) as batch:
            batch.drop_column("gateway")
