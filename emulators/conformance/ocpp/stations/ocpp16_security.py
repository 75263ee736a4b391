"""OCPP 1.6, security whitepaper, and HTTP Basic authentication of 1.6-J."""

from __future__ import annotations

from emulators.conformance.case import expect
from emulators.conformance.ocpp.declarations import V16, Declared
from emulators.conformance.ocpp.mutants import Answers, Authenticates, Mutant, Omits, Sends
from emulators.conformance.ocpp.pattern import ABSENT, ANY
from emulators.conformance.ocpp.stations.ocpp16 import Declaring
from emulators.conformance.ocpp.stations.procedures import (
    ACCEPTED,
    REJECTED,
    Station,
    another_password,
    authenticated,
    exchange,
)
from protocols.ocpp.schema import Payload

DECLARED: Declared[Station] = Declared("CS", "Security 1.6")


def security(reference: str, stimulus: str, expectation: str, mutant: Mutant, *needs: str) -> Declaring:
    """Declare a case of the security whitepaper."""
    return DECLARED.case(V16, reference, stimulus, expectation, mutant, "station.security", *needs)


@security(
    "W A01 AuthorizationKey",
    "another AuthorizationKey",
    "Accepted, and the station connects again with it",
    Answers("ChangeConfiguration", REJECTED),
    "lab.password",
)
async def _(station: Station) -> None:
    async def send(password: str) -> None:
        body = {"key": "AuthorizationKey", "value": password}
        await station.request("ChangeConfiguration", body, ACCEPTED)

    await another_password(station, send)


DECLARED.add(
    V16,
    "W AuthorizationKey hidden",
    "GetConfiguration of AuthorizationKey",
    "without its value",
    Answers(
        "GetConfiguration", lambda p: {"configurationKey": [{**k, "value": "secret"} for k in p["configurationKey"]]}
    ),
    exchange("GetConfiguration", {"key": ["AuthorizationKey"]}, {"configurationKey": [{"value": ABSENT}]}),
    "station.security",
)


@security(
    "W A02 certificate request",
    "ExtendedTriggerMessage SignChargePointCertificate",
    "SignCertificate",
    Sends("SignCertificate", {"csr": "none"}),
)
async def _(station: Station) -> None:
    body = {"requestedMessage": "SignChargePointCertificate"}
    await station.request("ExtendedTriggerMessage", body, ACCEPTED)
    sent = await station.expect("SignCertificate", within=60)
    expect("BEGIN CERTIFICATE REQUEST" in sent["csr"], "csr is no PKCS#10 request in PEM")


DECLARED.add(
    V16,
    "W A02 invalid certificate",
    "CertificateSigned with no certificate",
    "Rejected",
    Answers("CertificateSigned", ACCEPTED),
    exchange("CertificateSigned", {"certificateChain": "no certificate"}, REJECTED),
    "station.security",
)
DECLARED.add(
    V16,
    "W M05 invalid certificate",
    "InstallCertificate with no certificate",
    "Rejected or Failed",
    Answers("InstallCertificate", ACCEPTED),
    exchange(
        "InstallCertificate",
        {"certificateType": "CentralSystemRootCertificate", "certificate": "no certificate"},
        {"status": {"Rejected", "Failed"}},
    ),
    "station.security",
)
DECLARED.add(
    V16,
    "W M03 none",
    "GetInstalledCertificateIds without certificates",
    "NotFound",
    Answers("GetInstalledCertificateIds", ACCEPTED),
    exchange("GetInstalledCertificateIds", {"certificateType": "ManufacturerRootCertificate"}, {"status": "NotFound"}),
    "station.security",
    "station.no-manufacturer-root",
)


@security(
    "W N01 log upload",
    "GetLog to an address that does not answer",
    "LogStatusNotification of the failure",
    Omits("LogStatusNotification"),
)
async def _(station: Station) -> None:
    log = {"remoteLocation": "http://127.0.0.1:9/v2x"}
    body: Payload = {"logType": "SecurityLog", "requestId": 831, "log": log, "retries": 0}
    await station.request("GetLog", body, {"status": ANY})
    await station.expect("LogStatusNotification", {"requestId": 831}, within=60)


OTHER_USER = "Basic YW5vdGhlcjpWMngtVGVzdGVyLTAxMjM0NTY="  # another, V2x-Tester-0123456


@DECLARED.case(
    V16,
    "J 6.2.2 credentials",
    "the connection is interrupted",
    "user and password with the next one",
    Authenticates(),
    "station.security-1",
)
async def _(station: Station) -> None:
    await authenticated(station, as_itself=False)


@DECLARED.case(
    V16,
    "J 6.2.2 user",
    "the connection is interrupted",
    "the user of the next one is the id of the station",
    Authenticates(OTHER_USER),
    "station.security-1",
)
async def _(station: Station) -> None:
    await authenticated(station, as_itself=True)
