"""Stations, cars and the gateway's settings, as a scenario describes them; the same for the same seed."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from emulators.charger.hardware.meter import Meter, MeterSpec
from emulators.charger.hardware.power_stage import EFFICIENCY, PowerStage, StageSpec
from emulators.charger.hardware.shared_supply import Supply
from emulators.charger.station.build import build
from emulators.charger.station.config import StationConfig
from emulators.charger.station.csms_link.network_profiles import Connect
from emulators.ev import profile
from emulators.ev.car import Car
from emulators.runtime.clock import SkewedClock
from emulators.runtime.pcap import Capture
from emulators.scenario.scenario import Scenario, ScenarioError
from emulators.scenario.tables import CarPart, ChargerPart
from emulators.world.network import GATEWAY_ID
from emulators.world.parking_bay import ParkingBay
from gateway.config import Config, ConfigError, from_table
from protocols.ocpp.schema import Version

if TYPE_CHECKING:
    from emulators.world.world import World

VERSIONS = {"1.6": Version.V16, "2.0.1": Version.V201, "2.1": Version.V21}
MOST_TICK_S = 0.25  # between two turns of a charge loop

Door = Connect


def check_gateway(plan: Scenario) -> None:
    """ScenarioError says what the gateway does not understand of its part of the scenario."""
    try:
        gateway_config(plan, {})
    except ConfigError as error:
        raise ScenarioError("\n".join(f"{plan.name}: gateway.{line}" for line in str(error).splitlines())) from error


def gateway_config(plan: Scenario, network: dict[str, dict[str, Any]]) -> Config:
    """The gateway's settings for this scenario; `network` says how it is reached."""
    part = plan.gateway
    site: dict[str, Any] = {"id": part.site, "min_soc_pct": part.min_soc_pct}
    if part.import_limit_w is not None:
        site["import_limit_w"] = part.import_limit_w
    if part.export_limit_w is not None:
        site["export_limit_w"] = part.export_limit_w
    stations = [
        {"id": name} | ({"vendor_profile": charger.vendor_profile} if charger.vendor_profile else {})
        for charger in plan.charger
        for name in charger.ids()
    ]
    mqtt = {"gateway_id": GATEWAY_ID, "telemetry_s": plan.telemetry, "homeassistant": "off"}
    return from_table(
        {
            "site": site,
            "mqtt": mqtt | network.get("mqtt", {}),
            "ocpp": {"security_profile": 0} | part.ocpp | network.get("ocpp", {}),
            "commands": part.commands,
            "store": {"url": "memory:"},
            "stations": stations,
            "energy": {"nominal_hz": plan.grid.nominal_hz, **part.energy},
            "blue_switch": network.get("blue_switch", {}),
        }
    )


def prices(plan: Scenario) -> list[tuple[float, float, float, float]]:
    """What the last price input of the scenario says: from, until (Unix time), import and export per kWh."""
    told = [one.body.get("prices", ()) for one in plan.input if one.kind == "price"]
    found = []
    for row in told[-1] if told else ():
        start = datetime.fromisoformat(str(row["start"])).timestamp()
        buy = float(row["import_per_kwh"])
        found.append((start, start + float(row["duration_s"]), buy, float(row.get("export_per_kwh", 0.0))))
    return found


def add_stations(world: World, part: ChargerPart, door: Callable[[str], Door]) -> None:
    """The stations of one part of the scenario, with their bays, into the world."""
    plan = world.scenario
    for name in part.ids():
        bays = [_bay(world, part, name, number) for number in range(1, part.evses + 1)]
        if part.supply_w is not None:
            supply = Supply(part.supply_w, [(bay.stage, bay.asked_w) for bay in bays])
            supply.share()
            world.supplies.append(supply)
        clock = SkewedClock(world.clock, drift_ppm=part.clock_drift_ppm)
        world.parts.clocks[name] = clock
        config = StationConfig(
            name,
            VERSIONS[part.ocpp],
            vendor_profile=part.vendor_profile,
            meter_interval_s=plan.telemetry,
            tick_s=plan.tick,
            seed=random.Random(f"station-{world.seed}-{name}").randrange(1 << 30),
        )
        station = build(config, [bay.outlet for bay in bays], clock, door(name))
        for bay in bays:
            bay.bind(station)
        world.stations[name] = station
        world.parts.restarts[name] = functools.partial(station.reboot, "PowerUp", "PowerLoss")


def _bay(world: World, part: ChargerPart, station: str, number: int) -> ParkingBay:
    plan, evse = world.scenario, f"{station}-{number}"
    spec = StageSpec(
        max_charge_w=part.max_charge_w,
        max_discharge_w=part.max_discharge_w,
        max_current_a=part.max_current_a,
        min_power_w=part.min_power_w,
        ramp_w_per_s=part.ramp_w_per_s,
        standby_w=part.standby_w,
        forming=part.forming,
        min_voltage_v=part.min_voltage_v,
        max_voltage_v=part.max_voltage_v,
        efficiency=tuple(part.efficiency) or EFFICIENCY,
    )
    seed = random.Random(f"meter-{world.seed}-{evse}").randrange(1 << 30)
    meter = MeterSpec(class_pct=part.meter_class_pct, drift_pct_year=part.meter_drift_pct_year)
    stage = PowerStage(spec, Meter(meter, seed), plan.step)
    bay = ParkingBay(
        evse,
        number,
        stage,
        world.clock,
        world.transcript,
        world.parts,
        min(MOST_TICK_S, plan.loop),
        part.vehicle_link != "none",
        meet=world.network.vehicle,
        secure=world.sockets is not None and world.sockets.secure,
        hurries=world.fast_forward,
    )
    if world.transcript.keep:
        bay.capture = world.captures[evse] = Capture()
    world.bays[evse] = bay
    world.site.cars[evse] = stage
    world.parts.stages[evse] = stage
    return bay


def add_cars(world: World, part: CarPart) -> None:
    """The cars of one part of the scenario, away from their plugs, into the world."""
    spec = profile.load(part.profile)
    for name in part.names():
        draw = random.Random(f"car-{world.seed}-{name}")
        soc = part.soc_pct + draw.uniform(-1, 1) * part.soc_spread_pct
        car = Car(spec, min(100.0, max(0.0, soc)), name=name, ambient_c=world.scenario.site.ambient_c)
        if part.floor_pct is not None:
            car.v2x_min_soc_pct = max(part.floor_pct, spec.min_soc_pct)
        world.cars[name] = world.parts.cars[name] = car
