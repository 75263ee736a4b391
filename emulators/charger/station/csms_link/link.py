"""Link of an emulated station to its CSMS: connecting with back-off, booting, heartbeats, message queues, calls."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable

from emulators.charger.station.context import StationContext
from emulators.charger.station.csms_link.message_queue import Message, MessageStore, Queue
from emulators.charger.station.csms_link.network_profiles import Connect, NetworkProfiles, UntrustedCsms
from emulators.charger.station.csms_link.station_clock import StationClock
from emulators.charger.station.evse import EvseState
from emulators.charger.station.smart_charging.profiles import Profiles
from protocols.errors import LocalProtocolError
from protocols.ocpp.enums import v21
from protocols.ocpp.errors import Refusal
from protocols.ocpp.events import Answered, CallReceived, Event, Lost, Refused, Reply, ResultReceived, TimedOut
from protocols.ocpp.io import Link
from protocols.ocpp.rpc import Rpc
from protocols.ocpp.schema import ErrorCode, Payload
from protocols.ocpp.times import parse
from protocols.ports import TextWire

log = logging.getLogger("v2x.station")

MAX_BACK_OFF_S = 3600.0
BOOT_INTERVAL_S = 30.0  # where the CSMS states no interval or does not respond (B02.FR.07, B03.FR.05)
MAX_TIMEOUTS = 2  # consecutive calls without a response, after which the connection is closed
MAX_SENT = 1000  # messages in the diagnostics log
NEVER_ACCEPTED = (
    ErrorCode.NOT_IMPLEMENTED,
    ErrorCode.NOT_SUPPORTED,
)  # such a notification is not repeated


class CsmsLink:
    """Link over all connections of one station. `queue` holds messages of transactions, `notices` all others."""

    def __init__(
        self,
        context: StationContext,
        connect: Connect,
        network_profiles: NetworkProfiles,
        station_clock: StationClock,
        profiles: Profiles,
        store: MessageStore | None,
        on_retry: Callable[[str, float], None] | None = None,  # reason and seconds until the next attempt
    ) -> None:
        self._context, self._clock, self._connect = context, context.clock, connect
        self._station_clock, self._profiles = station_clock, profiles
        self.network_profiles = network_profiles
        self.queue = Queue(store)
        self.notices = Queue(store)  # separate, so that an unsent notification delays no transaction
        self.connection: Link | None = None
        self._on_retry = on_retry
        self.accepted = False
        self.pending = False
        self.offline_since: float | None = None
        self.booted = False
        self.boot_reason: str = v21.BootReasonEnumType.power_up
        self.stopping = False
        self.sent: deque[str] = deque(maxlen=MAX_SENT)  # latest calls as text, for diagnostics
        config = context.config
        self._random = random.Random(f"station-{config.id}-{config.seed}")
        self._offline_s = 0.0  # duration of the last interruption
        self._reported: dict[int, str] = {}  # status of each EVSE as last sent; 0 is the station
        self._heartbeat_changed = asyncio.Event()
        self._timeouts = 0  # consecutive calls without a response
        self._handover: TextWire | None = None  # new connection made while the old one existed

    @property
    def online(self) -> bool:
        """True while connected and accepted."""
        return self.connection is not None and self.accepted

    def _set_clock(self, payload: Payload) -> None:
        wall = parse(payload.get("currentTime"))
        if wall is not None:
            self._station_clock.set(wall)

    def shift_times(self, seconds: float) -> None:
        """Move stored times by a step of the wall clock."""
        if self.offline_since is not None:
            self.offline_since += seconds

    # connections

    async def run(self) -> None:
        """Connect, boot, and reconnect until `close`."""
        context = self._context
        if context.quirks.clock_at_epoch:
            self._station_clock.set(0.0)
        self.offline_since = context.wall()
        self.network_profiles.begin()
        tries = 0
        while not self.stopping:
            try:
                wire = self._handover or await self._connect(self.network_profiles.target())
                self._handover = None
            except ConnectionError as error:
                if isinstance(error, UntrustedCsms) and not tries:
                    context.security_event(error.event, str(error))
                tries = 0 if self.network_profiles.failed() else tries + 1
                await self._wait_to_retry(str(error), max(tries - 1, 0))
                continue
            self.network_profiles.connected()
            tries = 0
            await self._connected(wire)
            if not self.stopping and self._handover is None:
                await self._wait_to_retry("the connection has ended", 0)

    async def _wait_to_retry(self, reason: str, failures: int) -> None:
        """Report why there is no connection and when the next attempt is made, and wait for it."""
        wait_s = self._back_off(failures)
        log.info("%s: %s; next attempt in %.0f s", self._context.config.id, reason, wait_s)
        if self._on_retry is not None:
            self._on_retry(reason, wait_s)
        await self._clock.sleep(wait_s)

    def _back_off(self, failures: int) -> float:
        """Return the wait before a reconnection: doubled with each failure, plus a random part (part 4, 5.4)."""
        settings = self._context.settings
        times = min(float(failures), settings.number("back_off_times"))
        wait = settings.number("back_off") * float(2.0**times)
        return min(wait, MAX_BACK_OFF_S) + self._random.random() * settings.number("back_off_random")

    async def close(self) -> None:
        """Close the connection for good."""
        self.stopping = True
        await self.reconnect("the station stops")

    async def modem_reset(self) -> None:
        """Lose the connection and reconnect. With the quirk `keeps_old_connection` two connections overlap."""
        if self.connection is None:
            return
        if self._context.quirks.keeps_old_connection:
            with contextlib.suppress(ConnectionError):
                self._handover = await self._connect(self.network_profiles.target())
        else:
            await self.connection.close(1001, "modem reset")

    async def reboot(self, reason: str) -> None:
        """Close the connection and boot again on the next one."""
        self.booted, self.boot_reason = False, reason
        self._reported.clear()
        self.network_profiles.begin()
        await self.reconnect("reboot")

    async def reconnect(self, why: str) -> None:
        """Close the connection and reconnect, as after new credentials (A01.FR.11)."""
        if self.connection is not None:
            await self.connection.close(1000, why)

    async def _connected(self, wire: TextWire) -> None:
        context, ocpp = self._context, self._context.ocpp
        engine = Rpc(
            context.config.version, handles=frozenset(ocpp.handlers), answer_within=context.config.answer_within_s
        )

        def handle(call: CallReceived) -> Payload | Awaitable[Payload]:
            if not self.accepted and not (self.pending and call.action in ocpp.allowed_while_pending):
                raise Refusal(ErrorCode.SECURITY_ERROR, "this station has not been accepted yet")
            return ocpp.handlers[call.action](call.payload)

        self.connection = connection = Link(wire, engine, handle, self._clock, self._observe, on_sent=self._keep_calls)
        sending = asyncio.get_running_loop().create_task(self._send_all(connection))
        try:
            await connection.run()
        finally:
            sending.cancel()
            self.connection = None
            if self.offline_since is None:
                self.offline_since = context.wall()
            self.accepted = self.pending = False
            context.wake()

    def _observe(self, event: Event) -> None:
        """Apply an accepted boot before the next message, which may already be a request."""
        if not isinstance(event, ResultReceived) or event.violation is not None:
            return
        if event.action == v21.Action.boot_notification:
            self.pending = event.payload["status"] == v21.RegistrationStatusEnumType.pending
            if event.payload["status"] == v21.RegistrationStatusEnumType.accepted:
                self._accepted_now(event.payload)

    async def _send_all(self, connection: Link) -> None:
        """Boot, then send statuses, queued messages and heartbeats for the lifetime of a connection."""
        context = self._context
        try:
            if context.quirks.status_before_boot:
                await self._send_statuses()
            booting = not self.booted
            if booting:
                if not await self._boot(connection):
                    return
            else:
                self._back_online()
            long = self._offline_s > context.settings.number("offline_threshold")
            await self._send_statuses(all_evses=booting or long)
            if booting:
                context.started_up()
            context.back_online()
            await asyncio.gather(self._drain(self.queue), self._drain(self.notices), self._send_heartbeats())
        except ConnectionError:
            await connection.close()

    async def _boot(self, connection: Link) -> bool:
        """Send BootNotification at the interval that the CSMS states until it accepts (B01-B03)."""
        while not connection.closed:
            reply = await self.call(v21.Action.boot_notification, self._context.messages.boot(self.boot_reason))
            interval = BOOT_INTERVAL_S
            if isinstance(reply, Answered) and reply.violation is None:
                if reply.payload["status"] == v21.RegistrationStatusEnumType.accepted:
                    return True
                interval = float(reply.payload["interval"]) or BOOT_INTERVAL_S
                if not self._context.quirks.clock_at_epoch:
                    self._set_clock(reply.payload)
            deadline = self._clock.now() + interval
            while not connection.closed and not self.accepted and self._clock.now() < deadline:
                await self._clock.sleep(min(1.0, max(0.0, deadline - self._clock.now())))
            if self.accepted:
                return True  # a triggered BootNotification was accepted meanwhile
        return False

    def _accepted_now(self, response: Payload) -> None:
        """Apply an accepted BootNotification (B01.FR.04, .06)."""
        if not self._context.quirks.clock_at_epoch:
            self._set_clock(response)
        if response["interval"] > 0:
            self._context.settings.put("heartbeat", response["interval"])
        self.booted, self.pending = True, False
        self._back_online()

    def _back_online(self) -> None:
        if self.offline_since is not None:
            wall = self._context.wall()
            self._offline_s = wall - self.offline_since
            self._profiles.back_online(wall, self.offline_since)
        self.accepted, self.offline_since = True, None
        self._context.wake()

    async def _send_statuses(self, all_evses: bool = True) -> None:
        """Send all statuses after a boot or a long interruption, otherwise the changed ones (B01.FR.05, B04)."""
        whole = self._context.messages.station_status()
        if whole is not None and (all_evses or self._reported.get(0) != whole["status"]):
            await self.send_station_status()
        for evse in self._context.evses.values():
            if all_evses or self._reported.get(evse.number) != evse.status:
                await self.send_status(evse)

    async def send_status(self, evse: EvseState) -> None:
        """Send StatusNotification of one EVSE."""
        self._reported[evse.number] = evse.status
        await self.call(v21.Action.status_notification, self._context.messages.status(evse))

    async def send_station_status(self) -> None:
        """Send StatusNotification of the whole station, where the version has one."""
        whole = self._context.messages.station_status()
        if whole is not None:
            self._reported[0] = whole["status"]
            await self.call(v21.Action.status_notification, whole)

    def restart_heartbeat(self) -> None:
        """Apply a changed heartbeat interval, counted from now."""
        self._heartbeat_changed.set()

    async def _send_heartbeats(self) -> None:
        while True:
            self._heartbeat_changed.clear()
            deadline = self._clock.now() + max(1.0, self._context.settings.number("heartbeat"))
            with contextlib.suppress(TimeoutError):
                async with self._clock.timeout_at(deadline):
                    await self._heartbeat_changed.wait()
                    continue
            await self._heartbeat()

    async def _heartbeat(self) -> bool:
        reply = await self.call(v21.Action.heartbeat, {})
        if isinstance(reply, Answered):
            self._set_clock(reply.payload)
        return isinstance(reply, Answered)

    # messages

    async def call(self, action: str, payload: Payload) -> Reply:
        """Send a CALL and return its reply; `Lost` while disconnected."""
        connection = self.connection
        if connection is None:
            return Lost()
        try:
            reply = await connection.call(action, payload)
            self._timeouts = self._timeouts + 1 if isinstance(reply, TimedOut) else 0
            if self._timeouts >= MAX_TIMEOUTS:
                self._timeouts = 0
                await connection.close(1001, "the CSMS does not answer")
            return reply
        except LocalProtocolError:
            log.exception("%s: %s could not be sent", self._context.config.id, action)
            raise

    def _keep_calls(self, texts: list[str]) -> None:
        self.sent.extend(text for text in texts if text[1] in "26")

    async def send(self, action: str, payload: Payload) -> None:
        """Send a message without a response (2.1 SEND). Raises ConnectionError while disconnected."""
        if self.connection is None:
            raise ConnectionError("the station is not connected")
        await self.connection.send(action, payload)

    def enqueue(self, message: Message) -> None:
        """Queue a message behind those of its kind."""
        if self._context.quirks.reports_late_s:
            message.not_before = self._clock.now() + self._context.quirks.reports_late_s
        self.queue_of(message).put(message)

    def queue_of(self, message: Message) -> Queue:
        """Return the queue of a message."""
        return self.notices if message.transaction is None else self.queue

    @property
    def waiting(self) -> int:
        """Number of undelivered messages."""
        return len(self.queue) + len(self.notices)

    async def _drain(self, queue: Queue) -> None:
        """Send the messages of a queue one after the other, for the lifetime of a connection."""
        messages = self._context.messages
        while True:
            head = queue.head()
            if head is None or head.not_before > self._clock.now():
                queue.changed.clear()
                until = None if head is None else head.not_before
                with contextlib.suppress(TimeoutError):
                    async with self._clock.timeout_at(until):
                        await queue.changed.wait()
                continue
            reply = await self.call(head.action, messages.completed(head))
            if isinstance(reply, Answered):
                queue.sent()
                if reply.violation is None:
                    messages.answered(head, reply.payload)
            elif isinstance(reply, Lost):
                return
            elif isinstance(reply, Refused) and reply.code in NEVER_ACCEPTED and head.transaction is None:
                queue.sent()
            elif isinstance(reply, Refused) or await self._heartbeat():
                self._retry_later(queue, head, reply)  # a time-out on a dead connection is no attempt

    def _retry_later(self, queue: Queue, head: Message, reply: Reply) -> None:
        """Repeat as often as MessageAttempts allows, with a wait that grows with each attempt (E13)."""
        log.warning("%s: %s was not accepted: %s", self._context.config.id, head.action, reply)
        settings = self._context.settings
        head.not_before = self._clock.now() + settings.number("attempt_interval") * (head.tries + 1)
        queue.failed(int(settings.number("attempts")))
