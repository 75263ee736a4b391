"""Orders on standard input (`--control-stdin`) of `v2x ev` and `v2x secc`: one JSON object a line.

::

    {"order": "power", "power_w": -5000}
    {"order": "authorise", "accepted": false}

Each line gets one answer, `OrderTaken` or `OrderRefused` with the reason. A wrong line changes nothing and loses no
later one. The end of the input is no order.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from math import isfinite
from typing import Any

from emulators.ev.report import Reporter
from protocols.errors import LocalProtocolError

LONGEST_LINE = 1 << 16
ORDERS: dict[str, dict[str, tuple[type, ...]]] = {  # members of each order besides its name, all but `power_w` optional
    "power": {"power_w": (int, float, type(None))},
    "terminate": {},
    "pause": {},
    "resume": {},
    "renegotiate": {"services": (bool,)},
    "standby": {"enter": (bool,)},
    "authorise": {"accepted": (bool,)},
    "plug": {},
    "unplug": {},
    "stop": {},
}


@dataclass(frozen=True, slots=True)
class Order:
    """An order and its members; those that an order does not have are as here."""

    order: str
    power_w: float | None = None
    services: bool = False
    enter: bool = True
    accepted: bool = True

    @property
    def given(self) -> dict[str, object]:
        """Return the order with the members that it has."""
        return {name: value for name, value in asdict(self).items() if name == "order" or name in ORDERS[self.order]}


Handler = Callable[[Order], Awaitable[None]]


class OrderRefused(ValueError):
    """An order that is not valid, or does not fit the state."""


def parse(line: bytes) -> Order:
    """Return the order of a line. Raises OrderRefused."""
    order: dict[str, Any] = read(line, ORDERS)
    if order["order"] == "power" and "power_w" not in order:
        raise OrderRefused("power needs power_w")
    return Order(**order)


def read(line: bytes, orders: Mapping[str, Mapping[str, tuple[type, ...]]]) -> dict[str, Any]:
    """Return the object of a line, which has a known order with known members. Raises OrderRefused."""
    if len(line) > LONGEST_LINE:
        raise OrderRefused(f"a line of {len(line)} bytes is longer than {LONGEST_LINE}")
    try:
        order = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise OrderRefused(f"not JSON: {error}") from None
    if not isinstance(order, dict) or not isinstance(order.get("order"), str):
        raise OrderRefused('an order is an object such as {"order": "stop"}')
    name = order["order"] = order["order"].lower()
    if name not in orders:
        similar = get_close_matches(name, orders, n=1)
        raise OrderRefused(f"unknown order {name}" + (f"; did you mean {similar[0]}?" if similar else ""))
    members = orders[name]
    for key, value in order.items():
        if key == "order":
            continue
        if key not in members:
            raise OrderRefused(f"{name} has no member {key}; it has {', '.join(members) or 'none'}")
        if not isinstance(value, members[key]) or (isinstance(value, bool) and bool not in members[key]):
            raise OrderRefused(f"{name}: {key} cannot be {value!r}")
        if isinstance(value, float) and not isfinite(value):
            raise OrderRefused(f"{name}: {key} is not finite")
    return order


async def obey(lines: AsyncIterator[bytes], handlers: Mapping[str, Handler], reporter: Reporter) -> None:
    """Execute the orders of all lines and answer each one."""
    async for line in lines:
        if not line.strip():
            continue
        try:
            order = parse(line)
            if order.order not in handlers:
                raise OrderRefused(f"{order.order} is no order for this side")
            await handlers[order.order](order)
        except (ValueError, LocalProtocolError) as error:
            text = line[:200].decode("utf-8", "replace").strip()
            reporter.write_record("OrderRefused", {"error": str(error), "line": text})
            reporter.write_text(f"order refused: {error}")
        else:
            reporter.write_record("OrderTaken", order.given)
            reporter.write_text(f"order taken: {order.order}")


async def standard_input() -> AsyncIterator[bytes]:
    """Yield the lines of standard input, also of a file or a terminal; its reading does not keep the process alive."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[bytes | None] = asyncio.Queue()
    number = sys.stdin.fileno()

    def put(line: bytes | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(lines.put_nowait, line)

    def read() -> None:
        rest = b""
        while data := os.read(number, 1 << 16):  # unbuffered: a buffered read would lock at the end of the process
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                put(line)
        put(rest)
        put(None)

    threading.Thread(target=read, daemon=True, name="orders").start()
    while (line := await lines.get()) is not None:
        yield line
