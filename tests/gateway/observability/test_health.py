"""Health routes: without a token, without secrets, and what fails is named."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from emulators.runtime.clock import VirtualClock
from gateway.model.journal import Record
from gateway.observability.health import VERIFIED_FOR_S, Check, Health
from gateway.store.journal import Journal
from gateway.store.store import MemoryStore, StoreError
from tests.gateway.web.running_gateway import TOKEN, running_gateway


async def test_the_routes_need_no_token_and_show_no_secret(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as running:
        url = f"http://127.0.0.1:{running.gateway.admin_port}"
        async with httpx.AsyncClient(base_url=url, trust_env=False) as stranger:
            live = await stranger.get("/health/live")
            assert (live.status_code, live.json()) == (200, {"status": "live"})
            ready = await stranger.get("/health/ready")
            assert ready.status_code == 503
            checks = {"gateway": "ok", "store": "ok", "journal": "ok", "broker": "the broker is not connected"}
            assert ready.json() == {"status": "not ready", "failing": ["broker"], "checks": checks}
            assert TOKEN not in ready.text
            running.gateway.mqtt.connected.set()
            ready = await stranger.get("/health/ready")
            assert (ready.status_code, ready.json()["failing"]) == (200, [])
            running.gateway.stopping = True
            ready = await stranger.get("/health/ready")
            assert (ready.status_code, ready.json()["failing"]) == (503, ["gateway"])
            running.gateway.stopping = False
            assert (await stranger.post("/health/live")).status_code == 405
            assert (await stranger.get("/health")).status_code == 401
            assert (await stranger.get("/metrics")).status_code == 401


class FullStore(MemoryStore):
    """Store on a disk that is full for a time."""

    full = True
    writes = 0

    async def write(self, records: Sequence[Record]) -> None:
        self.writes += 1
        if self.full:
            raise StoreError("the disk is full (/var/lib/secret)")
        await super().write(records)


@pytest.mark.virtual_time
async def test_a_store_that_cannot_be_written_is_named_and_not_asked_at_each_request() -> None:
    clock, store = VirtualClock(), FullStore()
    journal = Journal(store, clock)
    health = Health(journal, clock, stopping=lambda: False, broker=lambda: True)
    writing = asyncio.create_task(journal.run())
    try:
        found = await health.ready()
        assert found[Check.STORE] == "the store cannot be written"
        assert found[Check.JOURNAL] == "records of the journal cannot be written"
        written = store.writes
        store.full = False
        assert (await health.ready())[Check.STORE] != ""
        assert store.writes == written
        await clock.sleep(VERIFIED_FOR_S + 5)
        assert not any((await health.ready()).values())
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
