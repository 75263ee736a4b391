"""The gateway killed (SIGKILL) while stations begin and end transactions: no confirmed message is lost.

Stations of all three versions over real WebSockets repeat messages without a response, as real ones do.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from emulators.runtime.ocpp_client import connect
from gateway.store.sql import SqlStore
from protocols.ocpp.io import WebSocketWire
from protocols.ocpp.schema import Version
from protocols.ocpp.times import stamp
from tests.forked import processes
from tests.gateway.crash.ocpp_gateway_process import STATIONS, ProcessConfig, main

SEED = int(os.environ.get("V2X_SEED", "20260"))
KILLS = 4
ANSWER_WITHIN_S = 20.0
VERSIONS = {"16": Version.V16, "201": Version.V201, "21": Version.V21}


@dataclass
class RepeatingStation:
    """A station that begins and ends transactions and repeats each message until it is confirmed."""

    name: str
    port: int
    begun: dict[str, str] = field(default_factory=dict)  # transaction id, as answered -> the token it began with
    ended: set[str] = field(default_factory=set)
    wire: WebSocketWire | None = None
    repeated: int = 0
    stopping: bool = False

    @property
    def version(self) -> Version:
        return VERSIONS[self.name[1:]]

    async def run(self) -> None:
        number = 0
        await self.boot()
        while not self.stopping:
            number += 1
            token = f"{self.name}-{number}"
            if self.version is Version.V16:
                begin = {"connectorId": 1, "idTag": token, "meterStart": number, "timestamp": stamp(1.8e9 + number)}
                answer = await self.confirm("StartTransaction", begin)
                transaction = str(answer["transactionId"])
                self.begun[transaction] = token
                end = {"transactionId": int(transaction), "meterStop": number + 7, "timestamp": stamp(1.8e9 + number)}
                await self.confirm("StopTransaction", end)
            else:
                transaction = f"{self.name}/{number}"
                await self.confirm("TransactionEvent", self.event("Started", number, token))
                self.begun[transaction] = token
                await self.confirm("TransactionEvent", self.event("Ended", number, token))
            self.ended.add(transaction)

    def event(self, kind: str, number: int, token: str) -> dict[str, Any]:
        started = kind == "Started"
        return {
            "eventType": kind,
            "timestamp": stamp(1.8e9 + number),
            "triggerReason": "Authorized" if started else "StopAuthorized",
            "seqNo": 0 if started else 1,
            "transactionInfo": {"transactionId": f"{self.name}/{number}"},
            "idToken": {"idToken": token, "type": "ISO14443"},
            "evse": {"id": 1, "connectorId": 1},
        }

    async def boot(self) -> None:
        about: dict[str, Any] = {"reason": "PowerUp", "chargingStation": {"model": "m", "vendorName": "v"}}
        if self.version is Version.V16:
            about = {"chargePointVendor": "v", "chargePointModel": "m"}
        assert (await self.confirm("BootNotification", about))["status"] == "Accepted"

    async def confirm(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Send a call until there is a response, and return it."""
        async with asyncio.timeout(60):
            for attempt in range(1_000_000):
                self.repeated += attempt > 0
                try:
                    answer = await self._once(action, payload, f"{action}-{attempt}")
                except (ConnectionError, TimeoutError):
                    self.wire = None
                    await asyncio.sleep(0.05)
                    continue
                if answer is not None:
                    return answer
        raise AssertionError

    async def _once(self, action: str, payload: dict[str, Any], mid: str) -> dict[str, Any] | None:
        if self.wire is None:
            self.wire = await connect(f"ws://127.0.0.1:{self.port}/ocpp/{self.name}", (self.version,))
        await self.wire.send(json.dumps([2, mid, action, payload]))
        async with asyncio.timeout(ANSWER_WITHIN_S):
            while (text := await self.wire.receive()) is not None:
                message = json.loads(text)
                if message[0] == 2:
                    await self.wire.send(json.dumps([4, message[1], "NotSupported", "", {}]))
                elif message[1] == mid:
                    return message[2] if message[0] == 3 else None
        raise ConnectionError


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.timeout(180)
async def test_confirmed_messages_are_stored_after_every_kill(tmp_path: Path) -> None:
    database, port = f"sqlite:///{tmp_path / 'v2x.db'}", free_port()
    chance = random.Random(SEED)

    def start() -> BaseProcess:
        process: BaseProcess = processes().Process(target=main, args=(ProcessConfig(database, port),), daemon=True)
        process.start()
        return process

    stations = [RepeatingStation(name, port) for name in STATIONS]
    gateway = start()
    running = [asyncio.create_task(one.run()) for one in stations]
    try:
        for _ in range(KILLS):
            before = sum(len(one.ended) for one in stations)
            while sum(len(one.ended) for one in stations) < before + 12:
                await asyncio.sleep(0.01)
                for task in running:
                    if task.done():
                        task.result()
            await asyncio.sleep(chance.random() * 0.2)
            gateway.kill()
            await asyncio.to_thread(gateway.join)
            gateway = start()
        for one in stations:
            one.stopping = True
        await asyncio.gather(*running)
    finally:
        for task in running:
            task.cancel()
        gateway.kill()
        await asyncio.to_thread(gateway.join)
        for one in stations:
            if one.wire is not None:
                with suppress(ConnectionError):
                    await one.wire.close()
    store = SqlStore(database, "gw1")
    await store.open()
    try:
        kept = await store.kept(100_000)
    finally:
        await store.close()
    assert sum(one.repeated for one in stations) > 0, "no message had to be repeated: the kills had no effect"
    found = {one.key: (one, json.loads(one.body)) for one in kept if one.kind == "transaction"}
    confirmed = list(_confirmed(stations))
    numbers = [transaction for station, transaction, _ in confirmed if station.endswith("16")]
    assert len(numbers) == len(set(numbers)), "an id was given twice"
    for station, transaction, token in confirmed:
        row, body = found[f"{station}/{transaction}"]
        assert body["id_token"] == token
        assert row.ended is not None
        assert body["stopped_at"] is not None
        assert not body["presumed"]
    by_token = [body["id_token"] for _, body in found.values()]
    assert len(by_token) == len(set(by_token)), "a start that was repeated made a second transaction"


def _confirmed(stations: list[RepeatingStation]) -> Iterator[tuple[str, str, str]]:
    for one in stations:
        assert set(one.begun) == one.ended
        for transaction, token in one.begun.items():
            yield one.name, transaction, token
