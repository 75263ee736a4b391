"""What an EVSE's hardware can do and whether it can discharge: told to the core whenever it changes."""

from __future__ import annotations

from dataclasses import replace

from gateway.csms.evse import Evse
from gateway.csms.station import Station
from gateway.model.event import EvseDescribed, NeedsStated, OperationMode, PowerLimits, VehicleNeeds
from protocols.ocpp.schema import Version
from protocols.ocpp.vendor import Channel

TRIES_TOLD = 3  # a safe profile refused so often in a row is no accident


def describe(station: Station, evse: Evse) -> None:
    """Tell the core what the EVSE's hardware can do: what was stated, else what was configured."""
    limits = _stated_limits(station, evse.number)
    can, why_not = _can_discharge(station, evse, limits)
    if (limits, can, why_not) != (evse.limits, evse.can_discharge, evse.why_not):
        evse.limits, evse.can_discharge, evse.why_not = limits, can, why_not
        station.context.report(EvseDescribed(evse.name, station.id, station.context.clock.now(), limits, can, why_not))
        vouch(station, evse)
    if can:
        make_safe(station, evse)


def vouch(station: Station, evse: Evse) -> None:
    """Tell what the vehicle in session needs and can do, where the version has no words for discharging.

    1.6 and 2.0.1 cannot say that a vehicle lets itself be discharged. A station whose vendor profile discharges learns
    that from the vehicle, and refuses what it does not do; what the station can do is all that is known before.
    """
    transaction = station.context.transactions.active_at(station.id, evse.number)
    if station.version is Version.V21 or transaction is None or not transaction.announced:
        return
    needs, can = evse.stated, evse.limits
    own_way = station.ways.setpoint.channel not in (Channel.NONE, Channel.STANDARD)
    if own_way and evse.can_discharge and can is not None:
        charge_w = can.max_charge_w if needs is None else min(can.max_charge_w, needs.limits.max_charge_w)
        both = replace(can, max_charge_w=charge_w)
        needs = replace(
            needs or VehicleNeeds(can),
            limits=both,
            bidirectional=True,
            energy_transfer="unstated",
            control_mode="dynamic",
        )
    if needs is not None:
        station.context.report(NeedsStated(evse.name, station.context.clock.now(), needs))


def describe_all(station: Station) -> None:
    """All EVSEs of a station."""
    for evse in station.evses.values():
        describe(station, evse)


def make_safe(station: Station, evse: Evse) -> None:
    """Lay the safe profile beneath whatever comes, before a vehicle does: nothing means charging without limit."""
    from gateway.csms import charging_profile  # which knows us

    if evse.safe.held or station.link is None or not station.ways.fallback_profile:
        return

    async def install() -> None:
        async with evse.order:
            await charging_profile.install_safe(station, evse)

    station.later(install())


def _stated_limits(station: Station, number: int) -> PowerLimits:
    charge = station.settings.max_charge_w
    discharge = station.settings.max_discharge_w
    if charge is None:
        charge = station.limits.get(("EVSE", number, "Power", ""), 0.0)
    if discharge is None:
        discharge = abs(station.limits.get(("EVSE", number, "DischargePower", ""), 0.0))
    for place in (0, number):
        low = station.external.get(place)
        if low is not None:
            charge, discharge = min(charge, low[0]), min(discharge, low[1])
    return PowerLimits(charge, discharge * station.export_cap)


def _can_discharge(station: Station, evse: Evse, limits: PowerLimits) -> tuple[bool, str]:
    say = station.ways.setpoint
    if say.channel is Channel.NONE:
        return False, say.why_not or f"the vendor profile {station.ways.name} says it cannot"
    if say.channel is Channel.STANDARD:
        modes = station.variable("V2XChargingCtrlr", "SupportedOperationModes", evse.number)
        enabled = station.variable("V2XChargingCtrlr", "Enabled", evse.number)
        if modes is None and station.settings.max_discharge_w is None:
            return False, "the station has not reported a V2XChargingCtrlr for this EVSE"
        if enabled is not None and enabled.lower() == "false":
            return False, "V2XChargingCtrlr.Enabled is false"
        if modes is not None and OperationMode.CENTRAL_SETPOINT not in modes.split(","):
            return False, f"CentralSetpoint is not among its operation modes ({modes})"
    if limits.max_discharge_w <= 0:
        return False, "the station states no discharge power, and none is configured (max_discharge_w)"
    if evse.safe.tries >= TRIES_TOLD:
        return False, f"the safe profile could not be installed: {evse.safe.trouble}"
    return True, ""
