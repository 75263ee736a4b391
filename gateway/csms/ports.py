"""Interfaces of the CSMS between its components."""

from __future__ import annotations

from typing import Protocol

from protocols.ocpp.link import Reply
from protocols.ocpp.schema import Payload, Version


class Caller(Protocol):
    """Sends calls to one station; `station.Station` implements it."""

    id: str
    version: Version | None

    async def call(self, action: str, payload: Payload, timeout: float | None = None) -> Reply:
        """Send a call and return its reply. Never raises."""

    async def request(self, action: str, payload: Payload) -> Payload | None:
        """Send a call and return the payload of its response; None without a valid response."""
