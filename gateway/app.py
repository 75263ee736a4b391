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

from gateway.clock import SystemClock
from gateway.config import Config, ConfigError, host_and_port, read_secret, stale_after
from gateway.core import Core
from gateway.core.settings import CoreSettings
from gateway.core.steward import Steward
from gateway.csms import security
from gateway.csms.server import Csms
from gateway.csms.settings import CsmsSettings, StationSettings, UnknownStations, UnknownTokens
from gateway.model.command import SiteMode
from gateway.model.event import Report
from gateway.model.site import SitePolicy
from gateway.model.station import Answer, Outcome, Stations
from gateway.mqtt.bus import BrokerLink, Connect, Connector
from gateway.mqtt.room import MqttRoom, MqttSettings
from gateway.mqtt.topics import Topics
from gateway.store.journal import Journal
from gateway.store.memory import MemoryStore
from gateway.store.ports import Store, StoreError
from protocols.ports import Clock

log = logging.getLogger("v2x")

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


class Rooms:
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

    def _of(self, evse: str) -> Stations | None:
        return next((room for room in self._rooms if room.reaches(evse)), None)


@dataclass
class Gateway:
    """A gateway while it runs."""

    config: Config
    core: Core
    csms: Csms | None
    mqtt: MqttRoom
    journal: Journal
    clock: Clock
    steward: Steward
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
            running = [tasks.create_task(built.core.run(), name="core")]
            await built.core.ready.wait()
            running.append(tasks.create_task(built.steward.run(), name="energy"))
            running.append(tasks.create_task(built.mqtt.run(), name="mqtt"))
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
                    await built.core.stop()
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
            if ready is not None:
                ready(running)
            await stop.wait()
            log.info("stopping: power goes to 0 W, sessions stay")
    finally:
        if signals:
            for number in (signal.SIGINT, signal.SIGTERM):
                with contextlib.suppress(NotImplementedError, RuntimeError):
                    loop.remove_signal_handler(number)


def make_store(config: Config) -> Store:
    """The store of the configuration."""
    if config.store.url == "memory:":
        return MemoryStore()
    from gateway.store.sql import SqlStore  # SQLAlchemy costs a second: only who needs it pays

    return SqlStore(config.store.url, config.mqtt.gateway_id)


def core_settings(config: Config) -> CoreSettings:
    """What the configuration says to the core."""
    site, commands = config.site, config.commands
    policy = SitePolicy(
        site=site.id,
        import_limit_w=site.import_limit_w,
        export_limit_w=site.export_limit_w,
        min_soc_pct=site.min_soc_pct,
        floor_hysteresis_pct=site.floor_hysteresis_pct,
        discharge_without_soc=site.discharge_without_soc,
        idle_power_w=site.idle_power_w,
        ramp_w_per_s=site.ramp_w_per_s,
        mode=SiteMode(site.mode),
    )
    return CoreSettings(
        policy=policy,
        gateway_id=config.mqtt.gateway_id,
        stations=tuple(station.id for station in config.stations),
        hold_s=commands.hold_s,
        set_within_s=commands.set_within_s,
        achieve_within_s=commands.achieve_within_s,
        tolerance_w=commands.tolerance_w,
        tolerance_share=commands.tolerance_share,
        evse_rate_per_s=commands.evse_rate_per_s,
        source_rate_per_s=commands.source_rate_per_s,
        clock_skew_s=commands.clock_skew_s,
        command_days=config.store.command_days,
        journal_days=config.store.journal_days,
        telemetry_days=config.store.telemetry_days,
        telemetry_every_s=config.store.telemetry_every_s,
        stale_after_s=stale_after(config),
    )


def csms_settings(config: Config) -> CsmsSettings:
    """What the configuration says to the CSMS; ConfigError where a secret cannot be read."""
    ocpp = config.ocpp
    host, port = host_and_port(ocpp.listen)
    stations = []
    for number, entry in enumerate(config.stations):
        kept = None
        if entry.password_file is not None:
            kept = security.hashed(read_secret(entry.password_file, f"stations.{number}.password_file"))
        elif ocpp.security_profile in (1, 2) and entry.security_profile in (None, 1, 2):
            raise ConfigError(f"stations.{number}.password_file: {entry.id} needs one with this security profile")
        stations.append(
            StationSettings(
                entry.id,
                kept,
                entry.vendor_profile,
                entry.security_profile,
                entry.max_charge_w,
                entry.max_discharge_w,
                entry.fallback_limit_w,
            )
        )
    return CsmsSettings(
        host=host,
        port=port,
        stations=tuple(stations),
        unknown_stations=UnknownStations(ocpp.unknown_stations),
        unknown_tokens=UnknownTokens(ocpp.unknown_tokens),
        security_profile=ocpp.security_profile,
        tls_cert=ocpp.tls_cert,
        tls_key=ocpp.tls_key,
        tls_ca=ocpp.tls_ca,
        ca_key=ocpp.ca_key,
        v2x_allowed=ocpp.v2x_allowed,
        inventory=ocpp.inventory,
        compression=ocpp.compression,
        heartbeat_s=ocpp.heartbeat_s,
        fallback_limit_w=ocpp.fallback_limit_w,
        vendor_profiles=ocpp.vendor_profiles,
    )


def broker_link(config: Config) -> BrokerLink:
    """What the configuration says to the MQTT link; ConfigError where a secret cannot be read."""
    mqtt = config.mqtt
    password = read_secret(mqtt.password_file, "mqtt.password_file") if mqtt.password_file is not None else None
    for key in ("ca", "cert", "key"):
        path = getattr(mqtt, key)
        if path is not None and not path.is_file():
            raise ConfigError(f"mqtt.{key}: {path} does not exist")
    return BrokerLink(
        url=mqtt.url,
        client_id=f"v2x-{config.site.id}-{mqtt.gateway_id}",
        version=mqtt.version,
        username=mqtt.username,
        password=password,
        ca=mqtt.ca,
        cert=mqtt.cert,
        key=mqtt.key,
        session_expiry_s=mqtt.session_expiry_s,
    )


def mqtt_settings(config: Config) -> MqttSettings:
    """What the configuration says to the MQTT room."""
    mqtt = config.mqtt
    return MqttSettings(
        topics=Topics(config.site.id, mqtt.gateway_id, mqtt.homeassistant_prefix, mqtt.mirror),
        telemetry_s=mqtt.telemetry_s,
        takes_site_commands=mqtt.site_commands,
        broker_grace_s=mqtt.broker_grace_s,
        homeassistant=mqtt.homeassistant,
    )


def _build(config: Config, parts: Parts, clock: Clock, store: Store) -> Gateway:
    journal = Journal(store, clock)
    rooms = Rooms()
    core = Core(core_settings(config), clock, rooms, journal)
    csms: Csms | None = None
    if parts.stations is not None:
        rooms.add(parts.stations(core.report, clock))
    else:
        csms = Csms(csms_settings(config), core.report, clock)
        rooms.add(csms)
    connect = parts.connect or Connector(broker_link(config))
    room = MqttRoom(core, mqtt_settings(config), connect, clock, parts.seed)
    steward = Steward(core.board, config.energy)
    core.board.energy = lambda: steward.state
    return Gateway(config, core, csms, room, journal, clock, steward)


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
    from gateway.web import api, server  # FastAPI costs half a second: only who needs it pays

    section = built.config.admin
    assert section.listen is not None
    host, port = host_and_port(section.listen)
    token = read_secret(section.token_file, "admin.token_file") if section.token_file is not None else None

    def ready(taken: int) -> None:
        built.admin_port = taken
        serving.set()

    app = api.build(Admin(csms), built.core, token=token, raw_calls=section.raw_calls)
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
