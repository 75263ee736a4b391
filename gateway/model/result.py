"""Results of a command: the first states what was granted, the final one what the meter measured."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from gateway.model.message import Message, Stamp
from gateway.model.reason import Reason


class Layer(StrEnum):
    """Layers, highest first. The values are `binding` in MQTT, the API, the journal and the log."""

    STATION = "station"
    VEHICLE = "vehicle"
    EMERGENCY_STOP = "emergency_stop"
    GRID_CODE = "grid_code"
    ISLAND = "island"
    SITE = "site"
    SOC_FLOOR = "soc_floor"
    COMMAND = "command"
    OPTIMISER = "optimiser"
    IDLE = "idle"

    rank: int  # 0 is the highest


for _rank, _layer in enumerate(Layer):
    _layer.rank = _rank


class Status(StrEnum):
    """First accepted, clamped or refused; after the first two exactly one of the other four."""

    ACCEPTED = "accepted"
    CLAMPED = "clamped"
    REFUSED = "refused"
    ACHIEVED = "achieved"
    SUPERSEDED = "superseded"
    LEASE_EXPIRED = "lease_expired"
    FAILED = "failed"


class Measured(Message):
    """Measured values; null is a value that was not reported."""

    power_w: float | None = None
    soc_pct: float | None = None
    energy_charged_wh: float | None = None
    energy_discharged_wh: float | None = None
    at: Stamp | None = None


class Share(Message):
    """Share of one EVSE in a command to the site, + into the vehicle."""

    evse: str
    effective_w: float
    binding: Layer
    status: Status
    reason: Reason
    measured_w: float | None = None


class Result(Message):
    """Result of a command. Powers are signed, + into the vehicle, for every verb."""

    id: Annotated[str, Field(max_length=128)]
    verb: Annotated[str, Field(max_length=64)]
    evse: str | None = Field(default=None, description="null for the site")
    status: Status
    reason: Reason
    requested_w: float | None = None
    effective_w: float | None = None
    binding: Layer | None = Field(default=None, description="the limiting constraint of effective_w")
    lease_until: Stamp | None = None
    measured: Measured | None = None
    shares: tuple[Share, ...] | None = Field(
        default=None, description="for a command to the site: the share of each EVSE"
    )
    source: str | None = None
    client: str | None = Field(default=None, description="client of the command topic; null for a shared topic")
    session: str | None = None
    gateway: str
    ts: Stamp
