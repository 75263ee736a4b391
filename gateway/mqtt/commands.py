"""Incoming messages: topics and payloads become submissions, facility inputs and states of other gateways and sites.

A command is acknowledged to the broker once its first result is stored or, where it is not and the broker would send
the command again, was acknowledged by the broker; every other message when it was applied.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections import Counter, OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeAlias

from gateway.model.command import ALWAYS_ACT, MAX_BYTES, Channel, Submission
from gateway.model.energy_state import SharedEnergyState, SharedSiteState
from gateway.model.journal import ReplyTo
from gateway.model.message import strict_json
from gateway.model.result import Result
from gateway.model.state import GatewayStatus
from gateway.mqtt import mirror, retained
from gateway.mqtt.client import KEEPALIVE_S, Resuming, SubscriptionRefused
from gateway.mqtt.incoming import Overflowing
from gateway.mqtt.same_id import is_probe
from gateway.mqtt.topics import Kind, MqttSettings, ParsedTopic
from gateway.service import GatewayService
from protocols.ports import Bus, BusMessage, Clock

log = logging.getLogger("v2x.mqtt")

MAX_CONCURRENT_COMMANDS = 100  # few, so that one round of all of them delays no emergency stop
SAME_COPY_S = 60.0  # two links deliver the same stop within this time
MAX_COPIES = 1000
MAX_UNACKNOWLEDGED = 1000
DETECTED_WITHIN_S = 1.5 * KEEPALIVE_S  # a link that is gone may have been counted as up for so long
BACKLOG_AT_MOST_S = 60.0  # where the broker does not show its end
OVERFLOW_EVERY_S = 1.0
MAX_OTHER_GATEWAYS = 256  # per site; further status messages are ignored

READ_RETAINED_S = 5.0  # after a new link: the broker sends what earlier runs have retained

COMMANDS = frozenset({Kind.EVSE_COMMAND, Kind.SITE_COMMAND, Kind.MIRROR})

NeighbourHandler: TypeAlias = Callable[[str, SharedEnergyState], None]


class Publishing(Protocol):
    """Methods of the publisher that incoming messages require (`gateway.mqtt.publisher`)."""

    accepts_more: asyncio.Event  # set while few results wait for the broker

    def when_sent(self, result: Result, then: Callable[[], None]) -> bool: ...
    def found(self, evse: str, topic: str, payload: bytes) -> None: ...
    def republish_discovery(self) -> None: ...
    def republish_status(self) -> None: ...


class MessageReceiver:
    """Dispatches the messages of every link.

    The publisher sends discovery again when Home Assistant has restarted, and the status when another gateway requests
    that of this id; it is shown each retained state and discovery message of this gateway.
    """

    def __init__(
        self,
        service: GatewayService,
        settings: MqttSettings,
        clock: Clock,
        counts: Counter[str],
        publisher: Publishing,
        neighbour: NeighbourHandler | None = None,
    ) -> None:
        self._service = service
        self._settings = settings
        self._topics = settings.topics
        self._clock = clock
        self._counts = counts
        self._publisher = publisher
        self._neighbour = neighbour
        self._others: dict[str, frozenset[str]] = {}  # gateways that are online at this site, and their EVSEs
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_COMMANDS)
        self._submissions: set[asyncio.Task[None]] = set()
        self._copies: OrderedDict[tuple[str, bytes], tuple[float, int]] = OrderedDict()  # of stops: when, lead
        self._links: set[Bus] = set()  # that have not ended
        self._unacknowledged: OrderedDict[tuple[str, bytes], Result] = OrderedDict()  # of commands, not stored
        self._lost_at: float | None = None  # since when the broker has queued the backlog; None is unknown
        self._backlog_until = 0.0  # while the broker sends what it queued before this link
        self.marker = ""  # of this link, in the gateway's own status
        self._hands_over = False

    @property
    def submitting(self) -> int:
        """Number of commands whose first result is awaited."""
        return len(self._submissions)

    def hand_over(self) -> None:
        """Leave further commands to the next holder of the site: the broker sends it what is not acknowledged."""
        self._hands_over = True

    async def subscribe(self, bus: Bus, lost_at: float | None) -> None:
        """Subscribe on a new link; the last one of this run ended at `lost_at`, in monotonic time."""
        self._others.clear()
        resumed, now = isinstance(bus, Resuming) and bus.resumed, self._clock.now()
        if lost_at is None or now >= self._backlog_until:
            self._lost_at = lost_at  # else the broker still has messages of the time before
        self._backlog_until = now + BACKLOG_AT_MOST_S if resumed else 0.0
        self.marker = secrets.token_hex(6)
        settings = self._settings
        discovery = settings.homeassistant != "off"
        filters = self._topics.filters(site_commands=settings.takes_site_commands, discovery=discovery)
        await self.subscribe_commands(bus, filters)
        if self._neighbour is not None:
            await bus.subscribe(self._topics.neighbours, qos=1)
        for topic_filter in self._topics.retained_filters:
            await _subscribe_if_allowed(bus, topic_filter, 0, "what an earlier run retained stays at the broker")

    async def finish_retained(self, bus: Bus) -> None:
        """End the subscriptions to this gateway's own retained messages once the broker has sent them."""
        await self._clock.sleep(READ_RETAINED_S)
        for topic_filter in self._topics.retained_filters:
            await bus.unsubscribe(topic_filter)

    async def subscribe_commands(self, bus: Bus, filters: list[str]) -> None:
        """Subscribe to shared command topics, and to the clients' own ones where the broker permits it."""
        for topic_filter in filters:
            await bus.subscribe(topic_filter, qos=1)
        for topic_filter in self._topics.of_clients(filters):
            await _subscribe_if_allowed(bus, topic_filter, 1, "clients cannot command on topics of their own")

    async def run_urgent(self, bus: Bus, slots: asyncio.Semaphore) -> None:
        """Submit stop commands of a link beside the main one until it ends (ConnectionError)."""
        self._links.add(bus)
        try:
            await self._run_urgent(bus, slots)
        finally:
            self._links.discard(bus)

    async def _run_urgent(self, bus: Bus, slots: asyncio.Semaphore) -> None:
        overflowing = bus if isinstance(bus, Overflowing) else None
        async for message in bus.messages():
            topic = self._topics.parse(message.topic)
            if topic.verb not in ALWAYS_ACT or not self._first_copy(message, -1):
                bus.acknowledge(message)
            else:
                await self._start(bus, topic, message, slots)
            if overflowing is not None:
                self._answer_dropped(overflowing)
        raise ConnectionError("the broker closed the link")

    def _first_copy(self, message: BusMessage, link: int) -> bool:
        """Return whether a stop command is no copy of one from the other link (1: the main link, -1: one beside it)."""
        key, now = _content(message), self._clock.now()
        at, lead = self._copies.pop(key, (now, 0))
        if now - at > SAME_COPY_S:
            lead = 0
        self._copies[key] = (now, lead + link)
        while len(self._copies) > MAX_COPIES:
            self._copies.popitem(last=False)
        return lead * link >= 0

    async def _start(self, bus: Bus, topic: ParsedTopic, message: BusMessage, slots: asyncio.Semaphore) -> None:
        await slots.acquire()
        if self._hands_over and _comes_again(bus, message):
            slots.release()
            return
        task = asyncio.get_running_loop().create_task(self._command(bus, topic, message))
        self._submissions.add(task)  # not a child of the link's tasks: a submission outlives the link
        task.add_done_callback(partial(self._submitted, slots))

    async def report_overflow(self, bus: Bus) -> None:
        """Answer what a flood of QoS 0 has displaced, until cancelled."""
        while isinstance(bus, Overflowing):
            await self._clock.sleep(OVERFLOW_EVERY_S)
            self._answer_dropped(bus)

    def _answer_dropped(self, bus: Overflowing) -> None:
        number, newest = bus.take_dropped()
        if not number:
            return
        self._counts["dropped_qos_0"] += number
        parsed = [(self._topics.parse(message.topic), message) for message in newest]
        commands = [self._submission(*one) for one in parsed if one[0].kind in COMMANDS]
        self._service.overloaded(number, [one for one in commands if one is not None])

    async def run(self, bus: Bus) -> None:
        """Dispatch messages until the link ends (ConnectionError)."""
        self._links.add(bus)
        try:
            await self._run(bus)
        finally:
            self._links.discard(bus)

    async def _run(self, bus: Bus) -> None:
        async for message in bus.messages():
            topic = self._topics.parse(message.topic)
            if topic.kind in COMMANDS:
                if topic.kind is not Kind.MIRROR and topic.verb in ALWAYS_ACT and not self._first_copy(message, 1):
                    bus.acknowledge(message)
                else:
                    await self._publisher.accepts_more.wait()
                    await self._start(bus, topic, message, self._slots)
            else:
                self._dispatch_isolated(topic, message)
                bus.acknowledge(message)
        raise ConnectionError("the broker closed the link")

    async def _command(self, bus: Bus, topic: ParsedTopic, message: BusMessage) -> None:
        """Submit a command, and acknowledge it when its first result cannot be lost.

        One that is delivered again because that result is still on its way is not decided again.
        """
        result = self._unacknowledged.get(_content(message)) if message.redelivered else None
        if result is None:
            if (submission := self._submission(topic, message)) is None:
                bus.acknowledge(message)
                return
            result = await self._service.submit(submission)
        if not _comes_again(bus, message):
            bus.acknowledge(message)
            return
        # after the result, which was published in this turn of the loop and is delivered to the outbox in the next
        asyncio.get_running_loop().call_soon(self._acknowledge_when_sent, bus, message, result)

    def _acknowledge_when_sent(self, bus: Bus, message: BusMessage, result: Result) -> None:
        if self._publisher.when_sent(result, partial(self._answered, bus, message)):
            self._unacknowledged[_content(message)] = result
            while len(self._unacknowledged) > MAX_UNACKNOWLEDGED:
                self._unacknowledged.popitem(last=False)

    def _answered(self, bus: Bus, message: BusMessage) -> None:
        """Acknowledge a command; one of a link that has ended is delivered again."""
        bus.acknowledge(message)
        if self._unacknowledged and bus in self._links:
            self._unacknowledged.pop(_content(message), None)

    def _submission(self, topic: ParsedTopic, message: BusMessage) -> Submission | None:
        """Return the submission of a command message; None for one that is none of this gateway's."""
        evse = None if topic.kind is Kind.SITE_COMMAND else topic.name
        verb, payload = topic.verb, message.payload
        if topic.kind is Kind.MIRROR:
            command = mirror.command(verb, payload, secrets.token_hex(10))  # no other client can use the id before
            if command is None:
                self._counts["ignored"] += 1
                return None
            verb, payload = command
        if message.retain and not message.payload:  # deletion of a retained message
            return None
        if evse is not None and not self._mine(evse):
            self._counts["for_another_gateway"] += 1
            return None
        reply = None
        if message.response_topic is not None:
            reply = ReplyTo(message.response_topic, message.correlation_data)
        delivered = self._delivered(message)
        older_s: float | None = 0.0
        if message.redelivered or delivered < self._backlog_until:
            older_s = None if self._lost_at is None else delivered - self._lost_at + DETECTED_WITHIN_S
        return Submission(
            evse,
            verb,
            payload,
            Channel.MQTT,
            message.retain,
            reply,
            topic.client,
            delivered=delivered,
            older_s=older_s,
            expiry_s=message.expiry_s,
        )

    def _delivered(self, message: BusMessage) -> float:
        """Return when a message was received, in the time of the clock."""
        waited_s = asyncio.get_running_loop().time() - message.arrived if message.arrived is not None else 0.0
        return self._clock.now() - waited_s

    def _submitted(self, slots: asyncio.Semaphore, task: asyncio.Task[None]) -> None:
        slots.release()
        self._submissions.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a command could not be submitted", exc_info=error)

    def _mine(self, evse: str) -> bool:
        """Return whether this gateway answers for an EVSE; one that another gateway serves is left to that one."""
        if self._service.is_connected(evse):
            return True
        if any(evse in evses for evses in self._others.values()):
            return False
        return self._settings.takes_site_commands or self._service.may_exist(evse)

    def _dispatch_isolated(self, topic: ParsedTopic, message: BusMessage) -> None:
        """Dispatch a message; a defect costs this message, never the link, on which it would come again."""
        try:
            self._dispatch(topic, message)
        except Exception:
            self._counts["defects"] += 1
            log.exception("a message to %r has no effect because of a defect of the gateway", message.topic[:200])

    def _dispatch(self, topic: ParsedTopic, message: BusMessage) -> None:
        match topic.kind:
            case Kind.INPUT:
                self._service.input(topic.verb, message.payload, message.retain)
            case Kind.GATEWAY_STATUS if topic.name == self._topics.gateway:
                if ("link", self.marker) in message.user_properties:
                    self._backlog_until = self._delivered(message)  # queued after all that is older than this link
                if is_probe(message.payload):
                    self._publisher.republish_status()
            case Kind.GATEWAY_STATUS if not is_probe(message.payload):
                self._other_gateway(topic.name, message.payload)
            case Kind.NEIGHBOUR if self._neighbour is not None:
                self._other_site(self._neighbour, topic.name, message.payload)
            case Kind.EVSE_STATE | Kind.DISCOVERY:
                owner = retained.owner_of(self._topics, message.topic, message.payload)
                if owner is not None:
                    self._publisher.found(owner, message.topic, message.payload)
            case Kind.HOMEASSISTANT if message.payload == b"online":
                self._publisher.republish_discovery()
            case _:
                self._counts["ignored"] += 1

    def _other_site(self, handler: NeighbourHandler, site: str, payload: bytes) -> None:
        """Pass on the shared part of another site's state; a malformed one is counted and has no effect."""
        try:
            energy = SharedSiteState.parse(payload).energy if len(payload) <= MAX_BYTES else None
        except ValueError:
            self._counts["malformed_neighbour"] += 1
            return
        if energy is not None:
            handler(site, energy)

    def _other_gateway(self, gateway: str, payload: bytes) -> None:
        """Keep which EVSEs another gateway of this site serves."""
        self._others.pop(gateway, None)
        if len(payload) > MAX_BYTES or len(self._others) >= MAX_OTHER_GATEWAYS:
            self._counts["ignored"] += 1
            return
        try:
            status = GatewayStatus.model_validate_json(payload)
            strict_json(payload)
        except ValueError:
            return
        if status.state != "online":
            return
        self._others[gateway] = frozenset(status.evses)
        if status.takes_site_commands and self._settings.takes_site_commands:
            log.warning("%s accepts site commands too; configure one gateway of the site for them", gateway)
        if both := self._others[gateway] & set(self._service.evses()):
            log.warning("%s serves %s too", gateway, ", ".join(sorted(both)))


async def _subscribe_if_allowed(bus: Bus, topic_filter: str, qos: int, without: str) -> None:
    """Subscribe, or log what is missing `without` the subscription."""
    try:
        await bus.subscribe(topic_filter, qos=qos)
    except SubscriptionRefused as error:
        log.warning("%s: %s", without, error)


def _comes_again(bus: Bus, message: BusMessage) -> bool:
    """Return whether the broker sends a message that is not acknowledged on a later link."""
    return message.qos > 0 and bus.keeps_session


def _content(message: BusMessage) -> tuple[str, bytes]:
    return message.topic, hashlib.sha256(message.payload).digest()
