"""OCPP 2.x, blocks G, H, J and P: availability, reservation, meter values and data transfer of a station."""

from __future__ import annotations

from collections.abc import Callable

from emulators.conformance.case import Failed, Inconclusive, expect
from emulators.conformance.ocpp.declarations import V2, Declared
from emulators.conformance.ocpp.mutants import Answers, Errors, Intrudes, Misreads, Omits, Pretends, Sends
from emulators.conformance.ocpp.pattern import ANY
from emulators.conformance.ocpp.stations.procedures import ACCEPTED, REJECTED, TOKEN, Station, exchange, in_future
from emulators.conformance.ocpp.tester_csms import TOKENS
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse

DECLARED: Declared[Station] = Declared("CS")
case, add = DECLARED.case, DECLARED.add
STATUS, EVENT = "StatusNotification", "TransactionEvent"
VEHICLE, READER = "lab.vehicle", "lab.reader"
INOPERATIVE: Payload = {"operationalStatus": "Inoperative", "evse": {"id": 1}}
OPERATIVE: Payload = {"operationalStatus": "Operative", "evse": {"id": 1}}
STATION_OFF: Payload = {"operationalStatus": "Inoperative"}
STATION_ON: Payload = {"operationalStatus": "Operative"}


def _is(status: str, evse: int = 1) -> Payload:
    return {"evseId": evse, "connectorStatus": status}


# G: availability


@case(
    V2, "G01.FR.03", "a vehicle is connected to an Available connector", "Occupied is sent", Omits(STATUS), "lab.plug"
)
async def _(station: Station) -> None:
    await station.plug()
    await station.expect(STATUS, _is("Occupied"), within=20)


@case(
    V2,
    "G01.FR.04",
    "the vehicle is disconnected",
    "Available is sent",
    Omits(STATUS, {"connectorStatus": "Available"}),
    "lab.unplug",
)
async def _(station: Station) -> None:
    await station.transaction()
    await station.unplug()
    await station.expect(STATUS, _is("Available"), within=20)


@case(
    V2,
    "G01.FR.05",
    "the vehicle of an EVSE that is to become Inoperative is disconnected",
    "Unavailable is sent",
    Sends(STATUS, {"connectorStatus": "Available"}, _is("Unavailable")),
    "lab.unplug",
)
async def _(station: Station) -> None:
    await station.transaction()
    await station.prepare("ChangeAvailability", INOPERATIVE, {"status": "Scheduled"})
    try:
        await station.unplug()
        await station.expect(STATUS, _is("Unavailable"), within=30)
    finally:
        await station.call("ChangeAvailability", OPERATIVE)


async def _inoperative(station: Station, body: Payload = INOPERATIVE) -> None:
    await station.request("ChangeAvailability", body, {"status": frozenset({"Accepted"})})


async def _operative(station: Station, body: Payload = OPERATIVE) -> None:
    await station.call("ChangeAvailability", body)


@case(
    V2,
    "G02.FR.01",
    "boot accepted with an interval of 9 s",
    "HeartbeatInterval is 9",
    Misreads("BootNotification", {"interval": 300}, response=True),
)
async def _(station: Station) -> None:
    await station.boot({"interval": 9})
    await station.booted()
    found = await station.variable("OCPPCommCtrlr", "HeartbeatInterval")
    expect(found == "9", f"HeartbeatInterval {found}")


@case(
    V2,
    "G02.FR.02",
    "HeartbeatInterval of 4 s",
    "Heartbeat every 4 s",
    Omits("Heartbeat", response={"currentTime": "2026-01-15T00:00:00Z"}),
)
async def _(station: Station) -> None:
    await station.set("OCPPCommCtrlr", "HeartbeatInterval", 4)
    for _ in range(2):
        station.stimulus()
        await station.expect("Heartbeat", within=10)


@case(
    V2,
    "G02.FR.06",
    "Heartbeat answered with the present time",
    "timestamps agree with it",
    Sends(STATUS, {"timestamp": "2020-01-01T00:00:00Z"}),
)
async def _(station: Station) -> None:
    await station.request("TriggerMessage", {"requestedMessage": "Heartbeat"}, ACCEPTED)
    await station.expect("Heartbeat", within=20)
    await station.sleep(1)
    body: Payload = {"requestedMessage": STATUS, "evse": {"id": 1, "connectorId": 1}}
    await station.request("TriggerMessage", body, ACCEPTED)
    at = parse((await station.expect(STATUS, within=20))["timestamp"])
    expect(at is not None and abs(at - station.clock.wall()) < 10, "the timestamp differs by more than 10 s")


@case(V2, "G03.FR.01", "ChangeAvailability of an EVSE", "a response", Errors("ChangeAvailability"))
async def _(station: Station) -> None:
    await station.request("ChangeAvailability", OPERATIVE, {"status": ANY})


@case(
    V2,
    "G03.FR.03",
    "ChangeAvailability of an EVSE to the state that it has",
    "Accepted",
    Answers("ChangeAvailability", REJECTED),
)
async def _(station: Station) -> None:
    await station.request("ChangeAvailability", OPERATIVE, ACCEPTED)


@case(
    V2,
    "G03.FR.04",
    "ChangeAvailability Inoperative of an EVSE",
    "Unavailable is sent",
    Pretends("ChangeAvailability", ACCEPTED),
    "lab.vacant",
)
async def _(station: Station) -> None:
    await _inoperative(station)
    try:
        await station.expect(STATUS, _is("Unavailable"), within=20)
    finally:
        await _operative(station)


@case(
    V2,
    "G03.FR.05",
    "ChangeAvailability Inoperative during a transaction",
    "Scheduled",
    Answers("ChangeAvailability", ACCEPTED),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.transaction()
    try:
        await station.request("ChangeAvailability", INOPERATIVE, {"status": "Scheduled"})
    finally:
        await _operative(station)


@case(
    V2,
    "G03.FR.07",
    "ChangeAvailability Operative of an Unavailable EVSE",
    "Available is sent",
    Pretends("ChangeAvailability", ACCEPTED, {"operationalStatus": "Operative"}),
    "lab.vacant",
)
async def _(station: Station) -> None:
    await _inoperative(station)
    await station.sleep(2)
    await station.request("ChangeAvailability", OPERATIVE, ACCEPTED)
    await station.expect(STATUS, _is("Available"), within=20)


@case(
    V2,
    "G03.FR.08",
    "an Inoperative EVSE, reset",
    "it stays Unavailable",
    Sends(STATUS, {"connectorStatus": "Available"}, _is("Unavailable")),
    "lab.vacant",
)
async def _(station: Station) -> None:
    await _inoperative(station)
    try:
        await station.boot()
        await station.expect(STATUS, _is("Unavailable"), within=30)
    finally:
        await _operative(station)


@case(
    V2,
    "G04.FR.01",
    "ChangeAvailability Inoperative without an EVSE",
    "every EVSE is Unavailable",
    Misreads("ChangeAvailability", {"evse": {"id": 1}}),
    "station.two-evses",
    "lab.vacant",
)
async def _(station: Station) -> None:
    await _inoperative(station, STATION_OFF)
    try:
        for number in (1, 2):
            await station.expect(STATUS, _is("Unavailable", number), within=20)
    finally:
        await _operative(station, STATION_ON)


@case(
    V2,
    "G04.FR.04",
    "ChangeAvailability of the station to the state that it has",
    "Accepted",
    Answers("ChangeAvailability", REJECTED),
)
async def _(station: Station) -> None:
    await station.request("ChangeAvailability", STATION_ON, ACCEPTED)


@case(
    V2,
    "G04.FR.05",
    "ChangeAvailability Inoperative of the station",
    "the status of connectors is sent",
    Omits(STATUS, {"connectorStatus": "Unavailable"}),
    "lab.vacant",
)
async def _(station: Station) -> None:
    await _inoperative(station, STATION_OFF)
    try:
        await station.expect(STATUS, _is("Unavailable"), within=20)
    finally:
        await _operative(station, STATION_ON)


@case(
    V2,
    "G04.FR.06",
    "ChangeAvailability of the station during a transaction",
    "Scheduled",
    Answers("ChangeAvailability", ACCEPTED),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.transaction()
    try:
        await station.request("ChangeAvailability", STATION_OFF, {"status": "Scheduled"})
    finally:
        await _operative(station, STATION_ON)


@case(
    V2,
    "G04.FR.08",
    "ChangeAvailability Operative of the station",
    "its connectors are Available",
    Pretends("ChangeAvailability", ACCEPTED, {"operationalStatus": "Operative"}),
    "lab.vacant",
)
async def _(station: Station) -> None:
    await _inoperative(station, STATION_OFF)
    await station.sleep(2)
    await station.request("ChangeAvailability", STATION_ON, ACCEPTED)
    await station.expect(STATUS, _is("Available"), within=20)


add(
    V2,
    "G03.FR.02",
    "ChangeAvailability of an unknown EVSE",
    "Rejected",
    Answers("ChangeAvailability", ACCEPTED),
    exchange("ChangeAvailability", {"operationalStatus": "Inoperative", "evse": {"id": 99}}, REJECTED),
)

# H: reservation
RESERVATION = "station.reservation"


async def _reserve(station: Station, expected: object = ACCEPTED, number: int = 81, **more: object) -> None:
    body: Payload = {"id": number, "expiryDateTime": in_future(station, 600), "idToken": TOKEN, "evseId": 1, **more}
    await station.request("ReserveNow", {k: v for k, v in body.items() if v is not None}, expected)


async def _cancel(station: Station, number: int = 81) -> None:
    await station.call("CancelReservation", {"reservationId": number})


@case(
    V2, "H01.FR.01", "ReserveNow with reservations disabled", "Rejected", Answers("ReserveNow", ACCEPTED), RESERVATION
)
async def _(station: Station) -> None:
    await station.set("ReservationCtrlr", "Enabled", "false")
    await _reserve(station, REJECTED)


@case(
    V2,
    "H01.FR.02",
    "ReserveNow with the id of a reservation",
    "it is replaced",
    Answers("ReserveNow", {"status": "Occupied"}, when={"idToken": {"idToken": TOKENS[1]}}),
    RESERVATION,
    "lab.vacant",
)
async def _(station: Station) -> None:
    await _reserve(station)
    try:
        await _reserve(station, idToken={"idToken": TOKENS[1], "type": "ISO14443"})
    finally:
        await _cancel(station)


@case(
    V2,
    "H01.FR.04",
    "ReserveNow without an EVSE",
    "Accepted",
    Answers("ReserveNow", REJECTED),
    RESERVATION,
    "lab.vacant",
)
async def _(station: Station) -> None:
    try:
        await _reserve(station, evseId=None)
    finally:
        await _cancel(station)


@case(
    V2,
    "H01.FR.11",
    "ReserveNow of a reserved EVSE",
    "Occupied",
    Answers("ReserveNow", ACCEPTED, when={"id": 82}),
    RESERVATION,
    "lab.vacant",
)
async def _(station: Station) -> None:
    await _reserve(station)
    try:
        await _reserve(station, {"status": "Occupied"}, 82)
    finally:
        await _cancel(station)


@case(
    V2,
    "H01.FR.14",
    "ReserveNow of an Unavailable EVSE",
    "Unavailable",
    Answers("ReserveNow", ACCEPTED),
    RESERVATION,
    "lab.vacant",
)
async def _(station: Station) -> None:
    await _inoperative(station)
    try:
        await _reserve(station, {"status": "Unavailable"})
    finally:
        await _operative(station)


@case(
    V2,
    "H01.FR.15",
    "the reserved token starts a transaction",
    "TransactionEvent with reservationId",
    Sends(EVENT, {"reservationId": None}),
    RESERVATION,
    VEHICLE,
    READER,
    "lab.vacant",
)
async def _(station: Station) -> None:
    await _reserve(station)
    await station.plug()
    await station.sleep(1)
    await station.present()
    await station.expect(EVENT, {"reservationId": 81}, within=30)


@case(
    V2,
    "H01.FR.17",
    "the reserved EVSE becomes Unavailable",
    "ReservationStatusUpdate Removed",
    Omits("ReservationStatusUpdate"),
    RESERVATION,
    "lab.vacant",
)
async def _(station: Station) -> None:
    await _reserve(station)
    await _inoperative(station)
    try:
        removed = {"reservationId": 81, "reservationUpdateStatus": "Removed"}
        await station.expect("ReservationStatusUpdate", removed, within=20)
    finally:
        await _operative(station)


@case(
    V2,
    "H01.FR.23",
    "ReserveNow of an Available EVSE",
    "Accepted, and Reserved is sent",
    Omits(STATUS, {"connectorStatus": "Reserved"}),
    RESERVATION,
    "lab.vacant",
)
async def _(station: Station) -> None:
    await _reserve(station)
    try:
        await station.expect(STATUS, _is("Reserved"), within=20)
    finally:
        await _cancel(station)


add(
    V2,
    "H02.FR.01",
    "CancelReservation of an unknown reservation",
    "Rejected",
    Answers("CancelReservation", ACCEPTED),
    exchange("CancelReservation", {"reservationId": 987654}, REJECTED),
    RESERVATION,
)


@case(
    V2,
    "H02.FR.02",
    "CancelReservation",
    "Accepted, and the EVSE is Available",
    Pretends("CancelReservation", ACCEPTED),
    RESERVATION,
    "lab.vacant",
)
async def _(station: Station) -> None:
    await _reserve(station)
    await station.sleep(2)
    await station.request("CancelReservation", {"reservationId": 81}, ACCEPTED)
    await station.expect(STATUS, _is("Available"), within=20)


@case(
    V2,
    "H03.FR.01",
    "the reserved token is presented",
    "a transaction starts",
    Omits(EVENT),
    RESERVATION,
    VEHICLE,
    READER,
    "lab.vacant",
)
async def _(station: Station) -> None:
    await _reserve(station)
    await station.plug()
    await station.sleep(1)
    await station.present()
    await station.expect(EVENT, {"eventType": "Started"}, within=30)


@case(
    V2,
    "H03.FR.04",
    "a token of the reserved group is presented",
    "a transaction starts",
    Misreads("Authorize", {"idTokenInfo": {"groupIdToken": None}}, response=True),
    RESERVATION,
    VEHICLE,
    READER,
    "lab.vacant",
)
async def _(station: Station) -> None:
    await _reserve(
        station,
        groupIdToken={"idToken": "V2XGROUP", "type": "Central"},
        idToken={"idToken": TOKENS[2], "type": "ISO14443"},
    )
    await station.plug()
    await station.sleep(1)
    await station.present(TOKENS[1])
    await station.expect(EVENT, {"eventType": "Started"}, within=30)


@case(
    V2,
    "H03.FR.03",
    "another token is presented at a reserved EVSE",
    "no transaction",
    Pretends("ReserveNow", ACCEPTED),
    RESERVATION,
    VEHICLE,
    READER,
    "lab.vacant",
)
async def _(station: Station) -> None:
    await _reserve(station)
    try:
        await station.plug()
        await station.sleep(1)
        await station.present(TOKENS[2])
        await station.expect_none(EVENT, {"eventType": "Started"}, during=10)
    finally:
        await _cancel(station)


@case(
    V2,
    "H04.FR.01",
    "a reservation expires",
    "ReservationStatusUpdate Expired",
    Omits("ReservationStatusUpdate"),
    RESERVATION,
    "lab.vacant",
)
async def _(station: Station) -> None:
    await _reserve(station, expiryDateTime=in_future(station, 6))
    expired = {"reservationId": 81, "reservationUpdateStatus": "Expired"}
    await station.expect("ReservationStatusUpdate", expired, within=30)


@case(
    V2,
    "H04.FR.03",
    "the reservation of an EVSE expires",
    "Available is sent",
    Omits(STATUS, {"connectorStatus": "Available"}),
    RESERVATION,
    "lab.vacant",
)
async def _(station: Station) -> None:
    await _reserve(station, expiryDateTime=in_future(station, 6))
    await station.expect(STATUS, _is("Available"), within=30)


# J: meter values


@case(
    V2,
    "J01.FR.02",
    "TriggerMessage MeterValues of EVSE 1",
    "MeterValues with evseId 1",
    Sends("MeterValues", {"evseId": 0}),
)
async def _(station: Station) -> None:
    await station.request("TriggerMessage", {"requestedMessage": "MeterValues", "evse": {"id": 1}}, ACCEPTED)
    sent = await station.expect("MeterValues", within=20)
    expect(sent["evseId"] == 1, f"evseId {sent['evseId']}")


def _without(name: str) -> Callable[[Payload], Payload]:
    return lambda p: {
        **p,
        "meterValue": [
            {**m, "sampledValue": [{k: v for k, v in s.items() if k != name} for s in m["sampledValue"]]}
            for m in p["meterValue"]
        ],
    }


async def _triggered_samples(station: Station) -> list[Payload]:
    await station.request("TriggerMessage", {"requestedMessage": "MeterValues", "evse": {"id": 1}}, ACCEPTED)
    sent = await station.expect("MeterValues", within=20)
    return [sample for entry in sent["meterValue"] for sample in entry["sampledValue"]]


@case(V2, "J01.FR.07", "triggered meter values", "each with its measurand", Sends("MeterValues", _without("measurand")))
async def _(station: Station) -> None:
    samples = await _triggered_samples(station)
    expect(all("measurand" in s for s in samples), "a sampled value without measurand")


@case(V2, "J01.FR.08", "triggered meter values", "context Trigger", Sends("MeterValues", _without("context")))
async def _(station: Station) -> None:
    samples = await _triggered_samples(station)
    expect(all(s.get("context") == "Trigger" for s in samples), f"context {samples[0].get('context')}")


@case(V2, "J01.FR.14", "AlignedDataCtrlr.Interval of 5 s without a transaction", "MeterValues", Omits("MeterValues"))
async def _(station: Station) -> None:
    await station.set("AlignedDataCtrlr", "Interval", 5)
    await station.expect("MeterValues", {"evseId": 1}, within=20)


@case(
    V2,
    "J01.FR.22",
    "AlignedDataCtrlr.Interval of 5 s during a transaction",
    "clock-aligned values of the EVSE",
    Omits(EVENT, {"triggerReason": "MeterValueClock"}),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.transaction()
    await station.set("AlignedDataCtrlr", "Interval", 5)

    def aligned() -> bool:
        return bool(station.find(EVENT, {"triggerReason": "MeterValueClock"})) or bool(
            station.find("MeterValues", {"evseId": 1})
        )

    if not await station.recorded.wait_for(aligned, 20):
        raise Failed("no clock-aligned values within 20 s")


@case(
    V2,
    "J01.FR.19",
    "clock-aligned values with SendDuringIdle, during a transaction",
    "none of the EVSE",
    Intrudes(
        "MeterValues",
        {
            "evseId": 1,
            "meterValue": [
                {"timestamp": "2026-01-15T00:00:00Z", "sampledValue": [{"value": 1.0, "context": "Sample.Clock"}]}
            ],
        },
        after="Heartbeat",
    ),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.set("AlignedDataCtrlr", "SendDuringIdle", "true")
    await station.set("AlignedDataCtrlr", "Interval", 5)
    await station.set("OCPPCommCtrlr", "HeartbeatInterval", 3)
    await station.transaction()
    station.stimulus()
    await station.expect_none("MeterValues", {"evseId": 1}, during=15)


@case(
    V2,
    "J02.FR.11",
    "SampledDataCtrlr.TxUpdatedInterval of 3 s",
    "MeterValuePeriodic every 3 s",
    Omits(EVENT, {"triggerReason": "MeterValuePeriodic"}),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.set("SampledDataCtrlr", "TxUpdatedInterval", 3)
    await station.transaction()
    for _ in range(2):
        station.stimulus()
        await station.expect(EVENT, {"triggerReason": "MeterValuePeriodic", "meterValue": ANY}, within=8)


@case(
    V2,
    "J02.FR.16",
    "a charging transaction",
    "the energy register does not fall",
    Sends(
        EVENT,
        lambda p: {
            **p,
            "meterValue": [
                {
                    **m,
                    "sampledValue": [
                        {**s, "value": 1e6 - s["value"] if "Energy" in s["measurand"] else s["value"]}
                        for s in m["sampledValue"]
                    ],
                }
                for m in p.get("meterValue", [])
            ],
        },
        {"meterValue": ANY},
    ),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.transaction(sampled=True)
    await station.sleep(12)
    values = [
        sample["value"]
        for message in station.find(EVENT, {"meterValue": ANY}, since=0)
        for entry in message.payload["meterValue"]
        for sample in entry["sampledValue"]
        if sample.get("measurand") == "Energy.Active.Import.Register"
    ]
    if len(values) < 2:
        raise Inconclusive("less than two values of Energy.Active.Import.Register")
    expect(values == sorted(values), f"the register falls: {values[:6]}")


@case(
    V2,
    "J02.FR.04",
    "sampled values of a transaction",
    "context Sample.Periodic",
    Sends(EVENT, _without("context"), {"triggerReason": "MeterValuePeriodic"}),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.transaction(sampled=True)
    station.stimulus()
    sent = await station.expect(EVENT, {"triggerReason": "MeterValuePeriodic", "meterValue": ANY}, within=20)
    contexts = {s.get("context", "Sample.Periodic") for m in sent["meterValue"] for s in m["sampledValue"]}
    explicit = all("context" in s for m in sent["meterValue"] for s in m["sampledValue"])
    expect(explicit and contexts == {"Sample.Periodic"}, f"contexts {contexts}")


# P: data transfer
add(
    V2,
    "P01.FR.05",
    "DataTransfer of an unknown vendor",
    "UnknownVendorId",
    Answers("DataTransfer", ACCEPTED),
    exchange("DataTransfer", {"vendorId": "org.example.v2x-no-such-vendor"}, {"status": "UnknownVendorId"}),
)
