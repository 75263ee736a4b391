"""Our two ends over real sockets, for foreign peers to meet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from emulators.charger.station import run as charger
from emulators.charger.station.run import Charger, Options
from emulators.runtime.clock import RealClock
from gateway.csms.csms import Csms
from gateway.csms.settings import CsmsSettings, UnknownStations, UnknownTokens
from gateway.model.event import Event

WITHIN = 20.0  # s of real time for anything a peer does


@asynccontextmanager
async def csms(events: list[Event] | None = None, **about: Any) -> AsyncIterator[tuple[Csms, str]]:
    """A gateway's CSMS that takes any station; with its address."""
    about.setdefault("unknown_stations", UnknownStations.ACCEPT)
    about.setdefault("unknown_tokens", UnknownTokens.ACCEPT)
    seen: list[Event] = [] if events is None else events
    made = Csms(CsmsSettings(port=0, **about), seen.append, RealClock())
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(made.serve(port.set_result))
    try:
        yield made, f"ws://127.0.0.1:{await port}/ocpp"
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


@asynccontextmanager
async def station(url: str, **about: Any) -> AsyncIterator[Charger]:
    """An emulated station at a foreign CSMS; it records every message."""
    made = await charger.make(Options(url, meter_interval_s=1.0, **about))
    life = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        await made.stop()
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)


async def until(what: Callable[[], Any], within: float = WITHIN) -> None:
    """Wait for something that another process does; fails when it does not."""
    async with asyncio.timeout(within):
        while not what():  # noqa: ASYNC110 - what happens elsewhere sets no event of ours
            await asyncio.sleep(0.02)
