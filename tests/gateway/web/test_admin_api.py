"""The admin API of a CSMS with an emulated station, in memory and once over a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from emulators.runtime.clock import RealClock
from gateway.control.settings import ServiceSettings
from gateway.csms.admin import Admin
from gateway.csms.csms import Csms
from gateway.csms.settings import CsmsSettings, StationSettings, UnknownTokens
from gateway.model.site import SitePolicy
from gateway.service import GatewayService
from gateway.store.journal import Journal
from gateway.store.store import MemoryStore
from gateway.web import server
from gateway.web.api import build
from gateway.web.guard import Access, Guard
from protocols.ocpp.schema import Version
from tests.emulators.charger.station_rig import Rig

PREFIX = "/admin/v1"


def client(rig: Rig, **about: Any) -> httpx.AsyncClient:
    about.setdefault("raw_calls", True)
    app = build(Admin(rig.csms), None, **about)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway" + PREFIX)


@asynccontextmanager
async def served_rig(version: Version = Version.V21, **about: Any) -> AsyncIterator[tuple[Rig, httpx.AsyncClient]]:
    """Run station and CSMS in virtual time, with a client of the admin API."""
    async with Rig(version) as rig, client(rig, **about) as http:
        yield rig, http


@pytest.mark.virtual_time
async def test_health_and_stations() -> None:
    async with served_rig() as (_, http):
        health = (await http.get("/health")).json()
        assert health["status"] == "ok"
        assert health["protocols"] == ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"]
        (station,) = (await http.get("/stations")).json()
        assert station == (await http.get("/stations/CP1")).json()
        assert station["protocol"] == "ocpp2.1"
        assert station["connected"] is True
        assert station["boot"]["status"] == "Accepted"
        assert station["connectors"] == [{"evseId": 1, "connectorId": 1, "status": "Available"}]
        assert (await http.get("/stations/CP9")).status_code == 404


@pytest.mark.virtual_time
async def test_a_station_is_registered_and_removed() -> None:
    async with served_rig() as (rig, http):
        secret = "0123456789abcdef"
        made = await http.put("/stations/CP2", json={"basic_auth_password": secret, "security_profile": 1})
        assert made.status_code == 200
        assert made.json()["security_profile"] == 1
        assert secret not in made.text
        kept = rig.csms.stations["CP2"].settings.password_hash
        assert kept is not None
        assert secret not in kept
        assert (await http.put("/stations/CP2", json={"vendor_profile": "nonsense"})).status_code == 422
        assert (await http.put("/stations/CP2", json={"unknown": 1})).status_code == 422
        assert (await http.put("/stations/a:b", json={})).status_code == 422
        assert (await http.delete("/stations/CP2")).status_code == 204
        assert (await http.delete("/stations/CP2")).status_code == 404
        assert (await http.delete("/stations/CP1")).status_code == 204
        await rig.until(lambda: rig.station.link.connection is None)


@pytest.mark.virtual_time
async def test_a_raw_call_is_sent_verbatim() -> None:
    async with served_rig() as (rig, http):
        payload = {
            "getVariableData": [
                {"variable": {"name": "HeartbeatInterval"}, "component": {"name": "OCPPCommCtrlr"}},
                {"component": {"name": "Nobody"}, "variable": {"name": "x"}},
            ]
        }
        texts: list[str] = []
        assert rig.link is not None
        rig.link.on_write = lambda _, text: texts.append(text)
        answer = (await http.post("/stations/CP1/call", json={"action": "GetVariables", "payload": payload})).json()
        assert answer["type"] == "result"
        assert answer["valid"] is True
        assert [r["attributeStatus"] for r in answer["payload"]["getVariableResult"]] == [
            "Accepted",
            "UnknownComponent",
        ]
        sent = next(text for text in texts if "GetVariables" in text)
        assert json.dumps(payload, separators=(",", ":")) in sent


@pytest.mark.virtual_time
async def test_each_possible_outcome_of_a_raw_call() -> None:
    async with served_rig() as (rig, http):

        async def call(station: str, action: str, payload: dict[str, Any], timeout_s: float = 30) -> httpx.Response:
            body = {"action": action, "payload": payload, "timeout_s": timeout_s}
            return await http.post(f"/stations/{station}/call", json=body)

        assert (await call("CP9", "Reset", {"type": "OnIdle"})).status_code == 404
        assert (await call("CP1", "RemoteStartTransaction", {"idTag": "x"})).status_code == 501
        assert (await call("CP1", "Reset", {"type": "Hard"})).status_code == 422
        refused = (
            await call("CP1", "RequestBatterySwap", {"idToken": {"idToken": "x", "type": "Central"}, "requestId": 1})
        ).json()
        assert refused["type"] == "error"
        assert refused["code"] == "NotSupported"
        assert rig.link is not None
        rig.link.silent.add("station")
        assert (await call("CP1", "ClearCache", {}, 5)).json() == {"type": "timeout"}
        waiting = asyncio.create_task(call("CP1", "ClearCache", {}))
        await rig.sleep(1)
        rig.cut()
        assert (await waiting).json() == {"type": "disconnected"}
        await rig.sleep(1)
        assert (await call("CP1", "ClearCache", {})).status_code == 409


@pytest.mark.virtual_time
async def test_raw_calls_are_off_unless_they_are_allowed() -> None:
    async with served_rig(raw_calls=False) as (_, http):
        answer = await http.post("/stations/CP1/call", json={"action": "ClearCache", "payload": {}})
        assert answer.status_code == 403
        assert "raw_calls" in answer.json()["detail"]


@pytest.mark.virtual_time
async def test_a_configured_token_is_required() -> None:
    async with Rig(Version.V21) as rig:
        guarded = Guard(build(Admin(rig.csms), None), Access("right"), lambda _: None, rig.clock.now)
        http = httpx.AsyncClient(transport=httpx.ASGITransport(guarded), base_url="http://localhost" + PREFIX)
        assert (await http.get("/health")).status_code == 401
        assert (await http.get("/health", headers={"Authorization": "Bearer wrong"})).status_code == 401
        assert (await http.get("/health", headers={"Authorization": "Bearer right"})).status_code == 200


@pytest.mark.virtual_time
@pytest.mark.parametrize("version", list(Version))
async def test_transactions_newest_first(version: Version) -> None:
    async with served_rig(version) as (rig, http):
        for _ in range(2):
            await rig.charging()
            await rig.sleep(30)
            rig.station.unplug(1)
            await rig.sleep(5)
        await rig.charging()
        rows = (await http.get("/stations/CP1/transactions")).json()
        assert len(rows) == 3
        assert [row["stoppedAt"] is None for row in rows] == [True, False, False]
        assert rows[1]["stopReason"] == "EVDisconnected"
        assert rows[1]["startedAt"] > rows[2]["startedAt"]
        assert isinstance(rows[0]["transactionId"], int if version is Version.V16 else str)
        (active,) = (await http.get("/stations/CP1/transactions", params={"active": "true"})).json()
        one = (await http.get(f"/transactions/{active['ref']}")).json()
        for found in (active, one):  # the energy goes on
            assert {k: v for k, v in found.items() if "energy" not in k} == {
                k: v for k, v in rows[0].items() if "energy" not in k
            }
        assert len((await http.get("/stations/CP1/transactions", params={"limit": 1})).json()) == 1
        assert (await http.get("/stations/CP1/transactions", params={"idToken": "nobody"})).json() == []
        assert (await http.get("/transactions/CP1/nothing")).status_code == 404
        assert (await http.post("/stations/CP1/transactions/close-stale")).json() == {"closed": 1}
        assert (await http.get("/stations/CP1/transactions", params={"active": "true"})).json() == []
        await rig.sleep(20)  # the station still reports it: it runs again
        assert len((await http.get("/stations/CP1/transactions", params={"active": "true"})).json()) == 1


@pytest.mark.virtual_time
async def test_tokens() -> None:
    async with served_rig() as (rig, http):
        rig.csms.context.tokens.unknown = UnknownTokens.REJECT
        past, future = "2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z"
        for name, about in (
            ("good", {"status": "Accepted", "expiry": future, "parent": "fleet"}),
            ("old", {"status": "Accepted", "expiry": past}),
            ("bad", {"status": "Blocked"}),
        ):
            assert (await http.put(f"/tokens/{name}", json=about)).status_code == 200
        assert (await http.put("/tokens/x", json={"status": "Nice"})).status_code == 422
        assert (await http.put("/tokens/x", json={"status": "Accepted", "expiry": "soon"})).status_code == 422
        assert len((await http.get("/tokens")).json()) == 3
        for name, status in (
            ("good", "Accepted"),
            ("GOOD", "Accepted"),
            ("old", "Expired"),
            ("bad", "Blocked"),
            ("no", "Invalid"),
        ):
            await rig.station.call("Authorize", {"idToken": {"idToken": name, "type": "ISO14443"}})
            info = rig.answers("Authorize")[-1]["idTokenInfo"]
            assert info["status"] == status
        assert rig.answers("Authorize")[0]["idTokenInfo"]["groupIdToken"]["idToken"] == "fleet"
        assert (await http.get("/tokens/good")).json()["parent"] == "fleet"
        assert (await http.delete("/tokens/good")).status_code == 204
        assert (await http.get("/tokens/good")).status_code == 404
        assert (await http.delete("/tokens/good")).status_code == 404


@pytest.mark.virtual_time
@pytest.mark.parametrize("version", [Version.V16, Version.V21])
async def test_reservations(version: Version) -> None:
    async with served_rig(version) as (rig, http):

        async def reserve(number: int, seconds: float) -> None:
            from protocols.ocpp.times import stamp

            expiry = stamp(rig.clock.wall() + seconds)
            if version is Version.V16:
                payload: dict[str, Any] = {
                    "connectorId": 1,
                    "expiryDate": expiry,
                    "idTag": "A",
                    "reservationId": number,
                }
            else:
                token = {"idToken": "A", "type": "ISO14443"}
                payload = {"id": number, "expiryDateTime": expiry, "idToken": token, "evseId": 1}
            answer = await http.post("/stations/CP1/call", json={"action": "ReserveNow", "payload": payload})
            assert answer.json()["payload"]["status"] == "Accepted"

        await reserve(1, 600)
        await http.post("/stations/CP1/call", json={"action": "CancelReservation", "payload": {"reservationId": 1}})
        await reserve(2, 5)
        await rig.sleep(10)
        await reserve(3, 600)
        rows = (await http.get("/stations/CP1/reservations")).json()
        assert [(row["ref"], row["status"]) for row in rows] == [
            ("CP1/3", "ACCEPTED"),
            ("CP1/2", "EXPIRED"),
            ("CP1/1", "CANCELLED"),
        ]
        assert (await http.get("/reservations/CP1/2")).json() == rows[1]
        assert (await http.get("/reservations/CP1/9")).status_code == 404


@pytest.mark.virtual_time
async def test_messages_and_violations() -> None:
    async with served_rig() as (rig, http):
        boots = (await http.get("/messages", params={"action": "BootNotification"})).json()
        assert boots[0]["station"] == "CP1"
        assert boots[0]["payload"]["reason"] == "PowerUp"
        assert (await http.get("/messages", params={"station": "CP9"})).json() == []
        assert (await http.get("/violations")).json() == []
        assert rig.station.link.connection is not None
        await rig.station.link.connection.wire.send('[2,"x","StatusNotification",{}]')
        await rig.sleep(0.1)
        (row,) = (await http.get("/violations", params={"station": "CP1"})).json()
        assert row["action"] == "StatusNotification"
        assert row["direction"] == "received"
        assert row["code"] == "OccurrenceConstraintViolation"


@pytest.mark.virtual_time
async def test_commands_sessions_and_the_journal() -> None:
    async with Rig() as rig:
        settings = ServiceSettings(SitePolicy("site"), stations=("CP1",))
        service = GatewayService(settings, rig.clock, lambda _: rig.csms, Journal(MemoryStore(), rig.clock))
        for event in rig.events:
            service.report(event)
        rig.csms.context.report = service.report
        running = asyncio.create_task(service.run())
        app = build(Admin(rig.csms), service, raw_calls=True)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway" + PREFIX) as http:
            await rig.charging()
            await rig.sleep(2)
            (session,) = (await http.get("/sessions")).json()
            assert session["evse"] == "CP1-1"
            body = {"id": "c1", "verb": "discharge", "power_w": 5000, "lease_s": 30}
            first = (await http.post("/evses/CP1-1/commands", json=body)).json()
            assert first["status"] in ("accepted", "clamped")
            await rig.sleep(15)
            done = (await http.get("/commands/c1")).json()
            assert done["final"]["status"] == "achieved"
            assert done["final"]["measured"]["power_w"] == pytest.approx(-5000, rel=0.02)
            explained = (await http.get("/evses/CP1-1/explain")).json()
            assert explained["layers"]
            assert (await http.get("/evses/CP1-1")).json()["session"] == session["session"]
            assert (await http.get("/evses/CP9-1")).status_code == 404
            assert (await http.get("/commands/none")).status_code == 404
            assert (await http.post("/evses/CP1-1/commands", content=b"{")).status_code == 400
            assert (await http.post("/evses/CP1-1/commands", json={"id": "x"})).status_code == 422
            bad = (await http.post("/evses/CP1-1/commands", json={"id": "x", "verb": "fly"})).json()
            assert bad["status"] == "refused"
            huge = b'{"verb":"stop","id":"' + b"x" * 70_000 + b'"}'
            assert (await http.post("/evses/CP1-1/commands", content=huge)).status_code == 413
            await http.post("/stations/CP1/call", json={"action": "ClearCache", "payload": {}})
            await rig.sleep(2)
            steps = [(row["step"], row["cause"]) for row in (await http.get("/journal")).json()]
            assert ("operator", "raw ClearCache to CP1") in steps
            assert any(step == "bound" for step, _ in steps)
            assert (await http.delete("/stations/CP1")).status_code == 204
            await rig.sleep(5)
            assert service.evses() == []  # and with it goes what MQTT retains about it
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_over_a_socket_in_a_real_time_loop() -> None:
    settings = CsmsSettings(stations=(StationSettings("CP1"),))
    app = build(Admin(Csms(settings, lambda _: None, RealClock())), None)
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(server.serve(app, "127.0.0.1", 0, ready=port.set_result))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{await port}") as http:
        assert (await http.get(PREFIX + "/health")).json()["status"] == "ok"
        paths = (await http.get("/openapi.json")).json()["paths"]
        assert PREFIX + "/stations/{station}/call" in paths
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
