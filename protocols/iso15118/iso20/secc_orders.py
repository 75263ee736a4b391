"""Orders of a SECC's host that only update `Evse`: measurements, set-points, limits, verdicts.

`Notify`, which starts a timer, and `Abort`, which ends the session, are executed by the engine.
"""

from __future__ import annotations

from collections.abc import Callable

from protocols.errors import LocalProtocolError
from protocols.iso15118.iso20 import orders
from protocols.iso15118.iso20.secc_session import Evse


def apply_order(evse: Evse, order: object) -> None:
    """Write an order to `evse`. Raises LocalProtocolError if it is no order for a SECC."""
    write = _WRITERS.get(type(order))
    if write is None:
        raise LocalProtocolError(f"{type(order).__name__} is not an order for a SECC")
    write(evse, order)


def _measure(evse: Evse, order: orders.Measure) -> None:
    evse.voltage_v, evse.current_a, evse.power_w = order.voltage_v, order.current_a, order.power_w
    if order.meter is not None:
        evse.meter = order.meter


def _set_power(evse: Evse, order: orders.SetPower) -> None:
    evse.setpoint_w, evse.reactive_var = order.power_w, order.reactive_var


def _limit(evse: Evse, order: orders.LimitOutput) -> None:
    evse.dc_limits, evse.ac_limits = order.dc, order.ac


def _authorize(evse: Evse, order: orders.Authorize) -> None:
    evse.authorization, evse.authorization_code = order.verdict, order.code


def _cable_checked(evse: Evse, order: orders.CableChecked) -> None:
    evse.insulation = order.verdict


def _offer(evse: Evse, order: orders.OfferSchedules) -> None:
    evse.schedules, evse.pause_wanted = order.offers, order.pause_wanted


def _needs(evse: Evse, order: orders.SetDriverNeeds) -> None:
    evse.departure_s, evse.confirm_within_s = order.departure_s, order.confirm_within_s
    evse.minimum_soc_pct, evse.target_soc_pct = order.minimum_soc_pct, order.target_soc_pct


def _report_fault(evse: Evse, order: orders.ReportFault) -> None:
    evse.faults = evse.faults | {order.fault} if order.present else evse.faults - {order.fault}


def _pilot(evse: Evse, order: orders.ControlPilot) -> None:
    evse.pilot = order.state


def _contactor(evse: Evse, order: orders.ContactorMoved) -> None:
    evse.contactor_closed = order.closed


_WRITERS: dict[type[object], Callable[..., None]] = {
    orders.Measure: _measure,
    orders.SetPower: _set_power,
    orders.LimitOutput: _limit,
    orders.Authorize: _authorize,
    orders.CableChecked: _cable_checked,
    orders.OfferSchedules: _offer,
    orders.SetDriverNeeds: _needs,
    orders.ReportFault: _report_fault,
    orders.ControlPilot: _pilot,
    orders.ContactorMoved: _contactor,
}
