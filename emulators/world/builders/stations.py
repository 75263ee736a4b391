"""Charging stations of a scenario, with their EVSEs and parking bays, and its vehicles."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from dataclasses import fields

from emulators.charger.hardware.meter import Meter, MeterSpec
from emulators.charger.hardware.power_stage import EFFICIENCY, PowerStage, StageSpec
from emulators.charger.hardware.shared_supply import Supply
from emulators.charger.station.build import build
from emulators.charger.station.config import StationConfig
from emulators.charger.station.csms_link.network_profiles import Connect
from emulators.ev import profile
from emulators.ev.car import Car
from emulators.faults.injected_wire import on_link
from emulators.runtime.candump import CanRecording
from emulators.runtime.clock import SkewedClock
from emulators.runtime.pcap import Capture
from emulators.scenario.tables import CarPart, ChargerPart
from emulators.world.chademo_bay import ChademoBay
from emulators.world.echonet_bay import EchonetBay
from emulators.world.emulated_site import EmulatedSite
from emulators.world.hosted_bay import ConnectHosted, HostedBay
from emulators.world.hosted_chademo_bay import HostedChademoBay
from emulators.world.modbus_bay import ModbusBay
from emulators.world.parking_bay import BaySettings, ParkingBay
from protocols.modbus.register_map import shipped
from protocols.ocpp.schema import Version

VERSIONS = {"1.6": Version.V16, "2.0.1": Version.V201, "2.1": Version.V21}
MAX_LOOP_INTERVAL_S = 0.25  # between two charge-loop requests


def add_stations(world: EmulatedSite, part: ChargerPart, connect: Callable[[str], Connect]) -> None:
    """Add the stations of one table of the scenario, with their parking bays, to a world.

    `connect` returns the function by which a station, named by its id, connects to the gateway.
    """
    for name in part.ids():
        bays = [_bay(world, part, name, number) for number in range(1, part.evses + 1)]
        if part.supply_w is not None:
            supply = Supply(part.supply_w, [(bay.stage, bay.requested_w) for bay in bays])
            supply.share()
            world.supplies.append(supply)
        clock = SkewedClock(world.clock, drift_ppm=part.clock_drift_ppm)
        config = StationConfig(
            name,
            VERSIONS[part.ocpp],
            vendor_profile=part.vendor_profile,
            meter_interval_s=world.scenario.telemetry,
            tick_s=world.scenario.tick,
            seed=random.Random(f"station-{world.seed}-{name}").randrange(1 << 30),
        )
        station = build(config, [bay.power_path for bay in bays], clock, connect(name))
        world.stations[name] = station
        world.injection_points.add_process(name, clock, functools.partial(station.reboot, "PowerUp", "PowerLoss"))
        world.injection_points.modems[name] = station.link.modem_reset


def add_hosted(world: EmulatedSite, part: ChargerPart, connect: ConnectHosted) -> None:
    """Add the EVSEs of one table of the scenario that the gateway hosts itself, with their parking bays, to a world."""
    for name in part.evse_names():
        stage, settings, capture = _equipment(world, part, name)
        shared = (name, stage, world.clock, world.transcript, world.injection_points, settings)
        if part.driver == "modbus":
            world.injection_points.devices.add(name)
            _add(world, ModbusBay(*shared, product=shipped(part.product)), name)
            continue
        if part.driver == "echonet":
            box = EchonetBay(*shared)
            box.site = world.site
            _add(world, box, name)
            continue
        if part.vehicle_link == "chademo":
            world.add_bay(HostedChademoBay(*shared, frames=_recording(world)))
            continue
        bay = HostedBay(*shared, capture=capture, ac=part.board == "ac")
        bay.connect_gateway = connect
        _add(world, bay, name)


def _bay(world: EmulatedSite, part: ChargerPart, station: str, number: int) -> ParkingBay:
    evse = f"{station}-{number}"
    stage, settings, capture = _equipment(world, part, evse)
    shared = (evse, stage, world.clock, world.transcript, world.injection_points, settings)
    if part.vehicle_link == "chademo":
        bay: ParkingBay = ChademoBay(*shared, recording=_recording(world))
        world.add_bay(bay)
        return bay
    bay = ParkingBay(*shared, world.network.vehicle, capture)
    _add(world, bay, evse)
    return bay


def _recording(world: EmulatedSite) -> CanRecording | None:
    return CanRecording() if world.transcript.keep else None


def _equipment(world: EmulatedSite, part: ChargerPart, evse: str) -> tuple[PowerStage, BaySettings, Capture | None]:
    """Return power stage, settings of the vehicle communication and capture of an EVSE."""
    scenario = world.scenario
    shared = {field.name for field in fields(StageSpec)} & ChargerPart.model_fields.keys() - {"efficiency"}
    spec = StageSpec(**part.model_dump(include=shared), efficiency=tuple(part.efficiency) or EFFICIENCY)
    seed = random.Random(f"meter-{world.seed}-{evse}").randrange(1 << 30)
    meter = MeterSpec(class_pct=part.meter_class_pct, drift_pct_year=part.meter_drift_pct_year)
    stage = PowerStage(spec, Meter(meter, seed), scenario.step)
    settings = BaySettings(
        loop_interval_s=min(MAX_LOOP_INTERVAL_S, scenario.loop),
        vehicle_link=part.messages_link,
        tls=world.tls,
        fast_forward=world.fast_forward,
    )
    return stage, settings, Capture() if world.transcript.keep else None


def _add(world: EmulatedSite, bay: ParkingBay, evse: str) -> None:
    """Add a bay to a world, with the deviations that the scenario injects into its messages."""
    world.add_bay(bay)
    if any(one.evse in ("", evse) for one in world.scenario.inject):
        world.injection_points.injections[evse] = on_link(world.scenario.inject, evse, world.seed)


def add_cars(world: EmulatedSite, part: CarPart) -> None:
    """Add the cars of one table of the scenario, unplugged, to a world."""
    spec = profile.load(part.profile)
    for name in part.names():
        draw = random.Random(f"car-{world.seed}-{name}")
        soc = part.soc_pct + draw.uniform(-1, 1) * part.soc_spread_pct
        car = Car(spec, min(100.0, max(0.0, soc)), name=name, ambient_c=world.scenario.site.ambient_c)
        if part.floor_pct is not None:
            car.v2x_min_soc_pct = max(part.floor_pct, spec.min_soc_pct)
        world.add_car(car)
