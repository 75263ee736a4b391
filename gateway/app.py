"""Composition root: every package of the gateway, wired together and run in one TaskGroup.

`gateway(config)` runs a gateway over real sockets; with `Parts` a test or an emulation brings its own clock, broker,
store and stations, and everything runs in memory and in virtual time. `run` is what `v2x gateway` calls.
This is the one file that imports every package; no rule of the product is here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from gateway import garbage_collection
from gateway.blue_switch.persistence import BlueSwitchPersistence
from gateway.blue_switch.service import VehicleLendingService
from gateway.clock import SystemClock
from gateway.config import Config, ConfigError
from gateway.config.devices import ConnectModbus, modbus_evses, site_devices
from gateway.config.echonet import echonet_evses, echonet_network, hems_device, site_objects
from gateway.config.mapping import (
    broker_link,
    chademo_settings,
    csms_settings,
    database_lock,
    hosted_settings,
    make_store,
    mqtt_settings,
    service_settings,
)
from gateway.config.verification import read_agreements
from gateway.control.components import ControlComponents
from gateway.control.station_backends import StationBackends
from gateway.csms.csms import Csms
from gateway.drivers.board.ports import Board
from gateway.drivers.build import chademo_evses, secc_evses
from gateway.drivers.hosted import HostedEvses
from gateway.drivers.sessions import HostedSessions
from gateway.drivers.site_inputs import SiteInputs
from gateway.energy.persistence import EnergyPersistence
from gateway.energy.service import EnergyService
from gateway.listeners import StartError as StartError  # part of this interface
from gateway.listeners import start_servers
from gateway.model.event import Event, Report
from gateway.model.reason import Reason
from gateway.model.site import Grid
from gateway.model.station import Stations
from gateway.mqtt.client import Connect, Connector
from gateway.mqtt.connection import BrokerLinks, MqttConnection, first_error
from gateway.mqtt.same_id import GatewayIdInUse
from gateway.observability import service_manager
from gateway.observability.event_log import EventLog
from gateway.observability.metrics import Metrics
from gateway.running import Ending as Ending  # part of this interface
from gateway.running import Gateway as Gateway
from gateway.service import GatewayService
from gateway.store.journal import Journal
from gateway.store.lock import locked
from gateway.store.store import Store, StoreError, StoreFull
from gateway.store.unavailable import StoreReturned, UnavailableStore, wait_for_space
from protocols.dc_modules.bus import CanBus
from protocols.ports import Clock

if TYPE_CHECKING:
    from gateway.drivers.echonet.network import OpenNode

log = logging.getLogger("v2x")

RESTORED = 20_000  # records of transactions and others that have ended, read at the start
DRAIN_S = 2.0  # for results to reach the broker when the gateway stops
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Parts:
    """Parts that an emulation or a test replaces; None is the real one."""

    clock: Clock | None = None
    connect: Connect | None = None
    store: Store | None = None
    stations: Callable[[Report, Clock], Stations] | None = None  # instead of the CSMS
    modbus: ConnectModbus | None = None  # instead of sockets to devices over Modbus
    echonet: OpenNode | None = None  # instead of sockets to the network of ECHONET Lite
    boards: Mapping[str, Callable[[Clock], Board]] = field(default_factory=dict)  # by hosted EVSE
    buses: Mapping[str, Callable[[], CanBus]] = field(default_factory=dict)  # CAN of vehicles, by hosted EVSE
    listen: bool = True  # stations may connect over sockets; `Csms.attach` works without
    connector: Connector | None = None  # instead of one that opens links to the configured broker at any time
    takes_over: bool = False  # another process has controlled the site so far: its leased commands stay in force
    seed: int | None = None


@asynccontextmanager
async def gateway(config: Config, parts: Parts | None = None) -> AsyncIterator[Gateway]:
    """Run a gateway; leaving the context stops it in order: power to 0 W, results published, links closed.

    With another `ending` than STOP it leaves everything as it is for the process that takes over.

    Raises StartError if it cannot start. A part that fails later ends the context with an ExceptionGroup.
    """
    parts = parts or Parts()
    clock = parts.clock or SystemClock()
    lock = database_lock(config, clock) if parts.store is None else None
    async with _translated_errors(), locked(lock), _opened_store(config, parts) as store:
        built = _build(config, parts, clock, store)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(built.service.run(), name="service")]
            if lock is not None:
                running.append(tasks.create_task(lock.hold(), name="database lock"))
            if isinstance(store, UnavailableStore):
                running.append(tasks.create_task(wait_for_space(partial(make_store, config), clock), name="store"))
            await built.service.ready.wait()
            kept = await store.kept(RESTORED)
            built.energy_service.restore(kept)
            running.append(tasks.create_task(built.energy_service.run(), name="energy"))
            if built.lending_service is not None:
                built.lending_service.restore(kept)
                running.append(tasks.create_task(built.lending_service.run(), name="blue switch"))
            built.hosted.sessions.restore(kept)
            built.hosted.announce()
            running.append(tasks.create_task(built.mqtt.run(), name="mqtt"))
            if built.csms is not None:
                built.csms.restore(kept)
            if built.echonet is not None:
                running.append(tasks.create_task(built.echonet.run(), name="echonet"))
            if built.echonet_objects is not None:
                running.append(tasks.create_task(built.echonet_objects.run(), name="echonet inputs"))
            running.append(tasks.create_task(built.hosted.run(), name="hosted EVSEs"))
            if built.site_devices is not None:
                running.append(tasks.create_task(built.site_devices.run(), name="modbus"))
            if built.hems is not None:
                running.append(tasks.create_task(built.hems.run(), name="hems"))
            if built.csms is not None and parts.listen:
                await start_servers(built, built.csms, tasks, running)
            built.ready.set()
            try:
                yield built
            finally:
                built.stopping = True
                await _end(built)
                for task in reversed(running):
                    task.cancel()


async def _end(built: Gateway) -> None:
    """End what runs, in order."""
    stops = built.ending is Ending.STOP
    if stops:
        with contextlib.suppress(TimeoutError):
            await built.service.stop()
        await built.hosted.close()
        if built.echonet_objects is not None:
            await built.echonet_objects.close()
    else:
        built.mqtt.hand_over()
        built.service.suspend()
    if built.csms is not None:
        await built.csms.close()
    if built.ending is Ending.HAND_OVER:
        await built.service.flush()
    if built.ending is not Ending.ABANDON:
        await _drain(built)


@asynccontextmanager
async def _opened_store(config: Config, parts: Parts) -> AsyncIterator[Store]:
    """Open and close the store; on a full disk the gateway runs with one that only takes power away."""
    store = parts.store or make_store(config)
    try:
        try:
            await store.open()
        except StoreFull as error:
            log.error("store.url: %s; until there is space the gateway only takes power away", error)
            store = UnavailableStore(str(error))
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def _translated_errors() -> AsyncIterator[None]:
    """Raise StartError for what keeps the gateway from starting, StoreReturned alone."""
    try:
        yield
    except* StoreReturned as group:
        raise first_error(group) from None
    except* StartError as group:
        raise first_error(group) from None
    except* ConfigError as group:
        raise StartError(str(first_error(group))) from None
    except* StoreError as group:
        first = first_error(group)
        raise StartError(f"store.url: {first}", may_pass=first.__cause__ is not None) from None  # of the database
    except* GatewayIdInUse as group:
        raise StartError(f"mqtt.gateway_id: {first_error(group)}; give each gateway an id of its own") from None


async def run(
    config: Config, parts: Parts | None = None, *, ready: Callable[[Gateway], None] | None = None, signals: bool = True
) -> None:
    """Run a gateway until SIGINT, SIGTERM, SIGHUP or cancellation, and stop it in order. StartError if it cannot start.

    A SIGHUP that is ignored already, as under nohup, stays so.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    handled = [number for number in STOP_SIGNALS if signals and signal.getsignal(number) is not signal.SIG_IGN]
    for number in handled:
        with contextlib.suppress(NotImplementedError, RuntimeError):
            loop.add_signal_handler(number, stop.set)
    try:
        while not stop.is_set():
            with contextlib.suppress(StoreReturned):
                await _run_until(stop, config, parts, ready)
    finally:
        for number in handled:
            with contextlib.suppress(NotImplementedError, RuntimeError):
                loop.remove_signal_handler(number)


async def _run_until(
    stop: asyncio.Event, config: Config, parts: Parts | None, ready: Callable[[Gateway], None] | None
) -> None:
    """Run a gateway until an event is set."""
    async with gateway(config, parts) as running:
        loop = asyncio.get_running_loop()
        beside = [
            loop.create_task(garbage_collection.run(running.clock), name="garbage collection"),
            loop.create_task(service_manager.run(running.clock), name="watchdog"),
        ]
        try:
            if ready is not None:
                ready(running)
            service_manager.notify(service_manager.READY)
            await stop.wait()
            service_manager.notify(service_manager.STOPPING)
            log.info("stopping: power goes to 0 W, sessions at charging stations stay")
        finally:
            for task in beside:
                task.cancel()


def _build(config: Config, parts: Parts, clock: Clock, store: Store) -> Gateway:
    journal = Journal(store, clock)
    settings = replace(service_settings(config), takes_over=parts.takes_over)

    sessions = HostedSessions([one.id for one in config.evses], clock, journal.later)

    def report(event: Event) -> None:  # first called by a connected station, which needs the service below
        sessions.observe(event)
        service.report(event)

    csms: Csms | None = None
    if parts.stations is not None:
        stations = parts.stations(report, clock)
    else:
        stations = csms = Csms(csms_settings(config), report, clock, journal)

    def send(kind: str, payload: bytes) -> Reason | None:  # an input of the site
        return service.input(kind, payload)

    def grid_reported() -> bool:
        return control.site.inputs.fresh(Grid, clock.now()) is not None

    network = echonet_network(config, parts.echonet, clock)
    hosted = HostedEvses(
        [
            *secc_evses(hosted_settings(config), parts.boards, report, clock, listen=parts.listen),
            *chademo_evses(chademo_settings(config), parts.boards, parts.buses, report, clock),
            *modbus_evses(config, parts.modbus, report, clock),
            *echonet_evses(config, network, report, clock, grid_reported, send),
        ],
        clock,
        sessions,
    )
    backends = StationBackends(stations, hosted.by_name)
    control = ControlComponents.create(settings, clock, journal)
    site, registry, publisher = control.site, control.registry, control.publisher
    energy = EnergyService(
        site, registry, publisher, config.energy, clock, backends, EnergyPersistence(journal), control.meter
    )
    lending_service = _lending_service(config, control, energy, clock, journal)
    handlers = lending_service.input_handlers if lending_service is not None else {}
    service = GatewayService(settings, clock, backends.of, journal, control, energy, handlers)
    service.subscribe(EventLog())
    connector = parts.connector or (Connector(broker_link(config)) if parts.connect is None else None)
    connect = connector or parts.connect
    assert connect is not None
    beside = connector.beside if connector is not None and config.mqtt.stop_connection else None
    neighbour = lending_service.receive_state if lending_service is not None else None

    def may_exist(evse: str) -> bool:
        return service.may_exist(evse) or (csms is not None and csms.find(evse) is not None)

    probe = connector.probe if connector is not None and not parts.takes_over else None  # it has the same id
    ways = BrokerLinks(connect, beside, probe)
    mqtt = MqttConnection(service, mqtt_settings(config), ways, clock, parts.seed, neighbour, may_exist)

    def links() -> list[bool]:
        return [*(one.connected for one in csms.stations.values()), *hosted.links()] if csms else hosted.links()

    hems = hems_device(config, service, clock, network)
    ignored = (lambda: network.ignored) if network is not None else dict
    metrics = Metrics(service, mqtt, links, ignored, hems.refused if hems is not None else dict)
    inputs = SiteInputs(send, clock)
    site_inputs = site_devices(config, parts.modbus, clock, inputs, lambda: energy.storage_w, lambda: energy.pv_limit_w)

    def independent() -> bool:
        return any(state.evse.independent for state in registry)

    objects = site_objects(config, network, inputs, clock, independent, lambda: energy.storage_w)
    return Gateway(
        config, service, control, csms, mqtt, metrics, journal, clock, energy, hosted, site_inputs, network, objects,
        lending_service, hems,
    )  # fmt: skip


def _lending_service(
    config: Config, control: ControlComponents, energy: EnergyService, clock: Clock, journal: Journal
) -> VehicleLendingService | None:
    """Return the vehicle lending service where an agreement file is configured; ConfigError where it is wrong."""
    agreements = read_agreements(config)
    if agreements is None:
        return None
    coordinator, place = agreements
    site, registry, publisher = control.site, control.registry, control.publisher
    persistence = BlueSwitchPersistence(journal)
    return VehicleLendingService(
        site, registry, publisher, energy, coordinator, place, clock, config.blue_switch.reports, persistence
    )


async def _drain(built: Gateway) -> None:
    """Wait until results have reached the broker."""
    deadline = built.clock.now() + DRAIN_S
    while built.mqtt.unanswered() and built.mqtt.connected.is_set() and built.clock.now() < deadline:
        await built.clock.sleep(0.02)
