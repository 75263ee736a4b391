"""A gateway, a wallbox and a meter on one serial line: a pseudo-terminal, in real time."""

from __future__ import annotations

import asyncio
import json
import os
import tty
from typing import Any

import pytest

from emulators.modbus.device import EmulatedDevice
from emulators.modbus.sunspec import Measurements, sunspec_device
from emulators.runtime.clock import RealClock
from emulators.runtime.memory_broker import MemoryBroker
from gateway.app import Parts, gateway
from gateway.config import ConfigError, from_table
from gateway.model.command import Channel, Submission
from gateway.model.result import Status
from protocols.modbus.io import Framing, serve
from protocols.modbus.messages import Answer, NoAnswer, Request
from protocols.modbus.register import Meaning
from protocols.modbus.register_map import shipped
from protocols.serial.io import SerialPort, SerialSettings
from tests.gateway.drivers.modbus.bench import wallbox


class Bus:
    """The devices' end of a pseudo-terminal: each answers requests to its own unit."""

    def __init__(self, devices: dict[int, EmulatedDevice]) -> None:
        self._devices = devices
        self.near, far = os.openpty()
        tty.setraw(self.near)
        self.path = os.ttyname(far)
        self._far = far
        self.peer = "bus"
        self._arrived: asyncio.Queue[bytes] = asyncio.Queue()
        asyncio.get_running_loop().add_reader(self.near, self._read)

    def _read(self) -> None:
        try:
            self._arrived.put_nowait(os.read(self.near, 4096))
        except OSError:
            self._arrived.put_nowait(b"")

    async def read(self) -> bytes:
        return await self._arrived.get()

    async def write(self, data: bytes) -> None:
        os.write(self.near, data)

    async def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.near)
        os.close(self.near)
        os.close(self._far)

    async def handle(self, request: Request) -> Answer:
        device = self._devices.get(request.unit)
        return NoAnswer("no such unit") if device is None else await device.handle(request)


async def test_a_discharge_over_a_serial_line_that_a_meter_shares() -> None:
    clock, broker = RealClock(), MemoryBroker()
    box, plant = wallbox(shipped("ambibox").changed(unit=7), clock)
    measured = Measurements({Meaning.POWER_W: lambda at: 1500.0 + plant.stage.reading(at).ac_power_w})
    meter = sunspec_device(shipped("sunspec-meter").changed(unit=3), [1, 203], measured, clock)
    bus = Bus({7: box, 3: meter})
    serving = asyncio.create_task(serve(bus, bus.handle, Framing.RTU))
    line = {"serial": bus.path, "baud": 19200, "parity": "even"}
    table: dict[str, Any] = {
        "site": {"id": "home"},
        "store": {"url": "memory:"},
        "ocpp": {"security_profile": 0},
        "evses": [{"id": "BAY", "driver": "modbus", "product": "ambibox", "unit": 7, **line}],
        "meters": [{"product": "sunspec", "unit": 3, **line}],
    }
    parts = Parts(connect=lambda will: broker.client("gw", will=will), listen=False)
    async with gateway(from_table(table), parts) as running, asyncio.timeout(30):
        while (
            not running.service.is_connected("BAY") or running.service.site_state().inputs["grid"].freshness != "fresh"
        ):
            await clock.sleep(0.02)
        with pytest.raises(OSError, match="another program uses the port"):
            SerialPort(SerialSettings(bus.path))
        order = json.dumps({"id": "c1", "source": "test", "power_w": 3000, "lease_s": 60}).encode()
        result = await running.service.submit(Submission("BAY", "discharge", order, Channel.MQTT))
        assert result.status is Status.ACCEPTED
        while abs(plant.stage.reading(clock.now()).ac_power_w + 3000) > 5:
            await clock.sleep(0.02)
    assert box.violations == meter.violations == []
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    await bus.close()


async def test_a_port_that_is_none(tmp_path: Any) -> None:
    with pytest.raises(FileNotFoundError):
        SerialPort(SerialSettings(str(tmp_path / "ttyUSB0")))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="not a serial port"):
        SerialPort(SerialSettings(str(tmp_path / "file")))


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({}, "set either address or serial"),
        ({"address": "192.0.2.1", "serial": "/dev/ttyUSB0"}, "set either address or serial"),
        ({"address": "192.0.2.1", "baud": 9600}, "are those of serial"),
        ({"serial": "/dev/ttyUSB0", "baud": 9601}, "baud"),
    ],
)
def test_wrong_settings_of_a_line(keys: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        from_table({"meters": [{"product": "sunspec", **keys}]})
