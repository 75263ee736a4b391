"""Authorisation: the registered idTokens, and the status of all others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.csms.settings import UnknownTokens
from protocols.ocpp.enums import v16, v21
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import stamp

Status = v21.AuthorizationStatusEnumType

# A status of 2.x that 1.6 does not define is Invalid there.
_STATUS_16: dict[str, str] = {status: status for status in v16.AuthorizationStatus}
# C01, C02: no identification, so authorisation is never refused.
FREE_TYPES = frozenset({"NoAuthorization"})
CENTRAL = "Central"  # type of an idToken of the CSMS; in 2.1 the types are no enumeration


@dataclass(frozen=True, slots=True)
class Token:
    """One idToken. `expiry` is Unix time; `parent` is the group it belongs to."""

    id: str
    status: str = Status.accepted.value
    type: str = CENTRAL
    expiry: float | None = None
    parent: str | None = None
    energy_transfer: tuple[str, ...] = ()  # 2.1 allowedEnergyTransfer; empty: every mode

    def status_at(self, wall: float) -> str:
        """Return the status at a time: Accepted becomes Expired after the expiry."""
        expired = self.expiry is not None and self.expiry <= wall and self.status == Status.accepted
        return Status.expired if expired else self.status


class Tokens:
    """All idTokens, compared without case (identifierString of 2.x, CiString of 1.6)."""

    def __init__(self, unknown: UnknownTokens) -> None:
        self.unknown = unknown
        self._tokens: dict[str, Token] = {}

    def put(self, token: Token) -> None:
        """Add or replace a token."""
        self._tokens[token.id.casefold()] = token

    def remove(self, token: str) -> bool:
        """Remove a token; return False if it was unknown."""
        return self._tokens.pop(token.casefold(), None) is not None

    def get(self, token: str) -> Token | None:
        """Return a registered token."""
        return self._tokens.get(token.casefold())

    def __iter__(self) -> Iterator[Token]:
        return iter(list(self._tokens.values()))

    def status(self, token: str, kind: str | None, wall: float) -> str:
        """Return the status of 2.x for a token at a time."""
        if kind in FREE_TYPES:
            return Status.accepted
        known = self.get(token)
        if known is None:
            return Status.accepted if self.unknown is UnknownTokens.ACCEPT else Status.invalid
        return known.status_at(wall)

    def info_2(self, token: str, kind: str | None, wall: float, status: str | None = None) -> Payload:
        """Return the IdTokenInfoType of 2.x."""
        known = self.get(token)
        info: Payload = {"status": status or self.status(token, kind, wall)}
        if known is not None and known.expiry is not None:
            info["cacheExpiryDateTime"] = stamp(known.expiry)
        if known is not None and known.parent:
            info["groupIdToken"] = {"idToken": known.parent, "type": CENTRAL}
        return info

    def info_16(self, token: str, wall: float, status: str | None = None) -> Payload:
        """Return the IdTagInfo of 1.6."""
        known = self.get(token)
        status = status or self.status(token, None, wall)
        info: Payload = {"status": _STATUS_16.get(status, v16.AuthorizationStatus.invalid)}
        if known is not None and known.expiry is not None:
            info["expiryDate"] = stamp(known.expiry)
        if known is not None and known.parent:
            info["parentIdTag"] = known.parent[:20]
        return info
