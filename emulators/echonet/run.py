"""Command `v2x v2h-box`: an emulated V2H box on the network, until it is stopped.

Exit status: 0 stopped, 1 the address cannot be used, 2 the options are invalid. With JSON, one line per event.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TextIO

from emulators.battery.chemistry import LFP
from emulators.battery.pack import Pack, PackSpec
from emulators.charger.echonet.box import Ratings, V2hBox, box_object
from emulators.charger.echonet.chademo_link import ChademoLink
from emulators.charger.hardware.power_stage import PowerStage, StageSpec
from emulators.echonet.home import Home, constant_load
from emulators.echonet.meters import board, multiple_input_pcs, smart_meter
from emulators.echonet.solar import solar
from emulators.echonet.storage_battery import storage_battery
from emulators.ev import profile as profiles
from emulators.ev.report import Lines, PowerChanges, Reporter, power_text, print_error
from emulators.runtime.clock import RealClock
from emulators.site.pv import Pv, PvSpec
from emulators.site.storage import STORAGE_STAGE, Storage
from protocols.chademo.profile import PROFILES as CHADEMO_PROFILES
from protocols.echonet import events
from protocols.echonet.classes import EV_CHARGER_DISCHARGER, object_class
from protocols.echonet.engine import Node
from protocols.echonet.events import Announce, Event
from protocols.echonet.frames import PORT, Eoj
from protocols.echonet.io import UdpNode, UdpSettings
from protocols.echonet.objects import LocalObject
from protocols.ports import Clock

WATCH_S = 0.5  # between two readings of the power
RELEASES = "DEFGHIJKLMNPQR"  # there is no release O
HOME_PACK = PackSpec("home storage", LFP, series=16, capacity_ah=200.0, resistance_ohm=0.01)
BESIDE: dict[str, Callable[[Home], LocalObject]] = {
    "storage": storage_battery,
    "pv": solar,
    "board": board,
    "meter": smart_meter,
    "pcs": multiple_input_pcs,
}


def _name(eoj: Eoj, epc: int) -> str:
    rule = object_class(eoj.class_code).properties().get(epc)
    name = f"{epc:02X}" if rule is None else rule.name
    return name if eoj.class_code == EV_CHARGER_DISCHARGER else f"{name} of {eoj}"


_LINES: Lines = {
    events.PropertyWritten: lambda e: f"{e.node} sets {_name(e.eoj, e.epc)} to {e.value}",
    events.WriteRefused: lambda e: f"{e.node} tried to set {_name(e.eoj, e.epc)}: refused",
    events.DatagramIgnored: lambda e: f"datagram of {e.node} ignored: {e.reason}",
}


@dataclass(frozen=True, slots=True)
class BoxOptions:
    """Options of `v2x v2h-box`. `car` is the profile of the connected vehicle, "" for none; a LEAF is
    connected over CHAdeMO, any other by its battery. `beside`: other devices of the home, by the names of BESIDE.
    """

    address: str = "0.0.0.0"
    interface: str = ""
    port: int = PORT
    car: str = "leaf-40"
    soc_pct: float = 80.0
    release: str = "R"
    power_w: float = 6000.0
    house_w: float = 500.0
    beside: tuple[str, ...] = ()
    pv_w: float = 5000.0
    storage_wh: float = 10_000.0
    json: bool = False


async def run(options: BoxOptions, out: TextIO | None = None) -> int:
    """Run one box; return the exit status."""
    clock = RealClock()
    try:
        box = create(options, clock.now())
        home = create_home(options, box, clock.wall() - clock.now()) if options.beside else None
    except ValueError as error:
        print_error("v2x v2h-box", f"{error}")
        return 2
    reporter = Reporter(out or sys.stdout, options.json, _LINES)

    def report(found: Sequence[Event]) -> None:
        for one in found:
            reporter(one)

    objects = [box_object(box), *(BESIDE[name](home) for name in options.beside if home is not None)]
    udp = UdpNode(Node(objects), UdpSettings(options.address, options.interface, options.port), clock, report)
    try:
        udp.open()
    except OSError as error:
        print_error("v2x v2h-box", f"{options.address} port {options.port} cannot be used: {error}")
        return 1
    place = options.address + (f" on {options.interface}" if options.interface else "")
    others = "".join(f", {one.eoj}" for one in objects[1:])
    reporter.write_text(f"V2H box 027E01{others} of release {options.release} at {place}, UDP port {options.port}")
    udp.command(Announce())
    await asyncio.gather(udp.run(), _watch(box, home, reporter, clock))
    return 0


def create(options: BoxOptions, now: float) -> V2hBox:
    """Return the box with its vehicle. Raises ValueError."""
    if options.release not in tuple(RELEASES):
        raise ValueError(f"release {options.release!r} is none of {', '.join(RELEASES)}")
    spec = StageSpec(max_charge_w=options.power_w, max_discharge_w=options.power_w, forming=True)
    box = V2hBox(Ratings(release=options.release), PowerStage(spec), options.house_w)
    if options.car:
        pack = Pack(profiles.load(options.car).pack, options.soc_pct)
        box.connect(pack, now, ChademoLink(pack, options.car) if options.car in CHADEMO_PROFILES else None)
    return box


def create_home(options: BoxOptions, box: V2hBox, wall_at_0: float) -> Home:
    """Return the home of the box, with the storage and PV of the options. Raises ValueError."""
    if unknown := [name for name in options.beside if name not in BESIDE]:
        raise ValueError(f"{unknown[0]!r} is none of {', '.join(BESIDE)}")
    if len(set(options.beside)) != len(options.beside):
        raise ValueError("each device can stand beside the box once")
    if options.house_w < 0:
        raise ValueError("the load of the home must be at least 0 W; a surplus comes from its PV")
    pv = Pv(PvSpec(peak_w=options.pv_w)) if "pv" in options.beside else None
    storage = None
    if "storage" in options.beside:
        ah = options.storage_wh / Pack(HOME_PACK).spec.usable_wh * HOME_PACK.capacity_ah
        pack = Pack(replace(HOME_PACK, capacity_ah=ah), 50.0)
        rated_w = min(5000.0, options.storage_wh)
        storage = Storage(pack, PowerStage(replace(STORAGE_STAGE, max_charge_w=rated_w, max_discharge_w=rated_w)))
    return Home(box, constant_load(options.house_w), pv, storage, wall_at_0)


async def _watch(box: V2hBox, home: Home | None, reporter: Reporter, clock: Clock) -> None:
    """Report power and state of charge."""
    changes = PowerChanges()
    while True:
        await clock.sleep(WATCH_S)
        box.advance(clock.now())
        if home is not None:
            home.advance(clock.now())
        power_w = box.stage.reading(clock.now()).ac_power_w
        soc_pct = None if box.stage.battery is None else box.stage.battery.soc_pct
        if changes.select(power_w, power_w, soc_pct):
            battery = "no vehicle" if soc_pct is None else f"battery at {soc_pct:.0f} %"
            reporter.write_text(f"{power_text(power_w)}, {battery}")
            reporter.write_record("Power", {"power_w": round(power_w), "soc_pct": soc_pct})
