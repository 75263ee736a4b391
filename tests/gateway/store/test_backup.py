"""Backup, restore and downgrade of the store, run as the documents say, with a gateway that goes on meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
import stat
import subprocess
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import create_engine, inspect
from typer.testing import CliRunner

from gateway.cli.main import app
from gateway.clock import SystemClock
from gateway.cluster.io import ClusterBus
from gateway.cluster.keys import key_of
from gateway.cluster.node import ABSENT_AFTER_S, INSTANCES, Presence
from gateway.cluster.settings import ClusterSettings
from gateway.store import backup, schema
from gateway.store.lock import FileLock
from gateway.store.sql import SqlStore
from gateway.store.store import StoreError
from tests.gateway.cluster.rig import nats
from tests.gateway.commands.rig import service_rig
from tests.gateway.store.copies import HeldSqlStore
from tests.gateway.store.postgres import Cluster, postgres, server_program
from tests.gateway.store.test_migrations import OLD, restored

RUN = CliRunner()


def configuration(folder: Path, url: str | None = None) -> str:
    path = folder / "gateway.toml"
    url = url or f"sqlite:///{folder / 'v2x.db'}"
    path.write_text(f'[store]\nurl = "{url}"\n')
    return str(path)


def v2x(*words: str) -> str:
    result = RUN.invoke(app, [*words])
    assert result.exit_code == 0, result.output
    return result.output


def refused(*words: str) -> str:
    result = RUN.invoke(app, [*words])
    assert result.exit_code == 2, result.output
    return result.output


@pytest.mark.virtual_time
async def test_a_backup_of_a_running_gateway_is_restored_with_all_that_it_had(tmp_path: Path) -> None:
    config, url = configuration(tmp_path), f"sqlite:///{tmp_path / 'v2x.db'}"
    saved = tmp_path / "saved.db"
    async with service_rig("CP1-1", store=SqlStore(url, "gw1")) as rig:
        await rig.send("CP1-1", "reserve", "before", min_soc_pct=40)
        await rig.journal.flush()
        await asyncio.to_thread(backup.backup, tmp_path / "v2x.db", saved)
        await rig.send("CP1-1", "reserve", "after", min_soc_pct=60)
        await rig.journal.flush()
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    output = await asyncio.to_thread(v2x, "store", "restore", str(saved), "-c", config)
    assert f"(version {schema.newest()}); the former store is {tmp_path / 'v2x.db.'}" in output

    async with service_rig("CP1-1", store=SqlStore(url, "gw1")) as again:
        assert await again.store.find_command("after") is None
        state = again.service.state("CP1-1")
        assert state is not None
        assert state.floors.reserve_pct == 40
    former = output.rpartition("the former store is ")[2].strip()
    shutil.copy(former, tmp_path / "v2x.db")
    async with service_rig("CP1-1", store=SqlStore(url, "gw1")) as first:
        assert await first.store.find_command("after") is not None


def test_what_a_backup_or_a_restore_refuses(tmp_path: Path) -> None:
    config, database, saved = configuration(tmp_path), tmp_path / "v2x.db", tmp_path / "saved.db"
    assert "there is no database" in refused("store", "backup", str(saved), "-c", config)
    v2x("migrate", "-c", config)
    assert f"is in {saved} (version {schema.newest()})" in v2x("store", "backup", str(saved), "-c", config)
    assert "exists already; name another file" in refused("store", "backup", str(saved), "-c", config)
    before = database.read_bytes()

    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(saved.read_bytes()[:-4096])
    assert str(damaged) in refused("store", "restore", str(damaged), "-c", config)
    foreign = tmp_path / "foreign.db"
    with contextlib.closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE notes (text)")
    assert "is no database of a gateway" in refused("store", "restore", str(foreign), "-c", config)
    assert "there is no file" in refused("store", "restore", str(tmp_path / "none.db"), "-c", config)

    lock = FileLock(database)
    asyncio.run(lock.acquire())
    for command in (["restore", str(saved)], ["downgrade", "0003"]):
        output = refused("store", *command, "-c", config)
        assert f"another gateway (process {os.getpid()}) uses this database" in output
    asyncio.run(lock.release())
    assert database.read_bytes() == before
    assert sorted(path.name for path in tmp_path.glob("*.new")) == []

    postgresql = configuration(tmp_path, "postgresql://v2x@127.0.0.1:9/v2x")
    assert "use pg_dump for PostgreSQL" in refused("store", "backup", str(saved), "-c", postgresql)
    memory = configuration(tmp_path, "memory:")
    assert "there is nothing to migrate" in refused("store", "downgrade", "0003", "-c", memory)


def test_a_damaged_database_is_replaced_by_its_backup(tmp_path: Path) -> None:
    config, database, saved = configuration(tmp_path), tmp_path / "v2x.db", tmp_path / "saved.db"
    v2x("migrate", "-c", config)
    v2x("store", "backup", str(saved), "-c", config)
    database.write_bytes(b"\0" * 8192)
    Path(f"{database}-wal").write_bytes(b"\1" * 4152)  # a log of the former database must not be applied
    v2x("store", "restore", str(saved), "-c", config)
    assert backup.verify(database) == schema.newest()
    assert not Path(f"{database}-wal").exists()


def tables(path: Path) -> dict[str, list[str]]:
    engine = create_engine(f"sqlite:///{path}")
    found = inspect(engine)
    shape = {name: sorted(one["name"] for one in found.get_columns(name)) for name in found.get_table_names()}
    engine.dispose()
    return shape


@pytest.mark.parametrize("dump", OLD, ids=lambda path: path.stem)
@pytest.mark.virtual_time
async def test_a_store_is_upgraded_and_downgraded_again_for_the_older_gateway(dump: Path, tmp_path: Path) -> None:
    """Commands and journal stay; the tables are those that the older gateway has made."""
    config, database = configuration(tmp_path), restored(dump, tmp_path)
    shape, rows = tables(database), contents(database)
    database.rename(tmp_path / "v2x.db")
    database = tmp_path / "v2x.db"
    await asyncio.to_thread(v2x, "migrate", "-c", config)
    async with service_rig("CP1-1", store=SqlStore(f"sqlite:///{database}", "gw1")) as rig:
        await rig.send("CP1-1", "reserve", "newer", min_soc_pct=40)
        await rig.journal.flush()
    output = await asyncio.to_thread(v2x, "store", "downgrade", dump.stem, "-c", config)
    assert f"was at version {schema.newest()} and is at version {dump.stem}" in output
    assert tables(database) == shape
    after = contents(database)
    assert set(rows) < set(after)
    with pytest.raises(StoreError, match="run `v2x migrate -c FILE` first"):
        await SqlStore(f"sqlite:///{database}", "gw1").open()
    await asyncio.to_thread(v2x, "migrate", "-c", config)
    async with service_rig("CP1-1", store=SqlStore(f"sqlite:///{database}", "gw1")) as again:
        assert await again.store.find_command("newer") is not None


def contents(database: Path) -> list[tuple[str, str]]:
    """Return ids and requests of the commands."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return sorted(connection.execute("SELECT id, body FROM commands"))


def test_a_downgrade_to_an_unknown_version_changes_nothing(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    v2x("migrate", "-c", config)
    for version in (schema.newest(), "9999", "base", "head"):
        output = refused("store", "downgrade", version, "-c", config)
        assert f"has version {schema.newest()}; older ones are 0001, 0002, 0003" in output
    assert backup.verify(tmp_path / "v2x.db") == schema.newest()


@pytest.mark.peer
@pytest.mark.virtual_time
async def test_a_postgres_store_is_saved_and_restored_with_its_own_tools(tmp_path: Path) -> None:
    with postgres(tmp_path) as cluster:
        url, saved = cluster.database(), str(tmp_path / "saved.dump")
        async with service_rig("CP1-1", store=HeldSqlStore(url, "gw1")) as rig:
            await rig.send("CP1-1", "reserve", "before", min_soc_pct=40)
            await rig.journal.flush()
            await asyncio.to_thread(run, "pg_dump", "-Fc", "-f", saved, url)  # while the gateway runs
            await rig.send("CP1-1", "reserve", "after", min_soc_pct=60)
            await rig.journal.flush()
        options = ["--no-owner", "--exit-on-error", "--clean", "--if-exists"]
        await asyncio.to_thread(run, "pg_restore", *options, "-d", url, saved)
        async with service_rig("CP1-1", store=HeldSqlStore(url, "gw1")) as again:
            assert await again.store.find_command("after") is None
            state = again.service.state("CP1-1")
            assert state is not None
            assert state.floors.reserve_pct == 40
        config = configuration(tmp_path, url)
        assert "is at version 0003" in await asyncio.to_thread(v2x, "store", "downgrade", "0003", "-c", config)
        await asyncio.to_thread(v2x, "migrate", "-c", config)
        async with service_rig("CP1-1", store=HeldSqlStore(url, "gw1")) as last:
            assert await last.store.find_command("before") is not None


async def present(settings: ClusterSettings, age_s: float) -> None:
    """Write the record of an instance that was present so long ago."""
    now = SystemClock().wall()
    async with ClusterBus(settings).connect() as bus:
        presence = Presence("gw1", "run", "0.1.0", now, now - age_s)
        await (await bus.records(INSTANCES)).put(key_of("gw1"), msgspec.json.encode(presence))


@pytest.mark.peer
def test_the_database_of_a_cluster_is_changed_only_while_no_instance_runs(cluster: Cluster, tmp_path: Path) -> None:
    config = configuration(tmp_path, cluster.database())
    with nats(tmp_path) as [server], Path(config).open("a") as more:
        more.write(f'[ocpp]\nsecurity_profile = 0\n[cluster]\nservers = ["{server.url}"]\ninstance = "gw2"\n')
        more.flush()
        settings, running, absent = ClusterSettings((server.url,), "gw2"), 0.0, 2 * ABSENT_AFTER_S
        asyncio.run(present(settings, running))
        v2x("migrate", "-c", config)  # a new database, which no instance uses
        v2x("migrate", "-c", config)  # it changes nothing
        assert "instances of the cluster run: gw1" in refused("store", "downgrade", "0003", "-c", config)
        asyncio.run(present(settings, absent))
        assert "is at version 0003" in v2x("store", "downgrade", "0003", "-c", config)
        asyncio.run(present(settings, running))
        assert "instances of the cluster run: gw1" in refused("migrate", "-c", config)
        asyncio.run(present(settings, absent))
        assert "0003" in v2x("migrate", "-c", config)


def run(program: str, *words: str) -> None:
    subprocess.run([server_program(program), *words], check=True)
