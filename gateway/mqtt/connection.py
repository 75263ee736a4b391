"""The link of one gateway to one broker: connect, serve, reconnect.

A lost link is opened again after a pause that grows and jitters. While it is down, active commands live on their
leases; after `broker_grace_s` the leased commands that came through it end, because they could not be stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from gateway.model.command import Channel
from gateway.model.reason import Code, because
from gateway.mqtt.client import AccessRefused, BadMessage, Connect, MqttBus
from gateway.mqtt.commands import MessageReceiver, NeighbourHandler
from gateway.mqtt.publisher import Publisher
from gateway.mqtt.same_id import GatewayIdInUse, refuse_second
from gateway.mqtt.topics import MqttSettings
from gateway.mqtt.urgent_link import MAX_PAUSE_S, MIN_PAUSE_S, OpenBeside, UrgentLink
from gateway.service import GatewayService
from protocols.ports import Bus, Clock

log = logging.getLogger("v2x.mqtt")

GOODBYE_S = 2.0
ACCESS_REFUSED = "BrokerAccessRefused"  # kind of the security event


@dataclass(frozen=True, slots=True)
class BrokerLinks:
    """Ways to open a link: the main one, those of stops `beside` it, and the one that looks for another of this id."""

    connect: Connect
    beside: OpenBeside | None = None
    probe: Callable[[], AbstractAsyncContextManager[Bus]] | None = None


class MqttConnection:
    """Keeps a link to the broker.

    `neighbour` receives the states of other sites; without it none are subscribed. `may_exist`: whether an EVSE that
    has not been reported in this run belongs to a station that may connect.
    """

    def __init__(
        self,
        service: GatewayService,
        settings: MqttSettings,
        links: BrokerLinks,
        clock: Clock,
        seed: int | None = None,
        neighbour: NeighbourHandler | None = None,
        may_exist: Callable[[str], bool] | None = None,
    ) -> None:
        self._service = service
        self._grace_s = settings.broker_grace_s
        self._links = links
        self._status_topic, self._since = settings.topics.status, clock.wall()
        self._clock = clock
        self._random = random.Random(seed)
        self._lost_at: float | None = None
        self._was_linked = False
        self.trouble: str | None = None  # why there is no link, as last published
        self.connected = asyncio.Event()
        self._hands_over = False  # at the end another process goes on with this id: nothing is published
        self.counts: Counter[str] = Counter()  # messages without effect, and defects, for the metrics
        may_exist = may_exist or service.may_exist
        publisher = self._publisher = Publisher(service, settings, clock, self.counts, may_exist, self._since)
        self._receiver = MessageReceiver(service, settings, clock, self.counts, publisher, neighbour)
        self._is_only = asyncio.Event()  # no other gateway with this id has answered
        self.urgent_links: list[UrgentLink] = []
        if links.beside is not None:
            filters = {"stop": settings.topics.stop_filters(site_commands=settings.takes_site_commands)}
            if settings.takes_site_commands:
                filters["emergency"] = settings.topics.emergency_filters
            for name, own in filters.items():
                link = UrgentLink(name, own, self._receiver, links.beside, clock, self.counts, seed)
                self.urgent_links.append(link)
        service.subscribe(self._publisher)

    def waiting(self) -> int:
        """Return the number of results that the broker has not acknowledged."""
        return sum(map(len, self._publisher.outboxes))

    def unanswered(self) -> int:
        """Return the number of commands without a first result, and of results that wait."""
        return self._receiver.submitting + self.waiting()

    def hand_over(self) -> None:
        """Leave further commands, and the states of this id, to another process."""
        self._hands_over = True
        self._receiver.hand_over()

    async def run(self) -> None:
        """Keep the links to the broker until cancelled."""
        beside = [
            asyncio.get_running_loop().create_task(self._run_urgent(link), name="urgent link")
            for link in self.urgent_links
        ]
        try:
            await self._run()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def _run_urgent(self, link: UrgentLink) -> None:
        """Keep a link beside the main one, whose client id is another gateway's as well while that has this id."""
        await self._is_only.wait()
        await link.run()

    async def _run(self) -> None:
        clock, pause_s = self._clock, MIN_PAUSE_S
        while True:
            began, lost = clock.now(), "the broker closed the link"
            try:
                await self._refuse_second()
                async with self._links.connect(self._publisher.will()) as bus:
                    began = clock.now()
                    self.counts["links"] += 1
                    await self._serve(bus)
            except* (ConnectionError, TimeoutError) as trouble:
                lost = str(first_error(trouble))
                if trouble.subgroup(AccessRefused) is not None and lost != self.trouble:
                    self._service.security(lost, kind=ACCESS_REFUSED)
                if trouble.subgroup(GatewayIdInUse) is not None and not self._was_linked:
                    raise
                self._publisher.quarantine.link_lost(by_message=trouble.subgroup(BadMessage) is not None)
            except* Exception as defect:  # costs the link, which is opened again; never the gateway
                self.counts["defects"] += 1
                log.exception("the link to the broker failed by a defect of the gateway; it is opened again")
                lost = f"a defect of the gateway: {type(first_error(defect)).__name__}"
                self._publisher.quarantine.link_lost(by_message=True)
            self.connected.clear()
            if (this := asyncio.current_task()) is not None and this.cancelling():
                raise asyncio.CancelledError  # it met an error inside a task group, which then drops it (Python 3.11)
            if clock.now() - began > MAX_PAUSE_S:
                pause_s = MIN_PAUSE_S
            if lost != self.trouble:  # and not at each attempt
                self.trouble = lost
                self._service.broker(False, f"There is no link to the broker: {lost}; it is tried again.")
            await self._pause(pause_s * self._random.uniform(0.5, 1.0), lost)
            pause_s = min(MAX_PAUSE_S, pause_s * 2)

    async def _refuse_second(self) -> None:
        """Raise GatewayIdInUse where another gateway with this id is connected: a first link ends this gateway then."""
        if self._links.probe is not None:
            async with self._links.probe() as bus:
                await refuse_second(bus, self._status_topic, self._since)
        self._is_only.set()

    async def _pause(self, pause_s: float, lost: str) -> None:
        """Wait before the next attempt; commands of a link that is down for the grace period end."""
        if self._lost_at is None:
            self._lost_at = self._clock.now()
        over_in_s = self._lost_at + self._grace_s - self._clock.now()
        if over_in_s <= pause_s:
            await self._clock.sleep(max(0.0, over_in_s))
            text = f"The link to the broker has been down for {self._grace_s:.0f} s ({lost})."
            self._service.end_leased(because(Code.BROKER_LOST, text), Channel.MQTT)
            pause_s -= max(0.0, over_in_s)
        await self._clock.sleep(max(0.0, pause_s))

    async def _serve(self, bus: Bus) -> None:
        publisher = self._publisher
        try:
            lost_at, self._lost_at = self._lost_at if self._was_linked else None, None
            self._was_linked = True
            async with asyncio.TaskGroup() as tasks:
                # while it subscribes, too: amqtt answers when what it has retained for a filter is acknowledged
                tasks.create_task(self._receiver.run(bus))
                await self._receiver.subscribe(bus, lost_at)
                await publisher.start(bus, self._receiver.marker)
                for outbox in publisher.outboxes:
                    tasks.create_task(outbox.run(bus))
                tasks.create_task(publisher.run(bus))
                tasks.create_task(publisher.run_telemetry(bus))
                tasks.create_task(self._receiver.finish_retained(bus))
                tasks.create_task(self._receiver.report_overflow(bus))
                self.connected.set()
                self.trouble = None
                self._service.broker(True, f"{bus.link.where}, MQTT {bus.version}" if isinstance(bus, MqttBus) else "")
                # waited for here and not in the group's exit, where Python 3.11 leaves its own cancellation counted
                await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            if self._hands_over:
                raise
            last = [self._publisher.will(), *self._publisher.ended_states()]  # a clean end suppresses the broker's will
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(GOODBYE_S):
                    for message in last:
                        await bus.publish(message)
            raise


def first_error(trouble: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error in nested groups."""
    one: BaseException = trouble
    while isinstance(one, BaseExceptionGroup):
        one = one.exceptions[0]
    return one
