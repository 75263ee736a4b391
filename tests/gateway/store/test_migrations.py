"""Databases of older versions become today's, and nothing in them is lost. Old ones are kept in `tests/data/store`."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text

from gateway.model.event import SessionStarted
from gateway.store import schema
from gateway.store.postgres_pool import postgres_pool
from gateway.store.sql import SqlStore
from gateway.store.store import StoreError
from gateway.store.tables import METADATA
from tests.gateway.commands.rig import service_rig
from tests.gateway.store.postgres import Cluster

WAITING = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
OLD = sorted((Path(__file__).parents[2] / "data" / "store").glob("*.sql"))


def restored(dump: Path, folder: Path) -> Path:
    path = folder / "old.db"
    connection = sqlite3.connect(path)
    connection.executescript(dump.read_text())
    connection.close()
    return path


def test_there_is_an_old_database_for_every_version_but_the_newest() -> None:
    script = ScriptDirectory.from_config(schema._alembic())
    versions = {one.revision for one in script.walk_revisions()} - {schema.newest()}
    assert {path.stem for path in OLD} == versions


@pytest.mark.parametrize("dump", OLD, ids=lambda path: path.stem)
@pytest.mark.virtual_time
async def test_an_old_database_is_rejected_with_the_remedy_then_migrated_and_used(dump: Path, tmp_path: Path) -> None:
    path = restored(dump, tmp_path)
    url = f"sqlite:///{path}"

    with pytest.raises(StoreError, match="run `v2x migrate -c FILE` first"):
        await SqlStore(url, "gw1").open()
    store = SqlStore(url, "gw1")
    assert await store.migrate() == (dump.stem, schema.newest())
    await store.close()

    async with service_rig("CP1-1", store=SqlStore(url, "gw1")) as rig:
        final = rig.published.final("old-1")
        assert (final.status, final.reason.code) == ("failed", "gateway_restarted")
        state = rig.service.state("CP1-1")
        assert state is not None
        assert state.floors.reserve_pct == 40
        assert [entry.step.value for entry in await rig.service.entries(command="old-1")][:3] == [
            "received",
            "validated",
            "journalled",
        ]


@pytest.mark.virtual_time
async def test_what_vehicles_negotiated_is_migrated_from_the_journal_to_records(tmp_path: Path) -> None:
    """An ended session, one of weeks ago and one that cannot be read are left out."""
    url = f"sqlite:///{restored(OLD[-1], tmp_path)}"
    store = SqlStore(url, "gw1")
    await store.migrate()
    await store.close()

    async with service_rig(store=SqlStore(url, "gw1")) as rig:
        records = await rig.store.kept(0)
        assert [one.key for one in records if one.kind == "vehicle_needs"] == ["CP1-1"]
        rig.stations.connect("CP1", "CP1-1")
        rig.stations.evses["CP1-1"].session = "tx0"
        rig.service.report(SessionStarted("CP1-1", rig.clock.now(), "tx0", "CAR1"))
        await rig.wait(1)
        state = rig.service.state("CP1-1")
        assert state is not None
        assert state.vehicle is not None
        assert (state.vehicle.bidirectional, state.vehicle.capacity_wh) == (True, 63_000)


@pytest.mark.parametrize("way", [schema.check, schema.upgrade])
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.peer)])
async def test_migrations_and_tables_are_the_same(
    kind: str, way: Callable[[Connection], object], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    def differences(connection: Connection) -> object:
        way(connection)
        opts = {"compare_server_default": kind == "postgres"}  # what SQLite reports is written otherwise
        return compare_metadata(MigrationContext.configure(connection, opts=opts), METADATA)

    if kind == "sqlite":
        engine = create_engine(f"sqlite:///{tmp_path / 'new.db'}")
        with engine.begin() as connection:
            assert differences(connection) == []
        engine.dispose()
        return

    cluster: Cluster = request.getfixturevalue("cluster")
    pool = postgres_pool(cluster.database(), fenced=False)
    async with pool.begin() as link:
        assert await link.run_sync(differences) == []
    await pool.dispose()


@pytest.mark.peer
async def test_tables_of_one_site_do_not_wait_for_those_of_another(cluster: Cluster) -> None:
    url = cluster.database()
    pool = postgres_pool(url, fenced=True)
    first, second = (SqlStore(url, name, tables=name, pool=pool) for name in ("site_one", "site_two"))
    async with pool.begin() as other:
        await other.run_sync(schema.lock, "site_one")
        waits = asyncio.create_task(first.open())
        await second.open()
        while not await other.scalar(WAITING):
            assert not waits.done()
    await waits
    for store in (first, second):
        assert await store.kept(0) == []
    async with pool.begin() as earlier:
        await earlier.run_sync(schema.lock)  # of versions that lock all schemas together
        waits = asyncio.create_task(SqlStore(url, "three", tables="site_three", pool=pool).open())
        while not await earlier.scalar(WAITING):
            assert not waits.done()
    await waits
    await pool.dispose()


async def test_a_newer_database_is_not_changed(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'v2x.db'}")
    with engine.begin() as connection:
        schema.check(connection)
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()

    with pytest.raises(StoreError, match="newer than this gateway"):
        await SqlStore(f"sqlite:///{tmp_path / 'v2x.db'}").open()
    store = SqlStore(f"sqlite:///{tmp_path / 'v2x.db'}")
    with pytest.raises(StoreError, match="newer than this gateway"):
        await store.migrate()
    await store.close()


def test_the_route_back(tmp_path: Path) -> None:
    from alembic import command

    engine = create_engine(f"sqlite:///{tmp_path / 'v2x.db'}")
    with engine.begin() as connection:
        schema.check(connection)
        command.downgrade(schema._alembic(connection), "base")
        assert schema.present(connection) is None
        schema.check(connection)
        assert schema.present(connection) == schema.newest()
    engine.dispose()
