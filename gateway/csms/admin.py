"""What an operator may see and do with stations: the CSMS's side of the admin API, as plain values.

`gateway/web` speaks HTTP and knows this only by the shape it declares itself (`gateway/web/ports.py`).
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from gateway.csms import admin_views, credentials, evse_events, raw_call_effects, registration, restore, security
from gateway.csms.csms import Csms
from gateway.csms.persistence import STATION, TOKEN
from gateway.csms.settings import Registration, StationSettings, UnknownStations
from gateway.csms.station import Station
from gateway.csms.tokens import Token
from gateway.csms.websocket_server import STATION_ID
from gateway.model.journal import Record
from gateway.store.ports import StoreError
from protocols.ocpp import schema, vendor
from protocols.ocpp.link import Answered, Lost, Refused, TimedOut
from protocols.ocpp.rpc import InvalidPayload, QueueFull, UnknownAction
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.times import parse

Row = dict[str, Any]
TOKEN_LENGTH = 255  # of 2.1; 1.6 takes 20, 2.0.1 36
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
        return [admin_views.station(station) for station in self.csms.stations.values()]

    def station(self, name: str) -> Row:
        """One of them."""
        return admin_views.station(self._find(name))

    def _find(self, name: str) -> Station:
        found = self.csms.stations.get(name)
        if found is None:
            raise NotKnown(f"no station {name}")
        return found

    async def put_station(self, name: str, changes: Row) -> Row:
        """Register a station or change what is known of it; it is written down first. What is null is taken away."""
        if STATION_ID.fullmatch(name) is None:
            raise NotPossible(422, "a station id has 1 to 48 of A-Z a-z 0-9 * - _ = + | @ .")
        profile = changes.get("vendor_profile")
        if profile is not None:
            try:
                vendor.find(profile, self.context.settings.vendor_profiles)
            except vendor.BadProfile as error:
                raise NotPossible(422, str(error)) from error
        known = self.csms.stations.get(name)
        before = known.settings if known is not None else StationSettings(name)
        changed: Row = {key: changes[key] for key in ("vendor_profile", "security_profile") if key in changes}
        if changes.get("registration") is not None:
            changed["registration"] = Registration(changes["registration"])
        if "basic_auth_password" in changes:
            password = changes["basic_auth_password"]
            hashed = None if password is None else await asyncio.to_thread(security.hashed, password)
            changed |= {"password_hash": hashed, "next_password_hash": None}
        settings = replace(before, **changed)
        fresh = Station(name, settings, self.context, registered=True)  # what is written: nothing is changed yet
        if known is not None:
            fresh.configured, fresh.boot, fresh.version = known.configured, known.boot, known.version
            fresh.evses, fresh.upkeep = known.evses, known.upkeep
        await self._keep(restore.record(fresh))
        station = self.csms.register(settings)
        self._ask_to_boot(station)
        return admin_views.station(station)

    def _ask_to_boot(self, station: Station) -> None:
        """A boot is what tells a station that it is taken in, or no more."""
        status = registration.status_of(station.settings, station.registered, self.context)
        if station.link is not None and station.boot is not None and station.boot.status != status:
            station.ask_for_boot()

    async def delete_station(self, name: str) -> None:
        """Forget a station; its connection is closed. One of the configuration is back after a restart."""
        self._find(name)
        await self._keep(self.context.ledger.forgotten(STATION, name))
        await self.csms.remove(name)

    def registration(self) -> Row:
        """What happens to stations that nobody registered."""
        return {"unknown_stations": self.context.unknown_stations.value}

    async def put_registration(self, changes: Row) -> Row:
        """Change it, until it is changed again."""
        policy = UnknownStations(changes["unknown_stations"])
        await self._keep(self.context.ledger.policy(policy.value))
        self.context.unknown_stations = policy
        for station in self.csms.stations.values():
            self._ask_to_boot(station)
        return self.registration()

    @staticmethod
    def without_secrets(action: str, payload: Payload) -> Payload:
        """A payload as it may stand in the journal."""
        return credentials.without_secrets(action, payload)

    async def _keep(self, *records: Record) -> None:
        try:
            await self.context.ledger.keep(*records)
        except StoreError as error:
            raise NotPossible(503, f"nothing was changed, for it cannot be written down: {error}") from None

    def _version(self, name: str) -> Version | None:
        station = self.csms.stations.get(name)
        return None if station is None else station.version

    async def call(self, name: str, action: str, payload: Payload, timeout_s: float) -> Row:
        """Send one OCPP call as it is given, and what came of it."""
        station = self._find(name)
        if not station.connected or station.version is None:
            raise NotPossible(409, f"{name} is not connected")
        if action not in schema.actions(station.version):
            raise NotPossible(501, f"OCPP {station.version.number} has no {action}")
        why = registration.forbidden(station.boot, action)
        if why is not None:
            raise NotPossible(409, why)
        password = credentials.told_in(action, payload)
        try:
            if password is not None:
                await self.csms.credentials.stage(station, password)
            reply = await station.call_as_given(action, payload, timeout_s)
        except StoreError as error:
            raise NotPossible(503, f"nothing was sent, for it cannot be written down: {error}") from None
        except UnknownAction as error:
            raise NotPossible(501, str(error)) from error
        except InvalidPayload as error:
            raise NotPossible(422, str(error)) from error
        except QueueFull as error:
            raise NotPossible(503, str(error)) from error
        if password is not None and isinstance(reply, Answered | Refused):
            await self.csms.credentials.settle(station, credentials.taken_in(reply))
        if isinstance(reply, Answered):
            raw_call_effects.notice(station, action, payload, reply.payload)
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

    # transactions

    def transactions(self, name: str, token: str | None, active: bool | None, limit: int) -> list[Row]:
        """Those of a station, newest first."""
        self._find(name)
        found = self.context.transactions.of(name, token, active)
        return [
            admin_views.transaction(one, self._version(one.station))
            for one, _ in zip(found, range(limit), strict=False)
        ]

    def transaction(self, ref: str) -> Row:
        """One of them."""
        found = self.context.transactions.by_ref(ref)
        if found is None:
            raise NotKnown(f"no transaction {ref}")
        return admin_views.transaction(found, self._version(found.station))

    def close_stale(self, name: str, silent_s: float) -> int:
        """End what still runs in our book and has been silent for so long; if it speaks again, it runs again."""
        station, before = self._find(name), self.context.clock.wall() - silent_s
        stale = [one for one in self.context.transactions.active_of(name) if one.heard_at <= before]
        for one in stale:
            evse_events.presume_ended(station, one, "closed by an operator")
        return len(stale)

    # tokens

    def tokens(self) -> list[Row]:
        """All of them."""
        return [admin_views.token(token, self.context.clock.wall()) for token in self.context.tokens]

    def token(self, name: str) -> Row:
        """One of them."""
        found = self.context.tokens.get(name)
        if found is None:
            raise NotKnown(f"no token {name}")
        return admin_views.token(found, self.context.clock.wall())

    async def put_token(self, name: str, about: Row) -> Row:
        """Add or replace a token; it is written down first."""
        if not 0 < len(name) <= TOKEN_LENGTH:
            raise NotPossible(422, f"an idToken has 1 to {TOKEN_LENGTH} characters")
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
        await self._keep(self.context.ledger.token(token))
        self.context.tokens.put(token)
        self.csms.tokens_changed()
        return admin_views.token(token, self.context.clock.wall())

    async def delete_token(self, name: str) -> None:
        """Forget a token."""
        if self.context.tokens.get(name) is None:
            raise NotKnown(f"no token {name}")
        await self._keep(self.context.ledger.forgotten(TOKEN, name.casefold()))
        self.context.tokens.remove(name)
        self.csms.tokens_changed()

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
        found: list[Row] = []
        for heard in reversed(self.context.heard):
            if station not in (None, heard.station) or action not in (None, heard.action):
                continue
            found.append({"t": heard.t, "station": heard.station, "action": heard.action, "payload": heard.payload})
            if len(found) >= limit:
                break
        return found

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
