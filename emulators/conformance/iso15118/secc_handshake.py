"""Cases for a SECC that all generations share: the handshake of the protocol."""

from __future__ import annotations

from emulators.conformance.case import expect
from emulators.conformance.iso15118.declaration import ISO2, ISO20, Declaration, SeccCase
from emulators.conformance.iso15118.mutation import Mutant, alters, stays_open
from emulators.conformance.iso15118.plain import ABSENT, Plain, encoded
from emulators.conformance.iso15118.profiles import DC_2, DC_BPT, DIN
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.secc_procedures import NO_SAP, OK_SAP, SAP_RES, Procedure, any_profile, closed
from emulators.conformance.iso15118.vehicle import entry

HANDSHAKE = "protocol handshake"

iso20_case = Declaration[SeccAccess](prefix="SECC-", standard=ISO20, tags=())
iso2_case = Declaration[SeccAccess](prefix="SECC-", standard=ISO2, tags=())
UNKNOWN = "urn:example:2030:MsgDef"
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


_OPENS = encoded("sap", {SAP_RES: {"ResponseCode": OK_SAP, "SchemaID": 1}})
_NEW_SESSION: Plain = {
    "Header": {"SessionID": "0102030405060708", "TimeStamp": 1},
    "ResponseCode": "OK_NewSessionEstablished",
    "EVSEID": "DE8AAE00001",
}

CASES: tuple[SeccCase, ...] = (
    iso2_case(
        "SAP-01",
        "[V2G2-169]",
        "of the common protocols the one with the best priority is selected",
        HANDSHAKE,
        _selects([entry(DIN, 7, 2), entry(DC_2, 9, 1)], 9),
        alters(SAP_RES, SchemaID=7),
        stimulus="an offer of DIN SPEC 70121 (priority 2) and ISO 15118-2 (priority 1), in both orders",
        expectation="SchemaID of ISO 15118-2",
        requires=("din.dc", "iso2.dc"),
        tags=("nominal",),
    ),
    iso20_case(
        "SAP-02",
        "[V2G20-169]",
        "of the common protocols the one with the best priority is selected",
        HANDSHAKE,
        _selects([entry(DC_2, 7, 2), entry(DC_BPT, 9, 1)], 9),
        alters(SAP_RES, SchemaID=7),
        stimulus="supportedAppProtocolReq with ISO 15118-2 (priority 2) and ISO 15118-20 (priority 1), in both orders",
        expectation="SchemaID of ISO 15118-20",
        requires=("iso20.dc_bpt", "iso2.dc"),
        tags=("nominal",),
    ),
    iso2_case(
        "SAP-03",
        "8.2.3",
        "another minor version is accepted with OK_SuccessfulNegotiationWithMinorDeviation",
        HANDSHAKE,
        _minor_deviation,
        alters(SAP_RES, ResponseCode=OK_SAP),
        stimulus="supportedAppProtocolReq with a known namespace and major version, and minor version 9",
        expectation="OK_SuccessfulNegotiationWithMinorDeviation",
        tags=("negative",),
    ),
    iso2_case(
        "SAP-04",
        "8.2.3",
        "a protocol of another major version is not selected",
        HANDSHAKE,
        _other_major,
        alters(SAP_RES, ResponseCode=OK_SAP, SchemaID=1),
        stimulus="supportedAppProtocolReq with a known namespace and a major version that is 7 higher",
        expectation="Failed_NoNegotiation",
        tags=("negative",),
    ),
    iso2_case(
        "SAP-05",
        "8.2.2",
        "unknown protocols are skipped",
        HANDSHAKE,
        _skips_unknown,
        alters(SAP_RES, {"SchemaID": ABSENT}, ResponseCode=NO_SAP),
        stimulus="supportedAppProtocolReq with an unknown namespace (priority 1) and a known one (priority 2)",
        expectation="OK_SuccessfulNegotiation, SchemaID of the known one",
        tags=("negative",),
    ),
    iso2_case(
        "SAP-06",
        "8.2.3",
        "without a common protocol the response code is Failed_NoNegotiation",
        HANDSHAKE,
        _nothing_common,
        alters(SAP_RES, ResponseCode=OK_SAP, SchemaID=1),
        stimulus="supportedAppProtocolReq with one unknown namespace",
        expectation="Failed_NoNegotiation",
        tags=("negative",),
    ),
    iso2_case(
        "SAP-07",
        "8.2.2",
        "SchemaID is absent where nothing was selected",
        HANDSHAKE,
        _no_schema_id,
        alters(SAP_RES, SchemaID=5),
        stimulus="supportedAppProtocolReq with one unknown namespace",
        expectation="supportedAppProtocolRes without SchemaID",
        tags=("negative",),
    ),
    iso2_case(
        "SAP-08",
        "8.2.1",
        "the connection ends after a failed handshake",
        HANDSHAKE,
        _closes_without_protocol,
        stays_open(),
        stimulus="supportedAppProtocolReq with one unknown namespace",
        expectation="the SECC closes the connection within 10 s",
        tags=("negative",),
    ),
    iso2_case(
        "SAP-09",
        "8.2.2",
        "SchemaID of the response is that of the selected entry, with any value of 8 bits",
        HANDSHAKE,
        _any_schema_id,
        alters(SAP_RES, SchemaID=1),
        stimulus="two handshakes, with SchemaID 0 and with SchemaID 255",
        expectation="the same SchemaID in the response",
        tags=("nominal",),
    ),
    iso2_case(
        "SAP-10",
        "8.2.2",
        "a handshake may offer up to 20 protocols",
        HANDSHAKE,
        _many_protocols,
        alters(SAP_RES, {"SchemaID": ABSENT}, ResponseCode=NO_SAP),
        stimulus="supportedAppProtocolReq with 19 unknown protocols and, with priority 20, a known one",
        expectation="the known one is selected",
        tags=("nominal",),
    ),
    iso2_case(
        "SAP-11",
        "8.2.1",
        "a connection has one handshake, before the session",
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
    iso2_case(
        "SAP-12",
        "8.2.1",
        "no message before the handshake opens a session",
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
)
