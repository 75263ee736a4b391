"""Routes of vehicle lending under `/admin/v1/blue-switch`: agreements, vehicles, calls, deployments, outages.

Without a configured agreement file every route answers 404.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.blue_switch import views
from gateway.blue_switch.audit import report_markdown
from gateway.blue_switch.service import VehicleLendingService
from gateway.model.moment import Moment

PREFIX = "/blue-switch"
Row = dict[str, Any]
Limit = Annotated[int, Query(ge=1, le=10_000)]
Place = Annotated[str, Field(min_length=1, max_length=64)]


class PositionBody(BaseModel):
    """Position, state of charge and availability of a car, as its operator reports; omitted members are unchanged."""

    model_config = ConfigDict(extra="forbid")

    place: Place | None = Field(default=None, description="a place of the agreement file")
    soc_pct: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = None
    available: bool | None = Field(default=None, description="false: broken down or in use; true: can be called again")
    at: Moment | None = Field(default=None, description="when it was seen, if not now")


class PaymentBody(BaseModel):
    """Energy returned to a vehicle, or paid for."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, Field(min_length=1, max_length=64)] = Field(description="counts once")
    energy_wh: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
    soc_pct: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = None


def add(router: APIRouter, lender: VehicleLendingService | None, now: Callable[[], float]) -> None:
    """Add the routes to an authenticated router; `now` returns Unix time."""

    def ours() -> VehicleLendingService:
        if lender is None:
            raise HTTPException(404, "no Blue Switch here: blue_switch.file names no agreement file")
        return lender

    def car_row(vehicle: str) -> Row:
        found = ours().desk.registry.cars.get(vehicle)
        if found is None:
            raise LookupError(f"no agreement covers the vehicle {vehicle}")
        return views.car(found)

    @router.get(PREFIX, tags=["blue switch"])
    async def state() -> Row:
        """Return sites in need, calls, vehicles at this site, gaps."""
        return {"place": ours().place} | views.state(ours().desk, ours().place).model_dump(mode="json")

    @router.get(PREFIX + "/agreements", tags=["blue switch"])
    async def agreements() -> list[Row]:
        return views.agreements(ours().desk)

    @router.get(PREFIX + "/agreements/{agreement}", tags=["blue switch"])
    async def agreement(agreement: str) -> Row:
        found = next((one for one in views.agreements(ours().desk) if one["id"] == agreement), None)
        if found is None:
            raise LookupError(f"no agreement {agreement}")
        return found

    @router.get(PREFIX + "/cars", tags=["blue switch"])
    async def cars() -> list[Row]:
        return [views.car(one) for _, one in sorted(ours().desk.registry.cars.items())]

    @router.get(PREFIX + "/cars/{vehicle}", tags=["blue switch"])
    async def car(vehicle: str) -> Row:
        return car_row(vehicle)

    @router.put(PREFIX + "/cars/{vehicle}/position", tags=["blue switch"])
    async def position(vehicle: str, body: PositionBody) -> Row:
        car_row(vehicle)
        at = now() if body.at is None else min(body.at, now())
        try:
            ours().sighting(vehicle, at, body.place, body.soc_pct, body.available)
        except ValueError as error:
            raise HTTPException(422, str(error)) from None
        return car_row(vehicle)

    @router.post(PREFIX + "/cars/{vehicle}/payments", tags=["blue switch"])
    async def payment(vehicle: str, body: PaymentBody) -> Row:
        """Return the energy still to be returned; 409 where there was none."""
        car_row(vehicle)
        if not ours().payment(vehicle, body.energy_wh, body.soc_pct, body.id):
            raise HTTPException(409, f"no energy is to be returned to {vehicle}")
        left = [one for one in views.deployments(ours().desk, open_only=True) if one["vehicle"] == vehicle]
        still = sum(one["owed_wh"] + one["billed_wh"] for one in left)
        return {"vehicle": vehicle, "owed_wh": round(still, 1), "settled": all(one["settled"] for one in left)}

    @router.get(PREFIX + "/calls", tags=["blue switch"])
    async def calls() -> list[Row]:
        """Return calls of vehicles that have not arrived yet, in order of departure."""
        return [one.model_dump(mode="json") for one in views.state(ours().desk, ours().place).calls]

    @router.get(PREFIX + "/arrivals", tags=["blue switch"])
    async def arrivals(limit: Limit = 100) -> list[Row]:
        """Return checks of vehicles that were plugged in, newest first."""
        return views.checks(ours().desk, limit)

    @router.get(PREFIX + "/loans", tags=["blue switch"])
    async def deployments(owed: bool = False, limit: Limit = 1000) -> list[Row]:
        """Return deployments, newest first; `owed=true`: only those that are not settled."""
        return views.deployments(ours().desk, open_only=owed)[:limit]

    @router.get(PREFIX + "/outages", tags=["blue switch"])
    async def outages() -> list[Row]:
        return views.outages(ours().desk)

    @router.get(PREFIX + "/outages/{outage}", tags=["blue switch"], response_model=None)
    async def outage(outage: str, format: Literal["json", "markdown"] = "json") -> Row | Response:
        """Return the audit report of an outage as JSON or Markdown."""
        if outage not in ours().desk.outages:
            raise LookupError(f"no outage {outage}")
        made = ours().desk.report(outage)
        if format == "markdown":
            return PlainTextResponse(report_markdown(made), media_type="text/markdown; charset=utf-8")
        return made
