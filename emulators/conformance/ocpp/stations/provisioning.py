"""OCPP 2.x, B10 to B12 and block A: network profiles, resets, and security over OCPP."""

from __future__ import annotations

from emulators.conformance.case import expect
from emulators.conformance.ocpp.declarations import V2, Declared
from emulators.conformance.ocpp.mutants import Answers, Authenticates, Misreads, Omits, Pretends, Sends
from emulators.conformance.ocpp.stations.boot import boots
from emulators.conformance.ocpp.stations.device_model import set_result, with_first
from emulators.conformance.ocpp.stations.procedures import (
    ACCEPTED,
    REJECTED,
    Station,
    another_password,
    authenticated,
    variable,
)
from protocols.ocpp.schema import Payload

DECLARED: Declared[Station] = Declared("CS")
case, add = DECLARED.case, DECLARED.add


# network profiles


def _profile(**more: object) -> Payload:
    data: Payload = {
        "ocppInterface": "Wired0",
        "ocppTransport": "JSON",
        "ocppCsmsUrl": "ws://127.0.0.1:9/ocpp",
        "ocppVersion": "OCPP20",
        "messageTimeout": 30,
        "securityProfile": 0,
    }
    return {"configurationSlot": 2, "connectionData": {**data, **more}}


async def _own_profile(station: Station, **more: object) -> Payload:
    """Return a network profile with the security profile in use."""
    security = int(await station.variable("SecurityCtrlr", "SecurityProfile") or 0)
    return _profile(**({"securityProfile": security} | more))


@case(V2, "B09.FR.01", "SetNetworkProfile for a free slot", "Accepted", Answers("SetNetworkProfile", REJECTED))
async def _(station: Station) -> None:
    await station.request("SetNetworkProfile", await _own_profile(station), ACCEPTED)


@case(V2, "B09.FR.02", "SetNetworkProfile with a URL that is none", "Rejected", Answers("SetNetworkProfile", ACCEPTED))
async def _(station: Station) -> None:
    body = await _own_profile(station, ocppCsmsUrl="no url at all")
    await station.request("SetNetworkProfile", body, REJECTED)


@case(V2, "B09.FR.05", "SetNetworkProfile for slot 9999", "Rejected", Answers("SetNetworkProfile", ACCEPTED))
async def _(station: Station) -> None:
    body = await _own_profile(station)
    await station.request(
        "SetNetworkProfile", body | {"configurationSlot": 9999}, {"status": frozenset({"Rejected", "Failed"})}
    )


@case(
    V2,
    "B10.FR.01",
    "a priority of set slots",
    "Accepted or RebootRequired",
    Answers("SetVariables", with_first("setVariableResult", attributeStatus="Rejected")),
)
async def _(station: Station) -> None:
    before = await station.variable("OCPPCommCtrlr", "NetworkConfigurationPriority")
    status = await station.write("OCPPCommCtrlr", "NetworkConfigurationPriority", before)
    expect(status in ("Accepted", "RebootRequired"), f"status {status}")


@case(
    V2,
    "B10.FR.02",
    "a priority with a slot that was never set",
    "Rejected",
    Answers("SetVariables", with_first("setVariableResult", attributeStatus="Accepted")),
)
async def _(station: Station) -> None:
    before = await station.variable("OCPPCommCtrlr", "NetworkConfigurationPriority")
    status = await station.write("OCPPCommCtrlr", "NetworkConfigurationPriority", f"{before},9999")
    expect(status == "Rejected", f"status {status}")


# resets


async def _unknown_reset(station: Station) -> None:
    await station.request("Reset", {"type": "Immediate", "evseId": 99}, REJECTED)


add(
    V2,
    "B11.FR.03",
    "Reset Immediate without a transaction",
    "Accepted, and the station boots",
    Pretends("Reset", ACCEPTED),
    boots,
)


@case(
    V2,
    "B12.FR.01",
    "Reset OnIdle during a transaction",
    "Scheduled, and the transaction goes on",
    Misreads("Reset", {"type": "Immediate"}),
    "lab.vehicle",
)
async def _(station: Station) -> None:
    await station.transaction()
    await station.request("Reset", {"type": "OnIdle"}, {"status": "Scheduled"})
    await station.expect_none("TransactionEvent", {"eventType": "Ended"}, during=10)
    await station.stop()
    await station.expect("BootNotification", within=180)
    await station.booted()


@case(
    V2,
    "B12.FR.04",
    "Reset Immediate during a transaction",
    "it ends with ImmediateReset",
    Sends("TransactionEvent", {"transactionInfo": {"stoppedReason": "Local"}}, {"eventType": "Ended"}),
    "lab.vehicle",
)
async def _(station: Station) -> None:
    await station.transaction()
    await station.request("Reset", {"type": "Immediate"}, {"status": frozenset({"Accepted", "Scheduled"})})
    ended = {"eventType": "Ended", "transactionInfo": {"stoppedReason": frozenset({"ImmediateReset", "Reboot"})}}
    await station.expect("TransactionEvent", ended, within=180)
    await station.expect("BootNotification", within=180)
    await station.booted()


@case(
    V2,
    "B12.FR.08",
    "Reset Immediate of EVSE 1 during its transaction",
    "it ends; the station does not boot",
    Misreads("Reset", lambda p: {k: v for k, v in p.items() if k != "evseId"}),
    "lab.vehicle",
)
async def _(station: Station) -> None:
    await station.transaction()
    await station.request("Reset", {"type": "Immediate", "evseId": 1}, ACCEPTED)
    await station.expect("TransactionEvent", {"eventType": "Ended"}, within=60)
    await station.expect_none("BootNotification", during=15)


add(V2, "B11.FR.09", "Reset of an unknown EVSE", "Rejected", Answers("Reset", ACCEPTED), _unknown_reset)


# security over OCPP


@case(
    V2,
    "A01.FR.01",
    "another BasicAuthPassword",
    "Accepted, and the station connects again with it",
    Answers("SetVariables", with_first("setVariableResult", attributeStatus="Rejected")),
    "station.password",
    "lab.password",
)
async def _(station: Station) -> None:
    async def send(password: str) -> None:
        data = variable("SecurityCtrlr", "BasicAuthPassword", attributeValue=password)
        await station.request("SetVariables", {"setVariableData": [data]}, set_result("Accepted"))

    await another_password(station, send)


@case(
    V2,
    "A02.FR.03",
    "TriggerMessage SignChargingStationCertificate",
    "SignCertificate with a PKCS#10 request",
    Sends("SignCertificate", {"csr": "none"}),
    "station.certificates",
)
async def _(station: Station) -> None:
    await station.request("TriggerMessage", {"requestedMessage": "SignChargingStationCertificate"}, ACCEPTED)
    sent = await station.expect("SignCertificate", within=60)
    expect("BEGIN CERTIFICATE REQUEST" in sent["csr"], "csr is no PKCS#10 request in PEM")


@case(V2, "A04.FR.01", "reset", "SecurityEventNotification of the start-up", Omits("SecurityEventNotification"))
async def _(station: Station) -> None:
    await station.boot()
    await station.expect(
        "SecurityEventNotification", {"type": frozenset({"StartupOfTheDevice", "ResetOrReboot"})}, within=60
    )


OTHER_USER = "Basic YW5vdGhlcjpWMngtVGVzdGVyLTAxMjM0NTY="  # another, V2x-Tester-0123456


@case(
    V2,
    "A00.FR.203",
    "the connection is interrupted",
    "user and password with the next one",
    Authenticates(),
    "station.security-1",
)
async def _(station: Station) -> None:
    await authenticated(station, as_itself=False)


@case(
    V2,
    "A00.FR.204",
    "the connection is interrupted",
    "the user of the next one is the id of the station",
    Authenticates(OTHER_USER),
    "station.security-1",
)
async def _(station: Station) -> None:
    await authenticated(station, as_itself=True)
