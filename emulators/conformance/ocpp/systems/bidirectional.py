"""OCPP 2.1, K28, blocks N, Q and V2X rules, and the profiles of K01: what a CSMS answers and sends.

The CSMS acts on orders of its operator: a power for an EVSE, and the end of a transaction.
"""

from __future__ import annotations

from collections.abc import Callable

from emulators.conformance.case import Inconclusive, expect
from emulators.conformance.ocpp.csms_under_test import KNOWN, CsmsUnderTest, needs
from emulators.conformance.ocpp.declarations import V2, V21, Declared, Procedure
from emulators.conformance.ocpp.mutants import Answers, AnswersSends, Errors, Mutant, Sends
from emulators.conformance.ocpp.peer import Kind
from protocols.ocpp.rpc import encode
from protocols.ocpp.schema import Payload

DECLARED: Declared[CsmsUnderTest] = Declared("CSMS")
case, add = DECLARED.case, DECLARED.add
OPERATOR, V2X, NO_V2X = "lab.operator", "csms.v2x", "csms.without-v2x"
SET, UPDATE, PULL = "SetChargingProfile", "UpdateDynamicSchedule", "PullDynamicScheduleUpdate"
REJECTED: Payload = {"status": "Rejected"}
POWER_W = -3000.0
ORDERED_WITHIN = 15.0  # s from an order to SetChargingProfile


async def _ordered(csms: CsmsUnderTest, watts: float = POWER_W, *, bidirectional: bool = True) -> list[Payload]:
    """Order a power in a transaction, and return the profiles of SetChargingProfile since its start."""
    station = csms.station
    transaction = await csms.charging(bidirectional=bidirectional)
    since = len(station.recorded.messages)
    await csms.operator.power(station.name, watts, 60.0)
    await station.recorded.wait_for(lambda: bool(station.find(SET, since=since)), ORDERED_WITHIN)
    await station.clock.sleep(1)
    sent = [m for m in station.recorded.messages[since:] if m.from_device and m.kind is Kind.CALL]
    for message in sent:
        expect(message.violation is None, f"{message.action} breaks its schema: {message.violation}")
    profiles: list[Payload] = [m.payload["chargingProfile"] for m in sent if m.action == SET]
    if not profiles:
        raise Inconclusive(f"no SetChargingProfile for the order; sent: {[m.action for m in sent]}")
    expect(bool(transaction), "no transaction")
    return profiles


def _profiles(condition: Callable[[Payload], bool], text: str, watts: float = POWER_W) -> Procedure[CsmsUnderTest]:
    """Return a procedure that expects a condition of every profile that an order leads to."""

    async def procedure(csms: CsmsUnderTest) -> None:
        for profile in await _ordered(csms, watts):
            expect(condition(profile), f"{text}: {profile}")

    return procedure


def _periods(profile: Payload) -> list[Payload]:
    return [p for s in profile["chargingSchedule"] for p in s["chargingSchedulePeriod"]]


def _change(change: Callable[[Payload], object]) -> Sends:
    """Return a mutant that changes the profile of SetChargingProfile."""

    def apply(payload: Payload) -> Payload:
        change(payload["chargingProfile"])
        return payload

    return Sends(SET, apply)


def _each_period(**values: object) -> Sends:
    def change(profile: Payload) -> None:
        for period in _periods(profile):
            period.update(values)

    return _change(change)


def _rule(
    reference: str, expectation: str, mutant: Mutant, condition: Callable[[Payload], bool], versions: str = "2.1"
) -> None:
    add(
        V21 if versions == "2.1" else V2,
        reference,
        "the operator orders a power in a transaction",
        expectation,
        mutant,
        _profiles(condition, expectation, POWER_W if versions == "2.1" else 3000.0),
        OPERATOR,
        *((V2X,) if versions == "2.1" else ()),
    )


def _dynamic(profile: Payload) -> bool:
    return bool(profile["chargingProfileKind"] == "Dynamic")


def _second(profile: Payload) -> None:
    profile["chargingProfileKind"] = "Dynamic"
    periods = profile["chargingSchedule"][0]["chargingSchedulePeriod"]
    periods.append({**periods[0], "startPeriod": 60})


def _late(profile: Payload) -> None:
    profile["chargingProfileKind"] = "Dynamic"
    _periods(profile)[0]["startPeriod"] = 5


def _is_tx(profile: Payload) -> bool:
    return bool(profile["chargingProfilePurpose"] == "TxProfile")


SIGNED = ("setpoint", "setpointReactive")
PHASES = tuple(f"{name}{phase}" for name in ("limit", "dischargeLimit", *SIGNED) for phase in ("_L2", "_L3"))

_rule(
    "K28.FR.01",
    "a Dynamic profile has one schedule of one period",
    _change(_second),
    lambda p: not _dynamic(p) or len(_periods(p)) == len(p["chargingSchedule"]) == 1,
)
_rule(
    "K28.FR.02",
    "the period of a Dynamic profile starts at 0",
    _change(_late),
    lambda p: not _dynamic(p) or _periods(p)[0]["startPeriod"] == 0,
)
_rule(
    "K01.FR.03",
    "a TxProfile has the transactionId",
    _change(lambda p: p.pop("transactionId", None)),
    lambda p: not _is_tx(p) or "transactionId" in p,
    "2.x",
)
_rule(
    "K01.FR.22",
    "the purpose is not ChargingStationExternalConstraints",
    _change(lambda p: p.update(chargingProfilePurpose="ChargingStationExternalConstraints")),
    lambda p: bool(p["chargingProfilePurpose"] != "ChargingStationExternalConstraints"),
    "2.x",
)
_rule(
    "K01.FR.31",
    "the first period of a schedule starts at 0",
    _change(lambda p: _periods(p)[0].update(startPeriod=7)),
    lambda p: all(s["chargingSchedulePeriod"][0]["startPeriod"] == 0 for s in p["chargingSchedule"]),
    "2.x",
)
_rule(
    "K01.FR.35",
    "periods are ordered by startPeriod",
    _change(
        lambda p: p["chargingSchedule"][0]["chargingSchedulePeriod"].insert(0, {**_periods(p)[0], "startPeriod": 9})
    ),
    lambda p: all(
        [e["startPeriod"] for e in s["chargingSchedulePeriod"]]
        == sorted(e["startPeriod"] for e in s["chargingSchedulePeriod"])
        for s in p["chargingSchedule"]
    ),
    "2.x",
)
_rule(
    "K01.FR.40",
    "an Absolute or Recurring profile has startSchedule",
    _change(
        lambda p: ((p.update(chargingProfileKind="Absolute"), p["chargingSchedule"][0].pop("startSchedule", None)))
    ),
    lambda p: (
        p["chargingProfileKind"] not in ("Absolute", "Recurring")
        or all("startSchedule" in s for s in p["chargingSchedule"])
    ),
    "2.x",
)
_rule(
    "K01.FR.41",
    "a Relative profile has no startSchedule",
    _change(
        lambda p: (
            (
                p.update(chargingProfileKind="Relative"),
                p["chargingSchedule"][0].update(startSchedule="2026-01-01T00:00:00Z"),
            )
        )
    ),
    lambda p: p["chargingProfileKind"] != "Relative" or all("startSchedule" not in s for s in p["chargingSchedule"]),
    "2.x",
)
_rule(
    "K01.FR.19",
    "phaseToUse only with one phase",
    _each_period(phaseToUse=1, numberPhases=3),
    lambda p: all("phaseToUse" not in e or e.get("numberPhases") == 1 for e in _periods(p)),
    "2.x",
)
_rule(
    "Q03.FR.01",
    "set-points are periods of the mode CentralSetpoint",
    _each_period(operationMode="ChargingOnly"),
    lambda p: not _is_tx(p) or all(e.get("operationMode") == "CentralSetpoint" for e in _periods(p)),
)
_rule(
    "Q03.FR.02",
    "a CentralSetpoint period has no limit or dischargeLimit",
    _each_period(operationMode="CentralSetpoint", limit=9000.0),
    lambda p: all(
        e.get("operationMode") != "CentralSetpoint" or not {"limit", "dischargeLimit"} & e.keys() for e in _periods(p)
    ),
)
_rule(
    "Q07.FR.04",
    "a Dynamic profile of set-points has a duration",
    _change(
        lambda p: (
            (
                p.update(chargingProfileKind="Dynamic", chargingProfilePurpose="TxProfile"),
                p["chargingSchedule"][0].pop("duration", None),
            )
        )
    ),
    lambda p: not (_dynamic(p) and _is_tx(p)) or "duration" in p["chargingSchedule"][0],
)
_rule(
    "V2X.08",
    "no values for L2 and L3 of an EV that reported none",
    _each_period(setpoint_L2=1.0),
    lambda p: not any(name in e for e in _periods(p) for name in PHASES),
)
_rule(
    "V2X.09",
    "no set-point or discharge limit for L2 and L3 outside a TxProfile",
    _change(
        lambda p: ((p.update(chargingProfilePurpose="TxDefaultProfile"), _periods(p)[0].update(dischargeLimit_L3=-1.0)))
    ),
    lambda p: _is_tx(p) or not any(name in e for e in _periods(p) for name in PHASES if "limit_" not in name),
)


@case(
    V21,
    "K01.FR.80",
    "MaxExternalConstraintsId of 5,000,000, then a power",
    "ids above it",
    _change(lambda p: p.update(id=17)),
    OPERATOR,
    V2X,
)
async def _(csms: CsmsUnderTest) -> None:
    for profile in await _ordered(csms):
        expect(profile["id"] > 1000, f"id {profile['id']} is at most MaxExternalConstraintsId")


@case(
    V2,
    "F03.FR.01",
    "the operator stops a transaction",
    "RequestStopTransaction with its id",
    Sends("RequestStopTransaction", {"transactionId": "other"}),
    OPERATOR,
)
async def _(csms: CsmsUnderTest) -> None:
    transaction = await csms.charging()
    csms.station.stimulus()
    await csms.operator.stop(csms.station.name)
    sent = await csms.station.expect("RequestStopTransaction", within=10)
    expect(sent["transactionId"] == transaction, f"transactionId {sent['transactionId']}")


# K28, K21: messages of the station


@case(
    V21,
    "K28.FR.07",
    "PullDynamicScheduleUpdate of a Dynamic profile",
    "Accepted, with the values to use",
    Answers(PULL, {"scheduleUpdate": None}),
    OPERATOR,
    V2X,
)
async def _(csms: CsmsUnderTest) -> None:
    dynamic = [p for p in await _ordered(csms) if _dynamic(p)]
    if not dynamic:
        raise Inconclusive("the CSMS uses no Dynamic profile")
    found = await csms.station.request(PULL, {"chargingProfileId": dynamic[-1]["id"]}, {"status": "Accepted"})
    expect("setpoint" in found.get("scheduleUpdate", {}), f"the response has no values: {found}")


@case(
    V21,
    "K28.FR.12",
    "PullDynamicScheduleUpdate of an unknown profile",
    "Rejected",
    Answers(PULL, {"status": "Accepted"}),
    V2X,
)
async def _(csms: CsmsUnderTest) -> None:
    await csms.charging()
    await csms.station.request(PULL, {"chargingProfileId": 987_654}, REJECTED)


@case(V21, "K21.FR.09", "NotifyPriorityCharging", "a response", Errors("NotifyPriorityCharging"))
async def _(csms: CsmsUnderTest) -> None:
    transaction = await csms.charging()
    await csms.station.request("NotifyPriorityCharging", {"transactionId": transaction, "activated": True})


# Q01, Q02


async def _authorized(csms: CsmsUnderTest) -> Payload:
    vehicle = [{"additionalIdToken": "V2XEVCC01", "type": "EVCCID"}]
    token = {"idToken": KNOWN, "type": "ISO14443", "additionalInfo": vehicle}
    return await csms.station.request("Authorize", {"idToken": token})


@case(
    V21,
    "Q01.FR.01",
    "Authorize at a bidirectional station",
    "allowedEnergyTransfer",
    Answers("Authorize", {"allowedEnergyTransfer": None}),
    V2X,
)
async def _(csms: CsmsUnderTest) -> None:
    await csms.station.booted()
    await csms.report_v2x()
    found = await _authorized(csms)
    expect(bool(found.get("allowedEnergyTransfer")), "no allowedEnergyTransfer")


@case(
    V21,
    "Q01.FR.07",
    "NotifyEVChargingNeeds of a transfer that is allowed",
    "Accepted or Processing",
    Answers("NotifyEVChargingNeeds", REJECTED),
    V2X,
)
async def _(csms: CsmsUnderTest) -> None:
    await csms.station.booted()
    await csms.station.event("Started", 0, csms.station.new_transaction(), KNOWN)
    expected = {"status": frozenset({"Accepted", "Processing", "NoChargingProfile"})}
    await csms.station.request("NotifyEVChargingNeeds", needs(True), expected)


@case(
    V21,
    "Q01.FR.04",
    "NotifyEVChargingNeeds of a transfer that is not allowed",
    "Rejected",
    Answers("NotifyEVChargingNeeds", {"status": "Accepted"}),
    NO_V2X,
)
async def _(csms: CsmsUnderTest) -> None:
    await csms.station.booted()
    await csms.station.event("Started", 0, csms.station.new_transaction(), KNOWN)
    await csms.station.request("NotifyEVChargingNeeds", needs(True), REJECTED)


@case(
    V21,
    "Q01.FR.08",
    "Authorize where the allowed transfers are not known",
    "no allowedEnergyTransfer",
    Answers("Authorize", {"allowedEnergyTransfer": ["DC_BPT"]}),
    NO_V2X,
)
async def _(csms: CsmsUnderTest) -> None:
    await csms.station.booted()
    found = await _authorized(csms)
    expect("allowedEnergyTransfer" not in found, f"allowedEnergyTransfer {found.get('allowedEnergyTransfer')}")


def _charging_only(reference: str, expectation: str, mutant: Mutant, condition: Callable[[Payload], bool]) -> None:
    async def procedure(csms: CsmsUnderTest) -> None:
        for profile in await _ordered(csms, 3000.0, bidirectional=False):
            for period in _periods(profile):
                expect(condition(period), f"{expectation}: {period}")

    add(
        V21,
        reference,
        "the operator orders a power for a vehicle without a bidirectional transfer",
        expectation,
        mutant,
        procedure,
        OPERATOR,
        V2X,
    )


_charging_only(
    "Q02.FR.01",
    "periods are ChargingOnly",
    _each_period(operationMode="CentralSetpoint"),
    lambda e: bool(e.get("operationMode", "ChargingOnly") == "ChargingOnly"),
)
_charging_only(
    "Q02.FR.02",
    "no dischargeLimit or setpoint",
    _each_period(dischargeLimit=-1.0),
    lambda e: not {"dischargeLimit", *SIGNED} & e.keys(),
)

# N11 to N15: event streams
OPEN, CLOSE = "OpenPeriodicEventStream", "ClosePeriodicEventStream"
STREAM: Payload = {"constantStreamData": {"id": 71, "variableMonitoringId": 9, "params": {"interval": 5, "values": 5}}}


async def _opened(csms: CsmsUnderTest) -> None:
    await csms.station.booted()
    await csms.station.request(OPEN, STREAM, {"status": "Accepted"})


add(V21, "N11.FR.06", "OpenPeriodicEventStream", "Accepted", Answers(OPEN, REJECTED), _opened, "csms.streams")


@case(V21, "N13.FR.02", "ClosePeriodicEventStream", "a response", Errors(CLOSE), "csms.streams")
async def _(csms: CsmsUnderTest) -> None:
    await _opened(csms)
    await csms.station.request(CLOSE, {"id": 71})


@case(V21, "N15.FR.02", "NotifyPeriodicEventStream as SEND", "it is not answered", AnswersSends(), "csms.streams")
async def _(csms: CsmsUnderTest) -> None:
    await _opened(csms)
    station = csms.station
    assert station.peer is not None
    data = {"id": 71, "pending": 0, "basetime": station.time(), "data": [{"t": 0, "v": "1"}]}
    since = len(station.recorded.messages)
    await station.peer.send_text(encode([6, "v2x-stream", "NotifyPeriodicEventStream", data]))
    await station.clock.sleep(3)
    answers = [m for m in station.recorded.messages[since:] if m.from_device and m.id == "v2x-stream"]
    expect(not answers, "the SEND was answered")
    await station.request("Heartbeat", {})


# R: notices of DER control


def _notice(reference: str, action: str, payload: Payload) -> None:
    async def procedure(csms: CsmsUnderTest) -> None:
        await csms.station.booted()
        await csms.station.request(action, payload)

    add(V21, reference, action, "a response", Errors(action), procedure)


NOW = "2026-01-01T00:00:00Z"
_notice("R04 NotifyDERStartStopResponse", "NotifyDERStartStop", {"controlId": "v2x", "started": True, "timestamp": NOW})
_notice("R05 NotifyDERAlarmResponse", "NotifyDERAlarm", {"controlType": "LimitMaxDischarge", "timestamp": NOW})
_notice("R04 ReportDERControlResponse", "ReportDERControl", {"requestId": 1})
