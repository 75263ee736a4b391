"""The board that must not go dark: critical tiers behind a fast switch, carried by a storage that can form a voltage.

When the site's supply is lost, the switch opens within half a cycle and the storage carries on, long before the main
switch is proven open and an island is formed. That is how an uninterruptible supply (IEC 62040-3, class VI: at most
10 ms) and the backup output of a hybrid inverter do it. Equipment rides through the gap on its own capacitors (20 ms at
no voltage are tolerated by the ITI curve), so no energy is missing, but the gap is counted. The switch is an interlock
of its own: while the storage carries, the board has no connection to the rest of the site or to the grid.
"""

from __future__ import annotations

from dataclasses import dataclass

from emulators.charger.hardware.power_stage import Fault, PowerStage
from emulators.site.storage import Storage

TRANSFER_S = 0.01  # half a cycle at 50 Hz


@dataclass(slots=True)
class ProtectedBoard:
    """One board and the storages behind it. `carry` while the site is dark, `release` when it is not."""

    storages: list[Storage]
    transfer_s: float = TRANSFER_S
    carrying: bool = False
    transfers: int = 0
    gap_s: float = 0.0

    def stages(self) -> list[PowerStage]:
        return [storage.stage for storage in self.storages]

    def carry(self, demand_w: float, floor_pct: float, now: float, seconds: float) -> bool:
        """The site is dark: carry the critical tiers over the seconds before `now`. Whether that is possible."""
        able = [one for one in self.storages if one.soc_pct > max(floor_pct, one.floor_pct) and _sound(one.stage)]
        can_w = sum(one.stage.deliverable_w for one in able)
        if not able or can_w < demand_w:
            self.release(now)
            return False
        if not self.carrying:
            self.carrying = True
            self.transfers += 1
            self.gap_s += self.transfer_s
        for storage in self.storages:
            stage = storage.stage
            if storage in able:
                stage.reset(Fault.GRID, now - seconds)
                stage.form(-demand_w * stage.deliverable_w / can_w, now - seconds)
            elif stage.island_w is not None:
                stage.form(None, now)
        return True

    def release(self, now: float) -> None:
        """The site has a voltage again, or nothing is left to carry with."""
        if self.carrying:
            self.carrying = False
            self.gap_s += self.transfer_s
            for stage in self.stages():
                stage.form(None, now)


def _sound(stage: PowerStage) -> bool:
    return stage.spec.forming and not stage.faults - {Fault.GRID}
