"""Certification cases of OCPP 2.0.1 part 6 for charging stations, driven as a tool would: ids are in the docstrings."""

from __future__ import annotations

import base64
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from protocols.ocpp.link import Refused
from protocols.ocpp.rpc import Refusal
from protocols.ocpp.schema import ErrorCode, Version
from protocols.ocpp.times import parse, stamp
from tests.emulators.charger.csms_rig import SILENCE, Desk
from tests.gateway.csms.test_security import Authority

pytestmark = pytest.mark.virtual_time

TOKEN = {"idToken": "card", "type": "ISO14443"}


def boots(desk: Desk, *statuses: str, interval: int = 20) -> None:
    """Answers to BootNotification, the last for ever."""
    left = list(statuses)

    def answer(_: dict[str, Any]) -> dict[str, Any]:
        status = left.pop(0) if len(left) > 1 else left[0]
        return {"status": status, "interval": interval, "currentTime": stamp(desk.clock.wall())}

    desk.answers["BootNotification"] = answer


def events(desk: Desk, kind: str | None = None) -> list[dict[str, Any]]:
    return [e for e in desk.calls("TransactionEvent") if kind in (None, e["eventType"])]


# B: provisioning


async def test_pending() -> None:
    """TC_B_02: answers questions, says nothing else, starts nothing, and boots when it is asked to."""
    desk = Desk()
    boots(desk, "Pending", "Pending", "Accepted", interval=60)
    async with desk:
        assert await desk.set("OCPPCommCtrlr", "OfflineThreshold", 300) == "Accepted"
        assert (await desk.get("OCPPCommCtrlr", "OfflineThreshold"))["attributeValue"] == "300"
        await desk.ask("GetBaseReport", {"requestId": 1, "reportBase": "FullInventory"})
        await desk.sleep(2)
        assert desk.calls("NotifyReport")[-1]["tbc"] is False
        start = {"idToken": TOKEN, "remoteStartId": 1, "evseId": 1}
        assert (await desk.ask("RequestStartTransaction", start))["status"] == "Rejected"
        refused = await desk.reply("Reset", {"type": "Immediate"})
        assert isinstance(refused, Refused)
        assert refused.code == "SecurityError"
        assert {a for _, a, _ in desk.heard} == {"BootNotification", "NotifyReport"}
        asked = await desk.ask("TriggerMessage", {"requestedMessage": "BootNotification"})
        assert asked == {"status": "Accepted"}
        await desk.sleep(1)
        assert len(desk.calls("BootNotification")) == 2
        await desk.until(lambda: desk.station.online)
        assert desk.times("BootNotification")[2] - desk.times("BootNotification")[0] >= 60  # B02.FR.04
        await desk.sleep(1)
        assert desk.calls("StatusNotification")


@pytest.mark.parametrize("version", list(Version))
async def test_rejected(version: Version) -> None:
    """TC_B_03, TC_B_30."""
    desk = Desk(version)
    boots(desk, "Rejected", "Rejected", "Accepted", interval=25)
    async with desk:
        action = "GetConfiguration" if version is Version.V16 else "GetVariables"
        body: dict[str, Any] = {"getVariableData": [{"component": {"name": "X"}, "variable": {"name": "Y"}}]}
        reply = await desk.reply(action, {} if version is Version.V16 else body)
        assert isinstance(reply, Refused)
        assert reply.code == "SecurityError"
        await desk.until(lambda: desk.station.online)
        assert [a for _, a, _ in desk.heard][:3] == ["BootNotification"] * 3
        assert all(b - a >= 25 for a, b in pairwise(desk.times("BootNotification")))


@pytest.mark.parametrize(("threshold", "told"), [(20, {1, 2}), (3600, {1})])
async def test_after_being_offline(threshold: int, told: set[int]) -> None:
    """TC_B_51, TC_B_52."""
    async with Desk(evses=2) as desk:
        await desk.set("OCPPCommCtrlr", "OfflineThreshold", threshold)
        await desk.cut()
        desk.heard.clear()
        desk.plug()
        await desk.sleep(60)
        desk.down.clear()
        await desk.until(lambda: desk.station.online)
        await desk.sleep(2)
        assert {c["evseId"] for c in desk.calls("StatusNotification")} == told
        assert desk.calls("StatusNotification")[0]["connectorStatus"] == "Occupied"
        assert not desk.calls("BootNotification")


async def test_the_inventory_is_whole_and_fits_itself() -> None:
    """TC_B_12, TC_B_13, TC_B_53."""
    required = {
        ("OCPPCommCtrlr", "FileTransferProtocols"), ("OCPPCommCtrlr", "NetworkConfigurationPriority"),
        ("OCPPCommCtrlr", "NetworkProfileConnectionAttempts"), ("OCPPCommCtrlr", "OfflineThreshold"),
        ("OCPPCommCtrlr", "MessageTimeout"), ("OCPPCommCtrlr", "MessageAttempts"),
        ("OCPPCommCtrlr", "MessageAttemptInterval"), ("OCPPCommCtrlr", "UnlockOnEVSideDisconnect"),
        ("OCPPCommCtrlr", "ResetRetries"), ("OCPPCommCtrlr", "RetryBackOffRepeatTimes"),
        ("OCPPCommCtrlr", "RetryBackOffRandomRange"), ("OCPPCommCtrlr", "RetryBackOffWaitMinimum"),
        ("OCPPCommCtrlr", "WebSocketPingInterval"), ("DeviceDataCtrlr", "ItemsPerMessage"),
        ("DeviceDataCtrlr", "BytesPerMessage"), ("ClockCtrlr", "DateTime"), ("ClockCtrlr", "TimeSource"),
        ("SecurityCtrlr", "OrganizationName"), ("SecurityCtrlr", "CertificateEntries"),
        ("SecurityCtrlr", "SecurityProfile"), ("AuthCtrlr", "AuthorizeRemoteStart"),
        ("AuthCtrlr", "LocalAuthorizeOffline"), ("AuthCtrlr", "LocalPreAuthorize"),
        ("TxCtrlr", "EVConnectionTimeOut"), ("TxCtrlr", "StopTxOnEVSideDisconnect"), ("TxCtrlr", "TxStartPoint"),
        ("TxCtrlr", "TxStopPoint"), ("TxCtrlr", "StopTxOnInvalidId"), ("SampledDataCtrlr", "TxEndedMeasurands"),
        ("SampledDataCtrlr", "TxEndedInterval"), ("SampledDataCtrlr", "TxStartedMeasurands"),
        ("SampledDataCtrlr", "TxUpdatedMeasurands"), ("SampledDataCtrlr", "TxUpdatedInterval"),
        ("AlignedDataCtrlr", "Measurands"), ("AlignedDataCtrlr", "Interval"),
        ("AlignedDataCtrlr", "TxEndedMeasurands"), ("AlignedDataCtrlr", "TxEndedInterval"),
        ("ChargingStation", "Available"), ("ChargingStation", "AvailabilityState"),
        ("ChargingStation", "SupplyPhases"), ("EVSE", "Available"), ("EVSE", "AvailabilityState"),
        ("EVSE", "SupplyPhases"), ("EVSE", "Power"), ("Connector", "Available"),
        ("Connector", "AvailabilityState"), ("Connector", "ConnectorType"), ("Connector", "SupplyPhases"),
        ("SmartChargingCtrlr", "ProfileStackLevel"), ("SmartChargingCtrlr", "RateUnit"),
        ("SmartChargingCtrlr", "PeriodsPerSchedule"), ("SmartChargingCtrlr", "Entries"),
        ("SmartChargingCtrlr", "LimitChangeSignificance"), ("TariffCostCtrlr", "Currency"),
        ("TariffCostCtrlr", "TariffFallbackMessage"), ("TariffCostCtrlr", "TotalCostFallbackMessage"),
        ("MonitoringCtrlr", "ItemsPerMessage"), ("MonitoringCtrlr", "BytesPerMessage"),
        ("DisplayMessageCtrlr", "DisplayMessages"), ("DisplayMessageCtrlr", "SupportedFormats"),
        ("DisplayMessageCtrlr", "SupportedPriorities"), ("LocalAuthListCtrlr", "Entries"),
        ("LocalAuthListCtrlr", "ItemsPerMessage"), ("LocalAuthListCtrlr", "BytesPerMessage"),
    }  # fmt: skip

    async with Desk(password="1234567890123456") as desk:
        await desk.ask("GetBaseReport", {"requestId": 9, "reportBase": "FullInventory"})
        await desk.sleep(3)
        parts = desk.calls("NotifyReport")
        assert [p["seqNo"] for p in parts] == list(range(len(parts)))
        entries = [e for p in parts for e in p["reportData"]]
        assert required <= {(e["component"]["name"], e["variable"]["name"]) for e in entries}
        for entry in entries:
            about, (attribute,) = entry["variableCharacteristics"], entry["variableAttribute"]
            if about["dataType"] in ("OptionList", "SequenceList", "MemberList"):
                allowed = about["valuesList"].split(",")
                assert set(filter(None, attribute["value"].split(","))) <= set(allowed), entry
            assert ("value" in attribute) == (attribute["mutability"] != "WriteOnly")
        desk.heard.clear()
        await desk.ask("GetBaseReport", {"requestId": 9, "reportBase": "ConfigurationInventory"})
        await desk.sleep(3)
        writable = [e["variableAttribute"][0] for p in desk.calls("NotifyReport") for e in p["reportData"]]
        assert {a["mutability"] for a in writable} == {"ReadWrite", "WriteOnly"}


async def test_custom_reports() -> None:
    """TC_B_16, TC_B_18, TC_B_54, TC_B_55, TC_B_56."""
    async with Desk(evses=2) as desk:

        async def report(*asked: dict[str, Any], criteria: list[str] | None = None) -> list[dict[str, Any]]:
            desk.heard.clear()
            body: dict[str, Any] = {"requestId": 3}
            body |= {"componentVariable": list(asked)} if asked else {}
            body |= {"componentCriteria": criteria} if criteria else {}
            if (await desk.ask("GetReport", body))["status"] == "EmptyResultSet":
                return []
            await desk.sleep(3)
            return [e for p in desk.calls("NotifyReport") for e in p["reportData"]]

        item = {"component": {"name": "DeviceDataCtrlr"}, "variable": {"name": "ItemsPerMessage"}}
        assert len(await report(item)) == 3
        one = item | {"variable": {"name": "ItemsPerMessage", "instance": "GetReport"}}
        assert len(await report(one)) == 1
        state = {"component": {"name": "EVSE"}, "variable": {"name": "AvailabilityState"}}
        assert [e["component"]["evse"]["id"] for e in await report(state)] == [1, 2]
        at = state | {"component": {"name": "EVSE", "evse": {"id": 2}}}
        assert len(await report(at, criteria=["Available"])) == 1
        assert await report(at, criteria=["Problem"]) == []
        names = {e["component"]["name"] for e in await report(criteria=["Enabled"])}
        assert {"MonitoringCtrlr", "ReservationCtrlr"} <= names


async def test_a_reset_waits_for_what_runs_and_keeps_who_is_out_of_order() -> None:
    """TC_B_21, TC_B_23, TC_B_41, TC_G_18; B12.FR.01, A04."""
    async with Desk(evses=3) as desk:
        await desk.charging()
        await desk.ask("ChangeAvailability", {"operationalStatus": "Inoperative", "evse": {"id": 3}})
        assert await desk.ask("Reset", {"type": "OnIdle"}) == {"status": "Scheduled"}
        await desk.sleep(30)
        assert len(desk.calls("BootNotification")) == 1
        assert desk.evse(2).status == "Unavailable"  # until the reset
        desk.heard.clear()
        desk.station.unplug(1)
        await desk.until(lambda: bool(desk.calls("BootNotification")))
        await desk.sleep(3)
        assert events(desk, "Ended")[0]["transactionInfo"]["stoppedReason"] == "EVDisconnected"
        after = {c["evseId"]: c["connectorStatus"] for c in desk.calls("StatusNotification")}
        assert after == {1: "Available", 2: "Available", 3: "Unavailable"}
        assert desk.calls("BootNotification")[0]["reason"] == "ScheduledReset"
        assert desk.calls("SecurityEventNotification")[-1]["type"] == "ResetOrReboot"


async def test_an_immediate_reset_ends_what_runs_first() -> None:
    """TC_B_22, TC_B_26, TC_B_27."""
    async with Desk(evses=2) as desk:
        await desk.charging(1)
        await desk.charging(2)
        assert await desk.ask("Reset", {"type": "Immediate", "evseId": 2}) == {"status": "Accepted"}
        await desk.sleep(3)
        (end,) = events(desk, "Ended")
        assert (end["triggerReason"], end["transactionInfo"]["stoppedReason"]) == ("ResetCommand", "ImmediateReset")
        assert len(desk.calls("BootNotification")) == 1
        assert await desk.ask("Reset", {"type": "Immediate"}) == {"status": "Accepted"}
        await desk.until(lambda: len(desk.calls("BootNotification")) == 2)
        order = [a for _, a, p in desk.heard if a == "BootNotification" or p.get("eventType") == "Ended"]
        assert order[-2:] == ["TransactionEvent", "BootNotification"]


# C, D, E, F: tokens and transactions


async def test_authorised_first_and_no_cable_in_time() -> None:
    """TC_E_05, TC_E_39, TC_F_04."""
    async with Desk() as desk:
        assert await desk.set("TxCtrlr", "EVConnectionTimeOut", 30) == "Accepted"
        for attempt in range(2):
            desk.heard.clear()
            start = {"idToken": TOKEN, "remoteStartId": attempt, "evseId": 1}
            assert (await desk.ask("RequestStartTransaction", start))["status"] == "Accepted"
            await desk.sleep(40)
            first, last = events(desk)[0], events(desk)[-1]
            assert (first["eventType"], first["triggerReason"]) == ("Started", "RemoteStart")
            assert (last["eventType"], last["triggerReason"]) == ("Ended", "EVConnectTimeout")
            assert last["transactionInfo"]["stoppedReason"] == "Timeout"
            assert desk.evse().status == "Available"


@pytest.mark.parametrize("cable_first", [True, False])
async def test_a_card_and_a_cable_in_either_order(cable_first: bool) -> None:
    """TC_E_03, TC_E_04, TC_E_10, TC_E_15, TC_F_01, TC_F_02."""
    async with Desk(id_token="nobody") as desk:
        desk.answers["Authorize"] = lambda asked: {
            "idTokenInfo": {"status": "Accepted" if asked["idToken"]["idToken"] == "card" else "Invalid"}
        }
        if cable_first:
            desk.plug()
            await desk.sleep(2)
        assert await desk.station.present(1, "card") == "started"
        if not cable_first:
            await desk.sleep(5)
            assert events(desk, "Started")[0]["transactionInfo"]["chargingState"] == "Idle"
            desk.plug()
        await desk.until(lambda: desk.evse().reading.power_w > 1000)
        if not cable_first:
            assert "CablePluggedIn" in [e["triggerReason"] for e in events(desk)]
        assert [e["seqNo"] for e in events(desk)] == list(range(len(events(desk))))
        assert await desk.station.present(1, "other") == "refused"
        assert await desk.station.present(1, "card") == "stopped"
        await desk.sleep(2)
        end = events(desk, "Ended")[0]
        assert (end["triggerReason"], end["transactionInfo"]["stoppedReason"]) == ("StopAuthorized", "Local")
        assert end["transactionInfo"]["chargingState"] == "EVConnected"


async def test_1_6_starts_when_both_are_there() -> None:
    """1.6 chapter 4.8 and 5.11: TC_003, TC_004, TC_010, TC_012 of the 1.6 suite."""
    async with Desk(Version.V16) as desk:
        body = {"key": "ConnectionTimeOut", "value": "30"}
        assert await desk.ask("ChangeConfiguration", body) == {"status": "Accepted"}
        start = {"idTag": "card", "connectorId": 1}
        assert await desk.ask("RemoteStartTransaction", start) == {"status": "Accepted"}
        await desk.sleep(2)
        assert desk.calls("StatusNotification")[-1]["status"] == "Preparing"
        await desk.sleep(40)
        assert desk.calls("StatusNotification")[-1]["status"] == "Available"
        assert not desk.calls("StartTransaction")
        assert await desk.ask("RemoteStartTransaction", start) == {"status": "Accepted"}
        await desk.sleep(5)
        desk.plug()
        await desk.until(lambda: bool(desk.calls("StartTransaction")))
        assert desk.calls("StartTransaction")[0]["idTag"] == "card"


async def test_groups_share_reservations_and_stops() -> None:
    """TC_C_39, TC_C_42, TC_H_19."""
    group = {"idToken": "family", "type": "Central"}

    def known(asked: dict[str, Any]) -> dict[str, Any]:
        name = asked["idToken"]["idToken"]
        mine = {} if name == "stranger" else {"groupIdToken": group}
        return {"idTokenInfo": {"status": "Accepted", **mine}}

    async with Desk(id_token="stranger") as desk:
        desk.answers["Authorize"] = known
        reserve = {
            "id": 1, "expiryDateTime": stamp(desk.station.wall() + 600), "idToken": TOKEN, "evseId": 1,
            "groupIdToken": group,
        }  # fmt: skip
        assert await desk.ask("ReserveNow", reserve) == {"status": "Accepted"}
        desk.plug()
        await desk.sleep(3)
        assert await desk.station.present(1, "stranger") == "refused"
        assert await desk.station.present(1, "mother") == "started"
        await desk.sleep(2)
        assert events(desk, "Started")[0]["reservationId"] == 1
        assert await desk.station.present(1, "stranger") == "refused"
        assert await desk.station.present(1, "father") == "stopped"


async def test_the_local_list_decides_offline_and_before() -> None:
    """TC_C_21 - TC_C_31, TC_D_01 - TC_D_10."""
    async with Desk(id_token="nobody") as desk:
        desk.answers["Authorize"] = {"idTokenInfo": {"status": "Invalid"}}
        entries = [
            {"idToken": {"idToken": name, "type": "ISO14443"}, "idTokenInfo": info}
            for name, info in (
                ("good", {"status": "Accepted"}), ("bad", {"status": "Blocked"}),
                ("old", {"status": "Accepted", "cacheExpiryDateTime": "2020-01-01T00:00:00Z"}),
            )
        ]  # fmt: skip
        body = {"versionNumber": 4, "updateType": "Full", "localAuthorizationList": entries}
        assert await desk.ask("SendLocalList", body) == {"status": "Accepted"}
        late = {"versionNumber": 4, "updateType": "Differential"}
        assert await desk.ask("SendLocalList", late) == {"status": "VersionMismatch"}
        desk.plug()
        await desk.sleep(2)
        assert await desk.set("AuthCtrlr", "LocalPreAuthorize", "true") == "Accepted"
        desk.heard.clear()
        assert await desk.station.present(1, "good") == "started"
        assert not desk.calls("Authorize")
        assert await desk.station.present(1, "good") == "stopped"
        await desk.set("LocalAuthListCtrlr", "DisablePostAuthorize", "true")
        assert await desk.station.present(1, "bad") == "refused"
        assert not desk.calls("Authorize")
        await desk.cut()
        for name in ("bad", "old", "stranger"):
            assert await desk.station.present(1, name) == "refused"
        assert await desk.station.present(1, "good") == "started"
        await desk.sleep(20)
        assert await desk.station.present(1, "good") == "stopped"
        desk.heard.clear()
        desk.down.clear()
        await desk.until(lambda: desk.station.online and not desk.station.line.waiting)
        told = [e for e in events(desk) if e.get("offline")]
        assert [told[0]["eventType"], told[-1]["eventType"]] == ["Started", "Ended"]  # TC_E_43
        await desk.set("LocalAuthListCtrlr", "Enabled", "false")
        assert await desk.ask("GetLocalListVersion") == {"versionNumber": 0}


@pytest.mark.parametrize("how", ["silence", "error"])
@pytest.mark.parametrize("taken_at", [2, None])
async def test_a_transaction_event_that_is_not_taken(how: str, taken_at: int | None) -> None:
    """TC_E_41, TC_E_42, TC_E_50, TC_E_51: attempts, and waits that grow; then the next message."""
    async with Desk(answer_within_s=30.0) as desk:
        assert await desk.set("OCPPCommCtrlr", "MessageAttempts", 3, "TransactionEvent") == "Accepted"
        assert await desk.set("OCPPCommCtrlr", "MessageAttemptInterval", 10, "TransactionEvent") == "Accepted"
        seen: list[int] = []

        def answer(event: dict[str, Any]) -> dict[str, Any]:
            if event["seqNo"] != 0:
                return {"totalCost": 0.0}
            seen.append(1)
            if len(seen) == taken_at:
                return {"totalCost": 0.0}
            if how == "silence":
                return SILENCE
            raise Refusal(ErrorCode.INTERNAL_ERROR, "no")

        desk.may_be_silent = {"TransactionEvent"} if how == "silence" else set()
        desk.answers["TransactionEvent"] = answer
        desk.plug()
        await desk.until(lambda: any(e["seqNo"] == 1 for e in events(desk)), within=900)
        first = [at for at, _, p in desk.heard if p.get("seqNo") == 0 and "eventType" in p]
        assert len(first) == (taken_at or 3)
        timeout = 30 if how == "silence" else 0
        for number, (a, b) in enumerate(pairwise(first), 1):
            assert b - a == pytest.approx(10 * number + timeout, abs=2)
        assert desk.station.line.queue.given_up == (0 if taken_at else 1)
        assert len(desk.dialled) == 1  # the line was good all the time


async def test_transaction_status() -> None:
    """TC_E_28 - TC_E_34, TC_E_40."""
    async with Desk() as desk:
        await desk.charging()
        name = events(desk)[0]["transactionInfo"]["transactionId"]
        unknown = {"transactionId": "nothing"}
        nothing = {"ongoingIndicator": False, "messagesInQueue": False}
        assert await desk.ask("GetTransactionStatus", unknown) == nothing
        await desk.until(lambda: not desk.station.line.waiting)
        assert await desk.ask("GetTransactionStatus", {"transactionId": name}) == {
            "ongoingIndicator": True, "messagesInQueue": False,
        }  # fmt: skip
        await desk.cut()
        await desk.sleep(60)
        desk.answers["TransactionEvent"] = SILENCE
        desk.heard.clear()
        desk.down.clear()
        await desk.until(lambda: desk.station.online)
        assert await desk.ask("GetTransactionStatus") == {"messagesInQueue": True}
        desk.answers.clear()
        await desk.until(lambda: not desk.station.line.waiting)
        offline = [e for e in events(desk) if e.get("offline")]
        assert offline
        assert all(e["eventType"] == "Updated" for e in offline)
        assert any(e.get("meterValue") for e in offline)


# J: meter values


async def test_values_at_moments_of_the_clock() -> None:
    """TC_J_01, TC_J_02, TC_J_03, TC_J_09, TC_J_10."""
    async with Desk() as desk:
        assert await desk.set("AlignedDataCtrlr", "Interval", 15) == "Accepted"
        await desk.sleep(61)
        idle = [m["meterValue"][0] for m in desk.calls("MeterValues")]
        assert len(idle) == 4
        assert {v["context"] for m in idle for v in m["sampledValue"]} == {"Sample.Clock"}
        assert all((parse(m["timestamp"]) or 0) % 15 < 0.1 for m in idle)
        assert await desk.set("SampledDataCtrlr", "TxUpdatedInterval", 7) == "Accepted"
        assert await desk.set("AlignedDataCtrlr", "TxEndedInterval", 20) == "Accepted"
        await desk.charging()
        await desk.sleep(100)
        clock = [e for e in events(desk) if e["triggerReason"] == "MeterValueClock"]
        assert len(clock) >= 6
        periodic = [parse(e["timestamp"]) or 0 for e in events(desk) if e["triggerReason"] == "MeterValuePeriodic"]
        assert {round(b - a) for a, b in pairwise(periodic[2:])} == {7}
        desk.station.unplug(1)
        await desk.sleep(1)
        kept = [v for v in events(desk, "Ended")[0]["meterValue"] if v["sampledValue"][0]["context"] == "Sample.Clock"]
        assert len(kept) == 5


# L, M, N: upkeep


async def test_firmware_in_its_time_and_from_whom_it_should_be(tmp_path: Path) -> None:
    """TC_L_02, TC_L_03, TC_L_05, TC_L_08, TC_L_10."""
    (tmp_path / "v2.bin").write_bytes(b"new")
    (tmp_path / "empty.bin").write_bytes(b"")
    (tmp_path / "other").mkdir()
    ca, stranger = Authority(tmp_path), Authority(tmp_path / "other")
    pem = ca.certificate.public_bytes(Encoding.PEM).decode()

    async with Desk() as desk:
        root = {"certificateType": "ManufacturerRootCertificate", "certificate": pem}
        assert await desk.ask("InstallCertificate", root) == {"status": "Accepted"}

        async def update(name: str, by: Authority = ca, **times: float) -> dict[str, Any]:
            signature = by.key.sign(b"" if "empty" in name else b"new", ec.ECDSA(hashes.SHA256()))
            firmware = {
                "location": f"file://{tmp_path}/{name}", "retrieveDateTime": "2020-01-01T00:00:00Z",
                "signingCertificate": by.certificate.public_bytes(Encoding.PEM).decode(),
                "signature": base64.b64encode(signature).decode(),
                **{key: stamp(desk.station.wall() + value) for key, value in times.items()},
            }  # fmt: skip
            return await desk.ask("UpdateFirmware", {"requestId": 1, "firmware": firmware})

        assert (await update("v2.bin", stranger))["status"] == "InvalidCertificate"
        await desk.sleep(1)
        assert desk.calls("SecurityEventNotification")[-1]["type"] == "InvalidFirmwareSigningCertificate"
        assert (await update("empty.bin"))["status"] == "Accepted"
        await desk.sleep(20)
        assert desk.calls("FirmwareStatusNotification")[-1]["status"] == "InstallVerificationFailed"
        desk.heard.clear()
        assert (await update("v2.bin", retrieveDateTime=60))["status"] == "Accepted"
        await desk.sleep(5)
        assert (await update("v2.bin", retrieveDateTime=30, installDateTime=90))["status"] == "AcceptedCanceled"
        await desk.until(lambda: bool(desk.calls("BootNotification")))
        said = [c["status"] for c in desk.calls("FirmwareStatusNotification")]
        assert said == [
            "DownloadScheduled", "DownloadScheduled", "Downloading", "Downloaded", "SignatureVerified",
            "InstallScheduled", "Installing", "Installed",
        ]  # fmt: skip
        assert desk.calls("BootNotification")[0]["chargingStation"]["firmwareVersion"] == "v2.bin"


async def test_logs_are_tried_again_and_the_security_log_is_its_own(tmp_path: Path) -> None:
    """TC_N_26, TC_N_35, TC_N_36."""
    async with Desk() as desk:
        body = {"logType": "SecurityLog", "requestId": 1, "log": {"remoteLocation": f"file://{tmp_path}"}}
        answer = await desk.ask("GetLog", body)
        await desk.sleep(2)
        assert b"StartupOfTheDevice" in (tmp_path / answer["filename"]).read_bytes()
        desk.heard.clear()
        bad = body | {"log": {"remoteLocation": "gopher://x/"}, "retries": 3, "retryInterval": 20}
        await desk.ask("GetLog", bad)
        await desk.sleep(200)
        assert [c["status"] for c in desk.calls("LogStatusNotification")] == ["Uploading", "UploadFailure"] * 4
        at = desk.times("LogStatusNotification")[::2]
        assert all(round(b - a) == 20 for a, b in pairwise(at))
        await desk.ask("GetLog", bad)
        await desk.sleep(1)
        assert (await desk.ask("GetLog", body))["status"] == "AcceptedCanceled"


async def test_what_is_known_of_a_customer() -> None:
    """TC_N_27 - TC_N_32."""
    async with Desk() as desk:
        desk.station.local_list.put("card", {"status": "Accepted"})
        for report, clear, data in ((True, False, True), (False, True, False), (True, False, False)):
            desk.heard.clear()
            asked = {"requestId": 5, "report": report, "clear": clear, "idToken": TOKEN}
            assert await desk.ask("CustomerInformation", asked) == {"status": "Accepted"}
            await desk.sleep(1)
            (told,) = desk.calls("NotifyCustomerInformation")
            assert bool(told["data"]) is data
        assert "card" not in desk.station.local_list


async def test_messages_leave_the_display_at_their_end() -> None:
    """TC_O_01, TC_O_13, TC_O_14, TC_O_27, TC_O_28, TC_O_36."""
    async with Desk() as desk:
        now = desk.station.wall()
        text = {"format": "UTF8", "content": "Welcome"}
        message = {
            "id": 1, "priority": "NormalCycle", "message": text, "startDateTime": stamp(now + 30),
            "endDateTime": stamp(now + 60),
        }  # fmt: skip
        assert await desk.ask("SetDisplayMessage", {"message": message}) == {"status": "Accepted"}
        front = {"id": 2, "priority": "AlwaysFront", "message": text, "state": "Charging"}
        assert await desk.ask("SetDisplayMessage", {"message": front}) == {"status": "Accepted"}
        html = front | {"id": 3, "message": {"format": "HTML", "content": "x"}}
        assert await desk.ask("SetDisplayMessage", {"message": html}) == {"status": "NotSupportedMessageFormat"}
        assert desk.station.display.shown() == []
        await desk.sleep(40)
        assert [m["id"] for m in desk.station.display.shown()] == [1]
        await desk.charging()
        assert [m["id"] for m in desk.station.display.shown()] == [2, 1]
        await desk.sleep(60)
        assert await desk.ask("GetDisplayMessages", {"requestId": 1, "id": [1]}) == {"status": "Unknown"}


# H: reservations


async def test_reservations_end_and_are_kept_over_a_reset() -> None:
    """TC_B_24, TC_H_01 - TC_H_23."""
    async with Desk(evses=2) as desk:

        def reserve(number: int, seconds: float, **about: Any) -> dict[str, Any]:
            expiry = stamp(desk.station.wall() + seconds)
            return {"id": number, "expiryDateTime": expiry, "idToken": TOKEN, **about}

        assert await desk.ask("ReserveNow", reserve(1, 600, evseId=1)) == {"status": "Accepted"}
        assert await desk.ask("ReserveNow", reserve(2, 600, evseId=1)) == {"status": "Occupied"}
        assert await desk.ask("ReserveNow", reserve(1, 900, evseId=1)) == {"status": "Accepted"}
        assert await desk.ask("ReserveNow", reserve(3, 60)) == {"status": "Accepted"}
        assert await desk.ask("ReserveNow", reserve(4, 60)) == {"status": "Occupied"}  # one EVSE is left for 3
        await desk.sleep(70)
        updates = desk.calls("ReservationStatusUpdate")
        assert updates == [{"reservationId": 3, "reservationUpdateStatus": "Expired"}]
        desk.heard.clear()
        await desk.ask("Reset", {"type": "OnIdle"})
        await desk.until(lambda: len(desk.calls("StatusNotification")) >= 2)
        assert desk.calls("StatusNotification")[0]["connectorStatus"] == "Reserved"
        await desk.ask("ChangeAvailability", {"operationalStatus": "Inoperative", "evse": {"id": 1}})
        await desk.sleep(1)
        updates = desk.calls("ReservationStatusUpdate")
        assert updates == [{"reservationId": 1, "reservationUpdateStatus": "Removed"}]
        assert await desk.ask("CancelReservation", {"reservationId": 1}) == {"status": "Rejected"}


async def test_what_happens_to_the_grid_while_offline_is_told_later() -> None:
    """R04.FR.20, R05 and H04 do not end with the line; nothing but a boot goes out before the station is accepted."""
    async with Desk(Version.V21, evses=2) as desk:
        now = desk.station.wall()
        control = {
            "isDefault": False, "controlId": "c1", "controlType": "LimitMaxDischarge",
            "limitMaxDischarge": {
                "priority": 0, "pctMaxDischargePower": 50.0, "startTime": stamp(now + 60), "duration": 60.0,
            },
        }  # fmt: skip
        assert (await desk.ask("SetDERControl", control))["status"] == "Accepted"
        reserve = {"id": 1, "expiryDateTime": stamp(now + 90), "idToken": TOKEN, "evseId": 2}
        assert await desk.ask("ReserveNow", reserve) == {"status": "Accepted"}
        await desk.cut()
        await desk.sleep(200)
        desk.heard.clear()
        boots(desk, "Pending", "Accepted", interval=30)
        desk.station.line.booted = False
        desk.down.clear()
        await desk.until(lambda: desk.station.online)
        assert [a for _, a, _ in desk.heard][:2] == ["BootNotification"] * 2
        await desk.sleep(5)
        turns = desk.calls("NotifyDERStartStop")
        assert [t["started"] for t in turns] == [True, False]
        assert [round((parse(t["timestamp"]) or 0) - now) for t in turns] == [60, 120]
        updates = desk.calls("ReservationStatusUpdate")
        assert updates == [{"reservationId": 1, "reservationUpdateStatus": "Expired"}]


async def test_a_csms_that_is_deaf_to_one_message_hears_the_others() -> None:
    """What is no transaction's keeps no transaction waiting for more than one time-out."""
    desk = Desk()
    desk.answers["SecurityEventNotification"] = SILENCE
    async with desk:
        desk.plug()
        await desk.until(lambda: bool(events(desk, "Started")), within=40)
        await desk.sleep(300)
        assert len(events(desk)) > 20
        assert len(desk.calls("SecurityEventNotification")) <= 5  # attempts, then it is given up
