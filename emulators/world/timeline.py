"""Timeline of a scenario: visits of cars, commands, inputs, local energy management and faults, each at its time."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Sequence

from emulators.ev import driver
from emulators.ev.car import Car
from emulators.faults import injector
from emulators.faults.fault import Fault
from emulators.scenario.tables import CarPart, CommandPart, EmsPart, InputPart
from emulators.site.facility import LEASED
from emulators.world.emulated_site import EmulatedSite
from emulators.world.parking_bay import ISO15118, ParkingBay

OCCUPIED_RETRY_S = 10.0  # a car that finds its EVSE occupied checks it again
POLICY_AFTER_S = 2.0  # from the start of the world until the facility sets mode and peak limit


def steps(world: EmulatedSite) -> Iterator[tuple[str, Coroutine[object, object, None]]]:
    """Yield the name and the coroutine of each step of the scenario; each coroutine needs a task of its own."""
    scenario = world.scenario
    for car in scenario.car:
        for name in car.names():
            yield name, _visits(world, world.cars[name], world.bays[world.assigned_evses[name]], car)
    for command in scenario.command:
        yield "command", _command(world, command)
    for each in scenario.input:
        yield "input", _input(world, each)
    for one in scenario.ems:
        yield "ems", _ems(world, one)
    faults = [Fault(part.kind, part.target, part.at, part.duration, part.rate, part.value) for part in scenario.fault]
    if scenario.chaos is not None:
        targets = random_fault_targets(world, scenario.chaos.kinds)
        faults += injector.random_faults(world.seed, scenario.duration, targets, scenario.chaos.count)
    if faults:
        yield "faults", injector.play(world.injection_points, faults, world.record_fault)
    if scenario.gateway.mode != "manual" or scenario.gateway.peak_limit_w is not None:
        yield "policy", _policy(world)


async def _visits(world: EmulatedSite, car: Car, bay: ParkingBay, part: CarPart) -> None:
    """Plug and unplug a car according to its table of the scenario."""

    async def plug(arriving: Car) -> None:
        if bay.car is not None:
            world.record_event("car", f"{arriving.name} finds {bay.evse} occupied by {bay.car.name} and waits")
        while bay.car is not None:
            await world.clock.sleep(OCCUPIED_RETRY_S)
            if arriving.departure_at is not None and world.clock.now() >= arriving.departure_at:
                world.record_event("car", f"{arriving.name} leaves without having been plugged in")
                return
        world.record_event("car", f"{arriving.name} arrives at {bay.evse} with {arriving.soc_pct:.0f} %")
        await bay.plug(arriving)

    async def unplug(leaving: Car) -> None:
        if bay.car is not leaving:
            return
        world.record_event("car", f"{leaving.name} leaves {bay.evse} with {leaving.soc_pct:.0f} %")
        await bay.unplug(leaving)

    await driver.make_visits(car, _planned_visits(world, car, part), world.clock, plug, unplug)


def _planned_visits(world: EmulatedSite, car: Car, part: CarPart) -> list[driver.Visit]:
    scenario = world.scenario
    if part.habit is not None:
        habit = part.habit
        local_h = scenario.start.hour + scenario.start.minute / 60
        days = int(scenario.duration // 86400) + 2
        return driver.Habit(habit.arrives_h, habit.leaves_h, habit.spread_h, habit.driven_wh).visits(
            days, f"{world.seed}-{car.name}", local_h
        )
    if part.visits:
        return [driver.Visit(v.arrive, v.leave, v.driven_wh, v.floor_pct, v.target_pct) for v in part.visits]
    return [driver.Visit(0.0, scenario.duration + 86400.0, announces_departure=False)]


async def _command(world: EmulatedSite, part: CommandPart) -> None:
    await world.clock.sleep(max(0.0, part.at - world.clock.now()))
    fields = part.model_dump(exclude={"at", "target", "verb", "hold"}, exclude_none=True)
    try:
        if part.verb in LEASED and part.hold is not None:
            await world.facility.hold(part.target, part.verb, part.hold, **fields)
        else:
            result = await world.facility.command(part.target, part.verb, **fields)
            reason = result.get("reason") or {}
            text = f"{part.verb} {part.target}: {result['status']} {reason.get('text', '')}"
            world.record_event("command", text.strip())
    except (OSError, TimeoutError) as error:
        world.record_event("command", f"{part.verb} {part.target}: no answer ({error or 'timeout'})")


async def _input(world: EmulatedSite, part: InputPart) -> None:
    await world.clock.sleep(max(0.0, part.at - world.clock.now()))
    try:
        await world.facility.publish_input(part.kind, part.body, world.clock.wall())
    except (OSError, TimeoutError) as error:
        world.record_event("input", f"{part.kind}: not published ({error or 'timeout'})")


async def _ems(world: EmulatedSite, part: EmsPart) -> None:
    """Set and measure at a station what one entry of `ems` states."""
    await world.clock.sleep(max(0.0, part.at - world.clock.now()))
    station = world.stations[part.station]
    system, accepted = station.external_control, True
    if part.clear:
        system.clear(part.evse)
    if part.limit_w is not None or part.discharge_limit_w is not None:
        accepted = system.limits(part.evse, part.limit_w, part.discharge_limit_w)
    if part.setpoint_w is not None:
        accepted = system.setpoint(part.evse, part.setpoint_w) and accepted
    if part.site_w is not None:
        station.measure_load(part.site_w)
    if part.grid_v is not None or part.grid_hz is not None:
        station.measure_grid(voltage_v=part.grid_v, frequency_hz=part.grid_hz)
    world.wake()
    values = part.model_dump(exclude={"at", "station"}, exclude_defaults=True)
    world.record_event("ems", f"{part.station} {'accepts' if accepted else 'rejects'} {values}")


async def _policy(world: EmulatedSite) -> None:
    part = world.scenario.gateway
    await world.clock.sleep(POLICY_AFTER_S)
    if part.mode != "manual":
        await world.facility.command("site", "mode", mode=part.mode)
    if part.peak_limit_w is not None:
        await world.facility.command("site", "peak_limit", import_w=part.peak_limit_w)


def random_fault_targets(world: EmulatedSite, kinds: Sequence[str]) -> dict[str, list[str]]:
    """Return the kinds of fault that a seed may draw, with their targets: those after which the world recovers."""
    ocpp = [f"ocpp:{name}" for name in world.stations]
    iso = [f"iso15118:{name}" for name, bay in world.bays.items() if bay.settings.vehicle_link == ISO15118]
    modbus = [f"modbus:{name}" for name in sorted(world.injection_points.devices)]
    links, streams, evses = ["mqtt", *ocpp, *iso], [*ocpp, *modbus], list(world.bays)
    all_kinds: dict[str, list[str]] = {
        **dict.fromkeys(("delay", "duplicate"), links),
        **dict.fromkeys(("loss", "reorder", "corruption"), ocpp),
        **dict.fromkeys(("half-open", "cut"), streams),
        **dict.fromkeys(("meter-stuck", "deaf", "insulation"), evses),
        "broker-stop": [""],
        "broker-freeze": [""],
        "frozen-soc": list(world.cars),
        "clock-jump": list(world.stations),
        "input-silent": ["grid", "load", "meter"],
    }
    return {kind: targets for kind, targets in all_kinds.items() if targets and (not kinds or kind in kinds)}


async def end_fault(world: EmulatedSite, fault: Fault, after_s: float) -> None:
    """End a fault that a live command began, after its duration."""
    await world.clock.sleep(after_s)
    await injector.end(world.injection_points, fault)
    world.record_fault("ends", fault)
