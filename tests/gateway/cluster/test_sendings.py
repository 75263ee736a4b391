"""The times at which an instance writes set-points, as the judge of the rounds of faults gets them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve

from gateway.cluster.connections import SiteConnections
from gateway.cluster.remote import RemoteWire
from protocols.ocpp.io import PushingConnection, WebSocketWire
from protocols.ports import TextWire
from tests.gateway.cluster.sendings import read, record
from tests.gateway.cluster.test_connections import Site


@dataclass
class _Site(Site):
    proof_age_s: float = 0.0

    def proof(self, instance: str) -> float | None:
        return self.clock.now() - self.proof_age_s


@asynccontextmanager
async def _connected(site: Site) -> AsyncIterator[tuple[TextWire, ClientConnection]]:
    """Connect a station over a real socket; yields the holder's end of the connection and that of the station."""

    async def serving(socket: ServerConnection) -> None:
        await site.connections.serve(WebSocketWire(socket), "CP1", 0)

    async with serve(serving, "127.0.0.1", 0, compression=None, create_connection=PushingConnection) as made:
        port = next(iter(made.sockets)).getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}/CP1", compression=None) as station:
            async with asyncio.timeout(10):
                while not site.wires:  # noqa: ASYNC110 (the connection sets no event)
                    await asyncio.sleep(0.001)
            yield site.wires[0], station


def _call(call: str, action: str, **payload: Any) -> str:
    return json.dumps([2, call, action, payload], separators=(",", ":"))


async def test_the_times_of_set_points_and_of_terms_are_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RemoteWire, "_down", RemoteWire._down)  # as it is again after the test
    monkeypatch.setattr(SiteConnections, "deliver", SiteConnections.deliver)
    monkeypatch.setattr(PushingConnection, "send_data", PushingConnection.send_data)
    path = tmp_path / "sendings"
    record(path)
    site = _Site()
    site.connections.held_by("gw1", 7)
    before = time.monotonic()
    async with _connected(site) as (holder, station):
        await holder.send(_call("a-1", "SetChargingProfile", evseId=1))
        await holder.send(_call("a-2", "GetCompositeSchedule", evseId=1))
        await holder.send(_call("a-3", "UpdateDynamicSchedule", text="x" * 70_000))
        site.term = 8
        await holder.send(_call("b-1", "UpdateDynamicSchedule", evseId=1))
        site.proof_age_s = 10.0
        await holder.send(_call("b-2", "UpdateDynamicSchedule", evseId=1))  # refused by the fence
        site.term, site.proof_age_s = 7, 0.0
        await holder.send(_call("a-4", "UpdateDynamicSchedule", evseId=1))
        received = [json.loads(await station.recv())[1] for _ in range(4)]
    after = time.monotonic()
    sendings, began = read([path])
    assert received == ["a-1", "a-2", "a-3", "b-1"]
    assert {call: one.term for call, one in sendings.items()} == {"a-1": 7, "a-3": 7, "b-1": 8}
    first, last = sendings["a-1"], sendings["b-1"]
    assert first.done is not None
    assert before <= first.left <= began[7] <= first.begun <= first.done
    assert first.done <= last.left <= began[8] <= last.begun <= after
