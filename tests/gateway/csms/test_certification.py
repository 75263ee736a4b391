"""OCPP 2.0.1 part 6 for a CSMS: the mandatory test cases, run over OCPP. `docs/ocpp.md` lists the same ids."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.csms.admin import Admin
from gateway.csms.settings import CsmsSettings, StationSettings, UnknownStations, UnknownTokens
from gateway.csms.tokens import Token
from gateway.model.station import Answer
from protocols.ocpp.schema import Version
from tests.gateway.csms.certification import HEARD, OPERATOR, Sent, event
from tests.gateway.csms.raw_station import Raw

pytestmark = pytest.mark.virtual_time

DOCS = Path(__file__).resolve().parents[3] / "docs" / "ocpp.md"
# Connections and TLS: in test_security.py and test_certificates.py.
DOOR = {"A_01", "A_02", "A_03", "A_04", "A_06", "A_07", "A_08", "A_09", "A_10", "A_11", "A_14", "A_19"}
BOOTS = {"B_01", "B_02", "B_30", "B_31"}
TOKENS = {"C_02": "NOBODY", "C_06": "BLOCKED", "C_07": "EXPIRED"}
GROUPS = {"C_39", "C_40", "C_43", "C_47", "C_48", "C_49"}
# One transaction each: how it begins (and with what), its reports, and how it ends.
STARTED, UPDATED, ENDED = "Started", "Updated", "Ended"
LIVES: dict[str, tuple[tuple[str, str, str | None], ...]] = {
    "C_08": ((STARTED, "CablePluggedIn", None), (UPDATED, "Authorized", "VALID")),
    "C_20": ((STARTED, "CablePluggedIn", None), (UPDATED, "Authorized", "NOBODY")),
    "E_01": ((STARTED, "Authorized", "VALID"), (UPDATED, "ChargingStateChanged", None)),
    "E_02": ((STARTED, "ChargingStateChanged", "VALID"), (UPDATED, "MeterValuePeriodic", None)),
    "E_03": ((STARTED, "Authorized", "VALID"), (UPDATED, "CablePluggedIn", None)),
    "E_04": ((STARTED, "CablePluggedIn", None), (UPDATED, "Authorized", "VALID")),
    "E_07": ((STARTED, "Authorized", "VALID"), (ENDED, "StopAuthorized", "VALID")),
    "E_08": ((STARTED, "Authorized", "VALID"), (ENDED, "StopAuthorized", "VALID")),
    "E_09": ((STARTED, "CablePluggedIn", None), (ENDED, "EVCommunicationLost", None)),
    "E_10": ((STARTED, "Authorized", "VALID"), (UPDATED, "ChargingStateChanged", None)),
    "E_11": ((STARTED, "SignedDataReceived", "VALID"),),
    "E_12": ((STARTED, "EVDetected", None), (UPDATED, "Authorized", "VALID")),
    "E_14": ((STARTED, "Authorized", "VALID"), (ENDED, "EVCommunicationLost", None)),
    "E_15": ((STARTED, "Authorized", "VALID"), (ENDED, "StopAuthorized", "VALID")),
    "E_16": ((STARTED, "Authorized", "NOBODY"), (ENDED, "Deauthorized", None)),
    "E_17": ((STARTED, "Authorized", "VALID"), (ENDED, "EVCommunicationLost", None)),
    "E_19": ((STARTED, "EVDetected", None), (ENDED, "EVDeparted", None)),
    "E_20": ((STARTED, "Authorized", "VALID"), (ENDED, "EVCommunicationLost", None)),
    "E_22": ((STARTED, "Authorized", "VALID"), (ENDED, "ChargingStateChanged", None)),
    "E_26": (
        (STARTED, "Authorized", "VALID"),
        (UPDATED, "ChargingStateChanged", None),
        (UPDATED, "TimeLimitReached", None),
    ),
    "E_38": ((STARTED, "Authorized", "VALID"), (UPDATED, "ChargingStateChanged", None)),
    "E_39": ((STARTED, "Authorized", "VALID"), (ENDED, "EVConnectTimeout", None)),
    "E_53": ((STARTED, "Authorized", "VALID"), (ENDED, "EVDeparted", None)),
    "J_02": ((STARTED, "Authorized", "VALID"), (UPDATED, "MeterValueClock", None)),
    "J_03": ((STARTED, "Authorized", "VALID"), (ENDED, "EVDeparted", None)),
    "J_04": ((STARTED, "Authorized", "VALID"), (UPDATED, "MeterValueClock", None)),
    "J_07": ((STARTED, "Authorized", "VALID"),),
    "J_08": ((STARTED, "Authorized", "VALID"),),
    "J_09": ((STARTED, "Authorized", "VALID"), (UPDATED, "MeterValuePeriodic", None)),
    "J_10": ((STARTED, "Authorized", "VALID"), (ENDED, "EVDeparted", None)),
    "J_11": ((STARTED, "Authorized", "VALID"), (ENDED, "EVDeparted", None)),
}
SIGNED = {"signedMeterData": "eA==", "signingMethod": "", "encodingMethod": "OCMF", "publicKey": ""}
OTHERS = {"J_01", "P_02", "P_03"}
RENEGOTIATED = {"K_53", "K_55", "K_57", "K_58", "K_59"}


def settings(**about: Any) -> CsmsSettings:
    about.setdefault("stations", (StationSettings("CP1"),))
    return CsmsSettings(unknown_tokens=UnknownTokens.REJECT, inventory=False, **about)


def station(**about: Any) -> Raw:
    raw = Raw(Version.V201, unknown_tokens=UnknownTokens.REJECT, **about)
    for token in (
        Token("VALID", parent="GROUP"),
        Token("VALID2", parent="GROUP"),
        Token("MASTER", parent="MASTERS"),
        Token("BLOCKED", "Blocked"),
        Token("EXPIRED", expiry=1.0),
    ):
        raw.csms.context.tokens.put(token)
    return raw


@asynccontextmanager
async def connected(**about: Any) -> AsyncIterator[Raw]:
    """Run a connected station; fail if the CSMS has recorded a violation at the end."""
    async with station(**about) as raw:
        yield raw
        assert list(raw.csms.context.violations) == []


@pytest.mark.parametrize("case", OPERATOR)
async def test_calls_of_an_operator_are_sent_and_their_reports_accepted(case: str) -> None:
    async with connected() as raw:
        await raw.boot()
        admin = Admin(raw.csms)
        for sent in OPERATOR[case]:
            await _one(raw, admin, sent)


async def _one(raw: Raw, admin: Admin, sent: Sent) -> None:
    asking = asyncio.create_task(admin.call("CP1", sent.action, sent.payload, 5))
    assert await raw.next_call(sent.action, sent.answer) == sent.payload
    assert await asking == {"type": "result", "payload": sent.answer, "valid": True}
    for action, payload in sent.reports:
        reply = await raw.ok(action, payload)
        assert "currentTime" in reply if action == "Heartbeat" else reply == {}
        assert admin.messages("CP1", action, 1)[0]["payload"] == payload  # an operator can see it


@pytest.mark.parametrize("case", HEARD)
async def test_notifications_of_a_station_are_recorded(case: str) -> None:
    async with connected() as raw:
        await raw.boot()
        for action, payload in HEARD[case]:
            assert await raw.ok(action, payload) == {}


@pytest.mark.parametrize("case", sorted(BOOTS))
async def test_boot_notifications(case: str) -> None:
    async def scene(raw: Raw) -> None:
        status = {"timestamp": raw.time(), "connectorStatus": "Available", "evseId": 1, "connectorId": 1}
        action, payload = event()
        first = (await raw.boot())["status"]
        assert first == ("Accepted" if case == "B_01" else "Pending")
        if case == "B_30":
            assert (await raw.call("StatusNotification", status))[2] == "SecurityError"
            assert (await raw.call(action, payload))[2] == "SecurityError"
            return
        if case != "B_01":
            if case == "B_31":
                await Admin(raw.csms).put_station("CP1", {})
                request = await raw.next_call("TriggerMessage", {"status": "Accepted"})
                assert request == {"requestedMessage": "BootNotification"}
            raw.csms.register(StationSettings("CP1"))
            assert (await raw.boot())["status"] == "Accepted"
        assert await raw.ok("StatusNotification", status) == {}
        assert await raw.ok(action, payload) == {}

    if case == "B_01":
        async with connected() as raw:
            await scene(raw)
        return
    raw_settings = settings(stations=(), unknown_stations=UnknownStations.PENDING)

    async with station() as raw:
        raw.csms.stations.clear()
        raw.csms.context.unknown_stations = raw_settings.unknown_stations
        assert raw.wire is not None
        await raw.wire.close()
        await raw.connect()
        await scene(raw)


@pytest.mark.parametrize("case", TOKENS)
async def test_tokens_that_are_not_accepted(case: str) -> None:
    wanted = {"C_02": {"Invalid", "Unknown"}, "C_06": {"Blocked", "Invalid"}, "C_07": {"Expired", "Invalid"}}

    async with connected() as raw:
        await raw.boot()
        answer = await raw.ok("Authorize", {"idToken": {"idToken": TOKENS[case], "type": "ISO14443"}})
        assert answer["idTokenInfo"]["status"] in wanted[case]


@pytest.mark.parametrize("case", sorted(GROUPS))
async def test_groups_and_masters(case: str) -> None:
    async with connected() as raw:
        await raw.boot()
        if case == "C_43":  # one that is no more valid at the CSMS, and still in the station's list
            blocked = {"idToken": "BLOCKED", "type": "ISO14443"}
            begun = await raw.event("Started", 0, "t1", idToken=blocked)
            assert begun["idTokenInfo"]["status"] in ("Blocked", "Invalid")
            return
        begun = await raw.event("Started", 0, "t1", idToken={"idToken": "VALID", "type": "ISO14443"})
        assert begun["idTokenInfo"]["status"] == "Accepted"
        assert begun["idTokenInfo"]["groupIdToken"]["idToken"] == "GROUP"
        other = {"idToken": "VALID2" if case in ("C_39", "C_40") else "MASTER", "type": "ISO14443"}
        group = "GROUP" if case in ("C_39", "C_40") else "MASTERS"
        request = (await raw.ok("Authorize", {"idToken": other}))["idTokenInfo"]
        assert (request["status"], request["groupIdToken"]["idToken"]) == ("Accepted", group)
        reason = "Local" if group == "GROUP" else "MasterPass"
        ended = await raw.event(
            "Ended", 1, "t1", trigger="StopAuthorized", idToken=other, info={"stoppedReason": reason}
        )
        assert (ended["idTokenInfo"]["status"], ended["idTokenInfo"]["groupIdToken"]["idToken"]) == ("Accepted", group)


@pytest.mark.parametrize("case", LIVES)
async def test_sequences_of_transactions(case: str) -> None:
    async with connected() as raw:
        await raw.boot()
        for turn in range(2 if case == "E_53" else 1):
            for number, (kind, trigger, name) in enumerate(LIVES[case]):
                more: dict[str, Any] = {}
                if name is not None:
                    more["idToken"] = {"idToken": name, "type": "ISO14443"}
                if kind == ENDED:
                    more["info"] = {"stoppedReason": "Local"}
                if case.startswith("J_"):
                    sample: dict[str, Any] = {"value": 1.0, "context": "Sample.Clock"}
                    if case in ("J_04", "J_11"):
                        sample["signedMeterValue"] = SIGNED
                    more["meterValue"] = [{"timestamp": raw.time(), "sampledValue": [sample]}]
                answer = await raw.event(kind, number, f"t{turn}", trigger=trigger, **more)
                if name is None:
                    assert "idTokenInfo" not in answer
                else:
                    status = answer["idTokenInfo"]["status"]
                    assert status == "Accepted" if name == "VALID" else status in ("Invalid", "Unknown")
        book = raw.csms.context.transactions
        assert len(book.active_of("CP1")) == (0 if LIVES[case][-1][0] == ENDED else 1)


@pytest.mark.parametrize("case", sorted(OTHERS))
async def test_the_rest(case: str) -> None:
    async with connected() as raw:
        await raw.boot()
        if case == "J_01":
            sample = {"value": 1.0, "context": "Sample.Clock"}
            body = {"evseId": 1, "meterValue": [{"timestamp": raw.time(), "sampledValue": [sample]}]}
            assert await raw.ok("MeterValues", body) == {}
        elif case == "P_02":
            answer = await raw.ok("DataTransfer", {"vendorId": "x", "messageId": "y"})
            assert answer["status"] in ("UnknownVendorId", "UnknownMessageId", "Rejected")
        else:
            custom = {"vendorId": "x", "anything": [1]}
            status = {"timestamp": raw.time(), "connectorStatus": "Available", "evseId": 1, "connectorId": 1}
            assert await raw.ok("StatusNotification", {**status, "customData": custom}) == {}
            await raw.event("Started", 0, customData=custom, info={"customData": custom})


@pytest.mark.parametrize("case", sorted(RENEGOTIATED))
async def test_a_vehicle_negotiates(case: str) -> None:
    """ISO15118SmartCharging and its renegotiations: a TxProfile follows the needs and limits the schedule."""

    async def ordered(raw: Raw, power_w: float) -> dict[str, Any]:
        ordering = asyncio.create_task(raw.csms.set_power("CP1-1", power_w, 60.0))
        body = await profile_of(raw)
        assert (await ordering).answer is Answer.APPLIED
        return body

    async def profile_of(raw: Raw) -> dict[str, Any]:
        while True:
            body = await raw.next_call("SetChargingProfile", {"status": "Accepted"})
            if body["chargingProfile"]["chargingProfilePurpose"] == "TxProfile":
                assert (body["evseId"], body["chargingProfile"]["transactionId"]) == (1, "t1")
                return body

    async def schedule(raw: Raw, limit: float) -> str:
        periods = [{"startPeriod": 0, "limit": limit}]
        ev_schedule = {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": periods}
        body = {"timeBase": raw.time(), "evseId": 1, "chargingSchedule": ev_schedule}
        return str((await raw.ok("NotifyEVChargingSchedule", body))["status"])

    async with connected() as raw:
        raw.csms.register(StationSettings("CP1", vendor_profile="negative-limit", max_charge_w=1e4))
        await raw.boot()
        await raw.event("Started", 0, idToken={"idToken": "VALID", "type": "ISO14443"})
        needs = {"requestedEnergyTransfer": "DC", "dcChargingParameters": {"evMaxCurrent": 100, "evMaxVoltage": 400}}
        request = {"evseId": 1, "maxScheduleTuples": 3, "chargingNeeds": needs}
        assert (await raw.ok("NotifyEVChargingNeeds", request))["status"] == "Processing"
        await ordered(raw, 6000.0)
        assert (await raw.ok("NotifyEVChargingNeeds", request))["status"] == "Accepted"
        again = (await profile_of(raw))["chargingProfile"]["chargingSchedule"][0]
        assert again["chargingSchedulePeriod"][0]["limit"] == 6000.0
        assert again["duration"] <= 60
        if case == "K_55":
            assert await schedule(raw, 9000.0) == "Rejected"
            await profile_of(raw)
        if case in ("K_58", "K_59"):
            await ordered(raw, 5000.0)
        if case in ("K_57", "K_59"):
            assert (await raw.ok("NotifyEVChargingNeeds", request))["status"] == "Accepted"
            await profile_of(raw)
        assert await schedule(raw, 5000.0) == "Accepted"
        await raw.clock.sleep(120)  # what was in force is over: a later request of the vehicle gets none of it
        await raw.ok("NotifyEVChargingNeeds", request)
        late = (await profile_of(raw))["chargingProfile"]["chargingSchedule"][0]
        assert late["chargingSchedulePeriod"][0]["limit"] == 0.0


def test_the_page_lists_the_tested_cases() -> None:
    text = DOCS.read_text("utf-8")
    section = text[text.index("## Certification test cases") :]
    listed = set(re.findall(r"`([A-Z]_\d\d)`", section[: section.index("Not passed")]))
    assert listed == {*OPERATOR, *HEARD, *BOOTS, *TOKENS, *GROUPS, *LIVES, *OTHERS, *RENEGOTIATED, *DOOR}
