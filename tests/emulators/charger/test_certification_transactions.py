"""Certification cases of OCPP 2.0.1 part 6 for charging stations, blocks C to F; the docstrings state their ids."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from protocols.ocpp.errors import Refusal
from protocols.ocpp.schema import ErrorCode, Version
from protocols.ocpp.times import stamp
from tests.emulators.charger.certification import TOKEN, events
from tests.emulators.charger.csms_rig import SILENCE, CsmsRig

pytestmark = pytest.mark.virtual_time

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
            "idTokenInfo": {"status": "Accepted" if request["idToken"]["idToken"] == "04A1B2C3" else "Invalid"}
        }
        if cable_first:
            csms.plug()
            await csms.sleep(2)
        assert await csms.station.present(1, "04A1B2C3") == "started"
        if not cable_first:
            await csms.sleep(5)
            assert events(csms, "Started")[0]["transactionInfo"]["chargingState"] == "Idle"
            csms.plug()
        await csms.until(lambda: csms.evse().reading.power_w > 1000)
        if not cable_first:
            assert "CablePluggedIn" in [e["triggerReason"] for e in events(csms)]
        assert [e["seqNo"] for e in events(csms)] == list(range(len(events(csms))))
        assert await csms.station.present(1, "other") == "refused"
        assert await csms.station.present(1, "04A1B2C3") == "stopped"
        await csms.sleep(2)
        end = events(csms, "Ended")[0]
        assert (end["triggerReason"], end["transactionInfo"]["stoppedReason"]) == ("StopAuthorized", "Local")
        assert end["transactionInfo"]["chargingState"] == "EVConnected"


async def test_1_6_starts_with_token_and_cable() -> None:
    """1.6 chapter 4.8 and 5.11: TC_003, TC_004, TC_010, TC_012 of the 1.6 suite."""
    async with CsmsRig(Version.V16) as csms:
        body = {"key": "ConnectionTimeOut", "value": "30"}
        assert await csms.call("ChangeConfiguration", body) == {"status": "Accepted"}
        start = {"idTag": "04A1B2C3", "connectorId": 1}
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
        assert csms.calls("StartTransaction")[0]["idTag"] == "04A1B2C3"


async def test_groups_share_reservations_and_stops() -> None:
    """TC_C_39, TC_C_42, TC_H_19."""
    group = {"idToken": "family", "type": "Central"}

    def known(request: dict[str, Any]) -> dict[str, Any]:
        name = request["idToken"]["idToken"]
        mine = {} if name == "unknown" else {"groupIdToken": group}
        return {"idTokenInfo": {"status": "Accepted", **mine}}

    async with CsmsRig(id_token="unknown") as csms:
        csms.answers["Authorize"] = known
        reserve = {
            "id": 1, "expiryDateTime": stamp(csms.station.wall() + 600), "idToken": TOKEN, "evseId": 1,
            "groupIdToken": group,
        }  # fmt: skip
        assert await csms.call("ReserveNow", reserve) == {"status": "Accepted"}
        csms.plug()
        await csms.sleep(3)
        assert await csms.station.present(1, "unknown") == "refused"
        assert await csms.station.present(1, "mother") == "started"
        await csms.sleep(2)
        assert events(csms, "Started")[0]["reservationId"] == 1
        assert await csms.station.present(1, "unknown") == "refused"
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
        for name in ("bad", "old", "unknown"):
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
