"""A station that needs 9 s for each answer, behind a whole gateway: commands over MQTT are carried out to their end."""

from __future__ import annotations

import asyncio
import json
from itertools import product
from typing import Any, Literal

import pytest

from emulators.charger.station.build import build, car_power_path
from emulators.charger.station.config import StationConfig
from emulators.charger.station.csms_link.network_profiles import NetworkProfile
from emulators.ev.car import CCS_63, Car
from emulators.runtime.clock import VirtualClock
from emulators.runtime.memory_broker import MemoryBroker
from emulators.runtime.transports import MemoryTextWire, text_wire_pair
from gateway.app import Parts, gateway
from gateway.config import from_table
from protocols.ocpp.schema import Version
from protocols.ports import BusMessage, TextWire
from tests.rounds import some

pytestmark = pytest.mark.virtual_time

DELAY_S = 9.0
ROOT = "v2x/1/home"


class SlowWire:
    """The station's end of a connection: it answers late, or acts late, too. Its own messages are not delayed."""

    def __init__(self, wire: MemoryTextWire, late: Literal["answers", "acts"]) -> None:
        self._wire, self._late = wire, late
        self._sending: set[asyncio.Task[None]] = set()
        self._inbox: asyncio.Queue[str | None] = asyncio.Queue()
        self._reading = asyncio.create_task(self._read())
        self.peer, self.subprotocol = wire.peer, wire.subprotocol

    async def _read(self) -> None:
        while (text := await self._wire.receive()) is not None:
            if self._late == "acts" and text.startswith("[2,"):
                self._begin(self._deliver(text))
            else:
                self._inbox.put_nowait(text)
        self._inbox.put_nowait(None)

    async def _deliver(self, text: str) -> None:
        await asyncio.sleep(DELAY_S)
        self._inbox.put_nowait(text)

    async def receive(self) -> str | None:
        return await self._inbox.get()

    async def send(self, text: str) -> None:
        if self._late == "answers" and text[:2] in ("[3", "[4"):
            self._begin(self._send(text))
        else:
            await self._wire.send(text)

    async def _send(self, text: str) -> None:
        await asyncio.sleep(DELAY_S)
        await self._wire.send(text)

    def _begin(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self._reading.cancel()
        await self._wire.close(code, reason)


@pytest.mark.parametrize(("late", "version"), some(product(["answers", "acts"], Version), 2))
async def test_a_lease_lives_as_long_as_it_is_renewed(version: Version, late: Literal["answers", "acts"]) -> None:
    """The command is achieved, is never ended but by the facility, and 0 W is reached after it."""
    clock, broker, profile = VirtualClock(), MemoryBroker(), None if version is Version.V21 else "negative-limit"
    own = {"id": "CP1", "max_charge_w": 10_000, "max_discharge_w": 10_000}
    config = from_table(
        {
            "site": {"id": "home"},
            "mqtt": {"gateway_id": "gw1"},
            "store": {"url": "memory:"},
            "ocpp": {"unknown_tokens": "accept", "security_profile": 0},
            "stations": [own | ({"vendor_profile": profile} if profile else {})],
        }
    )
    tasks: list[asyncio.Task[Any]] = []

    def mqtt(will: BusMessage) -> Any:
        return broker.client("v2x-home-gw1", will=will, clean_start=False, session_expiry_s=60, version=5)

    async with (
        broker.client("facility", version=5) as client,
        gateway(config, Parts(clock=clock, connect=mqtt, listen=False, seed=1)) as running,
    ):
        csms = running.csms
        assert csms is not None

        async def connect(target: NetworkProfile) -> TextWire:
            ours, theirs = text_wire_pair("station", "gateway", subprotocol=target.version.value)
            tasks.append(asyncio.create_task(csms.attach(theirs, "CP1")))
            return SlowWire(ours, late)

        path = car_power_path()
        station = build(StationConfig(version=version, vendor_profile=profile), [path], clock, connect)
        tasks.append(asyncio.create_task(station.run()))
        await client.subscribe(f"{ROOT}/evse/CP1-1/#", qos=1)
        events: list[dict[str, Any]] = []
        results: list[dict[str, Any]] = []

        async def collect() -> None:
            async for message in client.messages():
                target = {"event": events, "result": results}.get(message.topic.rpartition("/")[2])
                if target is not None:
                    target.append(json.loads(message.payload))

        async def command(verb: str, **body: Any) -> None:
            payload = json.dumps(body).encode()
            await client.publish(BusMessage(f"{ROOT}/evse/CP1-1/cmd/{verb}", payload, qos=1))

        tasks.append(asyncio.create_task(collect()))
        await clock.sleep(120)  # the fallback profile, inventory and sampling
        station.plug_in(1, path.plug(Car(CCS_63, 70.0), clock.now()))
        await clock.sleep(120)
        power: list[float] = []
        for number in range(12):  # renewed in time, for six minutes
            await command("discharge", id=f"a{number}", power_w=5000, lease_s=60)
            for _ in range(30):
                await clock.sleep(1)
                power.append(path.reading(clock.now()).power_w)
        statuses = {one["status"] for one in results}
        assert statuses <= {"accepted", "achieved", "superseded"}
        assert "achieved" in statuses
        assert not [one for one in events if one["event"] in ("lease_ended", "fault", "station_lost", "refused")]
        assert max(power[60:]) < -4500.0
        await clock.sleep(60 + 2 * DELAY_S + 20)  # not renewed any more
        assert abs(path.reading(clock.now()).power_w) < 150.0
        assert [one["reason"]["code"] for one in events if one["event"] == "lease_ended"] == ["lease_expired"]
        for task in reversed(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
