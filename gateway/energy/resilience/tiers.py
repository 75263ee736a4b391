"""Load tiers: which loads are supplied, by priority, power and autonomy.

Shedding is quick and restoring is slow, one tier at a time: a load that is switched repeatedly is worse than none, and
every restored load has an inrush. Critical tiers are shed only when the sources cannot supply them, the least important
first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.authority.island_limits import ISLAND_MARGIN
from gateway.energy.reason import Decided, EnergyCode
from gateway.energy.settings import TierTable

RESTORE_S = 120.0  # s between two tiers coming back
CRITICAL_S = 5.0  # s, the same for critical ones
MIN_OFF_S = 300.0  # s that a shed tier stays shed
SPARE = 0.10  # of the sources' power kept free when a tier is restored, and at the start
AGAIN_S = 2.0  # before more is shed: the load meter has to show the last change
RESTORE_HOURS = 1.2  # times the hours wanted, before a tier comes back


@dataclass(slots=True)
class Tiers:
    """State of the tiers. `off_all`: before a black start; `on_all`: on the grid."""

    tiers: Sequence[TierTable]
    on: dict[str, bool] = field(default_factory=dict)
    _since: dict[str, float] = field(default_factory=dict)
    _restored_at: float = -1e9
    _shed_at: float = -1e9
    _overloaded: bool = False  # reported: nothing is left to shed

    def __post_init__(self) -> None:
        self.tiers = sorted(self.tiers, key=lambda tier: tier.priority)
        for tier in self.tiers:
            self.on.setdefault(tier.name, True)

    def restore(self, shed: Iterable[str]) -> None:
        """Restore which tiers were off before a restart."""
        self.on |= {name: False for name in shed if name in self.on}

    def off_all(self, now: float, why: str) -> list[Decided]:
        """Shed everything, so that a source starts without load."""
        return [event for tier in reversed(self.tiers) for event in self._set(tier, False, now, why)]

    def start(self, now: float, power_w: float, factor: float = 1.0) -> list[Decided]:
        """Shed all but the critical tiers that a source of `power_w` can start with, the most important first.

        One that is too large holds back the less important ones, not those of its own priority.
        """
        events, drawn_w, least = [], 0.0, math.inf
        keep: list[TierTable] = []
        for tier in self.tiers:
            draw_w = self._draw_w(tier, factor)
            if not tier.critical or tier.priority > least:
                continue
            if drawn_w + draw_w > power_w * (1 - SPARE):
                least = tier.priority
                continue
            drawn_w += draw_w
            keep.append(tier)
        why = "a source starts with the critical load that it can supply" if keep else "a source starts without load"
        for tier in reversed(self.tiers):
            events += self._set(tier, tier in keep, now, why)
        return events

    def critical_only(self, now: float, why: str) -> list[Decided]:
        """Shed all but the critical tiers."""
        return [
            event for tier in reversed(self.tiers) if not tier.critical for event in self._set(tier, False, now, why)
        ]

    def on_all(self, now: float, why: str) -> list[Decided]:
        """Restore everything: the grid supplies it."""
        return [event for tier in self.tiers for event in self._set(tier, True, now, why)]

    @property
    def expected_w(self) -> float:
        """Return the expected draw of the tiers that are on."""
        return sum(tier.expected_w for tier in self.tiers if self.on[tier.name])

    def step(
        self,
        now: float,
        supply_w: float,
        load_w: float | None,
        hours: Mapping[str, float],
        empty: bool = False,
        factor: float = 1.0,
    ) -> list[Decided]:
        """Shed or restore. `supply_w`: power of the sources (with PV); `load_w`: present load (None: not measured).

        `hours[tier]`: low estimate of the autonomy for all tiers down to that one. `empty`: all floors are reached.
        `factor`: how many times its expected power a tier is counted with.
        """
        if empty:
            return self.off_all(now, "the batteries are at their floors")
        events = self._shed_power(now, supply_w, load_w)
        if events:
            return events
        events = self._shed_hours(now, hours)
        return events or self._restore(now, supply_w, load_w, hours, factor)

    def _draw_w(self, tier: TierTable, factor: float) -> float:
        return tier.expected_w * max(tier.inrush, factor)

    def _shed_power(self, now: float, supply_w: float, load_w: float | None) -> list[Decided]:
        drawn_w = self.expected_w if load_w is None else load_w
        events: list[Decided] = []
        most_w = supply_w * (1 - ISLAND_MARGIN)
        if drawn_w <= most_w:
            self._overloaded = False
            return events
        if now - self._shed_at < AGAIN_S:
            return events
        if not self._overloaded and not any(self.on.values()):
            self._overloaded = True
            text = f"The load is {drawn_w:.0f} W, the sources can supply {supply_w:.0f} W, and no load tier is left to"
            text += " shed. Switch off by hand what is not needed, or plug in another vehicle."
            events.append(Decided(now, "island_overloaded", text, figures=(("load_w", round(drawn_w)),)))
        for tier in reversed(self.tiers):
            if drawn_w <= most_w:
                break
            if self.on[tier.name]:
                why = f"the load is {drawn_w:.0f} W and the sources can supply {supply_w:.0f} W"
                events += self._set(tier, False, now, why)
                self._shed_at = now
                drawn_w -= tier.expected_w
        return events

    def _shed_hours(self, now: float, hours: Mapping[str, float]) -> list[Decided]:
        for tier in reversed(self.tiers):
            left = hours.get(tier.name, float("inf"))
            if self.on[tier.name] and not tier.critical and left < tier.wants_hours:
                why = f"with it the energy would last {left:.1f} h, {tier.wants_hours:g} h are required"
                return self._set(tier, False, now, why)
        return []

    def _restore(
        self, now: float, supply_w: float, load_w: float | None, hours: Mapping[str, float], factor: float
    ) -> list[Decided]:
        drawn_w, least = max(self.expected_w, load_w or 0.0), math.inf
        for tier in self.tiers:
            if self.on[tier.name]:
                continue
            if tier.priority > least:
                return []
            if now - self._restored_at < (CRITICAL_S if tier.critical else RESTORE_S):
                return []
            if now - self._since.get(tier.name, -1e9) < (0.0 if tier.critical else MIN_OFF_S):
                return []
            if drawn_w + self._draw_w(tier, factor) > supply_w * (1 - SPARE) + (1.0 if tier.critical else 0.0):
                least = tier.priority
                continue
            left = hours.get(tier.name, 0.0 if tier.wants_hours else float("inf"))
            if not tier.critical and left < tier.wants_hours * RESTORE_HOURS:
                return []
            self._restored_at = now
            return self._set(
                tier, True, now, f"the sources can supply {supply_w:.0f} W and the load is {drawn_w:.0f} W"
            )
        return []

    def _set(self, tier: TierTable, on: bool, now: float, why: str) -> list[Decided]:
        if self.on[tier.name] is on:
            return []
        self.on[tier.name] = on
        self._since[tier.name] = now
        code: EnergyCode = "tier_restored" if on else "tier_shed"
        return [Decided(now, code, f"{tier.name} is {'restored' if on else 'shed'}: {why}.", tier.name)]
