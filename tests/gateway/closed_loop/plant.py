"""A site around a running gateway, in virtual time: base load, chargers that lag and ramp, a meter that is late."""

from __future__ import annotations

import asyncio
import json
import random
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway.authority.meter_model import OPEN_S, PUBLISHED_S
from gateway.authority.power_history import LONGEST_DELAY_S
from gateway.bench.plain_station import PlainStations
from gateway.control.setpoint import RESTS_S
from gateway.energy.settings import EnergySection
from gateway.model.message import rfc3339
from gateway.model.site import SitePolicy
from gateway.model.station import Answer, Outcome
from tests.gateway.commands.rig import UNMANAGED, ServiceRig, service_rig

STEP_S = 0.25
STALE_S = 10.0  # of an input whose period is unknown
SLACK_S = 1.0 + 4 * STEP_S  # interval of energy management, steps of the simulation
TOLERANCE_W = 60.0
STORAGE_W = 5000.0
SWING_W = 6000.0
SLOW_W_PER_S = 500.0


@dataclass(frozen=True, slots=True)
class Timing:
    """Delays of the loop. `stamped`: the readings carry the time of measurement, else the time of publication."""

    meter_delay_s: float = 0.0
    meter_period_s: float = 1.0
    stamped: bool = False
    charger_delay_s: float = 0.0
    charger_w_per_s: float = 1e6
    evse_meter_s: float = 1.0

    @property
    def known_delay(self) -> bool:
        """True where the readings show when they were measured: the time stamp is not that of the publication."""
        return self.stamped and self.meter_delay_s >= PUBLISHED_S

    @property
    def shown_s(self) -> float:
        """Return the longest time after which a reading shows a load."""
        return self.meter_delay_s + self.meter_period_s

    def allowed_s(self, swing_w: float) -> float:
        """Return how long a limit may be exceeded: one period and delay of the meter, one delay and ramp of a charger.

        `swing_w`: the most that the power of one EVSE moves meanwhile. Nobody can react to a load before the meter has
        shown it, nor faster than the charger.
        """
        return self.shown_s + self._moving_s(swing_w) + SLACK_S

    def hidden_s(self, swing_w: float) -> float:
        """Return how much longer a limit may be exceeded by a load that changes while controlled power moves.

        Where the delay of the meter is unknown, a reading may be as old as `LONGEST_DELAY_S`, and the movement explains
        it as well as the load does. The load is proven by the first reading after the movement has ended, its end was
        measured at the EVSE, and the longest delay has passed. Until then to react to it would be to react to the own
        movement, which is a cycle wherever the load has not changed.
        """
        unknown_s = 0.0 if self.known_delay else LONGEST_DELAY_S - self.meter_delay_s
        return unknown_s + self.evse_meter_s + self.meter_period_s + self._moving_s(swing_w)

    @property
    def learning_s(self) -> float:
        """Return how much longer a limit may be exceeded at the start, until three readings show a long period."""
        return 2 * self.meter_period_s if self.shown_s > STALE_S else 0.0

    @property
    def delivery_s(self) -> float:
        """Return how much longer a limit may be exceeded by a charger that delivers another power than ordered.

        Two readings of its meter show that its power rests there, `RESTS_S` after the order at the earliest; the order
        that corrects it is carried out as late as any.
        """
        return RESTS_S + 2 * self.evse_meter_s + self._moving_s(0.0)

    def _moving_s(self, swing_w: float) -> float:
        return self.charger_delay_s + swing_w / self.charger_w_per_s

    @property
    def settles_s(self) -> float:
        """Return the time to rest: the load is measured, power is cut, measured at the EVSE and, however late, at the
        grid, released when a second reading confirms it.

        A cut that readings without a time stamp do not explain is held for `OPEN_S`. A charger slower than
        `SLOW_W_PER_S` has the time of its ramp besides the minute.
        """
        moving_s = self.charger_delay_s + SWING_W / self.charger_w_per_s
        measured_s = self.meter_delay_s + 3 * self.meter_period_s + self.evse_meter_s + LONGEST_DELAY_S
        minute_s = 60.0 + (moving_s if self.charger_w_per_s < SLOW_W_PER_S else 0.0)
        return max(minute_s, moving_s + measured_s + (0.0 if self.stamped else OPEN_S))


@dataclass
class Moment:
    """The site at one moment."""

    at: float
    base_w: float
    powers_w: tuple[float, ...]  # of each EVSE, then of the storage
    orders_w: tuple[float, ...]

    @property
    def controlled_w(self) -> float:
        return sum(self.powers_w)

    @property
    def grid_w(self) -> float:
        return self.base_w + self.controlled_w


@dataclass
class PlantStorage:
    """Storage that follows the set-point in the site's state."""

    power_w: float = 0.0
    delay_s: float = 0.5
    w_per_s: float = 5000.0
    pending: deque[tuple[float, float]] = field(default_factory=deque)  # (time at which it applies, W)
    target_w: float = 0.0

    def step(self, now: float, order_w: float) -> None:
        if order_w != (self.pending[-1][1] if self.pending else self.target_w):
            self.pending.append((now + self.delay_s, order_w))
        while self.pending and self.pending[0][0] <= now:
            self.target_w = self.pending.popleft()[1]
        most_w = self.w_per_s * STEP_S
        self.power_w += max(-most_w, min(most_w, self.target_w - self.power_w))


@dataclass
class Plant:
    """Station backend of lagging chargers, and the facility that reports the grid meter."""

    rig: ServiceRig
    timing: Timing
    base_w: Callable[[float], float]
    began: float
    loads: bool = False  # the facility reports the load, too
    storage: PlantStorage | None = None
    spikes: dict[int, float] = field(default_factory=dict)  # number of the reading: wrong power
    noise_w: float = 0.0  # most by which a reading differs from the power
    delivered: float = 1.0  # of an order
    trace: list[Moment] = field(default_factory=list)
    away: set[str] = field(default_factory=set)  # EVSEs whose station has no connection
    _valid: dict[str, float] = field(default_factory=dict)  # end of the validity of the last order
    _pending: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    _target: dict[str, float] = field(default_factory=dict)
    _random: random.Random = field(default_factory=lambda: random.Random(1))

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
        self._valid[evse] = now + valid_for_s
        return Outcome(Answer.APPLIED)

    def cut(self, evse: str) -> None:
        """Break the connection of its station, which goes on until its set-point expires."""
        self.away.add(evse)
        self.stations.disconnect(evse.rpartition("-")[0])

    def connect(self, evse: str) -> None:
        """Connect its station again."""
        self.away.discard(evse)
        self.stations.connect(evse.rpartition("-")[0], evse)

    # the site ---------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        next_meter = next_evse_meter = 0.0
        readings = 0
        while True:
            self._move()
            elapsed = self.elapsed()
            orders = [self.rig.evse(evse).setpoint.sent_w or 0.0 for evse in self.stations.evses]
            powers = [held.power_w for held in self.stations.evses.values()]
            if self.storage is not None:
                state = self.rig.energy_service.state
                orders.append((state.storage_w if state is not None else None) or 0.0)
                self.storage.step(self.rig.clock.now(), orders[-1])
                powers.append(self.storage.power_w)
            self.trace.append(Moment(elapsed, self.base_w(elapsed), tuple(powers), tuple(orders)))
            if elapsed >= next_evse_meter:
                next_evse_meter += self.timing.evse_meter_s
                for evse in [one for one in self.stations.evses if one not in self.away]:
                    self.stations.meter(evse)
                self._report_storage()
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
            if evse in self.away and now >= self._valid.get(evse, 0.0):
                self._target[evse] = 0.0
            most_w = self.timing.charger_w_per_s * STEP_S
            change_w = self._target.get(evse, 0.0) * self.delivered - held.power_w
            held.power_w += max(-most_w, min(most_w, change_w))

    def _report(self, wrong_w: float | None) -> None:
        ago_s = self.timing.meter_delay_s
        seen = next((one for one in reversed(self.trace) if one.at <= self.elapsed() - ago_s), self.trace[0])
        wall = self.rig.clock.wall()
        stamp = wall - ago_s if self.timing.stamped else wall
        power_w = seen.grid_w + self._random.uniform(-self.noise_w, self.noise_w) if wrong_w is None else wrong_w
        self.input("grid", ts=rfc3339(stamp), present=True, power_w=power_w)
        if self.loads:
            self.input("load", ts=rfc3339(wall), power_w=self.base_w(self.elapsed()))

    def _report_storage(self) -> None:
        if self.storage is None:
            return
        ts = rfc3339(self.rig.clock.wall())
        most = {"max_charge_w": STORAGE_W, "max_discharge_w": STORAGE_W, "capacity_wh": 10_000.0}
        self.input("storage", ts=ts, power_w=self.storage.power_w, soc_pct=50.0, **most)

    def input(self, kind: str, **members: object) -> None:
        """Report an input of the facility."""
        reason = self.rig.service.input(kind, json.dumps(members).encode())
        assert reason is None, reason

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
    storage: PlantStorage | None = None,
) -> AsyncIterator[Plant]:
    """Run a gateway and its site."""
    names = [f"CP{number}-1" for number in range(1, evses + 1)]
    async with service_rig(*names, policy=policy, energy=energy) as rig:
        for held in rig.stations.evses.values():
            held.metered_on_call = True
        site = Plant(rig, timing, base_w, rig.clock.now(), loads, storage)
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
