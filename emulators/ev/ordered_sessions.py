"""Sessions of one vehicle, one after the other, by orders on standard input (`v2x ev --control-stdin`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from emulators.ev.control_input import Handler, Order, OrderRefused, obey
from emulators.ev.report import Reporter
from emulators.ev.session import EvSession
from protocols.iso15118.iso20.events import Paused, SessionEnded

MakeSession = Callable[[Paused | None], EvSession]
RunSession = Callable[[EvSession], Awaitable[SessionEnded]]


class OrderedSessions:
    """The first session begins at once; later ones by `plug`, or by `resume` after a pause.

    It ends with the order `stop`, and with the session during or after which the input ends.
    """

    def __init__(self, make: MakeSession, run_one: RunSession, reporter: Reporter) -> None:
        self._make, self._run_one, self._reporter = make, run_one, reporter
        self._next: asyncio.Queue[Paused | None] = asyncio.Queue()
        self._stopping = asyncio.Event()
        self._running = False
        self.session = make(None)

    @property
    def _active(self) -> bool:
        """True during a session; its end counts from the event on, although the connection is still being closed."""
        return self._running and self.session.ended is None

    async def run(self, lines: AsyncIterator[bytes]) -> SessionEnded:
        """Run all sessions; return how the last one ended."""
        orders = asyncio.ensure_future(obey(lines, self._handlers(), self._reporter))
        try:
            while True:
                self._running = True
                ended = await self._run_one(self.session)
                self._running = False
                task = asyncio.current_task()
                if self._stopping.is_set() or (task is not None and task.cancelling()):
                    return ended
                following = asyncio.ensure_future(self._next.get())
                stopping = asyncio.ensure_future(self._stopping.wait())
                try:
                    await asyncio.wait({following, stopping, orders}, return_when=asyncio.FIRST_COMPLETED)
                    if not following.done():
                        return ended
                    self.session = self._make(following.result())
                finally:
                    following.cancel()
                    stopping.cancel()
        finally:
            orders.cancel()
            await asyncio.gather(orders, return_exceptions=True)

    def _handlers(self) -> dict[str, Handler]:
        def in_session(act: Callable[[Order], None]) -> Handler:
            async def handle(order: Order) -> None:
                if not self._active:
                    raise OrderRefused(f"{order.order}: the vehicle has no session")
                act(order)

            return handle

        def power(order: Order) -> None:
            session, power_w = self.session, order.power_w or 0.0
            choice = None if session.engine is None else session.engine.session.choice
            if choice is not None and choice.is_dynamic:
                raise OrderRefused("power: in dynamic control the charger sets the power")
            if power_w < 0 and not (choice.is_bpt if choice is not None else "iso20" in session.protocols):
                raise OrderRefused("power: no discharge without a bidirectional service of ISO 15118-20")
            session.requested_power_w = order.power_w

        return {
            "power": in_session(power),
            "terminate": in_session(lambda order: self.session.stop("order")),
            "pause": in_session(lambda order: self.session.pause()),
            "renegotiate": in_session(lambda order: self.session.renegotiate(services=order.services)),
            "standby": in_session(lambda order: self.session.standby(order.enter)),
            "resume": self._resume,
            "plug": self._plug,
            "unplug": self._unplug,
            "stop": self._stop,
        }

    async def _plug(self, order: Order) -> None:
        if self._active:
            raise OrderRefused("plug: the vehicle is plugged in")
        self._next.put_nowait(None)

    async def _resume(self, order: Order) -> None:
        if self._active or self.session.paused is None:
            raise OrderRefused("resume: no session is paused")
        self._next.put_nowait(self.session.paused)

    async def _unplug(self, order: Order) -> None:
        if not self._active:
            raise OrderRefused("unplug: the vehicle is not plugged in")
        await self.session.unplug()

    async def _stop(self, order: Order) -> None:
        self._stopping.set()
        if self._active:
            self.session.stop("order")
