"""`v2x bench hosted`: time from an MQTT discharge command to the first current out, at an EVSE that the gateway hosts.

Beside it in the same run the same vehicle at a charging station behind OCPP, and a LEAF at an EVSE with CHAdeMO, whose
CAN bus is in memory. All with an MQTT broker over sockets in one process and converters of the same speed, CCS with a
charge loop of 50 ms. `first_negative_current_ms` is at the connector, the median.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import aiomqtt
from rich.console import Console

from emulators.boards.chademo import ChademoBoard
from emulators.boards.chademo_vehicle import ChademoVehicle
from emulators.boards.emulated import EmulatedBoard, EmulatedSettings
from emulators.boards.vehicle import VehicleAtBoard
from emulators.charger.hardware.power_stage import PowerStage
from emulators.demo import discharge
from emulators.demo.observer import NEGATIVE_A, SOC_PCT, Observer
from emulators.demo.timeline import Timeline
from emulators.ev.car import CCS_63, Car
from emulators.ev.profile import load
from emulators.ev.session import EvSession
from emulators.runtime.clock import RealClock
from emulators.runtime.embedded_broker import EmbeddedBroker
from emulators.runtime.memory_can import MemoryCan
from gateway.app import Gateway, Parts, gateway
from gateway.bench import first_light
from gateway.bench.measuring import Figures, p50_p99, progress, quantile
from gateway.config import Config
from gateway.drivers.secc.evse import SeccEvse
from protocols.iso15118 import io
from protocols.iso15118.iso20 import events
from protocols.ports import Clock

COMMANDS = 50
EVSE = "BAY1"
STEP_S = 0.01  # of both converters
SAMPLE_S = 0.001  # between two measurements of the current at the connector
CAR = replace(CCS_63, loop_s=first_light.LOOP_S)


async def figures(commands: int = COMMANDS) -> Figures:
    """Return the times over `commands` discharges, each from 0 W, in both ways; `ok` False where a session ended."""
    try:
        return await _measured(commands)
    except* discharge.DemoError as group:
        failed = discharge.causes(group)
    return {"ok": False, "error": failed}


async def _measured(commands: int) -> Figures:
    hosted, behind, chademo = Times(), Times(), Times()
    progress("an EVSE hosted over ISO 15118")
    async with running() as (facility, observer, stage):
        await measure(facility, observer, stage, commands, hosted)
    progress("an EVSE behind OCPP")
    observer = Observer(Timeline(Console(quiet=True)))
    async with discharge.running_parts(observer, car=CAR, commands_per_s=1000.0) as parts:
        parts.stage.step_s = STEP_S
        await measure(parts.facility, observer, parts.stage, commands, behind)
    progress("an EVSE hosted over CHAdeMO")
    async with running_chademo() as (facility, stage):
        await measure(facility, None, stage, commands, chademo)
    return {
        "commands": commands,
        **hosted.row(),
        "behind_ocpp": behind.row(),
        "chademo": chademo.row(),
        "charge_loop_s": first_light.LOOP_S,
    }


@dataclass
class Times:
    """Times in ms since the commands."""

    connector: list[float] = field(default_factory=list)  # first current out, at the connector
    vehicle: list[float] = field(default_factory=list)  # the same in the vehicle's charge loop

    def row(self) -> Figures:
        """Return the members of the result."""
        found: Figures = {
            "first_negative_current_ms": quantile(self.connector, 0.5, 2),
            "command_to_current_at_connector_ms": p50_p99(self.connector, 2),
        }
        if self.vehicle:
            found["command_to_current_in_charge_loop_ms"] = p50_p99(self.vehicle, 2)
        return found


async def measure(
    facility: discharge.Facility, observer: Observer | None, stage: PowerStage, commands: int, times: Times
) -> None:
    """Add the times of some discharges at a facility; `observer`: of the charge loop, None without one."""
    clock = RealClock()
    await facility.until("a session that can discharge", lambda: discharge.ready(facility.state))
    for number in range(commands):
        name = f"bench-{number}"
        began = time.perf_counter()
        if observer is not None:
            observer.commanded_at, observer.figures.first_negative_current_ms = began, None
        await facility.command("discharge", id=name, power_w=first_light.POWER_W, lease_s=first_light.LEASE_S)
        while stage.reading(clock.now()).current_a > NEGATIVE_A:
            await asyncio.sleep(SAMPLE_S)
            if time.perf_counter() - began > discharge.STEP_WITHIN_S:
                raise discharge.DemoError("timeout: no current at the connector")
        times.connector.append((time.perf_counter() - began) * 1000)
        if observer is not None:
            figures = observer.figures
            await facility.until("current in the charge loop", lambda: figures.first_negative_current_ms)  # noqa: B023
            times.vehicle.append(figures.first_negative_current_ms or 0.0)
        await facility.result(name, "accepted", "clamped")
        await facility.command("stop", id=f"{name}-stop")
        if observer is not None:
            await facility.until("no current", lambda: observer.current_a > NEGATIVE_A)
        while stage.reading(clock.now()).current_a <= NEGATIVE_A:  # noqa: ASYNC110 - it is measured
            await asyncio.sleep(SAMPLE_S)


def text(found: Figures) -> Iterator[str]:
    """Yield one line for each figure."""
    return (f"{name:>32}  {row}" for name, row in found.items())


@asynccontextmanager
async def running() -> AsyncIterator[tuple[discharge.Facility, Observer, PowerStage]]:
    """Run broker, gateway with a hosted EVSE, vehicle and facility while the context is entered."""
    clock, boards, observer = RealClock(), list[EmulatedBoard](), Observer(Timeline(Console(quiet=True)))

    def board(of_gateway: Clock) -> EmulatedBoard:
        made = EmulatedBoard(EmulatedSettings(), of_gateway)
        made.hardware.stage.step_s = STEP_S
        boards.append(made)
        return made

    async with (
        EmbeddedBroker() as broker,
        gateway(configuration(broker.url), Parts(boards={EVSE: board})) as found,
        _client(broker.url) as client,
        asyncio.TaskGroup() as tasks,
    ):
        facility = discharge.Facility(client, observer, EVSE)
        listening = tasks.create_task(facility.listen())
        await facility.until("the EVSE", lambda: facility.state.get("connection") == "connected")
        vehicle = VehicleAtBoard(boards[0].hardware, clock, boards[0].wake)
        car = Car(CAR, soc_pct=SOC_PCT)
        vehicle.plug(car)
        session = EvSession(car, clock, _both(vehicle.observe, observer.car))
        wire = await io.connect(discharge.LOOPBACK, _port(found))
        driving = tasks.create_task(session.run(wire))
        try:
            yield facility, observer, boards[0].hardware.stage
        finally:
            await session.unplug()
            await asyncio.wait({driving}, timeout=5.0)
            vehicle.unplug()
            listening.cancel()


@asynccontextmanager
async def running_chademo() -> AsyncIterator[tuple[discharge.Facility, PowerStage]]:
    """Run broker, gateway with a hosted CHAdeMO EVSE, LEAF and facility while the context is entered."""
    can, boards, observer = MemoryCan(), list[ChademoBoard](), Observer(Timeline(Console(quiet=True)))

    def board(of_gateway: Clock) -> ChademoBoard:
        made = ChademoBoard(EmulatedSettings(), of_gateway)
        made.plug.stage.step_s = STEP_S
        boards.append(made)
        return made

    evse = {"id": EVSE, "driver": "chademo", "board": "emulated-chademo", "can": "memory:bench"}
    async with (
        EmbeddedBroker() as broker,
        gateway(configuration(broker.url, evse), Parts(boards={EVSE: board}, buses={EVSE: can.port})),
        _client(broker.url) as client,
        asyncio.TaskGroup() as tasks,
    ):
        facility = discharge.Facility(client, observer, EVSE)
        listening = tasks.create_task(facility.listen())
        await facility.until("the EVSE", lambda: facility.state.get("connection") == "connected")
        vehicle = ChademoVehicle.at(boards[0], Car(load("leaf-40"), soc_pct=SOC_PCT), can.port())
        driving = tasks.create_task(vehicle.run())
        vehicle.plug()
        try:
            yield facility, boards[0].plug.stage
        finally:
            driving.cancel()
            listening.cancel()


SECC = {"id": EVSE, "driver": "secc", "board": "emulated", "listen": f"{discharge.LOOPBACK}:0"}


def configuration(broker_url: str, evse: Mapping[str, object] = SECC) -> Config:
    """Return the configuration of a gateway that hosts one EVSE."""
    return Config.model_validate(
        {
            "site": {"id": discharge.SITE, "min_soc_pct": 30},
            "mqtt": {"url": broker_url, "gateway_id": "bench"},
            "ocpp": {"listen": f"{discharge.LOOPBACK}:0", "security_profile": 0},
            "evses": [dict(evse)],
            "commands": {"evse_rate_per_s": 1000.0, "source_rate_per_s": 1000.0},
            "store": {"url": "memory:"},
        }
    )


@asynccontextmanager
async def _client(broker_url: str) -> AsyncIterator[aiomqtt.Client]:
    address, options = urlsplit(broker_url), discharge.NO_DELAY
    host, port = address.hostname or discharge.LOOPBACK, address.port or 1883
    async with aiomqtt.Client(host, port, identifier="facility", socket_options=options) as client:
        yield client


def _both(*observers: Callable[[events.Event], None]) -> Callable[[events.Event], None]:
    def observe(event: events.Event) -> None:
        for one in observers:
            one(event)

    return observe


def _port(found: Gateway) -> int:
    evse = found.hosted.by_name[EVSE]
    assert isinstance(evse, SeccEvse)
    return evse.port
