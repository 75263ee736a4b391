"""Plug of a station on a CAN bus: `ChademoPost` over the converter of the EVSE, for `v2x charger --chademo`.

A session begins when a vehicle is plugged in, and again at the station's request or after one without power start. An
error stays until the vehicle is unplugged.
"""

from __future__ import annotations

import asyncio

from emulators.charger.chademo.post import ChademoPost, RemoteBattery
from emulators.charger.chademo.stage_side import StageSide
from emulators.charger.station.chademo_power_path import AT_REST, ChademoPowerPath
from emulators.runtime.plug_lines import LINES_S
from protocols.chademo.events import Event, SessionEnded
from protocols.chademo.states import ChargerState
from protocols.dc_modules.bus import CanBus
from protocols.ports import Clock

RETRY_AFTER_S = 10.0  # after a session without power start


class StationPost:
    """Plug of one EVSE of a station, with the vehicle on the bus."""

    def __init__(self, path: ChademoPowerPath, bus: CanBus, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._battery = RemoteBattery()
        side = StageSide(self._battery, stage=path.stage, clock=clock)
        self.post = ChademoPost(bus, clock, report=self._on_event, engine=path.engine, dc=side)
        path.order = self.post.order
        self._plugged = False
        self._retry_at: float | None = None

    async def run(self) -> None:
        """Run until it is cancelled or the bus is lost (ConnectionError)."""
        running = asyncio.ensure_future(self.post.run())
        try:
            while not running.done():
                self._update(self._clock.now())
                await self._clock.sleep(LINES_S)
            await running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def _update(self, now: float) -> None:
        path, plugged = self._path, self.post.plugged
        if plugged != self._plugged:
            self._plugged, self._retry_at = plugged, None
            if plugged:
                path.plugged_in(self._battery)
                path.wake_vehicle()
            else:
                path.unplugged(now)
        elif self._retry_at is not None and now >= self._retry_at:
            self._retry_at = None
            path.wake_vehicle()
        if path.engine.state not in AT_REST:
            self._battery.soc_pct = path.session.soc_pct or self._battery.soc_pct
            path.steer(now)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, SessionEnded) and not event.ok and self._path.engine.state is ChargerState.IDLE:
            self._retry_at = self._clock.now() + RETRY_AFTER_S
        self._path.on_event(event)
