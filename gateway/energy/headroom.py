"""What the site's connection leaves for cars and storages together: fuse, contract, peak limit, demand window, export.

The harder layer under every mode. A limit of import gives the most they may take (below zero: the least they must
give), a limit of export the most they may give. A meter that has gone silent leaves nothing in a limited direction:
not knowing is not zero. Where the facility never measured anything, the limits are those of the cars alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.energy.demand_window import DemandWindow, allowed_import_w

MARGIN = 0.02  # of the contract kept back from the demand window, for what happens between two steps


@dataclass(frozen=True, slots=True)
class Connection:
    """Limits in W, None is none. `contract_w` is the average of each demand window, `peak_w` a limit set by command."""

    import_w: float | None = None
    export_w: float | None = None
    contract_w: float | None = None
    peak_w: float | None = None


@dataclass(frozen=True, slots=True)
class Headroom:
    """The interval for the sum of cars and storages, + into them, and who bound its upper and lower end."""

    low_w: float = -float("inf")
    high_w: float = float("inf")
    high_code: str = ""
    low_code: str = ""


def room(
    connection: Connection,
    residual_w: float | None,
    measured: bool,
    window: DemandWindow | None = None,
    wall: float = 0.0,
) -> Headroom:
    """What is left. `measured` says that the facility measures load at all, `residual_w` None then means silence."""
    ceilings = [("import_limit", connection.import_w), ("peak_limit", connection.peak_w)]
    if connection.contract_w is not None and window is not None:
        ceilings.append(("demand_window", allowed_import_w(window, wall, connection.contract_w * (1 - MARGIN))))
    known = [(code, limit) for code, limit in ceilings if limit is not None]
    high_w, high_code, low_w, low_code = float("inf"), "", -float("inf"), ""
    if known:
        high_code, limit = min(known, key=lambda one: one[1])
        if measured and residual_w is None:
            high_w, high_code = 0.0, "input_stale"
        else:
            high_w = limit - (residual_w or 0.0)
    if connection.export_w is not None:
        low_code = "export_limit"
        if measured and residual_w is None:
            low_w, low_code = 0.0, "input_stale"
        else:
            low_w = -connection.export_w - (residual_w or 0.0)
    if low_w > high_w:  # both cannot be had: import above the limit trips the fuse, so the site must not draw more
        low_w = high_w
    return Headroom(low_w, high_w, high_code, low_code)
