"""One session of an emulated charger with the vehicle on a CAN bus, without a station: for a vehicle under test.

The session begins when a vehicle is at the plug, and the charger ends it after a time with power.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from emulators.charger.chademo.post import ChademoPost
from emulators.ev.report import Reporter
from protocols.chademo.charger_session import ChargerSettings, SetCurrent, Start, StopSession
from protocols.chademo.events import Event, SessionEnded
from protocols.chademo.states import ChargerState
from protocols.dc_modules.bus import CanBus
from protocols.ports import Clock

WATCH_S = 0.2  # between two checks of the power
CYCLES_PER_S = 10
AT_REST = (ChargerState.IDLE, ChargerState.FAULT)


@dataclass(frozen=True, slots=True)
class ChargerOptions:
    """Options of a session. `power_w`: into the vehicle, negative discharges; `loops`: cycles of 100 ms with power."""

    power_w: float = -3_000.0
    loops: int = 100
    max_charge_a: int = 30
    max_discharge_a: int = 15
    v2h: bool = True

    @property
    def settings(self) -> ChargerSettings:
        """Settings of the charger engine."""
        return ChargerSettings(max_charge_a=self.max_charge_a, max_discharge_a=self.max_discharge_a, v2h=self.v2h)


class ChargerRun:
    """A charger for one session. `met`: a vehicle has been at the plug, which means that it sent its lines."""

    def __init__(self, bus: CanBus, options: ChargerOptions, reporter: Reporter, clock: Clock) -> None:
        self._options, self._reporter, self._clock = options, reporter, clock
        self._post = ChademoPost(bus, clock, options.settings, report=self._on_event)
        self._ended: SessionEnded | None = None
        self.met = False

    @property
    def state(self) -> ChargerState:
        """State of the charger."""
        return self._post.engine.state

    async def run(self) -> int:
        """Serve one vehicle; return 0 if its session ended well. Waits for a vehicle without limit."""
        running = asyncio.ensure_future(self._post.run())
        try:
            while not running.done() and not self.met:
                await self._clock.sleep(WATCH_S)
                self.met = self._post.plugged
            if self.met:
                self._post.order(Start())
            await self._supply(running)
        finally:
            running.cancel()
            lost = (await asyncio.gather(running, return_exceptions=True))[0]
        ok = self._ended is not None and self._ended.ok
        reason = self._ended.stop.text if self._ended is not None else f"{lost}" or "interrupted"
        dc = self._post.dc
        energy = {"energy_in_wh": round(dc.energy_in_wh, 3), "energy_out_wh": round(dc.energy_out_wh, 3)}
        self._reporter.write_record("Summary", {"ok": ok, "reason": reason, **energy})
        return 0 if ok else 1

    async def _supply(self, running: asyncio.Future[None]) -> None:
        """Set the current of the power while power can flow; stop after the cycles, until the plug is released."""
        post, powered_s = self._post, 0.0
        while not running.done() and (self._ended is None or self.state not in AT_REST):
            await self._clock.sleep(WATCH_S)
            if self.state is not ChargerState.POWER:
                continue
            dc = post.dc
            powered_s += WATCH_S
            if powered_s * CYCLES_PER_S >= self._options.loops:
                post.order(StopSession(f"{self._options.loops} cycles"))
            elif dc.voltage_v:
                post.order(SetCurrent(round(self._options.power_w / dc.voltage_v, 1)))
            values = {"power_w": round(dc.voltage_v * dc.current_a), "voltage_v": dc.voltage_v}
            self._reporter.write_record("Measured", {**values, "current_a": dc.current_a})

    def _on_event(self, event: Event) -> None:
        if isinstance(event, SessionEnded):
            self._ended = event
        self._reporter(event)
