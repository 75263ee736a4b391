"""Who may charge: the idTokens the gateway knows, and what it says to the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.csms.settings import UnknownTokens
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import stamp

# 2.x knows more reasons than 1.6 can say.
_STATUS_16 = {"Accepted": "Accepted", "Blocked": "Blocked", "Expired": "Expired", "ConcurrentTx": "ConcurrentTx"}
# C01, C02: nobody asked who this is, so nobody is refused.
FREE_TYPES = frozenset({"NoAuthorization"})


@dataclass(frozen=True, slots=True)
class Token:
    """One idToken. `expiry` is Unix time; `parent` is the group it belongs to."""

    id: str
    status: str = "Accepted"
    type: str = "Central"
    expiry: float | None = None
    parent: str | None = None
    energy_transfer: tuple[str, ...] = ()  # 2.1 allowedEnergyTransfer; empty: every mode

    def status_at(self, wall: float) -> str:
        """The status at a time: one whose expiry is past is Expired, where nothing else is wrong with it."""
        over = self.expiry is not None and self.expiry <= wall and self.status == "Accepted"
        return "Expired" if over else self.status


class Tokens:
    """All idTokens. Comparison is without case, as OCPP's identifierString and 1.6's CiString ask."""

    def __init__(self, unknown: UnknownTokens) -> None:
        self.unknown = unknown
        self._tokens: dict[str, Token] = {}

    def put(self, token: Token) -> None:
        """Add or replace."""
        self._tokens[token.id.casefold()] = token

    def remove(self, token: str) -> bool:
        """Forget; whether it was known."""
        return self._tokens.pop(token.casefold(), None) is not None

    def get(self, token: str) -> Token | None:
        """The token as it was put."""
        return self._tokens.get(token.casefold())

    def __iter__(self) -> Iterator[Token]:
        return iter(list(self._tokens.values()))

    def status(self, token: str, kind: str | None, wall: float) -> str:
        """The status of 2.x for a token at a time."""
        if kind in FREE_TYPES:
            return "Accepted"
        known = self.get(token)
        if known is None:
            return "Accepted" if self.unknown is UnknownTokens.ACCEPT else "Invalid"
        return known.status_at(wall)

    def info_2(self, token: str, kind: str | None, wall: float, status: str | None = None) -> Payload:
        """IdTokenInfoType of 2.x."""
        known = self.get(token)
        info: Payload = {"status": status or self.status(token, kind, wall)}
        if known is not None and known.expiry is not None:
            info["cacheExpiryDateTime"] = stamp(known.expiry)
        if known is not None and known.parent:
            info["groupIdToken"] = {"idToken": known.parent, "type": "Central"}
        return info

    def info_16(self, token: str, wall: float, status: str | None = None) -> Payload:
        """IdTagInfo of 1.6."""
        known = self.get(token)
        info: Payload = {"status": _STATUS_16.get(status or self.status(token, None, wall), "Invalid")}
        if known is not None and known.expiry is not None:
            info["expiryDate"] = stamp(known.expiry)
        if known is not None and known.parent:
            info["parentIdTag"] = known.parent[:20]
        return info
