"""Tables of the database (SQLAlchemy Core). A change needs a migration; a test compares the two."""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()
Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # only INTEGER is SQLite's rowid

COMMANDS = sa.Table(
    "commands",
    METADATA,
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column("gateway", sa.String(64), nullable=False, server_default=""),
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
    sa.Index("commands_received", "received"),
    sa.Index("commands_in_force", "gateway", "in_force"),
)

JOURNAL = sa.Table(
    "journal",
    METADATA,
    sa.Column("seq", Number, primary_key=True, autoincrement=True),
    sa.Column("gateway", sa.String(64), nullable=False, server_default=""),
    sa.Column("wall", sa.Double, nullable=False),
    sa.Column("step", sa.String(16), nullable=False),
    sa.Column("cause", sa.String(256), nullable=False),
    sa.Column("command", sa.String(128)),
    sa.Column("evse", sa.String(64)),
    sa.Column("data", sa.Text, nullable=False),
    sa.Index("journal_wall", "wall"),
    sa.Index("journal_command", "command"),
    sa.Index("journal_evse", "evse", "seq"),
    sqlite_autoincrement=True,
)

TELEMETRY = sa.Table(
    "telemetry",
    METADATA,
    sa.Column("evse", sa.String(64), primary_key=True),
    sa.Column("wall", sa.Double, primary_key=True),
    sa.Column("power_w", sa.Double),
    sa.Column("soc_pct", sa.Double),
    sa.Column("energy_charged_wh", sa.Double),
    sa.Column("energy_discharged_wh", sa.Double),
    sa.Index("telemetry_wall", "wall"),
)

KEPT = sa.Table(
    "kept",
    METADATA,
    sa.Column("gateway", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(32), primary_key=True),
    sa.Column("key", sa.String(512), primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("wall", sa.Double, nullable=False),
    sa.Column("ended", sa.Double),
    sa.Index("kept_ended", "gateway", "ended"),
)
