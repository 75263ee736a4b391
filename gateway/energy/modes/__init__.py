"""Operating modes of the site on the grid; one file each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.energy.modes.by_price import ByPrice
from gateway.energy.modes.commanded import Backup, GridService, Manual
from gateway.energy.modes.mode import Mode
from gateway.energy.modes.peak_shaving import PeakShaving
from gateway.energy.modes.self_consumption import SelfConsumption
from gateway.model.command import SiteMode

MODES: Mapping[SiteMode, Callable[[], Mode]] = {
    SiteMode.SELF_CONSUMPTION: SelfConsumption,
    SiteMode.PEAK_SHAVING: PeakShaving,
    SiteMode.PRICE: ByPrice,
    SiteMode.GRID_SERVICE: GridService,
    SiteMode.MANUAL: Manual,
    SiteMode.BACKUP: Backup,
}
