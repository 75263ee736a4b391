"""Links to the broker beside the main one, for `stop` and for `emergency_stop`, so that no other message delays them.

Each has its own client id and session: a flood of stops delays no emergency stop either. The main link carries these
commands as well: while one of these is down nothing is lost, and a copy that comes over both is submitted once.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from gateway.mqtt.commands import MessageReceiver
from protocols.ports import Bus, Clock

log = logging.getLogger("v2x.mqtt")

MIN_PAUSE_S, MAX_PAUSE_S = 0.5, 30.0  # before a lost link is opened again, this one or the main one
MAX_CONCURRENT = 50  # commands of one link

OpenBeside: TypeAlias = Callable[[str], AbstractAsyncContextManager[Bus]]  # with the suffix of the client id


class UrgentLink:
    """Keeps a link for the commands of some filters; `name` is the suffix of its client id."""

    def __init__(
        self,
        name: str,
        filters: list[str],
        receiver: MessageReceiver,
        connect: OpenBeside,
        clock: Clock,
        counts: Counter[str],
        seed: int | None,
    ) -> None:
        self._name = name
        self._filters = filters
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)
        self._receiver = receiver
        self._connect = connect
        self._clock = clock
        self._counts = counts
        self._random = random.Random(seed)
        self.connected = asyncio.Event()

    async def run(self) -> None:
        """Keep a link until cancelled."""
        pause_s, reported = MIN_PAUSE_S, ""
        while True:
            began, lost = self._clock.now(), "the broker closed the link"
            try:
                async with self._connect(self._name) as bus:
                    await self._receiver.subscribe_commands(bus, self._filters)
                    self.connected.set()
                    await self._receiver.run_urgent(bus, self._slots)
            except (ConnectionError, TimeoutError) as error:
                lost = str(error)
            except Exception as defect:
                self._counts["defects"] += 1
                lost = f"a defect of the gateway: {type(defect).__name__}"
                log.exception("the %s link failed by a defect of the gateway; it is opened again", self._name)
            finally:
                self.connected.clear()
            if self._clock.now() - began > MAX_PAUSE_S:  # else two gateways of one name would end each other's at once
                pause_s, reported = MIN_PAUSE_S, ""
            if lost != reported:
                log.warning("no %s link; its commands use the main link meanwhile: %s", self._name, lost)
                reported = lost
            await self._clock.sleep(pause_s * self._random.uniform(0.5, 1.0))
            pause_s = min(MAX_PAUSE_S, pause_s * 2)
