"""A disk that is full when the gateway starts: it runs, states so, takes away power only, and recovers by itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import app
from gateway.app import Gateway
from gateway.config import from_table
from gateway.config.admin_token import FILE_NAME
from gateway.model.command import Channel, Submission
from gateway.store import unavailable

GENERATED_LENGTH = 43


@contextlib.contextmanager
def no_space() -> Iterator[None]:
    """No file of this process may grow: SQLite cannot write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def send(running: Gateway, verb: str, id: str, evse: str | None = None, **body: object) -> tuple[str, str]:
    payload = json.dumps({"id": id, **body}).encode()
    result = await running.service.submit(Submission(evse, verb, payload, Channel.LOCAL))
    return result.status.value, result.reason.code.value


async def first_of(runs: asyncio.Queue[Gateway], running: asyncio.Task[object]) -> Gateway:
    """Return the gateway that runs next; the error where it does not start."""
    waiting = asyncio.create_task(runs.get())
    await asyncio.wait((waiting, running), return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        waiting.cancel()
        await running
    return await waiting


@pytest.mark.timeout(60)
async def test_an_emergency_stop_on_a_full_disk_is_released_when_there_is_space(tmp_path: Path) -> None:
    config = from_table(
        {"mqtt": {"url": "mqtt://127.0.0.1:9"}, "store": {"url": f"sqlite:///{tmp_path / 'v2x.db'}"}}
        | {"ocpp": {"listen": "127.0.0.1:0", "security_profile": 0}}
    )
    async with app.gateway(config) as running:
        assert await send(running, "mode", "m", mode="price") == ("accepted", "granted")
        with no_space():
            assert await send(running, "emergency_stop", "e") == ("accepted", "granted")
            submitted = Submission(None, "release", b'{"id": "r"}', Channel.LOCAL)
            refused = await running.service.submit(submitted)
            assert (refused.status.value, refused.reason.code.value) == ("refused", "journal_unavailable")
            assert "disk" in refused.reason.text
            assert refused.reason.text.endswith("Only stops act without the journal.")
            assert running.service.site_state().emergency_stop
        async with asyncio.timeout(20):
            while (await running.service.submit(submitted)).status.value == "refused":  # noqa: ASYNC110 (its id is free)
                await asyncio.sleep(0.2)
        assert not running.service.site_state().emergency_stop
    async with app.gateway(config) as again:
        assert not again.service.site_state().emergency_stop


@pytest.mark.timeout(60)
@pytest.mark.parametrize("existing", [False, True])
async def test_a_gateway_starts_on_a_full_disk_and_takes_away_power_only(
    existing: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unavailable, "RETRY_S", 0.2)
    config = from_table(
        {
            "mqtt": {"url": "mqtt://127.0.0.1:9"},  # no server listens there
            "store": {"url": f"sqlite:///{tmp_path / 'v2x.db'}"},
            "ocpp": {"listen": "127.0.0.1:0", "security_profile": 0},
            "stations": [{"id": "CP1"}],
            "admin": {"listen": "127.0.0.1:0"},
        }
    )
    if existing:
        async with app.gateway(config) as before:
            assert await send(before, "emergency_stop", "stored") == ("accepted", "granted")
    runs: asyncio.Queue[Gateway] = asyncio.Queue()
    with no_space():
        running = asyncio.create_task(app.run(config, ready=runs.put_nowait, signals=False))
        try:
            degraded = await first_of(runs, running)
            assert (tmp_path / FILE_NAME).exists() is existing
            assert await send(degraded, "mode", "m", mode="price") == ("refused", "journal_unavailable")
            refused = await send(degraded, "discharge", "d", "CP1-1", power_w=1000, lease_s=30)
            assert refused[0] == "refused"
            assert await send(degraded, "emergency_stop", "e") == ("accepted", "granted")
            assert await send(degraded, "release", "r") == ("refused", "journal_unavailable")
            assert degraded.service.site_state().mode.value == "manual"
            assert "disk" in (degraded.service.journal_trouble() or "")
        except BaseException:
            running.cancel()
            raise
    assert "until there is space the gateway only takes power away" in caplog.text
    try:
        again = await first_of(runs, running)
        assert len((tmp_path / FILE_NAME).read_text().strip()) == GENERATED_LENGTH
        assert again.service.journal_trouble() is None
        assert bool(again.service.site_state().emergency_stop) is existing
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    with contextlib.closing(sqlite3.connect(tmp_path / "v2x.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
