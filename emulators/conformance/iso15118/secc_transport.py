"""Cases for a SECC that all generations share: handshake, frames, sessions after faults."""

from __future__ import annotations

from emulators.conformance.case import Requirement, expect
from emulators.conformance.iso15118.mutation import (
    Mutant,
    alters,
    stays_open,
)
from emulators.conformance.iso15118.plain import ABSENT, Plain, encoded, schema_of
from emulators.conformance.iso15118.profiles import DC_2, DC_BPT, DIN, Profile
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.secc_procedures import (
    DIN70121,
    ISO2,
    ISO20,
    Procedure,
    SeccCase,
    any_profile,
    closed,
    secc_case,
    silent,
)
from emulators.conformance.iso15118.vehicle import entry
from protocols.v2gtp import frame

HANDSHAKE, TRANSPORT = "protocol handshake", "V2GTP"
UNKNOWN = "urn:example:2030:MsgDef"
OK_SAP = "OK_SuccessfulNegotiation"
NO_SAP = "Failed_NoNegotiation"
SAP_RES = "supportedAppProtocolRes"
MOST_PROTOCOLS = 20


def _selects(entries: list[Plain], schema: int) -> Procedure:
    async def procedure(device: SeccAccess) -> None:
        for offered in (entries, entries[::-1]):
            vehicle = await device.vehicle(DC_2)
            response = await vehicle.handshake(offered)
            selected = response.fields.get("SchemaID")
            expect(response.code.startswith("OK"), f"the code is {response.code}")
            expect(selected == schema, f"SchemaID {selected} is selected, not {schema}")
            await vehicle.connection.close()

    return procedure


async def _minor_deviation(device: SeccAccess) -> None:
    profile = any_profile(device)
    vehicle = await device.vehicle(profile)
    response = await vehicle.handshake([entry(profile, VersionNumberMinor=9)])
    expect(response.code == f"{OK_SAP}WithMinorDeviation", f"the code is {response.code}")


async def _other_major(device: SeccAccess) -> None:
    profile = any_profile(device)
    vehicle = await device.vehicle(profile)
    response = await vehicle.handshake([entry(profile, VersionNumberMajor=profile.major + 7)])
    expect(response.code == NO_SAP, f"the code is {response.code}")


async def _skips_unknown(device: SeccAccess) -> None:
    profile = any_profile(device)
    vehicle = await device.vehicle(profile)
    offered = [entry(profile, 1, 1, ProtocolNamespace=UNKNOWN), entry(profile, 2, 2)]
    response = await vehicle.handshake(offered)
    expect(response.code == OK_SAP, f"the code is {response.code}")
    expect(response.fields.get("SchemaID") == 2, f"SchemaID {response.fields.get('SchemaID')} is selected, not 2")


async def _nothing_common(device: SeccAccess) -> None:
    vehicle = await device.vehicle(any_profile(device))
    response = await vehicle.handshake([entry(vehicle.profile, ProtocolNamespace=UNKNOWN)])
    expect(response.code == NO_SAP, f"the code is {response.code}")


async def _no_schema_id(device: SeccAccess) -> None:
    vehicle = await device.vehicle(any_profile(device))
    response = await vehicle.handshake([entry(vehicle.profile, 5, ProtocolNamespace=UNKNOWN)])
    expect(response.fields.get("SchemaID") is None, f"SchemaID {response.fields.get('SchemaID')} is stated")


async def _closes_without_protocol(device: SeccAccess) -> None:
    vehicle = await device.vehicle(any_profile(device))
    await vehicle.handshake([entry(vehicle.profile, ProtocolNamespace=UNKNOWN)])
    await closed(vehicle)


async def _any_schema_id(device: SeccAccess) -> None:
    profile = any_profile(device)
    for schema in (0, 255):
        vehicle = await device.vehicle(profile)
        response = await vehicle.handshake([entry(profile, schema)])
        stated = response.fields.get("SchemaID")
        expect(response.code == OK_SAP and stated == schema, f"{response.code}, SchemaID {stated} instead of {schema}")
        await vehicle.connection.close()


async def _many_protocols(device: SeccAccess) -> None:
    profile = any_profile(device)
    vehicle = await device.vehicle(profile)
    others = [entry(profile, n, n, ProtocolNamespace=f"{UNKNOWN}{n}") for n in range(1, MOST_PROTOCOLS)]
    response = await vehicle.handshake([*others, entry(profile, MOST_PROTOCOLS, MOST_PROTOCOLS)])
    expect(response.fields.get("SchemaID") == MOST_PROTOCOLS, f"the code is {response.code}")


async def _one_handshake(device: SeccAccess) -> None:
    vehicle = await device.reach(any_profile(device), any_profile(device).steps[1])
    plain: Plain = {"supportedAppProtocolReq": {"AppProtocol": [entry(vehicle.profile)]}}
    await vehicle.connection.send("supportedAppProtocolReq", plain)
    response = await vehicle.connection.receive(2.0)
    accepted = response is not None and response.name == SAP_RES and response.code.startswith("OK")
    expect(not accepted, "a second handshake within the session is accepted")


async def _handshake_first(device: SeccAccess) -> None:
    vehicle = await device.vehicle(any_profile(device))
    await vehicle.connection.send("SessionSetupReq", vehicle.message("SessionSetupReq"))
    response = await vehicle.connection.receive(2.0)
    opened = response is not None and response.code.startswith("OK")
    expect(not opened, "SessionSetupReq before the handshake opens a session")


async def _wrong_version(device: SeccAccess) -> None:
    vehicle = await device.reach(any_profile(device), any_profile(device).steps[0])
    data = bytearray(_first_request(vehicle.profile, vehicle.message("SessionSetupReq")))
    data[1] = 0x00
    await vehicle.connection.send_bytes(bytes(data), "SessionSetupReq with the version bytes 01 00")
    await silent(vehicle, "a frame with wrong version bytes")
    response = await vehicle.request("SessionSetupReq")
    expect(response.code.startswith("OK"), f"afterwards SessionSetupRes has the code {response.code}")


async def _unknown_type(device: SeccAccess) -> None:
    vehicle = await device.reach(any_profile(device), any_profile(device).steps[0])
    await vehicle.connection.send_bytes(frame(0xA001, b"vendor"), "a frame of payload type 0xa001")
    await silent(vehicle, "a frame of a manufacturer's payload type")
    response = await vehicle.request("SessionSetupReq")
    expect(response.code.startswith("OK"), f"afterwards SessionSetupRes has the code {response.code}")


async def _segments(device: SeccAccess) -> None:
    vehicle = await device.reach(any_profile(device), any_profile(device).steps[0])
    data = _first_request(vehicle.profile, vehicle.message("SessionSetupReq"))
    for n in range(0, len(data), 5):
        await vehicle.connection.send_bytes(data[n : n + 5], f"bytes {n} to {n + 4} of SessionSetupReq")
        await vehicle.wait(0.02)
    response = await vehicle.answer("SessionSetupReq")
    expect(response.code.startswith("OK"), f"SessionSetupRes has the code {response.code}")


async def _undecodable(device: SeccAccess) -> None:
    vehicle = await device.reach(any_profile(device), any_profile(device).steps[1])
    kind = 0x8002 if vehicle.profile.protocol == "iso20" else 0x8001
    await vehicle.connection.send_bytes(frame(kind, _GARBAGE), "a payload that is no EXI document")
    response = await vehicle.connection.receive(2.0)
    good = response is not None and response.code.startswith("OK")
    expect(not good, "a message that cannot be decoded is accepted")


async def _excessive_length(device: SeccAccess) -> None:
    vehicle = await device.reach(any_profile(device), any_profile(device).steps[0])
    await vehicle.connection.send_bytes(bytes.fromhex("01fe8001ffffffff"), "a header that states 4 GiB of payload")
    await vehicle.connection.receive(1.0)
    await vehicle.connection.close()
    again = await device.vehicle(vehicle.profile)
    response = await again.handshake()
    expect(response.code.startswith("OK"), f"the next connection is refused: {response.code}")


async def _after_lost_connection(device: SeccAccess) -> None:
    profile = any_profile(device)
    vehicle = await device.reach(profile, profile.steps[-1])
    await vehicle.connection.close()
    again = await device.vehicle(profile)
    response = await again.handshake()
    expect(response.code.startswith("OK"), f"the next handshake has the code {response.code}")
    setup = await again.request("SessionSetupReq")
    expect(setup.code.startswith("OK"), f"the next SessionSetupRes has the code {setup.code}")


def _first_request(profile: Profile, plain: Plain) -> bytes:
    return encoded(schema_of(profile.protocol, "SessionSetupReq"), plain)


_NEXT_IS_REFUSED = Mutant(
    text="the next handshake is refused", message=SAP_RES, rewrite=lambda f: {"ResponseCode": NO_SAP}, from_connection=2
)
_WIRE_CLOSES_AT_UNKNOWN = Mutant(
    text="the connection ends at an unknown payload type",
    receive=lambda data: None if data[2:4] == b"\xa0\x01" else data,
)
_WIRE_CLOSES_AT_VERSION = Mutant(
    text="the connection ends at wrong version bytes", receive=lambda data: None if data[1:2] == b"\x00" else data
)
_READS_WHOLE_SEGMENTS = Mutant(
    text="a message in several segments is not read",
    receive=lambda data: data if data[:2] == b"\x01\xfe" and len(data) > 8 else None,
)
_HEADER: Plain = {"SessionID": "0102030405060708", "TimeStamp": 1}
_OPENS = encoded("sap", {SAP_RES: {"ResponseCode": OK_SAP, "SchemaID": 1}})
_NEW_SESSION: Plain = {"Header": _HEADER, "ResponseCode": "OK_NewSessionEstablished", "EVSEID": "DE8AAE00001"}
_SERVICES: Plain = {
    "Header": _HEADER,
    "ResponseCode": "OK",
    "AuthorizationServices": ["EIM"],
    "CertificateInstallationService": False,
    "EIM_ASResAuthorizationMode": {},
}
_GARBAGE = b"\x80" + b"\xff" * 12

CASES: tuple[SeccCase, ...] = (
    secc_case(
        "SECC-SAP-01",
        Requirement(ISO2, "[V2G2-169]", "of the common protocols the one with the best priority is selected"),
        HANDSHAKE,
        _selects([entry(DIN, 7, 2), entry(DC_2, 9, 1)], 9),
        alters(SAP_RES, SchemaID=7),
        stimulus="an offer of DIN SPEC 70121 (priority 2) and ISO 15118-2 (priority 1), in both orders",
        expectation="SchemaID of ISO 15118-2",
        requires=("din.dc", "iso2.dc"),
        tags=("nominal",),
    ),
    secc_case(
        "SECC-SAP-02",
        Requirement(ISO20, "[V2G20-169]", "of the common protocols the one with the best priority is selected"),
        HANDSHAKE,
        _selects([entry(DC_2, 7, 2), entry(DC_BPT, 9, 1)], 9),
        alters(SAP_RES, SchemaID=7),
        stimulus="supportedAppProtocolReq with ISO 15118-2 (priority 2) and ISO 15118-20 (priority 1), in both orders",
        expectation="SchemaID of ISO 15118-20",
        requires=("iso20.dc_bpt", "iso2.dc"),
        tags=("nominal",),
    ),
    secc_case(
        "SECC-SAP-03",
        Requirement(ISO2, "8.2.3", "another minor version is accepted with OK_SuccessfulNegotiationWithMinorDeviation"),
        HANDSHAKE,
        _minor_deviation,
        alters(SAP_RES, ResponseCode=OK_SAP),
        stimulus="supportedAppProtocolReq with a known namespace and major version, and minor version 9",
        expectation="OK_SuccessfulNegotiationWithMinorDeviation",
        tags=("negative",),
    ),
    secc_case(
        "SECC-SAP-04",
        Requirement(ISO2, "8.2.3", "a protocol of another major version is not selected"),
        HANDSHAKE,
        _other_major,
        alters(SAP_RES, ResponseCode=OK_SAP, SchemaID=1),
        stimulus="supportedAppProtocolReq with a known namespace and a major version that is 7 higher",
        expectation="Failed_NoNegotiation",
        tags=("negative",),
    ),
    secc_case(
        "SECC-SAP-05",
        Requirement(ISO2, "8.2.2", "unknown protocols are skipped"),
        HANDSHAKE,
        _skips_unknown,
        alters(SAP_RES, {"SchemaID": ABSENT}, ResponseCode=NO_SAP),
        stimulus="supportedAppProtocolReq with an unknown namespace (priority 1) and a known one (priority 2)",
        expectation="OK_SuccessfulNegotiation, SchemaID of the known one",
        tags=("negative",),
    ),
    secc_case(
        "SECC-SAP-06",
        Requirement(ISO2, "8.2.3", "without a common protocol the response code is Failed_NoNegotiation"),
        HANDSHAKE,
        _nothing_common,
        alters(SAP_RES, ResponseCode=OK_SAP, SchemaID=1),
        stimulus="supportedAppProtocolReq with one unknown namespace",
        expectation="Failed_NoNegotiation",
        tags=("negative",),
    ),
    secc_case(
        "SECC-SAP-07",
        Requirement(ISO2, "8.2.2", "SchemaID is absent where nothing was selected"),
        HANDSHAKE,
        _no_schema_id,
        alters(SAP_RES, SchemaID=5),
        stimulus="supportedAppProtocolReq with one unknown namespace",
        expectation="supportedAppProtocolRes without SchemaID",
        tags=("negative",),
    ),
    secc_case(
        "SECC-SAP-08",
        Requirement(ISO2, "8.2.1", "the connection ends after a failed handshake"),
        HANDSHAKE,
        _closes_without_protocol,
        stays_open(),
        stimulus="supportedAppProtocolReq with one unknown namespace",
        expectation="the SECC closes the connection within 10 s",
        tags=("negative",),
    ),
    secc_case(
        "SECC-SAP-09",
        Requirement(ISO2, "8.2.2", "SchemaID of the response is that of the selected entry, with any value of 8 bits"),
        HANDSHAKE,
        _any_schema_id,
        alters(SAP_RES, SchemaID=1),
        stimulus="two handshakes, with SchemaID 0 and with SchemaID 255",
        expectation="the same SchemaID in the response",
        tags=("nominal",),
    ),
    secc_case(
        "SECC-SAP-10",
        Requirement(ISO2, "8.2.2", "a handshake may offer up to 20 protocols"),
        HANDSHAKE,
        _many_protocols,
        alters(SAP_RES, {"SchemaID": ABSENT}, ResponseCode=NO_SAP),
        stimulus="supportedAppProtocolReq with 19 unknown protocols and, with priority 20, a known one",
        expectation="the known one is selected",
        tags=("nominal",),
    ),
    secc_case(
        "SECC-SAP-11",
        Requirement(ISO2, "8.2.1", "a connection has one handshake, before the session"),
        HANDSHAKE,
        _one_handshake,
        Mutant(
            text="a second handshake is accepted",
            received="supportedAppProtocolReq",
            first=2,
            reply=_OPENS,
        ),
        stimulus="supportedAppProtocolReq again after SessionSetupRes",
        expectation="no positive supportedAppProtocolRes",
        tags=("negative",),
    ),
    secc_case(
        "SECC-SAP-12",
        Requirement(ISO2, "8.2.1", "no message before the handshake opens a session"),
        HANDSHAKE,
        _handshake_first,
        Mutant(
            text="a session without handshake",
            received="SessionSetupReq",
            reply=encoded("iso20", {"SessionSetupRes": _NEW_SESSION}),
        ),
        stimulus="SessionSetupReq as the first message of a connection",
        expectation="no positive response",
        tags=("negative",),
    ),
    secc_case(
        "SECC-TP-01",
        Requirement(ISO2, "7.8.3.1", "a frame with wrong version bytes is ignored"),
        TRANSPORT,
        _wrong_version,
        _WIRE_CLOSES_AT_VERSION,
        stimulus="SessionSetupReq in a frame with the version bytes 01 00, then the right one",
        expectation="no response to the first, an OK response to the second",
        tags=("negative",),
    ),
    secc_case(
        "SECC-TP-02",
        Requirement(ISO2, "7.8.3.2", "a frame of an unknown payload type is ignored"),
        TRANSPORT,
        _unknown_type,
        _WIRE_CLOSES_AT_UNKNOWN,
        stimulus="a frame of payload type 0xA001, then SessionSetupReq",
        expectation="no response to the first, an OK response to the second",
        tags=("negative",),
    ),
    secc_case(
        "SECC-TP-03",
        Requirement(ISO2, "7.8.3", "a message may arrive in several segments of TCP"),
        TRANSPORT,
        _segments,
        _READS_WHOLE_SEGMENTS,
        stimulus="SessionSetupReq in segments of 5 bytes",
        expectation="an OK response",
        tags=("nominal",),
    ),
    secc_case(
        "SECC-TP-04",
        Requirement(ISO2, "7.9.1", "a payload that is no EXI document of the schema is not accepted"),
        TRANSPORT,
        _undecodable,
        Mutant(
            text="an OK response to an invalid payload",
            reply_when=lambda data: data.endswith(_GARBAGE),
            reply=encoded("iso20", {"AuthorizationSetupRes": _SERVICES}),
        ),
        stimulus="a frame whose payload has the EXI header and is no message",
        expectation="no OK response",
        tags=("negative",),
    ),
    secc_case(
        "SECC-TP-05",
        Requirement(ISO2, "7.8.3", "an excessive payload length does not block the SECC"),
        TRANSPORT,
        _excessive_length,
        _NEXT_IS_REFUSED,
        stimulus="a frame header that states 4 GiB; the connection is closed and opened again",
        expectation="an OK handshake on the next connection",
        tags=("negative",),
    ),
    secc_case(
        "SECC-TP-06",
        Requirement(DIN70121, "9.6.3", "after a lost connection a new session can be opened"),
        TRANSPORT,
        _after_lost_connection,
        _NEXT_IS_REFUSED,
        stimulus="TCP is closed without SessionStopReq; a new connection is opened",
        expectation="an OK handshake and a new session",
        tags=("negative",),
    ),
)
