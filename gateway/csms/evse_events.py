"""Events of a station's EVSEs, reported to the gateway: plugs, transactions, meter values, operation modes."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.csms import capabilities, connected_ev, faults, metering
from gateway.csms.evse import Evse
from gateway.csms.reservations import ReservationStatus
from gateway.csms.station import Station
from gateway.csms.transactions import Transaction
from gateway.model.event import (
    Metered,
    ModeChanged,
    OperationMode,
    PlugChanged,
    PlugState,
    SessionEnded,
    SessionStarted,
)
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload, Version

JOIN_WITHIN_S = 5.0  # between messages with values of one time stamp
FAULTED = v21.ConnectorStatusEnumType.faulted.value
PLUGS = {state.value.capitalize(): state for state in PlugState}  # others are of 1.6, each with a vehicle


def connector_status(station: Station, evse: Evse, connector: int, status: str) -> None:
    """Process the status of a connector."""
    evse.connectors[connector] = status
    state = PLUGS.get(status, PlugState.OCCUPIED)
    if state is not evse.plug:
        evse.plug = state
        if state is PlugState.AVAILABLE:
            evse.needs, evse.bidirectional = None, None
        station.context.report(PlugChanged(evse.name, station.context.clock.now(), state))


def availability(station: Station, number: int, connector: int | None, status: str) -> None:
    """Process the status of a connector of 2.x, of an EVSE (without a connector) or, with EVSE 0, of the station."""
    code = status if status == FAULTED else None
    source = faults.connector(connector) if connector else ("AvailabilityState",)
    if number <= 0:
        faults.set_station(station, ("AvailabilityState",), code)
        return
    evse = station.evse(number)
    if connector is not None:
        changed = evse.connectors.get(connector) != status
        connector_status(station, evse, connector, status)
        if changed:
            station.save()
    faults.set_evse(station, evse, source, code)


def session_started(station: Station, transaction: Transaction, vehicle: str | None = None) -> None:
    """Activate a transaction on its EVSE; the end of one that was active there was lost."""
    context = station.context
    evse = station.evse(transaction.evse)
    before = context.transactions.activate(transaction)
    if before is not None:
        before.stopped_at, before.stop_reason, before.presumed = context.clock.wall(), v21.ReasonEnumType.other, True
        context.persistence.touch(before)
        _report_end(station, before, "its end was lost: another transaction started on the EVSE")
    if not transaction.announced:
        transaction.announced = True
        if transaction.reservation is not None:
            context.reservations.ended(station.id, transaction.reservation, ReservationStatus.USED)
        evse.setpoint_profile, evse.setpoint, evse.priority = None, None, False
        if transaction.bidirectional is None:  # its needs may come before its start, or were stated to another gateway
            central = transaction.operation_mode == OperationMode.CENTRAL_SETPOINT
            transaction.bidirectional = True if central else evse.bidirectional
        evse.bidirectional = transaction.bidirectional
        evse.meter.volt_phases = None
        context.report(SessionStarted(evse.name, context.clock.now(), transaction.id, vehicle))
        capabilities.report_needs(station, evse)
        evse.described_in = None
        if station.version is Version.V21:
            connected_ev.read_later(station, evse)


def session_moved(station: Station, transaction: Transaction, evse: int) -> None:
    """Assign the transaction to another EVSE: it started before its EVSE was known."""
    if transaction.active:
        _report_end(station, transaction, "the transaction runs on another EVSE")
    station.context.transactions.move(transaction, evse)


def session_ended(station: Station, transaction: Transaction, at: float, reason: str) -> None:
    """End a transaction at `at` (Unix time). The reported time replaces one that was only presumed."""
    if transaction.presumed:
        transaction.stopped_at, transaction.stop_reason, transaction.presumed = at, reason, False
    elif transaction.active:
        transaction.stopped_at, transaction.stop_reason = at, reason
        _report_end(station, transaction, reason)


def presume_ended(station: Station, transaction: Transaction, reason: str) -> None:
    """End a transaction whose end seems lost; a later message resumes it."""
    if transaction.active:
        session_ended(station, transaction, station.context.clock.wall(), reason)
        transaction.presumed = True
        station.context.persistence.touch(transaction)


def free_id(station: Station, transaction: Transaction) -> None:
    """Keep a transaction under another id, because the station uses its id for a new one."""
    presume_ended(station, transaction, "its end was lost: its id is used again")
    former = transaction.ref
    station.context.transactions.archive(transaction)
    station.context.persistence.archived(former, transaction)


def _report_end(station: Station, transaction: Transaction, reason: str) -> None:
    if not transaction.announced:
        return
    evse = station.evse(transaction.evse)
    evse.setpoint_profile, evse.setpoint, evse.bidirectional, evse.mode, evse.priority = None, None, None, None, False
    evse.needs = None
    evse.stop_watchdog()
    station.context.report(SessionEnded(evse.name, station.context.clock.now(), transaction.id, reason))


def readings(station: Station, evse: Evse, meter_values: Iterable[Payload]) -> list[Metered]:
    """Return meter values with the quirks of the station's vendor profile, oldest first. What one time stamp has in
    several messages is one reading."""
    quirks, now, meter = station.vendor_profile.meter, station.context.clock.now(), evse.meter
    elements = metering.by_time(meter_values)
    if meter.stamp in elements and now - meter.received_at <= JOIN_WITHIN_S:
        elements[meter.stamp] = metering.joined(meter.samples(), elements[meter.stamp])
    else:
        meter.stamp, meter.received_at = None, now
    stamps = [stamp for stamp in elements if isinstance(stamp, float)]
    if stamps:
        meter.stamp = max(stamps)
        meter.keep(elements[meter.stamp])
    return metering.readings(elements, evse.name, now, quirks.import_sign, quirks.power_scale, meter.voltage_v)


def metered(
    station: Station, evse: Evse, readings: list[Metered], transaction: Transaction | None, *, current: bool = True
) -> None:
    """Process meter values of an EVSE, oldest first.

    Values that are not current, older than the newest of the station (by its clock), or of another transaction than the
    active one of the EVSE, count energy only: a former power or state of charge must not be taken for the present one.
    """
    if transaction is not None and transaction.evse:
        active = station.context.transactions.active_at(station.id, transaction.evse)
        current = current and (active is None or active is transaction)
    for reading in readings:
        charged_wh, discharged_wh = reading.energy_charged_wh, reading.energy_discharged_wh
        late = not current or _late(station, evse, reading)
        if transaction is not None:
            transaction.measured(charged_wh, discharged_wh, late=late)
        if late:
            registers = {"energy_charged_wh": charged_wh, "energy_discharged_wh": discharged_wh}
            reading = Metered(reading.evse, reading.at, reading.wall, **registers, late=True)
        station.context.report(reading)


def _late(station: Station, evse: Evse, reading: Metered) -> bool:
    """Return True for a reading from before the present one; store the values of a present one."""
    if reading.wall is not None and station.clock.late(reading.wall, reading.at, evse.number):
        return True
    if reading.voltage_v is not None:
        evse.meter.voltage_v = reading.voltage_v
    return False


def operation_mode(station: Station, evse: Evse, name: str) -> None:
    """Process the operation mode that the station reports."""
    try:
        new = OperationMode(name)
    except ValueError:
        return
    if new is OperationMode.CENTRAL_SETPOINT and evse.bidirectional is None:
        evse.bidirectional = True  # that mode is only sent to a vehicle that requested it
    if new is not evse.mode:
        evse.mode = new
        station.context.report(ModeChanged(evse.name, station.context.clock.now(), new))
