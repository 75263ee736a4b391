"""Writes to Postgres: each group of records is one statement, in a thread with connections of its own.

A transaction of several statements takes a message to the server and an answer for each of them, and in a process that
is busy with stations every answer waits for the turn of its event loop. One statement is a transaction by itself, which
no pause of this process can leave open, and the thread has a loop that waits for nothing else.

A statement that the server begins after `BEGUN_WITHIN_S` writes nothing: it waited in the network or in a server that
was paused, and was reported as failed, or is going to be repeated.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine, Iterable, Sequence
from functools import cache
from typing import TypeVar

from sqlalchemy import BigInteger, Double, String, TextClause, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.loop_thread import LoopThread
from gateway.model.journal import Record
from gateway.store.fence import KEY, KIND, EarlierTerm
from gateway.store.postgres_pool import ANSWER_WITHIN_S, postgres_pool
from gateway.store.rows import Group, Rows, Values
from gateway.store.tables import COMMANDS, JOURNAL, KEPT

BEGUN_WITHIN_S = ANSWER_WITHIN_S - 1.0  # so that what is written is answered in time
T = TypeVar("T")
_as_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode  # no escapes, which SQL_ASCII has not
CLOCK = "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"  # of the server, s
_CLOCK = text(f"SELECT {CLOCK}")
_CHANGED = {
    "first": "text", "final": "text", "first_delivered": "boolean", "final_delivered": "boolean",
    "in_force": "boolean", "ended": "double precision",
}  # fmt: skip


class WriterThread:
    """A thread with connections to one database, which several stores may share."""

    def __init__(self, url: str, *, fenced: bool, connections: int = 1) -> None:
        self.engine: AsyncEngine = postgres_pool(url, fenced=fenced, connections=connections, more=0)
        self._thread = LoopThread("journal")

    async def run(self, work: Coroutine[object, None, T]) -> T:
        """Return what a coroutine returns in the thread."""
        return await self._thread.run(work)

    async def close(self) -> None:
        """End what runs, and close the connections."""
        if self._thread.began:
            await self._thread.run(self.engine.dispose())
            await self._thread.stop()


class GroupWriter:
    """Writes the groups of one store, one after the other."""

    def __init__(self, rows: Rows, gateway: str, term: int | None, tables: str) -> None:
        """`tables` is the schema of the tables ("": that of the user)."""
        self._rows, self._gateway, self._term, self._tables = rows, gateway, term, tables
        self._order = asyncio.Lock()  # a write whose caller was cancelled ends before the next one
        self._ahead_s: float | None = None  # at least, of the server's clock before the monotonic one here

    async def write(self, engine: AsyncEngine, records: Sequence[Record]) -> None:
        """Write records in one transaction; EarlierTerm where a later term is noted, else the errors of the driver."""
        group = self._rows.group(records)
        parts = {name: rows for name, rows in _parts(group) if rows}
        values: dict[str, object] = {name: _as_json(rows) for name, rows in parts.items()}
        values |= {"gateway": self._gateway, "term": self._term}
        statement = _statement(frozenset(parts), self._tables, self._term is not None)
        committing = engine.execution_options(isolation_level="AUTOCOMMIT")
        async with self._order, asyncio.timeout(ANSWER_WITHIN_S):
            until = time.monotonic() + BEGUN_WITHIN_S
            async with committing.connect() as connection:
                if self._ahead_s is None:
                    self._received((await connection.execute(_CLOCK)).scalar_one())
                for _ in range(2):  # once more where the clock of the server was set
                    if await self._written(connection, statement, values, until):
                        return
        raise TimeoutError

    async def _written(
        self, connection: AsyncConnection, statement: TextClause, values: dict[str, object], until: float
    ) -> bool:
        """Return whether the server began the statement in time; it writes nothing otherwise."""
        assert self._ahead_s is not None
        due = {"due": until + self._ahead_s}
        valid, in_time, clock = (await connection.execute(statement, values | due)).one()
        self._received(clock)
        if not valid:
            raise EarlierTerm
        return bool(in_time)

    def _received(self, clock: float) -> None:
        self._ahead_s = clock - time.monotonic()


def _parts(group: Group) -> Iterable[tuple[str, list[Values]]]:
    """Yield the rows of each part of the statement as they become JSON."""
    yield "opened", [_in_hexadecimal(row) for row in group.opened.values()]
    changed: dict[object, Values] = {}
    for row in group.changes:  # a statement changes a row once
        changed.setdefault(row["which"], {}).update(row)
    yield "changed", list(changed.values())
    yield "lines", group.lines
    yield "kept", group.kept
    yield "forgotten", group.forgotten


def _in_hexadecimal(row: Values) -> Values:
    data = row["reply_correlation"]
    return {**row, "reply_correlation": f"\\x{data.hex()}"} if isinstance(data, bytes) else row


@cache
def _statement(parts: frozenset[str], tables: str, fenced: bool) -> TextClause:
    """Return the statement that writes some parts, each given as JSON.

    Its result is whether the term is valid, whether it has written (it was begun until `due`), and the clock of the
    server in s. The record of the term is locked until the end of the statement, as by `fence.TermFence.verify`.
    Postgres evaluates it first and once: all parts depend on it.
    """
    prefix = '"{}".'.format(tables.replace('"', '""')) if tables else ""
    valid = "coalesce((SELECT valid FROM term), true)" if fenced else "true"
    writes = "(SELECT writes FROM guard)"  # evaluated once, after the wait for the record of the term
    with_ = [f"guard AS (SELECT CASE WHEN {valid} THEN {CLOCK} <= :due ELSE false END AS writes)"]
    with_ += [f"{name}_ AS ({_PARTS[name].format(valid=writes, **_names(prefix))})" for name in sorted(parts)]
    texts = set(parts)
    if fenced or parts & {"changed", "forgotten"}:
        texts.add("gateway")
    if fenced:
        here = f"gateway = :gateway AND kind = '{KIND}' AND key = '{KEY}'"
        read = f"SELECT CAST(body AS bigint) <= :term AS valid FROM {prefix}{KEPT.name} WHERE {here} FOR SHARE"
        with_.insert(0, f"term AS ({read})")
    statement = text(f"WITH {', '.join(with_)} SELECT {valid}, {writes}, {CLOCK}")
    statement = statement.bindparams(*(bindparam(name, type_=String) for name in sorted(texts)))
    statement = statement.bindparams(bindparam("due", type_=Double))
    return statement.bindparams(bindparam("term", type_=BigInteger)) if fenced else statement


def _names(prefix: str) -> dict[str, str]:
    names = {table.name: prefix + table.name for table in (COMMANDS, JOURNAL, KEPT)}
    return names | {
        "command_columns": ", ".join(one.name for one in COMMANDS.c),
        "journal_columns": ", ".join(one.name for one in JOURNAL.c if one.name != "seq"),
        "kept_columns": ", ".join(one.name for one in KEPT.c),
        "kept_key": ", ".join(one.name for one in KEPT.primary_key.columns),
        "changed_types": ", ".join(f"{name} {kind}" for name, kind in _CHANGED.items()),
        "changes": ", ".join(f"{name} = coalesce(n.{name}, c.{name})" for name in _CHANGED),
    }


_PARTS = {
    "opened": "INSERT INTO {commands} ({command_columns}) SELECT {command_columns}"
    " FROM json_populate_recordset(CAST(NULL AS {commands}), CAST(:opened AS json)) WHERE {valid}",
    "changed": "UPDATE {commands} c SET {changes} FROM json_to_recordset(CAST(:changed AS json))"
    " AS n(which text, {changed_types}) WHERE c.id = n.which AND c.gateway IN ('', :gateway) AND {valid}",
    "lines": "INSERT INTO {journal} ({journal_columns}) SELECT {journal_columns}"
    " FROM json_populate_recordset(CAST(NULL AS {journal}), CAST(:lines AS json)) WHERE {valid}",
    "kept": "INSERT INTO {kept} ({kept_columns}) SELECT {kept_columns}"
    " FROM json_populate_recordset(CAST(NULL AS {kept}), CAST(:kept AS json)) WHERE {valid}"
    " ON CONFLICT ({kept_key}) DO UPDATE SET body = excluded.body, wall = excluded.wall, ended = excluded.ended",
    "forgotten": "DELETE FROM {kept} k USING json_to_recordset(CAST(:forgotten AS json)) AS n(which text, what text)"
    " WHERE k.gateway = :gateway AND k.kind = n.which AND k.key = n.what AND {valid}",
}
