"""Rows of energy management in the store: SoC before an outage, demand window, mean day of load and PV. Pure.

JSON by key, written and read by `gateway/energy/persistence.py`; a row that cannot be read is left out and reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec

from gateway.authority.demand_window import DemandWindow
from gateway.energy.controller import SiteController
from gateway.energy.forecast import SLOTS

OUTAGE, WINDOW, DAYS = "outage", "window", "days"

_Pct = Annotated[float, msgspec.Meta(ge=0, le=100)]
_Some = Annotated[float, msgspec.Meta(ge=0, le=1e12)]
_Day = Annotated[list[_Some | None], msgspec.Meta(min_length=SLOTS, max_length=SLOTS)]


class OutageRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`had`: SoC by identity before the outage; `off`: it continues; `back`: its end (Unix time); `forming`: source."""

    had: dict[str, _Pct]
    off: bool
    back: float | None
    forming: str | None


class WindowRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The current demand window, and the highest average so far (W)."""

    start: _Some
    at: _Some
    imported_wh: _Some
    power_w: _Some
    length_s: Annotated[float, msgspec.Meta(ge=60, le=86_400)]
    offset_s: Annotated[float, msgspec.Meta(ge=-86_400, le=86_400)]
    estimated_wh: _Some
    peak_w: _Some


class DaysRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Mean day of half hours, W: load and PV."""

    load_w: _Day
    pv_w: _Day


def outage_row(controller: SiteController) -> OutageRow | None:
    """Return the row of the outage, None without recharge targets."""
    had, off, back = controller.recharging.remembered()
    if not off and back is None:
        return None
    return OutageRow(had, off, back, controller.island.forming)


def window_row(controller: SiteController) -> WindowRow | None:
    """Return the row of the demand window, None before the first step and without a contract."""
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
    """Return the row of the mean day."""
    return DaysRow(*controller.profile.days())


def restore(controller: SiteController, rows: Mapping[str, str]) -> list[str]:
    """Restore the controller after a restart, before its first step; return the keys that could not be read."""
    bad = []
    for key, body in rows.items():
        try:
            if key == OUTAGE:
                row = msgspec.json.decode(body, type=OutageRow)
                controller.recharging.restore(row.had, row.off, row.back)
                controller.island.formed_before = row.forming
            elif key == WINDOW:
                _restore_window(controller, msgspec.json.decode(body, type=WindowRow))
            elif key == DAYS:
                days = msgspec.json.decode(body, type=DaysRow)
                controller.profile.restore(days.load_w, days.pv_w)
        except (msgspec.DecodeError, ValueError):
            bad.append(key)
    return bad


def _restore_window(controller: SiteController, row: WindowRow) -> None:
    if row.length_s == controller.settings.window_s:
        controller.on_grid.window = DemandWindow(
            row.start, row.at, row.imported_wh, row.power_w, row.length_s, row.offset_s, row.estimated_wh
        )
    controller.on_grid.peak_w = row.peak_w
