"""Sampled values of meters in every version: what each of them measures, and one number per measurand.

2.x reports number, unit and multiplier; 1.6 text, unit and format. What a value measures follows from its members
beside the number, which are the same in each message of a meter: the layout of a message is read once, and its numbers
every time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

from protocols.ocpp.enums import v16, v21
from protocols.ocpp.schema import Payload

Measurand, Location, Phase = v21.MeasurandEnumType, v21.LocationEnumType, v21.PhaseEnumType
REGISTER = Measurand.energy_active_import_register  # the default measurand of every version
DISPLAYED_SOC = Measurand.display_present_soc
LONGEST_LAYOUT, LAYOUTS = 64, 256  # sampled values of a message whose layout is kept; layouts that are kept
_SIGNED = v16.ValueFormat.signed_data
_SCALE = {"mV": 1e-3, "mA": 1e-3, "mW": 1e-3, "mHz": 1e-3, "MW": 1e6, "MWh": 1e6}
_SCALE_ANY_CASE = {"kw": 1e3, "kwh": 1e3, "kvar": 1e3, "kv": 1e3, "ka": 1e3, "khz": 1e3}
_RANKS: dict[object, int] = {  # best first; Upstream is the meter of the site
    None: 0,
    Location.outlet: 0,
    Location.ev: 1,
    Location.cable: 1,
    Location.body: 2,
    Location.inlet: 3,
}
TOTAL, BETWEEN = "", "between"  # places of values beside the phases
_PLACES: dict[object, str] = {
    None: TOTAL,
    "": TOTAL,
    **{phase.value: phase.value[:2] for phase in (Phase.l1, Phase.l2, Phase.l3, Phase.l1_n, Phase.l2_n, Phase.l3_n)},
    **dict.fromkeys((Phase.l1_l2, Phase.l2_l3, Phase.l3_l1), BETWEEN),
}
_SOC = frozenset({Measurand.soc, DISPLAYED_SOC})
_MEANS = frozenset({Measurand.voltage, Measurand.frequency, Measurand.soc})  # mean of the phases instead of their sum
# Registers of a meter that are not filled: the largest numbers of 16 and 32 bits, also with one decimal.
_SENTINELS = frozenset({-32768.0, 65535.0})
_SMALL_SENTINELS = _SENTINELS | {32767.0, 3276.7, -3276.8, 6553.5}  # of quantities that never reach these
_SMALL = frozenset(
    {
        Measurand.voltage,
        Measurand.frequency,
        Measurand.soc,
        Measurand.display_present_soc,
        Measurand.current_import,
        Measurand.current_export,
        Measurand.power_factor,
    }
)
_LARGEST = 2147483647.0  # from here on nothing is a measured value, whatever the unit


@dataclass(slots=True)
class Values:
    """Values of one measurand at its best location."""

    rank: int  # of the location
    by_place: dict[str, float] = field(default_factory=dict)

    @property
    def phases(self) -> dict[str, float]:
        """Return the values of the phases, L1 first."""
        return {place: value for place, value in sorted(self.by_place.items()) if place not in (TOTAL, BETWEEN)}

    def combined(self, name: str) -> float | None:
        """Return the total, else the sum (or mean) of the phases. A total of 0 beside phases is one not measured."""
        total = self.by_place.get(TOTAL)
        if total or (len(self.by_place) == 1 and total is not None):
            return total
        phases = self.phases
        if phases:
            combined = sum(phases.values())
            combined = combined / len(phases) if name in _MEANS else combined
            return total if total is not None and not combined else combined
        return total if total is not None else self._between(name)

    def _between(self, name: str) -> float | None:
        """Return the voltage of a phase from those between the phases."""
        between = self.by_place.get(BETWEEN) if name == Measurand.voltage else None
        return None if between is None else between / math.sqrt(3)


def collect(samples: Iterable[Payload]) -> dict[str, Values]:
    """Return the values by measurand, at the best location that has any. The order of the samples does not matter: of
    several for one place the one with the largest magnitude counts, of states of charge the lowest."""
    collected: dict[str, Values] = {}
    for sample in samples:
        members = _members(sample)
        try:
            kind = _kind_of(*members)
        except TypeError:  # of a member that has no text or number
            kind = _kind(*members)
        if kind is None or (number := _number(sample.get("value"), kind)) is None:
            continue
        name, rank, place = kind.name, kind.rank, kind.place
        values = collected.get(name)
        if values is None or rank < values.rank:
            values = collected[name] = Values(rank)
        elif rank > values.rank:
            continue
        before = values.by_place.get(place)
        values.by_place[place] = number if before is None else _stronger(name, before, number)
    return collected


def _stronger(name: str, one: float, other: float) -> float:
    if one == other:
        return one
    if name in _SOC:
        return min(one, other)
    size, other_size = abs(one), abs(other)
    if size == other_size:
        return max(one, other)
    return one if size > other_size else other


@dataclass(frozen=True, slots=True)
class _Kind:
    """Description of a sampled value by its members beside the number."""

    name: str  # measurand
    rank: int  # of the location
    place: str
    scale: float  # of the multiplier
    unit_scale: float
    sentinels: frozenset[float]  # numbers of a register that is not filled
    plain: bool  # it is in the base unit


def _kind(
    measurand: object, location: object, phase: object, unit: object, format_: object, multiplier: object
) -> _Kind | None:
    """Return what a sampled value is; None for one that is not used. Signed data (1.6 `SignedData`) is for billing, not
    for control."""
    rank, place = _RANKS.get(location), _PLACES.get(phase)
    if rank is None or place is None or format_ == _SIGNED:
        return None
    sentinels = _SMALL_SENTINELS if measurand in _SMALL else _SENTINELS
    scale = 10.0 ** _exponent(multiplier) if multiplier else 1.0
    unit_scale = 1.0 if unit is None else _scale(unit)
    plain = scale == unit_scale == 1.0
    return _Kind(str(measurand or REGISTER.value), rank, place, scale, unit_scale, sentinels, plain)


_kind_of = lru_cache(1024)(_kind)  # a station sends the same members with every number


_Members: TypeAlias = tuple[
    object, object, object, object, object, object
]  # measurand, location, phase, unit, format, multiplier


@dataclass(frozen=True, slots=True)
class _Layout:
    """Meaning of the sampled values of a message by their members beside the numbers.

    `counting`: of those at the best location of their measurand, index in the message, index of the value, and kind.
    `measurands`: each with the index of its value, or with those of the values of its places.
    """

    counting: tuple[tuple[int, int, _Kind], ...]
    values: int
    measurands: tuple[tuple[str, int, tuple[tuple[str, int], ...]], ...]


def by_measurand(samples: list[Payload]) -> dict[str, float]:
    """Return the value of each measurand, in the base unit: the total, else the sum or mean of its phases."""
    layout = _layout_of(samples)
    found = None if layout is None else _read(samples, layout)
    if found is not None:
        return found
    return {name: value for name, one in collect(samples).items() if (value := one.combined(name)) is not None}


def _layout_of(samples: list[Payload]) -> _Layout | None:
    """Return the layout of a message; None for one that is not kept."""
    if len(samples) > LONGEST_LAYOUT:
        return None
    try:
        return _layout(tuple([_members(sample) for sample in samples]))
    except TypeError:  # of a member that has no text or number
        return None


def _members(sample: Payload) -> _Members:
    """Return the members of a sampled value beside its number."""
    get = sample.get
    if (of_2 := get("unitOfMeasure")) is None or not isinstance(of_2, dict):
        return get("measurand"), get("location"), get("phase"), get("unit"), get("format"), None
    return get("measurand"), get("location"), get("phase"), of_2.get("unit"), get("format"), of_2.get("multiplier")


@lru_cache(LAYOUTS)
def _layout(members: tuple[_Members, ...]) -> _Layout:
    kinds = [(index, kind) for index, one in enumerate(members) if (kind := _kind(*one)) is not None]
    ranks: dict[str, int] = {}
    for _, kind in kinds:
        ranks[kind.name] = min(kind.rank, ranks.get(kind.name, kind.rank))
    cells: dict[str, dict[str, int]] = {}
    counting, size = [], 0
    for index, kind in kinds:
        if kind.rank == ranks[kind.name]:
            places = cells.setdefault(kind.name, {})
            if kind.place not in places:
                places[kind.place], size = size, size + 1
            counting.append((index, places[kind.place], kind))
    measurands = []
    for name, places in cells.items():
        [first, *others] = places.items()
        alone = not others and first[0] != BETWEEN
        measurands.append((name, first[1], () if alone else tuple(places.items())))
    return _Layout(tuple(counting), size, tuple(measurands))


def _read(samples: list[Payload], layout: _Layout) -> dict[str, float] | None:
    """Return the values of a message; None where a number of it cannot be read, so that another one counts."""
    cells: list[float | None] = [None] * layout.values
    for index, cell, kind in layout.counting:
        raw = samples[index].get("value")
        if kind.plain and (type(raw) is float or type(raw) is int):
            number = raw * 1.0 if -_LARGEST < raw < _LARGEST and raw not in kind.sentinels else None
        else:
            number = _number(raw, kind)
        if number is None:
            return None
        before = cells[cell]
        cells[cell] = number if before is None or before == number else _stronger(kind.name, before, number)
    found = {}
    for name, cell, places in layout.measurands:
        value = cells[cell]
        if places:
            value = Values(0, {place: one for place, at in places if (one := cells[at]) is not None}).combined(name)
        if value is not None:
            found[name] = value
    return found


def _number(raw: object, kind: _Kind) -> float | None:
    """Return the value in the base unit."""
    if type(raw) is not float:
        if raw is None or raw is True or raw is False:
            return None
        try:
            raw = float(raw)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            return None
    if not -_LARGEST < raw < _LARGEST or raw in kind.sentinels:  # also what is not a number
        return None
    return raw * kind.scale * kind.unit_scale


def _scale(unit: object) -> float:
    if not isinstance(unit, str):
        return 1.0
    return _SCALE.get(unit) or _SCALE_ANY_CASE.get(unit.casefold(), 1.0)


def _exponent(multiplier: object) -> int:
    """Return the exponent of 10; also of one that is written as text or with a decimal point."""
    try:
        exponent = float(multiplier) if isinstance(multiplier, int | float | str) else 0.0
    except (ValueError, OverflowError):
        return 0
    return int(exponent) if exponent.is_integer() and abs(exponent) <= 12 else 0
