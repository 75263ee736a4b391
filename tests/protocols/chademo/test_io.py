"""Connections: both engines on a bus in memory in virtual time, and over python-can between two buses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from emulators.runtime.clock import RealClock, VirtualClock
from emulators.runtime.memory_can import MemoryCan
from protocols.can import CanFrame
from protocols.chademo.charger import Charger
from protocols.chademo.charger_session import ChargerInputs, Start
from protocols.chademo.events import Event
from protocols.chademo.io import Connection
from protocols.chademo.profile import PROFILES
from protocols.chademo.states import ChargerState, VehicleState
from protocols.chademo.vehicle import Vehicle
from protocols.chademo.vehicle_session import VehicleInputs
from protocols.dc_modules.bus import CanBus
from protocols.errors import LocalProtocolError
from protocols.ports import Clock


class VehicleHost:
    """Host of a vehicle: its contactors follow the engine, its lines are those of the charger of the test."""

    def __init__(self, bus: CanBus, clock: Clock, lines: dict[str, bool]) -> None:
        self.engine = Vehicle(replace(PROFILES["strict"], permitted_after=0.3, close_after=0.1, request_after=0.1))
        self.connection = Connection(self.engine, bus, clock, self.report)
        self.lines = lines
        self.inputs = VehicleInputs()

    def report(self, events: Sequence[Event]) -> None:
        """Pass changed lines back to the engine."""
        self.lines["k"] = self.engine.outputs.k

    def sense(self) -> None:
        """Pass the lines to the engine."""
        battery = replace(self.inputs.battery, max_charge_a=10, max_discharge_a=10)
        closed = self.engine.outputs.contactors
        self.inputs = replace(
            self.inputs, plugged=True, d1=self.lines["d1"], d2=self.lines["d2"], contactors_closed=closed,
            inlet_v=370.0 if closed else 0.0, battery=battery,
        )  # fmt: skip
        self.lines["closed"] = closed
        self.connection.command(self.inputs)


async def session(vehicle_bus: CanBus, charger_bus: CanBus, clock: Clock) -> tuple[ChargerState, VehicleState]:
    """Run a session to power, and return the states."""
    lines = {"k": False, "d1": False, "d2": False, "closed": False}
    vehicle = VehicleHost(vehicle_bus, clock, lines)
    charger = Charger()
    connection = Connection(charger, charger_bus, clock, lambda events: None)
    runs = [asyncio.ensure_future(vehicle.connection.run()), asyncio.ensure_future(connection.run())]
    connection.command(ChargerInputs(plugged=True))
    connection.command(Start())
    for _ in range(300):
        await clock.sleep(0.02)
        outputs = charger.outputs
        lines |= {"d1": outputs.d1, "d2": outputs.d2}
        vehicle.sense()
        voltage = 370.0 if lines["closed"] else outputs.test_v
        tested = charger.session.tested_at is not None or outputs.test_v > 0
        inputs = ChargerInputs(plugged=True, k=lines["k"], locked=outputs.lock, voltage_v=voltage)
        connection.command(replace(inputs, insulation_ohm=1e6 if tested else None))
        if charger.state is ChargerState.POWER:
            break
    for run in runs:
        run.cancel()
    await asyncio.gather(*runs, return_exceptions=True)
    return charger.state, vehicle.engine.state


@pytest.mark.virtual_time
async def test_a_session_on_a_bus_in_memory() -> None:
    bus = MemoryCan()
    ended = await session(bus.port(), bus.port(), VirtualClock())
    assert ended == (ChargerState.POWER, VehicleState.POWER)


@pytest.mark.parametrize("channel", ["memory:chademo", "udp:239.74.163.58"])
async def test_a_session_over_python_can(channel: str) -> None:
    pytest.importorskip("can")
    from protocols.dc_modules.io import open_bus

    try:
        buses = open_bus(channel), open_bus(channel)
    except ConnectionError as error:
        pytest.skip(str(error))
    assert await session(*buses, RealClock()) == (ChargerState.POWER, VehicleState.POWER)


@pytest.mark.virtual_time
async def test_foreign_frames_are_counted_and_a_lost_bus_ends_the_connection() -> None:
    bus, clock = MemoryCan(), VirtualClock()
    other = bus.port()
    connection = Connection(Charger(), bus.port(), clock, lambda events: None)
    run = asyncio.ensure_future(connection.run())
    for frame in (CanFrame(0x555, b""), CanFrame(0x102, bytes(8), extended=True), CanFrame(0x102, bytes(2))):
        await other.send(frame)
    await clock.sleep(0.1)
    assert connection.foreign == 2
    with pytest.raises(LocalProtocolError, match="without a plug"):
        connection.command(Start())
    connection.command(ChargerInputs(plugged=True))
    connection.command(Start())
    for _ in range(5):
        for can_id in (0x100, 0x101, 0x102):
            await other.send(CanFrame(can_id, bytes(8)))
        await clock.sleep(0.1)
    bus.down = True
    with pytest.raises(ConnectionError, match="the bus is down"):
        await asyncio.wait_for(run, 5)
