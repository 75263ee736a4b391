"""The node of the gateway in a network of ECHONET Lite: one for all devices, and for own objects if it has any.

Requests wait for the answer of their node; what other nodes announce goes to the reader of the object.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeAlias

from protocols.echonet.engine import Node
from protocols.echonet.events import (
    Announce,
    DatagramIgnored,
    Discover,
    Event,
    NodeFound,
    ObjectDescribed,
    Order,
    PropertiesNotified,
    Request,
    RequestAnswered,
    RequestFailed,
)
from protocols.echonet.frames import Eoj
from protocols.errors import LocalProtocolError
from protocols.ports import Clock

log = logging.getLogger("v2x.drivers")

RETRY_S = 5.0  # pause after a network that cannot be used
Answered: TypeAlias = RequestAnswered | RequestFailed
Followed: TypeAlias = Callable[[PropertiesNotified], None]


class Transport(Protocol):
    """A node at work: `protocols.echonet.io.UdpNode`, or one in memory."""

    def command(self, order: Order) -> None:
        """Pass an order to the engine. Raises LocalProtocolError."""

    async def run(self) -> None:
        """Run until it is cancelled. Raises OSError."""


OpenNode: TypeAlias = Callable[[Node, Clock, Callable[[Sequence[Event]], None]], Transport]


class EchonetNetwork:
    """Network of the gateway. `listeners` get every event of the node."""

    def __init__(self, node: Node, open_node: OpenNode, clock: Clock) -> None:
        self.node = node
        self.objects: dict[tuple[str, Eoj], ObjectDescribed] = {}
        self.instances: dict[str, tuple[Eoj, ...]] = {}
        self.listeners: list[Callable[[Event], None]] = []
        self.changed = asyncio.Event()  # what is known about nodes
        self._clock = clock
        self._transport = open_node(node, clock, self._report)
        self._waiting: dict[int, tuple[Request, asyncio.Future[Answered]]] = {}  # by identity of the request
        self._followed: dict[tuple[str, Eoj], Followed] = {}

    @property
    def ignored(self) -> Counter[str]:
        """Datagrams without effect, by reason."""
        return self.node.ignored

    async def run(self) -> None:
        """Announce the own objects, discover others, and serve both until cancelled."""
        failing = False
        while True:
            try:
                self.command(Announce())
                self.command(Discover())
                await self._transport.run()
            except OSError as error:
                if not failing:
                    log.error("the network of ECHONET Lite cannot be used, it is tried again: %s", error)
                failing = True
            except Exception:
                log.exception("ECHONET Lite failed; it starts again in %.0f s", RETRY_S)
            await self._clock.sleep(RETRY_S)

    def command(self, order: Order) -> None:
        """Pass an order to the node. Raises LocalProtocolError."""
        self._transport.command(order)

    async def ask(self, request: Request) -> Answered:
        """Return the answer to a request, or why there is none."""
        answer: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._waiting[id(request)] = request, answer
        try:
            self.command(request)
            return await answer
        except LocalProtocolError as error:
            return RequestFailed(request, str(error))
        finally:
            self._waiting.pop(id(request), None)

    @contextmanager
    def following(self, node: str, eoj: Eoj, follow: Followed) -> Iterator[None]:
        """Pass on what an object announces, inside the block."""
        self._followed[node, eoj] = follow
        try:
            yield
        finally:
            if self._followed.get((node, eoj)) is follow:
                del self._followed[node, eoj]

    async def wait(self, within_s: float) -> bool:
        """Wait until more is known about nodes, or for a time; return whether it is."""
        self.changed.clear()
        with contextlib.suppress(TimeoutError):
            async with self._clock.timeout_at(self._clock.now() + within_s):
                await self.changed.wait()
        return self.changed.is_set()

    def _report(self, events: Sequence[Event]) -> None:
        for event in events:
            match event:
                case RequestAnswered() | RequestFailed():
                    self._answered(event)
                case NodeFound():
                    self.instances[event.node] = event.instances
                    self.changed.set()
                case ObjectDescribed():
                    self.objects[event.node, event.eoj] = event
                    self.changed.set()
                case DatagramIgnored():
                    self._ignored(event)
                case PropertiesNotified():
                    if (follow := self._followed.get((event.node, event.eoj))) is not None:
                        follow(event)
            for listener in self.listeners:
                listener(event)

    def _ignored(self, event: DatagramIgnored) -> None:
        """Log the first datagram of each reason; all are counted."""
        if self.node.ignored[event.reason.partition(":")[0]] == 1:
            log.warning("ECHONET Lite: datagram of %s without effect: %s", event.node, event.reason)

    def _answered(self, event: Answered) -> None:
        _, answer = self._waiting.get(id(event.request), (None, None))
        if answer is not None and not answer.done():
            answer.set_result(event)
