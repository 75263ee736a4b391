"""Capabilities of an EVSE: its power limits and its ability to discharge, reported to the gateway on change."""

from __future__ import annotations

from dataclasses import replace

from gateway.csms import setpoint
from gateway.csms.evse import Evse
from gateway.csms.station import Station
from gateway.model.event import EvseDescribed, FailSafe, NeedsStated, OperationMode, PowerLimits, VehicleNeeds
from gateway.model.evse import UNSTATED_W
from protocols.ocpp.schema import Version
from protocols.ocpp.vendor import Channel

EXPIRES = FailSafe("The station by itself ends a set-point that is not renewed.", expires=True)
CONTINUES = FailSafe("The station has no time-out of set-points: power continues until it is ended at the station.")
REPORTED_AFTER = 3  # failures in a row to install the fallback profile; then the EVSE cannot discharge


def describe(station: Station, evse: Evse) -> None:
    """Report the capabilities of the EVSE where they changed: the configured ones, else the reported ones."""
    limits = _limits(station, evse.number)
    why_not = _cannot_discharge(station, evse, limits)
    can, text = why_not is None, why_not or ""
    if (limits, can, text) != (evse.limits, evse.can_discharge, evse.why_not):
        evse.limits, evse.can_discharge, evse.why_not = limits, can, text
        now = station.context.clock.now()
        fail_safe = EXPIRES if station.vendor_profile.setpoint.watchdog else CONTINUES
        station.context.report(EvseDescribed(evse.name, station.id, now, limits, can, evse.why_not, fail_safe))
        report_needs(station, evse)
    if can:
        _install_fallback(station, evse)


def report_needs(station: Station, evse: Evse) -> None:
    """Report the needs of the vehicle in session where the OCPP version cannot express discharging.

    In 1.6 and 2.0.1 no message states that a vehicle can discharge. A station whose vendor profile discharges reads it
    from the vehicle and rejects what the vehicle does not support; only the station's own limits are known before.
    """
    transaction = station.context.transactions.active_at(station.id, evse.number)
    if station.version is Version.V21 or transaction is None or not transaction.announced:
        return
    needs, limits = evse.needs, evse.limits
    vendor_channel = station.vendor_profile.setpoint.channel not in (Channel.NONE, Channel.STANDARD)
    if vendor_channel and evse.can_discharge and limits is not None:
        charge_w = limits.max_charge_w if needs is None else min(limits.max_charge_w, needs.limits.max_charge_w)
        needs = replace(
            needs or VehicleNeeds(limits),
            limits=replace(limits, max_charge_w=charge_w),
            bidirectional=True,
            energy_transfer="unstated",
            control_mode="dynamic",
        )
    if needs is not None:
        station.context.report(NeedsStated(evse.name, station.context.clock.now(), needs))


def _install_fallback(station: Station, evse: Evse) -> None:
    """Install the fallback profile before a vehicle is connected: without one it charges without limit."""
    if evse.fallback.installed or station.link is None or not station.vendor_profile.fallback_profile:
        return

    async def install() -> None:
        async with evse.lock:
            await setpoint.install_fallback(station, evse)

    station.spawn(install())


def _limits(station: Station, number: int) -> PowerLimits:
    charge = station.settings.max_charge_w
    discharge = station.settings.max_discharge_w
    if charge is None:
        reported = [station.limits.get((name, number, "Power", "")) for name in ("EVSE", "Connector")]
        charge = next((limit for limit in reported if limit), UNSTATED_W)  # the station limits it
    if discharge is None:
        discharge = abs(station.limits.get(("EVSE", number, "DischargePower", ""), 0.0))
    discharge *= station.der.discharge_share  # of the rating
    for scope in (0, number):
        external = station.external_limits.get(scope)
        if external is not None:
            charge, discharge = min(charge, external[0]), min(discharge, external[1])
    return PowerLimits(charge, discharge)


def _cannot_discharge(station: Station, evse: Evse, limits: PowerLimits) -> str | None:
    """Return the reason why the EVSE cannot discharge; None where it can."""
    setpoint = station.vendor_profile.setpoint
    if setpoint.channel is Channel.NONE:
        return setpoint.why_not or f"the vendor profile {station.vendor_profile.name} has no set-point channel"
    if setpoint.channel is Channel.STANDARD:
        modes = station.variable("V2XChargingCtrlr", "SupportedOperationModes", evse.number)
        enabled = station.variable("V2XChargingCtrlr", "Enabled", evse.number)
        if modes is None and station.settings.max_discharge_w is None:
            return "the station has not reported a V2XChargingCtrlr for this EVSE"
        if enabled is not None and enabled.lower() == "false":
            return "V2XChargingCtrlr.Enabled is false"
        if modes is not None and OperationMode.CENTRAL_SETPOINT not in modes.split(","):
            return f"CentralSetpoint is not among its operation modes ({modes})"
    if limits.max_discharge_w <= 0:
        return "the station reports no discharge power, and none is configured (max_discharge_w)"
    if evse.fallback.failures >= REPORTED_AFTER:
        return f"the fallback profile could not be installed: {evse.fallback.error}"
    return None
