"""Both sides of a CHAdeMO connection in one process, in virtual time: engines, lines and the DC side.

A `carry` function can delay, repeat, damage or lose frames; overrides of the inputs set what sensors report.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from emulators.battery.pack import Pack
from emulators.charger.chademo.dc_side import DcSide
from protocols.can import CanFrame
from protocols.chademo.charger import Charger
from protocols.chademo.charger_session import ChargerInputs, ChargerOrder, ChargerOutputs
from protocols.chademo.events import Event
from protocols.chademo.stops import Cause
from protocols.chademo.vehicle import Vehicle
from protocols.chademo.vehicle_session import Battery, VehicleInputs, VehicleOrder

OFFSET = 0.03  # s between the cycles of both sides
TICK = 0.05  # s, longest step while lines and voltages move

# maps (sender, frame) to its deliveries: (delay in s, frame) each; [] loses it
Carry = Callable[[str, CanFrame], Iterable[tuple[float, CanFrame]]]


@dataclass(slots=True)
class Conditions:
    """Inputs that a test sets besides the physics."""

    plugged: bool = True
    parked: bool = True
    malfunction: str = ""
    earth_fault: bool = False
    protective_earth: bool = True
    k_broken: bool = False  # the charger does not see k
    d2_broken: bool = False  # the vehicle does not see d2
    max_charge_a: float = 100.0  # of the battery
    max_discharge_a: float = 100.0
    faults: frozenset[Cause] = frozenset()
    vehicle_voltage_v: float | None = None  # what the vehicle measures
    charger_voltage_v: float | None = None  # what the charger measures
    soc_pct: float | None = None  # what the vehicle reports


@dataclass
class Pair:
    """A charger and a vehicle. `log` has the events of both with time and side."""

    charger: Charger
    vehicle: Vehicle
    dc: DcSide[Pack]
    carry: Carry | None = None
    conditions: Conditions = field(default_factory=Conditions)
    now: float = 0.0
    log: list[tuple[float, str, Event]] = field(default_factory=list)
    frames: list[tuple[float, CanFrame]] | None = None  # recording, if a list
    on_step: Callable[[Pair], None] | None = None
    _in_flight: list[tuple[float, int, str, CanFrame]] = field(default_factory=list)
    _number: count[int] = field(default_factory=count)
    _charger_inputs: ChargerInputs = field(default_factory=ChargerInputs)
    _vehicle_inputs: VehicleInputs = field(default_factory=VehicleInputs)
    _seen: tuple[object, ...] = ()
    _state: Conditions = field(default_factory=Conditions)

    @classmethod
    def of(cls, charger: Charger, vehicle: Vehicle, pack: Pack) -> Pair:
        """Return a pair with a plug and lines at rest."""
        pair = cls(charger, vehicle, DcSide(pack))
        pair.refresh()
        return pair

    def refresh(self) -> None:
        """Pass lines and measurements to both engines now, if they have changed."""
        self._sense()

    def order(self, order: ChargerOrder) -> None:
        """Pass an order to the charger now."""
        self._note("charger", self.charger.command(order, self.now))
        self._sense()

    def order_vehicle(self, order: VehicleOrder) -> None:
        """Pass an order to the vehicle now."""
        self._note("vehicle", self.vehicle.command(order, self.now))
        self._sense()

    def run(self, seconds: float, until: Callable[[Pair], bool] | None = None) -> bool:
        """Simulate some time, or until a condition holds; return whether it did."""
        end = self.now + seconds
        while self.now < end - 1e-9:
            if until is not None and until(self):
                return True
            self._step(end)
        return until is not None and until(self)

    def skip_to(self, now: float) -> None:
        """Continue at a later time, as if both sides had repeated their last frames until then."""
        for engine in (self.charger, self.vehicle):
            engine.skip(now - self.now)
        self._in_flight.clear()  # they repeat what has arrived
        self.now = now
        self._sense()

    def _step(self, end: float) -> None:
        times = [end, self.now + TICK]
        if self._in_flight:
            times.append(self._in_flight[0][0])
        times.extend(when for when in (self.charger.deadline(), self.vehicle.deadline()) if when is not None)
        then = max(min(times), self.now)
        if then > self.now:
            self.dc.advance(self.charger.outputs, self.vehicle.outputs.contactors, then - self.now)
        self.now = then
        self._sense()
        while self._in_flight and self._in_flight[0][0] <= then + 1e-9:
            _, _, sender, frame = heapq.heappop(self._in_flight)
            if sender == "vehicle":
                self._note("charger", self.charger.receive(frame, then))
            else:
                self._note("vehicle", self.vehicle.receive(frame, then))
        self._note("charger", self.charger.expire(then))
        self._note("vehicle", self.vehicle.expire(then))
        self._send("charger", self.charger.data_to_send(), OFFSET)
        self._send("vehicle", self.vehicle.data_to_send(), 0.002)
        if self.on_step is not None:
            self.on_step(self)

    def _send(self, sender: str, frames: Iterable[CanFrame], delay: float) -> None:
        for frame in frames:
            if self.frames is not None:
                self.frames.append((self.now, frame))
            carried = ((0.0, frame),) if self.carry is None else self.carry(sender, frame)
            for late, arriving in carried:
                heapq.heappush(self._in_flight, (self.now + delay + late, next(self._number), sender, arriving))

    def _note(self, side: str, events: Sequence[Event]) -> None:
        if events:
            self.log.extend((self.now, side, event) for event in events)

    def _sense(self) -> None:
        """Pass lines and measurements to both engines, if they have changed."""
        while True:
            outputs, lines = self.charger.outputs, self.vehicle.outputs
            dc, state = self.dc, self.conditions
            seen = (
                (outputs.d1, outputs.d2, outputs.lock, lines, dc.locked, dc.closed, dc.measured_insulation_ohm),
                (round(dc.voltage_v, 1), round(dc.current_a, 1), round(dc.pack.soc_pct, 1)),
            )
            if state != self._state:
                self._state = replace(state)
            elif seen == self._seen:
                return
            self._seen = seen
            self._sense_charger(lines.k)
            self._sense_vehicle(outputs)

    def _sense_charger(self, k: bool) -> None:
        dc, state = self.dc, self.conditions
        inputs = ChargerInputs(
            plugged=state.plugged,
            k=k and not state.k_broken,
            locked=dc.locked,
            voltage_v=round(dc.voltage_v if state.charger_voltage_v is None else state.charger_voltage_v, 1),
            current_a=round(dc.current_a, 1),
            insulation_ohm=dc.measured_insulation_ohm,
            protective_earth=state.protective_earth,
            earth_fault=state.earth_fault,
            malfunction=state.malfunction,
        )
        if inputs != self._charger_inputs:
            self._charger_inputs = inputs
            self._note("charger", self.charger.command(inputs, self.now))

    def _sense_vehicle(self, outputs: ChargerOutputs) -> None:
        dc, state = self.dc, self.conditions
        pack = dc.pack
        voltage = pack.voltage_v if state.vehicle_voltage_v is None else state.vehicle_voltage_v
        inputs = VehicleInputs(
            plugged=state.plugged,
            d1=outputs.d1 and state.plugged,
            d2=outputs.d2 and state.plugged and not state.d2_broken,
            inlet_v=round(dc.voltage_v, 1),
            current_a=round(dc.current_a, 1),
            contactors_closed=dc.closed,
            parked=state.parked,
            battery=Battery(
                voltage_v=round(voltage, 1),
                soc_pct=round(pack.soc_pct if state.soc_pct is None else state.soc_pct, 1),
                max_charge_a=min(state.max_charge_a, pack.max_charge_a()),
                max_discharge_a=min(state.max_discharge_a, pack.max_discharge_a()),
                faults=state.faults,
            ),
        )
        if inputs != self._vehicle_inputs:
            self._vehicle_inputs = inputs
            self._note("vehicle", self.vehicle.command(inputs, self.now))
