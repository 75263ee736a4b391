"""A site around a running gateway, in virtual time: base load, chargers that lag and ramp, a meter that is late."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway.bench.plain_station import PlainStations
from gateway.control.setpoint import RESPONSE_S
from gateway.energy.settings import EnergySection
from gateway.model.moment import rfc3339
from gateway.model.site import STALE_AFTER_S, InputKind, SitePolicy
from gateway.model.station import Answer, Outcome
from tests.gateway.commands.rig import UNMANAGED, ServiceRig, service_rig

STEP_S = 0.25
TOLERANCE_W = 60.0


@dataclass(frozen=True, slots=True)
class Timing:
    """Delays of the loop. `stamped`: the readings carry the time of measurement, else the time of publication."""

    meter_delay_s: float = 0.0
    meter_period_s: float = 1.0
    stamped: bool = False
    charger_delay_s: float = 0.0
    charger_w_per_s: float = 1e6
    evse_meter_s: float = 1.0

    def slowest_s(self, change_w: float) -> float:
        """Return how long a site above its limit may remain there: until it is measured, and the chargers follow.

        A load that changes while EVSEs move shows in full only when they have arrived. EVSEs that seldom report leave
        that open meanwhile.
        """
        moving_s = self.charger_delay_s + change_w / self.charger_w_per_s
        open_s = RESPONSE_S + self.evse_meter_s if self.evse_meter_s > 1.0 else moving_s
        return self.meter_delay_s + self.meter_period_s + moving_s + open_s + 4 * STEP_S + 1.0


@dataclass
class Moment:
    """The site at one moment."""

    at: float
    base_w: float
    evses_w: float
    orders: tuple[float, ...]

    @property
    def grid_w(self) -> float:
        return self.base_w + self.evses_w


@dataclass
class Plant:
    """Station backend of lagging chargers, and the facility that reports the grid meter."""

    rig: ServiceRig
    timing: Timing
    base_w: Callable[[float], float]
    began: float
    loads: bool = False  # the facility reports the load, too
    spikes: dict[int, float] = field(default_factory=dict)  # number of the reading: wrong power
    trace: list[Moment] = field(default_factory=list)
    _pending: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    _target: dict[str, float] = field(default_factory=dict)

    @property
    def stations(self) -> PlainStations:
        return self.rig.stations

    def elapsed(self) -> float:
        return self.rig.clock.now() - self.began

    # station backend --------------------------------------------------------------------------------------------------

    def reaches(self, evse: str) -> bool:
        return self.stations.reaches(evse)

    async def reconcile(self, evse: str) -> float | None:
        return self._target.get(evse, 0.0)

    async def set_power(self, evse: str, power_w: float, valid_for_s: float) -> Outcome:
        now = self.rig.clock.now()
        self._pending.setdefault(evse, []).append((now + self.timing.charger_delay_s, power_w))
        self.stations.evses[evse].until = now + valid_for_s + 60.0
        return Outcome(Answer.APPLIED)

    # the site ---------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        next_meter = next_evse_meter = 0.0
        readings = 0
        while True:
            self._move()
            elapsed = self.elapsed()
            orders = tuple(self.rig.evse(evse).setpoint.sent_w or 0.0 for evse in self.stations.evses)
            evses_w = sum(held.power_w for held in self.stations.evses.values())
            self.trace.append(Moment(elapsed, self.base_w(elapsed), evses_w, orders))
            if elapsed >= next_evse_meter:
                next_evse_meter += self.timing.evse_meter_s
                for evse in self.stations.evses:
                    self.stations.meter(evse)
            if elapsed >= next_meter:
                next_meter += self.timing.meter_period_s
                self._report(self.spikes.get(readings))
                readings += 1
            await self.rig.clock.sleep(STEP_S)

    def _move(self) -> None:
        """Move each charger towards the order that has reached it."""
        now = self.rig.clock.now()
        for evse, held in self.stations.evses.items():
            for at, power_w in list(self._pending.get(evse, [])):
                if at <= now:
                    self._target[evse] = power_w
                    self._pending[evse].remove((at, power_w))
            most_w = self.timing.charger_w_per_s * STEP_S
            change_w = self._target.get(evse, 0.0) - held.power_w
            held.power_w += max(-most_w, min(most_w, change_w))

    def _report(self, wrong_w: float | None) -> None:
        ago_s = self.timing.meter_delay_s
        seen = next((one for one in reversed(self.trace) if one.at <= self.elapsed() - ago_s), self.trace[0])
        wall = self.rig.clock.wall()
        stamp = wall - ago_s if self.timing.stamped else wall
        grid = {"ts": rfc3339(stamp), "present": True, "power_w": seen.grid_w if wrong_w is None else wrong_w}
        reason = self.rig.service.input("grid", json.dumps(grid).encode())
        assert reason is None, reason
        if self.loads:
            load = {"ts": rfc3339(wall), "power_w": self.base_w(self.elapsed())}
            assert self.rig.service.input("load", json.dumps(load).encode()) is None

    def since(self, elapsed: float) -> list[Moment]:
        return [one for one in self.trace if one.at >= elapsed]


@asynccontextmanager
async def plant(
    evses: int,
    policy: SitePolicy,
    timing: Timing,
    base_w: Callable[[float], float],
    energy: EnergySection = UNMANAGED,
    *,
    loads: bool = False,
) -> AsyncIterator[Plant]:
    """Run a gateway and its site."""
    names = [f"CP{number}-1" for number in range(1, evses + 1)]
    stale_after_s = STALE_AFTER_S | {InputKind.GRID: 40.0}
    async with service_rig(*names, policy=policy, energy=energy, stale_after_s=stale_after_s) as rig:
        for held in rig.stations.evses.values():
            held.seldom = True
        site = Plant(rig, timing, base_w, rig.clock.now(), loads)
        rig.backend.stations = site
        tasks = [asyncio.create_task(site.run())]
        if energy.enabled:
            tasks.append(asyncio.create_task(rig.energy_service.run()))
        try:
            yield site
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
