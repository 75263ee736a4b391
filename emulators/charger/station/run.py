"""What `v2x charger` runs: an emulated charging station at a CSMS, with SECCs for cars or with cars of its own.

Exit status: 0 it was stopped in order, 1 the CSMS never accepted it, 2 the options are wrong. Cancelling the coroutine
(Ctrl-C) ends its transactions, tells the CSMS, and stops.
"""

from __future__ import annotations

import asyncio
import json as jsonlib
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from emulators.charger.hardware.meter import Meter, MeterSpec
from emulators.charger.hardware.power_stage import PowerStage, StageSpec
from emulators.charger.secc.secc import SeccEvent
from emulators.charger.station.build import build
from emulators.charger.station.csms_link.dialer import dial
from emulators.charger.station.csms_link.network_profiles import Target
from emulators.charger.station.power_path import CarPowerPath, PowerPath
from emulators.charger.station.secc_power_path import SeccPowerPath
from emulators.charger.station.station import STOP_WITHIN, Station, StationConfig
from emulators.charger.station.store import Store
from emulators.ev import profile as profiles
from emulators.ev.car import Car
from emulators.runtime.clock import RealClock
from protocols.iso15118 import io as iso15118_io
from protocols.ocpp.schema import Version
from protocols.ocpp.vendor import BadProfile
from protocols.ports import Clock, TextWire

Spy = Callable[[str, str], None]  # "out" | "in", the message


@dataclass(slots=True)
class Options:
    """Everything `v2x charger` can be told. Power in W, magnitudes; `secc` is `[ADDR]:PORT`, one port more per EVSE."""

    csms: str
    id: str = "CP1"
    ocpp: str = "2.1"
    evses: int = 1
    secc: str | None = None
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
    car: str | None = None  # a profile: a car of this kind is plugged in at each EVSE (without --secc)
    soc_pct: float = 80.0
    seed: int = 0
    state: Path | None = None  # a folder: the station's memory outlives the process


@dataclass(slots=True)
class Charger:
    """A station with its listeners. `ports` are those of the SECCs, in the order of the EVSEs."""

    station: Station
    outlets: list[PowerPath]
    ports: list[int] = field(default_factory=list)
    listeners: list[Any] = field(default_factory=list)

    async def run(self) -> None:
        """Live until `stop`."""
        await self.station.run()

    async def stop(self) -> None:
        """End transactions in order, then the listeners."""
        await self.station.stop()
        for listener in self.listeners:
            await listener.close()


async def make(
    options: Options,
    clock: Clock | None = None,
    *,
    on_ocpp: Spy | None = None,
    on_secc: Callable[[int, SeccEvent], None] | None = None,
    trace: Callable[[Any], None] | None = None,
) -> Charger:
    """Build a station and open its SECCs' ports. ValueError, BadProfile or OSError say what is wrong."""
    clock = clock or RealClock()
    version = Version.of(options.ocpp)
    if not 1 <= options.evses <= 64:
        raise ValueError(f"a station has 1 to 64 EVSEs, not {options.evses}")
    if not options.csms.startswith(("ws://", "wss://")):
        raise ValueError(f"the CSMS is reached at ws://host:port/path or wss://..., not {options.csms}")
    spec = StageSpec(max_charge_w=options.charge_w, max_discharge_w=options.discharge_w)
    outlets: list[PowerPath] = []
    for number in range(1, options.evses + 1):
        stage = PowerStage(spec, Meter(MeterSpec(class_pct=options.meter_class_pct), options.seed + number))
        outlets.append(_outlet(options, stage, clock, number, on_secc, trace))
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
    own = None if options.cert is None or options.key is None else (options.cert, options.key)

    async def connect(target: Target) -> TextWire:
        wire = await dial(target, station.upkeep.certificates, options.ca, own)
        return wire if on_ocpp is None else _Tapped(wire, on_ocpp)

    store = None if options.state is None else Store(options.state, options.id)
    station = build(config, outlets, clock, connect, store)
    charger = Charger(station, outlets)
    for number, outlet in enumerate(outlets, 1):
        if isinstance(outlet, SeccPowerPath):
            outlet.bind(charger.station, number)
            host, port = iso15118_io.endpoint(options.secc or "")
            listener = await iso15118_io.listen(outlet.secc.serve, host, port + number - 1 if port else 0)
            charger.listeners.append(listener)
            charger.ports.append(listener.port)
    return charger


def _outlet(
    options: Options,
    stage: PowerStage,
    clock: Clock,
    number: int,
    on_secc: Callable[[int, SeccEvent], None] | None,
    trace: Callable[[Any], None] | None,
) -> PowerPath:
    if options.secc is None:
        return CarPowerPath(stage)
    observe = None if on_secc is None else lambda event: on_secc(number, event)
    return SeccPowerPath(stage, clock, observe, trace=trace)


def _security_profile(options: Options) -> int:
    """What the address and the credentials amount to."""
    if not options.csms.startswith("wss://"):
        return 0 if options.password is None else 1
    return 2 if options.cert is None else 3


class _Tapped:
    """A wire that somebody listens to."""

    def __init__(self, wire: TextWire, spy: Spy) -> None:
        self._wire, self._spy = wire, spy

    @property
    def peer(self) -> str:
        return self._wire.peer

    @property
    def subprotocol(self) -> str:
        return self._wire.subprotocol

    async def receive(self) -> str | None:
        text = await self._wire.receive()
        if text is not None:
            self._spy("in", text)
        return text

    async def send(self, text: str) -> None:
        self._spy("out", text)
        await self._wire.send(text)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._wire.close(code, reason)


def _secret(path: Path) -> str:
    return path.read_text("utf-8").strip()


async def run(
    *,
    csms: str,
    id: str = "CP1",
    ocpp: str = "2.1",
    evses: int = 1,
    secc: str | None = None,
    charge_w: float = 10_000.0,
    discharge_w: float = 10_000.0,
    meter_class_pct: float = 0.0,
    meter_interval_s: float = 10.0,
    vendor_profile: str | None = None,
    password_file: Path | None = None,
    ca: Path | None = None,
    cert: Path | None = None,
    key: Path | None = None,
    id_token: str = "",
    token_type: str = "ISO14443",
    car: str | None = None,
    soc_pct: float = 80.0,
    state: Path | None = None,
    json: bool = False,
    out: TextIO | None = None,
) -> int:
    """Run a station until cancelled. With JSON, one line per OCPP message and one `Listening` line for each SECC."""
    stream = out or sys.stdout

    def say(event: str, **values: Any) -> None:
        text = (
            jsonlib.dumps({"event": event, **values})
            if json
            else f"{event}: " + " ".join(f"{name}={value}" for name, value in values.items())
        )
        stream.write(text + "\n")
        stream.flush()

    def spy(way: str, text: str) -> None:
        say("Ocpp", way=way, message=jsonlib.loads(text) if json else text[:300])

    try:
        password = None if password_file is None else _secret(password_file)
        options = Options(
            csms, id, ocpp, evses, secc, charge_w, discharge_w, meter_class_pct, meter_interval_s, vendor_profile,
            password, ca, cert, key, id_token, token_type, car, soc_pct, state=state,
        )  # fmt: skip
        spec = None if car is None else profiles.load(car)
        charger = await make(options, on_ocpp=spy)
    except (ValueError, BadProfile, OSError, profiles.ProfileError) as error:
        sys.stderr.write(f"v2x charger: {error}\n")
        return 2
    for number, port in enumerate(charger.ports, 1):
        say("Listening", evse=number, port=port)
    clock = charger.station.clock
    for number, outlet in enumerate(charger.outlets, 1):
        if spec is not None and isinstance(outlet, CarPowerPath):
            charger.station.plug_in(number, outlet.plug(Car(spec, soc_pct), clock.now()))
    life = asyncio.get_running_loop().create_task(charger.run())
    try:
        await asyncio.shield(life)
    except asyncio.CancelledError:
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_WITHIN):
                await charger.stop()
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)
    return 0 if charger.station.line.booted else 1
