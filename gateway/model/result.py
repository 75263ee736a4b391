"""Results: what became of a command. The first says what was granted, the final one what the meter saw."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from gateway.model.moment import Stamp
from gateway.model.reason import Code, Reason


class Status(StrEnum):
    """First one of accepted, clamped, refused; after the first two exactly one of the other four."""

    ACCEPTED = "accepted"
    CLAMPED = "clamped"
    REFUSED = "refused"
    ACHIEVED = "achieved"
    SUPERSEDED = "superseded"
    LEASE_EXPIRED = "lease_expired"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        """Whether nothing follows."""
        return self not in (Status.ACCEPTED, Status.CLAMPED)


class Measured(BaseModel):
    """What the meter showed; null is what it did not say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    power_w: float | None = None
    soc_pct: float | None = None
    energy_charged_wh: float | None = None
    energy_discharged_wh: float | None = None
    at: Stamp | None = None


class Share(BaseModel):
    """What one EVSE got of a command to the site, + into the vehicle."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    evse: str
    effective_w: float
    binding: str
    status: Status
    reason: Reason
    measured_w: float | None = None


class Result(BaseModel):
    """The answer to a command. Powers are signed, + into the vehicle, whatever the verb."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(max_length=128)]
    verb: Annotated[str, Field(max_length=64)]
    evse: str | None = Field(default=None, description="null for the site")
    status: Status
    reason: Reason
    requested_w: float | None = None
    effective_w: float | None = None
    binding: str | None = Field(default=None, description="the layer of the order of authority that bound effective_w")
    lease_until: Stamp | None = None
    measured: Measured | None = None
    shares: tuple[Share, ...] | None = Field(default=None, description="for a command to the site: what each EVSE got")
    source: str | None = None
    session: str | None = None
    gateway: str
    ts: Stamp

    @property
    def code(self) -> Code:
        """The stable reason code."""
        return self.reason.code
