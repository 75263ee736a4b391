"""Input and result of the call-out plan: needs of sites, charging places, trips and gaps."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SiteNeed:
    """Need of a site without grid supply.

    `draw_w` is its critical load, `stored_wh` the energy of its own storage (at the meter, above the floor, without
    vehicles of the registry), `bays` how many vehicles fit, `connectors` which types ("" in it: any), `until` the end
    of the planned supply. `store_wh` is what its storage holds when it is full, `store_w` its charge power.
    """

    site: str
    draw_w: float
    stored_wh: float
    bays: int
    until: float
    connectors: tuple[str, ...] = ()
    priority: int = 0
    store_wh: float = 0.0
    store_w: float = 0.0


@dataclass(frozen=True, slots=True)
class ChargePlace:
    """A place with power: `bays` vehicles at a time with `power_w` each."""

    place: str
    power_w: float
    bays: int = 4


@dataclass(frozen=True, slots=True)
class Trip:
    """Trip of a vehicle to a site. Times are Unix time, energies Wh.

    `brings_wh` is counted at the site's meter, `way_wh` is used on the way. `call_by`: when the provider must be
    notified. `then`: where it goes afterwards ("": it stays). `fills_until`: until when it fills the site's storage, 0
    where it stays for the whole supply.
    """

    vehicle: str
    agreement: str
    site: str
    lane: int
    start: str
    call_by: float
    leave_at: float
    arrive_at: float
    supply_from: float
    supply_until: float
    brings_wh: float
    way_wh: float
    leaves_pct: float
    then: str = ""
    free_from: float = math.inf
    gap_s: float = 0.0
    fills_until: float = 0.0

    @property
    def there_until(self) -> float:
        """Return until when it occupies a bay."""
        return self.fills_until or self.supply_until

    @property
    def hours(self) -> float:
        """Return the duration of the supply."""
        return (self.supply_until - self.supply_from) / 3600


@dataclass(frozen=True, slots=True)
class Gap:
    """A period in which no vehicle can cover a lane of a site."""

    site: str
    lane: int
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class CallOut:
    """Trips in order of departure, gaps, and until when each site is fully supplied."""

    wall: float
    trips: tuple[Trip, ...]
    gaps: tuple[Gap, ...]
    supplied_until: dict[str, float] = field(default_factory=dict)
