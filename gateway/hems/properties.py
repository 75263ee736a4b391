"""Values of the objects that the gateway shows, from its state: a function for each property."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from gateway.hems.settings import Plug
from gateway.hems.snapshot import Snapshot
from gateway.model.site import Storage
from gateway.model.state import Connection, Limits
from gateway.readings import SiteReading
from protocols.echonet.objects import version
from protocols.echonet.values import Value

RUNNING_W = 50.0  # less than this is standby
MAKER = b"\xff\xff\xff"
LONGEST_ID = 24  # bytes of a vehicle id
_PRODUCT = b"V2X-GATEWAY".ljust(12, b"\0")
_PLUGS = {Plug.AC: "ac_hlc", Plug.CHADEMO: "dc_aa", Plug.CCS1: "dc_ee", Plug.CCS2: "dc_ff"}

OfEvse: TypeAlias = "Callable[[Snapshot], Value | None]"
OfSite: TypeAlias = "Callable[[SiteReading], Value | None]"
IDENTITY: Mapping[int, Value] = {0x82: version("R"), 0x8A: MAKER, 0x8C: _PRODUCT}


def _watts(value: float | None) -> int | None:
    return None if value is None else round(value)


def _connection(one: Snapshot) -> str:
    """Return property C7."""
    state = one.state
    if state.connection is Connection.OFFLINE:
        return "unknown"
    if not state.plugged:
        return "notConnected"
    if state.session is None or state.fault is not None:
        return "connected"
    return "chargeableDischargeable" if state.can_discharge else "chargeable"


def _range(most_w: float | None) -> Value | None:
    if most_w is None:
        return None
    return {"minimumElectricPower": 0, "maximumElectricPower": round(most_w)}


def _currents(one: Snapshot, most_w: float | None) -> Value | None:
    voltage_v = one.voltage_v
    if most_w is None or not voltage_v:
        return None
    return {"minimumCurrent": 0.0, "maximumCurrent": round(most_w / voltage_v, 1)}


def _of_station(one: Snapshot, value: Callable[[Limits], float]) -> Value | None:
    limits = one.state.station_limits
    return None if limits is None else round(value(limits))


def _floor(one: Snapshot) -> float:
    return one.state.floors.in_force_pct or 0.0


def _of_soc(one: Snapshot, value: Callable[[float], Value | None]) -> Value | None:
    return None if one.state.soc_pct is None else value(one.state.soc_pct)


def _vehicle_id(one: Snapshot) -> Value | None:
    vehicle = one.state.vehicle
    if vehicle is None or not vehicle.id:
        return None
    data = vehicle.id.encode("ascii", "replace")[:LONGEST_ID]
    return {"dataSize": len(data), "id": data}


def _kwh(value_wh: float | None) -> float | None:
    return None if value_wh is None else round(value_wh / 1000, 3)


def actual_mode(one: Snapshot, setting: str) -> str:
    """Return property E1: what the meter shows; `setting` is property DA."""
    power_w = one.state.power_w
    if power_w is not None and abs(power_w) >= RUNNING_W:
        return "charge" if power_w > 0 else "discharge"
    return setting if setting in ("idle", "preparation") else "standby"


def interconnection(site: SiteReading) -> str:
    """Return the state of the grid connection, as 0x027E, 0x027D and 0x0279 state it."""
    if site.islanded:
        return "independent"
    return "reversePowerFlowAcceptable" if site.exports else "reversePowerFlowNotAcceptable"


EVSE: Mapping[int, OfEvse] = {
    0x80: lambda one: one.state.connection is Connection.CONNECTED,
    0x88: lambda one: one.state.fault is not None,
    0x89: lambda one: "noFault" if one.state.fault is None else "fault",
    0xC0: lambda one: one.energy_wh(_floor(one), 100),
    0xC2: lambda one: _of_soc(one, lambda soc: one.energy_wh(_floor(one), soc)),
    0xC4: lambda one: _of_soc(one, lambda soc: max(0, round(soc - _floor(one)))),
    0xC5: lambda one: _of_station(one, lambda limits: limits.max_charge_w),
    0xC6: lambda one: _of_station(one, lambda limits: limits.max_discharge_w),
    0xC7: _connection,
    0xC8: lambda one: _range(one.max_charge_w),
    0xC9: lambda one: _range(one.max_discharge_w),
    0xCA: lambda one: _currents(one, one.max_charge_w),
    0xCB: lambda one: _currents(one, one.max_discharge_w),
    0xCE: lambda one: one.energy_wh(0, 100),
    0xCF: lambda one: _of_soc(one, lambda soc: one.energy_wh(soc, 100)),
    0xD0: lambda one: one.energy_wh(0, 100),
    0xD3: lambda one: _watts(one.state.power_w),
    0xD4: lambda one: one.reading.current_a if one.reading is not None else None,
    0xD5: lambda one: _watts(one.voltage_v),
    0xD6: lambda one: _kwh(one.reading.discharged_wh) if one.reading is not None else None,
    0xD8: lambda one: _kwh(one.reading.charged_wh) if one.reading is not None else None,
    0xDB: lambda one: interconnection(one.site),
    0xE2: lambda one: _of_soc(one, lambda soc: one.energy_wh(0, soc)),
    0xE4: lambda one: _of_soc(one, round),
    0xE6: _vehicle_id,
}


def equipment_type(one: Snapshot, plug: Plug | None) -> Value | None:
    """Return property CC: of the configured plug, or of a CHAdeMO session."""
    if plug is None and "chademo" in (one.state.protocol or "").lower():
        plug = Plug.CHADEMO
    return None if plug is None else f"{_PLUGS[plug]}_{'chargedischarge' if one.state.can_discharge else 'charge'}"


def _of_storage(site: SiteReading, value: Callable[[Storage], float | None]) -> float | None:
    return None if site.storage is None else value(site.storage)


def _storage_energy(site: SiteReading, from_pct: float | None, to_pct: float | None) -> int | None:
    capacity_wh = _of_storage(site, lambda one: one.capacity_wh)
    if capacity_wh is None or from_pct is None or to_pct is None:
        return None
    return round(capacity_wh * (to_pct - from_pct) / 100)


def _storage_soc(site: SiteReading) -> float | None:
    return _of_storage(site, lambda one: one.soc_pct)


def _storage_range(most_w: float | None) -> Value | None:
    return None if most_w is None else {"minValue": 0, "maxValue": round(most_w)}


def _storage_mode(site: SiteReading) -> str | None:
    if site.storage is None:
        return None
    power_w = site.storage.power_w
    return "standby" if abs(power_w) < RUNNING_W else "charging" if power_w > 0 else "discharging"


STORAGE: Mapping[int, OfSite] = {
    0x80: lambda site: site.storage is not None,
    0x88: lambda site: False,
    0xA4: lambda site: _storage_energy(site, _storage_soc(site), 100),
    0xA5: lambda site: _storage_energy(site, 0, _storage_soc(site)),
    0xC8: lambda site: _storage_range(_of_storage(site, lambda one: one.max_charge_w)),
    0xC9: lambda site: _storage_range(_of_storage(site, lambda one: one.max_discharge_w)),
    0xCF: _storage_mode,
    0xD0: lambda site: _storage_energy(site, 0, 100),
    0xD3: lambda site: _watts(_of_storage(site, lambda one: one.power_w)),
    0xDA: lambda site: None if site.storage is None else "auto",
    0xDB: interconnection,
    0xE2: lambda site: _storage_energy(site, 0, _storage_soc(site)),
    0xE4: lambda site: _watts(_storage_soc(site)),
    0xE6: lambda site: "unknown",
}
PV: Mapping[int, OfSite] = {
    0x80: lambda site: site.pv is not None,
    0x88: lambda site: False,
    0xD0: interconnection,
    0xE0: lambda site: None if site.pv is None else "overflow" if site.pv.power_w > 65_533 else round(site.pv.power_w),
}
BOARD: Mapping[int, OfSite] = {
    0x80: lambda site: site.grid is not None,
    0x88: lambda site: False,
    0xC6: lambda site: "noData" if site.grid is None or site.grid.power_w is None else round(site.grid.power_w),
}
