"""Routes of the admin API for operations on a station, under `/stations/{id}`; each use is in the journal."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query

from gateway.model.station import evse_name
from gateway.service import GatewayService
from gateway.web.ports import Row, StationAdmin
from gateway.web.request_models import AfrrSignalBody, DerControlBody, EnergyTransferBody, OperationModeBody
from protocols.ocpp.enums import v21

STATION = "/stations/{station}"
EVSE = STATION + "/evses/{evse}"


def add(router: APIRouter, stations: StationAdmin, commands: GatewayService | None, raw_calls: bool) -> None:
    """Add the routes. Setting an operation mode requires `raw_calls`: the station then determines its power itself."""

    def journal(text: str, station: str, evse: int | None = None, **data: Any) -> None:
        stations.station(station)  # raises LookupError
        if commands is not None:
            place = None if evse is None else evse_name(station, evse)
            commands.operator(f"{text} to {place or station}", place, station=station, **data)

    @router.post(EVSE + "/afrr-signal")
    async def afrr_signal(station: str, evse: int, body: AfrrSignalBody) -> Row:
        journal("aFRR signal", station, evse, signal=body.signal)
        return await stations.operations.afrr_signal(station, evse, body.signal)

    @router.post(EVSE + "/operation-mode")
    async def operation_mode(station: str, evse: int, body: OperationModeBody) -> Row:
        stations.station(station)
        if not raw_calls:
            raise HTTPException(403, "operation modes bypass the control hierarchy; set admin.raw_calls = true")
        journal(f"operation mode {body.operationMode}", station, evse, period=body.period, valid_for_s=body.valid_for_s)
        return await stations.operations.set_mode(station, evse, body.operationMode, body.period, body.valid_for_s)

    @router.post(EVSE + "/allowed-energy-transfer")
    async def allowed_energy_transfer(station: str, evse: int, body: EnergyTransferBody) -> Row:
        modes = [mode.value for mode in body.allowed_energy_transfer]
        journal("allowed energy transfer", station, evse, modes=modes)
        return await stations.operations.allow_energy_transfer(station, evse, modes)

    @router.post(EVSE + "/stop-transaction")
    async def stop_transaction(station: str, evse: int) -> Row:
        journal("stop of the transaction", station, evse)
        return await stations.operations.stop_transaction(station, evse)

    @router.post(STATION + "/renew-password")
    async def renew_password(station: str) -> Row:
        journal("new password", station)
        return await stations.operations.renew_password(station)

    @router.get(STATION + "/der-controls")
    async def der_controls(station: str) -> list[Row]:
        return await stations.operations.der_controls(station)

    @router.post(STATION + "/der-controls")
    async def set_der_control(station: str, body: DerControlBody) -> Row:
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
        control = None if kind is None else kind.value
        journal("clearing of DER controls", station, isDefault=default, controlType=control, controlId=number)
        return await stations.operations.clear_der_controls(station, default, control, number)
