"""The cost of one station does not grow with the number of others."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.csms.settings import StationSettings
from tests.gateway.csms.test_security import serving
from tests.gateway.csms.test_unserved import BOOT, knock, send


@contextmanager
def counted(calls: list[int]) -> Iterator[None]:
    """Append the number of calls and returns of functions."""
    number = 0

    def count(*_: object) -> None:
        nonlocal number
        number += 1

    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(None)
        calls.append(number)


async def test_a_handshake_and_a_boot_cost_no_more_with_more_stations() -> None:
    handshakes, boots = list[int](), list[int]()
    for number in (10, 1000):
        stations = tuple(StationSettings(f"CP{one}") for one in range(number))
        async with serving(stations=stations, max_stations=number) as (_, port):
            first = await knock(port, "CP1")
            await send(first, "BootNotification", BOOT)
            with counted(handshakes):
                second = await knock(port, f"CP{number - 1}")
            with counted(boots):
                await send(second, "BootNotification", BOOT)
            await first.close()
            await second.close()
    for few, many in (handshakes, boots):
        assert many < few + 500
