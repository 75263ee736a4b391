"""A home behind one point of connection, with a V2H box, for the devices that measure it.

Its electrical model is that of `emulators/site`; time runs in whole steps when a device is read.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from emulators.charger.echonet.box import V2hBox
from emulators.site.balance import Balance
from emulators.site.load import Loads, TierSpec
from emulators.site.pv import Pv
from emulators.site.site import Site, SiteSpec
from emulators.site.storage import Storage

STEP_S = 1.0
HALF_HOUR_S = 1800.0
KEPT = 48 * 100  # half hours
BOX = "box"


def constant_load(power_w: float) -> Loads:
    """Return a load without fluctuation."""
    return Loads.of((TierSpec("house", 1, (power_w,) * 24, fluctuation=0.0),))


@dataclass(frozen=True, slots=True)
class Registers:
    """Energy from and to the grid at a half hour of Unix time, Wh."""

    at: float
    import_wh: float
    export_wh: float


@dataclass(slots=True)
class Home:
    """The home. `wall_at_0` is the Unix time at time 0; `registers` has the totals at each half hour."""

    box: V2hBox
    loads: Loads
    pv: Pv | None = None
    storage: Storage | None = None
    wall_at_0: float = 0.0
    utc_offset_s: float = 9 * 3600.0
    site: Site = field(init=False)
    registers: deque[Registers] = field(default_factory=lambda: deque(maxlen=KEPT))
    drawn_wh: float = 0.0  # by box, storage and PV together
    fed_wh: float = 0.0
    _at: float | None = None

    def __post_init__(self) -> None:
        arrays = [] if self.pv is None else [self.pv]
        storages = [] if self.storage is None else [self.storage]
        spec = SiteSpec(backup=False, utc_offset_s=self.utc_offset_s)
        self.site = Site(self.loads, arrays, storages, cars={BOX: self.box.stage}, spec=spec)

    def wall(self, now: float) -> float:
        """Return the Unix time."""
        return self.wall_at_0 + now

    def advance(self, now: float) -> Balance:
        """Run the home up to now; return its power balance."""
        if self._at is None:
            self._at = now - STEP_S
        while self._at + STEP_S <= now or self.site.balance is None:
            self._at += STEP_S
            balance = self.site.step(self._at, self.wall(self._at), STEP_S)
            self.box.house_w = balance.grid_w - balance.cars_w
            self.box.advance(self._at)
            self._record(self.wall(self._at), balance.cars_w + balance.storage_w - balance.pv_w)
        return self.site.balance

    def devices_w(self, now: float) -> float:
        """Return the power of box, storage and PV together, + towards them."""
        balance = self.advance(now)
        return balance.cars_w + balance.storage_w - balance.pv_w

    def _record(self, wall: float, devices_w: float) -> None:
        energy_wh = devices_w * STEP_S / 3600
        self.drawn_wh += max(0.0, energy_wh)
        self.fed_wh += max(0.0, -energy_wh)
        mark = wall - wall % HALF_HOUR_S
        if not self.registers or self.registers[-1].at < mark:
            self.registers.append(Registers(mark, self.site.import_wh, self.site.export_wh))
