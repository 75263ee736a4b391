"""One run of the closed loop, and what the law of issue 13 demands of it.

The law: after each change of the base load the power is above a limit for no longer, in total, than one period and one
delay of the grid's meter and one delay and ramp of a charger, and, where the load changes while controlled power moves,
until the readings can tell the two apart (`Timing.hidden_s`); 60 s after the last change the orders have come to rest,
or later where the meters are so slow that the cut, what it did and its confirmation take longer (`Timing.settles_s`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.authority.power_history import LONGEST_DELAY_S
from gateway.energy.settings import EnergySection, StorageTable
from gateway.model.command import SiteMode
from gateway.model.message import rfc3339
from gateway.model.result import Status
from gateway.model.site import SitePolicy
from tests.gateway.closed_loop.plant import STEP_S, TOLERANCE_W, Moment, Plant, PlantStorage, Timing, plant
from tests.gateway.commands.rig import UNMANAGED

FIRST_S = 25.0  # commands are sent then
CHANGES_S = 40.0  # changes of the load follow within this time
WATCHED_S = 40.0  # at rest
NOISE_READINGS = 12  # after which the noise is known
REST_W = 150.0  # orders at rest differ by less, as energy management follows the state of charge
SURPLUS_S = 65.0  # self-consumption begins to charge when the surplus has lasted for a minute
Changes = Sequence[tuple[float, float]]  # time after the beginning, new base load


@dataclass(frozen=True, slots=True)
class Case:
    """A site, its load and what is asked of it. `asked_w`: by a command to each EVSE; None: energy management."""

    evses: int
    timing: Timing
    first_w: float
    changes: Changes = ()
    asked_w: float | None = None
    import_w: float | None = None
    export_w: float | None = None
    mode: SiteMode = SiteMode.MANUAL
    storage: bool = False
    cheap: bool = True  # the price now, in mode `price`
    noise_w: float = 0.0  # of the readings
    watched_s: float = WATCHED_S
    delivered: float = 1.0  # of each order

    @property
    def begin_s(self) -> float:
        surplus = self.mode is SiteMode.SELF_CONSUMPTION and self.first_w < 0
        noise_s = NOISE_READINGS * self.timing.meter_period_s if self.noise_w else 0.0
        return max(FIRST_S + (SURPLUS_S if surplus else 0.0), noise_s)

    @property
    def rest_s(self) -> float:
        """Time from which the orders are at rest."""
        learns_s = self.timing.delivery_s + self.timing.shown_s + LONGEST_DELAY_S
        learns_s *= 0 if self.delivered == 1.0 else 2  # what corrects the power moves it once more, and is measured
        return self.begin_s + max((at for at, _ in self.changes), default=0.0) + self.timing.settles_s + learns_s

    def base_w(self, elapsed: float) -> float:
        """Return the base load at a time."""
        power_w = self.first_w
        for at, new_w in sorted(self.changes):
            power_w = new_w if elapsed >= self.begin_s + at else power_w
        return power_w

    async def run(self) -> Plant:
        """Run the case, and return the site with its trace."""
        policy = SitePolicy("home", self.import_w, self.export_w, min_soc_pct=20.0, mode=self.mode)
        energy, storage = UNMANAGED, PlantStorage() if self.storage else None
        if self.asked_w is None:
            table = StorageTable(controlled=self.storage)
            energy = EnergySection(plan=False, storage=table)
        async with plant(self.evses, policy, self.timing, self.base_w, energy, storage=storage) as site:
            site.noise_w, site.delivered = self.noise_w, self.delivered
            if self.mode is SiteMode.PRICE:
                site.input("price", ts=rfc3339(site.rig.clock.wall()), prices=self.prices(site.rig.clock.wall()))
            await site.rig.wait(self.begin_s)
            if self.asked_w is not None:
                await self._ask(site, "charge" if self.asked_w > 0 else "discharge", abs(self.asked_w))
            await site.rig.wait(self.rest_s + self.watched_s - self.begin_s)
            return site

    async def _ask(self, site: Plant, verb: str, power_w: float) -> None:
        for number in range(1, self.evses + 1):
            result = await site.rig.send(f"CP{number}-1", verb, f"c{number}", power_w=power_w, lease_s=300)
            assert result.status in (Status.ACCEPTED, Status.CLAMPED, Status.REFUSED), result

    def prices(self, wall: float) -> list[dict[str, object]]:
        now, later = (5.0, 40.0) if self.cheap else (60.0, 10.0)
        return [
            {"start": rfc3339(wall - 60.0), "duration_s": 25_000.0, "import_per_kwh": now, "export_per_kwh": now},
            {
                "start": rfc3339(wall + 24_940.0),
                "duration_s": 60_000.0,
                "import_per_kwh": later,
                "export_per_kwh": later,
            },
        ]

    # the law ----------------------------------------------------------------------------------------------------------

    def breaches(self, trace: Sequence[Moment]) -> Iterator[str]:
        """Yield how the trace breaks the law."""
        changes = [0.0, self.begin_s, *sorted(self.begin_s + at for at, _ in self.changes)]
        for begin, end in zip(changes, [*changes[1:], trace[-1].at + 1.0], strict=True):
            part = [one for one in trace if begin <= one.at < end]
            if not part:
                continue
            swing_w = _swing_w(part)
            allowed_s = self.timing.allowed_s(swing_w)
            allowed_s += self.timing.hidden_s(swing_w) if self._hidden(trace, begin) else 0.0
            allowed_s += 0.0 if begin else self.timing.learning_s
            allowed_s += 0.0 if self.delivered == 1.0 else self.timing.delivery_s
            above = [one for one in part if self.excess_w(one) > TOLERANCE_W]
            if len(above) * STEP_S > allowed_s:
                most_w = max(self.excess_w(one) for one in above)
                yield (
                    f"after {begin:.0f} s above a limit for {len(above) * STEP_S} s, by up to {most_w:.0f} W, "
                    f"from {above[0].at} to {above[-1].at} s; allowed are {allowed_s:.1f} s"
                )
        rest = [one.orders_w for one in trace if one.at >= self.rest_s]
        spread_w = max(max(order) - min(order) for order in zip(*rest, strict=True))
        if spread_w > REST_W:
            yield f"orders differ by {spread_w:.0f} W at rest: {rest[0]}, {rest[len(rest) // 2]}, {rest[-1]}"

    def _hidden(self, trace: Sequence[Moment], begin: float) -> bool:
        """Return whether controlled power moves when the load does, as far as the readings tell."""
        timing = self.timing
        earlier_s = timing.evse_meter_s if timing.known_delay else LONGEST_DELAY_S + timing.meter_period_s
        around = [one for one in trace if begin - earlier_s <= one.at <= begin + timing.shown_s]
        return _swing_w(around) > TOLERANCE_W

    def excess_w(self, one: Moment) -> float:
        """Return the power above a limit: by what commands request, or which energy management could prevent."""
        over_w = one.grid_w - self.import_w if self.import_w is not None else 0.0
        under_w = -one.grid_w - self.export_w if self.export_w is not None else 0.0
        if self.asked_w is not None:
            over_w, under_w = min(over_w, one.controlled_w), min(under_w, -one.controlled_w)
        return max(over_w, under_w)


def _swing_w(part: Sequence[Moment]) -> float:
    """Return the most by which the power of one EVSE or the storage moves."""
    columns = zip(*(one.powers_w for one in part), strict=True)
    return max((max(powers) - min(powers) for powers in columns), default=0.0)
