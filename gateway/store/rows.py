"""Conversion between records and rows: statements of SQLAlchemy Core, without a connection."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from typing import Any, TypeAlias

import msgspec
from sqlalchemy import (
    BigInteger,
    Executable,
    Row,
    Table,
    bindparam,
    cast,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import sqlite

from gateway.model.journal import (
    CommandEnded,
    CommandOpened,
    Entry,
    Forgotten,
    Kept,
    Record,
    ReplyTo,
    ResultDelivered,
    ResultGiven,
    Step,
    StoredCommand,
)
from gateway.store.sqlite import Statement
from gateway.store.store import change
from gateway.store.tables import COMMANDS, JOURNAL, KEPT, TELEMETRY

BULK = 16  # rows
Values: TypeAlias = dict[str, object]  # of one row, by column
_compact = json.JSONEncoder(separators=(",", ":")).encode
_encode = msgspec.json.Encoder().encode  # in a twentieth of the time
_OPENED = tuple(one.name for one in fields(CommandOpened) if one.name != "reply")
_UNFINISHED = {"first": None, "final": None, "first_delivered": False, "final_delivered": False, "ended": None}

# Statements are built once: building one costs as much as executing it.
_INSERT_COMMANDS, _INSERT_LINES = insert(COMMANDS), insert(JOURNAL)


@cache
def _update(columns: str) -> Executable:
    """Return the update of columns (comma-separated) of command `which` of gateway `whose` or of none."""
    values: dict[str, Any] = {name: bindparam(name) for name in columns.split(",")}
    ours = or_(COMMANDS.c.gateway == literal_column("''"), COMMANDS.c.gateway == bindparam("whose"))
    return update(COMMANDS).where(COMMANDS.c.id == bindparam("which"), ours).values(values)


@cache
def _upsert() -> Executable:
    """Return the insert-or-replace of a stored record."""
    made = sqlite.insert(KEPT)
    names = ("body", "wall", "ended")
    keep: Executable = made.on_conflict_do_update(
        index_elements=list(KEPT.primary_key.columns), set_={name: made.excluded[name] for name in names}
    )
    return keep


def samples_of(evse: str, since: float, until: float, limit: int, every_s: float, sqlite: bool) -> Executable:
    """Return the query of telemetry; with `every_s` one row per period: mean power and SoC, highest energies."""
    one = TELEMETRY.c
    within = one.evse == evse, one.wall >= since, one.wall < until
    if not every_s:
        return select(TELEMETRY).where(*within).order_by(one.wall).limit(limit)
    periods = one.wall / every_s
    period = cast(periods, BigInteger) if sqlite else func.floor(periods)  # not every SQLite has floor()
    begin = func.min(one.wall)
    values = (func.avg(one.power_w), func.avg(one.soc_pct), func.max(one.energy_charged_wh))
    means = select(one.evse, begin, *values, func.max(one.energy_discharged_wh)).where(*within)
    return means.group_by(one.evse, period).order_by(begin).limit(limit)


def in_bulk(plain: Executable, table: Table, rows: list[Values], dialect: str) -> Statement:
    """Return a statement that inserts many rows. For SQLite it is one step of one statement: between two steps
    another thread may take the interpreter, so that a thousand steps can take seconds, with the database locked.
    """
    if dialect != "sqlite" or len(rows) < BULK:
        return plain, rows
    names = list(rows[0])
    try:
        text_of_all = _encode([[row[name] for name in names] for row in rows]).decode()
    except UnicodeEncodeError:  # a lone surrogate: the driver reports the row that holds it
        return plain, rows
    return _from_json(table, tuple(names)), [{"rows": text_of_all}]


@cache
def _from_json(table: Table, names: tuple[str, ...]) -> Executable:
    values = ", ".join(f"json_extract(value, '$[{number}]')" for number in range(len(names)))
    sql = f"INSERT INTO {table.name} ({', '.join(names)}) SELECT {values} FROM json_each(:rows) WHERE true"
    if table is KEPT:
        key = ", ".join(column.name for column in KEPT.primary_key.columns)
        sql += f" ON CONFLICT ({key}) DO UPDATE SET body=excluded.body, wall=excluded.wall, ended=excluded.ended"
    return text(sql)


_FORGET = delete(KEPT).where(
    KEPT.c.gateway == bindparam("whose"), KEPT.c.kind == bindparam("which"), KEPT.c.key == bindparam("what")
)


@dataclass(slots=True)
class Group:
    """Rows of one transaction, by what is done with them."""

    opened: dict[str, Values] = field(default_factory=dict)  # by id of the command
    changes: list[Values] = field(default_factory=list)  # of stored commands: `which`, `whose`, columns
    lines: list[Values] = field(default_factory=list)
    kept: list[Values] = field(default_factory=list)
    forgotten: list[Values] = field(default_factory=list)  # `whose`, `which`, `what`


class Rows:
    """Rows for the records of one gateway, and the statements that write them to SQLite."""

    def __init__(self, gateway: str) -> None:
        self._gateway = gateway

    def group(self, records: Sequence[Record]) -> Group:
        """Return the rows of records; what changes a command of the same group is part of its row."""
        group = Group()
        kept: dict[tuple[str, str], Kept | Forgotten] = {}
        for record in records:
            match record:
                case Entry():
                    group.lines.append(self._line(record))
                case CommandOpened():
                    group.opened[record.id] = self._row(record)
                case ResultGiven() | ResultDelivered() | CommandEnded():
                    new = change(record)
                    if record.command in group.opened:
                        group.opened[record.command].update(new)
                    else:
                        group.changes.append({"which": record.command, "whose": self._gateway, **new})
                case Kept() | Forgotten():
                    kept[record.kind, record.key] = record
        for one in kept.values():
            if isinstance(one, Kept):
                group.kept.append({"gateway": self._gateway, **asdict(one)})
            else:
                group.forgotten.append({"whose": self._gateway, "which": one.kind, "what": one.key})
        return group

    def statements(self, records: Sequence[Record]) -> list[Statement]:
        """Return few statements with many rows each; changes of a command follow its insert."""
        group = self.group(records)
        statements: list[Statement] = []
        if group.opened:
            statements.append((_INSERT_COMMANDS, list(group.opened.values())))
        changes: dict[str, list[Values]] = {}
        for row in group.changes:
            changes.setdefault(",".join(name for name in row if name not in ("which", "whose")), []).append(row)
        for columns, rows in changes.items():
            statements.append((_update(columns), rows))
        if group.lines:
            statements.append(in_bulk(_INSERT_LINES, JOURNAL, group.lines, "sqlite"))
        if group.kept:
            statements.append(in_bulk(_upsert(), KEPT, group.kept, "sqlite"))
        if group.forgotten:
            statements.append((_FORGET, group.forgotten))
        return statements

    def _line(self, entry: Entry) -> dict[str, object]:
        return {
            "gateway": self._gateway,
            "wall": entry.wall,
            "step": entry.step.value,
            "cause": entry.cause[:256],
            "command": entry.command,
            "evse": entry.evse[:64] if entry.evse is not None else None,
            "data": _data(entry.data) if entry.data else "{}",
        }

    def _row(self, opened: CommandOpened) -> dict[str, object]:
        row = {name: getattr(opened, name) for name in _OPENED}
        return (
            _UNFINISHED
            | row
            | {
                "gateway": self._gateway,
                "evse": opened.evse[:64] if opened.evse is not None else None,
                "reply_topic": opened.reply.topic if opened.reply else None,
                "reply_correlation": opened.reply.correlation_data if opened.reply else None,
            }
        )


def _data(data: dict[str, Any]) -> str:
    try:
        return _encode(data).decode()
    except (TypeError, ValueError, OverflowError):  # of json only: integers beyond 64 bits, half a surrogate pair
        return _compact(data)


def command_of(row: Row[object]) -> StoredCommand:
    """Return the command of a row."""
    reply = ReplyTo(row.reply_topic, row.reply_correlation) if row.reply_topic is not None else None
    return StoredCommand(reply=reply, **{name: getattr(row, name) for name in (*_OPENED, *_UNFINISHED)})


def entry_of(row: Row[object]) -> Entry:
    """Return the journal entry of a row."""
    return Entry(row.wall, Step(row.step), row.cause, row.command, row.evse, json.loads(row.data), row.seq)
