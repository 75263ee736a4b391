"""OCPP 2.1, blocks Q and R: what a CSMS sends for orders of its operator, apart from a power."""

from __future__ import annotations

from collections.abc import Callable

from emulators.conformance.case import Inconclusive, expect
from emulators.conformance.ocpp.csms_under_test import KNOWN, CsmsUnderTest
from emulators.conformance.ocpp.declarations import V21, Declared
from emulators.conformance.ocpp.mutants import Answers, Mutant, Sends
from emulators.conformance.ocpp.systems.bidirectional import NO_V2X, ORDERED_WITHIN, SET, V2X
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse

DECLARED: Declared[CsmsUnderTest] = Declared("CSMS")
case = DECLARED.case
POWER_W, SIGNAL = 2000.0, 40
ALLOWED = ("DC", "DC_BPT")
AT_ONCE_S = 5.0
LIMITS = {f"{name}{phase}" for name in ("limit", "dischargeLimit") for phase in ("", "_L2", "_L3")}
BODIES = {"curve", "enterService", "fixedPFAbsorb", "fixedPFInject", "fixedVar", "freqDroop", "gradient"}
BODIES |= {"limitMaxDischarge"}


async def _frequency_profiles(csms: CsmsUnderTest) -> list[Payload]:
    """Return the profiles that an order in the mode CentralFrequency leads to."""
    station = csms.station
    await csms.charging()
    since = len(station.recorded.messages)
    await csms.operator.frequency(station.name, POWER_W)
    await station.recorded.wait_for(lambda: bool(station.find(SET, since=since)), ORDERED_WITHIN)
    await station.clock.sleep(1)
    sent = [message.payload["chargingProfile"] for message in station.find(SET, since=since)]
    found = [profile for profile in sent if any(_is_frequency(period) for period in _periods(profile))]
    if not found:
        raise Inconclusive("no SetChargingProfile with the mode CentralFrequency for the order")
    return found


def _periods(profile: Payload) -> list[Payload]:
    return [period for schedule in profile["chargingSchedule"] for period in schedule["chargingSchedulePeriod"]]


def _is_frequency(period: Payload) -> bool:
    return bool(period.get("operationMode") == "CentralFrequency")


def _profile(change: Callable[[Payload], object]) -> Sends:
    """Return a mutant that changes the profile of SetChargingProfile."""

    def apply(payload: Payload) -> Payload:
        change(payload["chargingProfile"])
        return payload

    return Sends(SET, apply)


@case(
    V21,
    "Q07.FR.02",
    "the operator orders a power in the mode CentralFrequency",
    "a Dynamic profile with one period",
    _profile(lambda profile: profile.update(chargingProfileKind="Relative")),
    "lab.frequency",
    V2X,
)
async def _(csms: CsmsUnderTest) -> None:
    for profile in await _frequency_profiles(csms):
        kind, periods = profile["chargingProfileKind"], len(_periods(profile))
        expect((kind, periods) == ("Dynamic", 1), f"a profile of the kind {kind} with {periods} periods")


@case(
    V21,
    "Q07.FR.03",
    "the operator orders a power in the mode CentralFrequency",
    "its period has no limit or dischargeLimit",
    _profile(lambda profile: _periods(profile)[0].update(limit=9000.0)),
    "lab.frequency",
    V2X,
)
async def _(csms: CsmsUnderTest) -> None:
    for profile in await _frequency_profiles(csms):
        for period in filter(_is_frequency, _periods(profile)):
            expect(not LIMITS & period.keys(), f"the period has limits: {period}")


@case(
    V21,
    "Q02.FR.03",
    "Authorize without the EVCCID of the vehicle, whose allowed transfers are not known",
    "no allowedEnergyTransfer",
    Answers("Authorize", {"allowedEnergyTransfer": ["DC_BPT"]}),
    NO_V2X,
)
async def _(csms: CsmsUnderTest) -> None:
    await csms.station.booted()
    found = await csms.station.request("Authorize", {"idToken": {"idToken": KNOWN, "type": "ISO14443"}})
    expect("allowedEnergyTransfer" not in found, f"allowedEnergyTransfer {found.get('allowedEnergyTransfer')}")


@case(
    V21,
    "Q02.FR.05",
    "the operator allows DC_BPT in a transaction",
    "NotifyAllowedEnergyTransfer with its transactionId and the transfers",
    Sends("NotifyAllowedEnergyTransfer", {"allowedEnergyTransfer": ["DC"]}),
    "lab.transfers",
    V2X,
)
async def _(csms: CsmsUnderTest) -> None:
    transaction = await csms.charging(bidirectional=False)
    csms.station.stimulus()
    await csms.operator.transfers(csms.station.name, ALLOWED)
    sent = await csms.station.expect("NotifyAllowedEnergyTransfer", within=ORDERED_WITHIN)
    expect(sent["transactionId"] == transaction, f"transactionId {sent['transactionId']}")
    expect(set(sent["allowedEnergyTransfer"]) >= set(ALLOWED), f"transfers {sent['allowedEnergyTransfer']}")


@case(
    V21,
    "Q08.FR.12",
    "the operator forwards a signal of the grid operator",
    "AFRRSignal with it, at once and with the present time",
    Sends("AFRRSignal", {"timestamp": "2026-01-01T00:00:00Z"}),
    "lab.signal",
    V2X,
)
async def _(csms: CsmsUnderTest) -> None:
    await csms.charging()
    station = csms.station
    station.stimulus()
    await csms.operator.signal(station.name, SIGNAL)
    sent = await station.expect("AFRRSignal", within=AT_ONCE_S)
    at = parse(sent["timestamp"])
    expect(sent["signal"] == SIGNAL, f"signal {sent['signal']}")
    expect(at is not None and abs(at - station.clock.wall()) < AT_ONCE_S, f"timestamp {sent['timestamp']}")


# R04: default DER controls


def _control(reference: str, kind: str, expectation: str, mutant: Mutant, condition: Callable[[Payload], bool]) -> None:
    async def procedure(csms: CsmsUnderTest) -> None:
        await csms.station.booted()
        csms.station.stimulus()
        await csms.operator.der(csms.station.name, kind)
        sent = await csms.station.expect("SetDERControl", {"controlType": kind}, within=ORDERED_WITHIN)
        expect(condition(sent), f"{expectation}: {sent}")

    stimulus = f"the operator sets a default control {kind}"
    DECLARED.add(V21, reference, stimulus, expectation, mutant, procedure, "lab.der")


def _timed(payload: Payload) -> Payload:
    payload["limitMaxDischarge"]["startTime"] = "2026-01-01T00:00:00Z"
    return payload


CURVE: Payload = {"priority": 1, "yUnit": "PctMaxW", "curveData": [{"x": 1.0, "y": 1.0}]}
_control(
    "R04.FR.12",
    "LimitMaxDischarge",
    "isDefault, without startTime and duration",
    Sends("SetDERControl", _timed),
    lambda sent: bool(sent["isDefault"]) and not {"startTime", "duration"} & sent.get("limitMaxDischarge", {}).keys(),
)
_control(
    "R04.FR.14",
    "EnterService",
    "isDefault is true",
    Sends("SetDERControl", {"isDefault": False}),
    lambda sent: sent["isDefault"] is True,
)
_control(
    "R04.FR.16",
    "Gradients",
    "the body of the type, and no other",
    Sends("SetDERControl", {"curve": CURVE}),
    lambda sent: BODIES & sent.keys() == {"gradient"},
)
