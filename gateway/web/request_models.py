"""Request bodies of the admin API. An unknown member is an error. Names are snake_case, except OCPP's own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.model.event import OperationMode
from protocols.ocpp.enums import v21

Identifier = Annotated[str, Field(min_length=1, max_length=36)]


class Body(BaseModel):
    """A request body."""

    model_config = ConfigDict(extra="forbid")


Watts = Annotated[float, Field(ge=0, le=1e8, allow_inf_nan=False)]


class StationBody(Body):
    """Registration of a station, or a change of its settings."""

    basic_auth_password: Annotated[str, Field(min_length=16, max_length=40)] | None = None
    vendor_profile: Annotated[str, Field(max_length=64)] | None = None
    security_profile: Annotated[int, Field(ge=0, le=3)] | None = None
    registration: Literal["accepted", "pending", "rejected"] | None = None
    max_charge_w: Watts | None = None
    max_discharge_w: Watts | None = None
    fallback_limit_w: Watts | None = None


class RegistrationBody(Body):
    """Policy for stations that are not registered."""

    unknown_stations: Literal["accept", "pending", "reject", "reject-boot"]


class CallBody(Body):
    """One OCPP call, sent verbatim."""

    action: Annotated[str, Field(min_length=1, max_length=64)]
    payload: dict[str, Any] = Field(default_factory=dict)
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0


class TokenBody(Body):
    """One idToken. `expiry` is a date-time; `parent` the group it belongs to."""

    status: str = v21.AuthorizationStatusEnumType.accepted
    type: Annotated[str, Field(max_length=20)] | None = None
    expiry: str | None = None
    parent: Annotated[str, Field(max_length=255)] | None = None
    allowed_energy_transfer: list[str] | None = None


class AfrrSignalBody(Body):
    """A signal of the grid operator; its power is defined by the v2xSignalWattCurve of the profile in force."""

    signal: int


class OperationModeBody(Body):
    """An operation mode and the fields of its charging schedule period, in OCPP's names and W."""

    operationMode: OperationMode  # noqa: N815 (OCPP's own)
    period: dict[str, Any] = Field(default_factory=dict)
    valid_for_s: Annotated[float, Field(gt=0, le=86_400)] | None = None


class EnergyTransferBody(Body):
    """Energy transfers that are allowed in the active transaction."""

    allowed_energy_transfer: Annotated[list[v21.EnergyTransferModeEnumType], Field(min_length=1)]


class DerControlBody(Body):
    """One DER control; `control` is the body of its type, such as LimitMaxDischargeType."""

    controlId: Identifier  # noqa: N815
    controlType: v21.DERControlEnumType  # noqa: N815
    isDefault: bool  # noqa: N815
    control: dict[str, Any]
