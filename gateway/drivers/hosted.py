"""EVSEs that the gateway hosts itself, whatever their driver: the port of a driver, and all drivers of a gateway.

A driver reports the events of `gateway.model.event` and carries out the orders of `gateway.model.station`, as the CSMS
does for charging stations. `gateway.control.station_backends` divides the orders between them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from gateway.drivers.sessions import HostedSessions
from gateway.model.station import Outcome, Stations
from protocols.ports import Clock

log = logging.getLogger("v2x.drivers")

RETRY_S = 5.0  # pause after a driver that failed
CLOSE_WITHIN_S = 8.0  # for the end of the sessions when the gateway stops


class HostedEvse(Stations, Protocol):
    """One EVSE of a driver. All methods are called with its own name."""

    @property
    def name(self) -> str: ...

    @property
    def connected(self) -> bool:
        """True while the hardware answers."""

    def announce(self) -> None:
        """Report the EVSE, before its hardware answers."""

    async def run(self) -> None:
        """Serve until cancelled. An error is logged and `run` is called again after a pause."""

    async def close(self) -> None:
        """End the session of the vehicle in the regular way; power goes to 0 W first."""

    async def form(self, evse: str, forms: bool) -> Outcome:
        """See `gateway.model.station.GridFormingStations`."""

    async def end_session(self, evse: str) -> Outcome:
        """Request the end of the vehicle's session."""

    async def reset(self, evse: str) -> Outcome:
        """Release latched faults that are cleared; by the operator."""


class HostedEvses:
    """All EVSEs that a gateway hosts."""

    def __init__(self, evses: Sequence[HostedEvse], clock: Clock, sessions: HostedSessions) -> None:
        self.sessions = sessions
        self.by_name = {evse.name: evse for evse in evses}
        self._clock = clock

    async def end_session(self, evse: str) -> Outcome:
        """Request the end of a vehicle's session; LookupError for an EVSE that is not hosted here."""
        return await self._of(evse).end_session(evse)

    async def reset(self, evse: str) -> Outcome:
        """Release latched faults of an EVSE that are cleared; LookupError for one that is not hosted here."""
        return await self._of(evse).reset(evse)

    def _of(self, evse: str) -> HostedEvse:
        if evse not in self.by_name:
            raise LookupError(f"no EVSE {evse} is hosted by this gateway")
        return self.by_name[evse]

    def announce(self) -> None:
        """Report every EVSE, so that commands to it are answered from the start."""
        for evse in self.by_name.values():
            evse.announce()

    def links(self) -> list[bool]:
        """Return for each EVSE whether its hardware answers."""
        return [one.connected for one in self.by_name.values()]

    async def run(self) -> None:
        """Serve all of them until cancelled; one that fails starts again and stops no other."""
        async with asyncio.TaskGroup() as tasks:
            for evse in self.by_name.values():
                tasks.create_task(self._serve(evse), name=f"evse {evse.name}")

    async def _serve(self, evse: HostedEvse) -> None:
        while True:
            try:
                await evse.run()
            except Exception:
                log.exception("%s: the driver failed; it starts again in %.0f s", evse.name, RETRY_S)
            await self._clock.sleep(RETRY_S)

    async def close(self) -> None:
        """End all sessions, at most for CLOSE_WITHIN_S."""
        closing = [asyncio.ensure_future(evse.close()) for evse in self.by_name.values()]
        if not closing:
            return
        try:
            async with self._clock.timeout_at(self._clock.now() + CLOSE_WITHIN_S):
                await asyncio.gather(*closing, return_exceptions=True)
        except TimeoutError:
            log.warning("a session of a hosted EVSE did not end within %.0f s", CLOSE_WITHIN_S)
