"""Local authorisation list of an emulated station (2.x block D, 1.6 chapters 3.5 and 5.15). Any version."""

from __future__ import annotations

from collections.abc import Iterable

from emulators.charger.station.store import Saved
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse


class LocalList:
    """Tokens, without regard to case, with their IdTokenInfo (2.x) or IdTagInfo (1.6)."""

    def __init__(self) -> None:
        self.version = 0
        self._entries: dict[str, Payload] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, token: str) -> bool:
        return token.casefold() in self._entries

    def put(self, token: str, info: Payload) -> None:
        """Add or replace an entry."""
        self._entries[token.casefold()] = dict(info)

    def drop(self, token: str) -> bool:
        """Remove an entry; return False if there was none."""
        return self._entries.pop(token.casefold(), None) is not None

    def status(self, token: str, now: float) -> str | None:
        """Return the authorisation status of a token, Expired after its expiry; None if it is not in the list."""
        found = self._entries.get(token.casefold())
        if found is None:
            return None
        expiry = parse(found.get("cacheExpiryDateTime") or found.get("expiryDate"))
        if expiry is not None and expiry <= now and found["status"] == v21.AuthorizationStatusEnumType.accepted:
            return v21.AuthorizationStatusEnumType.expired
        return str(found["status"])

    def group(self, token: str) -> str | None:
        """Return the group of a token, if the list states one."""
        found = self._entries.get(token.casefold(), {})
        group = found.get("groupIdToken", {}).get("idToken") if "groupIdToken" in found else found.get("parentIdTag")
        return None if group is None else str(group)

    def update(self, version: int, full: bool, entries: Iterable[tuple[str, Payload | None]]) -> str:
        """Apply SendLocalList; return Accepted or VersionMismatch. An entry without info is removed (D01.FR.11-18)."""
        if full:
            self._entries.clear()
        elif version <= self.version:
            return v21.SendLocalListStatusEnumType.version_mismatch
        for token, info in entries:
            if info is None:
                self.drop(token)
            else:
                self.put(token, info)
        self.version = version
        return v21.SendLocalListStatusEnumType.accepted

    def saved(self) -> Saved:
        """Return the stored form."""
        return {"version": self.version, "entries": self._entries}

    def restore(self, saved: Saved) -> None:
        """Restore the stored form."""
        self.version, self._entries = int(saved["version"]), dict(saved["entries"])
