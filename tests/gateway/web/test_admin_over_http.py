"""The admin API over HTTP, verified together with the messages on the OCPP connection, in all three versions."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from protocols.ocpp.schema import Version
from protocols.ocpp.times import stamp
from tests.gateway.web.running_gateway import PASSWORD, RunningGateway, Station, running_gateway

ALL = list(Version)
TWO = [Version.V201, Version.V21]


@asynccontextmanager
async def within_a_minute(folder: Path, **about: Any) -> AsyncIterator[RunningGateway]:
    """Run a gateway with sockets, in real time and for at most 60 s."""
    async with asyncio.timeout(60), running_gateway(folder, **about) as running:
        yield running


def at(seconds: float = 0.0) -> str:
    return stamp(time.time() + seconds)


async def begin(station: Station, token: str = "A", connector: int = 1, **more: Any) -> Any:
    """Start a transaction; return its id at the station and the idToken info of the response."""
    if station.version is Version.V16:
        body = {"connectorId": connector, "idTag": token, "meterStart": 100, "timestamp": at(), **more}
        answer = await station.ok("StartTransaction", body)
        return answer["transactionId"], answer["idTagInfo"]
    name = f"t-{token}-{connector}"
    body = event(name, "Started", 0, token, connector, 100.0) | more
    return name, (await station.ok("TransactionEvent", body))["idTokenInfo"]


def event(name: str, kind: str, seq: int, token: str, connector: int, wh: float) -> dict[str, Any]:
    sample = {"value": wh, "measurand": "Energy.Active.Import.Register"}
    info = {"transactionId": name, "chargingState": "Charging"}
    if kind == "Ended":
        info = {"transactionId": name, "stoppedReason": "EVDisconnected"}
    return {
        "eventType": kind,
        "timestamp": at(),
        "triggerReason": "Authorized" if kind == "Started" else "EVDeparted",
        "seqNo": seq,
        "transactionInfo": info,
        "idToken": {"idToken": token, "type": "ISO14443"},
        "evse": {"id": connector, "connectorId": 1},
        "meterValue": [{"timestamp": at(), "sampledValue": [sample]}],
    }


async def end(station: Station, name: Any, token: str = "A", connector: int = 1) -> dict[str, Any]:
    if station.version is Version.V16:
        body = {"transactionId": name, "meterStop": 1100, "timestamp": at(), "reason": "EVDisconnected"}
        return await station.ok("StopTransaction", body)
    return await station.ok("TransactionEvent", event(name, "Ended", 1, token, connector, 1100.0))


async def test_health_and_authentication(tmp_path: Path) -> None:
    async with within_a_minute(tmp_path) as running:
        health = await running.get("/health")
        assert health["status"] == "ok"
        assert health["protocols"] == ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"]
        assert isinstance(health["version"], str)
        paths = ("/health", "/stations", "/tokens", "/messages", "/violations", "/sessions", "/journal", "/nothing")
        async with httpx.AsyncClient(base_url=str(running.http.base_url), trust_env=False) as unknown:
            for path in paths[:-1]:
                refused = await unknown.get(path)
                assert refused.status_code == 401, path
                assert refused.headers["WWW-Authenticate"] == "Bearer"
                wrong = await unknown.get(path, headers={"Authorization": "Bearer nonsense"})
                assert wrong.status_code == 401
        assert (await running.http.get("/nothing")).status_code == 404


@pytest.mark.parametrize("version", ALL)
async def test_a_station_from_registration_to_removal(version: Version, tmp_path: Path) -> None:
    async with within_a_minute(tmp_path) as running:
        with pytest.raises(InvalidStatus) as refused:
            await running.station(version, "NEW")
        assert refused.value.response.status_code == 404
        made = await running.http.put("/stations/NEW", json={"basic_auth_password": PASSWORD, "security_profile": 1})
        assert made.status_code == 200
        for never in ("protocol", "boot"):
            assert made.json()[never] is None
        assert made.json()["connected"] is False
        assert made.json()["security_profile"] == 1
        with pytest.raises(InvalidStatus) as refused:
            await running.station(version, "NEW", "fedcba9876543210")
        assert refused.value.response.status_code == 401
        station = await running.station(version, "NEW")
        status: dict[str, Any] = {"connectorId": 2, "errorCode": "NoError", "status": "Available"}
        if version is not Version.V16:
            status = {"timestamp": at(), "connectorStatus": "Available", "evseId": 2, "connectorId": 1}
        await station.ok("StatusNotification", status)
        row = await running.get("/stations/NEW")
        assert row in await running.get("/stations")
        assert (row["id"], row["protocol"], row["connected"]) == ("NEW", version.value, True)
        assert row["boot"]["status"] == "Accepted"
        assert (row["boot"]["vendor"], row["boot"]["model"]) == ("v1", "m1")
        assert [one["evseId"] for one in row["evses"]] == [2]
        number = 2 if version is Version.V16 else 1  # as reported by the station
        assert row["connectors"] == [{"evseId": 2, "connectorId": number, "status": "Available"}]
        assert row["profile"] == f"generic-{version.number}"
        assert (await running.http.delete("/stations/NEW")).status_code == 204
        async with asyncio.timeout(10):
            await station.socket.wait_closed()
        assert (await running.http.get("/stations/NEW")).status_code == 404
        assert (await running.http.delete("/stations/NEW")).status_code == 404


async def test_invalid_registrations_are_rejected(tmp_path: Path) -> None:
    bodies: list[Any] = [
        {"basic_auth_password": "short"},
        {"basic_auth_password": "x" * 41},
        {"security_profile": 4},
        {"security_profile": "1x"},
        {"vendor_profile": "nonsense"},
        {"registration": "perhaps"},
        {"unknown": 1},
        [],
    ]
    async with within_a_minute(tmp_path) as running:
        for body in bodies:
            assert (await running.http.put("/stations/NEW", json=body)).status_code == 422, body
        assert (await running.http.put("/stations/a%3Ab", json={})).status_code == 422
        assert (await running.http.get("/stations/NEW")).status_code == 404


@pytest.mark.parametrize("version", ALL)
async def test_each_possible_outcome_of_a_call(version: Version, tmp_path: Path) -> None:
    async with within_a_minute(tmp_path) as running:
        reset = {"type": "Hard" if version is Version.V16 else "Immediate"}
        foreign = "GetVariables" if version is Version.V16 else "ChangeConfiguration"
        assert (await running.call("Reset", reset, "CP9")).status_code == 404
        assert (await running.call("Reset", reset)).status_code == 409
        station = await running.station(version)
        assert (await running.call(foreign, {})).status_code == 501
        assert (await running.call("Nonsense", {})).status_code == 501
        for broken in ({}, {"type": 7}, {"type": "Sometimes"}, {**reset, "more": 1}):
            assert (await running.call("Reset", broken)).status_code == 422, broken
        assert station.texts == []  # nothing of this went out
        station.answers["Reset"] = {"status": "Accepted"}
        assert (await running.call("Reset", reset)).json() == {
            "type": "result",
            "payload": {"status": "Accepted"},
            "valid": True,
        }
        station.answers["Reset"] = {"status": "Perhaps"}
        answer = (await running.call("Reset", reset)).json()
        assert (answer["type"], answer["valid"], answer["payload"]) == ("result", False, {"status": "Perhaps"})
        station.answers["Reset"] = "InternalError"
        assert (await running.call("Reset", reset)).json() == {
            "type": "error",
            "code": "InternalError",
            "description": "no",
            "details": {"why": "tests"},
        }
        station.answers["Reset"] = None
        assert (await running.call("Reset", reset, timeout_s=0.2)).json() == {"type": "timeout"}
        asking = asyncio.create_task(running.call("Reset", reset))
        await asyncio.sleep(0.3)
        await station.close()
        assert (await asking).json() == {"type": "disconnected"}
        bodies: tuple[dict[str, Any], ...] = (
            {"payload": {}},
            {"action": "Reset", "payload": []},
            {"action": "Reset", "timeout_s": 0},
        )
        for body in bodies:
            assert (await running.http.post("/stations/CP1/call", json=body)).status_code == 422
        notes = [row for row in await running.get("/journal") if row["step"] == "operator"]
        assert "raw Reset to CP1" in {row["cause"] for row in notes}
        assert (await running.get("/violations", station="CP1"))[0]["action"] == "Reset"


async def test_raw_calls_are_off_unless_they_are_on(tmp_path: Path) -> None:
    async with within_a_minute(tmp_path, admin={"raw_calls": False}) as running:
        assert (await running.call("Reset", {"type": "Hard"})).status_code == 403
        assert (await running.call("Reset", {"type": "Hard"}, "CP9")).status_code == 404


@pytest.mark.parametrize(
    ("version", "action", "payload", "answer"),
    [
        (
            Version.V16,
            "DataTransfer",
            {"vendorId": "ü", "data": 'a "b" \\ é', "messageId": "1"},
            {"status": "Accepted"},
        ),
        (
            Version.V201,
            "SetVariables",
            {
                "setVariableData": [
                    {
                        "variable": {"name": "x"},
                        "component": {"evse": {"connectorId": 1, "id": 1}, "name": "y"},
                        "attributeValue": "1",
                        "customData": {"vendorId": "z", "b": 1, "a": [1.0, -0.5, 12345678901234567890, None, True]},
                    }
                ]
            },
            "NotSupported",
        ),
        (
            Version.V21,
            "UpdateDynamicSchedule",
            {"scheduleUpdate": {"setpoint": -4999.9, "setpoint_L2": 0}, "chargingProfileId": 7},
            {"status": "Accepted"},
        ),
    ],
)
async def test_a_payload_is_sent_verbatim(
    version: Version, action: str, payload: dict[str, Any], answer: Any, tmp_path: Path
) -> None:
    async with within_a_minute(tmp_path) as running:
        station = await running.station(version)
        station.answers[action] = answer
        await running.call(action, payload)
        (text,) = station.texts
        assert text.endswith("," + json.dumps(payload, separators=(",", ":"), ensure_ascii=False) + "]")
        assert text.startswith('[2,"')


@pytest.mark.parametrize("version", ALL)
async def test_transactions_newest_first_and_filtered(version: Version, tmp_path: Path) -> None:
    async with within_a_minute(tmp_path, unknown_tokens="accept") as running:
        station = await running.station(version)
        names = []
        for number, token in enumerate(("A", "B", "A"), 1):
            name, info = await begin(station, token, number)
            names.append(name)
            assert info["status"] == ("ConcurrentTx" if number == 3 else "Accepted")
        await end(station, names[0])
        rows = await running.get("/stations/CP1/transactions")
        assert [row["transactionId"] for row in rows] == names[::-1]
        assert await running.get("/stations/CP1/transactions", limit=1) == rows[:1]
        assert await running.get("/stations/CP1/transactions", idToken="a") == [rows[0], rows[2]]
        assert await running.get("/stations/CP1/transactions", active=True) == rows[:2]
        assert await running.get("/stations/CP1/transactions", active=False, idToken="A") == rows[2:]
        done = rows[2]
        assert await running.get(f"/transactions/{done['ref']}") == done
        assert done["evseId"] == 1
        assert done["connectorId"] == 1
        assert rows[0]["connectorId"] == (3 if version is Version.V16 else 1)
        assert done["stopReason"] == "EVDisconnected"
        assert done["startedAt"].endswith("Z")
        assert done["startedAt"] <= done["stoppedAt"]
        assert done["energy_charged_wh"] == 1000.0
        assert rows[0]["stoppedAt"] is rows[0]["stopReason"] is None
        for bad in ({"limit": 0}, {"limit": "x"}, {"limit": 10_001}, {"active": "perhaps"}):
            assert (await running.http.get("/stations/CP1/transactions", params=bad)).status_code == 422
        assert (await running.http.get("/stations/CP9/transactions")).status_code == 404
        assert (await running.http.get("/transactions/CP1/none")).status_code == 404
        assert (await running.http.post("/stations/CP1/transactions/close-stale")).json() == {"closed": 2}
        assert (await running.http.post("/stations/CP1/transactions/close-stale")).json() == {"closed": 0}
        assert (await running.http.post("/stations/CP9/transactions/close-stale")).status_code == 404
        assert await running.get("/stations/CP1/transactions", active=True) == []


@pytest.mark.parametrize("version", ALL)
async def test_tokens_and_their_status_at_stations(version: Version, tmp_path: Path) -> None:
    async with within_a_minute(tmp_path) as running:
        station = await running.station(version)

        async def authorized(token: str) -> dict[str, Any]:
            if version is Version.V16:
                return dict((await station.ok("Authorize", {"idTag": token}))["idTagInfo"])
            body = {"idToken": {"idToken": token, "type": "ISO14443"}}
            return dict((await station.ok("Authorize", body))["idTokenInfo"])

        assert (await authorized("NOBODY"))["status"] == "Invalid"
        made = await running.http.put(
            "/tokens/CARD", json={"status": "Accepted", "type": "ISO14443", "parent": "fleet"}
        )
        assert made.status_code == 200
        assert made.json() == await running.get("/tokens/CARD")
        assert {k: made.json()[k] for k in ("idToken", "status", "type", "expiry", "parent")} == {
            "idToken": "CARD",
            "status": "Accepted",
            "type": "ISO14443",
            "expiry": None,
            "parent": "fleet",
        }
        assert (await authorized("card"))["status"] == "Accepted"
        parent = (await authorized("CARD")).get("parentIdTag") or (await authorized("CARD"))["groupIdToken"]["idToken"]
        assert parent == "fleet"
        for body, status in (
            ({"status": "Blocked"}, "Blocked"),
            ({"status": "Accepted", "expiry": "2020-01-01T00:00:00Z"}, "Expired"),
            ({"status": "Blocked", "expiry": "2020-01-01T00:00:00Z"}, "Blocked"),
            ({"status": "Accepted", "expiry": at(3600)}, "Accepted"),
            ({}, "Accepted"),
        ):
            assert (await running.http.put("/tokens/CARD", json=body)).status_code == 200
            assert (await running.get("/tokens/CARD"))["status"] == status
            assert (await authorized("CARD"))["status"] == status
        assert [one["idToken"] for one in await running.get("/tokens")] == ["CARD"]
        for wrong in ({"status": "Good"}, {"expiry": "tomorrow"}, {"more": 1}, {"status": None}):
            assert (await running.http.put("/tokens/CARD", json=wrong)).status_code == 422
        assert (await running.http.put("/tokens/" + "x" * 256, json={})).status_code == 422
        assert (await running.http.put("/tokens/a%2Fb%20c", json={})).status_code == 200
        assert (await authorized("a/b c"))["status"] == "Accepted"
        assert (await running.http.delete("/tokens/CARD")).status_code == 204
        assert (await running.http.delete("/tokens/CARD")).status_code == 404
        assert (await running.http.get("/tokens/CARD")).status_code == 404
        assert (await authorized("CARD"))["status"] == "Invalid"


@pytest.mark.parametrize("version", ALL)
async def test_reservations_from_the_call_to_their_end(version: Version, tmp_path: Path) -> None:
    async with within_a_minute(tmp_path, unknown_tokens="accept") as running:
        station = await running.station(version)
        station.answers |= {"ReserveNow": {"status": "Accepted"}, "CancelReservation": {"status": "Accepted"}}

        async def reserve(number: int, seconds: float) -> None:
            body: dict[str, Any] = {"id": number, "expiryDateTime": at(seconds), "evseId": 1}
            body["idToken"] = {"idToken": "A", "type": "ISO14443"}
            if version is Version.V16:
                body = {"connectorId": 1, "expiryDate": at(seconds), "idTag": "A", "reservationId": number}
            assert (await running.call("ReserveNow", body)).json()["payload"] == {"status": "Accepted"}

        for number, seconds in ((1, 600), (2, 0.2), (3, 600), (4, 600)):
            await reserve(number, seconds)
        await running.call("CancelReservation", {"reservationId": 1})
        await asyncio.sleep(0.3)
        await begin(station, "A", reservationId=3)
        station.answers["ReserveNow"] = {"status": "Occupied"}
        expiry = {"expiryDate": at(9)} if version is Version.V16 else {"expiryDateTime": at(9)}
        body: dict[str, Any] = {"id": 5, "idToken": {"idToken": "A", "type": "ISO14443"}, **expiry}
        if version is Version.V16:
            body = {"connectorId": 1, "idTag": "A", "reservationId": 5, **expiry}
        await running.call("ReserveNow", body)
        rows = await running.get("/stations/CP1/reservations")
        assert [(row["ref"], row["status"]) for row in rows] == [
            ("CP1/4", "ACCEPTED"),
            ("CP1/3", "USED"),
            ("CP1/2", "EXPIRED"),
            ("CP1/1", "CANCELLED"),
        ]
        assert await running.get("/stations/CP1/reservations", limit=2) == rows[:2]
        assert await running.get("/reservations/CP1/3") == rows[1]
        assert (await running.http.get("/reservations/CP1/9")).status_code == 404
        assert (await running.http.get("/stations/CP9/reservations")).status_code == 404
        if version is not Version.V16:
            await station.ok("ReservationStatusUpdate", {"reservationId": 4, "reservationUpdateStatus": "Expired"})
            assert (await running.get("/reservations/CP1/4"))["status"] == "EXPIRED"


@pytest.mark.parametrize("version", ALL)
async def test_messages_as_received_and_violations_both_ways(version: Version, tmp_path: Path) -> None:
    async with within_a_minute(tmp_path) as running:
        station = await running.station(version)
        for _ in range(2):
            await station.ok("Heartbeat", {})
        data = {"vendorId": "x", "data": "y"}
        await station.ok("DataTransfer", data)
        messages = await running.get("/messages")
        rows = [row for row in messages if row["direction"] == "received"]  # the gateway has calls of its own, too
        assert [row["action"] for row in rows] == ["DataTransfer", "Heartbeat", "Heartbeat", "BootNotification"]
        assert {key: rows[0][key] for key in ("station", "action", "payload")} == {
            "station": "CP1",
            "action": "DataTransfer",
            "payload": data,
        }
        assert abs(rows[0]["t"] - time.time()) < 10
        assert await running.get("/messages", action="Heartbeat", station="CP1") == rows[1:3]
        assert await running.get("/messages", action="Heartbeat", limit=1) == rows[1:2]
        assert await running.get("/messages", station="CP9") == []
        assert await running.get("/violations") == []
        broken = await station.send("StatusNotification", {"connectorId": "1"})
        assert broken[0] == 4
        unknown = await station.send("Nonsense", {})
        assert unknown[2] == "NotImplemented"
        found = await running.get("/violations", station="CP1")
        assert [row["direction"] for row in found] == ["received"] * len(found)
        assert found[-1]["action"] == "StatusNotification"
        assert await running.get("/violations", station="CP9") == []


@pytest.mark.parametrize("version", ALL)
async def test_registration_by_policy(version: Version, tmp_path: Path) -> None:
    async with within_a_minute(tmp_path, security_profile=0) as running:
        assert await running.get("/registration") == {"unknown_stations": "reject"}
        for policy, status in (("pending", "Pending"), ("reject-boot", "Rejected"), ("accept", "Accepted")):
            put = await running.http.put("/registration", json={"unknown_stations": policy})
            assert put.json() == {"unknown_stations": policy}
            station = await running.station(version, f"N-{policy}", None, booted=False)
            assert await station.boot() == status
            assert (await running.get(f"/stations/N-{policy}"))["boot"]["status"] == status
        assert (await running.http.put("/registration", json={"unknown_stations": "x"})).status_code == 422
        pending = running.stations[0]
        pending.answers["TriggerMessage"] = {"status": "Accepted"}
        await running.http.put("/stations/N-pending", json={})
        async with asyncio.timeout(5):
            while not pending.texts:  # noqa: ASYNC110 (what comes over the wire sets no event)
                await asyncio.sleep(0.02)
        assert json.loads(pending.texts[-1])[2:] == ["TriggerMessage", {"requestedMessage": "BootNotification"}]
        assert await pending.boot() == "Accepted"


@pytest.mark.parametrize("version", ALL)
async def test_a_password_sent_by_an_operator_is_valid_and_in_no_journal(version: Version, tmp_path: Path) -> None:
    """A01: after the station has accepted it only the new password is valid."""
    async with within_a_minute(tmp_path) as running:
        station = await running.station(version)
        fresh = "ffeeddccbbaa99887766"
        variable = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}

        async def change(taken: bool) -> None:
            if version is Version.V16:
                station.answers["ChangeConfiguration"] = {"status": "Accepted" if taken else "Rejected"}
                await running.call("ChangeConfiguration", {"key": "AuthorizationKey", "value": fresh})
                return
            status = "Accepted" if taken else "Rejected"
            station.answers["SetVariables"] = {"setVariableResult": [{"attributeStatus": status, **variable}]}
            await running.call("SetVariables", {"setVariableData": [{"attributeValue": fresh, **variable}]})

        await change(False)
        with pytest.raises(InvalidStatus):
            await running.station(version, password=fresh)
        await change(True)
        with pytest.raises(InvalidStatus):
            await running.station(version)
        await running.station(version, password=fresh)
        assert fresh not in json.dumps(await running.get("/journal"))


async def test_sessions_commands_and_the_journal(tmp_path: Path) -> None:
    async with within_a_minute(tmp_path, unknown_tokens="accept") as running:
        station = await running.station(Version.V21)
        await begin(station)
        async with asyncio.timeout(10):
            while not (sessions := await running.get("/sessions")):  # noqa: ASYNC110 (nor does the core)
                await asyncio.sleep(0.05)
        assert sessions[0]["evse"] == "CP1-1"
        assert (await running.get("/evses/CP1-1"))["evse"] == "CP1-1"
        assert (await running.get("/evses/CP1-1/explain"))["layers"]
        for path in ("/evses/CP9-9", "/evses/CP9-9/explain", "/commands/none"):
            assert (await running.http.get(path)).status_code == 404
        body = {"id": "c1", "verb": "discharge", "power_w": 1000, "lease_s": 30}
        first = (await running.http.post("/evses/CP1-1/commands", json=body)).json()
        assert first["status"] == "refused"  # it has reported no V2XChargingCtrlr
        assert (await running.get("/commands/c1"))["first"]["status"] == "refused"
        as_json = {"Content-Type": "application/json"}
        assert (await running.http.post("/evses/CP1-1/commands", content=b"{", headers=as_json)).status_code == 400
        assert (await running.http.post("/evses/CP1-1/commands", json={"id": "c2"})).status_code == 422
        rows = await running.get("/journal", evse="CP1-1")
        assert rows
        assert {row["evse"] for row in rows} == {"CP1-1"}
        assert await running.get("/journal", since=time.time() + 60) == []
        assert len(await running.get("/journal", limit=1)) == 1
