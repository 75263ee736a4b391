"""Protected distribution board: critical tiers behind a fast transfer switch, supplied by a grid-forming storage.

When the supply of the site is lost, the switch opens within half a cycle and the storage supplies the board, long
before the main switch is confirmed open and an island is formed. This is the behaviour of an uninterruptible power
supply (IEC 62040-3, class VI: at most 10 ms) and of the backup output of a hybrid inverter. Equipment rides through the
gap on its capacitors (the ITI curve tolerates 20 ms without voltage), so no energy is unserved, but the gap is counted.
The switch is also an interlock: while the storage supplies the board, it has no connection to the site or the grid.
"""

from __future__ import annotations

from dataclasses import dataclass

from emulators.charger.hardware.power_stage import Fault, PowerStage
from emulators.site.storage import Storage

TRANSFER_S = 0.01  # half a cycle at 50 Hz


@dataclass(slots=True)
class ProtectedBoard:
    """One board and its storages. `supply` is called while the site is de-energised, `release` when it is energised."""

    storages: list[Storage]
    transfer_s: float = TRANSFER_S
    supplying: bool = False
    transfers: int = 0
    gap_s: float = 0.0

    def stages(self) -> list[PowerStage]:
        return [storage.stage for storage in self.storages]

    def supply(self, demand_w: float, floor_pct: float, now: float, seconds: float) -> bool:
        """Supply the critical tiers over the seconds before `now`; return whether the storages are able to."""
        able = [one for one in self.storages if one.soc_pct > max(floor_pct, one.floor_pct) and _can_form(one.stage)]
        available_w = sum(one.stage.deliverable_w for one in able)
        if not able or available_w < demand_w:
            self.release(now)
            return False
        if not self.supplying:
            self.supplying = True
            self.transfers += 1
            self.gap_s += self.transfer_s
        for storage in self.storages:
            stage = storage.stage
            if storage in able:
                stage.reset(Fault.GRID, now - seconds)
                stage.form(-demand_w * stage.deliverable_w / available_w, now - seconds)
            elif stage.island_w is not None:
                stage.form(None, now)
        return True

    def release(self, now: float) -> None:
        """End the supply: the site is energised, or the storages are exhausted."""
        if self.supplying:
            self.supplying = False
            self.gap_s += self.transfer_s
            for stage in self.stages():
                stage.form(None, now)


def _can_form(stage: PowerStage) -> bool:
    return stage.spec.forming and not stage.faults - {Fault.GRID}
