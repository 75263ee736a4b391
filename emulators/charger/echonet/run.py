"""Command `v2x v2h-box`: an emulated V2H box on the network, until it is stopped.

Exit status: 0 stopped, 1 the address cannot be used, 2 the options are invalid. With JSON, one line per event.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from emulators.battery.pack import Pack
from emulators.charger.echonet.box import Ratings, V2hBox, box_object
from emulators.charger.echonet.chademo_link import ChademoLink
from emulators.charger.hardware.power_stage import PowerStage, StageSpec
from emulators.ev import profile as profiles
from emulators.ev.report import Lines, PowerChanges, Reporter, power_text, print_error
from emulators.runtime.clock import RealClock
from protocols.chademo.profile import PROFILES as CHADEMO_PROFILES
from protocols.echonet import events
from protocols.echonet.classes import EV_CHARGER_DISCHARGER, object_class
from protocols.echonet.engine import Node
from protocols.echonet.events import Announce, Event
from protocols.echonet.frames import PORT
from protocols.echonet.io import UdpNode, UdpSettings
from protocols.ports import Clock

WATCH_S = 0.5  # between two readings of the power
RELEASES = "DEFGHIJKLMNPQR"  # there is no release O
_CLASS = object_class(EV_CHARGER_DISCHARGER)


def _name(epc: int) -> str:
    rule = _CLASS.properties().get(epc)
    return f"{epc:02X}" if rule is None else rule.name


_LINES: Lines = {
    events.PropertyWritten: lambda e: f"{e.node} sets {_name(e.epc)} to {e.value}",
    events.WriteRefused: lambda e: f"{e.node} tried to set {_name(e.epc)}: refused",
    events.DatagramIgnored: lambda e: f"datagram of {e.node} ignored: {e.reason}",
}


@dataclass(frozen=True, slots=True)
class BoxOptions:
    """Options of `v2x v2h-box`. `car` is the profile of the connected vehicle, "" for none; a LEAF is
    connected over CHAdeMO, any other by its battery.
    """

    address: str = "0.0.0.0"
    interface: str = ""
    port: int = PORT
    car: str = "leaf-40"
    soc_pct: float = 80.0
    release: str = "R"
    power_w: float = 6000.0
    house_w: float = 500.0
    json: bool = False


async def run(options: BoxOptions, out: TextIO | None = None) -> int:
    """Run one box; return the exit status."""
    clock = RealClock()
    try:
        box = create(options, clock.now())
    except ValueError as error:
        print_error("v2x v2h-box", f"{error}")
        return 2
    reporter = Reporter(out or sys.stdout, options.json, _LINES)

    def report(found: Sequence[Event]) -> None:
        for one in found:
            reporter(one)

    udp = UdpNode(Node([box_object(box)]), UdpSettings(options.address, options.interface, options.port), clock, report)
    try:
        udp.open()
    except OSError as error:
        print_error("v2x v2h-box", f"{options.address} port {options.port} cannot be used: {error}")
        return 1
    place = options.address + (f" on {options.interface}" if options.interface else "")
    reporter.write_text(f"V2H box 027E01 of release {options.release} at {place}, UDP port {options.port}")
    udp.command(Announce())
    await asyncio.gather(udp.run(), _watch(box, reporter, clock))
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


async def _watch(box: V2hBox, reporter: Reporter, clock: Clock) -> None:
    """Report power and state of charge."""
    changes = PowerChanges()
    while True:
        await clock.sleep(WATCH_S)
        box.advance(clock.now())
        power_w = box.stage.reading(clock.now()).ac_power_w
        soc_pct = None if box.stage.battery is None else box.stage.battery.soc_pct
        if changes.select(power_w, power_w, soc_pct):
            battery = "no vehicle" if soc_pct is None else f"battery at {soc_pct:.0f} %"
            reporter.write_text(f"{power_text(power_w)}, {battery}")
            reporter.write_record("Power", {"power_w": round(power_w), "soc_pct": soc_pct})
