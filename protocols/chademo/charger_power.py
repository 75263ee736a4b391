"""Current of the charger while power can flow: limits of both sides, direction, ramp. Pure but for the blocking flags.

There is no direction on the bus: the charger decides. It offers no charge current (108.3 = 0) while it does not
charge, and the vehicle then stops its request.
"""

from __future__ import annotations

from math import ceil

from protocols.chademo import timers
from protocols.chademo.charger_session import ChargerSession
from protocols.chademo.events import Direction
from protocols.quantities import clamp

LEVEL_HYSTERESIS_PCT = 2.0
VOLTAGE_HYSTERESIS = 1.02
DIRECTION_WAIT = 1.0  # s, at most, for the end of the vehicle's request before discharging
MOST_A = 0xFF


def charge_limit_a(session: ChargerSession) -> float:
    """Return the largest charge current that both sides permit now."""
    if session.charge_blocked:
        return 0.0
    return float(min(session.request_a, session.offered_a, session.max_charge_a))


def discharge_limit_a(session: ChargerSession, fresh: bool) -> float:
    """Return the largest discharge current that both sides permit now. `fresh`: 0x200 was received recently."""
    discharge = session.vehicle.discharge
    if discharge is None or not fresh or not session.discharge_agreed:
        return 0.0
    if session.discharge_blocked or session.voltage_blocked:
        return 0.0
    return float(min(discharge.max_discharge_a, session.max_discharge_a))


def update_blocks(session: ChargerSession) -> None:
    """Update what levels and voltages forbid, with hysteresis; nothing to do while all they depend on is the same."""
    vehicle = session.vehicle
    basis = (
        session.inputs.voltage_v,
        (vehicle.status, vehicle.limits, vehicle.discharge, vehicle.time, vehicle.sequence),
    )
    if basis == session.blocks_basis:
        return
    session.blocks_basis = basis
    soc, level = session.soc_pct, session.levels
    if soc is not None:
        session.charge_blocked = _above(soc, level.max_pct, session.charge_blocked)
        session.discharge_blocked = _below(soc, level.min_pct, session.discharge_blocked)
    floor = max(session.floor_v, session.vehicle.limits.min_voltage_v if session.vehicle.limits else 0)
    resume = floor * (VOLTAGE_HYSTERESIS if session.voltage_blocked else 1.0)
    session.voltage_blocked = session.inputs.voltage_v <= resume


def _above(soc: float, limit: int | None, blocked: bool) -> bool:
    return limit is not None and soc >= limit - (LEVEL_HYSTERESIS_PCT if blocked else 0)


def _below(soc: float, limit: int | None, blocked: bool) -> bool:
    return limit is not None and soc <= limit + (LEVEL_HYSTERESIS_PCT if blocked else 0)


def offer_a(session: ChargerSession) -> int:
    """Return the charge current to offer while power can flow (108.3)."""
    if session.requested_a <= 0 or session.charge_blocked:
        return 0
    return min(session.max_charge_a, ceil(session.requested_a), MOST_A)


def steer(session: ChargerSession, now: float, seconds: float, fresh: bool) -> None:
    """Set offer and current set-point for the next cycle: up by the ramp, down at once, through zero."""
    update_blocks(session)
    session.offered_a = offer_a(session)
    charge, discharge = charge_limit_a(session), discharge_limit_a(session, fresh)
    wanted = clamp(session.requested_a, -discharge, charge)
    measured = session.inputs.current_a
    if wanted > 0 and (session.current_a < 0 or measured < -timers.DIRECTION_A):
        wanted = 0.0
    requests = session.request_a > timers.DIRECTION_A
    waits = not session.durations.lasts("asked to stop requesting", session.requested_a < 0, now, DIRECTION_WAIT)
    if wanted < 0 and (session.current_a > 0 or measured > timers.DIRECTION_A or (requests and waits)):
        wanted = 0.0
    step = timers.RAMP_A_PER_S * (seconds if session.current_a else timers.CYCLE)  # from 0 A: that of a cycle
    if wanted > 0:
        session.current_a = min(wanted, max(session.current_a, 0.0) + step)
    else:
        session.current_a = max(wanted, min(session.current_a, 0.0) - step)
    session.direction = _direction(session.current_a)


def _direction(current_a: float) -> Direction:
    if current_a > 0:
        return Direction.CHARGE
    return Direction.DISCHARGE if current_a < 0 else Direction.NONE
