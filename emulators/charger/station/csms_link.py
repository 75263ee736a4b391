"""The line from the emulated station to its CSMS: connecting with back-off, booting, the clock, the queue, calls.

What is said in which words is the dialect's; what happens at the plugs is in `station.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from emulators.charger.station import settings
from emulators.charger.station.maintenance.network_profiles import Connect, Network, Untrusted
from emulators.charger.station.transaction import Message, Queue
from protocols.errors import LocalProtocolError
from protocols.ocpp import rpc
from protocols.ocpp.link import Answered, Link, Lost, Refused, Reply, TimedOut
from protocols.ocpp.rpc import CallReceived, Refusal, ResultReceived, Rpc
from protocols.ocpp.schema import ErrorCode, Payload
from protocols.ocpp.times import parse
from protocols.ports import TextWire

if TYPE_CHECKING:
    from emulators.charger.station.evse import EvseState
    from emulators.charger.station.station import Station

log = logging.getLogger("v2x.station")

LONGEST_BACK_OFF = 3600.0  # s
LEAP_S = 0.5  # a clock that moves this much at once was set
BOOT_AGAIN_AFTER = 30.0  # s, where the CSMS names no interval or does not answer (B02.FR.07, B03.FR.05)
SILENT_CALLS = 2  # calls in a row without an answer, and the line is taken for dead
SENT_KEPT = 1000  # messages, for the log that operators ask for
NEVER_TAKEN = ("NotImplemented", "NotSupported")  # a CSMS that says so will never take it


class CsmsLink:
    """One station's way to its CSMS, over all connections of its life."""

    def __init__(self, station: Station, connect: Connect) -> None:
        self.station, self.clock, self._connect = station, station.clock, connect
        self.queue = Queue()  # of transactions
        self.notices = Queue()  # of everything else: what happens to it keeps no transaction waiting
        self.link: Link | None = None
        self.accepted = False
        self.pending = False
        self.offline_since: float | None = None
        self.booted = False
        self.boot_reason = "PowerUp"
        self.network = Network(station)
        self.clock_offset = 0.0
        self._looked: tuple[float, float] | None = None  # at the clock: seconds that pass, and what it showed
        self.stopping = False
        self.sent: list[tuple[str, Payload]] = []  # the last messages, for people
        config = station.config
        self._random = random.Random(f"station-{config.id}-{config.seed}")
        self._offline_s = 0.0  # how long the last time offline was
        self._told: dict[int, str] = {}  # the status of each EVSE that the CSMS heard last
        self._beat_again = asyncio.Event()
        self._silent = 0  # calls in a row that were not answered
        self._handover: TextWire | None = None  # a connection made while the old one still stood

    @property
    def online(self) -> bool:
        """Whether the CSMS can be reached and has accepted the station."""
        return self.link is not None and self.accepted

    # time

    def wall(self) -> float:
        """The station's own clock: what the CSMS said last, running on.

        Seconds that pass are seconds, whatever the clock shows: when it leaps (put right, or gone wrong), what was
        noted by it before leaps along. Else a clock set back would let a dead man's schedule live that much longer.
        """
        wall, steady = self.clock.wall() + self.clock_offset, self.clock.now()
        if self._looked is not None:
            passed = steady - self._looked[0]
            leapt = wall - self._looked[1] - passed
            if abs(leapt) > LEAP_S + passed * 1e-3:  # more than any drift
                self._leap(leapt)
        self._looked = steady, wall
        return wall

    def _leap(self, seconds: float) -> None:
        self.station.profiles.leap(seconds)
        if self.offline_since is not None:
            self.offline_since += seconds
        for evse in self.station.evses.values():
            if evse.transaction is not None and evse.transaction.ready_at is not None:
                evse.transaction.ready_at += seconds

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
        self.network.begin()
        tries = 0
        while not self.stopping:
            try:
                wire = self._handover or await self._connect(self.network.target())
                self._handover = None
            except ConnectionError as error:
                log.info("%s: %s", self.station.config.id, error)
                if isinstance(error, Untrusted) and not tries:
                    self.station.security_event(error.event, str(error))
                tries = 0 if self.network.failed() else tries + 1
                await self.clock.sleep(self._back_off(max(tries - 1, 0)))
                continue
            self.network.connected()
            tries = 0
            await self._connected(wire)
            if not self.stopping and self._handover is None:
                await self.clock.sleep(self._back_off(0))

    def _back_off(self, failures: int) -> float:
        """Part 4, 5.4: the shortest wait doubled with each failure, and something random."""
        times = min(float(failures), settings.number(self.station, "back_off_times"))
        wait = settings.number(self.station, "back_off") * float(2.0**times)
        return min(wait, LONGEST_BACK_OFF) + self._random.random() * settings.number(self.station, "back_off_random")

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
            self._handover = await self._connect(self.network.target())
        else:
            await self.link.close(1001, "modem reset")

    async def reboot(self, reason: str) -> None:
        """Drop the connection and boot again on the next one."""
        self.booted, self.boot_reason = False, reason
        self._told.clear()
        self.network.begin()
        if self.link is not None:
            await self.link.close(1000, "reboot")

    async def reconnect(self, why: str) -> None:
        """Drop the connection and come back, as after new credentials (A01.FR.11)."""
        if self.link is not None:
            await self.link.close(1000, why)

    async def _connected(self, wire: TextWire) -> None:
        config, handlers = self.station.config, self.station.dialect.handlers()
        while_pending = self.station.dialect.while_pending()
        engine = Rpc(config.version, handles=frozenset(handlers), answer_within=config.answer_within_s)

        def handle(call: CallReceived) -> Payload | Awaitable[Payload]:
            if not self.accepted and not (self.pending and call.action in while_pending):
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
                self._accepted_now(event.payload)

    async def _speak(self, link: Link) -> None:
        """Boot, then tell what is due, for as long as the link lives."""
        try:
            if self.station.quirks.status_before_boot:
                await self._tell_status()
            booting = not self.booted
            if booting:
                if not await self._boot(link):
                    return
            else:
                self._back_online()
            long = self._offline_s > settings.number(self.station, "offline_threshold")
            await self._tell_status(all_of_them=booting or long)
            if booting:
                self.station.started_up()
            self.station.back_online()
            await asyncio.gather(self._empty(self.queue), self._empty(self.notices), self._beat())
        except ConnectionError:
            await link.close()

    async def _boot(self, link: Link) -> bool:
        """B01-B03: again after the interval that the CSMS named, and nothing else before it has accepted."""
        while not link.closed:
            reply = await self.call("BootNotification", self.station.dialect.boot(self.boot_reason))
            interval = BOOT_AGAIN_AFTER
            if isinstance(reply, Answered) and reply.violation is None:
                if reply.payload["status"] == "Accepted":
                    return True
                interval = float(reply.payload["interval"]) or BOOT_AGAIN_AFTER
                if not self.station.quirks.clock_at_epoch:
                    self._set_clock(reply.payload)
            deadline = self.clock.now() + interval
            while not link.closed and not self.accepted and self.clock.now() < deadline:
                await self.clock.sleep(min(1.0, max(0.0, deadline - self.clock.now())))
            if self.accepted:
                return True  # a triggered BootNotification was accepted meanwhile
        return False

    def _accepted_now(self, answer: Payload) -> None:
        """B01.FR.04, .06."""
        if not self.station.quirks.clock_at_epoch:
            self._set_clock(answer)
        if answer["interval"] > 0:
            settings.put(self.station, "heartbeat", answer["interval"])
        self.booted, self.pending = True, False
        self._back_online()

    def _back_online(self) -> None:
        if self.offline_since is not None:
            self._offline_s = self.wall() - self.offline_since
            self.station.profiles.back_online(self.wall(), self.offline_since)
        self.accepted, self.offline_since = True, None
        self.station.wake()

    async def _tell_status(self, all_of_them: bool = True) -> None:
        """B01.FR.05, B04: all after a boot or a long time offline, else those that changed."""
        for evse in self.station.evses.values():
            if all_of_them or self._told.get(evse.number) != evse.status:
                await self.tell_status(evse)

    async def tell_status(self, evse: EvseState) -> None:
        """StatusNotification of one EVSE, as it is now."""
        self._told[evse.number] = evse.status
        await self.call("StatusNotification", self.station.dialect.status(evse))

    def beat_again(self) -> None:
        """The interval has changed: it counts from now."""
        self._beat_again.set()

    async def _beat(self) -> None:
        while True:
            self._beat_again.clear()
            deadline = self.clock.now() + max(1.0, settings.number(self.station, "heartbeat"))
            with contextlib.suppress(TimeoutError):
                async with self.clock.timeout_at(deadline):
                    await self._beat_again.wait()
                    continue
            await self._heartbeat()

    async def _heartbeat(self) -> bool:
        reply = await self.call("Heartbeat", {})
        if isinstance(reply, Answered):
            self._set_clock(reply.payload)
        return isinstance(reply, Answered)

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
        self.queue_of(message).put(message)

    def queue_of(self, message: Message) -> Queue:
        """Where it waits."""
        return self.notices if message.transaction is None else self.queue

    @property
    def waiting(self) -> int:
        """Messages that the CSMS has not heard."""
        return len(self.queue) + len(self.notices)

    async def _empty(self, queue: Queue) -> None:
        while True:
            head = queue.head()
            if head is None or head.not_before > self.clock.now():
                queue.changed.clear()
                waiting = None if head is None else head.not_before
                with contextlib.suppress(TimeoutError):
                    async with self.clock.timeout_at(waiting):
                        await queue.changed.wait()
                continue
            reply = await self.call(head.action, self.station.dialect.finish(head))
            if isinstance(reply, Answered):
                queue.sent()
                if reply.violation is None:
                    self.station.dialect.answered(head, reply.payload)
            elif isinstance(reply, Lost):
                return
            elif isinstance(reply, Refused) and reply.code in NEVER_TAKEN and head.transaction is None:
                queue.sent()
            elif isinstance(reply, Refused) or await self._heartbeat():
                self._try_again(queue, head, reply)  # silence on a dead line is no attempt

    def _try_again(self, queue: Queue, head: Message, reply: Reply) -> None:
        """E13: as often as MessageAttempts says, with a wait that grows with each."""
        log.warning("%s: %s was not taken: %s", self.station.config.id, head.action, reply)
        wait = settings.number(self.station, "attempt_interval") * (head.tries + 1)
        head.not_before = self.clock.now() + wait
        queue.failed(int(settings.number(self.station, "attempts")))
