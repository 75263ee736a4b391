"""Postgres over TLS, with the parameters of libpq in the URL, at every connection that a gateway opens."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.clock import SystemClock
from gateway.store.database_url import for_asyncpg
from gateway.store.postgres_lock import PostgresLock
from gateway.store.postgres_pool import postgres_pool
from gateway.store.sql import SqlStore
from gateway.store.store import StoreError
from tests.gateway.csms.test_security import Authority
from tests.gateway.store.postgres import Cluster, server_program

SECURED = text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")


def change(cluster: Cluster, *statements: str) -> None:
    """Change settings of the server."""
    psql = [server_program("psql"), "-h", cluster.host, "-p", str(cluster.port), "-U", "v2x", "postgres"]
    for one in (*statements, "SELECT pg_reload_conf()"):
        subprocess.run([*psql, "-c", one], check=True, capture_output=True, timeout=30)


@pytest.fixture
def authority(cluster: Cluster, tmp_path: Path) -> Iterator[Authority]:
    """The authority of the server, which accepts connections with TLS while the test runs."""
    made = Authority(tmp_path)
    for source, setting in zip(made.issue("localhost"), ("cert", "key"), strict=True):
        file = cluster.data / f"server.{setting}"
        file.write_bytes(source.read_bytes())
        file.chmod(0o600)
        if cluster.who:
            os.chown(file, cluster.who["user"], cluster.who["group"])
        change(cluster, f"ALTER SYSTEM SET ssl_{setting}_file = '{file.name}'")
    change(cluster, "ALTER SYSTEM SET ssl = on")
    yield made
    change(cluster, "ALTER SYSTEM RESET ssl")


async def test_the_certificate_of_the_server_is_verified_at_every_connection(
    cluster: Cluster, authority: Authority, tmp_path: Path
) -> None:
    url = cluster.database().replace("127.0.0.1", "localhost")
    verified = f"{url}?sslmode=verify-full&sslrootcert={authority.file}"
    pool = postgres_pool(verified, fenced=True)
    async with pool.connect() as connection:
        assert (await connection.execute(SECURED)).scalar() is True
    await pool.dispose()
    store, lock = SqlStore(verified), PostgresLock(verified, "gw1", SystemClock())
    await store.open()
    await store.close()
    await lock.acquire()
    await lock.release()
    (other := tmp_path / "other").mkdir()
    foreign = SqlStore(f"{url}?sslmode=verify-full&sslrootcert={Authority(other).file}")
    with pytest.raises(StoreError, match="certificate verify failed"):
        await foreign.open()


def test_other_parameters_stay_in_the_url() -> None:
    assert for_asyncpg("postgresql://u@h/d?ssl=require") == ("postgresql+asyncpg://u@h/d?ssl=require", {})
    assert for_asyncpg("postgresql:///d?host=/run&sslmode=disable&timeout=3") == (
        "postgresql+asyncpg:///d?host=%2Frun&timeout=3",
        {"dsn": "postgresql:///?sslmode=disable"},
    )
