"""The line from the emulated station to its CSMS: connecting with back-off, booting, the clock, the queue, calls.

What is said in which words is the dialect's; what happens at the plugs is in `station.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from emulators.charger.transaction import Message, Queue
from protocols.errors import LocalProtocolError
from protocols.ocpp import rpc
from protocols.ocpp.io import Answered, Link, Lost, Refused, Reply, TimedOut
from protocols.ocpp.rpc import CallReceived, Refusal, ResultReceived, Rpc
from protocols.ocpp.schema import ErrorCode, Payload, Version
from protocols.ocpp.times import parse
from protocols.ports import TextWire

if TYPE_CHECKING:
    from emulators.charger.station import Station

log = logging.getLogger("v2x.station")

BACK_OFF = (2.0, 60.0)  # s, first and longest wait before connecting again
BACK_OFF_RANDOM = 0.5  # of the wait, at most
RETRY_AFTER = 10.0  # s, times the tries so far: MessageAttemptInterval
SILENT_CALLS = 2  # calls in a row without an answer, and the line is taken for dead
SENT_KEPT = 1000  # messages, for the log that operators ask for

Connect = Callable[[Version], Awaitable[TextWire]]


class Line:
    """One station's way to its CSMS, over all connections of its life."""

    def __init__(self, station: Station, connect: Connect) -> None:
        self.station, self.clock, self._connect = station, station.clock, connect
        self.queue = Queue()
        self.link: Link | None = None
        self.accepted = False
        self.pending = False
        self.offline_since: float | None = None
        self.booted = False
        self.boot_reason = "PowerUp"
        self.heartbeat_s = 300.0
        self.clock_offset = 0.0
        self.stopping = False
        self.sent: list[tuple[str, Payload]] = []  # the last messages, for people
        config = station.config
        self._random = random.Random(f"station-{config.id}-{config.seed}")
        self._silent = 0  # calls in a row that were not answered
        self._handover: TextWire | None = None  # a connection made while the old one still stood
        self._queued = asyncio.Event()

    @property
    def online(self) -> bool:
        """Whether the CSMS can be reached and has accepted the station."""
        return self.link is not None and self.accepted

    # time

    def wall(self) -> float:
        """The station's own clock: what the CSMS said last, running on."""
        return self.clock.wall() + self.clock_offset

    def _set_clock(self, payload: Payload) -> None:
        """Put the clock right."""
        wall = parse(payload.get("currentTime"))
        if wall is not None:
            self.clock_offset = wall - self.clock.wall()

    # connections

    async def run(self) -> None:
        """Connect, boot, and connect again, until `close` is called."""
        if self.station.quirks.clock_at_epoch:
            self.clock_offset = -self.clock.wall()
        self.offline_since = self.wall()
        config, wait = self.station.config, BACK_OFF[0]
        while not self.stopping:
            try:
                wire = self._handover or await self._connect(config.version)
                self._handover = None
            except ConnectionError as error:
                log.info("%s: %s", config.id, error)
                await self.clock.sleep(wait * (1 + self._random.random() * BACK_OFF_RANDOM))
                wait = min(wait * 2, BACK_OFF[1])
                continue
            wait = BACK_OFF[0]
            await self._connected(wire)
            if not self.stopping and self._handover is None:
                await self.clock.sleep(wait * (1 + self._random.random() * BACK_OFF_RANDOM))

    async def close(self) -> None:
        """The station stops: no connection any more."""
        self.stopping = True
        if self.link is not None:
            await self.link.close(1000, "the station stops")

    async def modem_reset(self) -> None:
        """The line drops without a word and comes back. Some stations then hold two connections at once."""
        if self.link is None:
            return
        if self.station.quirks.keeps_old_connection:
            self._handover = await self._connect(self.station.config.version)
        else:
            await self.link.close(1001, "modem reset")

    async def reboot(self, reason: str) -> None:
        """Drop the connection and boot again on the next one."""
        self.booted, self.boot_reason = False, reason
        if self.link is not None:
            await self.link.close(1000, "reboot")

    async def _connected(self, wire: TextWire) -> None:
        config, handlers = self.station.config, self.station.dialect.handlers()
        engine = Rpc(config.version, handles=frozenset(handlers), answer_within=config.answer_within_s)

        def handle(call: CallReceived) -> Payload | Awaitable[Payload]:
            if not self.accepted and not self.pending:
                raise Refusal(ErrorCode.SECURITY_ERROR, "this station has not been accepted yet")
            return handlers[call.action](call.payload)

        self.link = link = Link(wire, engine, handle, self.clock, self._observe)
        speaking = asyncio.get_running_loop().create_task(self._speak(link))
        try:
            await link.run()
        finally:
            speaking.cancel()
            self.link = None
            if self.offline_since is None:
                self.offline_since = self.wall()
            self.accepted = self.pending = False
            self.station.wake()

    def _observe(self, event: rpc.Event) -> None:
        """An accepted boot counts at once: the next message may already ask for something."""
        if isinstance(event, ResultReceived) and event.action == "BootNotification" and event.violation is None:
            self.pending = event.payload["status"] == "Pending"
            if event.payload["status"] == "Accepted":
                self._back_online()

    async def _speak(self, link: Link) -> None:
        """Boot, then tell what is due, for as long as the link lives."""
        try:
            if self.station.quirks.status_before_boot:
                await self._tell_status()
            if self.booted:
                self._back_online()
            elif not await self._boot(link):
                return
            await self._tell_status()
            self.station.back_online()
            await asyncio.gather(self._empty_queue(link), self._beat())
        except ConnectionError:
            await link.close()

    async def _boot(self, link: Link) -> bool:
        while not link.closed:
            reply = await self.call("BootNotification", self.station.dialect.boot(self.boot_reason))
            interval = 30.0
            if isinstance(reply, Answered) and reply.violation is None:
                if not self.station.quirks.clock_at_epoch:
                    self._set_clock(reply.payload)
                interval = float(reply.payload["interval"]) or 30.0
                if reply.payload["status"] == "Accepted":
                    self.booted, self.heartbeat_s = True, interval
                    return True
            await self.clock.sleep(interval)
        return False

    def _back_online(self) -> None:
        if self.offline_since is not None:
            self.station.profiles.back_online(self.wall(), self.offline_since)
        self.accepted, self.offline_since = True, None
        self.station.wake()

    async def _tell_status(self) -> None:
        for evse in self.station.evses.values():
            await self.call("StatusNotification", self.station.dialect.status(evse))

    async def _beat(self) -> None:
        while True:
            await self.clock.sleep(self.heartbeat_s)
            reply = await self.call("Heartbeat", {})
            if isinstance(reply, Answered):
                self._set_clock(reply.payload)

    # messages

    async def call(self, action: str, payload: Payload) -> Reply:
        """Ask the CSMS, if it can be reached."""
        link = self.link
        if link is None:
            return Lost()
        self.sent.append((action, payload))
        del self.sent[:-SENT_KEPT]
        try:
            reply = await link.call(action, payload)
            self._silent = self._silent + 1 if isinstance(reply, TimedOut) else 0
            if self._silent >= SILENT_CALLS:
                self._silent = 0
                await link.close(1001, "the CSMS does not answer")
            return reply
        except LocalProtocolError:
            log.exception("%s: %s could not be sent", self.station.config.id, action)
            raise

    def enqueue(self, message: Message) -> None:
        """Send a message of a transaction when its turn comes."""
        if self.station.quirks.reports_late_s:
            message.not_before = self.clock.now() + self.station.quirks.reports_late_s
        self.queue.put(message)
        self._queued.set()

    async def _empty_queue(self, link: Link) -> None:
        while True:
            head = self.queue.head()
            if head is None or head.not_before > self.clock.now():
                self._queued.clear()
                waiting = None if head is None else head.not_before
                with contextlib.suppress(TimeoutError):
                    async with self.clock.timeout_at(waiting):
                        await self._queued.wait()
                continue
            reply = await self.call(head.action, head.build())
            if isinstance(reply, Answered):
                self.queue.sent()
                if head.done is not None and reply.violation is None:
                    head.done(reply.payload)
            elif isinstance(reply, Lost):
                return
            else:
                log.warning("%s: %s was not taken: %s", self.station.config.id, head.action, reply)
                head.not_before = self.clock.now() + RETRY_AFTER * (head.tries + 1)
                if isinstance(reply, Refused):
                    self.queue.failed()  # silence is the line's fault and is no attempt
