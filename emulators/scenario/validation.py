"""Validation of a scenario across its tables: rejects steps that could not take effect and unknown figures.

A fault on a link that does not exist, a command after the end, an expectation of an unknown figure: such a scenario
would run without testing anything. The types of single keys are checked in `tables.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from emulators.ev.car import CarSpec
from emulators.ev.profile import ProfileError
from emulators.ev.profile import load as load_profile
from emulators.faults.fault import Fault, FaultError, Targets
from emulators.scenario.scenario import Scenario
from emulators.scenario.tables import Bound, ChargerPart, CommandPart, FaultPart
from protocols.modbus.register_map import BadMap, shipped

LEASED = ("discharge", "charge", "setpoint")
REQUIRED = {  # by verb: the member without which the gateway refuses the command
    **dict.fromkeys(LEASED, "power_w"),
    "mode": "mode",
    "backup": "action",
    "peak_limit": "import_w",
    "schedule": "periods",
}
STATUSES = ("accepted", "clamped", "refused", "achieved", "superseded", "lease_expired", "failed")  # of commands
COUNTED = ("event.", "decided.")  # figures of events of the gateway, by kind, and of its decisions, by code
FIGURES = (  # of every run; the others are named after a car, a storage, an event or a decision
    *("import_wh", "export_wh", "pv_wh", "pv_curtailed_wh", "pv_trips", "peak_demand_w", "energy_cost"),
    *("served_wh", "unserved_wh", "unserved_critical_wh", "unserved_transfer_wh", "transfer_gap_s", "dark_s"),
    *("fed_dead_grid_wh", "fed_dead_grid_steps", "switch_operations", "autonomy_h"),
    *("cars_discharged_wh", "cars_charged_wh", "floor_crossed_pct", "soc_min_pct", "car_violations"),
    *("over_limit_s", "alarms", "not_seen_on_meter", "held_zero_s"),
    *(f"commands_{status}" for status in STATUSES),
)
CAR_FIGURES = ("soc_pct", "discharged_wh", "charged_wh")
DEPLOYED_VEHICLE_FIGURES = ("soc_pct", "lowest_pct", "trips", "sites", "given_wh", "way_wh")


@dataclass(frozen=True, slots=True)
class Problem:
    """One error of a scenario, with its key."""

    key: tuple[str | int, ...]
    text: str


def problems(scenario: Scenario) -> list[Problem]:
    """Return all errors, in the order of the tables."""
    return [
        *_grid(scenario),
        *_products(scenario),
        *_cars(scenario),
        *_after_end(scenario),
        *(Problem(("command", n), text) for n, part in enumerate(scenario.command) for text in _command(part)),
        *_ems(scenario),
        *_injections(scenario),
        *(Problem(("fault", n), text) for n, part in enumerate(scenario.fault) if (text := _fault(scenario, part))),
        *(
            Problem(("expect", name), text)
            for name, bound in scenario.expect.items()
            if (text := _figure(scenario, name, bound))
        ),
    ]


def _grid(scenario: Scenario) -> Iterator[Problem]:
    for n, event in enumerate(scenario.grid.events):
        if event.duration <= 0:
            yield Problem(("grid", "events", n, "duration"), f"{event.kind} needs a duration of more than 0 s")
        if event.kind in ("brown-out", "voltage-step") and not 0 < event.value <= 2:
            text = f"{event.kind} needs the remaining voltage as a factor: more than 0, at most 2"
            yield Problem(("grid", "events", n, "value"), text)
        elif event.kind in ("frequency-step", "frequency-drift") and not 0 < abs(event.value) <= 10:
            text = f"{event.kind} needs its deviation in Hz, such as 1.5 or -0.8, at most 10"
            yield Problem(("grid", "events", n, "value"), text)


def _products(scenario: Scenario) -> Iterator[Problem]:
    for n, part in enumerate(scenario.charger):
        if part.driver == "modbus":
            try:
                shipped(part.product)
            except BadMap as error:
                yield Problem(("charger", n, "product"), str(error))


def _cars(scenario: Scenario) -> Iterator[Problem]:
    chargers = _chargers(scenario)
    evses = dict(scenario.cars())
    for n, part in enumerate(scenario.car):
        try:
            spec = load_profile(part.profile)
        except ProfileError as error:
            yield Problem(("car", n, "profile"), str(error))
            continue
        for name in part.names():
            charger = chargers[evses[name]]
            if charger.board == "dc" and (text := missing_protocol(spec, charger.messages_link)):
                yield Problem(("car", n, "profile"), f"{text}: set vehicle_link = {other_link(spec)} at {evses[name]}")
                break
        before = 0.0
        for k, visit in enumerate(part.visits):
            if not before <= visit.arrive < visit.leave:
                yield Problem(
                    ("car", n, "visits", k),
                    "the arrival must be after the previous departure, and the departure after the arrival",
                )
            before = visit.leave


def _chargers(scenario: Scenario) -> dict[str, ChargerPart]:
    """Return the table of each EVSE's station."""
    return {name: part for part in scenario.charger for name in part.evse_names()}


def missing_protocol(spec: CarSpec, link: str) -> str:
    """Return an error if a car cannot communicate over a vehicle link, "" if it can."""
    needed = {"iso15118-20": {"iso20", "iso2", "din"}, "chademo": {"chademo"}}.get(link, set(spec.protocols))
    if needed & set(spec.protocols):
        return ""
    return (
        f"{spec.name} supports {', '.join(spec.protocols)} but not {'CHAdeMO' if link == 'chademo' else 'ISO 15118-20'}"
    )


def other_link(spec: CarSpec) -> str:
    """Return the vehicle links that fit a car besides the one that does not, as text."""
    return '"chademo" or "none"' if "chademo" in spec.protocols else '"iso15118-20" or "none"'


def _after_end(scenario: Scenario) -> Iterator[Problem]:
    times = [
        *(
            ((name, n, "at"), part.at)
            for name in ("command", "input", "ems", "fault")
            for n, part in enumerate(getattr(scenario, name))
        ),
        *((("grid", "events", n, "at"), part.at) for n, part in enumerate(scenario.grid.events)),
        *(
            (("car", n, "visits", k, "arrive"), visit.arrive)
            for n, part in enumerate(scenario.car)
            for k, visit in enumerate(part.visits)
        ),
    ]
    for key, at in times:
        if at >= scenario.duration:
            yield Problem(key, f"time {at:g} s is not before the end of the scenario at {scenario.duration:g} s")


def _command(part: CommandPart) -> Iterator[str]:
    required = REQUIRED.get(part.verb)
    if required is not None and getattr(part, required) is None:
        yield f"{part.verb} needs {required}"
    if part.verb in ("discharge", "charge") and (part.power_w or 0.0) < 0:
        yield f"power_w of {part.verb} must not be negative; setpoint takes a signed power, + is charging"
    if part.verb not in LEASED:
        for name in ("hold", "lease_s"):
            if getattr(part, name) is not None:
                yield f"{part.verb} has no lease, so {name} is not allowed"
    if part.hold is not None and part.lease_s is not None and part.hold < part.lease_s:
        yield f"hold ({part.hold:g} s) is shorter than one lease ({part.lease_s:g} s)"


def _ems(scenario: Scenario) -> Iterator[Problem]:
    evses = {name: part.evses for part in scenario.charger if not part.hosted for name in part.ids()}
    for n, part in enumerate(scenario.ems):
        if part.station not in evses:
            yield Problem(
                ("ems", n, "station"), f"unknown station {part.station}; known: {', '.join(sorted(evses)[:8])}"
            )
        elif part.evse > evses[part.station]:
            yield Problem(("ems", n, "evse"), f"{part.station} has no EVSE {part.evse}")


def _injections(scenario: Scenario) -> Iterator[Problem]:
    evses = scenario.evses()
    links = _chargers(scenario)
    for n, part in enumerate(scenario.inject):
        if part.evse and part.evse not in evses:
            yield Problem(("inject", n, "evse"), f"unknown EVSE {part.evse}; known: {', '.join(evses[:8])}")
        elif part.evse and links[part.evse].vehicle_link == "chademo":
            yield Problem(("inject", n, "evse"), f"{part.evse} has CHAdeMO: use faults of chademo:{part.evse}")


def _fault(scenario: Scenario, part: FaultPart) -> str:
    try:
        fault = Fault(part.kind, part.target, part.at, part.duration, part.rate, part.value)
    except FaultError as error:
        return str(error)
    stations = [name for charger in scenario.charger if not charger.hosted for name in charger.ids()]
    links = {evse: charger.messages_link for evse, charger in _chargers(scenario).items()}
    iso15118, chademo = (sorted(e for e, link in links.items() if link == name) for name in ("iso15118-20", "chademo"))
    modbus = [name for one in scenario.charger if one.driver == "modbus" for name in one.ids()]
    cars = [name for name, _ in scenario.cars()]
    targets = Targets(stations, scenario.evses(), iso15118, cars, modbus, chademo_evses=chademo)
    return targets.error(fault)


def _figure(scenario: Scenario, name: str, bound: Bound) -> str:
    if bound.min is None and bound.max is None:
        return "needs min, max or both"
    if bound.min is not None and bound.max is not None and bound.min > bound.max:
        return f"min {bound.min:g} is greater than max {bound.max:g}"
    known = figures(scenario)
    if name in known or is_counted(name):
        return ""
    similar = get_close_matches(name, known, n=1)
    return "unknown figure" + (f"; did you mean {similar[0]}?" if similar else f"; known: {', '.join(FIGURES)}")


def is_counted(name: str) -> bool:
    """Return whether a figure, also one of a neighbour, counts events or decisions: one that never came counts 0."""
    return any(f".{prefix}" in f".{name}" for prefix in COUNTED)


def figures(scenario: Scenario) -> list[str]:
    """Return the names of all figures of a run, except those that count events and decisions."""
    own = [f"car.{name}.{what}" for name, _ in scenario.cars() for what in CAR_FIGURES]
    own += [f"storage.{n}.soc_pct" for n in range(len(scenario.site.storage))]
    if scenario.town is not None:
        for one in scenario.town.neighbour:
            site = one.gateway.site
            own += [f"{site}.{name}" for name in FIGURES]
            own += [f"{site}.storage.{n}.soc_pct" for n in range(len(one.site.storage))]
        own += [f"lent.{one.vehicle}.{what}" for one in scenario.town.lent for what in DEPLOYED_VEHICLE_FIGURES]
    return [*FIGURES, *own]
