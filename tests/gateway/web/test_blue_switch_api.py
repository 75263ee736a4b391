"""Vehicle lending over HTTP and as inputs: an outage from the call to the report, with a provider."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.blue_switch.agreement_file import parse
from gateway.blue_switch.persistence import BlueSwitchPersistence
from gateway.blue_switch.service import VehicleLendingService
from gateway.csms.admin import Admin
from gateway.csms.csms import Csms
from gateway.csms.settings import CsmsSettings
from gateway.energy.service import EnergyService
from gateway.model.event import SessionEnded, VehicleIdentified
from gateway.model.message import rfc3339
from gateway.web.api import build
from tests.gateway.commands.rig import ServiceRig, service_rig
from tests.gateway.energy.test_energy_service import ISLAND, LENT, decided, live

pytestmark = pytest.mark.virtual_time

AS_ARRIVED = LENT.replace("floor_pct = 25", 'floor_pct = 25\ngive_back = "as_arrived"')
PREFIX = "http://gateway/admin/v1"


def app_of(rig: ServiceRig, lending: VehicleLendingService | None) -> httpx.AsyncClient:
    csms = Csms(CsmsSettings(), lambda _: None, rig.clock)
    app = build(Admin(csms), rig.service, lending=lending, now=rig.clock.wall)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PREFIX)


@asynccontextmanager
async def shelter(
    tmp_path: Path | None = None,
) -> AsyncIterator[tuple[ServiceRig, EnergyService, VehicleLendingService, httpx.AsyncClient]]:
    async with service_rig("CP1-1", "CP2-1", energy=ISLAND) as rig:
        energy_service, coordinator = rig.energy_service, parse(AS_ARRIVED, "lent.toml")
        persistence = BlueSwitchPersistence(rig.journal)
        lending = rig.lending(coordinator, tmp_path, persistence)
        rig.input_handlers.update(lending.input_handlers)
        async with app_of(rig, lending) as http:
            yield rig, energy_service, lending, http


async def test_an_outage_over_http_from_the_call_to_the_energy_returned(tmp_path: Path) -> None:
    async with shelter(tmp_path) as (rig, energy_service, lending, http):
        assert (await http.get("/blue-switch")).json()["sites"] == []
        (paper,) = (await http.get("/blue-switch/agreements")).json()
        assert paper["id"] == "A"
        assert paper["give_back"] == "as_arrived"
        assert (await http.get("/blue-switch/agreements/A")).json() == paper
        assert (await http.get("/blue-switch/outages")).json() == []
        await live(rig, energy_service, 30, False, 700.0, lending)
        (called,) = (await http.get("/blue-switch/calls")).json()
        assert (called["vehicle"], called["from"], called["site"]) == ("LENT", "depot", "home")
        rig.service.report(VehicleIdentified("CP1-1", rig.clock.now(), "LENT"))
        await live(rig, energy_service, 30, False, 700.0, lending)
        assert (await http.get("/blue-switch/calls")).json() == []
        (arrival,) = (await http.get("/blue-switch/arrivals?limit=1")).json()
        assert arrival["welcome"] is True
        assert arrival["vehicle"] == "LENT"
        (deployment,) = (await http.get("/blue-switch/loans")).json()
        assert deployment["left_at"] is None
        assert (await http.get("/blue-switch/cars/LENT")).json()["status"] == "there"
        place = rig.evse("CP1-1").evse
        battery = rig.stations.evses["CP1-1"]
        assert battery.soc_pct is not None
        battery.soc_pct -= 20.0
        await live(rig, energy_service, 6, False, 700.0, lending)
        rig.service.report(SessionEnded("CP1-1", rig.clock.now(), place.session or "", "Local"))
        await live(rig, energy_service, 6, False, 700.0, lending)
        await live(rig, energy_service, 330, True, 700.0, lending)
        (outage,) = (await http.get("/blue-switch/outages")).json()
        assert outage["ended"] is not None
        assert outage["all_settled"] is False
        owed = outage["owed_wh"]
        assert owed > 7000
        body = {"id": "p1", "energy_wh": 1000}
        first = (await http.post("/blue-switch/cars/LENT/payments", json=body)).json()
        assert first["settled"] is False
        assert owed - 1001 < first["owed_wh"] < owed - 900
        assert (await http.post("/blue-switch/cars/LENT/payments", json=body)).json() == first  # counts once
        assert len((await http.get("/blue-switch/loans?owed=true")).json()) == 1
        body = {"id": "p2", "energy_wh": 9000, "soc_pct": 95}
        assert (await http.post("/blue-switch/cars/LENT/payments", json=body)).json()["settled"] is True
        body = {"id": "p3", "energy_wh": 9000}
        assert (await http.post("/blue-switch/cars/LENT/payments", json=body)).status_code == 409
        made = (await http.get(f"/blue-switch/outages/{outage['id']}")).json()
        assert made["all_settled"] is True
        assert made["chain"]["whole"] is True
        paper_text = await http.get(f"/blue-switch/outages/{outage['id']}?format=markdown")
        assert paper_text.headers["content-type"].startswith("text/markdown")
        assert made["chain"]["last"] in paper_text.text
        await rig.wait(1.0)
        assert json.loads((tmp_path / f"{outage['id']}.json").read_text())["all_settled"] is True


async def test_providers_report_positions_over_http_and_as_an_input() -> None:
    async with shelter() as (rig, _, lending, http):
        where = "/blue-switch/cars/LENT/position"
        row = (await http.put(where, json={"place": "home", "soc_pct": 55.5})).json()
        assert (row["place"], row["soc_pct"]) == ("home", 55.5)
        assert row["seen_at"] == rfc3339(rig.clock.wall())
        row = (await http.put(where, json={"soc_pct": 10, "at": rfc3339(rig.clock.wall() - 60)})).json()
        assert row["soc_pct"] == 55.5  # older than the last report
        assert (await http.put(where, json={"place": "nowhere"})).status_code == 422
        assert (await http.put(where, json={"soc_pct": 101})).status_code == 422
        assert (await http.put(where, json={"colour": "red"})).status_code == 422
        assert (await http.put("/blue-switch/cars/OTHER/position", json={})).status_code == 404
        await rig.wait(1.0)

        def tell(kind: str, **body: Any) -> None:
            text = json.dumps({"ts": rfc3339(rig.clock.wall()), **body}).encode()
            assert rig.service.input(kind, text) is None

        tell("lent", cars=[{"vehicle": "LENT", "place": "depot", "available": False}, {"vehicle": "WHO"}])
        row = (await http.get("/blue-switch/cars/LENT")).json()
        assert (row["place"], row["status"], row["soc_pct"]) == ("depot", "unavailable", 55.5)
        tell("lent", cars=[{"vehicle": "LENT", "place": "moon"}])
        tell("repaid", payments=[{"id": "x", "vehicle": "LENT", "energy_wh": 10}])
        assert decided(rig) == ["lent_not_taken", "lent_not_taken", "repaid_not_taken"]
        assert lending.coordinator.payments == set()


async def test_a_gateway_that_restarts_in_an_outage_continues_its_deployments() -> None:
    async with shelter() as (rig, energy_service, lending, _):
        rig.service.report(VehicleIdentified("CP1-1", rig.clock.now(), "LENT"))
        await live(rig, energy_service, 40, False, 700.0, lending)
        evse = rig.evse("CP1-1").evse
        base = evse.discharged.total_wh or 0.0
        evse.discharged.total_wh = base + 5000.0
        await live(rig, energy_service, 6, False, 700.0, lending)
        before = lending.coordinator.deployments["home", "LENT"]
        assert before.discharged_wh == pytest.approx(5000.0)
        await rig.journal.flush()
        kept = await rig.store.kept(100)
        again = rig.lending(parse(AS_ARRIVED, "lent.toml"), None, BlueSwitchPersistence(rig.journal))
        again.restore(kept)
        again.step()
        after = again.coordinator.deployments["home", "LENT"]
        assert after.arrived_at == before.arrived_at
        evse.discharged.total_wh = base + 6500.0
        again.step()
        assert again.coordinator.deployments["home", "LENT"].discharged_wh == pytest.approx(6500.0)
        assert again.coordinator.current is not None
        assert again.coordinator.report(again.coordinator.current.id)["chain"]["whole"]
        assert rig.energy_service.lending.floor_pct["CP1-1"] == 25.0


async def test_without_an_agreement_file_the_routes_answer_404() -> None:
    async with service_rig("CP1-1") as rig, app_of(rig, None) as http:
        answer = await http.get("/blue-switch/cars")
        assert answer.status_code == 404
        assert "blue_switch.file" in answer.json()["detail"]
        paths = (await http.get("http://gateway/openapi.json")).json()["paths"]
        ours = {path.removeprefix("/admin/v1/blue-switch") for path in paths if "blue-switch" in path}
        assert {"/cars/{vehicle}/position", "/outages/{outage}", "/calls", "/loans", "/arrivals"} <= ours
        body = paths["/admin/v1/blue-switch/cars/{vehicle}/payments"]["post"]["requestBody"]
        assert "PaymentBody" in json.dumps(body)
