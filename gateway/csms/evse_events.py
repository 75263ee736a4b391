"""What happens at a station's EVSEs, told to the core: plugs, faults, transactions, meters, modes."""

from __future__ import annotations

from gateway.csms import capabilities
from gateway.csms.evse import Evse
from gateway.csms.station import Station
from gateway.csms.transactions import Transaction
from gateway.model.event import (
    FaultCleared,
    FaultRaised,
    Metered,
    ModeChanged,
    OperationMode,
    PlugChanged,
    PlugState,
    SessionEnded,
    SessionStarted,
    VehicleIdentified,
)


def plug(station: Station, evse: Evse, connector: int, status: str, state: PlugState) -> None:
    """A connector has a new status."""
    evse.connectors[connector] = status
    if state is not evse.plug:
        evse.plug = state
        if state is PlugState.AVAILABLE:
            evse.stated = None
        station.context.report(PlugChanged(evse.name, station.context.clock.now(), state))


def fault(station: Station, evse: Evse, code: str | None, text: str = "") -> None:
    """A fault came, or with None went."""
    context = station.context
    now = context.clock.now()
    if code == evse.fault:
        return
    if evse.fault is not None:
        context.report(FaultCleared(evse.name, now, evse.fault))
    evse.fault = code
    if code is not None:
        context.report(FaultRaised(evse.name, now, code, text))


def began(station: Station, transaction: Transaction, vehicle: str | None = None) -> None:
    """A transaction runs on its EVSE; one that ran there before has lost its end."""
    context = station.context
    evse = station.evse(transaction.evse)
    before = context.transactions.activate(transaction)
    if before is not None:
        before.stopped_at, before.stop_reason, before.presumed = context.clock.wall(), "Other", True
        context.ledger.touch(before)
        _tell_end(station, before, "its end was lost: another transaction began on the EVSE")
    if not transaction.announced:
        transaction.announced = True
        if transaction.reservation is not None:
            context.reservations.ended(station.id, transaction.reservation, "USED")
        evse.installed, evse.ordered, evse.bidirectional, evse.priority = None, None, None, False
        context.report(SessionStarted(evse.name, context.clock.now(), transaction.id, vehicle))
        capabilities.vouch(station, evse)


def moved(station: Station, transaction: Transaction, evse: int) -> None:
    """The transaction runs on another EVSE than we thought: it began before its EVSE was known."""
    if transaction.active:
        _tell_end(station, transaction, "the transaction runs on another EVSE")
    station.context.transactions.move(transaction, evse)


def identified(station: Station, evse: Evse, vehicle: str) -> None:
    """The vehicle's identity became known."""
    station.context.report(VehicleIdentified(evse.name, station.context.clock.now(), vehicle))


def ended(station: Station, transaction: Transaction, at: float, reason: str) -> None:
    """A transaction ended at `at` (Unix time). One that we had only presumed to be over gets the times it was told."""
    if transaction.presumed:
        transaction.stopped_at, transaction.stop_reason, transaction.presumed = at, reason, False
    elif transaction.active:
        transaction.stopped_at, transaction.stop_reason = at, reason
        _tell_end(station, transaction, reason)


def presume_ended(station: Station, transaction: Transaction, reason: str) -> None:
    """Its end was lost, as far as we can see; if it speaks again, it runs."""
    if transaction.active:
        ended(station, transaction, station.context.clock.wall(), reason)
        transaction.presumed = True
        station.context.ledger.touch(transaction)


def _tell_end(station: Station, transaction: Transaction, reason: str) -> None:
    if not transaction.announced:
        return
    evse = station.evse(transaction.evse)
    evse.installed, evse.ordered, evse.bidirectional, evse.mode, evse.priority = None, None, None, None, False
    evse.stated = None
    if evse.let_go is not None:
        evse.let_go.cancel()
        evse.let_go = None
    station.context.report(SessionEnded(evse.name, station.context.clock.now(), transaction.id, reason))


def metered(station: Station, readings: list[Metered], transaction: Transaction | None, *, of_now: bool = True) -> None:
    """New readings, oldest first. Those of another time, or of another transaction than runs there, count energy only:
    a power of before must not pass for what the car does now, nor the charge of one car for that of the next.
    """
    if transaction is not None and transaction.evse:
        running = station.context.transactions.active_at(station.id, transaction.evse)
        of_now = of_now and running in (None, transaction)
    for reading in readings:
        if transaction is not None:
            if reading.energy_charged_wh is not None:
                if transaction.meter_start_wh is None:
                    transaction.meter_start_wh = reading.energy_charged_wh
                transaction.energy_charged_wh = reading.energy_charged_wh
            if reading.energy_discharged_wh is not None:
                if transaction.meter_start_out_wh is None:
                    transaction.meter_start_out_wh = reading.energy_discharged_wh
                transaction.energy_discharged_wh = reading.energy_discharged_wh
        station.context.report(reading if of_now else _registers(reading))


def _registers(reading: Metered) -> Metered:
    into_wh, out_wh = reading.energy_charged_wh, reading.energy_discharged_wh
    return Metered(reading.evse, reading.at, reading.wall, energy_charged_wh=into_wh, energy_discharged_wh=out_wh)


def mode(station: Station, evse: Evse, name: str) -> None:
    """The station says how it decides its power."""
    try:
        new = OperationMode(name)
    except ValueError:
        return
    if new is not evse.mode:
        evse.mode = new
        station.context.report(ModeChanged(evse.name, station.context.clock.now(), new))
