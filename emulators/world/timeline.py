"""What happens in a world: cars come and go, the facility orders and tells, things break; each at its time."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from emulators.ev import driver
from emulators.ev.car import Car
from emulators.faults import injector
from emulators.scenario.tables import CarPart, CommandPart, InputPart
from emulators.site.facility import LEASED
from emulators.world.parking_bay import ParkingBay

if TYPE_CHECKING:
    from emulators.world.world import World

WAIT_S = 10.0  # of a car, between two looks whether the plug is free
POLICY_AFTER_S = 2.0  # of the world, until the facility says which mode it wants


def everything(world: World) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
    """What the scenario lets happen, with a name each; one task for each."""
    plan = world.scenario
    for part in plan.car:
        for name in part.names():
            yield name, visits(world, world.cars[name], world.bays[world.places[name]], part)
    for command in plan.command:
        yield "command", _command(world, command)
    for told in plan.input:
        yield "input", _input(world, told)
    broken = [
        injector.Fault(part.kind, part.target, part.at, part.duration, part.rate, part.value) for part in plan.fault
    ]
    if plan.chaos is not None:
        targets = breakable(world, plan.chaos.kinds)
        broken += injector.random_faults(int(world.seed or 0), plan.duration, targets, plan.chaos.count)
    if broken:
        yield "faults", injector.play(world.parts, broken, world.fault_told)
    if plan.gateway.mode != "manual" or plan.gateway.peak_limit_w is not None:
        yield "policy", _policy(world)


async def visits(world: World, car: Car, bay: ParkingBay, part: CarPart) -> None:
    """A car comes and goes as its part of the scenario says."""
    plan = world.scenario
    if part.habit is not None:
        told = part.habit
        local = plan.start.hour + plan.start.minute / 60
        habit = driver.Habit(told.arrives_h, told.leaves_h, told.spread_h, told.driven_wh)
        days = int(plan.duration // 86400) + 2
        stays = habit.visits(days, f"{world.seed}-{car.name}", local)
    elif part.visits:
        stays = [driver.Visit(v.arrive, v.leave, v.driven_wh, v.floor_pct, v.target_pct) for v in part.visits]
    else:
        stays = [driver.Visit(0.0, plan.duration + 86400.0, announces_departure=False)]

    async def plug(one: Car) -> None:
        if bay.car is not None:
            world.happened("car", f"{one.name} finds {bay.evse} taken by {bay.car.name}, and waits")
        while bay.car is not None:
            await world.clock.sleep(WAIT_S)
            if one.departure_at is not None and world.clock.now() >= one.departure_at:
                world.happened("car", f"{one.name} never got to the plug")
                return
        world.happened("car", f"{one.name} arrives at {bay.evse} with {one.soc_pct:.0f} %")
        await bay.plug(one)

    async def unplug(one: Car) -> None:
        if bay.car is not one:
            return
        world.happened("car", f"{one.name} leaves {bay.evse} with {one.soc_pct:.0f} %")
        await bay.unplug(one)

    await driver.keep(car, stays, world.clock, plug, unplug)


async def _command(world: World, part: CommandPart) -> None:
    await world.clock.sleep(max(0.0, part.at - world.clock.now()))
    fields = part.model_dump(exclude={"at", "target", "verb", "hold"}, exclude_none=True)
    try:
        if part.verb in LEASED and part.hold is not None:
            await world.facility.hold(part.target, part.verb, part.hold, **fields)
        else:
            result = await world.facility.command(part.target, part.verb, **fields)
            said = result.get("reason") or {}
            text = f"{part.verb} {part.target}: {result['status']} {said.get('text', '')}"
            world.happened("command", text.strip())
    except (OSError, TimeoutError) as error:
        world.happened("command", f"{part.verb} {part.target}: no answer ({error or 'timeout'})")


async def _input(world: World, part: InputPart) -> None:
    await world.clock.sleep(max(0.0, part.at - world.clock.now()))
    try:
        await world.facility.tell(part.kind, part.body, world.clock.wall())
    except (OSError, TimeoutError) as error:
        world.happened("input", f"{part.kind}: not told ({error or 'timeout'})")


async def _policy(world: World) -> None:
    part = world.scenario.gateway
    await world.clock.sleep(POLICY_AFTER_S)
    if part.mode != "manual":
        await world.facility.command("site", "mode", mode=part.mode)
    if part.peak_limit_w is not None:
        await world.facility.command("site", "peak_limit", import_w=part.peak_limit_w)


def breakable(world: World, kinds: Sequence[str]) -> dict[str, list[str]]:
    """What a seed may break: every kind that heals by itself or by its end, with the targets of this world."""
    ocpp = [f"ocpp:{name}" for name in world.stations]
    iso = [f"iso15118:{name}" for name, bay in world.bays.items() if bay.speaks]
    links, evses = ["mqtt", *ocpp, *iso], list(world.bays)
    every: dict[str, list[str]] = {
        **dict.fromkeys(("delay", "duplicate"), links),
        **dict.fromkeys(("loss", "reorder", "corruption", "half-open", "cut"), ocpp),
        **dict.fromkeys(("meter-stuck", "deaf", "insulation"), evses),
        "broker-stop": [""],
        "broker-freeze": [""],
        "frozen-soc": list(world.cars),
        "clock-jump": list(world.stations),
        "input-silent": ["grid", "load", "meter"],
    }
    return {kind: targets for kind, targets in every.items() if targets and (not kinds or kind in kinds)}


def spoken_fault(command: str, now: float) -> injector.Fault:
    """The fault that "<kind> [<target> [<seconds>]]" means, such as "cut ocpp:CP1" or "loss ocpp:CP1 60 rate=0.2";
    `rate` and `value` are those of a fault of the scenario. FaultError if there is none."""
    words = [word for word in command.split() if "=" not in word]
    more = dict(word.split("=", 1) for word in command.split() if "=" in word)
    if not 1 <= len(words) <= 3 or not set(more) <= {"rate", "value"}:
        raise injector.FaultError('a fault is said as "<kind> [<target> [<seconds>]] [rate=<0..1>] [value=<number>]"')
    lasts = _number(words[2], "seconds") if len(words) == 3 else None
    figures = {name: _number(text, name) for name, text in more.items()}
    return injector.Fault(words[0], words[1] if len(words) > 1 else "", now, lasts, **figures)


def _number(text: str, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise injector.FaultError(f"{text!r} is no number of {what}") from None
    if not isfinite(number):
        raise injector.FaultError(f"{what} cannot be {text}")
    return number


async def mend(world: World, fault: injector.Fault, after_s: float) -> None:
    """End a fault that began by a live command."""
    await world.clock.sleep(after_s)
    await injector.end(world.parts, fault)
    world.fault_told("ends", fault)
