"""Routes of vehicle lending under `/admin/v1/blue-switch`: agreements, vehicles, calls, deployments, outages.

Without a configured agreement file every route answers 404.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException
from fastapi.responses import PlainTextResponse, Response
from pydantic import Field

from gateway.model.message import Moment
from gateway.web.answers import Answers
from gateway.web.ports import Limit, Row, VehicleLending
from gateway.web.request_models import Body

PREFIX = "/blue-switch"
Place = Annotated[str, Field(min_length=1, max_length=64)]


class PositionBody(Body):
    """Position, state of charge and availability of a car, as its operator reports; omitted members are unchanged."""

    place: Place | None = Field(default=None, description="a place of the agreement file")
    soc_pct: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = None
    available: bool | None = Field(default=None, description="false: broken down or in use; true: can be called again")
    at: Moment | None = Field(default=None, description="when it was seen, if not now")


class PaymentBody(Body):
    """Energy returned to a vehicle, or paid for."""

    id: Annotated[str, Field(min_length=1, max_length=64)] = Field(description="counts once")
    energy_wh: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
    soc_pct: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = None


def add(router: APIRouter, lending: VehicleLending | None, now: Callable[[], float]) -> None:
    """Add the routes to an authenticated router; `now` returns Unix time."""
    routes = _Routes(lending, now)
    table: list[tuple[str, str, Callable[..., Any]]] = [
        ("GET", "", routes.state),
        ("GET", "/agreements", routes.agreements),
        ("GET", "/agreements/{agreement}", routes.agreement),
        ("GET", "/cars", routes.cars),
        ("GET", "/cars/{vehicle}", routes.car),
        ("PUT", "/cars/{vehicle}/position", routes.position),
        ("POST", "/cars/{vehicle}/payments", routes.payment),
        ("GET", "/calls", routes.calls),
        ("GET", "/arrivals", routes.arrivals),
        ("GET", "/loans", routes.loans),
        ("GET", "/outages", routes.outages),
    ]
    for method, path, endpoint in table:
        router.add_api_route(PREFIX + path, endpoint, methods=[method], tags=["blue switch"])
    outage_path = PREFIX + "/outages/{outage}"
    also: Answers = {200: {"content": {"text/markdown": {}}}}
    router.add_api_route(
        outage_path, routes.outage, methods=["GET"], tags=["blue switch"], response_model=None, responses=also
    )


class _Routes:
    def __init__(self, lending: VehicleLending | None, now: Callable[[], float]) -> None:
        self._configured = lending
        self._now = now

    @property
    def _lending(self) -> VehicleLending:
        if self._configured is None:
            raise HTTPException(404, "Blue Switch is not configured: blue_switch.file names no agreement file")
        return self._configured

    async def state(self) -> Row:
        """Return sites in need, calls, vehicles at this site, gaps."""
        return {"place": self._lending.place} | self._lending.state().model_dump(mode="json")

    async def agreements(self) -> list[Row]:
        """Return the agreements of the file, with the defaults of their kinds."""
        return self._lending.agreements()

    async def agreement(self, agreement: str) -> Row:
        """Return one agreement."""
        return _one(self._lending.agreements(), "id", agreement, f"no agreement {agreement}")

    async def cars(self) -> list[Row]:
        """Return the vehicles of all agreements."""
        return self._lending.vehicles()

    async def car(self, vehicle: str) -> Row:
        """Return one vehicle."""
        return _one(self._lending.vehicles(), "vehicle", vehicle, f"no agreement covers the vehicle {vehicle}")

    async def position(self, vehicle: str, body: PositionBody) -> Row:
        """Report a vehicle's position, state of charge and availability."""
        await self.car(vehicle)
        at = self._now() if body.at is None else min(body.at, self._now())
        try:
            self._lending.sighting(vehicle, at, body.place, body.soc_pct, body.available)
        except ValueError as error:
            raise HTTPException(422, str(error)) from None
        return await self.car(vehicle)

    async def payment(self, vehicle: str, body: PaymentBody) -> Row:
        """Return the energy still to be returned; 409 where there was none."""
        await self.car(vehicle)
        if not self._lending.payment(vehicle, body.energy_wh, body.soc_pct, body.id):
            raise HTTPException(409, f"no energy is to be returned to {vehicle}")
        left = [one for one in self._lending.deployments(open_only=True) if one["vehicle"] == vehicle]
        still = sum(one["owed_wh"] + one["billed_wh"] for one in left)
        return {"vehicle": vehicle, "owed_wh": round(still, 1), "settled": all(one["settled"] for one in left)}

    async def calls(self) -> list[Row]:
        """Return calls of vehicles that have not arrived yet, in order of departure."""
        return [one.model_dump(mode="json") for one in self._lending.state().calls]

    async def arrivals(self, limit: Limit = 100) -> list[Row]:
        """Return checks of vehicles that were plugged in, newest first."""
        return self._lending.arrival_checks(limit)

    async def loans(self, owed: bool = False, limit: Limit = 1000) -> list[Row]:
        """Return deployments, newest first; `owed=true`: only those that are not settled."""
        return self._lending.deployments(open_only=owed)[:limit]

    async def outages(self) -> list[Row]:
        """Return the outages, newest first."""
        return self._lending.outages()

    async def outage(self, outage: str, format: Literal["json", "markdown"] = "json") -> Row | Response:
        """Return the audit report of an outage as JSON or Markdown."""
        try:
            if format == "json":
                return self._lending.report(outage)
            text = self._lending.report_markdown(outage)
        except KeyError:
            raise LookupError(f"no outage {outage}") from None
        return PlainTextResponse(text, media_type="text/markdown; charset=utf-8")


def _one(rows: list[Row], key: str, value: str, missing: str) -> Row:
    """Return the row with this key; LookupError where there is none."""
    found = next((row for row in rows if row[key] == value), None)
    if found is None:
        raise LookupError(missing)
    return found
