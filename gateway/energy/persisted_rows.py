"""What the energy room must not forget with the process: what an outage took, the demand window, the site's days.

Rows of JSON by key. The core keeps them in the store (`gateway/energy/persistence.py`) and hands them back at the next
start; a row that cannot be read is left out and named. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec

from gateway.energy.controller import SiteController
from gateway.energy.demand_window import DemandWindow
from gateway.energy.forecast import SLOTS

OUTAGE, WINDOW, DAYS = "outage", "window", "days"

_Pct = Annotated[float, msgspec.Meta(ge=0, le=100)]
_Some = Annotated[float, msgspec.Meta(ge=0, le=1e12)]
_Day = Annotated[list[_Some | None], msgspec.Meta(min_length=SLOTS, max_length=SLOTS)]


class OutageRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`had`: SoC by identity before the outage; `off`: it goes on; `back`: Unix time of its end; `forming`: who."""

    had: dict[str, _Pct]
    off: bool
    back: float | None
    forming: str | None


class WindowRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The running demand window, and the highest one so far (W)."""

    start: _Some
    at: _Some
    imported_wh: _Some
    power_w: _Some
    length_s: Annotated[float, msgspec.Meta(ge=60, le=86_400)]
    offset_s: Annotated[float, msgspec.Meta(ge=-86_400, le=86_400)]
    estimated_wh: _Some
    peak_w: _Some


class DaysRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The remembered day of half hours, W: load and PV."""

    load_w: _Day
    pv_w: _Day


def outage_row(controller: SiteController) -> OutageRow | None:
    """None while nothing is owed."""
    had, off, back = controller.recharging.remembered()
    if not off and back is None:
        return None
    return OutageRow(had, off, back, controller.island.forming)


def window_row(controller: SiteController) -> WindowRow | None:
    """None before the first look, and where no contract needs it."""
    one = controller.on_grid.window
    if one is None or controller.settings.contract_w is None:
        return None
    return WindowRow(
        one.start,
        one.at,
        one.imported_wh,
        one.power_w,
        one.length_s,
        one.offset_s,
        one.estimated_wh,
        controller.on_grid.peak_w,
    )


def days_row(controller: SiteController) -> DaysRow:
    """What the site remembers of its own days."""
    return DaysRow(*controller.memory.days())


def take_up(controller: SiteController, rows: Mapping[str, str]) -> list[str]:
    """Go on where an earlier life stood, before the first step; answers the keys that could not be read."""
    bad = []
    for key, body in rows.items():
        try:
            if key == OUTAGE:
                told = msgspec.json.decode(body, type=OutageRow)
                controller.recharging.take_up(told.had, told.off, told.back)
                controller.island.formed_before = told.forming
            elif key == WINDOW:
                _take_window(controller, msgspec.json.decode(body, type=WindowRow))
            elif key == DAYS:
                days = msgspec.json.decode(body, type=DaysRow)
                controller.memory.take_up(days.load_w, days.pv_w)
        except (msgspec.DecodeError, ValueError):
            bad.append(key)
    return bad


def _take_window(controller: SiteController, row: WindowRow) -> None:
    if row.length_s == controller.settings.window_s:
        controller.on_grid.window = DemandWindow(
            row.start, row.at, row.imported_wh, row.power_w, row.length_s, row.offset_s, row.estimated_wh
        )
    controller.on_grid.peak_w = row.peak_w
