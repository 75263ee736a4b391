"""Credentials of all stations: verification, and renewal of a password without locking the station out (A01).

A new password is stored before it is sent. Both are valid until one is confirmed: by an Accepted, by a rejection, or by
a connection with the new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import os
from dataclasses import replace

from gateway.csms import outcomes, passwords, restore
from gateway.csms.pending_settings import REBOOT_REQUIRED
from gateway.csms.persistence import CsmsPersistence
from gateway.csms.station import Station
from gateway.model.station import Answer, Outcome
from gateway.store.store import StoreError
from protocols.ocpp.schema import Version


class Credentials:
    """Passwords of all stations."""

    def __init__(self, persistence: CsmsPersistence) -> None:
        self._persistence = persistence
        self._verified: dict[str, bytes] = {}  # keyed digest of the last valid password, to run scrypt once
        self._key = os.urandom(32)

    def discard(self, station: str) -> None:
        """Discard the cached verification of a station whose password changed."""
        self._verified.pop(station, None)

    async def verify(self, station: Station, given: bytes) -> bool:
        """Return True for a valid password of the station. The first use of a pending one replaces the former."""
        stored, pending = station.settings.password_hash, station.settings.next_password_hash
        mark = hmac.digest(self._key, given, hashlib.sha256)
        verified = self._verified.get(station.id)
        if stored is not None and verified is not None and hmac.compare_digest(mark, verified):
            return True
        if pending is not None and await asyncio.to_thread(_verify_spellings, given, pending):
            await self.settle(station, accepted=True)
        elif stored is None or not await asyncio.to_thread(_verify_spellings, given, stored):
            return False
        self._verified[station.id] = mark
        return True

    async def renew(self, station: Station) -> Outcome:
        """Set a new random password at the station. Raises StoreError if it cannot be stored first."""
        early = station.version is Version.V16
        password = passwords.new_authorization_key() if early else passwords.new_password()
        await self.stage(station, password)
        if early:
            outcome = await outcomes.of_key(station, "AuthorizationKey", password)
        else:
            outcome = await outcomes.of_variable(station, {"name": "SecurityCtrlr"}, "BasicAuthPassword", password)
        if outcome.code == REBOOT_REQUIRED:  # until its boot the station uses the former one
            return Outcome(Answer.APPLIED, outcome.code, "the station uses the new password after its next boot")
        if outcome.answer is not Answer.UNKNOWN:
            await self.settle(station, outcome.answer is Answer.APPLIED)
        return outcome

    async def stage(self, station: Station, password: str) -> None:
        """Store a password that is about to be sent to the station. Raises StoreError."""
        before = station.settings
        hashed = await asyncio.to_thread(passwords.hash_password, password)
        station.settings = replace(station.settings, next_password_hash=hashed)
        try:
            await self._persistence.keep(restore.record(station))
        except StoreError:
            station.settings = before
            raise

    async def settle(self, station: Station, accepted: bool) -> None:
        """Confirm the pending password, or discard it where the station rejected it."""
        settings = station.settings
        if settings.next_password_hash is None:
            return
        valid = settings.next_password_hash if accepted else settings.password_hash
        station.settings = replace(settings, password_hash=valid, next_password_hash=None)
        self.discard(station.id)
        station.save()


def _verify_spellings(given: bytes, stored: str) -> bool:
    """Compare as text, and as the hexadecimal form in which 1.6's AuthorizationKey is configured."""
    spellings = [given.hex(), given.hex().upper()]
    with contextlib.suppress(UnicodeDecodeError):
        spellings.insert(0, given.decode())
    return any(passwords.verify(one, stored) for one in spellings)
