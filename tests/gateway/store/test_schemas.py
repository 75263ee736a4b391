"""Stores of several sites in one Postgres: a schema for each, and one pool of connections."""

from __future__ import annotations

import pytest
from sqlalchemy import inspect

from gateway.model.journal import CommandOpened, Entry, Kept, Step
from gateway.store import schema
from gateway.store.postgres_pool import postgres_pool
from gateway.store.sql import SqlStore
from gateway.store.store import Sample, StoreError
from tests.gateway.store.postgres import Cluster

SITES = ("site_north", "site_INVALID.b|C")


def opened(command: str, body: str) -> CommandOpened:
    return CommandOpened(command, "CP1-1", "discharge", "f", body, "ems", "mqtt", 1.0, True)


async def test_sites_share_connections_and_no_record(cluster: Cluster) -> None:
    """The same names of commands, EVSEs and records at two sites are different ones."""
    url = cluster.database()
    pool = postgres_pool(url, fenced=True)
    stores = [SqlStore(url, "gw1", term=3, tables=name, pool=pool) for name in SITES]
    try:
        for one, name in zip(stores, SITES, strict=True):
            await one.open()
            await one.write([
                opened("c1", name), Kept("token", "t", name, 1.0), Entry(1.0, Step.EVENT, name, "c1", "CP1-1", {})
            ])  # fmt: skip
            await one.sample([Sample("CP1-1", 1.0, power_w=float(len(name)))])
        for one, name in zip(stores, SITES, strict=True):
            command = await one.find_command("c1")
            assert command is not None
            assert command.body == name
            assert [kept.body for kept in await one.kept_of(("token", "t"), ("token", "absent"))] == [name]
            assert [entry.cause for entry in await one.entries()] == [name]
            assert [sample.power_w for sample in await one.samples("CP1-1", 0, 2)] == [len(name)]
        later = SqlStore(url, "gw1", term=4, tables=SITES[0], pool=pool)
        await later.open()
        with pytest.raises(StoreError, match="another instance"):
            await stores[0].write([Kept("token", "t", "late", 1.0)])
        await stores[1].write([Kept("token", "t", "in time", 1.0)])  # the fence is one of a site
        await stores[0].close()
        assert await stores[1].find_command("c1") is not None  # the pool is not closed with one store
    finally:
        await pool.dispose()


async def test_each_schema_has_its_version_and_is_migrated(cluster: Cluster) -> None:
    url, newest = cluster.database(), schema.newest()
    pool = postgres_pool(url, fenced=False)

    def site(name: str) -> SqlStore:
        return SqlStore(url, tables=name, pool=pool)

    public = SqlStore(url, pool=pool)
    try:
        assert await site("site_one").version() is None
        async with pool.connect() as connection:  # to ask for a version makes nothing
            assert "site_one" not in await connection.run_sync(lambda one: inspect(one).get_schema_names())
        assert await site("site_one").migrate() == (None, newest)
        assert await site("site_one").downgrade("0003") == (newest, "0003")
        assert await site("site_other").migrate() == (None, newest)
        with pytest.raises(StoreError, match="has version 0003"):
            await site("site_one").open()
        assert await site("site_one").version() == "0003"
        await public.open()  # a gateway without sites in the same database
        assert await site("site_one").migrate() == ("0003", newest)
        one = site("site_one")
        await one.open()
        await one.write([opened("c1", "one")])
        assert await public.find_command("c1") is None
    finally:
        await pool.dispose()
