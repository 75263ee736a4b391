"""What may be sent to the API. An unknown member is an error. Names are snake_case, but for OCPP's own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StationBody(_Body):
    """Registers a station, or changes what is known of it."""

    basic_auth_password: Annotated[str, Field(min_length=16, max_length=40)] | None = None
    vendor_profile: Annotated[str, Field(max_length=64)] | None = None
    security_profile: Annotated[int, Field(ge=0, le=3)] | None = None
    registration: Literal["accepted", "pending", "rejected"] | None = None


class RegistrationBody(_Body):
    """What happens to stations that nobody registered."""

    unknown_stations: Literal["accept", "pending", "reject", "reject-boot"]


class CallBody(_Body):
    """One OCPP call, as it goes over the wire."""

    action: Annotated[str, Field(min_length=1, max_length=64)]
    payload: dict[str, Any] = Field(default_factory=dict)
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0


class TokenBody(_Body):
    """One idToken. `expiry` is a date-time; `parent` the group it belongs to."""

    status: str = "Accepted"
    type: Annotated[str, Field(max_length=20)] | None = None
    expiry: str | None = None
    parent: Annotated[str, Field(max_length=255)] | None = None
    allowed_energy_transfer: list[str] | None = None
