"""Which load tiers an island keeps: shed on overload and low charge, least important first, restored one at a time.

A controller may wish for fewer (`keep_priority`); the site's own relays go further when they must.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from emulators.site.load import Loads, Tier

HEADROOM = 1.3  # x what a tier wants, before it is restored


@dataclass(slots=True)
class TierKeeper:
    """The contactors of the tiers. `floors`: (priority, SoC %); below that SoC only tiers up to it are kept."""

    loads: Loads
    report: Callable[[str, str], None]
    floors: tuple[tuple[int, float], ...] = ()
    overload_s: float = 1.0
    restore_s: float = 60.0
    keep_priority: int | None = None
    _overloaded_at: float | None = None
    _headroom_at: float | None = None

    def overload(self, now: float) -> bool:
        """More than the island can give: shed the least important tier; True when nothing is left to shed."""
        if self._overloaded_at is None:
            self._overloaded_at = now
        if now - self._overloaded_at < self.overload_s:
            return False
        connected = [tier for tier in self.loads.tiers if tier.connected]
        worst = max((tier.spec.priority for tier in connected), default=0)
        if not connected or worst <= min(tier.spec.priority for tier in self.loads.tiers):
            return True
        self._shed(worst - 1, "overload")
        self._overloaded_at = now
        return False

    def relieved(self) -> None:
        """The island carries what it is asked for."""
        self._overloaded_at = None

    def keep(self, now: float, able_w: float, residual_w: float, soc_pct: float) -> None:
        """Keep as many tiers as charge and power carry."""
        worst = max((tier.spec.priority for tier in self.loads.tiers), default=0)
        keep = worst if self.keep_priority is None else self.keep_priority
        for priority, floor in self.floors:
            if soc_pct < floor:
                keep = min(keep, priority)
        if any(tier.connected and tier.spec.priority > keep for tier in self.loads.tiers):
            self._shed(keep, f"{soc_pct:.0f} % left" if self.keep_priority is None else "ordered")
            return
        waiting = [tier for tier in self.loads.tiers if not tier.connected and tier.spec.priority <= keep]
        if not waiting:
            self._headroom_at = None
            return
        first = min(waiting, key=lambda tier: tier.spec.priority)
        if able_w - residual_w < HEADROOM * first.demand_w:
            self._headroom_at = None
        elif self._headroom_at is None:
            self._headroom_at = now
        elif now - self._headroom_at >= self.restore_s:
            self._headroom_at = None
            self._restore(first)

    def restore_all(self) -> None:
        """The grid carries the site again."""
        self._overloaded_at = self._headroom_at = None
        for tier in self.loads.tiers:
            tier.connected, tier.shed_by = True, ""

    def _shed(self, priority: int, reason: str) -> None:
        for tier in self.loads.tiers:
            if tier.connected and tier.spec.priority > priority:
                tier.connected, tier.shed_by = False, reason
                self.report("shed", f"{tier.spec.name}: {reason}")

    def _restore(self, tier: Tier) -> None:
        tier.connected, tier.shed_by = True, ""
        self.report("restored", tier.spec.name)
