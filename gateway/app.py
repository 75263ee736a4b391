"""The composition root: every room of the gateway, wired together and run in one TaskGroup.

`gateway(config)` gives a running gateway over real sockets; with `Parts` a test or an emulation brings its own clock,
broker, store and stations, and everything runs in memory and in virtual time. `run` is what `v2x gateway` calls.
This is the one file that imports every room; no rule of the product lives here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway import garbage_collection
from gateway.blue_switch.agreement_file import BlueSwitchError
from gateway.blue_switch.agreement_file import load as load_desk
from gateway.blue_switch.persistence import BlueSwitchPersistence
from gateway.blue_switch.service import VehicleLendingService
from gateway.clock import SystemClock
from gateway.config import Config, ConfigError, host_and_port, read_secret
from gateway.config.mapping import broker_link, csms_settings, make_store, mqtt_settings, service_settings
from gateway.csms.csms import Csms
from gateway.energy.persistence import EnergyPersistence
from gateway.energy.service import EnergyService
from gateway.model.event import Report
from gateway.model.station import Answer, Formers, Outcome, Stations
from gateway.mqtt.client import Connect, Connector
from gateway.mqtt.connection import MqttConnection
from gateway.service import GatewayService
from gateway.store.journal import Journal
from gateway.store.ports import Store, StoreError
from protocols.ports import Clock

log = logging.getLogger("v2x")

RESTORED = 20_000  # transactions and other things that have ended, read back at the start
DRAIN_S = 2.0  # for results on their way when the gateway stops


class StartError(Exception):
    """The gateway cannot start; the sentence says which setting or part is wrong."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What an emulation or a test brings instead of the real thing; None is the real thing."""

    clock: Clock | None = None
    connect: Connect | None = None
    store: Store | None = None
    stations: Callable[[Report, Clock], Stations] | None = None  # instead of the CSMS
    listen: bool = True  # whether stations may come in over sockets; `Csms.attach` works without
    seed: int | None = None


class StationBackends:
    """All rooms that speak for stations, as one `Stations`."""

    def __init__(self) -> None:
        self._rooms: list[Stations] = []

    def add(self, room: Stations) -> None:
        """One more room."""
        self._rooms.append(room)

    def reaches(self, evse: str) -> bool:
        """Whether any of them does."""
        return any(room.reaches(evse) for room in self._rooms)

    async def set_power(self, evse: str, power_w: float, hold_s: float) -> Outcome:
        """Through the room that reaches it."""
        room = self._of(evse)
        return await room.set_power(evse, power_w, hold_s) if room else _unreachable(evse)

    async def end_session(self, evse: str) -> Outcome:
        """Through the room that reaches it."""
        room = self._of(evse)
        return await room.end_session(evse) if room else _unreachable(evse)

    async def reconcile(self, evse: str) -> float | None:
        """Through the room that reaches it."""
        room = self._of(evse)
        return await room.reconcile(evse) if room else None

    async def form(self, evse: str, forms: bool) -> Outcome:
        """Through the room that reaches it, where that room can say it."""
        room = self._of(evse)
        if room is None:
            return _unreachable(evse)
        if not isinstance(room, Formers):
            return Outcome(Answer.REFUSED, "NoForming", f"The link to {evse} has no way to tell it.")
        return await room.form(evse, forms)

    def _of(self, evse: str) -> Stations | None:
        return next((room for room in self._rooms if room.reaches(evse)), None)


@dataclass
class Gateway:
    """A gateway while it runs."""

    config: Config
    service: GatewayService
    csms: Csms | None
    mqtt: MqttConnection
    journal: Journal
    clock: Clock
    energy_service: EnergyService
    lender: VehicleLendingService | None = None
    ocpp_port: int | None = None
    admin_port: int | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)  # stations may come in


@asynccontextmanager
async def gateway(config: Config, parts: Parts | None = None) -> AsyncIterator[Gateway]:
    """A running gateway; leaving the context stops it in order: power to 0 W, results out, links closed.

    StartError if it cannot start. A part that dies later ends the context with an ExceptionGroup.
    """
    parts = parts or Parts()
    clock = parts.clock or SystemClock()
    store = parts.store or make_store(config)
    built = _build(config, parts, clock, store)
    try:
        await store.open()
    except StoreError as error:
        raise StartError(f"store.url: {error}") from error
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(built.service.run(), name="core")]
            await built.service.ready.wait()
            kept = await store.kept(RESTORED)
            built.energy_service.restore(kept)
            running.append(tasks.create_task(built.energy_service.run(), name="energy"))
            if built.lender is not None:
                built.lender.restore(kept)
                running.append(tasks.create_task(built.lender.run(), name="blue switch"))
            running.append(tasks.create_task(built.mqtt.run(), name="mqtt"))
            if built.csms is not None:
                built.csms.restore(kept)
            if built.csms is not None and parts.listen:
                running.append(tasks.create_task(_listen(built.csms, built), name="ocpp"))
                await built.ready.wait()
            if built.csms is not None and parts.listen and config.admin.listen is not None:
                admin_ready = asyncio.Event()
                running.append(tasks.create_task(_serve_admin(built, built.csms, admin_ready), name="admin"))
                await admin_ready.wait()
            built.ready.set()
            try:
                yield built
            finally:
                with contextlib.suppress(TimeoutError):
                    await built.service.stop()
                if built.csms is not None:
                    await built.csms.close()
                await _drain(built)
                for task in reversed(running):
                    task.cancel()
    except* StartError as group:
        raise _only(group) from None
    except* ConfigError as group:
        raise StartError(str(_only(group))) from None
    except* StoreError as group:
        raise StartError(f"store.url: {_only(group)}") from None
    finally:
        await store.close()


async def run(
    config: Config, parts: Parts | None = None, *, ready: Callable[[Gateway], None] | None = None, signals: bool = True
) -> None:
    """Run a gateway until SIGINT or SIGTERM (or cancellation), and stop it in order. StartError if it cannot start."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    if signals:
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError, RuntimeError):
                loop.add_signal_handler(number, stop.set)
    try:
        async with gateway(config, parts) as running:
            tidying = loop.create_task(garbage_collection.run(running.clock), name="pauses")
            if ready is not None:
                ready(running)
            await stop.wait()
            tidying.cancel()
            log.info("stopping: power goes to 0 W, sessions stay")
    finally:
        if signals:
            for number in (signal.SIGINT, signal.SIGTERM):
                with contextlib.suppress(NotImplementedError, RuntimeError):
                    loop.remove_signal_handler(number)


def _build(config: Config, parts: Parts, clock: Clock, store: Store) -> Gateway:
    journal = Journal(store, clock)
    rooms = StationBackends()
    service = GatewayService(service_settings(config), clock, rooms, journal)
    csms: Csms | None = None
    if parts.stations is not None:
        rooms.add(parts.stations(service.report, clock))
    else:
        csms = Csms(csms_settings(config), service.report, clock, journal)
        rooms.add(csms)
    connect = parts.connect or Connector(broker_link(config))
    energy_service = EnergyService(service.board, config.energy, rooms, EnergyPersistence(journal))
    service.board.energy = lambda: energy_service.state
    lender = _lender(config, service, energy_service, journal)
    neighbour = lender.heard if lender is not None else None
    room = MqttConnection(service, mqtt_settings(config), connect, clock, parts.seed, neighbour)
    return Gateway(config, service, csms, room, journal, clock, energy_service, lender)


def _lender(
    config: Config, service: GatewayService, energy_service: EnergyService, journal: Journal
) -> VehicleLendingService | None:
    """The Blue Switch desk, where the configuration names an agreement file; ConfigError where that is wrong."""
    section = config.blue_switch
    if section.file is None:
        return None
    try:
        desk = load_desk(section.file)
    except BlueSwitchError as error:
        raise ConfigError(f"blue_switch.file: {error}") from error
    place = section.place or config.site.id
    if place not in desk.atlas.places:
        raise ConfigError(f"blue_switch.place: {section.file} has no place called {place!r}")
    desk.leads = section.leads
    return VehicleLendingService(
        service.board, energy_service, desk, place, section.reports, BlueSwitchPersistence(journal)
    )


async def _listen(csms: Csms, built: Gateway) -> None:
    def ready(port: int) -> None:
        built.ocpp_port = port
        built.ready.set()

    try:
        await csms.serve(ready)
    except OSError as error:
        raise StartError(
            f"ocpp.listen: cannot listen on {built.config.ocpp.listen}: {error.strerror or error}"
        ) from error


async def _serve_admin(built: Gateway, csms: Csms, serving: asyncio.Event) -> None:
    from gateway.csms.admin import Admin
    from gateway.observability import endpoint
    from gateway.web import api, server  # FastAPI costs half a second: only who needs it pays

    section = built.config.admin
    assert section.listen is not None
    host, port = host_and_port(section.listen)
    token = read_secret(section.token_file, "admin.token_file") if section.token_file is not None else None

    def ready(taken: int) -> None:
        built.admin_port = taken
        serving.set()

    raw, lender, wall = section.raw_calls, built.lender, built.clock.wall
    app = api.build(Admin(csms), built.service, token=token, raw_calls=raw, lender=lender, now=wall)
    app.router.routes.append(endpoint.route(built.service, built.mqtt, token))
    try:
        await server.serve(app, host, port, ready=ready)
    except OSError as error:
        raise StartError(f"admin.listen: cannot listen on {section.listen}: {error.strerror or error}") from error


async def _drain(built: Gateway) -> None:
    """Let results that are on their way reach the broker."""
    deadline = built.clock.now() + DRAIN_S
    while len(built.mqtt.outbox) and built.mqtt.connected.is_set() and built.clock.now() < deadline:
        await built.clock.sleep(0.02)


def _unreachable(evse: str) -> Outcome:
    return Outcome(Answer.UNKNOWN, "NotConnected", f"{evse} is not connected")


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    one: BaseException = group
    while isinstance(one, BaseExceptionGroup):
        one = one.exceptions[0]
    return one
