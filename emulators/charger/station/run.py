"""Program behind `v2x charger`: an emulated charging station at a CSMS, with SECCs for cars or with cars of its own.

Exit status: 0 stopped in order, 1 never accepted by the CSMS, 2 the options are wrong. Cancelling the coroutine
(Ctrl-C) ends the transactions, delivers the messages, and stops.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

from emulators.charger.hardware.meter import Meter, MeterSpec
from emulators.charger.hardware.power_stage import PowerStage, StageSpec
from emulators.charger.secc.events import SeccEvent
from emulators.charger.station.build import build
from emulators.charger.station.chademo_post import StationPost
from emulators.charger.station.chademo_power_path import ChademoPowerPath
from emulators.charger.station.config import StationConfig
from emulators.charger.station.console import Console, Redact, Spy, TappedWire
from emulators.charger.station.control_input import obey
from emulators.charger.station.csms_link.connection_failure import without_user
from emulators.charger.station.csms_link.dialer import address, dial, verify_files
from emulators.charger.station.csms_link.network_profiles import NetworkProfile
from emulators.charger.station.laboratory import Laboratory
from emulators.charger.station.power_path import CarPowerPath, PowerPath
from emulators.charger.station.secc_power_path import SeccPowerPath
from emulators.charger.station.station import STOP_WITHIN, Station
from emulators.charger.station.store import Store
from emulators.ev import profile as profiles
from emulators.ev.car import CCS_63, Car, CarSpec
from emulators.ev.control_input import standard_input
from emulators.runtime.clock import RealClock
from emulators.runtime.recorded_can import FrameTools
from protocols.chademo import events as chademo
from protocols.dc_modules.bus import CanBus
from protocols.iso15118 import io as iso15118_io
from protocols.iso15118.iso20.events import MessageReceived, MessageSent
from protocols.ocpp.schema import Version
from protocols.ocpp.vendor import BadProfile
from protocols.ports import Clock, TextWire

STATION_ID = re.compile(r"[A-Za-z0-9*\-_=+|@.]{1,48}")  # as the gateway accepts it
Trace = Callable[[MessageSent | MessageReceived], None]


@dataclass(slots=True)
class Options:
    """Options of `v2x charger`. Powers are magnitudes in W; `secc` is `[ADDR]:PORT`, one port more per EVSE."""

    csms: str
    id: str = "CP1"
    ocpp: str = "2.1"
    evses: int = 1
    secc: str | None = None
    chademo: str | None = None  # CAN channel of the vehicle, of a station with one EVSE
    candump: Path | None = None  # log of its frames
    charge_w: float = 10_000.0
    discharge_w: float = 10_000.0
    meter_class_pct: float = 0.0
    meter_interval_s: float = 10.0
    vendor_profile: str | None = None
    password: str | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    id_token: str = ""
    token_type: str = "ISO14443"
    car: str | None = None  # profile of the cars connected to the EVSEs (without --secc)
    soc_pct: float = 80.0
    seed: int = 0
    state: Path | None = None  # folder of the persistent state
    control_stdin: bool = False  # orders of a laboratory on standard input


@dataclass(slots=True)
class Charger:
    """A station with its listeners. `ports` are those of the SECCs, in the order of the EVSEs."""

    station: Station
    power_paths: list[PowerPath]
    ports: list[int] = field(default_factory=list)
    listeners: list[iso15118_io.Listener] = field(default_factory=list)
    post: StationPost | None = None  # plug on a CAN bus

    async def run(self) -> None:
        """Operate until `stop`. Raises ConnectionError if the CAN bus is lost."""
        if self.post is None:
            await self.station.run()
            return
        tasks = [asyncio.ensure_future(one) for one in (self.station.run(), self.post.run())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in reversed(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def stop(self) -> None:
        """End the transactions, then close the listeners."""
        await self.station.stop()
        for listener in self.listeners:
            await listener.close()


async def make(
    options: Options,
    clock: Clock | None = None,
    *,
    on_ocpp: Spy | None = None,
    on_secc: Callable[[int, SeccEvent], None] | None = None,
    on_chademo: Callable[[chademo.Event], None] | None = None,
    trace: Trace | None = None,
    on_retry: Callable[[str, float], None] | None = None,
    bus: CanBus | None = None,
) -> Charger:
    """Build a station and open the ports of its SECCs, or its plug on a CAN bus.

    Raises ValueError, BadProfile or OSError.
    """
    clock = clock or RealClock()
    version = Version.of(options.ocpp)
    if not 1 <= options.evses <= 64:
        raise ValueError(f"a station has 1 to 64 EVSEs, not {options.evses}")
    if options.chademo is not None and (options.evses > 1 or options.secc or options.car):
        raise ValueError("--chademo is for one EVSE with one vehicle on the bus: without --evses, --secc and --car")
    if options.candump is not None and options.chademo is None:
        raise ValueError("--candump needs --chademo")
    own = _verify(options)
    spec = StageSpec(max_charge_w=options.charge_w, max_discharge_w=options.discharge_w)
    power_paths: list[PowerPath] = []
    for number in range(1, options.evses + 1):
        stage = PowerStage(spec, Meter(MeterSpec(class_pct=options.meter_class_pct), options.seed + number))
        if options.secc is not None:
            observe = None if on_secc is None else partial(on_secc, number)
            power_paths.append(SeccPowerPath(stage, clock, observe, trace=trace))
        elif bus is not None:
            power_paths.append(ChademoPowerPath(stage, on_chademo))
        else:
            power_paths.append(CarPowerPath(stage))
    config = StationConfig(
        id=options.id,
        version=version,
        vendor_profile=options.vendor_profile,
        id_token=options.id_token,
        token_type=options.token_type,
        meter_interval_s=options.meter_interval_s,
        csms=options.csms.rstrip("/").removesuffix("/" + options.id),
        security_profile=_security_profile(options),
        password=options.password,
        seed=options.seed,
    )

    async def connect(target: NetworkProfile) -> TextWire:
        wire = await dial(target, station.certificates, options.ca, own)
        return wire if on_ocpp is None else TappedWire(wire, on_ocpp)

    store = None if options.state is None else Store(options.state, options.id)
    station = build(config, power_paths, clock, connect, store, on_retry)
    charger = Charger(station, power_paths)
    for number, power_path in enumerate(power_paths, 1):
        if isinstance(power_path, ChademoPowerPath) and bus is not None:
            charger.post = StationPost(power_path, bus, clock)
        if isinstance(power_path, SeccPowerPath):
            host, port = iso15118_io.endpoint(options.secc or "")
            try:
                listener = await iso15118_io.listen(power_path.secc.serve, host, port + number - 1 if port else 0)
            except OSError as error:
                raise ValueError(f"--secc: {error.strerror or error}") from None
            charger.listeners.append(listener)
            charger.ports.append(listener.port)
    return charger


def _verify(options: Options) -> tuple[Path, Path] | None:
    """Return the client certificate and its key; ValueError for options that cannot be used."""
    url = urlsplit(options.csms)
    if url.scheme not in ("ws", "wss") or not url.hostname:
        given = without_user(options.csms)
        raise ValueError(f"the address of the CSMS is ws://host:port/path or wss://..., not {given}")
    try:
        _ = url.port
    except ValueError as error:
        raise ValueError(f"--csms: {error}") from None
    if not STATION_ID.fullmatch(options.id):
        raise ValueError(
            f"--id: {options.id!r} is not the id of a station: letters, digits and *-_=+|@. only, up to 48"
        )
    if (options.cert is None) != (options.key is None):
        raise ValueError("--cert and --key belong together")
    own = None if options.cert is None or options.key is None else (options.cert, options.key)
    verify_files(options.ca, own)
    return own


def _security_profile(options: Options) -> int:
    """Return the security profile of address and credentials."""
    if not options.csms.startswith("wss://"):
        return 0 if options.password is None else 1
    return 2 if options.cert is None else 3


def _secret(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"--password-file: {path} cannot be read: {error}") from None


async def run(
    options: Options,
    *,
    redact: Redact,
    password_file: Path | None = None,
    trace: bool = False,
    json: bool = False,
    out: TextIO | None = None,
    orders: AsyncIterator[bytes] | None = None,
) -> int:
    """Run a station until cancelled. `redact` removes the secrets of the messages that are printed.

    `orders` are lines in place of standard input.
    """
    console = Console(out or sys.stdout, json, trace, redact)
    try:
        if password_file is not None:
            options = replace(options, password=_secret(password_file))
        spec = None if options.car is None else profiles.load(options.car)
        if options.control_stdin and (options.secc or options.chademo):
            raise ValueError("--control-stdin is for cars of the station's own: without --secc and --chademo")
        tools = FrameTools(options.candump, console.frame if trace and options.chademo else None)
        bus = None
        if options.chademo is not None:
            from protocols.dc_modules.io import open_bus  # python-can is an extra

            bus = tools.wrap(open_bus(options.chademo), RealClock().wall)
        charger = await make(options, on_ocpp=console.ocpp, on_chademo=console.chademo, on_retry=console.retry, bus=bus)
    except (ValueError, BadProfile, OSError, profiles.ProfileError) as error:
        sys.stderr.write(f"v2x charger: {error}\n")
        return 2
    station = charger.station
    for number, port in enumerate(charger.ports, 1):
        console.listening(number, port)
    console.connecting(without_user(address(station.link.network_profiles.target())), options.ocpp)
    if spec is not None:
        plug_in_cars(charger, spec, options.soc_pct)
    watching = [asyncio.ensure_future(console.watch(station, station.clock))]
    if options.control_stdin:
        laboratory = Laboratory(station, charger.power_paths, spec or CCS_63, options.soc_pct)
        watching.append(asyncio.ensure_future(obey(orders or standard_input(), laboratory, console)))
    try:
        await _run_until_cancelled(charger)
    except ConnectionError as error:
        sys.stderr.write(f"v2x charger: CAN {options.chademo}: {error}\n")
        return 1
    finally:
        for task in watching:
            task.cancel()
        tools.close()
    return 0 if station.link.booted else 1


def plug_in_cars(charger: Charger, spec: CarSpec, soc_pct: float) -> None:
    """Connect a car of its own to each EVSE without an SECC."""
    now = charger.station.clock.now()
    for number, power_path in enumerate(charger.power_paths, 1):
        if isinstance(power_path, CarPowerPath):
            charger.station.plug_in(number, power_path.plug(Car(spec, soc_pct), now))


async def _run_until_cancelled(charger: Charger) -> None:
    running = asyncio.get_running_loop().create_task(charger.run())
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_WITHIN):
                await charger.stop()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
