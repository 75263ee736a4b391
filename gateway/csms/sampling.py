"""Makes a station tell its power often enough: without it no set-point can be seen to be kept.

After it has booted a station is asked which values it samples in a transaction and how often. What the gateway needs is
added to what its owner chose; an interval is only ever shortened. What the station refuses is told in the log.
"""

from __future__ import annotations

import logging

from gateway.csms.station import Station
from protocols.ocpp.link import Answered
from protocols.ocpp.schema import Payload, Version

log = logging.getLogger("v2x.csms")

POWER = ("Power.Active.Import", "Power.Active.Export")
NEEDED = (*POWER, "Energy.Active.Import.Register", "Energy.Active.Export.Register", "SoC")
# 2.1: what the car still asks for, as it changes; its needs at the start grow old. Only where the station takes it.
WISHED = ("EnergyRequest.Minimum", "EnergyRequest.Target", "EnergyRequest.Minimum.V2X", "EnergyRequest.Maximum.V2X")
INTERVAL, MEASURANDS = "interval", "measurands"
_KEYS = {INTERVAL: "MeterValueSampleInterval", MEASURANDS: "MeterValuesSampledData"}  # 1.6, 9.1
_VARIABLES = {INTERVAL: "TxUpdatedInterval", MEASURANDS: "TxUpdatedMeasurands"}  # 2.x, SampledDataCtrlr


async def ensure(station: Station) -> None:
    """Look at what the station samples, and change what is missing. Nothing is asked of one that does not tell."""
    held = await (_held_16(station) if station.version is Version.V16 else _held_2(station))
    if MEASURANDS in held:
        wished = WISHED if station.version is Version.V21 else ()
        await _first_taken(station, MEASURANDS, choices(held[MEASURANDS], wished))
    every_s = station.context.settings.sample_every_s
    if INTERVAL in held and not _often(held[INTERVAL], every_s):
        await _first_taken(station, INTERVAL, [str(every_s)])


def choices(held: str, wished: tuple[str, ...] = ()) -> list[str]:
    """What to ask for, best first, given the measurands chosen now; nothing where nothing is missing."""
    chosen = [name.strip() for name in held.split(",") if name.strip()]
    lists = (",".join(dict.fromkeys((*chosen, *more))) for more in ((*NEEDED, *wished), NEEDED, POWER, POWER[:1]))
    found = [one for one in dict.fromkeys(lists) if one != ",".join(chosen)]
    missing = {*NEEDED, *wished} - set(chosen)
    return found[: 1 if missing <= set(wished) else None] if missing else []


def _often(interval: str, every_s: float) -> bool:
    try:
        return 0 < float(interval) <= every_s
    except ValueError:
        return False


async def _first_taken(station: Station, what: str, values: list[str]) -> None:
    """Say one value after the other until one is taken."""
    for value in values:
        status = await _say(station, what, value)
        if status in ("Accepted", "RebootRequired"):
            return
        log.warning("%s: %s = %s was not taken: %s", station.id, _name(station, what), value, status)
        if status == "no answer":
            return


def _name(station: Station, what: str) -> str:
    return _KEYS[what] if station.version is Version.V16 else f"SampledDataCtrlr.{_VARIABLES[what]}"


async def _say(station: Station, what: str, value: str) -> str:
    if station.version is Version.V16:
        reply = await station.call("ChangeConfiguration", {"key": _KEYS[what], "value": value})
        if isinstance(reply, Answered) and reply.violation is None:
            return str(reply.payload["status"])
    else:
        entry = {**_variable(what), "attributeValue": value}
        reply = await station.call("SetVariables", {"setVariableData": [entry]})
        if isinstance(reply, Answered) and reply.violation is None:
            return str(reply.payload["setVariableResult"][0]["attributeStatus"])
    return "no answer"


def _variable(what: str) -> Payload:
    return {"component": {"name": "SampledDataCtrlr"}, "variable": {"name": _VARIABLES[what]}}


async def _held_16(station: Station) -> dict[str, str]:
    answer = await station.ask("GetConfiguration", {"key": list(_KEYS.values())}) or {}
    known = {one["key"]: one for one in answer.get("configurationKey", ())}
    held: dict[str, str] = {}
    for what, key in _KEYS.items():
        if key in known and known[key]["readonly"]:
            log.info("%s: %s cannot be changed", station.id, key)
        elif key in known:
            held[what] = known[key].get("value", "")
    return held


async def _held_2(station: Station) -> dict[str, str]:
    answer = await station.ask("GetVariables", {"getVariableData": [_variable(what) for what in _VARIABLES]}) or {}
    told = {one["variable"]["name"]: one for one in answer.get("getVariableResult", ())}
    return {
        what: told[name].get("attributeValue", "")
        for what, name in _VARIABLES.items()
        if name in told and told[name]["attributeStatus"] == "Accepted"
    }
