"""The traffic of one gateway with one broker: commands and inputs in; results, states, events and telemetry out.

A lost link is opened again after a pause that grows and jitters. While it is down, commands in force live on their
leases; after `broker_grace_s` the leased commands that came through it end, because nobody could stop them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from pydantic import BaseModel

from gateway import __version__
from gateway.commands.submission import Channel, Submission
from gateway.model.command import MAX_BYTES
from gateway.model.energy_state import SharedEnergyState, SharedSiteState
from gateway.model.journal import Phase, ReplyTo
from gateway.model.reason import Code, because
from gateway.model.result import Result
from gateway.model.state import EventMessage, EvseState, GatewayStatus
from gateway.mqtt import discovery, mirror
from gateway.mqtt.client import Acknowledging, Connect
from gateway.mqtt.outbox import Outbox, Parcel
from gateway.mqtt.topics import Heard, Kind, Topics
from gateway.service import GatewayService
from protocols.ports import Bus, BusMessage, Clock

log = logging.getLogger("v2x.mqtt")
Said = TypeVar("Said", bound=BaseModel)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
TAKEN_AT_ONCE = 500
STATE_EVERY_S = 0.5  # a state is sent this often at most
SITE_EVERY_S = 2.0  # the site's at most, where only sums and ages have moved
GOODBYE_S = 2.0
EVENTS_KEPT = 1000  # while there is no link
MOST_OTHERS = 256  # gateways of one site; whoever tells of more is not believed


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """What the room needs besides a link."""

    topics: Topics
    telemetry_s: float = 1.0
    takes_site_commands: bool = True
    broker_grace_s: float = 30.0
    homeassistant: str = "device"  # device | components | off


class MqttConnection:
    """Implements `gateway.model.subscriber.Listener` and runs the link."""

    def __init__(
        self, service: GatewayService, settings: MqttSettings, connect: Connect, clock: Clock, seed: int | None = None
    ) -> None:
        self._service = service
        self._settings = settings
        self._connect = connect
        self._clock = clock
        self._random = random.Random(seed)
        self._topics = settings.topics
        self.neighbour: Callable[[str, SharedEnergyState], None] | None = None  # hears the states of other sites
        self.outbox = Outbox(service.delivered)
        self._events: list[EventMessage] = []
        self._news = asyncio.Event()  # events or dirty states
        self._dirty: dict[str | None, None] = {}
        self._stirred: dict[str | None, None] = {}  # what is measured there has moved
        self._told_at: dict[str | None, float] = {}
        self._others: dict[str, frozenset[str]] = {}  # gateways that are online here, and their EVSEs
        self._retained: dict[str, dict[str, bytes]] = {}  # by EVSE: discovery and mirror, as last sent on this link
        self._unsaid: set[str] = set()  # what a defect keeps from being told
        self._status: GatewayStatus | None = None
        self._since = clock.wall()
        self._seq = 0
        self._mirrored = 0
        self._lost_at: float | None = None
        self._gate = asyncio.Semaphore(TAKEN_AT_ONCE)
        self._taking: set[asyncio.Task[None]] = set()
        self.connected = asyncio.Event()  # for those who wait for the first link
        self.counts: dict[str, int] = {}
        service.listen(self)

    # what the core says (Listener) ------------------------------------------------------------------------------------

    def result(self, result: Result, reply: ReplyTo | None, phase: Phase | None) -> None:
        """Send an answer to the result topic, and where the commander asked for it."""
        text = result.model_dump_json().encode()
        user = (("gateway", self._topics.gateway),)
        messages = [BusMessage(self._topics.of(result.evse, "result"), text, qos=1, user_properties=user)]
        if reply is not None and self._topics.may_answer_on(reply.topic):
            messages.append(
                BusMessage(reply.topic, text, qos=1, correlation_data=reply.correlation_data, user_properties=user)
            )
        if self._topics.mirror and result.evse is not None:
            mirrored = f"{self._topics.mirror}/{result.evse}/result"
            messages.append(BusMessage(mirrored, mirror.answer(result).encode(), qos=1, retain=True))
        self.outbox.put(Parcel(tuple(messages), result.id, phase))

    def event(self, event: EventMessage) -> None:
        """Send an event; without a link the newest are kept."""
        self._events.append(event)
        del self._events[:-EVENTS_KEPT]
        self._news.set()

    def changed(self, evse: str | None) -> None:
        """Send a state soon."""
        self._dirty[evse] = None
        self._stirred[None] = None
        self._news.set()

    def stirred(self, evse: str | None) -> None:
        """Send a state before long: an EVSE's as often as its telemetry, which tells the same."""
        if evse not in self._stirred or None not in self._stirred:
            self._stirred[evse] = self._stirred[None] = None
            self._news.set()

    # the link ---------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep a link to the broker until cancelled."""
        clock, pause_s = self._clock, FIRST_PAUSE_S
        while True:
            began, lost = clock.now(), "the broker closed the link"
            try:
                async with self._connect(self._will()) as bus:
                    log.info("connected to the broker")
                    began = clock.now()
                    try:
                        await self._serve(bus)
                    except asyncio.CancelledError:
                        with contextlib.suppress(ConnectionError, TimeoutError):
                            async with asyncio.timeout(GOODBYE_S):
                                await bus.publish(self._will())  # the broker sends it only where there is no goodbye
                        raise
            except* (ConnectionError, TimeoutError) as trouble:
                lost = str(_first(trouble))
            except* Exception as defect:  # costs the link, which is opened again; never the gateway
                self._count("defects")
                log.exception("the link to the broker failed by a defect of the gateway; it is opened again")
                lost = f"a defect of the gateway: {type(_first(defect)).__name__}"
            self.connected.clear()
            if (this := asyncio.current_task()) is not None and this.cancelling():
                raise asyncio.CancelledError  # it met an error inside a task group, which then forgets it (Python 3.11)
            if clock.now() - began > LONGEST_PAUSE_S:
                pause_s = FIRST_PAUSE_S
            log.warning("no link to the broker: %s", lost)
            await self._without_a_link(pause_s * self._random.uniform(0.5, 1.0), lost)
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)

    async def _without_a_link(self, pause_s: float, lost: str) -> None:
        """Wait before trying again. Whoever commanded through this link can no longer take it back."""
        if self._lost_at is None:
            self._lost_at = self._clock.now()
        grace_s = self._settings.broker_grace_s
        over_in_s = self._lost_at + grace_s - self._clock.now()
        if over_in_s <= pause_s:
            await self._clock.sleep(max(0.0, over_in_s))
            text = f"The link to the broker has been down for {grace_s:.0f} s ({lost})."
            self._service.end_channel(Channel.MQTT, because(Code.BROKER_LOST, text))
            pause_s -= max(0.0, over_in_s)
        await self._clock.sleep(max(0.0, pause_s))

    async def _serve(self, bus: Bus) -> None:
        self._lost_at = None
        self._others.clear()
        self._retained.clear()
        settings = self._settings
        finds = settings.homeassistant != "off"
        for topic_filter in self._topics.filters(site_commands=settings.takes_site_commands, discovery=finds):
            await bus.subscribe(topic_filter, qos=1)
        if self.neighbour is not None:
            await bus.subscribe(self._topics.neighbours, qos=1)
        self._status = None
        self._dirty = dict.fromkeys([*self._service.evses(), None])
        self._news.set()
        await self._say_status(bus)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read(bus))
            tasks.create_task(self.outbox.run(bus))
            tasks.create_task(self._tell_news(bus))
            tasks.create_task(self._tell_telemetry(bus))
            self.connected.set()
            # waited for here and not in the group's exit, where Python 3.11 leaves its own cancellation counted
            await asyncio.get_running_loop().create_future()

    def _will(self) -> BusMessage:
        offline = GatewayStatus(state="offline", gateway=self._topics.gateway, version=__version__)
        return BusMessage(self._topics.status, offline.model_dump_json().encode(), qos=1, retain=True)

    async def _say_status(self, bus: Bus) -> None:
        places = self._service.board.places.values()
        status = GatewayStatus(
            state="online",
            gateway=self._topics.gateway,
            version=__version__,
            evses=tuple(sorted(place.name for place in places if place.evse.connected)),
            takes_site_commands=self._settings.takes_site_commands,
            journal="failing" if self._service.journal.trouble else "ok",
            since=self._since,
        )
        if status != self._status:
            await bus.publish(BusMessage(self._topics.status, status.model_dump_json().encode(), qos=1, retain=True))
            self._status = status

    # in ---------------------------------------------------------------------------------------------------------------

    async def _read(self, bus: Bus) -> None:
        async for message in bus.messages():
            if self.neighbour is not None and (site := self._topics.neighbour(message.topic)) is not None:
                self._hear_neighbour(site, message.payload)
                _acknowledge(bus, message)
                continue
            heard = self._topics.parse(message.topic)
            if heard.kind in (Kind.EVSE_COMMAND, Kind.SITE_COMMAND, Kind.MIRROR):
                await self._gate.acquire()
                task = asyncio.get_running_loop().create_task(self._take_command(bus, heard, message))
                self._taking.add(task)  # not a child of the link: a command being taken outlives it
                task.add_done_callback(self._taken)
                continue
            self._hear(heard, message)
            _acknowledge(bus, message)
        raise ConnectionError("the broker closed the link")

    def _hear_neighbour(self, site: str, payload: bytes) -> None:
        """Another site's retained state, for whoever lends cars to it; a malformed one has no effect."""
        if self.neighbour is None or len(payload) > MAX_BYTES:
            return
        try:
            energy = SharedSiteState.parse(payload).energy
        except ValueError:
            return
        if energy is not None:
            self.neighbour(site, energy)

    async def _take_command(self, bus: Bus, heard: Heard, message: BusMessage) -> None:
        evse = None if heard.kind is Kind.SITE_COMMAND else heard.name
        verb, payload = heard.verb, message.payload
        if heard.kind is Kind.MIRROR:
            self._mirrored += 1
            meant = mirror.command(verb, payload, f"{self._since:.0f}-{self._mirrored}")
            if meant is None:
                self._count("ignored")
                _acknowledge(bus, message)
                return
            verb, payload = meant
        if message.retain and not message.payload:  # somebody takes a retained message back
            _acknowledge(bus, message)
            return
        if evse is not None and not self._mine(evse):
            self._count("for_another_gateway")
            _acknowledge(bus, message)
            return
        reply = None
        if message.response_topic is not None:
            reply = ReplyTo(message.response_topic, message.correlation_data)
        await self._service.submit(Submission(evse, verb, payload, Channel.MQTT, message.retain, reply))
        _acknowledge(bus, message)

    def _taken(self, task: asyncio.Task[None]) -> None:
        self._gate.release()
        self._taking.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a command could not be taken", exc_info=error)

    def _mine(self, evse: str) -> bool:
        """Whether this gateway answers for an EVSE; one that another gateway serves is left to that one."""
        place = self._service.board.places.get(evse)
        if place is not None and place.evse.connected:
            return True
        if any(evse in theirs for theirs in self._others.values()):
            return False
        return self._settings.takes_site_commands or self._service.board.known(evse) is not None

    def _hear(self, heard: Heard, message: BusMessage) -> None:
        match heard.kind:
            case Kind.INPUT:
                self._service.input(heard.verb, message.payload, message.retain)
            case Kind.GATEWAY_STATUS if heard.name != self._topics.gateway:
                self._note_other(heard.name, message.payload)
            case Kind.HOMEASSISTANT if message.payload == b"online":
                self._retained.clear()  # it has been restarted: tell it all again
                self._dirty.update(dict.fromkeys(self._service.evses()))
                self._news.set()
            case _:
                self._count("ignored")

    def _note_other(self, gateway: str, payload: bytes) -> None:
        self._others.pop(gateway, None)
        if len(payload) > MAX_BYTES or len(self._others) >= MOST_OTHERS:
            self._count("ignored")
            return
        try:
            status = GatewayStatus.model_validate_json(payload)
        except ValueError:
            return
        if status.state == "online":
            self._others[gateway] = frozenset(status.evses)
            both = self._others[gateway] & set(self._service.evses())
            if status.takes_site_commands and self._settings.takes_site_commands:
                log.warning("%s takes the site's commands too; of several gateways at a site one may", gateway)
            if both:
                log.warning("%s serves %s too", gateway, ", ".join(sorted(both)))

    # out --------------------------------------------------------------------------------------------------------------

    async def _tell_news(self, bus: Bus) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with self._clock.timeout_at(min(map(self._again_at, self._stirred), default=None)):
                    await self._news.wait()
            self._news.clear()
            while self._events:
                event = self._events[0]
                payload = event.model_dump_json().encode()
                await bus.publish(BusMessage(self._topics.of(event.evse, "event"), payload, qos=1))
                if self._events and self._events[0] is event:
                    del self._events[0]
            dirty, self._dirty = self._dirty, {}
            now = self._clock.now()
            dirty |= {evse: None for evse in self._stirred if self._again_at(evse) <= now}
            if None in dirty:
                del dirty[None]
                dirty[None] = None  # last: with the sums of what was just told
            for evse in dirty:
                self._stirred.pop(evse, None)
                self._told_at[evse] = now
                await self._say_state(bus, evse)
            if dirty:
                await self._say_status(bus)
            await self._clock.sleep(STATE_EVERY_S)

    def _again_at(self, evse: str | None) -> float:
        """When a state is told again of which only measured values have moved."""
        every_s = self._settings.telemetry_s
        return self._told_at.get(evse, -math.inf) + (max(SITE_EVERY_S, every_s) if evse is None else every_s)

    async def _say_state(self, bus: Bus, evse: str | None) -> None:
        topic = self._topics.of(evse, "state")
        if evse is None:
            payload, _ = self._said("the site's state", self._service.site_state)
            if payload is not None:
                await self._retain(bus, topic, payload)
            return
        if evse not in self._service.board.places:
            await self._forget(bus, evse)
            return
        payload, state = self._said(f"the state of {evse}", partial(self._service.state, evse))
        if payload is None or state is None:
            return
        await self._retain(bus, topic, payload)
        await self._say_discovery(bus, state)
        if self._topics.mirror:
            for name, text in mirror.scalars(state).items():
                await self._retain_change(bus, f"{self._topics.mirror}/{evse}/{name}", text.encode(), evse)

    async def _say_discovery(self, bus: Bus, state: EvseState) -> None:
        """What Home Assistant needs, when it is new or another than before."""
        for topic, payload in discovery.messages(self._topics, state, self._settings.homeassistant).items():
            await self._retain_change(bus, topic, json.dumps(payload).encode(), state.evse)

    async def _retain_change(self, bus: Bus, topic: str, payload: bytes, evse: str) -> None:
        if self._retained.setdefault(evse, {}).get(topic) != payload:
            await self._retain(bus, topic, payload)
            self._retained[evse][topic] = payload

    async def _forget(self, bus: Bus, evse: str) -> None:
        """An EVSE that is no more leaves nothing behind at the broker."""
        self._told_at.pop(evse, None)
        for topic in [self._topics.evse(evse, "state"), *self._retained.pop(evse, {})]:
            await self._retain(bus, topic, b"")

    async def _retain(self, bus: Bus, topic: str, payload: bytes) -> None:
        await bus.publish(BusMessage(topic, payload, qos=1, retain=True))

    async def _tell_telemetry(self, bus: Bus) -> None:
        while True:
            await self._clock.sleep(self._settings.telemetry_s)
            self._seq += 1
            for evse in self._service.evses():
                payload, _ = self._said(f"the telemetry of {evse}", partial(self._service.telemetry, evse))
                if payload is not None:
                    await bus.publish(BusMessage(self._topics.evse(evse, "telemetry"), payload))
            payload, _ = self._said("the site's telemetry", partial(self._service.site_telemetry, self._seq))
            if payload is not None:
                await bus.publish(BusMessage(self._topics.of_site("telemetry"), payload))

    def _said(self, what: str, make: Callable[[], Said | None]) -> tuple[bytes | None, Said | None]:
        """A message of ours as bytes, and itself; what cannot be made is told once and costs the others nothing."""
        try:
            made = make()
            payload = made.model_dump_json().encode() if made is not None else None
        except Exception:
            self._count("defects")
            if what not in self._unsaid:
                self._unsaid.add(what)
                log.exception("%s cannot be told", what)
            return None, None
        self._unsaid.discard(what)
        return payload, made

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1


def _acknowledge(bus: Bus, message: BusMessage) -> None:
    if isinstance(bus, Acknowledging):
        bus.acknowledge(message)


def _first(trouble: BaseExceptionGroup[BaseException]) -> BaseException:
    one: BaseException = trouble
    while isinstance(one, BaseExceptionGroup):
        one = one.exceptions[0]
    return one
