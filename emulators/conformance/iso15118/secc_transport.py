"""Cases for a SECC that all generations share: frames of V2GTP, and sessions after faults."""

from __future__ import annotations

from emulators.conformance.case import expect
from emulators.conformance.iso15118.declaration import DIN70121, ISO2, Declaration, SeccCase
from emulators.conformance.iso15118.mutation import Mutant
from emulators.conformance.iso15118.plain import Plain, encoded, schema_of
from emulators.conformance.iso15118.profiles import Profile
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.secc_procedures import NO_SAP, SAP_RES, any_profile, silent
from protocols.v2gtp import frame

TRANSPORT = "V2GTP"

iso2_case = Declaration[SeccAccess](prefix="SECC-", standard=ISO2, tags=())
din70121_case = Declaration[SeccAccess](prefix="SECC-", standard=DIN70121, tags=())


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
_SERVICES: Plain = {
    "Header": {"SessionID": "0102030405060708", "TimeStamp": 1},
    "ResponseCode": "OK",
    "AuthorizationServices": ["EIM"],
    "CertificateInstallationService": False,
    "EIM_ASResAuthorizationMode": {},
}
_GARBAGE = b"\x80" + b"\xff" * 12


CASES: tuple[SeccCase, ...] = (
    iso2_case(
        "TP-01",
        "7.8.3.1",
        "a frame with wrong version bytes is ignored",
        TRANSPORT,
        _wrong_version,
        _WIRE_CLOSES_AT_VERSION,
        stimulus="SessionSetupReq in a frame with the version bytes 01 00, then the right one",
        expectation="no response to the first, an OK response to the second",
        tags=("negative",),
    ),
    iso2_case(
        "TP-02",
        "7.8.3.2",
        "a frame of an unknown payload type is ignored",
        TRANSPORT,
        _unknown_type,
        _WIRE_CLOSES_AT_UNKNOWN,
        stimulus="a frame of payload type 0xA001, then SessionSetupReq",
        expectation="no response to the first, an OK response to the second",
        tags=("negative",),
    ),
    iso2_case(
        "TP-03",
        "7.8.3",
        "a message may arrive in several segments of TCP",
        TRANSPORT,
        _segments,
        _READS_WHOLE_SEGMENTS,
        stimulus="SessionSetupReq in segments of 5 bytes",
        expectation="an OK response",
        tags=("nominal",),
    ),
    iso2_case(
        "TP-04",
        "7.9.1",
        "a payload that is no EXI document of the schema is not accepted",
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
    iso2_case(
        "TP-05",
        "7.8.3",
        "an excessive payload length does not block the SECC",
        TRANSPORT,
        _excessive_length,
        _NEXT_IS_REFUSED,
        stimulus="a frame header that states 4 GiB; the connection is closed and opened again",
        expectation="an OK handshake on the next connection",
        tags=("negative",),
    ),
    din70121_case(
        "TP-06",
        "9.6.3",
        "after a lost connection a new session can be opened",
        TRANSPORT,
        _after_lost_connection,
        _NEXT_IS_REFUSED,
        stimulus="TCP is closed without SessionStopReq; a new connection is opened",
        expectation="an OK handshake and a new session",
        tags=("negative",),
    ),
)
