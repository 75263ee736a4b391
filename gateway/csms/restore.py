"""What an earlier life of the gateway kept about stations, tokens, transactions and reservations, taken up again.

A station of the configuration is what the configuration says, but for what OCPP or an operator changed since: a
password that was renewed stands until the one in the configuration changes. A row that another version wrote and this
one cannot read is left out, with a line in the log.
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

_CHANGED_BY_OPERATORS = ("vendor_profile", "security_profile", "registration", "next_security_profile")


def record(station: Station) -> Kept:
    """A station as it stands."""
    settings = station.settings
    row: dict[str, Any] = {
        "registered": station.registered,
        "configured": station.configured,
        "password_hash": settings.password_hash,
        "next_password_hash": settings.next_password_hash,
        **{name: getattr(settings, name) for name in _CHANGED_BY_OPERATORS},
        "version": station.version,
        "boot": None if station.boot is None else asdict(station.boot),
        "evses": {str(evse.number): {str(k): v for k, v in evse.connectors.items()} for evse in station.evses.values()},
        "upkeep": station.upkeep,
    }
    return station.context.ledger.station(station.id, row)


def restore(
    kept: Sequence[Kept], context: Context, stations: dict[str, Station], create: Callable[[str], Station]
) -> None:
    """Take up what was kept, oldest first."""

    def station(one: Kept) -> None:
        _station(one, stations, create)

    found: list[Transaction] = []

    def transaction(one: Kept) -> None:
        found.append(Transaction.of_row(msgspec.json.decode(one.body)))

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

    takers: dict[str, Callable[[Kept], None]] = {
        persistence.STATION: station,
        persistence.TRANSACTION: transaction,
        persistence.TOKEN: token,
        persistence.RESERVATION: reservation,
        persistence.COUNTER: counter,
        persistence.POLICY: policy,
    }
    for one in kept:
        taker = takers.get(one.kind)
        if taker is None:
            continue
        try:
            taker(one)
        except (ValueError, TypeError, KeyError, Refusal, msgspec.MsgspecError) as error:
            log.warning("what was kept as %s %s cannot be read and is left out: %s", one.kind, one.key, error)
    for each in sorted(found, key=lambda transaction: transaction.number):
        context.transactions.restore(each)


def _station(one: Kept, stations: dict[str, Station], create: Callable[[str], Station]) -> None:
    row: dict[str, Any] = msgspec.json.decode(one.body)
    station = stations.get(one.key)
    if station is None:
        station = create(one.key)
        station.registered = bool(row["registered"])
    own = {name: row[name] for name in _CHANGED_BY_OPERATORS if row.get(name) is not None}
    own["registration"] = Registration(own.get("registration", Registration.ACCEPTED))
    if station.configured == row.get("configured"):  # not changed in the configuration since
        own |= {"password_hash": row["password_hash"], "next_password_hash": row["next_password_hash"]}
    boot = None if row["boot"] is None else Boot(**row["boot"])
    version = None if row["version"] is None else Version(row["version"])
    connectors = {
        int(number): {int(k): str(v) for k, v in statuses.items()} for number, statuses in row["evses"].items()
    }
    station.settings = replace(station.settings, **own)
    station.boot, station.version, station.upkeep = boot, version, dict(row.get("upkeep", {}))
    for number, statuses in connectors.items():
        station.evse(number).connectors = statuses
    stations[one.key] = station
