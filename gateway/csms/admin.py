"""The CSMS's side of the admin API: an operator's view of stations, and the changes that he can make.

`gateway/web` depends on the protocols of `gateway/web/ports.py`, which `Admin` and its `operations` implement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Protocol

from gateway.csms import admin_views, evse_events, payload_secrets, registration, restore
from gateway.csms.admin_views import Row
from gateway.csms.admission import STATION_ID
from gateway.csms.csms import Csms
from gateway.csms.errors import RequestRejected, existing
from gateway.csms.message_log import Direction, Kind
from gateway.csms.operations import Operations
from gateway.csms.persistence import POLICY, STATION, TOKEN, UNKNOWN_STATIONS
from gateway.csms.registration import canonical
from gateway.csms.settings import Registration, StationSettings, UnknownStations
from gateway.csms.station import Station
from gateway.csms.tokens import CENTRAL, Status, Token
from gateway.model.journal import Forgotten, Record
from gateway.store.store import StoreError
from protocols.ocpp import vendor
from protocols.ocpp.events import Answered, Lost, Refused, TimedOut
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.times import parse

STATION_KEYS = ("vendor_profile", "security_profile", "max_charge_w", "max_discharge_w", "fallback_limit_w")
TOKEN_LENGTH = 255  # of 2.1; 1.6 permits 20, 2.0.1 36
TOKEN_STATUS = frozenset(status.value for status in Status)


class OtherSessions(Protocol):
    """Sessions of EVSEs without a station, as rows of transactions."""

    def hosts(self, name: str) -> bool: ...

    def rows(self, evse: str | None, token: str | None, active: bool | None) -> Iterator[Mapping[str, object]]:
        """Yield them, newest first."""

    def row(self, ref: str) -> Mapping[str, object] | None: ...


class Admin:
    """Views and changes of a CSMS. Raises NotFound, or RequestRejected with an HTTP status."""

    def __init__(self, csms: Csms, others: OtherSessions | None = None) -> None:
        """`others`: sessions that are listed beside the transactions of stations."""
        self.csms, self._others = csms, others
        self.context = csms.context
        self.operations = Operations(csms)

    def protocols(self) -> list[str]:
        """Return the supported OCPP versions."""
        return [version.value for version in Version]

    # stations

    def stations(self) -> list[Row]:
        """Return all stations."""
        return [admin_views.station(station) for station in self.csms.stations.values()]

    def station(self, name: str) -> Row:
        """Return one station."""
        return admin_views.station(self.operations.find(name))

    async def put_station(self, name: str, changes: Row) -> Row:
        """Register a station or change its settings, stored first. A null removes the setting."""
        if STATION_ID.fullmatch(name) is None:
            raise RequestRejected(422, "a station id has 1 to 48 of A-Z a-z 0-9 * - _ = + | @ .")
        if name.casefold() in self.csms.settings.reserved:
            raise RequestRejected(409, f"{name} is an EVSE that the gateway hosts itself (evses)")
        name = canonical(self.csms.stations, name)
        profile = changes.get("vendor_profile")
        if profile is not None:
            try:
                vendor.find(profile, self.context.settings.vendor_profiles)
            except vendor.BadProfile as error:
                raise RequestRejected(422, str(error)) from error
        known = self.csms.stations.get(name)
        before = known.settings if known is not None else StationSettings(name)
        changed: Row = {key: changes[key] for key in STATION_KEYS if key in changes}
        if changes.get("registration") is not None:
            changed["registration"] = Registration(changes["registration"])
        if "basic_auth_password" in changes:
            password = changes["basic_auth_password"]
            hashed = None if password is None else await self.csms.credentials.hash(password)
            changed |= {"password_hash": hashed, "next_password_hash": None, "password": None}
            if known is not None:
                await self.csms.credentials.hash_configured(known)
        settings = replace(before, **changed)
        stored = self.csms.create(name, settings)  # a copy for the record: the station changes after it is stored
        stored.registered = True
        if known is not None:
            stored.copy_state(known)
        await self._keep(restore.record(stored))
        station = self.csms.register(settings)
        station.describe_all()
        self._trigger_boot(station)
        return admin_views.station(station)

    def _trigger_boot(self, station: Station) -> None:
        """Trigger a BootNotification of a station whose status changed: the response has the new one."""
        status = registration.status_of(station.settings, station.registered, self.context.unknown_stations)
        if station.link is not None and station.boot is not None and station.boot.status != status:
            station.trigger_boot()

    async def delete_station(self, name: str) -> None:
        """Remove a station and close its connection. One of the configuration returns with a restart."""
        station = self.operations.find(name)
        await self._keep(Forgotten(STATION, station.id))
        await self.csms.remove(station.id)

    def registration(self) -> Row:
        """Return the policy for unknown stations."""
        return {"unknown_stations": self.context.unknown_stations.value}

    async def put_registration(self, changes: Row) -> Row:
        """Change the policy for unknown stations, stored first."""
        policy = UnknownStations(changes["unknown_stations"])
        await self._keep(self.context.persistence.row(POLICY, UNKNOWN_STATIONS, policy.value))
        self.context.unknown_stations = policy
        for station in self.csms.stations.values():
            self._trigger_boot(station)
        return self.registration()

    without_secrets = staticmethod(payload_secrets.without_secrets)

    async def _keep(self, *records: Record) -> None:
        try:
            await self.context.persistence.keep(*records)
        except StoreError as error:
            raise RequestRejected(503, f"nothing was changed, because it cannot be stored: {error}") from None

    # raw calls

    async def call(self, name: str, action: str, payload: Payload, timeout_s: float) -> Row:
        """Send one OCPP call verbatim and return its result."""
        reply = await self.operations.send(name, action, payload, timeout_s)
        if isinstance(reply, Answered):
            return {"type": "result", "payload": reply.payload, "valid": reply.violation is None}
        if isinstance(reply, Refused):
            return {"type": "error", "code": reply.code, "description": reply.description, "details": reply.details}
        assert isinstance(reply, TimedOut | Lost)
        return {"type": "timeout" if isinstance(reply, TimedOut) else "disconnected"}

    # transactions

    def transactions(self, name: str | None, token: str | None, active: bool | None, limit: int) -> list[Row]:
        """Return the transactions of a station, or of all stations and other EVSEs, newest first."""
        others = self._others
        rows = [] if others is None else list(map(dict, islice(others.rows(name, token, active), limit)))
        if name is not None and others is not None and others.hosts(name):
            return rows
        station = None if name is None else self.operations.find(name).id
        found = islice(self.context.transactions.of(station, token, active), limit)
        listed = [admin_views.transaction(one, self._version_of(one.station)) for one in found]
        if not rows:
            return listed
        return sorted([*listed, *rows], key=lambda row: str(row["startedAt"] or ""), reverse=True)[:limit]

    def _version_of(self, name: str) -> Version | None:
        station = self.csms.stations.get(name)
        return None if station is None else station.version

    def transaction(self, ref: str) -> Row:
        """Return one transaction."""
        other = None if self._others is None else self._others.row(ref)
        if other is not None:
            return dict(other)
        found = existing(self.context.transactions.by_ref(ref), f"transaction {ref}")
        return admin_views.transaction(found, self._version_of(found.station))

    def close_stale(self, name: str, silent_s: float) -> int:
        """End active transactions without a message for `silent_s`, and return their number; a message resumes one."""
        station, before = self.operations.find(name), self.context.clock.wall() - silent_s
        stale = [one for one in self.context.transactions.active_of(name) if one.last_message_at <= before]
        for one in stale:
            evse_events.presume_ended(station, one, "closed by an operator")
        return len(stale)

    # tokens

    def tokens(self) -> list[Row]:
        """Return all tokens."""
        return [admin_views.token(token, self.context.clock.wall()) for token in self.context.tokens]

    def token(self, name: str) -> Row:
        """Return one token."""
        return admin_views.token(existing(self.context.tokens.get(name), f"token {name}"), self.context.clock.wall())

    async def put_token(self, name: str, content: Row) -> Row:
        """Add or replace a token, stored first."""
        if not 0 < len(name) <= TOKEN_LENGTH:
            raise RequestRejected(422, f"an idToken has 1 to {TOKEN_LENGTH} characters")
        if content["status"] not in TOKEN_STATUS:
            raise RequestRejected(422, f"status is one of {', '.join(sorted(TOKEN_STATUS))}")
        expiry = content.get("expiry")
        if expiry is not None and parse(expiry) is None:
            raise RequestRejected(422, "expiry is a date-time such as 2026-01-31T12:00:00Z")
        token = Token(
            name,
            content["status"],
            content.get("type") or CENTRAL,
            parse(expiry),
            content.get("parent"),
            tuple(content.get("allowed_energy_transfer") or ()),
        )
        await self._keep(self.context.persistence.token(token))
        self.context.tokens.put(token)
        self.csms.tokens_changed()
        return admin_views.token(token, self.context.clock.wall())

    async def delete_token(self, name: str) -> None:
        """Remove a token."""
        existing(self.context.tokens.get(name), f"token {name}")
        await self._keep(Forgotten(TOKEN, name.casefold()))
        self.context.tokens.remove(name)
        self.csms.tokens_changed()

    # reservations, messages, violations

    def reservations(self, name: str | None, limit: int) -> list[Row]:
        """Return the reservations of a station, or of all stations, newest first."""
        station = None if name is None else self.operations.find(name).id
        found = self.context.reservations.of(station, self.context.clock.wall())[:limit]
        return [admin_views.reservation(one) for one in found]

    def reservation(self, ref: str) -> Row:
        """Return one reservation."""
        found = self.context.reservations.get(ref, self.context.clock.wall())
        return admin_views.reservation(existing(found, f"reservation {ref}"))

    def messages(
        self,
        station: str | None,
        action: str | None,
        limit: int,
        direction: str | None = None,
        kind: str | None = Kind.CALL,
    ) -> list[Row]:
        """Return messages, newest first: calls in both directions, or those of a direction and kind."""
        name = None if station is None else canonical(self.csms.stations, station)
        wanted = None if direction is None else Direction(direction)
        found = self.context.log.newest(name, action, wanted, None if kind is None else Kind(kind))
        return [admin_views.message(*one) for one in islice(found, limit)]

    def security_events(self, station: str | None, limit: int) -> list[Row]:
        """Return security events, newest first."""
        name = None if station is None else canonical(self.csms.stations, station)
        found = (one for one in reversed(self.context.security.recent) if name in (None, one.station))
        return [admin_views.security_event(one) for one in islice(found, limit)]

    def violations(self, station: str | None) -> list[Row]:
        """Return messages that broke a rule of OCPP, newest first."""
        name = None if station is None else canonical(self.csms.stations, station)
        return [admin_views.violation(one) for one in reversed(self.context.violations) if name in (None, one.station)]
