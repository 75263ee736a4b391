"""Certification cases of OCPP 2.0.1 part 6 for charging stations; the docstrings state their ids."""

from __future__ import annotations

import base64
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from protocols.ocpp.events import Refused
from protocols.ocpp.rpc import Refusal
from protocols.ocpp.schema import ErrorCode, Version
from protocols.ocpp.times import parse, stamp
from tests.emulators.charger.csms_rig import SILENCE, CsmsRig
from tests.gateway.csms.test_security import Authority

pytestmark = pytest.mark.virtual_time

TOKEN = {"idToken": "card", "type": "ISO14443"}


def boots(csms: CsmsRig, *statuses: str, interval: int = 20) -> None:
    """Return a sequence of responses to BootNotification; the last repeats."""
    left = list(statuses)

    def answer(_: dict[str, Any]) -> dict[str, Any]:
        status = left.pop(0) if len(left) > 1 else left[0]
        return {"status": status, "interval": interval, "currentTime": stamp(csms.clock.wall())}

    csms.answers["BootNotification"] = answer


def events(csms: CsmsRig, kind: str | None = None) -> list[dict[str, Any]]:
    return [e for e in csms.calls("TransactionEvent") if kind in (None, e["eventType"])]


# B: provisioning


async def test_pending() -> None:
    """TC_B_02: responds to requests, sends nothing else, starts no transaction, boots when triggered."""
    csms = CsmsRig()
    boots(csms, "Pending", "Pending", "Accepted", interval=60)
    async with csms:
        assert await csms.set("OCPPCommCtrlr", "OfflineThreshold", 300) == "Accepted"
        assert (await csms.get("OCPPCommCtrlr", "OfflineThreshold"))["attributeValue"] == "300"
        await csms.call("GetBaseReport", {"requestId": 1, "reportBase": "FullInventory"})
        await csms.sleep(2)
        assert csms.calls("NotifyReport")[-1]["tbc"] is False
        start = {"idToken": TOKEN, "remoteStartId": 1, "evseId": 1}
        assert (await csms.call("RequestStartTransaction", start))["status"] == "Rejected"
        refused = await csms.reply("Reset", {"type": "Immediate"})
        assert isinstance(refused, Refused)
        assert refused.code == "SecurityError"
        assert {a for _, a, _ in csms.received} == {"BootNotification", "NotifyReport"}
        request = await csms.call("TriggerMessage", {"requestedMessage": "BootNotification"})
        assert request == {"status": "Accepted"}
        await csms.sleep(1)
        assert len(csms.calls("BootNotification")) == 2
        await csms.until(lambda: csms.station.online)
        assert csms.times("BootNotification")[2] - csms.times("BootNotification")[0] >= 60  # B02.FR.04
        await csms.sleep(1)
        assert csms.calls("StatusNotification")


@pytest.mark.parametrize("version", list(Version))
async def test_rejected(version: Version) -> None:
    """TC_B_03, TC_B_30."""
    csms = CsmsRig(version)
    boots(csms, "Rejected", "Rejected", "Accepted", interval=25)
    async with csms:
        action = "GetConfiguration" if version is Version.V16 else "GetVariables"
        body: dict[str, Any] = {"getVariableData": [{"component": {"name": "X"}, "variable": {"name": "Y"}}]}
        reply = await csms.reply(action, {} if version is Version.V16 else body)
        assert isinstance(reply, Refused)
        assert reply.code == "SecurityError"
        await csms.until(lambda: csms.station.online)
        assert [a for _, a, _ in csms.received][:3] == ["BootNotification"] * 3
        assert all(b - a >= 25 for a, b in pairwise(csms.times("BootNotification")))


@pytest.mark.parametrize(("threshold", "sent"), [(20, {1, 2}), (3600, {1})])
async def test_after_being_offline(threshold: int, sent: set[int]) -> None:
    """TC_B_51, TC_B_52."""
    async with CsmsRig(evses=2) as csms:
        await csms.set("OCPPCommCtrlr", "OfflineThreshold", threshold)
        await csms.cut()
        csms.received.clear()
        csms.plug()
        await csms.sleep(60)
        csms.down.clear()
        await csms.until(lambda: csms.station.online)
        await csms.sleep(2)
        assert {c["evseId"] for c in csms.calls("StatusNotification")} == sent
        assert csms.calls("StatusNotification")[0]["connectorStatus"] == "Occupied"
        assert not csms.calls("BootNotification")


async def test_the_full_inventory_is_complete_and_consistent() -> None:
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

    async with CsmsRig(password="1234567890123456") as csms:
        await csms.call("GetBaseReport", {"requestId": 9, "reportBase": "FullInventory"})
        await csms.sleep(3)
        parts = csms.calls("NotifyReport")
        assert [p["seqNo"] for p in parts] == list(range(len(parts)))
        entries = [e for p in parts for e in p["reportData"]]
        assert required <= {(e["component"]["name"], e["variable"]["name"]) for e in entries}
        for entry in entries:
            about, (attribute,) = entry["variableCharacteristics"], entry["variableAttribute"]
            if about["dataType"] in ("OptionList", "SequenceList", "MemberList"):
                allowed = about["valuesList"].split(",")
                assert set(filter(None, attribute["value"].split(","))) <= set(allowed), entry
            assert ("value" in attribute) == (attribute["mutability"] != "WriteOnly")
        csms.received.clear()
        await csms.call("GetBaseReport", {"requestId": 9, "reportBase": "ConfigurationInventory"})
        await csms.sleep(3)
        writable = [e["variableAttribute"][0] for p in csms.calls("NotifyReport") for e in p["reportData"]]
        assert {a["mutability"] for a in writable} == {"ReadWrite", "WriteOnly"}


async def test_custom_reports() -> None:
    """TC_B_16, TC_B_18, TC_B_54, TC_B_55, TC_B_56."""
    async with CsmsRig(evses=2) as csms:

        async def report(*request: dict[str, Any], criteria: list[str] | None = None) -> list[dict[str, Any]]:
            csms.received.clear()
            body: dict[str, Any] = {"requestId": 3}
            body |= {"componentVariable": list(request)} if request else {}
            body |= {"componentCriteria": criteria} if criteria else {}
            if (await csms.call("GetReport", body))["status"] == "EmptyResultSet":
                return []
            await csms.sleep(3)
            return [e for p in csms.calls("NotifyReport") for e in p["reportData"]]

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


async def test_a_reset_on_idle_waits_for_transactions_and_keeps_availability() -> None:
    """TC_B_21, TC_B_23, TC_B_41, TC_G_18; B12.FR.01, A04."""
    async with CsmsRig(evses=3) as csms:
        await csms.charging()
        await csms.call("ChangeAvailability", {"operationalStatus": "Inoperative", "evse": {"id": 3}})
        assert await csms.call("Reset", {"type": "OnIdle"}) == {"status": "Scheduled"}
        await csms.sleep(30)
        assert len(csms.calls("BootNotification")) == 1
        assert csms.evse(2).status == "Unavailable"  # until the reset
        csms.received.clear()
        csms.station.unplug(1)
        await csms.until(lambda: bool(csms.calls("BootNotification")))
        await csms.sleep(3)
        assert events(csms, "Ended")[0]["transactionInfo"]["stoppedReason"] == "EVDisconnected"
        after = {c["evseId"]: c["connectorStatus"] for c in csms.calls("StatusNotification")}
        assert after == {1: "Available", 2: "Available", 3: "Unavailable"}
        assert csms.calls("BootNotification")[0]["reason"] == "ScheduledReset"
        assert csms.calls("SecurityEventNotification")[-1]["type"] == "ResetOrReboot"


async def test_an_immediate_reset_ends_transactions_first() -> None:
    """TC_B_22, TC_B_26, TC_B_27."""
    async with CsmsRig(evses=2) as csms:
        await csms.charging(1)
        await csms.charging(2)
        assert await csms.call("Reset", {"type": "Immediate", "evseId": 2}) == {"status": "Accepted"}
        await csms.sleep(3)
        (end,) = events(csms, "Ended")
        assert (end["triggerReason"], end["transactionInfo"]["stoppedReason"]) == ("ResetCommand", "ImmediateReset")
        assert len(csms.calls("BootNotification")) == 1
        assert await csms.call("Reset", {"type": "Immediate"}) == {"status": "Accepted"}
        await csms.until(lambda: len(csms.calls("BootNotification")) == 2)
        order = [a for _, a, p in csms.received if a == "BootNotification" or p.get("eventType") == "Ended"]
        assert order[-2:] == ["TransactionEvent", "BootNotification"]


# C, D, E, F: tokens and transactions


async def test_a_transaction_without_a_cable_in_time_ends() -> None:
    """TC_E_05, TC_E_39, TC_F_04."""
    async with CsmsRig() as csms:
        assert await csms.set("TxCtrlr", "EVConnectionTimeOut", 30) == "Accepted"
        for attempt in range(2):
            csms.received.clear()
            start = {"idToken": TOKEN, "remoteStartId": attempt, "evseId": 1}
            assert (await csms.call("RequestStartTransaction", start))["status"] == "Accepted"
            await csms.sleep(40)
            first, last = events(csms)[0], events(csms)[-1]
            assert (first["eventType"], first["triggerReason"]) == ("Started", "RemoteStart")
            assert (last["eventType"], last["triggerReason"]) == ("Ended", "EVConnectTimeout")
            assert last["transactionInfo"]["stoppedReason"] == "Timeout"
            assert csms.evse().status == "Available"


@pytest.mark.parametrize("cable_first", [True, False])
async def test_token_and_cable_in_either_order(cable_first: bool) -> None:
    """TC_E_03, TC_E_04, TC_E_10, TC_E_15, TC_F_01, TC_F_02."""
    async with CsmsRig(id_token="nobody") as csms:
        csms.answers["Authorize"] = lambda request: {
            "idTokenInfo": {"status": "Accepted" if request["idToken"]["idToken"] == "card" else "Invalid"}
        }
        if cable_first:
            csms.plug()
            await csms.sleep(2)
        assert await csms.station.present(1, "card") == "started"
        if not cable_first:
            await csms.sleep(5)
            assert events(csms, "Started")[0]["transactionInfo"]["chargingState"] == "Idle"
            csms.plug()
        await csms.until(lambda: csms.evse().reading.power_w > 1000)
        if not cable_first:
            assert "CablePluggedIn" in [e["triggerReason"] for e in events(csms)]
        assert [e["seqNo"] for e in events(csms)] == list(range(len(events(csms))))
        assert await csms.station.present(1, "other") == "refused"
        assert await csms.station.present(1, "card") == "stopped"
        await csms.sleep(2)
        end = events(csms, "Ended")[0]
        assert (end["triggerReason"], end["transactionInfo"]["stoppedReason"]) == ("StopAuthorized", "Local")
        assert end["transactionInfo"]["chargingState"] == "EVConnected"


async def test_1_6_starts_with_token_and_cable() -> None:
    """1.6 chapter 4.8 and 5.11: TC_003, TC_004, TC_010, TC_012 of the 1.6 suite."""
    async with CsmsRig(Version.V16) as csms:
        body = {"key": "ConnectionTimeOut", "value": "30"}
        assert await csms.call("ChangeConfiguration", body) == {"status": "Accepted"}
        start = {"idTag": "card", "connectorId": 1}
        assert await csms.call("RemoteStartTransaction", start) == {"status": "Accepted"}
        await csms.sleep(2)
        assert csms.calls("StatusNotification")[-1]["status"] == "Preparing"
        await csms.sleep(40)
        assert csms.calls("StatusNotification")[-1]["status"] == "Available"
        assert not csms.calls("StartTransaction")
        assert await csms.call("RemoteStartTransaction", start) == {"status": "Accepted"}
        await csms.sleep(5)
        csms.plug()
        await csms.until(lambda: bool(csms.calls("StartTransaction")))
        assert csms.calls("StartTransaction")[0]["idTag"] == "card"


async def test_groups_share_reservations_and_stops() -> None:
    """TC_C_39, TC_C_42, TC_H_19."""
    group = {"idToken": "family", "type": "Central"}

    def known(request: dict[str, Any]) -> dict[str, Any]:
        name = request["idToken"]["idToken"]
        mine = {} if name == "stranger" else {"groupIdToken": group}
        return {"idTokenInfo": {"status": "Accepted", **mine}}

    async with CsmsRig(id_token="stranger") as csms:
        csms.answers["Authorize"] = known
        reserve = {
            "id": 1, "expiryDateTime": stamp(csms.station.wall() + 600), "idToken": TOKEN, "evseId": 1,
            "groupIdToken": group,
        }  # fmt: skip
        assert await csms.call("ReserveNow", reserve) == {"status": "Accepted"}
        csms.plug()
        await csms.sleep(3)
        assert await csms.station.present(1, "stranger") == "refused"
        assert await csms.station.present(1, "mother") == "started"
        await csms.sleep(2)
        assert events(csms, "Started")[0]["reservationId"] == 1
        assert await csms.station.present(1, "stranger") == "refused"
        assert await csms.station.present(1, "father") == "stopped"


async def test_the_local_list_authorises_offline_and_before_the_csms() -> None:
    """TC_C_21 - TC_C_31, TC_D_01 - TC_D_10."""
    async with CsmsRig(id_token="nobody") as csms:
        csms.answers["Authorize"] = {"idTokenInfo": {"status": "Invalid"}}
        entries = [
            {"idToken": {"idToken": name, "type": "ISO14443"}, "idTokenInfo": info}
            for name, info in (
                ("good", {"status": "Accepted"}), ("bad", {"status": "Blocked"}),
                ("old", {"status": "Accepted", "cacheExpiryDateTime": "2020-01-01T00:00:00Z"}),
            )
        ]  # fmt: skip
        body = {"versionNumber": 4, "updateType": "Full", "localAuthorizationList": entries}
        assert await csms.call("SendLocalList", body) == {"status": "Accepted"}
        late = {"versionNumber": 4, "updateType": "Differential"}
        assert await csms.call("SendLocalList", late) == {"status": "VersionMismatch"}
        csms.plug()
        await csms.sleep(2)
        assert await csms.set("AuthCtrlr", "LocalPreAuthorize", "true") == "Accepted"
        csms.received.clear()
        assert await csms.station.present(1, "good") == "started"
        assert not csms.calls("Authorize")
        assert await csms.station.present(1, "good") == "stopped"
        await csms.set("LocalAuthListCtrlr", "DisablePostAuthorize", "true")
        assert await csms.station.present(1, "bad") == "refused"
        assert not csms.calls("Authorize")
        await csms.cut()
        for name in ("bad", "old", "stranger"):
            assert await csms.station.present(1, name) == "refused"
        assert await csms.station.present(1, "good") == "started"
        await csms.sleep(20)
        assert await csms.station.present(1, "good") == "stopped"
        csms.received.clear()
        csms.down.clear()
        await csms.until(lambda: csms.station.online and not csms.station.link.waiting)
        sent = [e for e in events(csms) if e.get("offline")]
        assert [sent[0]["eventType"], sent[-1]["eventType"]] == ["Started", "Ended"]  # TC_E_43
        await csms.set("LocalAuthListCtrlr", "Enabled", "false")
        assert await csms.call("GetLocalListVersion") == {"versionNumber": 0}


@pytest.mark.parametrize("how", ["silence", "error"])
@pytest.mark.parametrize("taken_at", [2, None])
async def test_a_rejected_transaction_event_is_repeated(how: str, taken_at: int | None) -> None:
    """TC_E_41, TC_E_42, TC_E_50, TC_E_51: attempts with growing waits, then the next message."""
    async with CsmsRig(answer_within_s=30.0) as csms:
        assert await csms.set("OCPPCommCtrlr", "MessageAttempts", 3, "TransactionEvent") == "Accepted"
        assert await csms.set("OCPPCommCtrlr", "MessageAttemptInterval", 10, "TransactionEvent") == "Accepted"
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

        csms.may_be_silent = {"TransactionEvent"} if how == "silence" else set()
        csms.answers["TransactionEvent"] = answer
        csms.plug()
        await csms.until(lambda: any(e["seqNo"] == 1 for e in events(csms)), within=900)
        first = [at for at, _, p in csms.received if p.get("seqNo") == 0 and "eventType" in p]
        assert len(first) == (taken_at or 3)
        timeout = 30 if how == "silence" else 0
        for number, (a, b) in enumerate(pairwise(first), 1):
            assert b - a == pytest.approx(10 * number + timeout, abs=2)
        assert csms.station.link.queue.given_up == (0 if taken_at else 1)
        assert len(csms.dialled) == 1  # the connection was never interrupted


async def test_transaction_status() -> None:
    """TC_E_28 - TC_E_34, TC_E_40."""
    async with CsmsRig() as csms:
        await csms.charging()
        name = events(csms)[0]["transactionInfo"]["transactionId"]
        unknown = {"transactionId": "nothing"}
        nothing = {"ongoingIndicator": False, "messagesInQueue": False}
        assert await csms.call("GetTransactionStatus", unknown) == nothing
        await csms.until(lambda: not csms.station.link.waiting)
        assert await csms.call("GetTransactionStatus", {"transactionId": name}) == {
            "ongoingIndicator": True, "messagesInQueue": False,
        }  # fmt: skip
        await csms.cut()
        await csms.sleep(60)
        csms.answers["TransactionEvent"] = SILENCE
        csms.received.clear()
        csms.down.clear()
        await csms.until(lambda: csms.station.online)
        assert await csms.call("GetTransactionStatus") == {"messagesInQueue": True}
        csms.answers.clear()
        await csms.until(lambda: not csms.station.link.waiting)
        offline = [e for e in events(csms) if e.get("offline")]
        assert offline
        assert all(e["eventType"] == "Updated" for e in offline)
        assert any(e.get("meterValue") for e in offline)


# J: meter values


async def test_clock_aligned_values() -> None:
    """TC_J_01, TC_J_02, TC_J_03, TC_J_09, TC_J_10."""
    async with CsmsRig() as csms:
        assert await csms.set("AlignedDataCtrlr", "Interval", 15) == "Accepted"
        await csms.sleep(61)
        idle = [m["meterValue"][0] for m in csms.calls("MeterValues")]
        assert len(idle) == 4
        assert {v["context"] for m in idle for v in m["sampledValue"]} == {"Sample.Clock"}
        assert all((parse(m["timestamp"]) or 0) % 15 < 0.1 for m in idle)
        assert await csms.set("SampledDataCtrlr", "TxUpdatedInterval", 7) == "Accepted"
        assert await csms.set("AlignedDataCtrlr", "TxEndedInterval", 20) == "Accepted"
        await csms.charging()
        await csms.sleep(100)
        clock = [e for e in events(csms) if e["triggerReason"] == "MeterValueClock"]
        assert len(clock) >= 6
        periodic = [parse(e["timestamp"]) or 0 for e in events(csms) if e["triggerReason"] == "MeterValuePeriodic"]
        assert {round(b - a) for a, b in pairwise(periodic[2:])} == {7}
        csms.station.unplug(1)
        await csms.sleep(1)
        kept = [v for v in events(csms, "Ended")[0]["meterValue"] if v["sampledValue"][0]["context"] == "Sample.Clock"]
        assert len(kept) == 5


# L, M, N: upkeep


async def test_scheduled_and_signed_firmware_updates(tmp_path: Path) -> None:
    """TC_L_02, TC_L_03, TC_L_05, TC_L_08, TC_L_10."""
    (tmp_path / "v2.bin").write_bytes(b"new")
    (tmp_path / "empty.bin").write_bytes(b"")
    (tmp_path / "other").mkdir()
    ca, stranger = Authority(tmp_path), Authority(tmp_path / "other")
    pem = ca.certificate.public_bytes(Encoding.PEM).decode()

    async with CsmsRig() as csms:
        root = {"certificateType": "ManufacturerRootCertificate", "certificate": pem}
        assert await csms.call("InstallCertificate", root) == {"status": "Accepted"}

        async def update(name: str, by: Authority = ca, **times: float) -> dict[str, Any]:
            signature = by.key.sign(b"" if "empty" in name else b"new", ec.ECDSA(hashes.SHA256()))
            firmware = {
                "location": f"file://{tmp_path}/{name}", "retrieveDateTime": "2020-01-01T00:00:00Z",
                "signingCertificate": by.certificate.public_bytes(Encoding.PEM).decode(),
                "signature": base64.b64encode(signature).decode(),
                **{key: stamp(csms.station.wall() + value) for key, value in times.items()},
            }  # fmt: skip
            return await csms.call("UpdateFirmware", {"requestId": 1, "firmware": firmware})

        assert (await update("v2.bin", stranger))["status"] == "InvalidCertificate"
        await csms.sleep(1)
        assert csms.calls("SecurityEventNotification")[-1]["type"] == "InvalidFirmwareSigningCertificate"
        assert (await update("empty.bin"))["status"] == "Accepted"
        await csms.sleep(20)
        assert csms.calls("FirmwareStatusNotification")[-1]["status"] == "InstallVerificationFailed"
        csms.received.clear()
        assert (await update("v2.bin", retrieveDateTime=60))["status"] == "Accepted"
        await csms.sleep(5)
        assert (await update("v2.bin", retrieveDateTime=30, installDateTime=90))["status"] == "AcceptedCanceled"
        await csms.until(lambda: bool(csms.calls("BootNotification")))
        firmware_statuses = [c["status"] for c in csms.calls("FirmwareStatusNotification")]
        assert firmware_statuses == [
            "DownloadScheduled", "DownloadScheduled", "Downloading", "Downloaded", "SignatureVerified",
            "InstallScheduled", "Installing", "Installed",
        ]  # fmt: skip
        assert csms.calls("BootNotification")[0]["chargingStation"]["firmwareVersion"] == "v2.bin"


async def test_log_uploads_are_repeated_and_the_security_log_is_separate(tmp_path: Path) -> None:
    """TC_N_26, TC_N_35, TC_N_36."""
    async with CsmsRig() as csms:
        body = {"logType": "SecurityLog", "requestId": 1, "log": {"remoteLocation": f"file://{tmp_path}"}}
        answer = await csms.call("GetLog", body)
        await csms.sleep(2)
        assert b"StartupOfTheDevice" in (tmp_path / answer["filename"]).read_bytes()
        csms.received.clear()
        bad = body | {"log": {"remoteLocation": "gopher://x/"}, "retries": 3, "retryInterval": 20}
        await csms.call("GetLog", bad)
        await csms.sleep(200)
        assert [c["status"] for c in csms.calls("LogStatusNotification")] == ["Uploading", "UploadFailure"] * 4
        at = csms.times("LogStatusNotification")[::2]
        assert all(round(b - a) == 20 for a, b in pairwise(at))
        await csms.call("GetLog", bad)
        await csms.sleep(1)
        assert (await csms.call("GetLog", body))["status"] == "AcceptedCanceled"


async def test_customer_information() -> None:
    """TC_N_27 - TC_N_32."""
    async with CsmsRig() as csms:
        csms.station.local_list.put("card", {"status": "Accepted"})
        for report, clear, data in ((True, False, True), (False, True, False), (True, False, False)):
            csms.received.clear()
            request = {"requestId": 5, "report": report, "clear": clear, "idToken": TOKEN}
            assert await csms.call("CustomerInformation", request) == {"status": "Accepted"}
            await csms.sleep(1)
            (sent,) = csms.calls("NotifyCustomerInformation")
            assert bool(sent["data"]) is data
        assert "card" not in csms.station.local_list


async def test_display_messages_end_at_their_end_time() -> None:
    """TC_O_01, TC_O_13, TC_O_14, TC_O_27, TC_O_28, TC_O_36."""
    async with CsmsRig() as csms:
        now = csms.station.wall()
        text = {"format": "UTF8", "content": "Welcome"}
        message = {
            "id": 1, "priority": "NormalCycle", "message": text, "startDateTime": stamp(now + 30),
            "endDateTime": stamp(now + 60),
        }  # fmt: skip
        assert await csms.call("SetDisplayMessage", {"message": message}) == {"status": "Accepted"}
        front = {"id": 2, "priority": "AlwaysFront", "message": text, "state": "Charging"}
        assert await csms.call("SetDisplayMessage", {"message": front}) == {"status": "Accepted"}
        html = front | {"id": 3, "message": {"format": "HTML", "content": "x"}}
        assert await csms.call("SetDisplayMessage", {"message": html}) == {"status": "NotSupportedMessageFormat"}
        assert csms.station.display.shown() == []
        await csms.sleep(40)
        assert [m["id"] for m in csms.station.display.shown()] == [1]
        await csms.charging()
        assert [m["id"] for m in csms.station.display.shown()] == [2, 1]
        await csms.sleep(60)
        assert await csms.call("GetDisplayMessages", {"requestId": 1, "id": [1]}) == {"status": "Unknown"}


# H: reservations


async def test_reservations_expire_and_persist_over_a_reset() -> None:
    """TC_B_24, TC_H_01 - TC_H_23."""
    async with CsmsRig(evses=2) as csms:

        def reserve(number: int, seconds: float, **about: Any) -> dict[str, Any]:
            expiry = stamp(csms.station.wall() + seconds)
            return {"id": number, "expiryDateTime": expiry, "idToken": TOKEN, **about}

        assert await csms.call("ReserveNow", reserve(1, 600, evseId=1)) == {"status": "Accepted"}
        assert await csms.call("ReserveNow", reserve(2, 600, evseId=1)) == {"status": "Occupied"}
        assert await csms.call("ReserveNow", reserve(1, 900, evseId=1)) == {"status": "Accepted"}
        assert await csms.call("ReserveNow", reserve(3, 60)) == {"status": "Accepted"}
        assert await csms.call("ReserveNow", reserve(4, 60)) == {"status": "Occupied"}  # one EVSE is left for 3
        await csms.sleep(70)
        updates = csms.calls("ReservationStatusUpdate")
        assert updates == [{"reservationId": 3, "reservationUpdateStatus": "Expired"}]
        csms.received.clear()
        await csms.call("Reset", {"type": "OnIdle"})
        await csms.until(lambda: len(csms.calls("StatusNotification")) >= 2)
        assert csms.calls("StatusNotification")[0]["connectorStatus"] == "Reserved"
        await csms.call("ChangeAvailability", {"operationalStatus": "Inoperative", "evse": {"id": 1}})
        await csms.sleep(1)
        updates = csms.calls("ReservationStatusUpdate")
        assert updates == [{"reservationId": 1, "reservationUpdateStatus": "Removed"}]
        assert await csms.call("CancelReservation", {"reservationId": 1}) == {"status": "Rejected"}


async def test_der_alarms_while_offline_are_sent_after_reconnection() -> None:
    """R04.FR.20, R05 and H04 apply while offline; before acceptance only BootNotification is sent."""
    async with CsmsRig(Version.V21, evses=2) as csms:
        now = csms.station.wall()
        control = {
            "isDefault": False, "controlId": "c1", "controlType": "LimitMaxDischarge",
            "limitMaxDischarge": {
                "priority": 0, "pctMaxDischargePower": 50.0, "startTime": stamp(now + 60), "duration": 60.0,
            },
        }  # fmt: skip
        assert (await csms.call("SetDERControl", control))["status"] == "Accepted"
        reserve = {"id": 1, "expiryDateTime": stamp(now + 90), "idToken": TOKEN, "evseId": 2}
        assert await csms.call("ReserveNow", reserve) == {"status": "Accepted"}
        await csms.cut()
        await csms.sleep(200)
        csms.received.clear()
        boots(csms, "Pending", "Accepted", interval=30)
        csms.station.link.booted = False
        csms.down.clear()
        await csms.until(lambda: csms.station.online)
        assert [a for _, a, _ in csms.received][:2] == ["BootNotification"] * 2
        await csms.sleep(5)
        turns = csms.calls("NotifyDERStartStop")
        assert [t["started"] for t in turns] == [True, False]
        assert [round((parse(t["timestamp"]) or 0) - now) for t in turns] == [60, 120]
        updates = csms.calls("ReservationStatusUpdate")
        assert updates == [{"reservationId": 1, "reservationUpdateStatus": "Expired"}]


async def test_an_unanswered_notification_delays_no_transaction() -> None:
    """Notifications delay the messages of transactions by at most one time-out."""
    csms = CsmsRig()
    csms.answers["SecurityEventNotification"] = SILENCE
    async with csms:
        csms.plug()
        await csms.until(lambda: bool(events(csms, "Started")), within=40)
        await csms.sleep(300)
        assert len(events(csms)) > 20
        assert len(csms.calls("SecurityEventNotification")) <= 5  # attempts, then it is given up
