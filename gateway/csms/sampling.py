"""Configuration of a station's transaction meter values, without which no set-point can be verified.

After a boot the station's sampled measurands and interval are read. Required measurands are added to the configured
ones; an interval is only ever shortened. Rejections are logged.
"""

from __future__ import annotations

import logging

from gateway.csms import outcomes
from gateway.csms.charging_profile import allow_units
from gateway.csms.station import Station
from protocols.ocpp.enums import v16, v21
from protocols.ocpp.schema import Payload, Version

log = logging.getLogger("v2x.csms")

Measurand, Key = v21.MeasurandEnumType, v16.ConfigurationKey  # 1.6 has the same names for the required measurands

POWER = (Measurand.power_active_import.value, Measurand.power_active_export.value)
REQUIRED = (
    *POWER,
    Measurand.energy_active_import_register.value,
    Measurand.energy_active_export_register.value,
    Measurand.soc.value,
)
# 2.1: the vehicle's remaining energy requests, which change during the session. Only where the station supports them.
OPTIONAL = (
    Measurand.energy_request_minimum.value,
    Measurand.energy_request_target.value,
    Measurand.energy_request_minimum_v2x.value,
    Measurand.energy_request_maximum_v2x.value,
)
INTERVAL, MEASURANDS = "interval", "measurands"
_KEYS = {INTERVAL: Key.meter_value_sample_interval.value, MEASURANDS: Key.meter_values_sampled_data.value}  # 1.6, 9.1
STOP_DATA = Key.stop_txn_sampled_data.value
RATE_UNIT = Key.charging_schedule_allowed_charging_rate_unit.value
_VARIABLES = {INTERVAL: "TxUpdatedInterval", MEASURANDS: "TxUpdatedMeasurands"}  # 2.x, SampledDataCtrlr
_APPLIED = (v21.SetVariableStatusEnumType.accepted, v21.SetVariableStatusEnumType.reboot_required)
NO_ANSWER = "no answer"
MAX_CHANGES, CHANGES_FORGOTTEN_S = 2, 86_400.0  # of one setting to one value


async def configure(station: Station) -> None:
    """Read the sampling of a station and change what is missing. A station that does not report it is left alone."""
    every_s = station.context.settings.sample_every_s
    present = await (_read_16(station) if station.version is Version.V16 else _read_2(station))
    if MEASURANDS in present:
        optional = OPTIONAL if station.version is Version.V21 else ()
        await _set_first_accepted(station, MEASURANDS, choices(present[MEASURANDS], optional))
    if INTERVAL in present and not _within(present[INTERVAL], every_s):
        await _set_first_accepted(station, INTERVAL, [str(every_s)])


def choices(present: str, optional: tuple[str, ...] = ()) -> list[str]:
    """Return the measurand lists to try, best first, given the present one; none where nothing is missing."""
    chosen = [name.strip() for name in present.split(",") if name.strip()]
    lists = (",".join(dict.fromkeys((*chosen, *more))) for more in ((*REQUIRED, *optional), REQUIRED, POWER, POWER[:1]))
    found = [one for one in dict.fromkeys(lists) if one != ",".join(chosen)]
    missing = {*REQUIRED, *optional} - set(chosen)
    return found[: 1 if missing <= set(optional) else None] if missing else []


def _within(interval: str, every_s: float) -> bool:
    try:
        return 0 < float(interval) <= every_s
    except ValueError:
        return False


async def _set_first_accepted(station: Station, setting: str, values: list[str]) -> None:
    """Try one value after the other until the station accepts one."""
    for value in values:
        if not _may_change(station, _name(station, setting), value):
            return
        status = await _set(station, setting, value)
        if status in _APPLIED:
            return
        log.warning("%s: %s = %s was rejected: %s", station.id, _name(station, setting), value, status)
        if status == NO_ANSWER:
            return


def _may_change(station: Station, name: str, value: str) -> bool:
    """Return False for a setting that the station has accepted and not kept: some boot with every change."""
    now = station.context.clock.now()
    changes = station.changes.setdefault((name, value), [])
    changes[:] = [at for at in changes if now - at < CHANGES_FORGOTTEN_S]
    if len(changes) < MAX_CHANGES:
        changes.append(now)
        return True
    log.warning("%s: %s is not changed to %r any more: the station does not keep it", station.id, name, value)
    return False


def _name(station: Station, setting: str) -> str:
    return _KEYS[setting] if station.version is Version.V16 else f"SampledDataCtrlr.{_VARIABLES[setting]}"


async def _set(station: Station, setting: str, value: str) -> str:
    if station.version is Version.V16:
        answer = await station.request(v16.Action.change_configuration, {"key": _KEYS[setting], "value": value})
        return NO_ANSWER if answer is None else str(answer["status"])
    entry = {**_variable(setting), "attributeValue": value}
    answer = await station.request(v21.Action.set_variables, {"setVariableData": [entry]})
    return NO_ANSWER if answer is None else str(answer["setVariableResult"][0]["attributeStatus"])


def _variable(setting: str) -> Payload:
    return {"component": {"name": "SampledDataCtrlr"}, "variable": {"name": _VARIABLES[setting]}}


async def _read_16(station: Station) -> dict[str, str]:
    answer = await station.request(v16.Action.get_configuration, {"key": [*_KEYS.values(), RATE_UNIT, STOP_DATA]}) or {}
    reported = {one["key"]: one for one in answer.get("configurationKey", ())}
    if RATE_UNIT in reported:
        allow_units(station, reported[RATE_UNIT].get("value") or "")
    stop_data = reported.get(STOP_DATA, {})
    if stop_data.get("value") and not stop_data["readonly"] and _may_change(station, STOP_DATA, ""):
        # StopTransaction repeats every sample: with a short interval that is a megabyte for a day
        await station.request(v16.Action.change_configuration, {"key": STOP_DATA, "value": ""})
    present: dict[str, str] = {}
    for setting, key in _KEYS.items():
        if key in reported and reported[key]["readonly"]:
            log.info("%s: %s is read-only", station.id, key)
        elif key in reported:
            present[setting] = reported[key].get("value", "")
    return present


async def _read_2(station: Station) -> dict[str, str]:
    data = [_variable(setting) for setting in _VARIABLES]
    answer = await station.request(v21.Action.get_variables, {"getVariableData": data}) or {}
    reported = {one["variable"]["name"]: one for one in answer.get("getVariableResult", ())}
    return {
        setting: reported[name].get("attributeValue", "")
        for setting, name in _VARIABLES.items()
        if name in reported and reported[name]["attributeStatus"] == outcomes.ACCEPTED
    }
