"""Commands for the store: backup, restore, downgrade. `v2x migrate` upgrades it."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.execution import fail, print_lines, read_config
from gateway.cli.options import ConfigFile, Json, examples

if TYPE_CHECKING:
    from gateway.config import Config

app = typer.Typer(help="Backup, restore and downgrade of the gateway's store.", no_args_is_help=True)


@app.command(epilog=examples("v2x store backup /var/backups/v2x.db -c gateway.toml"))
def backup(
    to: Annotated[Path, typer.Argument(metavar="FILE", help="New file for the backup.")],
    config: ConfigFile,
    json: Json = False,
) -> None:
    """Back up the SQLite store, also while the gateway runs.

    Postgres has pg_dump.
    """
    from gateway.store import backup as sqlite_backup
    from gateway.store.store import StoreError

    database = _sqlite(read_config(config), "backup", "pg_dump")
    try:
        version = sqlite_backup.backup(database, to)
    except StoreError as error:
        fail("store backup", f"store.url: {error}")
    _report({"backup": str(to), "version": version}, f"{database} is in {to} (version {version})", json)


@app.command(epilog=examples("v2x store restore /var/backups/v2x.db -c gateway.toml"))
def restore(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A backup of this store.")],
    config: ConfigFile,
    json: Json = False,
) -> None:
    """Restore the SQLite store from a backup.

    The gateway is stopped. Postgres has pg_restore.
    """
    import asyncio

    from gateway.store.store import StoreError

    database = _sqlite(read_config(config), "restore", "pg_restore")
    try:
        version, former = asyncio.run(_restore(database, source))
    except StoreError as error:
        fail("store restore", f"store.url: {error}")
    body = {"restored": str(database), "version": version, "former": None if former is None else str(former)}
    was = "" if former is None else f"; the former store is {former}"
    _report(body, f"{database} is restored from {source} (version {version}){was}", json)


@app.command(epilog=examples("v2x store downgrade 0003 -c gateway.toml"))
def downgrade(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="That the older gateway needs, such as 0003.")],
    config: ConfigFile,
    json: Json = False,
) -> None:
    """Migrate the store back for an older gateway.

    The gateway is stopped. What the older one does not store is lost.
    """
    import asyncio

    from gateway.cli import operator_actions
    from gateway.store.store import StoreError

    settings = read_config(config)
    if settings.store.url == "memory:":
        fail("store downgrade", "store.url is memory: there is nothing to migrate")
    try:
        asyncio.run(operator_actions.verify_stopped(settings))
    except operator_actions.ToolError as error:
        fail("store downgrade", error)
    for site in settings.sites:
        of = f" of {site.site.id}" if site.one_of_several else ""
        try:
            before, after = asyncio.run(_downgrade(site, version))
        except StoreError as error:
            fail("store downgrade", f"store.url{of}: {error}")
        text = f"the store{of} was at version {before} and is at version {after}"
        _report({"before": before, "after": after} | ({"site": site.site.id} if of else {}), text, json)


async def _restore(database: Path, source: Path) -> tuple[str, Path | None]:
    from gateway.store import backup as sqlite_backup
    from gateway.store.lock import FileLock, locked

    async with locked(FileLock(database)):
        return sqlite_backup.restore(database, source)


async def _downgrade(config: Config, version: str) -> tuple[str | None, str]:
    from gateway.clock import SystemClock
    from gateway.config.mapping import database_lock, sql_store
    from gateway.store.lock import locked

    store = sql_store(config)
    async with locked(database_lock(config, SystemClock())):
        try:
            return await store.downgrade(version)
        finally:
            await store.close()


def _sqlite(config: Config, command: str, tool: str) -> Path:
    """Return the file of a SQLite store, or end the command with the tool of the database."""
    scheme, _, path = config.store.url.partition(":///")
    if scheme != "sqlite" or path == ":memory:":
        instead = f"; use {tool} for PostgreSQL" if config.store.url.startswith("postgresql") else ""
        fail(f"store {command}", f"store.url is no SQLite file{instead}")
    return Path(path)


def _report(body: Mapping[str, str | None], text: str, json: bool) -> None:
    if json:
        typer.echo(jsonlib.dumps(body))
    else:
        print_lines(text)
