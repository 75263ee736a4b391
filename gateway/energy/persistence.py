"""Persistence of energy management: SoC before an outage, demand window, mean day of load and PV.

Energy used in an outage is stored at once, the rest at intervals: JSON by key. A row that cannot be read is left out
and reported.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated

import msgspec

from gateway.authority.demand_window import DemandWindow
from gateway.control.supply_hold import end_hold
from gateway.energy.controller import SiteController
from gateway.energy.forecast import SLOTS
from gateway.model.energy_state import GridStatus
from gateway.model.journal import Forgotten, Kept
from gateway.model.site import Site
from gateway.store.journal import Journal

log = logging.getLogger("v2x")

KIND = "energy"
WINDOW_EVERY_S = 30.0  # so short a gap is counted with the last power, not with the contract power
DAYS_EVERY_S = 1800.0
OUTAGE, WINDOW, DAYS = "outage", "window", "days"

_Pct = Annotated[float, msgspec.Meta(ge=0, le=100)]
_Some = Annotated[float, msgspec.Meta(ge=0, le=1e12)]
_Day = Annotated[list[_Some | None], msgspec.Meta(min_length=SLOTS, max_length=SLOTS)]


class OutageRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`had`: SoC by identity before the outage; `off`: it continues; `back`: its end (Unix time); `forming`: source.

    `lost`: the grid counts as lost; `shed`: load tiers that are off; `returning`: begin of the ramp after it.
    """

    had: dict[str, _Pct]
    off: bool
    back: float | None
    forming: str | None
    lost: bool = False
    shed: tuple[str, ...] = ()
    returning: float | None = None


class WindowRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The current demand window; `peak_w`: highest average of the billing period, W.

    `peak_seen`: start of the newest window counted in it; None in rows of earlier versions.
    """

    start: _Some
    at: _Some
    imported_wh: _Some
    power_w: _Some
    length_s: Annotated[float, msgspec.Meta(ge=60, le=86_400)]
    offset_s: Annotated[float, msgspec.Meta(ge=-86_400, le=86_400)]
    estimated_wh: _Some
    peak_w: _Some
    peak_seen: _Some | None = None


class DaysRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Mean day of half hours, W: load and PV."""

    load_w: _Day
    pv_w: _Day


def outage_row(controller: SiteController) -> OutageRow | None:
    """Return the row of the outage, None without recharge targets and where all power may flow."""
    had, off, back = controller.recharging.remembered()
    returning = controller.returning_since
    if not off and back is None and returning is None:
        return None
    island, tiers = controller.island, controller.off_grid.tiers
    lost = island.grid.status is GridStatus.LOST
    shed = tuple(name for name, on in tiers.on.items() if not on)
    return OutageRow(had, off, back, island.forming, lost, shed, returning)


def window_row(controller: SiteController) -> WindowRow | None:
    """Return the row of the demand window, None before the first step and without a contract or a demand charge."""
    one, settings, billed = controller.on_grid.window, controller.settings, controller.on_grid.billed
    if one is None or (settings.contract_w is None and settings.demand_charge_per_kw == 0):
        return None
    return WindowRow(**asdict(one), peak_w=billed.peak_w, peak_seen=billed.seen)


def days_row(controller: SiteController) -> DaysRow:
    """Return the row of the mean day."""
    return DaysRow(*controller.profile.days())


def restore_rows(controller: SiteController, rows: Mapping[str, str]) -> list[str]:
    """Restore the controller after a restart, before its first step; return the keys that could not be read."""
    bad = []
    for key, body in rows.items():
        try:
            if key == OUTAGE:
                row = msgspec.json.decode(body, type=OutageRow)
                controller.recharging.restore(row.had, row.off, row.back)
                controller.island.restore(row.forming)
                controller.restore_return(row.returning)
                if row.lost or (row.off and row.forming is None):  # the reconnect delay has not passed
                    controller.restore_loss()
                controller.off_grid.tiers.restore(row.shed)
            elif key == WINDOW:
                _restore_window(controller, msgspec.json.decode(body, type=WindowRow))
            elif key == DAYS:
                days = msgspec.json.decode(body, type=DaysRow)
                controller.profile.restore(days.load_w, days.pv_w)
        except (msgspec.DecodeError, ValueError):
            bad.append(key)
    return bad


def _restore_window(controller: SiteController, row: WindowRow) -> None:
    values = msgspec.structs.asdict(row)
    peak_w, peak_seen = values.pop("peak_w"), values.pop("peak_seen")
    window = DemandWindow(**values) if row.length_s == controller.settings.window_s else None
    controller.on_grid.restore(window, peak_w, row.start - row.length_s if peak_seen is None else peak_seen)


class EnergyPersistence:
    """Persistence of one site."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._outage: OutageRow | None = None
        self._at: dict[str, float] = {}

    def keep(self, controller: SiteController, now: float, wall: float) -> None:
        """Write what has changed; after each step."""
        outage = outage_row(controller)
        if outage != self._outage:
            self._outage = outage
            if outage is None:
                self._journal.later(Forgotten(KIND, OUTAGE))
            else:
                self._write(OUTAGE, outage, wall)
        if self._due(WINDOW, now, WINDOW_EVERY_S) and (window := window_row(controller)) is not None:
            self._write(WINDOW, window, wall)
        if self._due(DAYS, now, DAYS_EVERY_S):
            self._write(DAYS, days_row(controller), wall)

    def end_hold(self, site: Site) -> None:
        """End the hold of the supply: the grid supplies the site again."""
        end_hold(site, self._journal)

    def _due(self, key: str, now: float, every_s: float) -> bool:
        if now - self._at.setdefault(key, now) < every_s:
            return False
        self._at[key] = now
        return True

    def _write(self, key: str, row: msgspec.Struct, wall: float) -> None:
        self._journal.later(Kept(KIND, key, msgspec.json.encode(row).decode(), wall))

    def restore(self, controller: SiteController, kept: Sequence[Kept]) -> None:
        """Restore what an earlier run kept; before the first step."""
        for key in restore_rows(controller, {one.key: one.body for one in kept if one.kind == KIND}):
            log.warning("the energy row %s cannot be read and is left out", key)
        self._outage = outage_row(controller)
