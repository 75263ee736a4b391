"""Records of what vehicles have negotiated, from the journal of versions that kept none."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KIND = "vehicle_needs"
KEPT_S = 7 * 86_400.0  # before the newest entry: a session that was negotiated earlier is not continued
LASTING = (
    "limits",
    "bidirectional",
    "energy_transfer",
    "control_mode",
    "target_soc_pct",
    "departure",
    "battery_capacity_wh",
)
JOURNAL = sa.table("journal", *map(sa.column, ("seq", "gateway", "wall", "step", "cause", "evse", "data")))
KEPT = sa.table("kept", *map(sa.column, ("gateway", "kind", "key", "body", "wall")))


def upgrade() -> None:
    """Write a record for every session that the journal shows as running, for gateways without any record."""
    connection, column = op.get_bind(), JOURNAL.c
    with_records = set(connection.scalars(sa.select(KEPT.c.gateway).where(KEPT.c.kind == KIND)))
    newest = connection.scalar(sa.select(sa.func.max(column.wall))) or 0.0
    entries = connection.execute(
        sa.select(column.gateway, column.evse, column.cause, column.wall, column.data)
        .where(column.step == "event", column.cause.in_(("negotiated", "session_ended")))
        .where(column.evse.is_not(None), column.wall >= newest - KEPT_S)
        .order_by(column.seq)
    )
    running: dict[tuple[str, str], dict[str, Any]] = {}
    for gateway, evse, cause, wall, data in entries:
        if gateway in with_records:
            continue
        read = json.loads(data)
        session, needs = read.get("session"), read.get("needs")
        if cause == "session_ended" and session:
            running.pop((gateway, evse), None)
        elif cause == "negotiated" and session and isinstance(needs, dict) and isinstance(needs.get("limits"), dict):
            body = {"session": session} | {name: needs[name] for name in LASTING if name in needs}
            row = {"gateway": gateway, "kind": KIND, "key": evse, "body": json.dumps(body), "wall": wall}
            running[gateway, evse] = row
    if running:
        connection.execute(sa.insert(KEPT), list(running.values()))


def downgrade() -> None:
    """Nothing: version 0003 reads the records too."""
