"""Whether a scenario makes sense: what every key allows by itself, and what would still never happen or mean nothing.

A fault at a link that is not there, a command after the end, an expectation of a figure that nobody counts: such a
scenario would run and prove nothing, so it is refused before it runs. The shape of each key is `scenario.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from emulators.ev.car import CarSpec
from emulators.ev.profile import ProfileError
from emulators.ev.profile import load as load_profile
from emulators.faults import injector
from emulators.faults.targets import Targets

if TYPE_CHECKING:
    from emulators.scenario.scenario import Scenario
    from emulators.scenario.tables import Bound, CommandPart, FaultPart

LEASED = ("discharge", "charge", "setpoint")
NEEDED = {  # by verb: the members without which the gateway refuses the command
    "discharge": "power_w",
    "charge": "power_w",
    "setpoint": "power_w",
    "mode": "mode",
    "backup": "action",
    "peak_limit": "import_w",
    "schedule": "periods",
}
FIGURES = (  # those of every world; the others are named after a car, a storage or a decision
    "import_wh",
    "export_wh",
    "pv_wh",
    "pv_curtailed_wh",
    "served_wh",
    "unserved_wh",
    "unserved_critical_wh",
    "unserved_transfer_wh",
    "transfer_gap_s",
    "dark_s",
    "fed_dead_grid_wh",
    "fed_dead_grid_steps",
    "peak_demand_w",
    "cars_discharged_wh",
    "cars_charged_wh",
    "floor_crossed_pct",
    "soc_min_pct",
    "car_violations",
    "switch_operations",
    "autonomy_h",
    "energy_cost",
    "commands_accepted",
    "commands_clamped",
    "commands_refused",
    "commands_achieved",
    "commands_superseded",
    "commands_lease_expired",
    "commands_failed",
)
OF_A_CAR = ("soc_pct", "discharged_wh", "charged_wh")
OF_A_LENT_CAR = ("soc_pct", "lowest_pct", "trips", "sites", "given_wh", "way_wh")


@dataclass(frozen=True, slots=True)
class Slip:
    """Something that makes no sense: at which key, and why."""

    place: tuple[str | int, ...]
    text: str


def slips(plan: Scenario) -> list[Slip]:
    """Everything that makes no sense, in the order of the file's tables."""
    return [
        *_grid(plan),
        *_cars(plan),
        *_too_late(plan),
        *(Slip(("command", n), text) for n, part in enumerate(plan.command) for text in _command(part)),
        *(Slip(("fault", n), text) for n, part in enumerate(plan.fault) if (text := _fault(plan, part))),
        *(Slip(("expect", name), text) for name, bound in plan.expect.items() if (text := _figure(plan, name, bound))),
    ]


def _grid(plan: Scenario) -> Iterator[Slip]:
    for n, event in enumerate(plan.grid.events):
        if event.duration <= 0:
            yield Slip(("grid", "events", n, "duration"), f"a {event.kind} has to last")
        if event.kind in ("brown-out", "voltage-step") and not 0 < event.value <= 2:
            text = f"a {event.kind} needs the voltage that is left, as a factor: more than 0, at most 2"
            yield Slip(("grid", "events", n, "value"), text)
        elif event.kind in ("frequency-step", "frequency-drift") and not 0 < abs(event.value) <= 10:
            text = f"a {event.kind} needs its size in Hz, such as 1.5 or -0.8, at most 10"
            yield Slip(("grid", "events", n, "value"), text)


def _cars(plan: Scenario) -> Iterator[Slip]:
    links = {f"{name}-{k + 1}": part for part in plan.charger for name in part.ids() for k in range(part.evses)}
    places = dict(plan.cars())
    for n, part in enumerate(plan.car):
        try:
            spec = load_profile(part.profile)
        except ProfileError as error:
            yield Slip(("car", n, "profile"), str(error))
            continue
        for name in part.names():
            charger = links[places[name]]
            if charger.vehicle_link != "none" and (text := speechless(spec)):
                yield Slip(("car", n, "profile"), f'{text}, but {places[name]} does: say vehicle_link = "none" there')
                break
        before = 0.0
        for k, visit in enumerate(part.visits):
            if not before <= visit.arrive < visit.leave:
                yield Slip(("car", n, "visits", k), "a car leaves after it arrived, and arrives after it left")
            before = visit.leave


def speechless(spec: CarSpec) -> str:
    """Why a car cannot speak to a charger of this world; "" if it can."""
    if "iso20" in spec.protocols:
        return ""
    return f"{spec.name} speaks {', '.join(spec.protocols)} and no ISO 15118-20"


def _too_late(plan: Scenario) -> Iterator[Slip]:
    moments = [
        *((("command", n, "at"), part.at) for n, part in enumerate(plan.command)),
        *((("input", n, "at"), part.at) for n, part in enumerate(plan.input)),
        *((("fault", n, "at"), part.at) for n, part in enumerate(plan.fault)),
        *((("grid", "events", n, "at"), part.at) for n, part in enumerate(plan.grid.events)),
        *(
            (("car", n, "visits", k, "arrive"), visit.arrive)
            for n, part in enumerate(plan.car)
            for k, visit in enumerate(part.visits)
        ),
    ]
    for place, at in moments:
        if at >= plan.duration:
            yield Slip(place, f"never happens: the scenario ends at {plan.duration:g} s, this is at {at:g} s")


def _command(part: CommandPart) -> Iterator[str]:
    needed = NEEDED.get(part.verb)
    if needed is not None and getattr(part, needed) is None:
        yield f"{part.verb} needs {needed}"
    if part.verb in ("discharge", "charge") and (part.power_w or 0.0) < 0:
        yield f"power_w of {part.verb} is a magnitude; a signed one belongs to setpoint, + into the car"
    if part.verb not in LEASED:
        for name in ("hold", "lease_s"):
            if getattr(part, name) is not None:
                yield f"{part.verb} has no lease, so {name} means nothing"
    if part.hold is not None and part.lease_s is not None and part.hold < part.lease_s:
        yield f"hold ({part.hold:g} s) is shorter than one lease ({part.lease_s:g} s)"


def _fault(plan: Scenario, part: FaultPart) -> str:
    try:
        fault = injector.Fault(part.kind, part.target, part.at, part.duration, part.rate, part.value)
    except injector.FaultError as error:
        return str(error)
    stations = [name for charger in plan.charger for name in charger.ids()]
    speaking = {
        f"{name}-{k + 1}"
        for charger in plan.charger
        for name in charger.ids()
        for k in range(charger.evses)
        if charger.vehicle_link != "none"
    }
    there = Targets(stations, plan.evses(), sorted(speaking), [name for name, _ in plan.cars()])
    return there.complaint(fault)


def _figure(plan: Scenario, name: str, bound: Bound) -> str:
    if bound.min is None and bound.max is None:
        return "needs min, max or both"
    if bound.min is not None and bound.max is not None and bound.min > bound.max:
        return f"nothing is at least {bound.min:g} and at most {bound.max:g}"
    known = figures(plan)
    if name in known or ".decided." in f".{name}":
        return ""
    near = get_close_matches(name, known, n=1)
    return "there is no such figure" + (f"; did you mean {near[0]}?" if near else f"; there are {', '.join(FIGURES)}")


def figures(plan: Scenario) -> list[str]:
    """The names of all figures that a run of this scenario has, but for those of decisions (`decided.<code>`)."""
    own = [f"car.{name}.{what}" for name, _ in plan.cars() for what in OF_A_CAR]
    own += [f"storage.{n}.soc_pct" for n in range(len(plan.site.storage))]
    if plan.town is not None:
        for one in plan.town.neighbour:
            site = one.gateway.site
            own += [f"{site}.{name}" for name in FIGURES]
            own += [f"{site}.storage.{n}.soc_pct" for n in range(len(one.site.storage))]
        own += [f"lent.{one.vehicle}.{what}" for one in plan.town.lent for what in OF_A_LENT_CAR]
    return [*FIGURES, *own]
