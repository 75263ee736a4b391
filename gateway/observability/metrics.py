"""Metrics for Prometheus, read from the running gateway at each scrape. `metric_definitions` describes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from gateway import __version__
from gateway.model.journal import Phase, ReplyTo
from gateway.model.result import Result
from gateway.model.state import EventMessage
from gateway.mqtt.connection import MqttConnection
from gateway.observability import metric_definitions as defined
from gateway.service import GatewayService


class Metrics(Collector):
    """Metrics of one gateway, and the subscriber that counts its events.

    `connections` returns for each charging station whether it is connected. `ignored` and `refused` return what had no
    effect over ECHONET Lite, and the refused orders of HEMS, by reason.
    """

    def __init__(
        self,
        service: GatewayService,
        mqtt: MqttConnection,
        connections: Callable[[], Iterable[bool]] = lambda: (),
        ignored: Callable[[], Mapping[str, int]] = dict,
        refused: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._service, self._mqtt = service, mqtt
        self._connections, self._ignored, self._refused = connections, ignored, refused
        self._events: Counter[str] = Counter()
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        service.subscribe(self)

    def render(self) -> bytes:
        """Return the metrics in the text format of Prometheus."""
        return generate_latest(self._registry)

    # Subscriber -------------------------------------------------------------------------------------------------------

    def result(self, result: Result, reply: ReplyTo | None, phase: Phase | None) -> None:
        """Ignore: the service counts first results."""

    def event(self, event: EventMessage) -> None:
        """Count an event."""
        self._events[event.event.value] += 1

    def changed(self, evse: str | None) -> None:
        """Ignore: states are read at each scrape."""

    def measured(self, evse: str | None) -> None:
        """Ignore: states are read at each scrape."""

    # Collector --------------------------------------------------------------------------------------------------------

    def describe(self) -> Iterable[Metric]:
        """Return the families without values."""
        return [one.family() for one in defined.DEFINITIONS]

    def collect(self) -> Iterator[Metric]:
        """Yield all families, in the order of their definitions."""
        build = defined.BUILD_INFO.family()
        build.add_metric([__version__], 1.0)
        yield build
        counts = defined.COMMANDS.family()
        for labels, number in sorted(self._service.command_counts().items()):
            counts.add_metric(list(labels), number)
        yield counts
        yield defined.IN_FORCE.family(self._service.commands_in_force())
        yield _counted(defined.EVENTS, self._events)
        yield from self._evses()
        yield from self._site()
        yield from self._links()

    def _evses(self) -> Iterator[Metric]:
        readings = self._service.readings()
        counts = Counter(self._connections())
        stations = {"connected": counts[True], "offline": counts[False]}
        yield _counted(defined.STATIONS, stations)
        rows: dict[defined.Definition, list[tuple[str, float | None]]] = {
            defined.CONNECTED: [(one.evse, float(one.connected)) for one in readings],
            defined.GRANTED: [(one.evse, one.effective_w) for one in readings],
            defined.POWER: [(one.evse, one.power_w) for one in readings],
            defined.SOC: [(one.evse, one.soc_pct) for one in readings],
            defined.CHARGED: [(one.evse, one.charged_wh) for one in readings],
            defined.DISCHARGED: [(one.evse, one.discharged_wh) for one in readings],
        }
        for definition, values in rows.items():
            family = definition.family()
            for evse, value in values:
                if value is not None:
                    family.add_metric([evse], value)
            yield family

    def _site(self) -> Iterator[Metric]:
        site = self._service.site_state()
        yield defined.GRID_PRESENT.family(None if site.grid_present is None else float(site.grid_present))
        yield defined.ISLANDED.family(float(site.islanded))
        yield defined.EMERGENCY_STOP.family(float(site.emergency_stop))
        received = {kind: float(one.freshness == "stale") for kind, one in site.inputs.items() if one.ts is not None}
        yield _counted(defined.INPUT_STALE, received)

    def _links(self) -> Iterator[Metric]:
        mqtt, service = self._mqtt, self._service
        yield defined.BROKER.family(float(mqtt.connected.is_set()))
        yield defined.LINKS.family(mqtt.counts["links"])
        yield defined.WAITING.family(mqtt.waiting())
        outcomes = {name: number for name, number in mqtt.counts.items() if name != "links"}
        yield _counted(defined.MESSAGES, dict.fromkeys(defined.OUTCOMES, 0) | outcomes)
        yield defined.JOURNAL_OK.family(float(service.journal_trouble() is None))
        yield defined.DROPPED.family(service.journal_dropped())
        yield _counted(defined.ECHONET, self._ignored())
        yield _counted(defined.HEMS, self._refused())


def _counted(definition: defined.Definition, counts: Mapping[str, float]) -> Metric:
    """Return a family with one label from its values by label."""
    family = definition.family()
    for label, number in sorted(counts.items()):
        family.add_metric([label], number)
    return family
