"""Stations that connect at once are served in turn: beyond a number of them a handshake is rejected."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from emulators.runtime.clock import RealClock
from gateway.csms import unserved
from gateway.csms.admission import AGAIN_AFTER_S, Admission, Shared
from gateway.csms.csms import Csms
from gateway.csms.settings import CsmsSettings, StationSettings
from gateway.csms.unserved import AdmissionLimit
from gateway.csms.websocket_server import WebSocketServer
from tests.gateway.csms.test_security import serving
from tests.interop.ocpp_sockets import until

STATIONS = tuple(StationSettings(f"CP{number}") for number in range(1, 6))
BOOT = {"reason": "PowerUp", "chargingStation": {"model": "m", "vendorName": "v"}}
STARTED = {
    "eventType": "Started",
    "timestamp": "2026-01-15T09:00:00Z",
    "triggerReason": "CablePluggedIn",
    "seqNo": 0,
    "transactionInfo": {"transactionId": "t1", "chargingState": "EVConnected"},
    "evse": {"id": 1, "connectorId": 1},
}


async def knock(port: int, name: str) -> ClientConnection:
    return await connect(f"ws://127.0.0.1:{port}/ocpp/{name}", subprotocols=[Subprotocol("ocpp2.1")])


async def rejected(port: int, name: str) -> str | None:
    """Return Retry-After of a rejected handshake."""
    with pytest.raises(InvalidStatus) as raised:
        await knock(port, name)
    assert raised.value.response.status_code == 503
    return raised.value.response.headers.get("Retry-After")


async def send(socket: ClientConnection, action: str, payload: Mapping[str, object]) -> None:
    """Send a call and wait for its response."""
    await socket.send(json.dumps([2, action, action, payload]))
    while json.loads(await socket.recv())[0] != 3:
        pass


async def test_one_is_accepted_for_each_that_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unserved, "QUIET_S", 60.0)
    async with serving(stations=STATIONS, max_unserved=2) as (_, port):
        one, two = await knock(port, "CP1"), await knock(port, "CP2")
        assert await rejected(port, "CP3") == str(unserved.RETRY_AFTER_S)
        await send(one, "BootNotification", BOOT)
        three = await knock(port, "CP3")
        assert await rejected(port, "CP4") is not None
        await two.close()
        four = await knock(port, "CP4")
        for socket in (one, three, four):
            await socket.close()


def test_the_limit_falls_while_responses_are_late_and_rises_again() -> None:
    limit, late_s = AdmissionLimit(100), 2 * unserved.WITHIN_S
    for _ in range(10):
        limit.answered(0.0, late_s)  # all of them were received before it fell
    assert limit.number == 50
    for number in range(1, 10):
        limit.answered(number * late_s, (number + 1) * late_s)
    assert limit.number == unserved.LEAST
    limit.answered(0.0, unserved.WITHIN_S)
    assert unserved.LEAST < limit.number < unserved.LEAST + 1
    for _ in range(1000):
        limit.answered(0.0, unserved.WITHIN_S)
    assert limit.number == 100


def test_no_limit_is_beyond_the_configured_one() -> None:
    limit = AdmissionLimit(2)
    limit.answered(0.0, 2 * unserved.WITHIN_S)
    assert limit.number == 2


async def test_fewer_are_accepted_where_those_before_waited_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unserved, "QUIET_S", 60.0)
    monkeypatch.setattr(unserved, "LEAST", 1)
    monkeypatch.setattr(unserved, "WITHIN_S", -1.0)  # every response is late
    async with serving(stations=STATIONS, max_unserved=2) as (_, port):
        one = await knock(port, "CP1")
        await send(one, "BootNotification", BOOT)
        two = await knock(port, "CP2")
        assert await rejected(port, "CP3") is not None
        await send(two, "BootNotification", BOOT)
        three = await knock(port, "CP3")
        for socket in (one, two, three):
            await socket.close()


async def test_one_whose_settings_are_just_being_read_counts_once() -> None:
    """Whoever begins many handshakes with the id of a station keeps no other one out."""
    csms = Csms(CsmsSettings(port=0, stations=STATIONS, max_unserved=2), lambda _: None, RealClock())
    reading, read = list[str](), asyncio.Event()

    async def refresh(station: str) -> None:
        reading.append(station)
        await read.wait()

    admission = Admission(
        csms.context, csms.stations, csms.credentials, csms.attach, csms.stations.pop, refresh
    )  # fmt: skip
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(WebSocketServer(admission).serve(port.set_result))
    try:
        waiting = []
        for number, name in enumerate(("CP1", "CP1", "CP2"), start=1):
            waiting.append(asyncio.create_task(knock(await port, name)))
            await until(lambda number=number: len(reading) == number)  # type: ignore[misc]
        assert await rejected(port.result(), "CP3") == str(unserved.RETRY_AFTER_S)
        read.set()
        for one in waiting:
            await (await one).close()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def accepted(port: int, name: str) -> ClientConnection:
    """Return the connection of a station that tries until it is accepted."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await knock(port, name)
            except InvalidStatus:
                await asyncio.sleep(0.01)


async def test_one_that_sends_nothing_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unserved, "QUIET_S", 0.05)
    async with serving(stations=STATIONS, max_unserved=1) as (_, port):
        one = await knock(port, "CP1")
        two = await accepted(port, "CP2")
        await one.close()
        await two.close()


async def test_one_that_sends_no_call_does_not_lower_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as one that connects again and only answers the calls of the gateway: nothing was late."""
    for name, value in {"QUIET_S": 0.05, "LATE_S": 0.05, "LEAST": 1, "WITHIN_S": -1.0}.items():
        monkeypatch.setattr(unserved, name, value)
    async with serving(stations=STATIONS, max_unserved=2) as (_, port):
        one = await knock(port, "CP1")
        await one.send('[3,"1",{}]')
        monkeypatch.setattr(unserved, "QUIET_S", 60.0)
        two = await accepted(port, "CP2")
        three = await accepted(port, "CP3")
        assert await rejected(port, "CP4") is not None
        for socket in (one, two, three):
            await socket.close()


async def test_one_with_a_transaction_does_not_wait_behind_idle_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unserved, "QUIET_S", 60.0)
    async with serving(stations=STATIONS, max_unserved=2) as (csms, port):
        five = await knock(port, "CP5")
        await send(five, "BootNotification", BOOT)
        await send(five, "TransactionEvent", STARTED)
        await five.close()
        await until(lambda: _away(csms, "CP5"))
        others = [await knock(port, "CP1"), await knock(port, "CP2")]
        assert await rejected(port, "CP3") is not None
        five = await knock(port, "CP5")
        for socket in (*others, five):
            await socket.close()


def _away(csms: Csms, name: str) -> bool:
    return not csms.stations[name].connected


async def test_the_number_of_connected_stations_is_bounded() -> None:
    async with serving(stations=STATIONS, max_stations=1) as (csms, port):
        one = await knock(port, "CP1")
        await until(lambda: csms.stations["CP1"].connected)
        assert await rejected(port, "CP2") is None
        again = await knock(port, "CP1")
        await one.wait_closed()
        assert await rejected(port, "CP2") is None
        await again.close()
        await until(lambda: _away(csms, "CP1"))
        await (await knock(port, "CP2")).close()


async def test_a_port_that_is_being_closed_accepts_no_further_station() -> None:
    csms = Csms(CsmsSettings(port=0, stations=STATIONS), lambda _: None, RealClock())
    shared = Shared.of(csms.settings)
    admission = Admission(csms.context, csms.stations, csms.credentials, csms.attach, csms.stations.pop, shared=shared)
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(WebSocketServer(admission).serve(port.set_result))
    try:
        one = await knock(await port, "CP1")
        shared.stopping = True
        assert await rejected(port.result(), "CP2") == str(AGAIN_AFTER_S)
        await send(one, "BootNotification", BOOT)  # it is served on
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
