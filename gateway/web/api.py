"""Routes of the admin API, under `/admin/v1`: they translate between HTTP and the interfaces in `ports`.

The path of a reference (`/transactions/{ref}`) includes slashes: a reference is `<station>/<id>`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer

from gateway import __version__
from gateway.model import foreign_text
from gateway.model.command import EVSE_VERBS, MAX_BYTES, Channel, Submission
from gateway.service import GatewayService
from gateway.web import blue_switch, hosted_operations, station_operations
from gateway.web.answers import CONFLICT, EVERY_ROUTE, STATION_CALL
from gateway.web.hosted_operations import HostedOperations
from gateway.web.ports import ClusterView, Limit, Row, StationAdmin, VehicleLending
from gateway.web.request_models import CallBody, RegistrationBody, StationBody, TokenBody

PREFIX = "/admin/v1"
BEARER = HTTPBearer(auto_error=False)  # for OpenAPI; `guard` verifies the token
Moment = Annotated[float | None, Query(allow_inf_nan=False)]
COMMAND_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["verb"],
                    "properties": {"verb": {"type": "string", "enum": [verb.value for verb in EVSE_VERBS]}},
                }
            }
        },
    }
}


def build(
    stations: StationAdmin,
    commands: GatewayService | None,
    *,
    raw_calls: bool = False,
    lending: VehicleLending | None = None,
    hosted: HostedOperations | None = None,
    cluster: ClusterView | None = None,
    now: Callable[[], float] = time.time,
) -> FastAPI:
    """Return the application, which is open to every client; `raw_calls` enables the raw OCPP route.

    Without `cluster` its route does not exist.
    """
    app = AdminApi(
        title="v2x-gateway admin API",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        default_response_class=VisibleJson,
    )

    router = APIRouter(prefix=PREFIX, dependencies=[Depends(BEARER)], responses=EVERY_ROUTE)
    _stations(router, stations, commands, raw_calls)
    operations = APIRouter(responses=STATION_CALL)
    station_operations.add(operations, stations, commands, raw_calls)
    station_operations.add_typed(operations, stations, commands)
    router.include_router(operations)
    _transactions(router, stations)
    _tokens_and_messages(router, stations)
    if commands is not None:
        _commands(router, commands)
    hosted_operations.add(router, hosted, commands)
    if cluster is not None:
        _cluster(router, cluster)
    lending_routes = APIRouter(responses=CONFLICT)
    blue_switch.add(lending_routes, lending, now)
    router.include_router(lending_routes)
    app.include_router(router)
    app.add_exception_handler(LookupError, _failed)
    app.add_exception_handler(ValueError, _failed)
    app.add_exception_handler(RequestValidationError, _invalid)
    return app


class AdminApi(FastAPI):
    """Application whose OpenAPI document has the first line of a route's description as its summary."""

    def openapi(self) -> Row:
        """Implement `FastAPI`."""
        document = super().openapi()
        for methods in document["paths"].values():
            for operation in methods.values():
                operation["summary"] = operation["description"].partition("\n")[0].rstrip(".")
        return document


class VisibleJson(JSONResponse):
    """JSON that is safe to show on a terminal."""

    def render(self, content: object) -> bytes:
        """Implement `JSONResponse`."""
        return foreign_text.json_text(content, (",", ":")).encode()


async def _failed(_: Request, error: Exception) -> Response:
    code = 404 if isinstance(error, LookupError) else getattr(error, "code", None)
    if not isinstance(code, int):
        raise error
    return VisibleJson({"detail": str(error.args[0]) if error.args else "not found"}, code)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return VisibleJson({"detail": jsonable_encoder(error.errors())}, 422)


def _stations(router: APIRouter, admin: StationAdmin, commands: GatewayService | None, raw_calls: bool) -> None:
    @router.get("/health")
    async def health() -> Row:
        """Return the version and the OCPP versions that are served."""
        return {"status": "ok", "version": __version__, "protocols": admin.protocols()}

    @router.get("/stations")
    async def stations() -> list[Row]:
        """Return all stations with connection, registration and EVSEs."""
        return admin.stations()

    @router.get("/stations/{station}")
    async def station(station: str) -> Row:
        """Return one station."""
        return admin.station(station)

    @router.put("/stations/{station}")
    async def put_station(station: str, body: StationBody) -> Row:
        """Register a station, or change its settings."""
        return await admin.put_station(station, body.model_dump(exclude_unset=True))

    @router.delete("/stations/{station}", status_code=204)
    async def delete_station(station: str) -> None:
        """Remove a station; it is disconnected."""
        name = admin.station(station)["id"]  # in the case in which it is known
        await admin.delete_station(name)
        if commands is not None:
            commands.forget(name)

    @router.get("/registration")
    async def registration() -> Row:
        """Return the policy for stations that are not registered."""
        return admin.registration()

    @router.put("/registration")
    async def put_registration(body: RegistrationBody) -> Row:
        """Set the policy for stations that are not registered."""
        return await admin.put_registration(body.model_dump())

    @router.post("/stations/{station}/call", responses=STATION_CALL)
    async def call(station: str, body: CallBody) -> Row:
        """Send one OCPP call verbatim; requires `admin.raw_calls`."""
        admin.station(station)
        if not raw_calls:
            raise HTTPException(403, "raw OCPP calls bypass the control hierarchy; set admin.raw_calls = true")
        if commands is not None:
            shown = admin.without_secrets(body.action, body.payload)
            commands.operator(f"raw {body.action} to {station}", None, station=station, payload=shown)
        return await admin.call(station, body.action, body.payload, body.timeout_s)


def _cluster(router: APIRouter, view: ClusterView) -> None:
    @router.get("/cluster")
    async def cluster() -> Row:
        """Return instances, holders of leases and lag, as the instance that controls this site sees them."""
        return view()


def _transactions(router: APIRouter, admin: StationAdmin) -> None:
    @router.get("/stations/{station}/transactions")
    async def of_station(
        station: str,
        id_token: Annotated[str | None, Query(alias="idToken")] = None,
        active: bool | None = None,
        limit: Limit = 100,
    ) -> list[Row]:
        """Return the transactions of a station, newest first."""
        return admin.transactions(station, id_token, active, limit)

    @router.get("/transactions")
    async def of_all(
        station: str | None = None,
        id_token: Annotated[str | None, Query(alias="idToken")] = None,
        active: bool | None = None,
        limit: Limit = 100,
    ) -> list[Row]:
        """Return the transactions of all stations, newest first."""
        return admin.transactions(station, id_token, active, limit)

    @router.get("/reservations")
    async def all_reservations(station: str | None = None, limit: Limit = 100) -> list[Row]:
        """Return reservations, newest first."""
        return admin.reservations(station, limit)

    @router.post("/stations/{station}/transactions/close-stale")
    async def close_stale(station: str, silent_s: Annotated[float, Query(ge=0)] = 0.0) -> Row:
        """End active transactions without a message for `silent_s`; a message resumes one."""
        return {"closed": admin.close_stale(station, silent_s)}

    @router.get("/transactions/{ref:path}")
    async def one(ref: str) -> Row:
        """Return one transaction."""
        return admin.transaction(ref)

    @router.get("/stations/{station}/reservations")
    async def reservations(station: str, limit: Limit = 100) -> list[Row]:
        """Return the reservations of a station, newest first."""
        return admin.reservations(station, limit)

    @router.get("/reservations/{ref:path}")
    async def reservation(ref: str) -> Row:
        """Return one reservation."""
        return admin.reservation(ref)


def _tokens_and_messages(router: APIRouter, admin: StationAdmin) -> None:
    @router.get("/tokens")
    async def tokens() -> list[Row]:
        """Return the registered idTokens."""
        return admin.tokens()

    @router.get("/tokens/{token:path}")
    async def token(token: str) -> Row:
        """Return one idToken."""
        return admin.token(token)

    @router.put("/tokens/{token:path}")
    async def put_token(token: str, body: TokenBody) -> Row:
        """Register an idToken, or change it."""
        return await admin.put_token(token, body.model_dump(exclude_unset=True) | {"status": body.status})

    @router.delete("/tokens/{token:path}", status_code=204)
    async def delete_token(token: str) -> None:
        """Remove an idToken."""
        await admin.delete_token(token)

    @router.get("/messages")
    async def messages(
        station: str | None = None,
        action: str | None = None,
        direction: Literal["received", "sent"] | None = None,
        kind: Annotated[Literal["call", "result", "error", "all"], Query(alias="type")] = "call",
        limit: Limit = 100,
    ) -> list[Row]:
        """Return messages of stations and of the gateway, newest first: calls, or with `type` the responses, too."""
        return admin.messages(station, action, limit, direction, None if kind == "all" else kind)

    @router.get("/security-events")
    async def security_events(station: str | None = None, limit: Limit = 100) -> list[Row]:
        """Return failed logins of stations and the security events that they reported, newest first."""
        return admin.security_events(station, limit)

    @router.get("/violations")
    async def violations(station: str | None = None) -> list[Row]:
        """Return messages of stations that broke their schema."""
        return admin.violations(station)


def _commands(router: APIRouter, service: GatewayService) -> None:
    @router.get("/sessions")
    async def sessions() -> list[Row]:
        """Return the states of the EVSEs with a session."""
        found = (service.state(evse) for evse in service.evses())
        return [state.model_dump(mode="json") for state in found if state is not None and state.session is not None]

    @router.get("/evses/{evse}")
    async def evse(evse: str) -> Row:
        """Return the state of an EVSE, as over MQTT."""
        return _or_missing(evse, service.state(evse))

    @router.get("/evses/{evse}/explain")
    async def explain(evse: str) -> Row:
        """Return the layers of the control hierarchy in force at an EVSE, and the limiting constraint."""
        return _or_missing(evse, service.explain(evse))

    @router.post("/evses/{evse}/commands", openapi_extra=COMMAND_BODY)
    async def command(evse: str, request: Request) -> Row:
        """Submit a command: the payload of MQTT with its `verb` as a member."""
        text = await request.body()
        if len(text) > MAX_BYTES:
            raise HTTPException(413, f"a command has at most {MAX_BYTES} bytes")
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            raise HTTPException(400, "the body is not JSON") from None
        if not isinstance(body, dict) or not isinstance(body.get("verb"), str):
            raise HTTPException(422, "the body is an object with a `verb` and that verb's members")
        verb = body.pop("verb")
        result = await service.submit(Submission(evse, verb, json.dumps(body).encode(), Channel.API))
        return result.model_dump(mode="json")

    @router.get("/commands/{command_id}")
    async def command_result(command_id: str) -> Row:
        """Return the first and the final result of a command."""
        first, final = await service.result(command_id)
        if first is None:
            raise LookupError(f"no command {command_id}")
        return {"first": first.model_dump(mode="json"), "final": final and final.model_dump(mode="json")}

    @router.get("/journal")
    async def journal(since: Moment = None, evse: str | None = None, limit: Limit = 1000) -> list[Row]:
        """Return entries of the journal, oldest first."""
        given = {"since": since, "evse": evse, "limit": limit}
        selected: Row = {name: value for name, value in given.items() if value is not None}
        return [asdict(entry) for entry in await service.entries(**selected)]


def _or_missing(evse: str, found: Any) -> Row:
    if found is None:
        raise LookupError(f"no EVSE {evse}")
    row: Row = found.model_dump(mode="json")
    return row
