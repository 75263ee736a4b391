"""Operations on a station over the admin API, verified by the messages on the OCPP connection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from protocols.ocpp.schema import Version
from tests.gateway.web.running_gateway import PASSWORD, RunningGateway, Station
from tests.gateway.web.test_admin_over_http import begin, within_a_minute

ACCEPTED = {"status": "Accepted"}
CHARGING_ONLY: dict[str, Any] = {"operationMode": "ChargingOnly", "period": {"limit": 2000.0}, "valid_for_s": 60}
LIMIT = {"priority": 1, "pctMaxDischargePower": 50.0}
DER_CONTROL = {"controlId": "cap", "controlType": "LimitMaxDischarge", "isDefault": True, "control": LIMIT}


def sent(station: Station, action: str) -> list[dict[str, Any]]:
    """Payloads of the calls of an action that the station received."""
    return [message[3] for message in map(json.loads, station.texts) if message[2] == action]


async def journal(running: RunningGateway) -> set[str]:
    """Return the operations in the journal."""
    await running.gateway.journal.flush()
    return {row["cause"] for row in await running.get("/journal") if row["step"] == "operator"}


async def test_a_signal_is_forwarded_and_the_answer_returned(tmp_path: Path) -> None:
    async with within_a_minute(tmp_path, unknown_tokens="accept") as running:
        station = await running.station(Version.V21)
        await begin(station)
        path = "/stations/CP1/evses/1/afrr-signal"
        station.answers["AFRRSignal"] = ACCEPTED
        assert (await running.http.post(path, json={"signal": -40})).json() == {
            "answer": "applied",
            "code": "",
            "text": "",
        }
        assert sent(station, "AFRRSignal")[0]["signal"] == -40
        station.answers["AFRRSignal"] = {"status": "Rejected", "statusInfo": {"reasonCode": "NoSignalWattCurve"}}
        refused = (await running.http.post(path, json={"signal": 1})).json()
        assert (refused["answer"], refused["code"]) == ("refused", "NoSignalWattCurve")
        assert "aFRR signal to CP1-1" in await journal(running)


async def test_an_operation_mode_is_a_profile_and_needs_raw_calls(tmp_path: Path) -> None:
    path = "/stations/CP1/evses/1/operation-mode"
    async with within_a_minute(tmp_path, unknown_tokens="accept") as running:
        station = await running.station(Version.V21)
        station.answers["SetChargingProfile"] = ACCEPTED
        await begin(station)
        assert (await running.http.post(path, json=CHARGING_ONLY)).json()["answer"] == "applied"
        profile = sent(station, "SetChargingProfile")[-1]["chargingProfile"]
        assert profile["chargingProfilePurpose"] == "TxProfile"
        (schedule,) = profile["chargingSchedule"]
        assert schedule["duration"] == 60
        assert schedule["chargingSchedulePeriod"] == [
            {"startPeriod": 0, "operationMode": "ChargingOnly", "limit": 2000.0}
        ]
        invalid = CHARGING_ONLY | {"period": {"setpoint": 1.0}}
        assert (await running.http.post(path, json=invalid)).status_code == 422
        assert "operation mode ChargingOnly to CP1-1" in await journal(running)
    async with within_a_minute(tmp_path, admin={"raw_calls": False}) as running:
        assert (await running.http.post(path, json=CHARGING_ONLY)).status_code == 403


async def test_energy_transfers_are_allowed_in_the_transaction(tmp_path: Path) -> None:
    async with within_a_minute(tmp_path, unknown_tokens="accept") as running:
        station = await running.station(Version.V21)
        path, body = "/stations/CP1/evses/1/allowed-energy-transfer", {"allowed_energy_transfer": ["DC", "DC_BPT"]}
        assert (await running.http.post(path, json=body)).status_code == 404  # the EVSE is unknown
        name, _ = await begin(station)
        station.answers["NotifyAllowedEnergyTransfer"] = ACCEPTED
        assert (await running.http.post(path, json=body)).json()["answer"] == "applied"
        assert sent(station, "NotifyAllowedEnergyTransfer") == [
            {"transactionId": name, "allowedEnergyTransfer": ["DC", "DC_BPT"]}
        ]
        for modes in ([], ["Steam"], None):
            assert (await running.http.post(path, json={"allowed_energy_transfer": modes})).status_code == 422


@pytest.mark.parametrize("version", list(Version))
async def test_a_transaction_is_stopped(version: Version, tmp_path: Path) -> None:
    action = "RemoteStopTransaction" if version is Version.V16 else "RequestStopTransaction"
    async with within_a_minute(tmp_path, unknown_tokens="accept") as running:
        station = await running.station(version)
        name, _ = await begin(station)
        station.answers[action] = ACCEPTED
        assert (await running.http.post("/stations/CP1/evses/1/stop-transaction")).json()["answer"] == "applied"
        assert sent(station, action) == [{"transactionId": name}]


@pytest.mark.parametrize("version", list(Version))
async def test_a_password_is_renewed_and_not_shown(version: Version, tmp_path: Path) -> None:
    async with within_a_minute(tmp_path) as running:
        station = await running.station(version)
        variable = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}
        station.answers["ChangeConfiguration"] = ACCEPTED
        station.answers["SetVariables"] = {"setVariableResult": [{"attributeStatus": "Accepted", **variable}]}
        response = await running.http.post("/stations/CP1/renew-password")
        assert response.json()["answer"] == "applied"
        if version is Version.V16:
            password = sent(station, "ChangeConfiguration")[0]["value"]
        else:
            password = sent(station, "SetVariables")[0]["setVariableData"][0]["attributeValue"]
        assert password != PASSWORD
        await running.station(version, password=password)
        assert password not in response.text
        assert password not in json.dumps(await running.get("/journal"))
        assert "new password to CP1" in await journal(running)


async def test_der_controls_are_set_and_cleared(tmp_path: Path) -> None:
    async with within_a_minute(tmp_path) as running:
        station = await running.station(Version.V21)
        station.answers |= {
            "SetDERControl": ACCEPTED,
            "ClearDERControl": ACCEPTED,
            "GetDERControl": {"status": "NotFound"},
        }
        path = "/stations/CP1/der-controls"
        assert (await running.http.post(path, json=DER_CONTROL)).json()["answer"] == "applied"
        assert sent(station, "SetDERControl") == [
            {"isDefault": True, "controlId": "cap", "controlType": "LimitMaxDischarge", "limitMaxDischarge": LIMIT}
        ]
        assert await running.get(path) == []
        cleared = await running.http.delete(path, params={"isDefault": True, "controlType": "LimitMaxDischarge"})
        assert cleared.json()["answer"] == "applied"
        assert sent(station, "ClearDERControl") == [{"isDefault": True, "controlType": "LimitMaxDischarge"}]
        for change in ({"controlType": "Steam"}, {"control": {"priority": -1}}, {"isDefault": None}):
            assert (await running.http.post(path, json=DER_CONTROL | change)).status_code == 422, change
        station.answers["GetDERControl"] = "InternalError"
        assert (await running.http.get(path)).status_code == 502


async def test_operations_need_a_connected_station_of_their_version(tmp_path: Path) -> None:
    operations: list[tuple[str, str, Any]] = [
        ("POST", "evses/1/afrr-signal", {"signal": 1}),
        ("POST", "evses/1/operation-mode", CHARGING_ONLY),
        ("POST", "evses/1/allowed-energy-transfer", {"allowed_energy_transfer": ["DC"]}),
        ("GET", "der-controls", None),
        ("POST", "der-controls", DER_CONTROL),
        ("DELETE", "der-controls?isDefault=true", None),
    ]
    async with within_a_minute(tmp_path, unknown_tokens="accept") as running:

        async def statuses(name: str = "CP1") -> set[int]:
            return {
                (await running.http.request(method, f"/stations/{name}/{path}", json=body)).status_code
                for method, path, body in operations
            }

        assert await statuses("CP9") == {404}
        station = await running.station(Version.V201)
        await begin(station)
        assert await statuses() == {501}
        await station.close()
        while (await running.get("/stations/CP1"))["connected"]:
            pass
        assert await statuses() == {409}


async def test_operations_name_a_station_in_any_case(tmp_path: Path) -> None:
    async with within_a_minute(tmp_path, unknown_tokens="accept") as running:
        station = await running.station(Version.V21)
        await begin(station)
        station.answers |= {
            "NotifyAllowedEnergyTransfer": ACCEPTED,
            "RequestStopTransaction": ACCEPTED,
            "Reset": ACCEPTED,
        }
        modes = {"allowed_energy_transfer": ["DC"]}
        for path, body in (
            ("evses/1/allowed-energy-transfer", modes),
            ("evses/1/stop-transaction", None),
            ("reset", {}),
        ):
            answer = (await running.http.post(f"/stations/cp1/{path}", json=body)).json()
            assert answer["answer"] == "applied", (path, answer)
        await station.send("Nonsense", {})
        assert await running.get("/violations", station="cp1") == await running.get("/violations", station="CP1") != []
        assert (await running.http.delete("/stations/cp1")).status_code == 204
        assert await running.get("/stations") == []
        assert (await running.http.get("/evses/CP1-1")).status_code == 404
