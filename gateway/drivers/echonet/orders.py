"""Orders to a V2H box or storage battery as steps: method, power and mode in this order, each read back before the next
one. Pure. The codes of its class are those of the reader.
"""

from __future__ import annotations

from collections import deque
from typing import TypeAlias

from gateway.drivers.echonet.order_codes import STANDBY
from gateway.drivers.echonet.reader import ObjectReader
from protocols.echonet.values import Value
from protocols.frozen import frozen

MODE, ACTUAL_MODE, GRID, PERMISSION = 0xDA, 0xE1, 0xDB, 0xDF
CHARGE_METHOD, DISCHARGE_METHOD, SIGNED_W, CHARGE_W, DISCHARGE_W = 0xDC, 0xDD, 0xE0, 0xEB, 0xEC
CHARGE_LIMITS, DISCHARGE_LIMITS = 0xC8, 0xC9
DISCHARGE, BOTH = "discharge", "chargingDischarging"
INDEPENDENT, PERMITTED, PROHIBITED = "independent", "permitted", "prohibited"
V2G, FOLLOWING = "v2G", "loadFollowing"
LEAST_W = 1.0


@frozen
class SetStep:
    """Set a property."""

    epc: int
    value: Value


@frozen
class CheckStep:
    """Read properties back; each must have one of its values."""

    expected: tuple[tuple[int, tuple[Value, ...]], ...]


Step: TypeAlias = SetStep | CheckStep


@frozen
class Way:
    """How a box is ordered in one direction: settings, then the mode. A setting of None is the power.

    `why_not`: it cannot be ordered. `fixed`: it runs at its greatest power only.
    """

    mode: str = ""
    settings: tuple[tuple[int, Value | None], ...] = ()
    why_not: str = ""
    fixed: bool = False


def charge_way(box: ObjectReader) -> Way:
    """Return how the box is charged."""
    codes = box.codes
    if not box.accepts(MODE, STANDBY) or not box.accepts(MODE, codes.charge):
        return Way(why_not=f"{_name(box, MODE)} of the {codes.noun} cannot be set to {codes.charge}")
    method = _method(box, codes.charge_method, codes.designated)
    if box.accepts(CHARGE_W, 0) and method is not None:
        return Way(codes.charge, (*method, (CHARGE_W, None)))
    if _signed(box):
        return _SIGNED
    if codes.most_charge is None:
        return Way(why_not=_why_no_power(box, CHARGE_W, codes.charge_method))
    return Way(codes.charge, _method(box, codes.charge_method, codes.most_charge) or (), fixed=True)


def discharge_way(box: ObjectReader) -> Way:
    """Return how the box is discharged."""
    codes = box.codes
    if not box.accepts(MODE, STANDBY) or not box.accepts(MODE, codes.discharge):
        return Way(why_not=f"{_name(box, MODE)} of the {codes.noun} cannot be set to {codes.discharge}")
    method = _method(box, codes.discharge_method, codes.designated)
    if box.accepts(DISCHARGE_W, 0) and method is not None:
        return Way(codes.discharge, (*method, (DISCHARGE_W, None)))
    return _SIGNED if _signed(box) else Way(why_not=_why_no_power(box, DISCHARGE_W, codes.discharge_method))


def _why_no_power(box: ObjectReader, power: int, method: int) -> str:
    noun = box.codes.noun
    if box.accepts(power, 0):
        return f"{_name(box, method)} of the {noun} cannot be set to {box.codes.designated}"
    direction = "charging" if power == CHARGE_W else "discharging"
    return f"the {noun} has modes only: its {direction} power ({_name(box, power)}) cannot be set"


_SIGNED = Way(BOTH, ((CHARGE_METHOD, V2G), (DISCHARGE_METHOD, V2G), (SIGNED_W, None)))


def _signed(box: ObjectReader) -> bool:
    """Return whether the box takes one signed power."""
    if not box.accepts(MODE, BOTH) or not box.accepts(SIGNED_W, 0):
        return False
    return box.accepts(CHARGE_METHOD, V2G) and box.accepts(DISCHARGE_METHOD, V2G)


def _method(box: ObjectReader, epc: int, value: str) -> tuple[tuple[int, Value | None], ...] | None:
    """Return the setting of a method, none where the box has no methods; None where it has another one for good."""
    if box.accepts(epc, value):
        return ((epc, value),)
    if not box.has(epc) or box.values.get(epc) == value:
        return ()
    return None


def _name(box: ObjectReader, epc: int) -> str:
    try:
        return f"{box.rule(epc).name} ({epc:02X})"
    except KeyError:
        return f"property {epc:02X}"


def limits_w(box: ObjectReader, epc: int, rated: int) -> tuple[float | None, float | None]:
    """Return the least and the greatest power that a box declares in a direction, None where it declares none."""
    least_w, most_w = (box.number(epc, element) for element in box.codes.limits)
    rated_w = box.number(rated)
    stated = [one for one in (most_w, rated_w) if one]
    return least_w, min(stated, default=None)


def declared_w(box: ObjectReader, power_w: float) -> float:
    """Return a power within what the box declares, 0 W where it is less than the box can do."""
    charges = power_w > 0
    least_w, most_w = limits_w(box, CHARGE_LIMITS, 0xC5) if charges else limits_w(box, DISCHARGE_LIMITS, 0xC6)
    size_w = min(abs(power_w), most_w if most_w is not None else abs(power_w))
    if size_w < max(least_w or 0.0, LEAST_W):
        return 0.0
    return size_w if charges else -size_w


def power_steps(box: ObjectReader, way: Way, power_w: float, step_w: float, *, through_standby: bool) -> deque[Step]:
    """Return the steps to a power; what the box is known to hold is neither set nor read again."""
    wanted = [(epc, _amount(epc, power_w, step_w) if value is None else value) for epc, value in way.settings]
    changed = [(epc, value) for epc, value in wanted if not holds(box, epc, (value,), step_w)]
    rests_first = bool(changed) and through_standby and box.values.get(MODE) not in box.codes.at_rest
    steps: deque[Step] = deque(stop_steps(box, STANDBY) if rests_first else ())
    steps += [SetStep(epc, value) for epc, value in changed]
    readable = tuple((epc, (value,)) for epc, value in changed if box.has(epc))
    if readable:
        steps.append(CheckStep(readable))
    if rests_first or box.values.get(MODE) != way.mode:
        steps += [SetStep(MODE, way.mode), CheckStep(((MODE, (way.mode,)),))]
    return steps


def stop_steps(box: ObjectReader, mode: str) -> list[Step]:
    """Return the steps to rest, or to a mode in which the device decides itself."""
    at_rest = box.codes.at_rest
    return [SetStep(MODE, mode), CheckStep(((MODE, at_rest if mode in at_rest else (mode,)),))]


def end_mode(box: ObjectReader) -> str:
    """Return the mode in which a power that was not renewed ends."""
    return next((mode for mode in box.codes.ends if box.accepts(MODE, mode)), STANDBY)


def forming_steps(box: ObjectReader, *, withhold: bool) -> deque[Step]:
    """Return the steps to supply an island: re-connection by order only, load following, discharge."""
    steps: deque[Step] = deque()
    wanted: list[tuple[int, Value]] = [(PERMISSION, PROHIBITED)] if withhold and box.settable(PERMISSION) else []
    if box.accepts(DISCHARGE_METHOD, FOLLOWING):  # should this gateway fail, the box feeds nothing into a grid
        wanted.append((DISCHARGE_METHOD, FOLLOWING))
    wanted.append((MODE, DISCHARGE))
    for epc, value in wanted:
        steps.append(SetStep(epc, value))
        if box.has(epc):
            steps.append(CheckStep(((epc, (value,)),)))
    return steps


def following_steps(box: ObjectReader) -> deque[Step]:
    """Return the steps to rest and to permit the re-connection to the grid."""
    steps = deque(stop_steps(box, STANDBY))
    if box.settable(PERMISSION):
        steps += permission_steps(box, PERMITTED)
    return steps


def permission_steps(box: ObjectReader, value: str) -> list[Step]:
    """Return the steps that set the permission to re-connect."""
    check = [CheckStep(((PERMISSION, (value,)),))] if box.has(PERMISSION) else []
    return [SetStep(PERMISSION, value), *check]


def holds(box: ObjectReader, epc: int, values: tuple[Value, ...], step_w: float) -> bool:
    """Return whether a value that was read is one of these, a power to the resolution of the box."""
    held = box.values.get(epc)
    if isinstance(held, int | float):
        return any(isinstance(one, int | float) and abs(held - one) < step_w for one in values)
    return held in values


def held_w(box: ObjectReader) -> float | None:
    """Return the power that a box is ordered to, None where its mode does not state one."""
    codes, mode = box.codes, box.values.get(MODE)
    if mode in codes.at_rest:
        return 0.0
    if mode == codes.charge and box.values.get(codes.charge_method, codes.designated) == codes.designated:
        return box.number(CHARGE_W)
    if mode == codes.discharge and box.values.get(codes.discharge_method, codes.designated) == codes.designated:
        power_w = box.number(DISCHARGE_W)
        return None if power_w is None else -power_w
    if mode == BOTH and box.values.get(DISCHARGE_METHOD) == V2G:
        return box.number(SIGNED_W)
    return None


def _amount(epc: int, power_w: float, step_w: float) -> int:
    """Return a power as the box is set to it: towards 0 W, to its resolution."""
    size_w = int(abs(power_w) / step_w) * step_w
    return round(size_w if epc != SIGNED_W or power_w > 0 else -size_w)
