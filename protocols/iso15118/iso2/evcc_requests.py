"""The EVCC's requests in ISO 15118-2 and DIN 70121, as pure functions of session and context.

Optional fields that chargers in the field require are always sent: power limit, capacity, request and SoC targets in
charge parameter discovery, the three limits in CurrentDemand. The EV never requests a negative current. Source: request
contents of ISO 15118-2 and DIN SPEC 70121; deviations of chargers as the fact sheets of their peers have them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from protocols.iso15118.iso2 import both
from protocols.iso15118.iso2.dialect import PHASES
from protocols.iso15118.iso2.evcc_session import EvccContext, EvSession
from protocols.iso15118.iso2.power import requested_a
from protocols.iso15118.iso2.schedules import power_at, remaining
from protocols.iso15118.iso2.states import Step
from protocols.iso15118.iso20.common import ChargingSession
from protocols.quantities import clamp

PRE_CHARGE_A = 1.0
FULL_SOC_PCT = 100


def build(session: EvSession, context: EvccContext) -> both.Message:
    """Return the request of the context's step."""
    return _BUILDERS[context.step](session, context)


def demand_a(session: EvSession, context: EvccContext) -> float:
    """Return the current that the EV requests: within its own limits and those of the charger, never negative."""
    car = context.car
    if car.complete:
        return 0.0
    return requested_a(car.limits, session.evse_limits, car.voltage_v, _planned(session, context))


def ac_power(session: EvSession, context: EvccContext) -> float:
    """Return the AC power that the EV takes at most: its own limit and its profile."""
    power_w = min(context.car.limits.max_charge_w, _planned(session, context))
    return 0.0 if context.car.complete else max(0.0, power_w)


def _planned(session: EvSession, context: EvccContext) -> float:
    """Return the power of the profile and of the driver."""
    driver_w = context.car.requested_power_w
    planned_w = power_at(session.profile, context.now - session.profile_since) if session.profile else math.inf
    return planned_w if driver_w is None else min(planned_w, driver_w)


def _status(context: EvccContext) -> both.DC_EVStatus:
    return context.dialect.ev_status(context.car.soc_pct, ready=context.step is not Step.CHARGE_PARAMETERS)


def _dc_status(name: str) -> Callable[[EvSession, EvccContext], both.Message]:
    return lambda session, context: context.dialect.request(name, DC_EVStatus=_status(context))


def _parameters(session: EvSession, context: EvccContext) -> both.Message:
    d, car = context.dialect, context.car
    target_wh = max(0.0, car.needs.target_wh) if car.needs is not None else 0.0
    if session.agreed.is_dc:
        parameters = d.types.DC_EVChargeParameter(
            **d.departure(car.departure_s),
            DC_EVStatus=_status(context),
            EVMaximumCurrentLimit=d.quantity(car.limits.max_charge_a, "A", limit=True),
            EVMaximumPowerLimit=d.quantity(car.limits.max_charge_w, "W", limit=True),
            EVMaximumVoltageLimit=d.quantity(car.limits.max_voltage_v, "V", limit=True),
            EVEnergyCapacity=d.quantity(car.capacity_wh or 0.0, "Wh"),
            EVEnergyRequest=d.quantity(target_wh, "Wh"),
            FullSOC=FULL_SOC_PCT,
            BulkSOC=round(clamp(car.target_soc_pct, 0, 100)),
        )
    else:
        phases = PHASES[session.mode]
        volts = phases * session.nominal_voltage_v
        parameters = d.types.AC_EVChargeParameter(
            **d.departure(car.departure_s),
            EAmount=d.quantity(target_wh, "Wh"),
            EVMaxVoltage=d.quantity(session.nominal_voltage_v, "V"),
            EVMaxCurrent=d.quantity(car.limits.max_charge_w / volts, "A", limit=True),
            EVMinCurrent=d.quantity(car.limits.min_charge_w / volts, "A"),
        )
    return d.parameters_request(session.mode, parameters)


def _pre_charge(session: EvSession, context: EvccContext) -> both.Message:
    d = context.dialect
    return d.request(
        "PreChargeReq",
        DC_EVStatus=_status(context),
        EVTargetVoltage=d.quantity(context.car.voltage_v, "V"),
        EVTargetCurrent=d.quantity(PRE_CHARGE_A, "A"),
    )


def _delivery(progress: str) -> Callable[[EvSession, EvccContext], both.Message]:
    def request(session: EvSession, context: EvccContext) -> both.Message:
        parameters = None
        if session.agreed.is_dc:
            parameters = context.dialect.types.DC_EVPowerDeliveryParameter(
                DC_EVStatus=_status(context), ChargingComplete=context.car.complete
            )
        elapsed = context.now - session.profile_since
        profile = remaining(session.profile, -elapsed) if progress == "Start" else ()
        return context.dialect.delivery_request(progress, session.tuple_id, profile, parameters)

    return request


def _loop(session: EvSession, context: EvccContext) -> both.Message:
    d, car = context.dialect, context.car
    if not session.agreed.is_dc:
        return d.request("ChargingStatusReq")
    return d.request(
        "CurrentDemandReq",
        DC_EVStatus=_status(context),
        EVTargetCurrent=d.quantity(demand_a(session, context), "A", limit=True),
        EVMaximumVoltageLimit=d.quantity(car.limits.max_voltage_v, "V", limit=True),
        EVMaximumCurrentLimit=d.quantity(car.limits.max_charge_a, "A", limit=True),
        EVMaximumPowerLimit=d.quantity(car.limits.max_charge_w, "W", limit=True),
        ChargingComplete=car.complete,
        EVTargetVoltage=d.quantity(min(car.limits.max_voltage_v, session.evse_limits.max_voltage_v), "V", limit=True),
    )


def _stop(session: EvSession, context: EvccContext) -> both.Message:
    paused = session.stop is not None and session.stop.kind is ChargingSession.Pause
    return context.dialect.stop_request("Pause" if paused else "Terminate")


_BUILDERS: dict[Step, Callable[[EvSession, EvccContext], both.Message]] = {
    Step.SESSION_SETUP: lambda _, context: context.dialect.session_setup_request(context.settings.evccid),
    Step.SERVICE_DISCOVERY: lambda _, context: context.dialect.request("ServiceDiscoveryReq"),
    Step.SERVICE_DETAIL: lambda session, context: context.dialect.request(
        "ServiceDetailReq", ServiceID=session.wanted_services[0]
    ),
    Step.PAYMENT_SELECTION: lambda session, context: context.dialect.selected(session.services),
    Step.AUTHORIZATION: lambda _, context: context.dialect.request(f"{context.dialect.authorization}Req"),
    Step.CHARGE_PARAMETERS: _parameters,
    Step.CABLE_CHECK: _dc_status("CableCheckReq"),
    Step.PRE_CHARGE: _pre_charge,
    Step.POWER_START: _delivery("Start"),
    Step.CHARGE_LOOP: _loop,
    Step.RENEGOTIATION: _delivery("Renegotiate"),
    Step.POWER_STOP: _delivery("Stop"),
    Step.WELDING_DETECTION: _dc_status("WeldingDetectionReq"),
    Step.SESSION_STOP: _stop,
}
