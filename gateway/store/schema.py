"""Version of the database: create, verify, migrate.

In Postgres the tables may be in a schema of their own (`tables`), as those of each of several sites in one cluster.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from gateway.store.store import StoreError, StoreOutdated
from gateway.store.tables import METADATA

MIGRATIONS = Path(__file__).parent / "migrations"
_KEY = "hashtext('v2x-gateway schema')"


def _alembic(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


@cache
def newest() -> str:
    """Return the version that this gateway needs."""
    head = _scripts().get_current_head()
    assert head is not None
    return head


def lock(connection: Connection, tables: str = "") -> None:
    """Wait until nobody else creates or migrates these tables (Postgres), until the transaction ends.

    Several schemas are made at the same time. Versions that lock all of them together wait, and are waited for.
    """
    if connection.dialect.name != "postgresql":
        return
    if not tables:
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_KEY})"))
        return
    connection.execute(text(f"SELECT pg_advisory_xact_lock_shared({_KEY})"))
    connection.execute(text(f"SELECT pg_advisory_xact_lock({_KEY}, hashtext(:tables))"), {"tables": tables})


@cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_alembic())


@cache
def _known() -> frozenset[str]:
    return frozenset(one.revision for one in _scripts().walk_revisions())


def enter(connection: Connection, tables: str) -> None:
    """Use a schema, which is made where it does not exist, until the transaction ends."""
    if tables:
        quoted = connection.dialect.identifier_preparer.quote_identifier(tables)
        if not inspect(connection).has_schema(tables):  # a role without the right to make one may use it
            connection.execute(text(f"CREATE SCHEMA {quoted}"))
        connection.execute(text(f"SET LOCAL search_path TO {quoted}"))


def present(connection: Connection) -> str | None:
    """Return the version of a database; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def version(connection: Connection, tables: str = "") -> str | None:
    """Return the version of the tables in a schema; None where there are none. Nothing is made."""
    if tables and not inspect(connection).has_schema(tables):
        return None
    enter(connection, tables)
    return present(connection)


def upgrade(connection: Connection, tables: str = "", to: str = "head") -> tuple[str | None, str]:
    """Migrate; return the version before and after. StoreError for a foreign or newer database."""
    lock(connection, tables)
    enter(connection, tables)
    before = present(connection)
    _check_ours(connection, before, tables)
    command.upgrade(_alembic(connection), to)
    return before, present(connection) or ""


def downgrade(connection: Connection, to: str, tables: str = "") -> tuple[str | None, str]:
    """Migrate back; return the version before and after. StoreError for a foreign or newer database."""
    enter(connection, tables)
    before = present(connection)
    _check_ours(connection, before, tables)
    older = {one.revision for one in _scripts().walk_revisions("base", before)} - {before} if before else set()
    if to not in older:
        raise StoreError(f"the database has version {before}; older ones are {', '.join(sorted(older)) or 'none'}")
    command.downgrade(_alembic(connection), to)
    return before, present(connection) or ""


def check(connection: Connection, tables: str = "") -> None:
    """Create the tables of a new database; StoreError for an older, newer or foreign one.

    They are made as they are now, which needs half the statements of all migrations; a test compares the two. Nothing
    here is global in the process, unlike a migration by Alembic, so that stores may be opened at the same time.
    """
    lock(connection, tables)
    enter(connection, tables)
    before = present(connection)
    _check_ours(connection, before, tables)
    if before is None:
        METADATA.create_all(connection, checkfirst=False)
        MigrationContext.configure(connection).stamp(_scripts(), "head")
    elif before != newest():
        raise StoreOutdated(
            f"the database has version {before} and this gateway needs {newest()}; run `v2x migrate -c FILE` first"
        )


def _check_ours(connection: Connection, before: str | None, tables: str) -> None:
    if before is not None and before not in _known():
        raise StoreError(f"the database has version {before}, which is newer than this gateway; update the gateway")
    if before is not None:
        return
    others = set(inspect(connection).get_table_names(tables or None)) - {"alembic_version"}
    if others:
        raise StoreError(
            f"the database holds tables of another application ({', '.join(sorted(others)[:5])}); name another one"
        )
