"""Tables of the database (SQLAlchemy Core). A change needs a migration; a test compares the two."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
)

METADATA = MetaData()
Number = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER is SQLite's rowid

COMMANDS = Table(
    "commands",
    METADATA,
    Column("id", String(128), primary_key=True),
    Column("gateway", String(64), nullable=False, server_default=""),
    Column("evse", String(64)),
    Column("verb", String(32), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("source", String(64)),
    Column("channel", String(16), nullable=False),
    Column("received", Double, nullable=False),
    Column("in_force", Boolean, nullable=False),
    Column("reply_topic", String(512)),
    Column("reply_correlation", LargeBinary),
    Column("first", Text),
    Column("final", Text),
    Column("first_delivered", Boolean, nullable=False, server_default=false()),
    Column("final_delivered", Boolean, nullable=False, server_default=false()),
    Column("ended", Double),
    Index("commands_received", "received"),
    Index("commands_in_force", "gateway", "in_force"),
)

JOURNAL = Table(
    "journal",
    METADATA,
    Column("seq", Number, primary_key=True, autoincrement=True),
    Column("gateway", String(64), nullable=False, server_default=""),
    Column("wall", Double, nullable=False),
    Column("step", String(16), nullable=False),
    Column("cause", String(256), nullable=False),
    Column("command", String(128)),
    Column("evse", String(64)),
    Column("data", Text, nullable=False),
    Index("journal_wall", "wall"),
    Index("journal_command", "command"),
    Index("journal_evse", "evse", "seq"),
    sqlite_autoincrement=True,
)

TELEMETRY = Table(
    "telemetry",
    METADATA,
    Column("evse", String(64), primary_key=True),
    Column("wall", Double, primary_key=True),
    Column("power_w", Double),
    Column("soc_pct", Double),
    Column("energy_charged_wh", Double),
    Column("energy_discharged_wh", Double),
    Index("telemetry_wall", "wall"),
)

KEPT = Table(
    "kept",
    METADATA,
    Column("gateway", String(64), primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("key", String(512), primary_key=True),
    Column("body", Text, nullable=False),
    Column("wall", Double, nullable=False),
    Column("ended", Double),
    Index("kept_ended", "gateway", "ended"),
)
