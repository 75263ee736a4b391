"""Load shedding in an island: tiers are shed on overload and low SoC, lowest priority first, and restored one by one.

A controller may command tiers off by name (`commanded_off`); the relays of the site shed further tiers if necessary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from emulators.site.load import Loads

HEADROOM = 1.3  # x the demand of a tier, required to restore it


@dataclass(slots=True)
class LoadShedding:
    """Contactors of the tiers. `floors`: (priority, SoC %); below that SoC only tiers up to it are supplied."""

    loads: Loads
    report: Callable[[str, str], None]
    floors: tuple[tuple[int, float], ...] = ()
    overload_s: float = 1.0
    restore_s: float = 60.0
    commanded_off: frozenset[str] = frozenset()
    _overloaded_at: float | None = None
    _headroom_at: float | None = None

    def overload(self, now: float) -> bool:
        """Shed the lowest-priority tier after a lasting overload; return True if no tier is left to shed."""
        if self._overloaded_at is None:
            self._overloaded_at = now
        if now - self._overloaded_at < self.overload_s:
            return False
        connected = [tier for tier in self.loads.tiers if tier.connected]
        lowest = max((tier.spec.priority for tier in connected), default=0)
        if not connected or lowest <= min(tier.spec.priority for tier in self.loads.tiers):
            return True
        self._shed(lowest - 1, "overload")
        self._overloaded_at = now
        return False

    def clear_overload(self) -> None:
        """Reset the overload timer: the sources supply the connected tiers."""
        self._overloaded_at = None

    def apply_commands(self) -> None:
        """Switch off what is commanded off; contactors do so without a voltage, too."""
        for tier in self.loads.tiers:
            if tier.connected and tier.spec.name in self.commanded_off:
                tier.connected = False
                self.report("shed", f"{tier.spec.name}: commanded")

    def update(self, now: float, available_w: float, base_load_w: float, soc_pct: float) -> None:
        """Shed and restore tiers by the SoC and the available power."""
        lowest = max((tier.spec.priority for tier in self.loads.tiers), default=0)
        keep = lowest
        self.apply_commands()
        for priority, floor in self.floors:
            if soc_pct < floor:
                keep = min(keep, priority)
        if any(tier.connected and tier.spec.priority > keep for tier in self.loads.tiers):
            self._shed(keep, f"SoC {soc_pct:.0f} %")
            return
        waiting = [
            tier
            for tier in self.loads.tiers
            if not tier.connected and tier.spec.priority <= keep and tier.spec.name not in self.commanded_off
        ]
        if not waiting:
            self._headroom_at = None
            return
        first = min(waiting, key=lambda tier: tier.spec.priority)
        if available_w - base_load_w < HEADROOM * first.demand_w:
            self._headroom_at = None
        elif self._headroom_at is None:
            self._headroom_at = now
        elif now - self._headroom_at >= self.restore_s:
            self._headroom_at = None
            first.connected = True
            self.report("restored", first.spec.name)

    def restore_all(self) -> None:
        """Restore all tiers: the grid supplies the site."""
        self._overloaded_at = self._headroom_at = None
        for tier in self.loads.tiers:
            tier.connected = True

    def _shed(self, priority: int, reason: str) -> None:
        for tier in self.loads.tiers:
            if tier.connected and tier.spec.priority > priority:
                tier.connected = False
                self.report("shed", f"{tier.spec.name}: {reason}")
