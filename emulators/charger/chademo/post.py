"""An emulated charger with CHAdeMO on a CAN bus: the charger engine over the DC side.

The vehicle is on the same bus, with the lines of its plug (`emulators/runtime/plug_lines.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf

from emulators.battery.pack import current_of
from emulators.charger.chademo.dc_side import DcSide
from emulators.runtime.plug_lines import (
    GONE_S,
    REPEAT_S,
    ChargerLines,
    LineBus,
    Lines,
    VehicleLines,
    encode,
    run_with_lines,
)
from protocols.chademo.charger import Charger
from protocols.chademo.charger_session import ChargerInputs, ChargerOrder, ChargerSettings
from protocols.chademo.events import Event
from protocols.chademo.io import Connection
from protocols.dc_modules.bus import CanBus
from protocols.ports import Clock


@dataclass(slots=True)
class RemoteBattery:
    """Battery of a vehicle in another process, as its lines state it. Its limits are in the frames of the vehicle."""

    rest_v: float = 0.0
    resistance_ohm: float = 0.1
    soc_pct: float = 50.0
    current_a: float = 0.0  # of the last flow

    @property
    def voltage_v(self) -> float:
        """Voltage at the terminals with the last current."""
        return self.rest_v + self.current_a * self.resistance_ohm

    def max_charge_a(self) -> float:
        return inf

    def max_discharge_a(self) -> float:
        return inf

    def current_for(self, power_w: float) -> float:
        """Return the current of a power at the terminals."""
        return current_of(power_w, self.rest_v, self.resistance_ohm) if self.rest_v else 0.0

    def flow(self, current_a: float, seconds: float) -> float:
        """Return the energy at the terminals, Wh; the vehicle accounts its own."""
        self.current_a = current_a
        return current_a * self.voltage_v * seconds / 3600


class ChademoPost:
    """One charger with one plug. `engine` and `dc` are by default new ones without a station."""

    def __init__(
        self,
        bus: CanBus,
        clock: Clock,
        settings: ChargerSettings | None = None,
        report: Callable[[Event], None] | None = None,
        *,
        engine: Charger | None = None,
        dc: DcSide[RemoteBattery] | None = None,
    ) -> None:
        self.engine = engine or Charger(settings)
        self.dc: DcSide[RemoteBattery] = dc or DcSide(RemoteBattery())
        self.vehicle = VehicleLines()
        self._clock = clock
        self._report = report
        self._bus = LineBus(bus, self._received)
        self._vehicle_at = float("-inf")
        self._at = clock.now()
        self._sent: tuple[ChargerLines, float] | None = None
        self._connection: Connection[ChargerOrder] = Connection(self.engine, self._bus, clock, self._handle)

    async def run(self) -> None:
        """Run until it is cancelled or the bus is lost (ConnectionError)."""
        await run_with_lines(self._connection.run(), self._update, self._clock)

    def order(self, order: ChargerOrder) -> None:
        """Pass an order to the engine. Raises LocalProtocolError if it does not fit the state."""
        self._connection.command(self._inputs())
        self._connection.command(order)

    @property
    def plugged(self) -> bool:
        """A vehicle is at the plug."""
        return self._clock.now() - self._vehicle_at < GONE_S

    async def _update(self) -> None:
        """Move the DC side, pass lines and measurements to the engine, send the own lines."""
        now = self._clock.now()
        vehicle = self.vehicle if self.plugged else VehicleLines()
        self.dc.pack.rest_v, self.dc.pack.resistance_ohm = vehicle.rest_v, vehicle.resistance_ohm
        self.dc.advance(self.engine.outputs, vehicle.closed, now - self._at)
        self._at = now
        self._connection.command(self._inputs())
        outputs = self.engine.outputs
        lines = ChargerLines(outputs.d1, outputs.d2, round(self.dc.voltage_v, 1), round(self.dc.current_a, 1))
        if self._sent is None or self._sent[0] != lines or now - self._sent[1] >= REPEAT_S:
            self._sent = lines, now
            with suppress(ConnectionError):  # the connection reports it
                await self._bus.send(encode(lines))

    def _inputs(self) -> ChargerInputs:
        dc, plugged = self.dc, self.plugged
        return ChargerInputs(
            plugged=plugged,
            k=plugged and self.vehicle.k,
            locked=dc.locked,
            voltage_v=round(dc.voltage_v, 1),
            current_a=round(dc.current_a, 1),
            insulation_ohm=dc.measured_insulation_ohm,
        )

    def _received(self, lines: Lines) -> None:
        if isinstance(lines, VehicleLines):
            self.vehicle, self._vehicle_at = lines, self._clock.now()

    def _handle(self, events: Sequence[Event]) -> None:
        if self._report is not None:
            for event in events:
                self._report(event)
