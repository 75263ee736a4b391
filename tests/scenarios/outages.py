"""Random outages: a seeded generator of scenarios, a run that watches the true state of the site, and its judgement.

The judgement: how long the site was without supply while a source could have supplied it, floors, limits of the
connection, alarms without a cause, and commands that never end.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from emulators.charger.hardware.power_stage import Contactors
from emulators.runtime.clock import run_virtual
from emulators.scenario.scenario import Scenario
from emulators.site.balance import State
from emulators.world.world import World
from gateway.model.message import parse_moment

TIERS: dict[str, list[dict[str, Any]]] = {
    "evacuation-centre": [
        {"name": "radio, light and charging", "priority": 0, "expected_w": 1600, "critical": True},
        {"name": "medical and refrigeration", "priority": 0, "expected_w": 500, "critical": True},
        {"name": "water and kitchen", "priority": 1, "expected_w": 2000, "wants_hours": 6},
        {"name": "ventilation and air", "priority": 2, "expected_w": 2600, "wants_hours": 12},
    ],
    "home": [
        {"name": "light and refrigerator", "priority": 0, "expected_w": 400, "critical": True},
        {"name": "kitchen and bath", "priority": 1, "expected_w": 900},
        {"name": "air conditioning", "priority": 2, "expected_w": 800},
    ],
}
PRODUCTS = (  # OCPP version, vendor profile, vehicle link
    *(("2.1", "vendor-island", "iso15118-20"),) * 3,
    ("2.1", None, "iso15118-20"),
    ("2.1", None, "none"),
    *(("2.0.1", "negative-limit", "iso15118-20"), ("2.0.1", None, "iso15118-20")),
    *(("1.6", "negative-limit", "none"), ("1.6", None, "none"), ("1.6", None, "iso15118-20")),
)
FIRST_STATUSES = ("accepted", "clamped", "refused")
SETTLED_S = 60.0  # after a car was plugged in, it can supply
SPARE_PCT = 2.0  # above its floor: a source
DARK_S = 30.0  # for each transfer: the loss is confirmed, the switch opens, the source starts
DISTURBED_S = 60.0  # more, where gateway, broker or a station fail at that time
COMMAND_S = 90.0  # for the final result of a command


def outage(seed: int) -> dict[str, Any]:
    """Return a random scenario with disturbances of the grid; the same for the same seed."""
    draw = random.Random(seed)
    kind, count = draw.choice(("home", "evacuation-centre")), draw.choice((1, 1, 2, 3))
    duration = draw.choice((1200.0, 1500.0, 1800.0))
    floor_pct = draw.choice((10, 20, 30))
    off_grid_pct = draw.choice((10, 15, 20, 30))
    power_w = draw.choice((3000.0, 6000.0, 6000.0, 10_000.0))
    ways = _ways(seed, count)
    evses = [_evse(way, number if count > 1 else None) for number, way in enumerate(ways, 1)]
    table: dict[str, Any] = {
        "name": f"outage {seed}",
        "seed": seed,
        "start": f"2026-09-08T{draw.choice((2, 8, 11, 13, 18, 22)):02}:00:00+09:00",
        "duration": duration,
        "step": draw.choice((1.0, 1.0, 2.0)),
        "loop": 10.0,
        "telemetry": draw.choice((5.0, 10.0, 30.0)),
        "sample": 30.0,
        "gateway": _gateway(draw, kind, evses, floor_pct, off_grid_pct),
        "site": _site(draw, kind, power_w),
        "grid": {"events": _disturbances(draw, duration)},
        "charger": _chargers(draw, ways, power_w),
        "car": _cars(draw, evses, max(floor_pct, off_grid_pct), duration),
    }
    forming = [evse for evse, way in zip(evses, ways, strict=True) if way != "modbus"]
    table["gateway"]["energy"]["forming"] = forming
    table["fault"] = _faults(draw, table, duration)
    table["command"] = _commands(draw, [*evses, "site"], duration)
    return table


def _gateway(draw: random.Random, kind: str, evses: list[str], floor_pct: float, off_grid_pct: float) -> dict[str, Any]:
    mode = draw.choice(("manual", "self_consumption", "peak_shaving", "backup"))
    gateway: dict[str, Any] = {"min_soc_pct": floor_pct, "mode": mode, "ocpp": {"unknown_tokens": "accept"}}
    if draw.random() < 0.7:
        gateway["import_limit_w"] = draw.choice((6000.0, 10_000.0, 20_000.0))
    if draw.random() < 0.5:
        gateway["export_limit_w"] = draw.choice((0.0, 2000.0, 5000.0))
    if mode == "peak_shaving":
        gateway["peak_limit_w"] = draw.choice((1500.0, 3000.0, 5000.0))
    gateway["energy"] = {
        "island": True,
        "off_grid_pct": off_grid_pct,
        "reconnect_s": 300,
        "tiers": TIERS[kind],
        "forming": evses,
        "parallel_forming": draw.random() < 0.5,
    }
    return gateway


def _site(draw: random.Random, kind: str, power_w: float) -> dict[str, Any]:
    site: dict[str, Any] = {"kind": kind, "scale": draw.choice((0.6, 1.0, 1.6))}
    if power_w <= 3000.0 and kind != "home":
        site["scale"] = 0.6
    if draw.random() < 0.5:
        site["pv"] = [{"peak_w": draw.choice((3000.0, 6000.0, 10_000.0))}]
    if draw.random() < 0.3:
        soc_pct, policy = round(draw.uniform(20, 95), 1), draw.choice(("idle", "self_consumption"))
        site["storage"] = [{"kind": "new", "capacity_wh": 10_000.0, "max_w": 5000.0, "soc_pct": soc_pct}]
        site["storage"][0] |= {"policy": policy, "floor_pct": 10.0}
    return site


def _disturbances(draw: random.Random, duration: float) -> list[dict[str, Any]]:
    at, found = draw.uniform(150, 400), []
    for _ in range(draw.choice((1, 1, 2, 3))):
        lasts = draw.choice((3.0, 20.0, 60.0, 400.0, 900.0, 2000.0))
        kind = draw.choice((*("outage",) * 4, "brown-out", "frequency-step", "voltage-step"))
        value = {
            "outage": 0.0,
            "brown-out": draw.choice((0.3, 0.6, 0.8)),
            "voltage-step": draw.choice((0.8, 1.2)),
            "frequency-step": draw.choice((-3.0, 0.5)),
        }[kind]
        found.append({"kind": kind, "at": at, "duration": lasts, "value": value})
        at += lasts + draw.choice((5.0, 40.0, 200.0))
        if at > duration - 120.0:
            break
    return found


def _ways(seed: int, count: int) -> list[str]:
    """Return how the gateway reaches each EVSE; a wallbox over Modbus forms no island and is never the first one."""
    draw = random.Random(f"ways {seed}")
    return [
        draw.choice(("ocpp", "ocpp", "hosted", "echonet", *(("modbus",) * (number > 0)))) for number in range(count)
    ]


def _evse(way: str, number: int | None) -> str:
    digits = "" if number is None else str(number)
    names = {"ocpp": f"CP{digits}-1", "hosted": f"BAY{digits}", "modbus": f"BOX{digits}", "echonet": f"V2H{digits}"}
    return names[way]


def _chargers(draw: random.Random, ways: list[str], power_w: float) -> list[dict[str, Any]]:
    ocpp, profile, link = draw.choice(PRODUCTS)
    rated: dict[str, Any] = {"max_charge_w": power_w, "max_discharge_w": power_w}
    rated["ramp_w_per_s"] = draw.choice((300.0, 1000.0, 5000.0, 20_000.0))
    station = {"forming": True, "ocpp": ocpp, "vehicle_link": link, **rated}
    tables = {
        "ocpp": station if profile is None else station | {"vendor_profile": profile},
        "hosted": {"hosted": True, "forming": True, **rated},
        "modbus": {"hosted": True, "driver": "modbus", **rated},
        "echonet": {"hosted": True, "driver": "echonet", "forming": True, **rated},
    }
    names = [_evse(way, number if len(ways) > 1 else None) for number, way in enumerate(ways, 1)]
    return [{"id": name.removesuffix("-1"), **tables[way]} for name, way in zip(names, ways, strict=True)]


def _cars(draw: random.Random, evses: list[str], least_pct: float, duration: float) -> list[dict[str, Any]]:
    cars = []
    for number, evse in enumerate(evses):
        low_pct = min(95.0, least_pct + 35.0) if number == 0 else least_pct - 5.0
        soc_pct = draw.choice((round(draw.uniform(low_pct, 100.0), 1), 100.0 if number == 0 else least_pct + 3.0))
        leaves = duration + 300.0
        if number and draw.random() < 0.3:
            leaves = draw.uniform(duration * 0.4, duration * 0.9)
        visit = {"arrive": draw.choice((5.0, 20.0, 60.0)), "leave": leaves}
        cars.append({"name": f"c{number}", "evse": evse, "soc_pct": soc_pct, "visits": [visit]})
    return cars


def _faults(draw: random.Random, table: dict[str, Any], duration: float) -> list[dict[str, Any]]:
    chargers = table["charger"]
    stations = sorted(one["id"] for one in chargers if not one.get("hosted"))
    links = [f"ocpp:{name}" for name in stations]
    links += [f"modbus:{one['id']}" for one in chargers if one.get("driver") == "modbus"]
    found = []
    for _ in range(draw.choice((0, 0, 1, 1, 2))):
        at, lasts = draw.uniform(60.0, duration - 200.0), draw.choice((10.0, 60.0, 200.0))
        kind = draw.choice(
            ("restart", "broker-stop", "broker-freeze", "input-silent", "delay", "frozen-soc", "cut", "reboot")
        )
        fault: dict[str, Any] = {"at": at, "kind": kind, "duration": lasts}
        match kind:
            case "restart":
                fault |= {"target": "gateway", "duration": draw.choice((2.0, 10.0, 60.0))}
            case "reboot":
                fault |= {"kind": "restart", "target": draw.choice(stations or ["gateway"]), "duration": None}
            case "input-silent":
                fault |= {"target": draw.choice(("grid", "load", "pv", "meter", "switch"))}
            case "delay":
                fault |= {"target": "mqtt:facility", "value": draw.choice((0.5, 2.0, 6.0)), "duration": 300.0}
            case "frozen-soc":
                fault |= {"target": draw.choice(table["car"])["name"]}
            case "cut":
                target = draw.choice((draw.choice(links or ["mqtt:gw1"]), "mqtt:gw1"))
                fault |= {"target": target, "duration": draw.choice((5.0, 30.0, 90.0))}
        found.append(fault)
    return found


def _commands(draw: random.Random, targets: list[str], duration: float) -> list[dict[str, Any]]:
    found = []
    for _ in range(draw.choice((0, 1, 2, 4))):
        verb = draw.choice(("charge", "discharge", "setpoint", "stop", "release"))
        command: dict[str, Any] = {"at": draw.uniform(90.0, duration - 60.0), "verb": verb}
        command["target"] = draw.choice(targets)
        if verb in ("charge", "discharge", "setpoint"):
            sign = draw.choice((-1, 1)) if verb == "setpoint" else 1
            lease_s = draw.choice((20.0, 60.0, 600.0))
            command |= {"power_w": sign * draw.choice((500.0, 2000.0, 6000.0)), "lease_s": lease_s}
            command["hold"] = max(lease_s, draw.choice((60.0, 300.0)))
        found.append(command)
    return found


# run ------------------------------------------------------------------------------------------------------------------


@dataclass
class Run:
    """Observations of a run: `dark` are times without supply although a source could have supplied the site, s."""

    scenario: Scenario
    world: World
    dark: list[tuple[float, float]] = field(default_factory=list)  # begin, end
    figures: dict[str, float] = field(default_factory=dict)
    _supplied_at: float = 0.0
    _plugged_at: dict[str, float] = field(default_factory=dict)

    def watch(self) -> None:
        """Apply one second of the run."""
        world, now = self.world, self.world.clock.now()
        for name, bay in world.bays.items():
            if bay.car is None:
                self._plugged_at.pop(name, None)
            else:
                self._plugged_at.setdefault(name, now)
        balance = world.site.balance
        if balance is None or balance.state is not State.DE_ENERGISED or not self._source():
            self._supplied_at = now
        elif self.dark and self.dark[-1][1] >= self._supplied_at:
            self.dark[-1] = self.dark[-1][0], now
        else:
            self.dark.append((self._supplied_at, now))

    def _source(self) -> bool:
        """Return whether one source could supply the critical load now."""
        world, site = self.world, self.world.site
        required, need_w = world.recording.safety.required, site.loads.critical_w
        now = world.clock.now()
        for name, bay in world.bays.items():
            car, stage = bay.car, bay.stage
            if car is None or now - self._plugged_at[name] < SETTLED_S or stage.contactors is Contactors.OPEN:
                continue
            floor_pct = max(required.island_pct, car.v2x_min_soc_pct, site.spec.island_floor_pct)
            if stage.spec.forming and car.soc_pct > floor_pct + SPARE_PCT and stage.deliverable_w > 1.1 * need_w:
                return True
        return any(
            storage.soc_pct > max(site.spec.island_floor_pct, required.storage_island_pct) + SPARE_PCT
            and storage.stage.deliverable_w > 1.1 * need_w
            for storage in site.storage
        )


def run(table: dict[str, Any]) -> Run:
    """Run a scenario to its end."""

    async def scene() -> Run:
        world = World(Scenario.model_validate(table), keep_transcript=False, fast_forward=True)
        found = Run(world.scenario, world)
        async with world.running():
            while world.clock.now() < world.scenario.duration:
                await world.clock.sleep(1.0)
                found.watch()
        found.figures = world.recording.figures()
        return found

    return run_virtual(scene())


# judgement ------------------------------------------------------------------------------------------------------------


def faults_of(run: Run) -> Iterator[str]:
    """Yield what went wrong in a run."""
    figures, scenario = run.figures, run.scenario
    if figures["floor_crossed_pct"] > 0.5:
        yield f"a floor was crossed by {figures['floor_crossed_pct']} %"
    ramp_w_per_s = scenario.charger[0].ramp_w_per_s
    if figures["over_limit_s"] > 15.0 + 2 * scenario.step + scenario.charger[0].max_charge_w / ramp_w_per_s:
        yield f"a limit was exceeded for {figures['over_limit_s']} s"
    if figures["fed_dead_grid_wh"] > 0.5:
        yield f"{figures['fed_dead_grid_wh']} Wh were fed into a dead grid"
    if figures["not_seen_on_meter"]:
        yield f"{figures['not_seen_on_meter']:.0f} alarms of power without an order"
    if figures["car_violations"]:
        yield "a vehicle's limits were violated"
    yield from _false_alarms(run)
    yield from _dark(run)
    yield from _endless(run)


def _false_alarms(run: Run) -> Iterator[str]:
    failed = run.figures.get("decided.black_start_failed", 0.0)
    overloads = sum("overload" in event.text for event in run.world.recording.events if event.kind == "site")
    disturbed = any(fault.kind in ("restart", "cut", "broker-stop", "input-silent") for fault in run.scenario.fault)
    if failed and not overloads and not disturbed:
        yield f"{failed:.0f} times black_start_failed"


def _dark(run: Run) -> Iterator[str]:
    faults, events = run.scenario.fault, run.scenario.grid.events
    for begin, end in run.dark:
        allowed_s = DARK_S
        for fault in faults:
            lasts = fault.duration or 0.0
            if fault.at - DISTURBED_S <= end and begin <= fault.at + lasts + DISTURBED_S:
                unproven = fault.target == "switch"  # no source starts while the main switch is not confirmed open
                allowed_s += DISTURBED_S + (lasts if unproven else 0.0)
        if end - begin > allowed_s:
            yield f"dark from {begin:.0f} to {end:.0f} s beside a source"
    total_s = sum(end - begin for begin, end in run.dark)
    if total_s > 2 * DARK_S * len(events) + 2 * DISTURBED_S * len(faults):
        yield f"dark for {total_s:.0f} s in all beside a source"


def _endless(run: Run) -> Iterator[str]:
    """Yield the commands that were accepted and have not ended in time; one close to the end of the run may be open."""
    if any(fault.kind.startswith("broker") or fault.target == "mqtt:gw1" for fault in run.scenario.fault):
        return  # a result may be lost with the session of the facility
    open_since: dict[str, str] = {}
    for result in run.world.facility.results:
        identifier = str(result["id"])
        if result["status"] in ("accepted", "clamped"):
            open_since.setdefault(identifier, str(result["ts"]))
        else:
            open_since.pop(identifier, None)
    latest = run.scenario.start.timestamp() + run.scenario.duration - COMMAND_S
    overdue = {name: since for name, since in open_since.items() if parse_moment(since) < latest}
    yield from (f"command {name} of {since} has not ended" for name, since in overdue.items())
