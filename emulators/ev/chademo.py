"""An emulated vehicle with CHAdeMO on a CAN bus: the vehicle engine over a `Car` with its battery.

The lines of the plug come from an emulated charger, on the same bus (`emulators/runtime/plug_lines.py`) or in the same
process (`emulators/boards/chademo_vehicle.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from emulators.ev.car import Car
from emulators.runtime.plug_lines import (
    GONE_S,
    LINES_S,
    REPEAT_S,
    ChargerLines,
    LineBus,
    Lines,
    VehicleLines,
    encode,
    run_with_lines,
)
from protocols.chademo.events import Event, SessionEnded
from protocols.chademo.io import Connection
from protocols.chademo.profile import PROFILES, VehicleProfile
from protocols.chademo.stops import Cause, Stop
from protocols.chademo.vehicle import Vehicle
from protocols.chademo.vehicle_session import Battery, ResetVehicle, StopVehicle, VehicleInputs, VehicleOrder
from protocols.dc_modules.bus import CanBus
from protocols.ports import Clock

_MODELS = {"outlander-20": "outlander"}
_CAPACITY_STEP_WH = 100


def profile_of(car: Car) -> VehicleProfile:
    """Return the CHAdeMO profile of a vehicle model, with the capacity and voltages of its pack; else `strict`."""
    name = car.spec.name
    found = PROFILES.get(_MODELS.get(name, name), PROFILES["strict"])
    capacity = round(car.spec.pack.usable_wh / _CAPACITY_STEP_WH) * _CAPACITY_STEP_WH
    return replace(found, name=name, capacity_wh=capacity)


class Plug(Protocol):
    """Wires of the plug besides the bus. `period_s`: between two updates."""

    period_s: float

    def charger(self, now: float) -> ChargerLines | None:
        """Return the lines of the charger; None without one."""

    async def update(self, lines: VehicleLines, now: float) -> None:
        """Pass on the lines of the vehicle."""

    def closed(self, ordered: bool) -> bool:
        """Return the position of the vehicle's contactors."""


class RemotePlug:
    """Plug at a charger in another process: its lines are frames on the bus."""

    period_s = LINES_S

    def __init__(self, bus: CanBus, clock: Clock) -> None:
        self.bus = LineBus(bus, self._received)
        self._clock = clock
        self._charger = ChargerLines()
        self._charger_at = float("-inf")
        self._sent: tuple[VehicleLines, float] | None = None

    def charger(self, now: float) -> ChargerLines | None:
        """Return the last lines of the charger; None after a silence."""
        return self._charger if now - self._charger_at < GONE_S else None

    def closed(self, ordered: bool) -> bool:
        """Return the position as ordered: a remote charger has no model of these contactors."""
        return ordered

    async def update(self, lines: VehicleLines, now: float) -> None:
        """Send the lines of the vehicle when they change, and repeat them."""
        if self._sent is None or self._sent[0] != lines or now - self._sent[1] >= REPEAT_S:
            self._sent = lines, now
            with suppress(ConnectionError):  # the connection of the engine reports it
                await self.bus.send(encode(lines))

    def _received(self, lines: Lines) -> None:
        if isinstance(lines, ChargerLines):
            self._charger, self._charger_at = lines, self._clock.now()


class ChademoEv:
    """One vehicle at a plug, by default at a remote one. `ended` is the stop of its last session."""

    def __init__(
        self,
        car: Car,
        bus: CanBus,
        clock: Clock,
        *,
        profile: VehicleProfile | None = None,
        report: Callable[[Event], None] | None = None,
        plug: Plug | None = None,
    ) -> None:
        self.car = car
        self.profile = profile or profile_of(car)
        self.engine = Vehicle(self.profile)
        self.charger = ChargerLines()
        self.plugged = True
        self.ended: Stop | None = None
        self.battery_faults: frozenset[Cause] = frozenset()
        self._clock = clock
        self._report = report
        if plug is None:
            plug = remote = RemotePlug(bus, clock)
            bus = remote.bus
        self._plug: Plug = plug
        self._connection: Connection[VehicleOrder] = Connection(
            self.engine, bus, clock, self._handle, spacing=self.profile.spacing
        )

    async def run(self) -> None:
        """Run until it is cancelled or the bus is lost (ConnectionError)."""
        await run_with_lines(self._connection.run(), self._update, self._clock, self._plug.period_s)

    def stop(self, detail: str = "") -> None:
        """End the session, as the driver does."""
        self.command(StopVehicle(detail))

    def command(self, order: VehicleOrder) -> None:
        """Pass an order to the engine."""
        self._connection.command(order)

    def reset(self) -> None:
        """Leave the fault state, by service."""
        self._connection.command(ResetVehicle())

    @property
    def lines(self) -> VehicleLines:
        """Lines of the vehicle now."""
        pack, outputs = self.car.pack, self.engine.outputs
        return VehicleLines(outputs.k, outputs.contactors, round(pack.rest_v, 1), round(pack.resistance_ohm, 3))

    async def _update(self) -> None:
        """Move the battery, pass lines and measurements to the engine, send the own lines."""
        now = self._clock.now()
        self.car.advance(now)
        self._connection.command(self._inputs(now))
        if self.plugged:
            await self._plug.update(self.lines, now)

    def _inputs(self, now: float) -> VehicleInputs:
        car, closed = self.car, self._plug.closed(self.engine.outputs.contactors)
        found = self._plug.charger(now) if self.plugged else None
        present, charger = found is not None, found or ChargerLines()
        self.charger = charger
        current = charger.current_a if closed else 0.0
        car.contactors_closed = closed
        car.set_current(current, now)
        limits = car.limits()
        battery = Battery(
            voltage_v=round(car.voltage_v, 1),
            soc_pct=round(car.reported_soc_pct, 1),
            max_charge_a=limits.max_charge_a,
            max_discharge_a=limits.max_discharge_a,
            faults=self.battery_faults,
        )
        return VehicleInputs(
            plugged=present,
            d1=charger.d1,
            d2=charger.d2,
            inlet_v=battery.voltage_v if closed else charger.voltage_v,
            current_a=current,
            contactors_closed=closed,
            battery=battery,
        )

    def _handle(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, SessionEnded):
                self.ended = event.stop
            if self._report is not None:
                self._report(event)
