"""Credentials of all stations: verification, and renewal of a password without locking the station out (A01).

Hashing takes about 10 ms: it runs in a bounded pool that leaves a processor to the event loop, once for each password;
a keyed digest of a verified one, in memory only, stands for it afterwards. A password of the configuration is compared
as it is.

A new password is stored before it is sent. Both are valid until one is confirmed: by an Accepted, by a rejection, or by
a connection with the new one. A stored password holds until the one in the configuration changes (`resolve`).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from gateway.csms import outcomes, passwords, restore
from gateway.csms.payload_secrets import AUTHORIZATION_KEY
from gateway.csms.pending_settings import REBOOT_REQUIRED
from gateway.csms.persistence import CsmsPersistence
from gateway.csms.station import Station
from gateway.model.station import Answer, Outcome
from gateway.store.store import StoreError
from protocols.ocpp.schema import Version

MAX_WAITING = 5_000  # hashes that wait for the pool

Result = TypeVar("Result")


class Busy(Exception):
    """Too many passwords wait to be verified."""


class Credentials:
    """Passwords of all stations."""

    def __init__(self, persistence: CsmsPersistence) -> None:
        self._persistence = persistence
        self._verified: dict[str, bytes] = {}  # by station: mark of the last valid password
        self._key = os.urandom(32)
        self._pool = ThreadPoolExecutor(max(1, min(4, (os.cpu_count() or 2) - 1)), thread_name_prefix="passwords")
        self._waiting = 0
        self._closed = False

    def close(self) -> None:
        """End the pool; what waits for it is cancelled."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def discard(self, station: str) -> None:
        """Discard the cached verification of a station that is removed or whose password changed."""
        self._verified.pop(station, None)

    def recognises(self, station: Station, given: bytes) -> bool:
        """Return True for a password that is valid without hashing: of the configuration, or verified before."""
        settings, mark = station.settings, self._mark(station, given)
        if station.configured.unverified:
            return False
        if settings.password_hash is None and settings.password is not None:
            return any(hmac.compare_digest(one.encode(), settings.password.encode()) for one in _spellings(given))
        return hmac.compare_digest(self._verified.get(station.id, b""), mark)

    async def verify(self, station: Station, given: bytes) -> bool:
        """Return True for a valid password of the station. The first use of a pending one replaces the former.

        Raises Busy where too many verifications wait.
        """
        await self.resolve(station)
        if self.recognises(station, given):
            return True
        stored, pending = station.settings.password_hash, station.settings.next_password_hash
        if pending is not None and await self._run(lambda: _matches(given, pending)):
            await self.settle(station, accepted=True)
        elif stored is None or not await self._run(lambda: _matches(given, stored)):
            return False
        self._verified[station.id] = self._mark(station, given)
        return True

    async def resolve(self, station: Station) -> None:
        """Decide once after a restart whether a stored password holds: not if the one in the configuration changed."""
        configured, before = station.configured.password, station.configured.hash
        if configured is None:
            return
        if station.configured.unverified and before is not None:
            same = await self._run(lambda: passwords.verify(configured, before))
            _resolved(station, same)

    async def hash(self, password: str) -> str:
        """Return the hash of a password."""
        return await self._run(lambda: passwords.hash_password(password))

    async def hash_configured(self, station: Station) -> None:
        """Hash the password of the configuration, to detect its change where another one is stored beside it."""
        await self.resolve(station)
        password = station.configured.password
        if password is not None and station.configured.hash is None:
            salt = passwords.configuration_salt(station.id)
            station.configured.hash = await self._run(lambda: passwords.hash_password(password, salt))

    async def renew(self, station: Station) -> Outcome:
        """Set a new random password at the station. Raises StoreError if it cannot be stored first."""
        early = station.version is Version.V16
        password = passwords.new_authorization_key() if early else passwords.new_password()
        await self.stage(station, password)
        if early:
            outcome = await outcomes.of_key(station, AUTHORIZATION_KEY, password)
        else:
            outcome = await outcomes.of_variable(station, {"name": "SecurityCtrlr"}, "BasicAuthPassword", password)
        if outcome.code == REBOOT_REQUIRED:  # until its boot the station uses the former one
            return Outcome(Answer.APPLIED, outcome.code, "the station uses the new password after its next boot")
        if outcome.answer is not Answer.UNKNOWN:
            await self.settle(station, outcome.answer is Answer.APPLIED)
        return outcome

    async def stage(self, station: Station, password: str) -> None:
        """Store a password that is about to be sent to the station. Raises StoreError."""
        await self.hash_configured(station)
        hashed = await self.hash(password)
        before = station.settings
        if before.password is not None:  # from now on in the form in which it is stored
            password_hash = before.password_hash or station.configured.hash
            station.configure(replace(before, password=None, password_hash=password_hash))
        station.configure(replace(station.settings, next_password_hash=hashed))
        try:
            await self._persistence.keep(restore.record(station))
        except StoreError:
            station.configure(before)
            raise

    async def settle(self, station: Station, accepted: bool) -> None:
        """Confirm the pending password, or discard it where the station rejected it."""
        settings = station.settings
        if settings.next_password_hash is None:
            return
        valid = settings.next_password_hash if accepted else settings.password_hash
        station.configure(replace(settings, password_hash=valid, next_password_hash=None))
        self.discard(station.id)
        station.save()

    def _mark(self, station: Station, given: bytes) -> bytes:
        """Return the keyed digest of a password; it is worth nothing once another one is in force."""
        stored = station.settings.password_hash or ""
        return hmac.digest(self._key, stored.encode() + b"\0" + given, hashlib.sha256)

    async def _run(self, work: Callable[[], Result]) -> Result:
        if self._closed or self._waiting >= MAX_WAITING:
            raise Busy
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1


def _resolved(station: Station, same: bool) -> None:
    """Apply whether the password of the configuration is still the one beside which another was stored."""
    if not station.configured.unverified:  # another connection was faster
        return
    station.configured.unverified = False
    if same:
        station.configure(replace(station.settings, password=None))
    else:
        station.configured.hash = None
        station.configure(replace(station.settings, password_hash=None, next_password_hash=None))


def _matches(given: bytes, stored: str) -> bool:
    return any(passwords.verify(one, stored) for one in _spellings(given))


def _spellings(given: bytes) -> list[str]:
    """Return a password as text, and in the hexadecimal form in which 1.6's AuthorizationKey is configured."""
    spellings = [given.hex(), given.hex().upper()]
    try:
        return [given.decode(), *spellings]
    except UnicodeDecodeError:
        return spellings
