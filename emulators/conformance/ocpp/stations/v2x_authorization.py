"""OCPP 2.1, Q01 and Q02: authorization, charging needs and measurands of bidirectional charging."""

from __future__ import annotations

from functools import partial

from emulators.conformance.case import expect
from emulators.conformance.ocpp.declarations import V21, Declared
from emulators.conformance.ocpp.mutants import Answers, Misreads, Pretends, Sends
from emulators.conformance.ocpp.pattern import ANY
from emulators.conformance.ocpp.stations.bidirectional import BPT, EVENT, MODES, V2X, VEHICLE
from emulators.conformance.ocpp.stations.procedures import (
    ACCEPTED,
    REJECTED,
    Station,
    StationProcedure,
    charging_transaction,
)
from protocols.ocpp.schema import Payload

DECLARED: Declared[Station] = Declared("CS")
case, add = DECLARED.case, DECLARED.add

NEEDS = "NotifyEVChargingNeeds"
ISO = "station.iso15118"


@case(
    V21,
    "Q01.FR.02",
    "a transaction with an ISO 15118-20 vehicle",
    "the EVCCID is in idToken of the start",
    Sends(
        EVENT,
        lambda p: {**p, "idToken": {k: v for k, v in p["idToken"].items() if k != "additionalInfo"}},
        {"idToken": ANY},
    ),
    ISO,
    VEHICLE,
)
async def _(station: Station) -> None:
    await charging_transaction(station)
    identity = {"idToken": {"additionalInfo": lambda info: any(i["type"] == "EVCCID" for i in info)}}
    await station.expect(EVENT, {"eventType": "Started"} | identity, since=0)


@case(
    V21,
    "Q01.FR.03",
    "a bidirectional vehicle",
    "NotifyEVChargingNeeds with its energy transfer",
    Sends(NEEDS, {"chargingNeeds": {"requestedEnergyTransfer": "AC_single_phase"}}),
    ISO,
    BPT,
    VEHICLE,
)
async def _(station: Station) -> None:
    await charging_transaction(station)
    sent = await station.expect(NEEDS, {"evseId": 1}, since=0)
    transfer = sent["chargingNeeds"]["requestedEnergyTransfer"]
    expect("BPT" in transfer, f"requestedEnergyTransfer {transfer}")


def _without_transfers(station: Station, request: Payload) -> Payload:
    """Return a response to Authorize that does not state what is allowed; unknown tokens are still Invalid."""
    answer = station.csms.default("Authorize", request)
    return {name: value for name, value in answer.items() if name != "allowedEnergyTransfer"}


def _first_rejected(station: Station) -> None:
    answers: list[Payload] = [{"status": "Rejected"}]
    station.answer(NEEDS, lambda _: answers.pop() if answers else None)


@case(
    V21,
    "Q01.FR.05",
    "NotifyEVChargingNeeds answered Rejected",
    "another energy transfer is negotiated",
    Sends(NEEDS, {"chargingNeeds": {"requestedEnergyTransfer": "DC_BPT"}}),
    ISO,
    BPT,
    VEHICLE,
    "station.renegotiation",
)
async def _(station: Station) -> None:
    _first_rejected(station)
    await station.plug()
    await station.sleep(1)
    await station.start()
    first = await station.expect(NEEDS, within=30)
    transfer = first["chargingNeeds"]["requestedEnergyTransfer"]
    other = {"chargingNeeds": {"requestedEnergyTransfer": lambda value: value != transfer}}
    await station.expect(NEEDS, other, within=60)


@case(
    V21,
    "Q01.FR.06",
    "NotifyEVChargingNeeds always answered Rejected",
    "the end has ReqEnergyTransferRejected",
    Sends(EVENT, {"transactionInfo": {"stoppedReason": "Local"}}, {"eventType": "Ended"}),
    ISO,
    VEHICLE,
)
async def _(station: Station) -> None:
    station.answer(NEEDS, {"status": "Rejected"})
    await station.plug()
    await station.sleep(1)
    await station.start()
    ended = {"eventType": "Ended", "transactionInfo": {"stoppedReason": "ReqEnergyTransferRejected"}}
    await station.expect(EVENT, ended, within=90)


@case(
    V21,
    "Q01.FR.09",
    "Authorize answered without allowedEnergyTransfer",
    "plain charging is requested",
    Misreads("Authorize", {"allowedEnergyTransfer": ["DC", "DC_BPT", "AC_BPT", "AC_three_phase"]}, response=True),
    ISO,
    BPT,
    VEHICLE,
    "lab.reader",
)
async def _(station: Station) -> None:
    station.answer("Authorize", partial(_without_transfers, station))
    await station.plug()
    await station.present()
    sent = await station.expect(NEEDS, within=60)
    transfer = sent["chargingNeeds"]["requestedEnergyTransfer"]
    expect("BPT" not in transfer, f"requestedEnergyTransfer {transfer}")


@case(
    V21,
    "Q02.FR.04",
    "Authorize answered without allowedEnergyTransfer",
    "the bidirectional transfer is available",
    Sends(NEEDS, {"chargingNeeds": {"availableEnergyTransfer": ["DC"]}}),
    ISO,
    BPT,
    VEHICLE,
    "lab.reader",
)
async def _(station: Station) -> None:
    station.answer("Authorize", partial(_without_transfers, station))
    await station.plug()
    await station.present()
    sent = await station.expect(NEEDS, within=60)
    available = sent["chargingNeeds"].get("availableEnergyTransfer", [])
    expect(any("BPT" in one_transfer for one_transfer in available), f"availableEnergyTransfer {available}")


ALLOW = "NotifyAllowedEnergyTransfer"


async def _late_permission(station: Station) -> None:
    station.answer("Authorize", partial(_without_transfers, station))
    await station.plug()
    await station.present()
    await station.expect(NEEDS, within=60)
    number = await station.until_running()
    body: Payload = {"transactionId": number, "allowedEnergyTransfer": ["DC", "DC_BPT", "AC_three_phase", "AC_BPT"]}
    await station.request(ALLOW, body, ACCEPTED)


@case(
    V21,
    "Q02.FR.06",
    "NotifyAllowedEnergyTransfer",
    "Accepted",
    Answers(ALLOW, REJECTED),
    ISO,
    BPT,
    VEHICLE,
    "lab.reader",
)
async def _(station: Station) -> None:
    await _late_permission(station)


@case(
    V21,
    "Q02.FR.07",
    "NotifyAllowedEnergyTransfer with a bidirectional transfer",
    "NotifyEVChargingNeeds with it",
    Pretends(ALLOW, ACCEPTED),
    ISO,
    BPT,
    VEHICLE,
    "lab.reader",
    "station.renegotiation",
)
async def _(station: Station) -> None:
    await _late_permission(station)
    wanted = {"chargingNeeds": {"requestedEnergyTransfer": lambda value: "BPT" in value}}
    await station.expect(NEEDS, wanted, within=60)


def _reads(name: str, *wanted: str) -> StationProcedure:
    """Return a procedure that reads a member list of V2XChargingCtrlr of EVSE 1."""

    async def procedure(station: Station) -> None:
        found = await station.variable("V2XChargingCtrlr", name, evse=1)
        expect(bool(found), f"V2XChargingCtrlr.{name} is {found!r}")
        for member in wanted:
            expect(member in (found or "").split(","), f"{member} is not in {found}")

    return procedure


def _value(text: str) -> Answers:
    """Return a mutant that reads another value of a variable."""
    return Answers(
        "GetVariables", lambda p: {"getVariableResult": [{**r, "attributeValue": text} for r in p["getVariableResult"]]}
    )


add(
    V21,
    "Q01.FR.30",
    "GetVariables V2XChargingCtrlr.SupportedOperationModes",
    "the supported operation modes",
    _value(""),
    _reads(MODES),
    V2X,
)
add(
    V21,
    "Q01.FR.31",
    "GetVariables V2XChargingCtrlr.SupportedOperationModes",
    "ChargingOnly, CentralSetpoint and CentralFrequency",
    _value("ChargingOnly,CentralSetpoint"),
    _reads(MODES, "ChargingOnly", "CentralSetpoint", "CentralFrequency"),
    V2X,
)
add(
    V21,
    "Q01.FR.32",
    "GetVariables V2XChargingCtrlr.SupportedEnergyTransferModes",
    "the supported transfers",
    _value(""),
    _reads("SupportedEnergyTransferModes"),
    V2X,
)
add(
    V21,
    "Q07.FR.01",
    "GetVariables V2XChargingCtrlr.SupportedOperationModes",
    "CentralFrequency is supported",
    _value("ChargingOnly,CentralSetpoint"),
    _reads(MODES, "CentralFrequency"),
    V2X,
)
add(
    V21,
    "Q08.FR.20",
    "GetVariables V2XChargingCtrlr.SupportedOperationModes",
    "LocalFrequency, where it is claimed",
    _value("ChargingOnly"),
    _reads(MODES, "LocalFrequency"),
    V2X,
    "station.local-frequency",
)


@case(
    V21,
    "Q01.FR.36",
    "GetReport ConnectedEV",
    "its required variables",
    Sends(
        "NotifyReport",
        lambda p: {**p, "reportData": [e for e in p["reportData"] if e["variable"]["name"] != "VehicleId"]},
    ),
    V2X,
)
async def _(station: Station) -> None:
    body = {"requestId": 811, "componentVariable": [{"component": {"name": "ConnectedEV"}}]}
    await station.request("GetReport", body, ACCEPTED)
    sent = await station.expect("NotifyReport", within=20)
    names = {entry["variable"]["name"] for entry in sent["reportData"]}
    for name in ("Available", "VehicleId", "VehicleCertificate", "ProtocolAgreed", "ProtocolSupportedByEV"):
        expect(name in names, f"ConnectedEV.{name} is not reported")


def _measurands(reference: str, part: str, stimulus: str, where: Payload) -> None:
    """Declare a case: the measurands of an operation mode are sent."""

    async def procedure(station: Station) -> None:
        await station.set("V2XChargingCtrlr", f"Tx{part}Measurands", "Frequency", "ChargingOnly", 1)
        await charging_transaction(station)
        if part == "Ended":
            await station.stop()
        await station.expect(EVENT, where | {"meterValue": lambda v: "'Frequency'" in str(v)}, within=30, since=0)

    def without(payload: Payload) -> Payload:
        for entry in payload["meterValue"]:
            entry["sampledValue"] = [s for s in entry["sampledValue"] if s["measurand"] != "Frequency"]
        return payload

    mutant = Sends(EVENT, without, where | {"meterValue": ANY})
    add(
        V21,
        reference,
        stimulus,
        f"the measurands of V2XChargingCtrlr.Tx{part}Measurands",
        mutant,
        procedure,
        V2X,
        VEHICLE,
    )


_measurands("Q01.FR.33", "Started", "a transaction starts", {"eventType": "Started"})
_measurands("Q01.FR.34", "Ended", "a transaction ends", {"eventType": "Ended"})
_measurands("Q01.FR.35", "Updated", "a transaction goes on", {"eventType": "Updated"})
