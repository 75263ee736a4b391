"""Routes of the admin API for operations on a station, under `/stations/{id}`; each use is in the journal."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query

from gateway.model.operation import OPERATIONS, Operation, OperationResult
from gateway.model.station import evse_name
from gateway.service import GatewayService
from gateway.web.ports import Row, StationAdmin
from gateway.web.request_models import AfrrSignalBody, DerControlBody, EnergyTransferBody, OperationModeBody
from protocols.ocpp.enums import v21

STATION = "/stations/{station}"
EVSE = STATION + "/evses/{evse}"
ReportBase = Literal["FullInventory", "ConfigurationInventory", "SummaryInventory"]


def add(router: APIRouter, stations: StationAdmin, commands: GatewayService | None, raw_calls: bool) -> None:
    """Add the routes. Setting an operation mode requires `raw_calls`: the station then determines its power itself."""

    def journal(text: str, station: str, evse: int | None = None, **data: Any) -> None:
        name = stations.station(station)["id"]  # raises LookupError
        if commands is not None:
            place = None if evse is None else evse_name(name, evse)
            commands.operator(f"{text} to {place or name}", place, station=name, **data)

    @router.post(EVSE + "/afrr-signal")
    async def afrr_signal(station: str, evse: int, body: AfrrSignalBody) -> Row:
        """Forward a signal of the grid operator (AFRRSignal, 2.1)."""
        journal("aFRR signal", station, evse, signal=body.signal)
        return await stations.operations.afrr_signal(station, evse, body.signal)

    @router.post(EVSE + "/operation-mode")
    async def operation_mode(station: str, evse: int, body: OperationModeBody) -> Row:
        """Run an EVSE in a mode in which the station determines its power (2.1); requires `admin.raw_calls`."""
        stations.station(station)
        if not raw_calls:
            raise HTTPException(403, "operation modes bypass the control hierarchy; set admin.raw_calls = true")
        journal(f"operation mode {body.operationMode}", station, evse, period=body.period, valid_for_s=body.valid_for_s)
        return await stations.operations.set_mode(station, evse, body.operationMode, body.period, body.valid_for_s)

    @router.post(EVSE + "/allowed-energy-transfer")
    async def allowed_energy_transfer(station: str, evse: int, body: EnergyTransferBody) -> Row:
        """Allow energy transfers in the active transaction (2.1)."""
        modes = [mode.value for mode in body.allowed_energy_transfer]
        journal("allowed energy transfer", station, evse, modes=modes)
        return await stations.operations.allow_energy_transfer(station, evse, modes)

    @router.post(EVSE + "/stop-transaction")
    async def stop_transaction(station: str, evse: int) -> Row:
        """Stop the active transaction of an EVSE."""
        journal("stop of the transaction", station, evse)
        return await stations.operations.stop_transaction(station, evse)

    @router.post(STATION + "/renew-password")
    async def renew_password(station: str) -> Row:
        """Set a new random password at the station; it is not shown."""
        journal("new password", station)
        return await stations.operations.renew_password(station)

    @router.get(STATION + "/der-controls")
    async def der_controls(station: str) -> list[Row]:
        """Return the DER controls that the station reports (2.1)."""
        return await stations.operations.der_controls(station)

    @router.post(STATION + "/der-controls")
    async def set_der_control(station: str, body: DerControlBody) -> Row:
        """Set a DER control (2.1)."""
        journal(f"DER control {body.controlType.value}", station, control=body.model_dump(mode="json"))
        kind = body.controlType.value
        return await stations.operations.set_der_control(station, body.controlId, kind, body.control, body.isDefault)

    @router.delete(STATION + "/der-controls")
    async def clear_der_controls(
        station: str,
        default: Annotated[bool, Query(alias="isDefault")],
        kind: Annotated[v21.DERControlEnumType | None, Query(alias="controlType")] = None,
        number: Annotated[str | None, Query(alias="controlId", max_length=36)] = None,
    ) -> Row:
        """Clear the matching DER controls (2.1)."""
        control = None if kind is None else kind.value
        journal("clearing of DER controls", station, isDefault=default, controlType=control, controlId=number)
        return await stations.operations.clear_der_controls(station, default, control, number)


def add_typed(router: APIRouter, stations: StationAdmin, commands: GatewayService | None) -> None:
    """Add the routes of the typed operations, of the connection and of the device model."""
    for name, model in OPERATIONS.items():
        _typed(router, stations, commands, name, model)

    @router.post(STATION + "/disconnect", status_code=204)
    async def disconnect(station: str) -> None:
        """Close the connection of the station; it connects again by itself."""
        stations.station(station)
        if commands is not None:
            commands.operator(f"closing of the connection to {station}", None, station=station)
        await stations.operations.disconnect(station)

    @router.get(STATION + "/device-model")
    async def device_model(station: str, base: ReportBase = "FullInventory") -> list[Row]:
        """Return the variables that the station reports (GetBaseReport), in 1.6 its configuration keys."""
        return await stations.operations.device_model(station, base)


def _typed(
    router: APIRouter, stations: StationAdmin, commands: GatewayService | None, name: str, model: type[Operation]
) -> None:
    """Add the route of one typed operation; the call that it sends is in the journal."""

    async def operate(station: str, body: Operation) -> OperationResult:
        action, payload = stations.operations.call_of(station, body)
        if commands is not None:
            shown = stations.without_secrets(action, payload)
            commands.operator(f"{name} to {station}", None, station=station, action=action, payload=shown)
        return await stations.operations.perform(station, action, payload)

    operate.__annotations__["body"] = model  # FastAPI reads it for validation and OpenAPI
    router.add_api_route(
        f"{STATION}/{name}", operate, methods=["POST"], name=name, operation_id=name, description=model.__doc__
    )
