"""Restores stations, tokens, transactions and reservations after a restart of the gateway.

A station of the configuration keeps what OCPP or an operator changed since: a renewed password is valid until the one
in the configuration changes. One that was removed from the configuration is not restored. A row of another version that
cannot be read is skipped with a warning.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from gateway.csms import persistence
from gateway.csms.charging_profile import allow_units
from gateway.csms.context import Context
from gateway.csms.evse import FaultSource
from gateway.csms.registration import Boot
from gateway.csms.reported_variables import ReportedRow
from gateway.csms.reservations import Reservation
from gateway.csms.settings import Registration, UnknownStations
from gateway.csms.station import Station
from gateway.csms.tokens import Token
from gateway.csms.transactions import Transaction
from gateway.model.journal import Forgotten, Kept
from protocols.ocpp.errors import Refusal
from protocols.ocpp.schema import Payload, Version

log = logging.getLogger("v2x.csms")


@dataclass(frozen=True, slots=True)
class FaultRow:
    """A fault of an EVSE, or with EVSE 0 of the whole station."""

    evse: int
    source: FaultSource
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class StationRow:
    """A station as stored; its member names are those of former versions. Statuses of connectors by EVSE."""

    registered: bool
    configured: str | None
    password_hash: str | None
    next_password_hash: str | None
    version: Version | None
    boot: Boot | None
    evses: dict[int, dict[int, str]]
    vendor_profile: str | None = None
    security_profile: int | None = None
    registration: Registration = Registration.ACCEPTED
    next_security_profile: int | None = None
    upkeep: dict[str, Payload] = field(default_factory=dict)  # maintenance status
    max_charge_w: float | None = None
    max_discharge_w: float | None = None
    fallback_limit_w: float | None = None
    faults: list[FaultRow] = field(default_factory=list)
    reboot_required: list[str] = field(default_factory=list)  # settings
    reported: list[ReportedRow] = field(default_factory=list)  # of the device model


_LIMITS = ("max_charge_w", "max_discharge_w", "fallback_limit_w")  # stored where an operator has set them
_WHERE_ANY = ("faults", "reboot_required", "reported")  # stored where there are any
_OWN = ("vendor_profile", "security_profile", "next_security_profile", *_LIMITS)  # replace the configured ones
_SETTINGS = ("password_hash", "next_password_hash", "registration", *_OWN)


def record(station: Station) -> Kept:
    """Return the record of a station."""
    settings = {name: getattr(station.settings, name) for name in _SETTINGS}
    row = StationRow(
        registered=station.registered,
        configured=station.configured.hash,
        version=station.version,
        boot=station.boot,
        evses={evse.number: evse.connectors for evse in station.evses.values()},
        upkeep=station.maintenance,
        faults=[
            FaultRow(number, source, code, text)
            for number, known in ((0, station.faults), *((evse.number, evse.faults) for evse in station.evses.values()))
            for source, (code, text) in known.items()
        ],
        reboot_required=list(station.reboot_required),
        reported=station.restored_rows(),
        **settings,
    )
    stored = msgspec.to_builtins(row)
    listed = station.id in station.context.listed  # then the limits in the file count
    content = {
        key: value
        for key, value in stored.items()
        if (key not in _LIMITS or (value is not None and not listed)) and (key not in _WHERE_ANY or value)
    }
    return station.context.persistence.row(persistence.STATION, station.id, content)


def restore(
    kept: Sequence[Kept], context: Context, stations: dict[str, Station], create: Callable[[str], Station]
) -> None:
    """Restore stored records, oldest first."""
    found: list[Transaction] = []
    removed = _removed(kept, context, stations)
    for one in kept:
        try:
            match one.kind:
                case persistence.STATION if one.key in removed:
                    log.info("%s was removed from the configuration", one.key)
                case persistence.STATION:
                    _station(one, stations, create)
                case persistence.TRANSACTION:
                    found.append(Transaction.from_row(msgspec.json.decode(one.body)))
                case persistence.TOKEN:
                    context.tokens.put(msgspec.json.decode(one.body, type=Token))
                case persistence.RESERVATION:
                    context.reservations.restore(msgspec.json.decode(one.body, type=Reservation))
                case persistence.COUNTER:
                    context.transactions.restore_number(msgspec.json.decode(one.body, type=int))
                case persistence.POLICY:
                    context.unknown_stations = msgspec.json.decode(one.body, type=UnknownStations)
        except (ValueError, TypeError, KeyError, Refusal, msgspec.MsgspecError) as error:
            log.warning("stored %s %s cannot be read and is skipped: %s", one.kind, one.key, error)
    for each in sorted(found, key=lambda transaction: transaction.number):
        context.transactions.restore(each)


def _removed(kept: Sequence[Kept], context: Context, stations: dict[str, Station]) -> frozenset[str]:
    """Return the stations that only an earlier configuration lists, and store what the present one lists."""
    listed = sorted(stations)
    writer, before = context.persistence, frozenset[str]()
    for one in kept:
        if one.kind == persistence.LISTED:
            before = frozenset(msgspec.json.decode(one.body, type=list[str]))
    if before != frozenset(listed):
        removed = [Forgotten(persistence.STATION, name) for name in before.difference(listed)]
        writer.later(writer.row(persistence.LISTED, persistence.CONFIGURED, listed), *removed)
    return before.difference(listed)


def _station(one: Kept, stations: dict[str, Station], create: Callable[[str], Station]) -> None:
    row = msgspec.json.decode(one.body, type=StationRow)
    station = stations.get(one.key)
    if station is None:
        station = create(one.key)
        station.registered = row.registered
    stored = {name: value for name in _OWN if (value := getattr(row, name)) is not None}
    settings = replace(station.settings, registration=row.registration, **stored)
    renewed = row.next_password_hash is not None or row.password_hash != row.configured
    configured = station.configured
    if configured.password is not None and row.configured is not None and renewed:
        configured.hash, configured.unverified = row.configured, True
        settings = replace(settings, password_hash=row.password_hash, next_password_hash=row.next_password_hash)
    elif configured.password is None and configured.hash == row.configured:  # not in the configuration
        settings = replace(settings, password_hash=row.password_hash, next_password_hash=row.next_password_hash)
    station.configure(settings)
    station.restore(row.version, row.boot, row.upkeep, row.reboot_required)
    for number, connectors in row.evses.items():
        station.evse(number).connectors = connectors
    for fault in row.faults:
        faults = station.evse(fault.evse).faults if fault.evse else station.faults
        faults[fault.source] = fault.code, fault.text
    station.restore_variables(row.reported)
    if (units := station.variable("SmartChargingCtrlr", "RateUnit")) is not None:
        allow_units(station, units)
    stations[one.key] = station
