"""Outgoing messages: results, events, retained states, telemetry, discovery and mirror, paced.

Results wait in the outbox until the broker has acknowledged them; events are kept up to a limit while there is no
link; states are published again on every new link.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from gateway import __version__
from gateway.model.command import ALWAYS_ACT, command_key
from gateway.model.journal import Phase, ReplyTo
from gateway.model.message import Message
from gateway.model.result import Result
from gateway.model.state import Connection, EventMessage, EvseState, GatewayStatus
from gateway.mqtt import discovery, mirror, retained
from gateway.mqtt.outbox import MAX_URGENT_HELD, Outbox, PendingResult
from gateway.mqtt.quarantine import Quarantine
from gateway.mqtt.topics import MqttSettings
from gateway.service import GatewayService
from protocols.ports import Bus, BusMessage, Clock

log = logging.getLogger("v2x.mqtt")
Published = TypeVar("Published", bound=Message)

STATE_EVERY_S = 0.5  # shortest period of a state
SITE_EVERY_S = 2.0  # shortest period of the site's state when only sums and ages have changed
MAX_EVENTS = 1000  # kept while there is no link


class Publisher:
    """Implements `gateway.control.publisher.Subscriber`; `serve` publishes over one link."""

    def __init__(
        self,
        service: GatewayService,
        settings: MqttSettings,
        clock: Clock,
        counts: Counter[str],
        may_exist: Callable[[str], bool],
        since: float,
    ) -> None:
        self._service = service
        self._settings = settings
        self._topics = settings.topics
        self._clock = clock
        self._since = since
        self._counts = counts
        self._may_exist = may_exist
        self.quarantine = Quarantine(self._topics.root, clock, self._set_aside)
        self.outbox = Outbox(service.delivered, self.quarantine)
        self._urgent: dict[str, Outbox] = {  # results that wait for no others
            verb: Outbox(service.delivered, self.quarantine, MAX_URGENT_HELD) for verb in ALWAYS_ACT
        }
        self.accepts_more = self.outbox.accepts_more
        self.outboxes = (*self._urgent.values(), self.outbox)
        self._events: list[EventMessage] = []
        self._pending = asyncio.Event()  # events or states to publish
        self._changed: dict[str | None, None] = {}
        self._measured: dict[str | None, None] = {}  # only measured values have changed
        self._published_at: dict[str | None, float] = {}
        self._retained: dict[str, dict[str, str]] = {}  # by EVSE: discovery and mirror, as last sent on this link
        self._found: dict[str, dict[str, bytes]] = {}  # by EVSE: discovery of earlier runs that is not replaced yet
        how = settings.homeassistant if settings.takes_site_commands else "off"
        self._site_messages = discovery.site_messages(self._topics, settings.tiers, how)
        self._site_discovery: dict[str, str] = {}  # as last sent on this link
        self._found_site: dict[str, bytes] = {}  # discovery of the site by earlier runs that is not replaced yet
        self._shown_connected: set[str] = set()  # EVSEs whose state at the broker says so
        self._answers: dict[str, str] = {}  # by EVSE: last result in the mirror
        self._failing: set[str] = set()  # messages that a defect keeps from being made
        self._status: GatewayStatus | None = None
        self._seq = 0

    # Subscriber -------------------------------------------------------------------------------------------------------

    def result(self, result: Result, reply: ReplyTo | None, phase: Phase | None) -> None:
        """Queue a result for the result topic, the reply topic of the command and the mirror."""
        text = result.as_json.encode()
        user = (("gateway", self._topics.gateway),)
        messages = [BusMessage(self._topics.of(result.evse, "result"), text, qos=1, user_properties=user)]
        if reply is not None and self._topics.reply_fault(reply.topic) is None:
            messages.append(
                BusMessage(reply.topic, text, qos=1, correlation_data=reply.correlation_data, user_properties=user)
            )
        if self._topics.mirror and result.evse is not None:
            messages.append(self._mirrored(result.evse, mirror.answer(result)))
        stored = phase is not None and result.verb not in ALWAYS_ACT  # which also act where it cannot be stored
        self._urgent.get(result.verb, self.outbox).put(
            PendingResult(tuple(messages), command_key(result.client, result.id), phase, stored)
        )

    def when_sent(self, result: Result, then: Callable[[], None]) -> bool:
        """See `Outbox.when_sent`."""
        outbox = self._urgent.get(result.verb, self.outbox)
        return outbox.when_sent(command_key(result.client, result.id), then)

    def _mirrored(self, evse: str, answer: str) -> BusMessage:
        """Return the result in the mirror; it is not retained for an EVSE that does not exist."""
        topic, exists = self._topics.mirrored(evse, mirror.RESULT), self._service.may_exist(evse)
        if exists:
            self._answers[evse] = self._retained.setdefault(evse, {})[topic] = answer
        return BusMessage(topic, answer.encode(), qos=1, retain=exists)

    def _set_aside(self, message: BusMessage, why: str) -> None:
        """Report a message that is not delivered."""
        self._counts["quarantined"] += 1
        self._service.undeliverable(message.topic, why)

    def event(self, event: EventMessage) -> None:
        """Queue an event; without a link the newest are kept."""
        self._events.append(event)
        del self._events[:-MAX_EVENTS]
        self._pending.set()

    def changed(self, evse: str | None) -> None:
        """Publish a state soon."""
        self._changed[evse] = None
        self._measured[None] = None
        self._pending.set()

    def measured(self, evse: str | None) -> None:
        """Publish a state of which only measured values have changed, no more often than the telemetry."""
        if evse not in self._measured or None not in self._measured:
            self._measured[evse] = self._measured[None] = None
            self._pending.set()

    # a link -----------------------------------------------------------------------------------------------------------

    def will(self) -> BusMessage:
        """Return the last will: this gateway is offline."""
        offline = GatewayStatus(state="offline", gateway=self._topics.gateway, version=__version__)
        return BusMessage(self._topics.status, offline.model_dump_json().encode(), qos=1, retain=True)

    async def start(self, bus: Bus, marker: str = "") -> None:
        """Publish the status on a new link, with a marker of the link, and mark every state for publishing."""
        self._retained.clear()
        self._site_discovery.clear()
        self._status = None
        self._changed = dict.fromkeys([*self._service.evses(), *self._found, None])
        self._pending.set()
        await self._publish_status(bus, (("link", marker),))

    def found(self, evse: str, topic: str, payload: bytes) -> None:
        """Note a retained message of an earlier run, or of this one before; what is outdated in it is replaced."""
        if evse == retained.SITE:
            if self._site_discovery.get(topic, "").encode() != payload:
                self._found_site[topic] = payload
                self.changed(None)
            return
        if topic == self._topics.evse(evse, "state"):
            if self._service.is_known(evse) or evse in self._found:
                return  # the state of this run, or its echo
            self._found[evse] = {}
        elif self._retained.get(evse, {}).get(topic, "").encode() == payload:
            return  # as sent on this link
        else:
            self._found.setdefault(evse, {})[topic] = payload
        self._changed[evse] = None
        self._pending.set()

    def ended_states(self) -> list[BusMessage]:
        """Return the states to leave at the broker when the gateway stops: unknown from then on."""
        messages = []
        for evse in sorted(self._shown_connected):
            if (ended := self._service.ended_state(evse)) is None:
                continue
            texts = {self._topics.evse(evse, "state"): ended.model_dump_json(), **self._mirror_texts(ended)}
            messages += [BusMessage(topic, text.encode(), qos=1, retain=True) for topic, text in texts.items()]
        return messages

    async def run(self, bus: Bus) -> None:
        """Publish events and changed states until cancelled or the link ends (ConnectionError)."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with self._clock.timeout_at(min(map(self._due, self._measured), default=None)):
                    await self._pending.wait()
            self._pending.clear()
            await self._publish_events(bus)
            changed, self._changed = self._changed, {}
            changed |= {evse: None for evse in self._found if not self._exists(evse)}
            now = self._clock.now()
            changed |= {evse: None for evse in self._measured if self._due(evse) <= now}
            if None in changed:
                del changed[None]
                changed[None] = None  # the site last: its sums include the EVSEs just published
            for evse in changed:
                self._measured.pop(evse, None)
                self._published_at[evse] = now
                await self._publish_state(bus, evse)
            if changed:
                await self._publish_status(bus)
            await self._clock.sleep(STATE_EVERY_S)

    async def run_telemetry(self, bus: Bus) -> None:
        """Publish the telemetry of the EVSEs and of the site periodically."""
        while True:
            await self._clock.sleep(self._settings.telemetry_s)
            self._seq += 1
            for evse in self._service.evses():
                topic, make = self._topics.evse(evse, "telemetry"), partial(self._service.telemetry, evse)
                await self._publish_made(bus, topic, f"the telemetry of {evse}", make)
            topic, make_site = self._topics.of_site("telemetry"), partial(self._service.site_telemetry, self._seq)
            await self._publish_made(bus, topic, "the site's telemetry", make_site)

    def republish_discovery(self) -> None:
        """Publish discovery again: Home Assistant has restarted."""
        self._retained.clear()
        self._site_discovery.clear()
        self._changed.update(dict.fromkeys([*self._service.evses(), None]))
        self._pending.set()

    def republish_status(self) -> None:
        """Publish the status again: another gateway with this id requests it."""
        self._status = None
        self.changed(None)

    # messages ---------------------------------------------------------------------------------------------------------

    async def _publish_status(self, bus: Bus, user_properties: tuple[tuple[str, str], ...] = ()) -> None:
        status = GatewayStatus(
            state="online",
            gateway=self._topics.gateway,
            version=__version__,
            evses=tuple(self._service.connected_evses()),
            takes_site_commands=self._settings.takes_site_commands,
            journal="failing" if self._service.journal_trouble() else "ok",
            since=self._since,
        )
        if status != self._status:
            payload = status.model_dump_json().encode()
            message = BusMessage(self._topics.status, payload, qos=1, retain=True, user_properties=user_properties)
            await self.quarantine.publish(bus, message)
            self._status = status

    async def _publish_events(self, bus: Bus) -> None:
        while self._events:
            event = self._events[0]
            payload = event.model_dump_json().encode()
            await self.quarantine.publish(bus, BusMessage(self._topics.of(event.evse, "event"), payload, qos=1))
            if self._events and self._events[0] is event:
                del self._events[0]

    def _due(self, evse: str | None) -> float:
        """Return when a state of which only measured values have changed is published again."""
        every_s = self._settings.telemetry_s
        return self._published_at.get(evse, -math.inf) + (max(SITE_EVERY_S, every_s) if evse is None else every_s)

    async def _publish_state(self, bus: Bus, evse: str | None) -> None:
        topic = self._topics.of(evse, "state")
        if evse is None:
            await self._publish_made(bus, topic, "the site's state", self._service.site_state, retain=True)
            found, self._found_site = self._found_site, {}
            await self._publish_discovery(bus, self._site_messages, self._site_discovery, found)
            return
        if not self._exists(evse):
            await self._clear_retained(bus, evse)
            return
        make = partial(self._service.state if self._service.is_known(evse) else self._service.unreported_state, evse)
        state = await self._publish_made(bus, topic, f"the state of {evse}", make, retain=True)
        if state is None:
            return
        connected = state.connection is Connection.CONNECTED
        (self._shown_connected.add if connected else self._shown_connected.discard)(evse)
        sent = self._retained.setdefault(evse, {})
        texts = self._mirror_texts(state)
        if state.protocol is not None:  # else nothing is known about the station: the discovery of before stays
            messages = discovery.messages(self._topics, state, self._settings.homeassistant)
            await self._publish_discovery(bus, messages, sent, self._found.pop(evse, {}))
        for topic, text in texts.items():
            if sent.get(topic) != text:
                sent[topic] = text
                await self._retain(bus, topic, text.encode())

    def _exists(self, evse: str) -> bool:
        """Return whether an EVSE has been reported, or a message of an earlier run may still be true of it."""
        return self._service.is_known(evse) or (evse in self._found and self._may_exist(evse))

    def _mirror_texts(self, state: EvseState) -> dict[str, str]:
        if not self._topics.mirror:
            return {}
        texts = mirror.scalars(state)
        if (answer := self._answers.get(state.evse)) is not None:
            texts[mirror.RESULT] = answer
        return {self._topics.mirrored(state.evse, name): text for name, text in texts.items()}

    async def _publish_discovery(
        self, bus: Bus, messages: discovery.Messages, sent: dict[str, str], found: dict[str, bytes]
    ) -> None:
        """Publish the discovery of a device where it is not as sent, and withdraw what it replaces."""
        for topic, payload in retained.replacement(self._topics, messages, sent, found):
            await self._retain(bus, topic, payload)

    async def _clear_retained(self, bus: Bus, evse: str) -> None:
        """Delete the retained messages of an EVSE that does not exist any more, its state last."""
        self._published_at.pop(evse, None)
        self._answers.pop(evse, None)
        self._shown_connected.discard(evse)
        topics = {topic: None for topic, text in self._retained.pop(evse, {}).items() if text}
        topics |= dict.fromkeys(self._found.pop(evse, {}))
        if self._topics.mirror:
            topics |= {self._topics.mirrored(evse, name): None for name in mirror.NAMES}
        for topic in [*topics, self._topics.evse(evse, "state")]:
            await self._retain(bus, topic, b"")

    async def _retain(self, bus: Bus, topic: str, payload: bytes) -> None:
        await self.quarantine.publish(bus, BusMessage(topic, payload, qos=1, retain=True))

    async def _publish_made(
        self, bus: Bus, topic: str, what: str, make: Callable[[], Published | None], *, retain: bool = False
    ) -> Published | None:
        """Make, publish and return a message; a defect in making it is logged once and costs only this message."""
        try:
            made = make()
            payload = made.model_dump_json().encode() if made is not None else None
        except Exception:
            self._counts["defects"] += 1
            if what not in self._failing:
                self._failing.add(what)
                log.exception("%s cannot be published", what)
            return None
        self._failing.discard(what)
        if payload is not None:
            await self.quarantine.publish(bus, BusMessage(topic, payload, qos=int(retain), retain=retain))
        return made
