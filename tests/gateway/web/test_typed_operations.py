"""Typed operations over the admin API: the call that each OCPP version gets, the outcome, what is refused."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.model.operation import OPERATIONS
from protocols.ocpp import vendor
from protocols.ocpp.schema import Version
from tests.gateway.web.running_gateway import PASSWORD, RunningGateway, Station
from tests.gateway.web.test_admin_over_http import within_a_minute
from tests.gateway.web.test_station_operations import sent

ACCEPTED = {"status": "Accepted"}
AT, AT_UTC = "2031-01-31T13:00:00+01:00", "2031-01-31T12:00:00.000Z"
FILE = "https://files.example/x"
VARIABLE = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}
NOT_THERE = None  # the version has no such operation: 501
# operation, body, call of 1.6, call of 2.x (action, part of the payload), answer of the station
CASES: list[tuple[str, dict[str, Any], Any, Any, dict[str, Any]]] = [
    ("reset", {}, ("Reset", {"type": "Hard"}), ("Reset", {"type": "Immediate"}), ACCEPTED),
    ("reset", {"type": "on_idle"}, ("Reset", {"type": "Soft"}), ("Reset", {"type": "OnIdle"}), ACCEPTED),
    ("reset", {"evseId": 1}, NOT_THERE, ("Reset", {"type": "Immediate", "evseId": 1}), {"status": "Scheduled"}),
    (
        "unlock-connector",
        {"evseId": 2},
        ("UnlockConnector", {"connectorId": 2}),
        ("UnlockConnector", {"evseId": 2, "connectorId": 1}),
        {"status": "Unlocked"},
    ),
    (
        "change-availability",
        {"operationalStatus": "Inoperative"},
        ("ChangeAvailability", {"connectorId": 0, "type": "Inoperative"}),
        ("ChangeAvailability", {"operationalStatus": "Inoperative"}),
        {"status": "Scheduled"},
    ),
    (
        "change-availability",
        {"operationalStatus": "Operative", "evseId": 1, "connectorId": 1},
        ("ChangeAvailability", {"connectorId": 1, "type": "Operative"}),
        ("ChangeAvailability", {"operationalStatus": "Operative", "evse": {"id": 1, "connectorId": 1}}),
        ACCEPTED,
    ),
    (
        "trigger-message",
        {"requestedMessage": "MeterValues", "evseId": 1},
        ("TriggerMessage", {"requestedMessage": "MeterValues", "connectorId": 1}),
        ("TriggerMessage", {"requestedMessage": "MeterValues", "evse": {"id": 1}}),
        ACCEPTED,
    ),
    (
        "trigger-message",
        {"requestedMessage": "LogStatusNotification"},
        ("ExtendedTriggerMessage", {"requestedMessage": "LogStatusNotification"}),
        ("TriggerMessage", {"requestedMessage": "LogStatusNotification"}),
        ACCEPTED,
    ),
    (
        "start-transaction",
        {"evseId": 1, "idToken": "A1", "type": "ISO14443"},
        ("RemoteStartTransaction", {"idTag": "A1", "connectorId": 1}),
        ("RequestStartTransaction", {"idToken": {"idToken": "A1", "type": "ISO14443"}, "evseId": 1}),
        ACCEPTED,
    ),
    (
        "reserve",
        {"reservationId": 7, "expiry": AT, "idToken": "A1", "evseId": 1},
        ("ReserveNow", {"connectorId": 1, "expiryDate": AT_UTC, "idTag": "A1", "reservationId": 7}),
        (
            "ReserveNow",
            {"id": 7, "expiryDateTime": AT_UTC, "idToken": {"idToken": "A1", "type": "Central"}, "evseId": 1},
        ),
        ACCEPTED,
    ),
    (
        "cancel-reservation",
        {"reservationId": 7},
        ("CancelReservation", {"reservationId": 7}),
        ("CancelReservation", {"reservationId": 7}),
        ACCEPTED,
    ),
    ("clear-cache", {}, ("ClearCache", {}), ("ClearCache", {}), ACCEPTED),
    (
        "get-variables",
        {"variables": [{"component": "OCPPCommCtrlr", "variable": "HeartbeatInterval", "attribute": "MaxSet"}]},
        NOT_THERE,
        ("GetVariables", {"getVariableData": [VARIABLE | {"attributeType": "MaxSet"}]}),
        {"getVariableResult": [VARIABLE | {"attributeStatus": "Accepted", "attributeValue": "300"}]},
    ),
    (
        "set-variables",
        {"variables": [{"component": "OCPPCommCtrlr", "variable": "HeartbeatInterval", "value": "60"}]},
        NOT_THERE,
        ("SetVariables", {"setVariableData": [VARIABLE | {"attributeValue": "60"}]}),
        {"setVariableResult": [VARIABLE | {"attributeStatus": "Accepted"}]},
    ),
    ("get-configuration", {}, ("GetConfiguration", {}), NOT_THERE, {"configurationKey": []}),
    (
        "get-configuration",
        {"keys": ["HeartbeatInterval"]},
        ("GetConfiguration", {"key": ["HeartbeatInterval"]}),
        NOT_THERE,
        {"unknownKey": ["HeartbeatInterval"]},
    ),
    (
        "change-configuration",
        {"key": "HeartbeatInterval", "value": "60"},
        ("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "60"}),
        NOT_THERE,
        ACCEPTED,
    ),
    (
        "update-firmware",
        {"location": FILE, "retrieve_at": AT, "retries": 2},
        ("UpdateFirmware", {"location": FILE, "retrieveDate": AT_UTC, "retries": 2}),
        ("UpdateFirmware", {"firmware": {"location": FILE, "retrieveDateTime": AT_UTC}, "retries": 2}),
        {},
    ),
    (
        "update-firmware",
        {"location": FILE, "retrieve_at": AT, "signing_certificate": "c", "signature": "s"},
        (
            "SignedUpdateFirmware",
            {"firmware": {"location": FILE, "retrieveDateTime": AT_UTC, "signingCertificate": "c", "signature": "s"}},
        ),
        (
            "UpdateFirmware",
            {"firmware": {"location": FILE, "retrieveDateTime": AT_UTC, "signingCertificate": "c", "signature": "s"}},
        ),
        ACCEPTED,
    ),
    (
        "get-log",
        {"location": FILE, "oldest": AT},
        ("GetDiagnostics", {"location": FILE, "startTime": AT_UTC}),
        ("GetLog", {"logType": "DiagnosticsLog", "log": {"remoteLocation": FILE, "oldestTimestamp": AT_UTC}}),
        {},
    ),
    (
        "get-log",
        {"location": FILE, "log": "security"},
        ("GetLog", {"logType": "SecurityLog", "log": {"remoteLocation": FILE}}),
        ("GetLog", {"logType": "SecurityLog", "log": {"remoteLocation": FILE}}),
        ACCEPTED,
    ),
    (
        "data-transfer",
        {"vendorId": "acme", "messageId": "m", "data": "x"},
        ("DataTransfer", {"vendorId": "acme", "messageId": "m", "data": "x"}),
        ("DataTransfer", {"vendorId": "acme", "messageId": "m", "data": "x"}),
        ACCEPTED,
    ),
]


async def operate(running: RunningGateway, name: str, body: Any) -> Any:
    return await running.http.post(f"/stations/CP1/{name}", json=body)


def answered(action: str, answer: dict[str, Any], version: Version) -> dict[str, Any]:
    """Return the answer in the form that the version requires."""
    if version is not Version.V16 and not answer:
        return ACCEPTED
    return answer if action != "UpdateFirmware" or version is not Version.V16 else {}


async def test_every_operation_is_tested() -> None:
    assert {case[0] for case in CASES} == set(OPERATIONS)


@pytest.mark.parametrize("version", list(Version))
async def test_an_operation_is_the_call_of_the_version(version: Version, tmp_path: Path) -> None:
    async with within_a_minute(tmp_path, admin={"raw_calls": False}) as running:
        station = await running.station(version)
        for name, body, of_16, of_2, answer in CASES:
            expected = of_16 if version is Version.V16 else of_2
            if expected is NOT_THERE:
                assert (await operate(running, name, body)).status_code == 501, name
                continue
            action, payload = expected
            station.answers[action] = answered(action, answer, version)
            response = await operate(running, name, body)
            assert response.status_code == 200, (name, response.text)
            result = response.json()
            assert result["answer"] == "applied", (name, result)
            assert result["payload"] == station.answers[action]
            got = sent(station, action)[-1]
            assert {key: got[key] for key in payload} == payload, name
            assert got.keys() - payload.keys() <= {"requestId", "remoteStartId"}, name
        await running.gateway.journal.flush()
        causes = {row["cause"] for row in await running.get("/journal") if row["step"] == "operator"}
        assert {"reset to CP1", "reserve to CP1", "get-log to CP1"} <= causes


@pytest.mark.parametrize("version", list(Version))
async def test_a_refusal_has_the_code_of_the_station_and_silence_is_unknown(version: Version, tmp_path: Path) -> None:
    async with within_a_minute(tmp_path) as running:
        station = await running.station(version)
        station.answers["UnlockConnector"] = "InternalError"
        result = (await operate(running, "unlock-connector", {"evseId": 1})).json()
        assert (result["answer"], result["code"]) == ("refused", "InternalError")
        station.answers["UnlockConnector"] = {"status": "UnlockFailed"}
        result = (await operate(running, "unlock-connector", {"evseId": 1})).json()
        assert (result["answer"], result["code"]) == ("refused", "UnlockFailed")
        station.answers["Reset"] = {"status": "Nonsense"}
        result = (await operate(running, "reset", {})).json()
        assert (result["answer"], result["code"]) == ("unknown", "InvalidAnswer")


async def test_an_operation_is_validated_and_described(tmp_path: Path) -> None:
    async with within_a_minute(tmp_path) as running:
        assert (await operate(running, "reset", {})).status_code == 409  # not connected
        assert (await running.http.post("/stations/CP9/reset", json={})).status_code == 404
        station = await running.station(Version.V21)
        for name, body in (
            ("reset", {"type": "hard"}),
            ("reset", {"evse": 1}),
            ("unlock-connector", {}),
            ("unlock-connector", {"evseId": 0}),
            ("change-availability", {"operationalStatus": "Inoperative", "connectorId": 1}),
            ("reserve", {"expiry": "tomorrow", "idToken": "A"}),
            ("reserve", {"expiry": "2031-01-31T12:00:00", "idToken": "A"}),
            ("get-variables", {"variables": []}),
            ("update-firmware", {"location": "not a place"}),
            ("update-firmware", {"location": FILE, "signature": "s"}),
            ("trigger-message", {"requestedMessage": "Nonsense"}),
        ):
            assert (await operate(running, name, body)).status_code == 422, (name, body)
        assert station.texts == []
        base = running.http.base_url
        openapi = (await running.http.get(f"{base.scheme}://{base.host}:{base.port}/openapi.json")).json()
        for name, model in OPERATIONS.items():
            route = openapi["paths"][f"/admin/v1/stations/{{station}}/{name}"]["post"]
            assert route["description"] == model.__doc__
            assert model.__name__ in str(route["requestBody"])
            assert "OperationResult" in str(route["responses"]["200"])


@pytest.mark.parametrize(
    ("profile", "name", "body"),
    [
        (
            "vendor-variable",
            "set-variables",
            {"variables": [{"component": "v2xsetpoint", "variable": "Current", "value": "-5000"}]},
        ),
        ("vendor-message", "data-transfer", None),
    ],
)
async def test_an_operation_does_not_set_the_power(profile: str, name: str, body: Any, tmp_path: Path) -> None:
    async with within_a_minute(tmp_path) as running:
        await running.http.put("/stations/CP1", json={"vendor_profile": profile})
        station = await running.station(Version.V201)
        channel = vendor.find(profile).setpoint
        body = body or {"vendorId": channel.vendor_id, "messageId": channel.message_id, "data": "-5000"}
        assert (await operate(running, name, body)).status_code == 403
        assert station.texts == []


@pytest.mark.parametrize("version", list(Version))
async def test_reservations_and_transactions_show_id_card_place_and_time(version: Version, tmp_path: Path) -> None:
    async with within_a_minute(tmp_path, unknown_tokens="accept") as running:
        station = await running.station(version)
        station.answers["ReserveNow"] = ACCEPTED
        await operate(running, "reserve", {"reservationId": 7, "expiry": AT, "idToken": "A1", "evseId": 1})
        (row,) = await running.get("/reservations")
        assert (row["station"], row["reservationId"], row["idToken"], row["evseId"]) == ("CP1", 7, "A1", 1)
        assert (row["status"], row["expiry"]) == ("ACCEPTED", AT_UTC)
        assert (
            await running.get("/stations/CP1/reservations")
            == [row]
            == await running.get("/reservations", station="CP1")
        )
        if version is Version.V16:
            begin = {"connectorId": 1, "idTag": "A1", "meterStart": 500, "timestamp": "2031-01-31T10:00:00Z"}
            number = (await station.ok("StartTransaction", begin))["transactionId"]
            end = {"transactionId": number, "meterStop": 1500, "timestamp": "2031-01-31T11:00:00Z"}
            await station.ok("StopTransaction", end)
        else:
            number = "t1"
            for kind, seq, at, wh in (("Started", 0, 10, 500), ("Ended", 1, 11, 1500)):
                sample = {"value": wh, "measurand": "Energy.Active.Import.Register"}
                stamp = f"2031-01-31T{at}:00:00Z"
                event = {
                    "eventType": kind,
                    "timestamp": stamp,
                    "triggerReason": "Authorized",
                    "seqNo": seq,
                    "transactionInfo": {"transactionId": number},
                    "evse": {"id": 1, "connectorId": 1},
                    "idToken": {"idToken": "A1", "type": "ISO14443"},
                    "meterValue": [{"timestamp": stamp, "sampledValue": [sample]}],
                }
                await station.ok("TransactionEvent", event)
        (found,) = await running.get("/transactions", active=False)
        assert (found["transactionId"], found["idToken"], found["connectorId"]) == (number, "A1", 1)
        assert (found["meterStart"], found["meterStop"]) == (500, 1500)
        assert (found["startedAt"], found["stoppedAt"]) == ("2031-01-31T10:00:00.000Z", "2031-01-31T11:00:00.000Z")
        assert await running.get("/transactions", station="cp1", idToken="a1") == [found]
        assert await running.get("/transactions", active=True) == []
        assert (await running.http.get("/reservations", params={"station": "CP9"})).status_code == 404


@pytest.mark.parametrize("version", list(Version))
async def test_messages_are_shown_in_both_directions(version: Version, tmp_path: Path) -> None:
    async with within_a_minute(tmp_path) as running:
        station = await running.station(version)
        station.answers["ClearCache"] = ACCEPTED
        await operate(running, "clear-cache", {})
        station.answers["Reset"] = "InternalError"
        await operate(running, "reset", {})
        rows = await running.get("/messages", type="all")
        shown = [(row["direction"], row["type"], row["action"]) for row in reversed(rows)]
        assert shown == [
            ("received", "call", "BootNotification"),
            ("sent", "result", "BootNotification"),
            ("sent", "call", "ClearCache"),
            ("received", "result", "ClearCache"),
            ("sent", "call", "Reset"),
            ("received", "error", "Reset"),
        ]
        assert rows[0]["error"]["code"] == "InternalError"
        assert rows[2]["payload"] == ACCEPTED
        assert rows[2]["id"] == rows[3]["id"]
        assert [row["action"] for row in await running.get("/messages", direction="sent")] == ["Reset", "ClearCache"]
        assert await running.get("/messages", action="BootNotification") == [rows[-1]]
        assert (await running.http.get("/messages", params={"type": "x"})).status_code == 422
        assert PASSWORD not in json.dumps(rows)


async def test_a_password_is_not_in_the_messages(tmp_path: Path) -> None:
    async with within_a_minute(tmp_path) as running:
        station = await running.station(Version.V16)
        station.answers["ChangeConfiguration"] = ACCEPTED
        secret = "00112233445566778899"
        body = {"key": "AuthorizationKey", "value": secret}
        assert (await operate(running, "change-configuration", body)).json()["answer"] == "applied"
        assert sent(station, "ChangeConfiguration")[0]["value"] == secret
        await running.gateway.journal.flush()
        assert secret not in json.dumps([await running.get("/messages", type="all"), await running.get("/journal")])


@pytest.mark.parametrize(
    ("version", "action", "payload"),
    [
        (Version.V16, "Heartbeat", {}),
        (Version.V21, "ReportDERControl", {"requestId": 1}),  # edition 2, R04.FR.31-33: the station sends it
    ],
)
async def test_a_message_of_stations_is_not_sent_to_one(
    version: Version, action: str, payload: dict[str, Any], tmp_path: Path
) -> None:
    async with within_a_minute(tmp_path) as running:
        station = await running.station(version)
        assert (await running.call(action, payload)).status_code == 501
        assert station.texts == []


async def test_a_connection_is_closed_and_the_station_comes_back(tmp_path: Path) -> None:
    async with within_a_minute(tmp_path) as running:
        station = await running.station(Version.V201)
        assert (await running.http.post("/stations/CP1/disconnect")).status_code == 204
        await station.socket.wait_closed()
        assert (station.socket.close_code, station.socket.close_reason) == (1000, "closed by an operator")
        while (await running.get("/stations/CP1"))["connected"]:
            pass
        assert (await running.http.post("/stations/CP1/disconnect")).status_code == 409
        assert (await running.http.post("/stations/CP9/disconnect")).status_code == 404
        await running.station(Version.V201)


async def report(station: Station, request: int, names: list[str], more: bool) -> None:
    data = [
        {"component": {"name": name}, "variable": {"name": "Available"}, "variableAttribute": [{"value": "true"}]}
        for name in names
    ]
    at = "2031-01-31T10:00:00Z"
    body = {"requestId": request, "generatedAt": at, "seqNo": 0, "tbc": more, "reportData": data}
    await station.ok("NotifyReport", body)


@pytest.mark.parametrize("version", [Version.V201, Version.V21])
async def test_the_device_model_is_a_resource(version: Version, tmp_path: Path) -> None:
    async with within_a_minute(tmp_path) as running:
        station = await running.station(version)
        station.answers["GetBaseReport"] = ACCEPTED
        reading = asyncio.create_task(running.get("/stations/CP1/device-model", base="ConfigurationInventory"))
        while not (calls := sent(station, "GetBaseReport")):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await report(station, calls[0]["requestId"], ["A", "B"], True)
        await report(station, calls[0]["requestId"], ["C"], False)
        rows = await reading
        assert [row["component"]["name"] for row in rows] == ["A", "B", "C"]
        assert sent(station, "GetBaseReport")[0]["reportBase"] == "ConfigurationInventory"
        station.answers["GetBaseReport"] = {"status": "NotSupported"}
        assert (await running.http.get("/stations/CP1/device-model")).status_code == 502


async def test_the_device_model_of_1_6_is_its_configuration(tmp_path: Path) -> None:
    async with within_a_minute(tmp_path) as running:
        station = await running.station(Version.V16)
        keys = [{"key": "HeartbeatInterval", "readonly": False, "value": "300"}]
        station.answers["GetConfiguration"] = {"configurationKey": keys}
        assert await running.get("/stations/CP1/device-model") == keys
