"""DER controls of 2.1 stations (block R): the grid code functions of inverters, set, read and cleared.

A request is validated before it is sent: the body that belongs to the type and no other (R04.FR.16), no start or
duration in a default (R04.FR.12), EnterService and Gradients only as defaults (R04.FR.14).
"""

from __future__ import annotations

import asyncio

from gateway.csms import outcomes
from gateway.csms.station import Station
from gateway.model.station import Answer, Outcome
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse

Control = v21.DERControlEnumType

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
REPORT_TIMEOUT_S = 30.0  # from one ReportDERControl to the next


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
    outcome = outcomes.of_status(await station.call("SetDERControl", payload))
    if outcome.answer is Answer.APPLIED and kind == Control.limit_max_discharge:
        await update_discharge_share(station)
    return outcome


async def clear(station: Station, default: bool, kind: str | None, number: str | None) -> Outcome:
    """Clear the matching controls; all defaults or all others without a type or id."""
    payload: Payload = {"isDefault": default}
    payload |= {name: value for name, value in (("controlType", kind), ("controlId", number)) if value is not None}
    outcome = outcomes.of_status(await station.call("ClearDERControl", payload))
    if outcome.answer is Answer.APPLIED:
        await update_discharge_share(station)
    return outcome


async def update_discharge_share(station: Station) -> None:
    """Read LimitMaxDischarge and report the discharge power that it leaves as a capability of the EVSEs."""
    present = await controls(station)
    if present is None:
        return
    limits = [one for one in present if "limitMaxDischarge" in one and not one.get("isSuperseded", False)]
    running = [one for one in limits if not one.get("isDefault", True) and _runs(station, one["limitMaxDischarge"])]
    in_force = running or [one for one in limits if one.get("isDefault", True)]  # a running one replaces the default
    shares = [one["limitMaxDischarge"].get("pctMaxDischargePower", 100.0) / 100.0 for one in in_force]
    station.discharge_share = max(0.0, min([1.0, *shares]))
    station.describe_all()


def _runs(station: Station, body: Payload) -> bool:
    """Return True for a scheduled control whose time it is, by the clock of the station."""
    clock = station.context.clock
    present = station.clock.now(clock.now())
    passed_s = (clock.wall() if present is None else present) - (parse(body.get("startTime")) or 0.0)
    return bool(0 <= passed_s < body.get("duration", float("inf")))


def started_or_stopped(station: Station, _: Payload) -> Payload:
    """Process NotifyDERStartStop: a scheduled control starts or ends, and may change what can be discharged."""
    station.spawn(update_discharge_share(station))
    return {}


async def controls(station: Station) -> list[Payload] | None:
    """Return the controls that the station reports; None where it does not report them."""
    reports: asyncio.Queue[Payload] = asyncio.Queue(maxsize=64)
    number = station.next_request_id()
    station.der_reports[number] = reports
    try:
        answer = await station.request("GetDERControl", {"requestId": number})
        status = None if answer is None else answer["status"]
        if status == v21.DERControlStatusEnumType.not_found:
            return []
        if status != v21.DERControlStatusEnumType.accepted:
            return None
        found, more = [], True
        while more:
            async with station.context.clock.timeout_at(station.context.clock.now() + REPORT_TIMEOUT_S):
                report = await reports.get()
            more = report.get("tbc", False)
            found += [entry for entries in report.values() if isinstance(entries, list) for entry in entries]
        return found
    except TimeoutError:
        return None
    finally:
        del station.der_reports[number]


def reported(station: Station, payload: Payload) -> Payload:
    """Process ReportDERControl: pass it to the pending request."""
    pending = station.der_reports.get(payload["requestId"])
    if pending is not None and not pending.full():
        pending.put_nowait(payload)
    return {}
