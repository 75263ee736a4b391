"""DER controls for stations (OCPP 2.1 block R): what the grid's rules ask of inverters, set, asked for and cleared.

A request is checked before it goes out: the body that belongs to the type and no other (R04.FR.16), no start or
duration in a default (R04.FR.12), EnterService and Gradients only as defaults (R04.FR.14).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from gateway.csms.charging_profile import read_status
from gateway.csms.station import Station
from gateway.model.station import Answer, Outcome
from protocols.ocpp.schema import Payload, Version

CAP = "LimitMaxDischarge"
DEFAULT_ONLY = frozenset({"EnterService", "Gradients"})
_OWN = {
    "EnterService": "enterService",
    "FixedPFAbsorb": "fixedPFAbsorb",
    "FixedPFInject": "fixedPFInject",
    "FixedVar": "fixedVar",
    "FreqDroop": "freqDroop",
    "Gradients": "gradient",
    "LimitMaxDischarge": "limitMaxDischarge",
}
REPORT_WITHIN = 30.0  # s from one ReportDERControl to the next


class Unfit(ValueError):
    """A control that the specification does not allow; the sentence says why."""


def request(number: str, kind: str, body: Mapping[str, Any], default: bool) -> Payload:
    """SetDERControlRequest. Raises Unfit."""
    if default and ("startTime" in body or "duration" in body):
        raise Unfit("a default control has no startTime or duration (R04.FR.12)")
    if not default and kind in DEFAULT_ONLY:
        raise Unfit(f"{kind} exists only as a default (R04.FR.14)")
    return {"isDefault": default, "controlId": number, "controlType": kind, _OWN.get(kind, "curve"): dict(body)}


async def set_control(station: Station, number: str, kind: str, body: Mapping[str, Any], default: bool) -> Outcome:
    """Set one control. Raises Unfit; what the schema does not allow is REFUSED with `InvalidOrder`."""
    payload = request(number, kind, body, default)
    if station.version is not Version.V21:
        return Outcome(Answer.REFUSED, "NotSupported", "only OCPP 2.1 stations take DER controls")
    outcome = read_status(await station.call("SetDERControl", payload))
    if outcome.answer is Answer.APPLIED and kind == CAP:
        await learn_cap(station)
    return outcome


async def clear(station: Station, default: bool, kind: str | None = None, number: str | None = None) -> Outcome:
    """Clear what matches; all of `default` without a type or id."""
    payload: Payload = {"isDefault": default}
    payload |= {name: value for name, value in (("controlType", kind), ("controlId", number)) if value is not None}
    outcome = read_status(await station.call("ClearDERControl", payload))
    if outcome.answer is Answer.APPLIED:
        await learn_cap(station)
    return outcome


async def learn_cap(station: Station) -> None:
    """Put the operator's cap on discharging into what the core is told the EVSEs can do."""
    held = await controls(station)
    if held is None:
        return
    shares = [
        one["limitMaxDischarge"].get("pctMaxDischargePower", 100.0) / 100.0
        for one in held
        if "limitMaxDischarge" in one and not one.get("isSuperseded", False) and one.get("isDefault", True)
    ]
    station.export_cap = max(0.0, min([1.0, *shares]))
    for evse in station.evses.values():
        station.describe(evse)


async def controls(station: Station) -> list[Payload] | None:
    """What the station holds, as it reports it; None where it cannot tell."""
    reports: asyncio.Queue[Payload] = asyncio.Queue(maxsize=64)
    number = station.next_request()
    station.der_reports[number] = reports
    try:
        answer = await station.ask("GetDERControl", {"requestId": number})
        if answer is None:
            return None
        if answer["status"] == "NotFound":
            return []
        if answer["status"] != "Accepted":
            return None
        found: list[Payload] = []
        more = True
        while more:
            async with station.context.clock.timeout_at(station.context.clock.now() + REPORT_WITHIN):
                report = await reports.get()
            more = report.get("tbc", False)
            found += [entry for name, entries in report.items() if isinstance(entries, list) for entry in entries]
        return found
    except TimeoutError:
        return None
    finally:
        del station.der_reports[number]


def reported(station: Station, payload: Payload) -> Payload:
    """ReportDERControl: goes to whoever asked."""
    waiting = station.der_reports.get(payload["requestId"])
    if waiting is not None and not waiting.full():
        waiting.put_nowait(payload)
    return {}
