"""DER controls of 2.1 stations (block R): the grid code functions of inverters, set, read and cleared.

A request is validated before it is sent: the body that belongs to the type and no other (R04.FR.16), no start or
duration in a default (R04.FR.12), EnterService and Gradients only as defaults (R04.FR.14).
"""

from __future__ import annotations

import math

from gateway.csms import outcomes, reports
from gateway.csms.station import Station
from gateway.model.station import Answer, Outcome
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse

Control = v21.DERControlEnumType

CONTROLLERS = frozenset({"DCDERCtrlr", "ACDERCtrlr"})  # components of the device model
DEFAULT_ONLY = frozenset({Control.enter_service, Control.gradients})
_BODIES: dict[str, str] = {  # all others have a `curve`
    Control.enter_service: "enterService",
    Control.fixed_pf_absorb: "fixedPFAbsorb",
    Control.fixed_pf_inject: "fixedPFInject",
    Control.fixed_var: "fixedVar",
    Control.freq_droop: "freqDroop",
    Control.gradients: "gradient",
    Control.limit_max_discharge: "limitMaxDischarge",
}


CHANGE_SLACK_S = 0.5  # after the start or end of a control


class InvalidControl(ValueError):
    """A control that the specification does not permit; the text gives the reason."""


def request(number: str, kind: str, body: Payload, default: bool) -> Payload:
    """Return a SetDERControlRequest. Raises InvalidControl."""
    if default and ("startTime" in body or "duration" in body):
        raise InvalidControl("a default control has no startTime or duration (R04.FR.12)")
    if not default and kind in DEFAULT_ONLY:
        raise InvalidControl(f"{kind} exists only as a default (R04.FR.14)")
    return {"isDefault": default, "controlId": number, "controlType": kind, _BODIES.get(kind, "curve"): dict(body)}


async def set_control(station: Station, number: str, kind: str, body: Payload, default: bool) -> Outcome:
    """Set one control. Raises InvalidControl; what the schema does not permit is REFUSED with `InvalidOrder`."""
    payload = request(number, kind, body, default)
    outcome = outcomes.of_status(await station.call(v21.Action.set_der_control, payload))
    if outcome.answer is Answer.APPLIED and kind == Control.limit_max_discharge:
        await update_discharge_share(station)
    return outcome


async def clear(station: Station, default: bool, kind: str | None, number: str | None) -> Outcome:
    """Clear the matching controls; all defaults or all others without a type or id."""
    payload: Payload = {"isDefault": default}
    payload |= {name: value for name, value in (("controlType", kind), ("controlId", number)) if value is not None}
    outcome = outcomes.of_status(await station.call(v21.Action.clear_der_control, payload))
    if outcome.answer is Answer.APPLIED:
        await update_discharge_share(station)
    return outcome


async def update_discharge_share(station: Station) -> None:
    """Read LimitMaxDischarge and report the discharge power that it leaves as a capability of the EVSEs.

    A scheduled control counts while it runs; its start and end are read again, also from a station that does not
    report them.
    """
    station.der.revision += 1
    revision = station.der.revision
    present = await controls(station)
    if present is None or revision != station.der.revision:
        return
    limits = [one for one in present if "limitMaxDischarge" in one and not one.get("isSuperseded", False)]
    default = [one for one in limits if one.get("isDefault", True)]
    scheduled = [one["limitMaxDischarge"] for one in limits if not one.get("isDefault", True)]
    now = _present(station)
    running = [body for body in scheduled if _begin(body) <= now < _end(body)]
    in_force = running or [one["limitMaxDischarge"] for one in default]  # a running one replaces the default
    shares = [body.get("pctMaxDischargePower", 100.0) / 100.0 for body in in_force]
    station.der.discharge_share = max(0.0, min([1.0, *shares]))
    station.describe_all()
    changes = [
        at for body in scheduled for at in (_begin(body), _end(body), _read_again(body, now)) if now < at < math.inf
    ]
    if changes:
        station.spawn(_update_after(station, min(changes) - now, revision))


async def _update_after(station: Station, delay_s: float, revision: int) -> None:
    await station.context.clock.sleep(delay_s + CHANGE_SLACK_S)
    if revision == station.der.revision:
        await update_discharge_share(station)


def _present(station: Station) -> float:
    """Return the Unix time by the clock of the station."""
    clock = station.context.clock
    present = station.clock.now(clock.now())
    return clock.wall() if present is None else present


def _begin(body: Payload) -> float:
    return parse(body.get("startTime")) or -math.inf


def _end(body: Payload) -> float:
    """Return the end; a control that begins at once is in force while the station reports it (R04.FR.10)."""
    begin = _begin(body)
    return math.inf if begin == -math.inf else begin + float(body.get("duration", math.inf))


def _read_again(body: Payload, now: float) -> float:
    """Return when a control without a start may have ended."""
    return math.inf if "startTime" in body else now + max(1.0, float(body.get("duration", math.inf)))


def started_or_stopped(station: Station, _: Payload) -> Payload:
    """Process NotifyDERStartStop: a scheduled control starts or ends, and may change what can be discharged."""
    station.spawn(update_discharge_share(station))
    return {}


async def controls(station: Station) -> list[Payload] | None:
    """Return the controls that the station reports; None where it does not report them."""
    try:
        parts = await reports.collect(station, v21.Action.get_der_control, {})
    except reports.NotReported as error:
        return [] if str(error) == v21.DERControlStatusEnumType.not_found else None
    return [entry for part in parts for entries in part.values() if isinstance(entries, list) for entry in entries]


def reported(station: Station, payload: Payload) -> Payload:
    """Process ReportDERControl, which the station sends (R04.FR.31, .32): pass it to the request that waits for it."""
    reports.received(station, payload)
    return {}
