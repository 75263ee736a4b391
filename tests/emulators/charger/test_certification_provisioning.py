"""Certification cases of OCPP 2.0.1 part 6 for charging stations, block B; the docstrings state their ids."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from protocols.ocpp.events import Refused
from protocols.ocpp.schema import Version
from tests.emulators.charger.certification import TOKEN, boots, events
from tests.emulators.charger.csms_rig import CsmsRig

pytestmark = pytest.mark.virtual_time


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
