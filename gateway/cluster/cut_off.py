"""An instance that has no NATS for long: its stations are closed, so that they connect to an instance that has it.

Without NATS an instance can neither control a site nor pass on messages, while the sockets of its stations stay open.
It does not know whether others have NATS. Where none has it stations come back to no avail, so it waits for long.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from gateway.cluster.connections import SiteConnections
from protocols.ports import Clock

log = logging.getLogger("v2x.cluster")

CUT_OFF_S = 60.0  # without NATS; a station has been at 0 W for long
CHECKED_EVERY_S = 1.0
REASON = "this gateway has no connection to the others; connect again"


async def close_when_cut_off(
    connected: Callable[[], bool], sites: Iterable[SiteConnections], per_s: float, clock: Clock
) -> None:
    """Close the connections of all sites, `per_s` at each, while NATS is away for longer than `CUT_OFF_S`; for ever."""
    sites, since = list(sites), clock.now()
    warned = False
    while True:
        if connected():
            since, warned = clock.now(), False
        elif clock.now() - since >= CUT_OFF_S and any(one.by_station for one in sites):
            if not warned:
                log.warning("no NATS for %.0f s: stations are closed to connect to another instance", CUT_OFF_S)
            warned = True
            for one in sites:
                await one.close_all(per_s, REASON, unless=connected)
        await clock.sleep(CHECKED_EVERY_S)
