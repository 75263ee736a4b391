"""A gateway and an emulated wallbox over real sockets and in real time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from emulators.modbus.sunspec import Measurements, sunspec_device
from emulators.runtime.clock import RealClock
from emulators.runtime.memory_broker import MemoryBroker
from gateway.app import Parts, gateway
from gateway.config import from_table
from gateway.model.command import Channel, Submission
from gateway.model.result import Status
from protocols.modbus.io import Framing, listen
from protocols.modbus.register import Meaning
from protocols.modbus.register_map import shipped
from tests.gateway.drivers.modbus.bench import wallbox


@pytest.mark.parametrize("framing", list(Framing))
async def test_a_discharge_over_sockets(framing: Framing) -> None:
    clock, broker = RealClock(), MemoryBroker()
    device, plant = wallbox(shipped("bidipro-10"), clock)
    measured = Measurements({Meaning.POWER_W: lambda at: 1500.0 + plant.stage.reading(at).ac_power_w})
    meter = sunspec_device(shipped("sunspec-meter"), [1, 203], measured, clock)
    box_at = await listen(device.handle, "127.0.0.1", 0, framing)
    meter_at = await listen(meter.handle, "127.0.0.1", 0)
    evse = {"id": "BAY", "driver": "modbus", "product": "bidipro-10", "framing": framing.value}
    table: dict[str, Any] = {
        "site": {"id": "home"},
        "store": {"url": "memory:"},
        "ocpp": {"security_profile": 0},
        "evses": [{**evse, "address": f"127.0.0.1:{box_at.port}"}],
        "meters": [{"product": "sunspec", "address": f"127.0.0.1:{meter_at.port}"}],
    }
    parts = Parts(connect=lambda will: broker.client("gw", will=will), listen=False)
    async with gateway(from_table(table), parts) as running, asyncio.timeout(30):
        while not running.service.is_connected("BAY"):
            await clock.sleep(0.02)
        order = json.dumps({"id": "c1", "source": "test", "power_w": 3000, "lease_s": 60}).encode()
        result = await running.service.submit(Submission("BAY", "discharge", order, Channel.MQTT))
        assert result.status is Status.ACCEPTED
        while abs(plant.stage.reading(clock.now()).ac_power_w + 3000) > 5:
            await clock.sleep(0.02)
        while running.service.site_state().inputs["grid"].freshness != "fresh":
            await clock.sleep(0.02)
    assert device.violations == []
    assert plant.stage.reading(clock.now()).ac_power_w == 0  # a gateway that stops leaves 0 W
    await box_at.close()
    await meter_at.close()
