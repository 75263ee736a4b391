"""Operations of an operator on a station, in the same terms for every OCPP version: requests with their validation.

`gateway/web` makes a route of each; `gateway/csms/operator_calls.py` has the call of each OCPP version.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, model_validator

Number = Annotated[int, Field(ge=1, le=999)]  # of an EVSE or a connector
ReservationId = Annotated[int, Field(ge=0, le=2**31 - 1)]
IdToken = Annotated[str, Field(min_length=1, max_length=255)]
Name = Annotated[str, Field(min_length=1, max_length=50)]
Location = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:\S+$")]


class Operation(BaseModel):
    """Request of an operation. An unknown member is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ConnectorOperation(Operation):
    """Operation on the station, on an EVSE, or on a connector of it. In 1.6 connector n is EVSE n."""

    evse: Number | None = Field(None, alias="evseId")
    connector: Number | None = Field(None, alias="connectorId")

    @model_validator(mode="after")
    def _connector_of_an_evse(self) -> ConnectorOperation:
        if self.connector is not None and self.evse is None:
            raise ValueError("connectorId needs the evseId")
        return self


class Reset(Operation):
    """Reset the station, or from 2.0.1 on one EVSE: at once (Hard in 1.6), or when it is idle (Soft in 1.6)."""

    type: Literal["immediate", "on_idle"] = "immediate"
    evse: Number | None = Field(None, alias="evseId")


class UnlockConnector(Operation):
    """Unlock a connector."""

    evse: Number = Field(alias="evseId")
    connector: Number = Field(1, alias="connectorId")


class ChangeAvailability(ConnectorOperation):
    """Take the station, an EVSE or a connector out of operation, or back."""

    status: Literal["Operative", "Inoperative"] = Field(alias="operationalStatus")


class TriggerMessage(ConnectorOperation):
    """Trigger a message of the station."""

    message: Name = Field(alias="requestedMessage")


class StartTransaction(Operation):
    """Start a transaction; the station authorises the idToken where it is so configured."""

    evse: Number | None = Field(None, alias="evseId")
    token: IdToken = Field(alias="idToken")
    type: Annotated[str, Field(max_length=20)] | None = None


class Reserve(Operation):
    """Reserve an EVSE, or without one any EVSE, for an idToken. Without an id a new one is made."""

    reservation: ReservationId | None = Field(None, alias="reservationId")
    expiry: AwareDatetime
    token: IdToken = Field(alias="idToken")
    type: Annotated[str, Field(max_length=20)] | None = None
    parent: IdToken | None = None
    evse: Number | None = Field(None, alias="evseId")
    connector_type: Annotated[str, Field(max_length=20)] | None = Field(None, alias="connectorType")


class CancelReservation(Operation):
    """Cancel a reservation."""

    reservation: ReservationId = Field(alias="reservationId")


class ClearCache(Operation):
    """Clear the authorisation cache of the station."""


class Variable(Operation):
    """A variable of the device model (2.0.1, 2.1)."""

    component: Name
    instance: Name | None = None
    evse: Number | None = Field(None, alias="evseId")
    connector: Number | None = Field(None, alias="connectorId")
    variable: Name
    variable_instance: Name | None = None
    attribute: Literal["Actual", "Target", "MinSet", "MaxSet"] = "Actual"


class VariableValue(Variable):
    """A variable and the value that it gets."""

    value: Annotated[str, Field(max_length=2500)]


class GetVariables(Operation):
    """Read variables of the device model (2.0.1, 2.1)."""

    variables: Annotated[list[Variable], Field(min_length=1, max_length=100)]


class SetVariables(Operation):
    """Set variables of the device model (2.0.1, 2.1)."""

    variables: Annotated[list[VariableValue], Field(min_length=1, max_length=100)]


class GetConfiguration(Operation):
    """Read configuration keys (1.6), all of them where none is named."""

    keys: Annotated[list[Name], Field(max_length=100)] = Field(default_factory=list)


class ChangeConfiguration(Operation):
    """Set a configuration key (1.6)."""

    key: Name
    value: Annotated[str, Field(max_length=500)]


class Transfer(Operation):
    """Transfer of a file between the station and a server."""

    location: Location
    retries: Annotated[int, Field(ge=0, le=100)] | None = None
    retry_interval_s: Annotated[int, Field(ge=0, le=86_400)] | None = None


class UpdateFirmware(Transfer):
    """Download and install firmware, signed where a certificate and a signature are given. Without a time: now."""

    retrieve_at: AwareDatetime | None = None
    install_at: AwareDatetime | None = None
    signing_certificate: Annotated[str, Field(max_length=5500)] | None = None
    signature: Annotated[str, Field(max_length=800)] | None = None

    @model_validator(mode="after")
    def _certificate_with_signature(self) -> UpdateFirmware:
        if (self.signing_certificate is None) is not (self.signature is None):
            raise ValueError("signing_certificate and signature belong together")
        return self


class GetLog(Transfer):
    """Upload the diagnostics (GetDiagnostics in 1.6) or the security log."""

    log: Literal["diagnostics", "security"] = "diagnostics"
    oldest: AwareDatetime | None = None
    latest: AwareDatetime | None = None


class DataTransfer(Operation):
    """Send a vendor's message. In 1.6 `data` is a text."""

    vendor: Annotated[str, Field(min_length=1, max_length=255)] = Field(alias="vendorId")
    message: Name | None = Field(None, alias="messageId")
    data: JsonValue = None


class OperationResult(BaseModel):
    """Outcome of an operation: applied, refused with a code of the station, or unknown without a response.

    `payload` is the station's response.
    """

    answer: Literal["applied", "refused", "unknown"]
    code: str = ""
    text: str = ""
    payload: dict[str, JsonValue] | None = None


OPERATIONS: dict[str, type[Operation]] = {
    "reset": Reset,
    "unlock-connector": UnlockConnector,
    "change-availability": ChangeAvailability,
    "trigger-message": TriggerMessage,
    "start-transaction": StartTransaction,
    "reserve": Reserve,
    "cancel-reservation": CancelReservation,
    "clear-cache": ClearCache,
    "get-variables": GetVariables,
    "set-variables": SetVariables,
    "get-configuration": GetConfiguration,
    "change-configuration": ChangeConfiguration,
    "update-firmware": UpdateFirmware,
    "get-log": GetLog,
    "data-transfer": DataTransfer,
}
