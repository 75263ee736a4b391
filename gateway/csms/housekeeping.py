"""Requests of the gateway's own that can wait: after a boot or connection, and after the fallback profiles."""

from __future__ import annotations

from collections.abc import Coroutine

from gateway.csms.station import Station

FALLBACK_POLL_S, FALLBACK_POLLS = 0.05, 20
AFTER_S = 1.0  # from a boot or connection: an operator's call may be the first one


def spawn(station: Station, work: Coroutine[object, None, object]) -> None:
    """Run requests that can wait, after the fallback profiles of the station."""
    station.spawn(_after_fallback(station), work)


async def _after_fallback(station: Station) -> None:
    clock = station.context.clock
    await clock.sleep(AFTER_S)
    for _ in range(FALLBACK_POLLS):
        if not any(evse.lock.locked() for evse in station.evses.values()):
            break
        await clock.sleep(FALLBACK_POLL_S)
