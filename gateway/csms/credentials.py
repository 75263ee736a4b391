"""Passwords of stations: whether one is right, and how a new one gets to a station without locking it out (A01).

A new password is on disk before the station is told, and both are right until it is known which one the station has:
it said Accepted, it refused, or it came in with the new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import os
from dataclasses import replace

from gateway.csms import charging_profile, restore, security
from gateway.csms.persistence import CsmsPersistence
from gateway.csms.station import Station
from gateway.model.station import Answer, Outcome
from gateway.store.ports import StoreError
from protocols.ocpp.link import Answered, Reply
from protocols.ocpp.schema import Payload, Version


class Credentials:
    """Of all stations."""

    def __init__(self, ledger: CsmsPersistence) -> None:
        self._ledger = ledger
        self._believed: dict[str, bytes] = {}  # the last password that was right, keyed: scrypt once, not every time
        self._key = os.urandom(32)

    def forget(self, station: str) -> None:
        """What was right may not be so any more."""
        self._believed.pop(station, None)

    async def right(self, station: Station, given: bytes) -> bool:
        """Whether a password is one of the station's. One that is first used now takes the place of the old one."""
        kept, coming = station.settings.password_hash, station.settings.next_password_hash
        mark = hmac.digest(self._key, given, hashlib.sha256)
        believed = self._believed.get(station.id)
        if kept is not None and believed is not None and hmac.compare_digest(mark, believed):
            return True
        if coming is not None and await asyncio.to_thread(_matches, given, coming):
            await self.settle(station, taken=True)
        elif kept is None or not await asyncio.to_thread(_matches, given, kept):
            return False
        self._believed[station.id] = mark
        return True

    async def renew(self, station: Station) -> Outcome:
        """Give the station a password that nobody else knows."""
        password = security.fresh_key() if station.version is Version.V16 else security.fresh_password()
        try:
            await self.stage(station, password)
        except StoreError as error:
            return Outcome(Answer.REFUSED, "NotKept", str(error))
        if station.version is Version.V16:
            body: Payload = {"key": "AuthorizationKey", "value": password}
            outcome = charging_profile.read_status(await station.call("ChangeConfiguration", body))
        else:
            entry = {
                "attributeValue": password,
                "component": {"name": "SecurityCtrlr"},
                "variable": {"name": "BasicAuthPassword"},
            }
            outcome = charging_profile.read_set(await station.call("SetVariables", {"setVariableData": [entry]}))
        if outcome.answer is not Answer.UNKNOWN:
            await self.settle(station, outcome.answer is Answer.APPLIED)
        return outcome

    async def stage(self, station: Station, password: str) -> None:
        """A station is about to be told this password. StoreError where that cannot be written down."""
        before = station.settings
        hashed = await asyncio.to_thread(security.hashed, password)
        station.settings = replace(station.settings, next_password_hash=hashed)
        try:
            await self._ledger.keep(restore.record(station))
        except StoreError:
            station.settings = before
            raise

    async def settle(self, station: Station, taken: bool) -> None:
        """The station has taken the new password, or has refused it."""
        settings = station.settings
        if settings.next_password_hash is None:
            return
        now = settings.next_password_hash if taken else settings.password_hash
        station.settings = replace(settings, password_hash=now, next_password_hash=None)
        self.forget(station.id)
        station.save()


def _matches(given: bytes, kept: str) -> bool:
    """As the text it is, or as the hexadecimal that 1.6's AuthorizationKey is written down in."""
    spellings = [given.hex(), given.hex().upper()]
    with contextlib.suppress(UnicodeDecodeError):
        spellings.insert(0, given.decode())
    return any(security.matches(one, kept) for one in spellings)


def told_in(action: str, payload: Payload) -> str | None:
    """The password that a call gives to a station, or None."""
    if action == "ChangeConfiguration" and payload.get("key") == "AuthorizationKey":
        return str(payload.get("value", ""))
    if action == "SetVariables":
        for entry in payload.get("setVariableData", ()):
            if isinstance(entry, dict) and _names_password(entry):
                return str(entry.get("attributeValue", ""))
    return None


def without_secrets(action: str, payload: Payload) -> Payload:
    """A payload as it may stand in a journal."""
    if action == "ChangeConfiguration" and payload.get("key") == "AuthorizationKey":
        return {**payload, "value": HIDDEN}
    if action == "SetVariables" and isinstance(payload.get("setVariableData"), list):
        entries = payload["setVariableData"]
        shown = [{**one, "attributeValue": HIDDEN} if _names_password(one) else one for one in entries]
        return {**payload, "setVariableData": shown}
    if action == "SetNetworkProfile" and isinstance(payload.get("connectionData"), dict):
        data = {
            name: HIDDEN if name in ("basicAuthPassword", "apn", "vpn") else value
            for name, value in payload["connectionData"].items()
        }
        return {**payload, "connectionData": data}
    return payload


HIDDEN = "***"


def _names_password(entry: object) -> bool:
    if not isinstance(entry, dict):
        return False
    component, variable = entry.get("component"), entry.get("variable")
    return (
        isinstance(component, dict)
        and isinstance(variable, dict)
        and component.get("name") == "SecurityCtrlr"
        and variable.get("name") == "BasicAuthPassword"
    )


def taken_in(reply: Reply) -> bool:
    """Whether the station took the password it was told."""
    if not isinstance(reply, Answered):
        return False
    for result in reply.payload.get("setVariableResult", ()):
        if _names_password(result):
            return bool(result.get("attributeStatus") in ("Accepted", "RebootRequired"))
    return reply.payload.get("status") in ("Accepted", "RebootRequired")
