"""Routes of the admin API for EVSEs that the gateway hosts itself: what an operator does at their hardware."""

from __future__ import annotations

from dataclasses import asdict
from typing import Protocol

from fastapi import APIRouter

from gateway.model.station import Outcome
from gateway.service import GatewayService
from gateway.web.ports import Row


class HostedOperations(Protocol):
    """Operations on a hosted EVSE; LookupError where there is none of this name."""

    async def end_session(self, evse: str) -> Outcome: ...
    async def reset(self, evse: str) -> Outcome: ...


def add(router: APIRouter, hosted: HostedOperations | None, service: GatewayService | None) -> None:
    """Add the routes."""

    def operations(evse: str, text: str) -> HostedOperations:
        if hosted is None:
            raise LookupError(f"no EVSE {evse} is hosted by this gateway")
        if service is not None:
            service.operator(text, evse)
        return hosted

    @router.post("/evses/{evse}/end-session")
    async def end_session(evse: str) -> Row:
        """Request the end of the session of a vehicle at an EVSE that the gateway hosts."""
        return asdict(await operations(evse, "end of the session").end_session(evse))

    @router.post("/evses/{evse}/reset")
    async def reset(evse: str) -> Row:
        """Release latched faults of an EVSE that the gateway hosts, where they are cleared."""
        return asdict(await operations(evse, "reset of latched faults").reset(evse))
