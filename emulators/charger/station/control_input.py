"""Orders of a laboratory on standard input of `v2x charger` (`--control-stdin`): one JSON object a line.

::

    {"order": "plug", "evse": 1}
    {"order": "external", "evse": 1, "limit_w": 3000, "duration_s": 60}
    {"order": "external", "evse": 1, "quantity": "limit", "schedule": "0:3000,60:1000"}

A wrong line is reported with the reason, and changes nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from emulators.charger.station.console import Console
from emulators.charger.station.laboratory import Laboratory
from emulators.ev.control_input import OrderRefused, read

_NUMBER = (int, float, type(None))
ORDERS: dict[str, dict[str, tuple[type, ...]]] = {  # members of each order besides its name; `evse` is 1 by default
    "plug": {"evse": (int,)},
    "unplug": {"evse": (int,)},
    "present": {"evse": (int,), "token": (str,)},
    "power_cycle": {},
    "external": {
        "evse": (int,),
        **dict.fromkeys(("setpoint_w", "limit_w", "duration_s"), _NUMBER),
        "quantity": (str,),
        "schedule": (str,),
    },
    "grid": dict.fromkeys(("frequency_hz", "voltage_v", "load_w"), _NUMBER),
    "reset": {},
}


async def obey(lines: AsyncIterator[bytes], laboratory: Laboratory, console: Console) -> None:
    """Execute the orders of all lines and report each one."""
    async for line in lines:
        if not line.strip():
            continue
        try:
            order = read(line, ORDERS)
            await execute(order, laboratory)
        except ValueError as error:
            console.order_refused(str(error), line[:200].decode("utf-8", "replace").strip())
        else:
            console.order_taken(order)


async def execute(order: dict[str, Any], laboratory: Laboratory) -> None:
    """Execute one order that `read` has returned. Raises ValueError."""
    members = {name: value for name, value in order.items() if name != "order" and value not in (None, "")}
    evse = members.pop("evse", 1)
    match order["order"]:
        case "plug":
            await laboratory.plug(evse)
        case "unplug":
            await laboratory.unplug(evse)
        case "present":
            await laboratory.present(evse, members.get("token", ""))
        case "external" if "schedule" in members:
            await laboratory.external_schedule(evse, members.get("quantity", "limit"), _schedule(members["schedule"]))
        case "external":
            members.pop("quantity", None)
            await laboratory.external(evse, **members)
        case "grid":
            await laboratory.grid(**members)
        case "reset":
            await laboratory.reset()
        case _:
            await laboratory.power_cycle()


def _schedule(text: str) -> dict[int, float]:
    """Return W by start in s of `0:3000,60:1000`. Raises OrderRefused."""
    try:
        pairs = [entry.split(":") for entry in text.split(",")]
        return {int(start): float(watts) for start, watts in pairs}
    except ValueError:
        raise OrderRefused(f"a schedule is 0:3000,60:1000, not {text!r}") from None
