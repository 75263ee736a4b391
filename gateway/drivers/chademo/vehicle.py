"""Statements of a vehicle in a session, as the model of the gateway has it. Pure."""

from __future__ import annotations

from gateway.drivers.board.ports import MeterReading, Output
from gateway.model.event import Metered, PowerLimits, VehicleNeeds
from protocols.chademo.charger_session import ChargerSession
from protocols.chademo.states import ChargerState

SETTLED_S = 3.0  # until a vehicle has ramped up its limits or its request
LIMIT_STEP_W = 100.0  # in which limits are reported


def needs_of(
    session: ChargerSession, own: PowerLimits, voltage_v: float, now: float, *, requests_less: bool
) -> VehicleNeeds:
    """Return the needs of the vehicle within the limits of the EVSE.

    `requests_less`: it has requested less than was offered for so long that its request is its limit.
    """
    bidirectional = session.discharge_agreed
    low, high = v2x_energies_wh(session)
    return VehicleNeeds(
        limits=PowerLimits(
            max_charge_w=min(_charge_w(session, voltage_v, requests_less), own.max_charge_w),
            max_discharge_w=min(_discharge_w(session, voltage_v, now), own.max_discharge_w) if bidirectional else 0.0,
        ),
        bidirectional=bidirectional,
        energy_transfer="DC_BPT" if bidirectional else "DC",
        control_mode="dynamic",
        min_v2x_energy_wh=low,
        max_v2x_energy_wh=high,
        soc_pct=session.soc_pct,
        battery_capacity_wh=capacity_wh(session),
    )


def metered(
    evse: str, at: float, wall: float, reading: MeterReading, output: Output | None, session: ChargerSession | None
) -> Metered:
    """Return the measured values of an EVSE and what its vehicle reports; `session` None: without a vehicle."""
    low, high = (None, None) if session is None else v2x_energies_wh(session)
    return Metered(
        evse,
        at,
        wall=wall,
        power_w=reading.power_w + 0.0,
        energy_charged_wh=reading.charged_wh,
        energy_discharged_wh=reading.discharged_wh,
        soc_pct=None if session is None else session.soc_pct,
        voltage_v=None if output is None else output.voltage_v,
        current_a=None if output is None else output.current_a + 0.0,
        min_v2x_energy_wh=low,
        max_v2x_energy_wh=high,
    )


def capacity_wh(session: ChargerSession) -> float | None:
    """Return the capacity of the battery, which is stable after permission; None where it is not stated."""
    time = session.vehicle.time
    if time is None or session.permitted_at is None or not time.capacity_wh:
        return None
    return float(time.capacity_wh)


def v2x_energies_wh(session: ChargerSession) -> tuple[float | None, float | None]:
    """Return the energies to the levels of 200.6 and 200.7, + into the vehicle; None without a level."""
    capacity, soc, levels = capacity_wh(session), session.soc_pct, session.levels
    if capacity is None or soc is None:
        return None, None
    low, high = (None if pct is None else capacity * (pct - soc) / 100 for pct in (levels.min_pct, levels.max_pct))
    return low, high


def _charge_w(session: ChargerSession, voltage_v: float, requests_less: bool) -> float:
    """Return the charging power that the vehicle permits: its request, where it is less than what is offered."""
    stated = session.vehicle.limits.max_charge_a if session.vehicle.limits is not None else 0
    most = float(stated or session.settings.max_charge_a)
    if requests_less:
        most = min(most, float(session.request_a))
    return _stepped(most * voltage_v)


def _discharge_w(session: ChargerSession, voltage_v: float, now: float) -> float:
    """Return the discharging power that the vehicle permits (200.0), which it ramps up from 0 A."""
    discharge = session.vehicle.discharge
    if discharge is None or not _settled(session, now):
        return _stepped(session.settings.max_discharge_a * voltage_v)
    return _stepped(discharge.max_discharge_a * voltage_v)


def _settled(session: ChargerSession, now: float) -> bool:
    begun = session.power_at
    return session.state is ChargerState.POWER and begun is not None and now - begun >= SETTLED_S


def _stepped(power_w: float) -> float:
    return power_w // LIMIT_STEP_W * LIMIT_STEP_W
