"""OCPP 2.1, block R: DER controls of a station."""

from __future__ import annotations

from collections.abc import Callable

from emulators.conformance.case import Failed, Inconclusive, expect
from emulators.conformance.ocpp.declarations import V21, Declared
from emulators.conformance.ocpp.mutants import Answers, Intrudes, Misreads, Mutant, Omits, Pretends, Sends
from emulators.conformance.ocpp.pattern import ABSENT
from emulators.conformance.ocpp.stations.procedures import ACCEPTED, REJECTED, Station, StationProcedure, in_future
from emulators.conformance.ocpp.stations.profiles import install, profile, setpoint
from protocols.ocpp.schema import Payload

DECLARED: Declared[Station] = Declared("CS")
case, add = DECLARED.case, DECLARED.add
SET, GET, CLEAR, NOTICE, ALARM = (
    "SetDERControl",
    "GetDERControl",
    "ClearDERControl",
    "NotifyDERStartStop",
    "NotifyDERAlarm",
)
DER = "station.der"
CURVE = [{"x": 100.0, "y": 100.0}, {"x": 106.0, "y": 100.0}, {"x": 110.0, "y": 0.0}]
REPORT = "ReportDERControl"
BODIES = (
    "curve",
    "enterService",
    "fixedPFAbsorb",
    "fixedPFInject",
    "fixedVar",
    "freqDroop",
    "gradient",
    "limitMaxDischarge",
)


def curve(number: str, priority: int = 5, default: bool = True, **more: object) -> Payload:
    body: Payload = {"priority": priority, "yUnit": "PctMaxW", "curveData": CURVE, **more}
    return {"isDefault": default, "controlId": number, "controlType": "VoltWatt", "curve": body}


def _scheduled(station: Station, number: str, start: float, duration: float = 20.0, priority: int = 5) -> Payload:
    return curve(number, priority, False, startTime=in_future(station, start), duration=duration)


def limit(pct: float) -> Payload:
    body = {"priority": 5, "pctMaxDischargePower": pct}
    return {
        "isDefault": True,
        "controlId": f"v2x{pct:g}",
        "controlType": "LimitMaxDischarge",
        "limitMaxDischarge": body,
    }


async def _clear(station: Station) -> None:
    for default in (True, False):
        await station.call(CLEAR, {"isDefault": default})


async def install_control(station: Station, control: Payload, expected: object = ACCEPTED) -> Payload:
    return await station.request(SET, control, expected)


async def report(station: Station, **criteria: object) -> dict[str, Payload]:
    """Return the reported controls by id."""
    await station.request(GET, {"requestId": 821, **criteria}, ACCEPTED)

    def complete() -> bool:
        return any(not m.payload.get("tbc", False) for m in station.find(REPORT))

    if not await station.recorded.wait_for(complete, 20):
        raise Failed("no complete ReportDERControl within 20 s")
    found = {}
    for message in station.find(REPORT):
        expect(message.violation is None, f"ReportDERControl breaks its schema: {message.violation}")
        for name in BODIES:
            for entry in message.payload.get(name, []):
                found[entry["id"]] = entry
    return found


def _reported(change: Payload, number: str) -> Sends:
    """Return a mutant that reports one control with a change."""

    def apply(payload: Payload) -> Payload:
        for name in BODIES:
            for entry in payload.get(name, []):
                if entry["id"] == number:
                    entry.update(change)
        return payload

    return Sends(REPORT, apply)


def unreported(number: str) -> Sends:
    """Return a mutant that does not report a control, or reports one that is not there."""

    def apply(payload: Payload) -> Payload:
        if "curve" in payload:
            payload["curve"] = [e for e in payload["curve"] if e["id"] != number]
            if not payload["curve"]:
                del payload["curve"]
        return payload

    return Sends(REPORT, apply)


def _der(
    reference: str, stimulus: str, expectation: str, mutant: Mutant, *needs: str
) -> Callable[[StationProcedure], StationProcedure]:
    """Declare a case that removes its controls at the end."""

    def declare(procedure: StationProcedure) -> StationProcedure:
        add(V21, reference, stimulus, expectation, mutant, cleared(procedure), DER, *needs)
        return procedure

    return declare


def cleared(procedure: StationProcedure) -> StationProcedure:
    """Return a procedure that begins and ends without controls."""

    async def cleaned(station: Station) -> None:
        await _clear(station)
        try:
            await procedure(station)
        finally:
            await _clear(station)

    return cleaned


# R01: the inverter of a DC station

NAMEPLATE = (
    "MaxW",
    "MaxVA",
    "MaxVar",
    "MaxVarNeg",
    "MaxChargeRateW",
    "MaxChargeRateVA",
    "OverExcitedW",
    "OverExcitedPF",
    "UnderExcitedW",
    "UnderExcitedPF",
    "ReactiveSusceptance",
    "ModesSupported",
    "InverterManufacturer",
    "InverterModel",
    "InverterSerialNumber",
    "InverterSwVersion",
)


async def _nameplate(station: Station) -> set[str]:
    body = {"requestId": 822, "componentVariable": [{"component": {"name": "DCDERCtrlr"}}]}
    await station.request("GetReport", body, ACCEPTED)
    sent = await station.expect("NotifyReport", within=20)
    return {entry["variable"]["name"] for entry in sent["reportData"] if "evse" in entry["component"]}


def _report_without(*names: str) -> Sends:
    return Sends(
        "NotifyReport",
        lambda p: {**p, "reportData": [e for e in p["reportData"] if e["variable"]["name"] not in names]},
    )


@_der(
    "R01.FR.01",
    "GetReport DCDERCtrlr",
    "the ratings of the inverter of each EVSE",
    _report_without("MaxW", "MaxVA", "MaxVar"),
    "station.dc",
)
async def _(station: Station) -> None:
    found = await _nameplate(station)
    expect({"MaxW", "MaxVA", "MaxVar"} <= found, f"reported: {sorted(found)}")


@_der(
    "R01.FR.02",
    "GetReport DCDERCtrlr",
    "all its mandatory variables",
    _report_without("InverterSwVersion"),
    "station.dc",
)
async def _(station: Station) -> None:
    missing = set(NAMEPLATE) - await _nameplate(station)
    expect(not missing, f"not reported: {sorted(missing)}")


@_der("R01.FR.03", "a control, then a reset", "it is still set", unreported("v2x-a"))
async def _(station: Station) -> None:
    await install_control(station, curve("v2x-a"))
    await station.boot()
    await station.booted()
    await station.sleep(1)
    expect("v2x-a" in await report(station), "the control is gone after the reset")


# R04: controls of the CSMS


@_der("R04.FR.02", "SetDERControl of a first default", "Accepted", Answers(SET, REJECTED))
async def _(station: Station) -> None:
    await install_control(station, curve("v2x-a"))


@_der(
    "R04.FR.03",
    "SetDERControl of a default with a better priority",
    "the former one is superseded",
    _reported({"isSuperseded": False}, "v2x-a"),
)
async def _(station: Station) -> None:
    await install_control(station, curve("v2x-a", 5))
    await install_control(station, curve("v2x-b", 3), ACCEPTED | {"supersededIds": ["v2x-a"]})
    found = await report(station)
    expect(found.get("v2x-a", {}).get("isSuperseded") is True, "the former control is not superseded")


@_der(
    "R04.FR.04",
    "SetDERControl of a default while a scheduled control runs",
    "Accepted; the scheduled one goes on",
    Intrudes(
        NOTICE,
        {"controlId": "v2x-s", "started": False, "timestamp": "2026-01-15T00:00:00Z"},
        after=SET,
        on_response=True,
        where=ACCEPTED,
    ),
)
async def _(station: Station) -> None:
    await install_control(station, _scheduled(station, "v2x-s", 2, 60))
    await station.expect(NOTICE, {"controlId": "v2x-s", "started": True}, within=20)
    await install_control(station, curve("v2x-d", 1))
    await station.expect_none(NOTICE, {"controlId": "v2x-s", "started": False}, during=10)


@_der("R04.FR.05", "SetDERControl of a first scheduled control", "Accepted", Answers(SET, REJECTED))
async def _(station: Station) -> None:
    await install_control(station, _scheduled(station, "v2x-s", 60))


@_der(
    "R04.FR.06",
    "SetDERControl of a better control than one that has not begun",
    "the former one never starts",
    Answers(SET, {"supersededIds": None}),
)
async def _(station: Station) -> None:
    await install_control(station, _scheduled(station, "v2x-s", 8, priority=5))
    await install_control(
        station, _scheduled(station, "v2x-t", 300, priority=2), ACCEPTED | {"supersededIds": ["v2x-s"]}
    )
    await station.expect_none(NOTICE, {"controlId": "v2x-s"}, during=15)


@_der(
    "R04.FR.07",
    "SetDERControl of a better control than the running one",
    "the running one goes on until it begins",
    Answers(SET, {"supersededIds": ["v2x-s"]}, {"controlId": "v2x-t"}),
)
async def _(station: Station) -> None:
    await install_control(station, _scheduled(station, "v2x-s", 2, 300, 5))
    await station.expect(NOTICE, {"controlId": "v2x-s", "started": True}, within=20)
    answer = await install_control(station, _scheduled(station, "v2x-t", 60, 60, 2))
    expect("v2x-s" not in answer.get("supersededIds", []), "the running control is superseded before the other begins")
    found = await report(station)
    expect(found.get("v2x-s", {}).get("isSuperseded", False) is False, "the running control is superseded")


@_der(
    "R04.FR.08",
    "SetDERControl of a worse control than the running one",
    "it is superseded at once",
    _reported({"isSuperseded": False}, "v2x-t"),
)
async def _(station: Station) -> None:
    await install_control(station, _scheduled(station, "v2x-s", 2, 300, 1))
    await station.expect(NOTICE, {"controlId": "v2x-s", "started": True}, within=20)
    await install_control(station, _scheduled(station, "v2x-t", 30, 30, 9))
    found = await report(station)
    expect(found.get("v2x-t", {}).get("isSuperseded") is True, "the worse control is not superseded")


@_der(
    "R04.FR.09",
    "a superseded scheduled control reaches its time",
    "it is not executed",
    Intrudes(
        NOTICE,
        {"controlId": "v2x-s", "started": True, "timestamp": "2026-01-15T00:00:00Z"},
        after=SET,
        on_response=True,
        where={"supersededIds": ["v2x-s"]},
        seconds=3.0,
    ),
)
async def _(station: Station) -> None:
    await install_control(station, _scheduled(station, "v2x-s", 6, priority=5))
    await install_control(station, _scheduled(station, "v2x-t", 300, priority=2))
    await station.expect_none(NOTICE, {"controlId": "v2x-s", "started": True}, during=12)


@_der(
    "R04.FR.10",
    "the duration of a scheduled control has passed",
    "it is deleted",
    Sends(
        REPORT,
        lambda p: {
            **p,
            "curve": [
                *p.get("curve", []),
                {
                    "id": "v2x-s",
                    "curveType": "VoltWatt",
                    "isDefault": False,
                    "isSuperseded": False,
                    "curve": {"priority": 5, "yUnit": "PctMaxW", "curveData": CURVE},
                },
            ],
        },
    ),
)
async def _(station: Station) -> None:
    await install_control(station, curve("v2x-d"))
    await install_control(station, _scheduled(station, "v2x-s", 2, 6))
    await station.sleep(14)
    expect("v2x-s" not in await report(station), "the control is still set after its end")


async def _discharging(station: Station) -> None:
    await station.transaction(sampled=True)
    await install(station, profile(setpoint(-8000.0), purpose="TxProfile", stack=3))
    await station.power_becomes(-8000.0)


@_der(
    "R04.FR.11",
    "LimitMaxDischarge of 50 % as a default",
    "the discharging power falls",
    Pretends(SET, ACCEPTED),
    "lab.vehicle",
    "station.power",
    "station.bpt-vehicle",
)
async def _(station: Station) -> None:
    await _discharging(station)
    await install_control(station, limit(50.0))

    def limited() -> bool:
        power = station.power()
        return power is not None and -7000 < power < -1000

    if not await station.recorded.wait_for(limited, 30):
        raise Failed(f"the power is {station.power()} W under LimitMaxDischarge of 50 %")


def _invalid(reference: str, stimulus: str, make: Callable[[Station], Payload]) -> None:
    async def procedure(station: Station) -> None:
        await install_control(station, make(station), REJECTED)

    _der(reference, stimulus, "Rejected", Answers(SET, ACCEPTED))(procedure)


GRADIENT: Payload = {
    "isDefault": False,
    "controlId": "v2x-g",
    "controlType": "Gradients",
    "gradient": {"priority": 1, "gradient": 1.0, "softGradient": 1.0},
}
_invalid(
    "R04.FR.13",
    "a default with startTime and duration",
    lambda station: curve("v2x-x", startTime=in_future(station, 5), duration=60),
)
_invalid("R04.FR.15", "Gradients as a scheduled control", lambda _: GRADIENT)
_invalid("R04.FR.17", "a control with the body of another type", lambda _: limit(50.0) | {"controlType": "VoltWatt"})


@_der("R04.FR.20", "a scheduled control begins", "NotifyDERStartStop started", Omits(NOTICE, {"started": True}))
async def _(station: Station) -> None:
    await install_control(station, _scheduled(station, "v2x-s", 3))
    await station.expect(NOTICE, {"controlId": "v2x-s", "started": True}, within=20)


@_der(
    "R04.FR.21",
    "a scheduled control begins while another runs",
    "NotifyDERStartStop with supersededIds",
    Sends(NOTICE, {"supersededIds": None}),
)
async def _(station: Station) -> None:
    await install_control(station, _scheduled(station, "v2x-s", 2, 300, 5))
    await station.expect(NOTICE, {"controlId": "v2x-s", "started": True}, within=20)
    await install_control(station, _scheduled(station, "v2x-t", 5, 60, 2))
    begun = {"controlId": "v2x-t", "started": True, "supersededIds": ["v2x-s"]}
    await station.expect(NOTICE, begun, within=20)


@_der("R04.FR.22", "a scheduled control ends", "NotifyDERStartStop not started", Omits(NOTICE, {"started": False}))
async def _(station: Station) -> None:
    await install_control(station, _scheduled(station, "v2x-s", 2, 6))
    await station.expect(NOTICE, {"controlId": "v2x-s", "started": False}, within=30)


@_der("R04.FR.30", "GetDERControl of an unknown control", "NotFound", Answers(GET, ACCEPTED))
async def _(station: Station) -> None:
    await station.request(GET, {"requestId": 823, "controlId": "v2x-unknown"}, {"status": "NotFound"})


@_der("R04.FR.31", "GetDERControl", "ReportDERControl with its requestId", Sends(REPORT, {"requestId": 1}))
async def _(station: Station) -> None:
    await install_control(station, curve("v2x-a"))
    await station.request(GET, {"requestId": 824}, ACCEPTED)
    sent = await station.expect(REPORT, within=20)
    expect(sent["requestId"] == 824, f"requestId {sent['requestId']}")


@_der(
    "R04.FR.32",
    "GetDERControl of many controls",
    "tbc on all reports but the last",
    Sends(REPORT, lambda p: {**p, "tbc": not p.get("tbc", False)}),
)
async def _(station: Station) -> None:
    for number in range(15):
        await install_control(station, curve(f"v2x-d{number}", 20 - number))
        await install_control(station, _scheduled(station, f"v2x-s{number}", 600, priority=20 - number))
    await install_control(station, limit(90.0))
    await station.request(GET, {"requestId": 825}, ACCEPTED)
    await station.expect(REPORT, within=20)
    await station.sleep(3)
    flags = [m.payload.get("tbc", False) for m in station.find(REPORT)]
    expect(flags == [True] * (len(flags) - 1) + [False], f"tbc {flags}")


async def _three(station: Station) -> None:
    """Set a default and a scheduled VoltWatt control, and a default LimitMaxDischarge."""
    await install_control(station, curve("v2x-a"))
    await install_control(station, _scheduled(station, "v2x-s", 600))
    await install_control(station, limit(90.0))


def _selected(reference: str, stimulus: str, criteria: Payload, expected: set[str], other: Payload) -> None:
    async def procedure(station: Station) -> None:
        await _three(station)
        found = set(await report(station, **criteria))
        expect(found == expected, f"reported {sorted(found)}")

    _der(reference, stimulus, f"reported: {', '.join(sorted(expected))}", Misreads(GET, other))(procedure)


_selected("R04.FR.33", "GetDERControl without criteria", {}, {"v2x-a", "v2x-s", "v2x90"}, {"isDefault": True})
_selected("R04.FR.34", "GetDERControl by type", {"controlType": "LimitMaxDischarge"}, {"v2x90"}, {"controlType": None})
_selected("R04.FR.35", "GetDERControl by id", {"controlId": "v2x-s"}, {"v2x-s"}, {"controlId": None})
_selected("R04.FR.37", "GetDERControl of scheduled controls", {"isDefault": False}, {"v2x-s"}, {"isDefault": None})


@_der(
    "R04.FR.41",
    "ClearDERControl of a type that is not set",
    "NotFound",
    Answers(CLEAR, ACCEPTED, {"controlType": "FreqDroop"}),
)
async def _(station: Station) -> None:
    await station.request(CLEAR, {"isDefault": True, "controlType": "FreqDroop"}, {"status": "NotFound"})


@_der(
    "R04.FR.42",
    "ClearDERControl of an id that is not set",
    "NotFound",
    Answers(CLEAR, ACCEPTED, {"controlId": "v2x-unknown"}),
)
async def _(station: Station) -> None:
    await station.request(CLEAR, {"isDefault": True, "controlId": "v2x-unknown"}, {"status": "NotFound"})


def _cleared(reference: str, stimulus: str, criteria: Payload, left: set[str]) -> None:
    async def procedure(station: Station) -> None:
        await _three(station)
        await station.request(CLEAR, criteria, ACCEPTED)
        found = set(await report(station))
        expect(found == left, f"set: {sorted(found)}")

    mutant = Pretends(
        CLEAR,
        ACCEPTED,
        criteria | {"controlId": criteria.get("controlId", ABSENT), "controlType": criteria.get("controlType", ABSENT)},
    )
    _der(reference, stimulus, f"left: {', '.join(sorted(left))}", mutant)(procedure)


_cleared("R04.FR.44", "ClearDERControl of all defaults", {"isDefault": True}, {"v2x-s"})
_cleared("R04.FR.45", "ClearDERControl by type", {"isDefault": True, "controlType": "VoltWatt"}, {"v2x-s", "v2x90"})
_cleared("R04.FR.46", "ClearDERControl by id", {"isDefault": False, "controlId": "v2x-s"}, {"v2x-a", "v2x90"})


SOME = "station.some-der-types"


async def _unsupported(station: Station) -> str:
    """Return a type of control that the station does not support."""
    modes = (await station.variable("DCDERCtrlr", "ModesSupported", evse=1) or "").split(",")
    found = next((one for one in ("VoltWatt", "LimitMaxDischarge") if one not in modes), None)
    if found is None:
        raise Inconclusive("the station supports VoltWatt and LimitMaxDischarge")
    return found


@_der("R04.FR.01", "SetDERControl of a type that is not supported", "NotSupported", Answers(SET, ACCEPTED), SOME)
async def _(station: Station) -> None:
    control = limit(50.0) if await _unsupported(station) == "LimitMaxDischarge" else curve("v2x-a")
    await install_control(station, control, {"status": "NotSupported"})


@_der("R04.FR.36", "GetDERControl of a type that is not supported", "NotSupported", Answers(GET, ACCEPTED), SOME)
async def _(station: Station) -> None:
    body = {"requestId": 826, "controlType": await _unsupported(station)}
    await station.request(GET, body, {"status": "NotSupported"})


@_der(
    "R04.FR.43",
    "ClearDERControl of a type that is not supported",
    "NotSupported",
    Answers(CLEAR, ACCEPTED, {"controlType": "LimitMaxDischarge"}),
    SOME,
)
async def _(station: Station) -> None:
    body = {"isDefault": True, "controlType": await _unsupported(station)}
    await station.request(CLEAR, body, {"status": "NotSupported"})


# R05: alarms


async def _limited(station: Station) -> None:
    await _discharging(station)
    await install_control(station, limit(50.0))


ALARMS = ("lab.vehicle", "station.power", "station.bpt-vehicle")


@_der("R05.FR.01", "a control limits the power", "one NotifyDERAlarm with its type", Omits(ALARM), *ALARMS)
async def _(station: Station) -> None:
    await _limited(station)
    await station.expect(ALARM, {"controlType": "LimitMaxDischarge"}, within=60)
    await station.sleep(15)
    begun = station.find(ALARM, {"alarmEnded": lambda v: v is not True}) + station.find(ALARM, {"alarmEnded": ABSENT})
    expect(len(begun) == 1, f"{len(begun)} alarms for one deviation")


@_der(
    "R05.FR.02",
    "the control no longer limits the power",
    "NotifyDERAlarm with alarmEnded",
    Omits(ALARM, {"alarmEnded": True}),
    *ALARMS,
)
async def _(station: Station) -> None:
    await _limited(station)
    await station.expect(ALARM, within=60)
    await install(station, profile(setpoint(-2000.0), purpose="TxProfile", stack=3))
    await station.expect(ALARM, {"alarmEnded": True}, within=60)


@_der(
    "R05.FR.03",
    "another control takes effect",
    "NotifyDERAlarm with its type",
    Omits(ALARM, {"controlType": "FreqWatt"}),
    "lab.grid",
    *ALARMS,
)
async def _(station: Station) -> None:
    await _two_alarms(station)
    await station.expect(ALARM, {"controlType": "FreqWatt"}, within=60)


@_der(
    "R05.FR.04",
    "another control takes effect",
    "no alarmEnded of the first",
    Intrudes(
        ALARM,
        {"controlType": "LimitMaxDischarge", "alarmEnded": True, "timestamp": "2026-01-15T00:00:00Z"},
        after=ALARM,
        where={"controlType": "FreqWatt"},
    ),
    "lab.grid",
    *ALARMS,
)
async def _(station: Station) -> None:
    await _two_alarms(station)
    await station.expect(ALARM, {"controlType": "FreqWatt"}, within=60)
    await station.sleep(10)
    ended = station.find(ALARM, {"controlType": "LimitMaxDischarge", "alarmEnded": True})
    expect(not ended, "an end of the first alarm is reported")


async def _two_alarms(station: Station) -> None:
    """Limit the power by one control, then more by another at 50.9 Hz."""
    await _limited(station)
    await station.expect(ALARM, {"controlType": "LimitMaxDischarge"}, within=60)
    points = [{"x": 50.2, "y": 100.0}, {"x": 51.0, "y": 0.0}]
    body = {"priority": 1, "yUnit": "PctMaxW", "curveData": points}
    await install_control(station, {"isDefault": True, "controlId": "v2x-f", "controlType": "FreqWatt", "curve": body})
    station.stimulus()
    await station.environment.grid(frequency_hz=50.9)
    try:
        await station.sleep(10)
    finally:
        await station.environment.grid(frequency_hz=50.0)
