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


class CutOff:
    """Time without NATS; `lasts` when it has been away for longer than `CUT_OFF_S`: no station can be served then."""

    def __init__(self, connected: Callable[[], bool], clock: Clock) -> None:
        self._connected, self._clock, self._since = connected, clock, clock.now()
        self.lasts = False

    async def close(self, sites: Iterable[SiteConnections], per_s: float) -> None:
        """Close the connections of all sites while it lasts, `per_s` at each; for ever."""
        sites = list(sites)
        while True:
            if self._connected():
                self._since, self.lasts = self._clock.now(), False
            elif self._clock.now() - self._since >= CUT_OFF_S:
                if not self.lasts:
                    log.warning("no NATS for %.0f s: stations are closed to connect to another instance", CUT_OFF_S)
                self.lasts = True
                for one in sites:
                    await one.close_all(per_s, REASON, unless=self._connected)
            await self._clock.sleep(CHECKED_EVERY_S)
