"""Restores stations, tokens, transactions and reservations after a restart of the gateway.

A station of the configuration keeps what OCPP or an operator changed since: a renewed password is valid until the one
in the configuration changes. A row of another version that cannot be read is skipped with a warning.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import msgspec

from gateway.csms import persistence
from gateway.csms.context import Context
from gateway.csms.registration import Boot
from gateway.csms.reservations import Reservation
from gateway.csms.settings import Registration, UnknownStations
from gateway.csms.station import Station
from gateway.csms.tokens import Token
from gateway.csms.transactions import Transaction
from gateway.model.journal import Kept
from protocols.ocpp.rpc import Refusal
from protocols.ocpp.schema import Version

log = logging.getLogger("v2x.csms")

_OPERATOR_FIELDS = ("vendor_profile", "security_profile", "registration", "next_security_profile")


def record(station: Station) -> Kept:
    """Return the record of a station."""
    settings = station.settings
    row: dict[str, Any] = {
        "registered": station.registered,
        "configured": station.configured,
        "password_hash": settings.password_hash,
        "next_password_hash": settings.next_password_hash,
        **{name: getattr(settings, name) for name in _OPERATOR_FIELDS},
        "version": station.version,
        "boot": None if station.boot is None else asdict(station.boot),
        "evses": {str(evse.number): {str(k): v for k, v in evse.connectors.items()} for evse in station.evses.values()},
        "upkeep": station.maintenance,
    }
    return station.context.persistence.station(station.id, row)


def restore(
    kept: Sequence[Kept], context: Context, stations: dict[str, Station], create: Callable[[str], Station]
) -> None:
    """Restore stored records, oldest first."""

    def station(one: Kept) -> None:
        _station(one, stations, create)

    found: list[Transaction] = []

    def transaction(one: Kept) -> None:
        found.append(Transaction.from_row(msgspec.json.decode(one.body)))

    def token(one: Kept) -> None:
        context.tokens.put(msgspec.json.decode(one.body, type=Token))

    def reservation(one: Kept) -> None:
        context.reservations.restore(msgspec.json.decode(one.body, type=Reservation))

    def counter(one: Kept) -> None:
        context.transactions.last_number = max(
            context.transactions.last_number, msgspec.json.decode(one.body, type=int)
        )

    def policy(one: Kept) -> None:
        context.unknown_stations = UnknownStations(msgspec.json.decode(one.body, type=str))

    readers: dict[str, Callable[[Kept], None]] = {
        persistence.STATION: station,
        persistence.TRANSACTION: transaction,
        persistence.TOKEN: token,
        persistence.RESERVATION: reservation,
        persistence.COUNTER: counter,
        persistence.POLICY: policy,
    }
    for one in kept:
        reader = readers.get(one.kind)
        if reader is None:
            continue
        try:
            reader(one)
        except (ValueError, TypeError, KeyError, Refusal, msgspec.MsgspecError) as error:
            log.warning("stored %s %s cannot be read and is skipped: %s", one.kind, one.key, error)
    for each in sorted(found, key=lambda transaction: transaction.number):
        context.transactions.restore(each)


def _station(one: Kept, stations: dict[str, Station], create: Callable[[str], Station]) -> None:
    row: dict[str, Any] = msgspec.json.decode(one.body)
    station = stations.get(one.key)
    if station is None:
        station = create(one.key)
        station.registered = bool(row["registered"])
    own = {name: row[name] for name in _OPERATOR_FIELDS if row.get(name) is not None}
    own["registration"] = Registration(own.get("registration", Registration.ACCEPTED))
    if station.configured == row.get("configured"):  # unchanged in the configuration
        own |= {"password_hash": row["password_hash"], "next_password_hash": row["next_password_hash"]}
    boot = None if row["boot"] is None else Boot(**row["boot"])
    version = None if row["version"] is None else Version(row["version"])
    connectors = {
        int(number): {int(k): str(v) for k, v in statuses.items()} for number, statuses in row["evses"].items()
    }
    station.settings = replace(station.settings, **own)
    station.boot, station.version, station.maintenance = boot, version, dict(row.get("upkeep", {}))
    for number, statuses in connectors.items():
        station.evse(number).connectors = statuses
    stations[one.key] = station
