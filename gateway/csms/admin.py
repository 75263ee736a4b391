"""What an operator may see and do with stations: the CSMS's side of the admin API, as plain values.

`gateway/web` speaks HTTP and knows this only by the shape it declares itself (`gateway/web/ports.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gateway.csms import der, security
from gateway.csms.server import STATION_ID, Csms
from gateway.csms.settings import StationSettings
from gateway.csms.station import Station
from gateway.csms.tokens import Token
from gateway.csms.transactions import Transaction
from protocols.ocpp import schema, vendor
from protocols.ocpp.io import Answered, Lost, Refused, TimedOut
from protocols.ocpp.rpc import InvalidPayload, QueueFull, UnknownAction
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.times import parse, stamp

Row = dict[str, Any]
PROFILE_ACTIONS = frozenset({"SetChargingProfile", "ClearChargingProfile", "UpdateDynamicSchedule", "Reset"})
TOKEN_STATUS = frozenset(
    {
        "Accepted",
        "Blocked",
        "ConcurrentTx",
        "Expired",
        "Invalid",
        "NoCredit",
        "NotAllowedTypeEVSE",
        "NotAtThisLocation",
        "NotAtThisTime",
        "Unknown",
    }
)


class NotKnown(LookupError):
    """There is no such station, token, transaction or reservation."""


class NotPossible(ValueError):
    """The request cannot be carried out; `code` is the HTTP status that says so."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Admin:
    """Operations on a CSMS."""

    def __init__(self, csms: Csms) -> None:
        self.csms = csms
        self.context = csms.context

    def protocols(self) -> list[str]:
        """OCPP versions spoken."""
        return [version.value for version in Version]

    # stations

    def stations(self) -> list[Row]:
        """All of them."""
        return [self._station(station) for station in self.csms.stations.values()]

    def station(self, name: str) -> Row:
        """One of them."""
        return self._station(self._find(name))

    def _find(self, name: str) -> Station:
        found = self.csms.stations.get(name)
        if found is None:
            raise NotKnown(f"no station {name}")
        return found

    def _station(self, station: Station) -> Row:
        boot = station.boot
        evses = sorted(station.evses.values(), key=lambda evse: evse.number)
        return {
            "id": station.id,
            "protocol": None if station.version is None else station.version.value,
            "connected": station.connected,
            "registered": station.registered,
            "boot": None
            if boot is None
            else {
                "status": boot.status,
                "vendor": boot.vendor,
                "model": boot.model,
                "serial": boot.serial,
                "firmware": boot.firmware,
                "reason": boot.reason,
                "at": stamp(boot.at),
            },
            "evses": [
                {
                    "evseId": evse.number,
                    "name": evse.name,
                    "operationMode": evse.mode,
                    "fault": evse.fault,
                    "can_discharge": evse.can_discharge,
                    "why_not": evse.why_not or None,
                }
                for evse in evses
            ],
            "connectors": [
                {"evseId": evse.number, "connectorId": number, "status": status}
                for evse in evses
                for number, status in sorted(evse.connectors.items())
            ],
            "der_alarms": dict(station.der_alarms),
            "profile": station.settings.vendor_profile or (station.vendor.name if station.vendor else None),
            "security_profile": station.security_profile
            if station.connected
            else station.settings.security_profile or self.context.settings.security_profile,
        }

    def put_station(self, name: str, changes: Row) -> Row:
        """Register a station or change what is known of it."""
        if STATION_ID.fullmatch(name) is None:
            raise NotPossible(422, "a station id has 1 to 48 of A-Z a-z 0-9 * - _ = + | @ .")
        profile = changes.get("vendor_profile")
        if profile is not None:
            try:
                vendor.find(profile, self.context.settings.vendor_profiles)
            except vendor.BadProfile as error:
                raise NotPossible(422, str(error)) from error
        known = self.csms.stations.get(name)
        settings = known.settings if known is not None else StationSettings(name)
        password = changes.get("basic_auth_password")
        if password is not None:
            settings = replace(settings, password_hash=security.hashed(password))
        if "vendor_profile" in changes:
            settings = replace(settings, vendor_profile=profile)
        if changes.get("security_profile") is not None:
            settings = replace(settings, security_profile=changes["security_profile"])
        return self._station(self.csms.register(settings))

    async def delete_station(self, name: str) -> None:
        """Forget a station; its connection is closed."""
        if not await self.csms.remove(name):
            raise NotKnown(f"no station {name}")

    async def call(self, name: str, action: str, payload: Payload, timeout_s: float) -> Row:
        """Send one OCPP call as it is given, and what came of it."""
        station = self._find(name)
        if not station.connected or station.version is None:
            raise NotPossible(409, f"{name} is not connected")
        if action not in schema.actions(station.version):
            raise NotPossible(501, f"OCPP {station.version.number} has no {action}")
        try:
            reply = await station.call_as_given(action, payload, timeout_s)
        except UnknownAction as error:
            raise NotPossible(501, str(error)) from error
        except InvalidPayload as error:
            raise NotPossible(422, str(error)) from error
        except QueueFull as error:
            raise NotPossible(503, str(error)) from error
        if isinstance(reply, Answered):
            self._notice(station, action, payload, reply.payload)
            return {"type": "result", "payload": reply.payload, "valid": reply.violation is None}
        if isinstance(reply, Refused):
            return {
                "type": "error",
                "code": reply.code,
                "description": reply.description,
                "details": reply.details,
            }
        assert isinstance(reply, TimedOut | Lost)
        return {"type": "timeout" if isinstance(reply, TimedOut) else "disconnected"}

    def _notice(self, station: Station, action: str, payload: Payload, answer: Payload) -> None:
        """What a call past the core changes in what we believe."""
        if answer.get("status") != "Accepted":
            return
        if action in ("SetDERControl", "ClearDERControl"):
            station.later(der.learn_cap(station))
        if action in PROFILE_ACTIONS:
            for evse in station.evses.values():
                evse.installed, evse.safe = None, False
        elif action == "ReserveNow":
            number = payload.get("reservationId", payload.get("id"))
            expiry = parse(payload.get("expiryDate", payload.get("expiryDateTime")))
            self.context.reservations.accepted(station.id, int(number or 0), expiry)
        elif action == "CancelReservation":
            self.context.reservations.ended(station.id, payload["reservationId"], "CANCELLED")

    # transactions

    def transactions(self, name: str, token: str | None, active: bool | None, limit: int) -> list[Row]:
        """Those of a station, newest first."""
        self._find(name)
        found = self.context.transactions.of(name, token, active)
        return [self._transaction(one) for one, _ in zip(found, range(limit), strict=False)]

    def transaction(self, ref: str) -> Row:
        """One of them."""
        found = self.context.transactions.by_ref(ref)
        if found is None:
            raise NotKnown(f"no transaction {ref}")
        return self._transaction(found)

    def _transaction(self, one: Transaction) -> Row:
        def since(now: float | None, start: float | None) -> float | None:
            return None if now is None or start is None else now - start

        station = self.csms.stations.get(one.station)
        number = station is not None and station.version is Version.V16 and one.id.isdecimal()
        return {
            "ref": one.ref,
            "station": one.station,
            "transactionId": int(one.id) if number else one.id,
            "idToken": one.id_token,
            "evseId": one.evse,
            "connectorId": one.connector,
            "startedAt": None if one.started_at is None else stamp(one.started_at),
            "stoppedAt": None if one.stopped_at is None else stamp(one.stopped_at),
            "stopReason": one.stop_reason,
            "operationMode": one.operation_mode,
            "chargingState": one.charging_state,
            "energy_charged_wh": since(one.energy_charged_wh, one.meter_start_wh),
            "energy_discharged_wh": since(one.energy_discharged_wh, one.meter_start_out_wh),
        }

    def close_stale(self, name: str, silent_s: float) -> int:
        """End what still runs in our book and has been silent for so long; if it speaks again, it runs again."""
        station, before = self._find(name), self.context.clock.wall() - silent_s
        stale = [one for one in self.context.transactions.active_of(name) if one.heard_at <= before]
        for one in stale:
            station.presume_ended(one, "closed by an operator")
        return len(stale)

    # tokens

    def tokens(self) -> list[Row]:
        """All of them."""
        return [self._token(token) for token in self.context.tokens]

    def token(self, name: str) -> Row:
        """One of them."""
        found = self.context.tokens.get(name)
        if found is None:
            raise NotKnown(f"no token {name}")
        return self._token(found)

    def _token(self, token: Token) -> Row:
        return {
            "idToken": token.id,
            "status": token.status,
            "type": token.type,
            "expiry": None if token.expiry is None else stamp(token.expiry),
            "parent": token.parent,
            "allowed_energy_transfer": list(token.energy_transfer),
        }

    def put_token(self, name: str, about: Row) -> Row:
        """Add or replace a token."""
        if about["status"] not in TOKEN_STATUS:
            raise NotPossible(422, f"status is one of {', '.join(sorted(TOKEN_STATUS))}")
        expiry = about.get("expiry")
        if expiry is not None and parse(expiry) is None:
            raise NotPossible(422, "expiry is a date-time such as 2026-01-31T12:00:00Z")
        token = Token(
            name,
            about["status"],
            about.get("type") or "Central",
            parse(expiry),
            about.get("parent"),
            tuple(about.get("allowed_energy_transfer") or ()),
        )
        self.context.tokens.put(token)
        return self._token(token)

    def delete_token(self, name: str) -> None:
        """Forget a token."""
        if not self.context.tokens.remove(name):
            raise NotKnown(f"no token {name}")

    # reservations, messages, violations

    def reservations(self, name: str, limit: int) -> list[Row]:
        """Those of a station, newest first."""
        self._find(name)
        found = self.context.reservations.of(name, self.context.clock.wall())[:limit]
        return [{"ref": one.ref, "status": one.status} for one in found]

    def reservation(self, ref: str) -> Row:
        """One of them."""
        found = self.context.reservations.get(ref, self.context.clock.wall())
        if found is None:
            raise NotKnown(f"no reservation {ref}")
        return {"ref": found.ref, "status": found.status}

    def messages(self, station: str | None, action: str | None, limit: int) -> list[Row]:
        """Calls of stations, newest first."""
        rows = []
        for heard in reversed(self.context.heard):
            if station not in (None, heard.station) or action not in (None, heard.action):
                continue
            rows.append({"t": heard.t, "station": heard.station, "action": heard.action, "payload": heard.payload})
            if len(rows) >= limit:
                break
        return rows

    def violations(self, station: str | None) -> list[Row]:
        """Messages that broke a rule, newest first."""
        return [
            {
                "t": breach.t,
                "station": breach.station,
                "direction": "sent" if breach.ours else "received",
                "action": breach.action,
                "code": breach.code,
                "text": breach.text,
            }
            for breach in reversed(self.context.breaches)
            if station in (None, breach.station)
        ]
