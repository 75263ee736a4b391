"""Errors with their path and position: messages that cannot be encoded, streams that cannot be decoded."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.exi.codec import ExiError
from protocols.exi.explain import explain
from protocols.iso15118.codecs import BY_NAME, ISO2, ISO20_COMMON, ISO20_DC, SAP
from protocols.iso15118.iso2.messages import Body, SessionSetupRes, V2G_Message
from protocols.iso15118.iso2.messages import MessageHeader as HeaderOfIso2
from protocols.iso15118.iso2.types import ResponseCode as CodeOfIso2
from protocols.iso15118.iso20.ac import Dynamic_AC_CLReqControlMode
from protocols.iso15118.iso20.common import (
    Authorization,
    AuthorizationReq,
    AuthorizationSetupRes,
    EIM_AReqAuthorizationMode,
    EIM_ASResAuthorizationMode,
    Parameter,
    PnC_AReqAuthorizationMode,
    ServiceDiscoveryReq,
    ServiceIDList,
    SessionSetupReq,
)
from protocols.iso15118.iso20.dc import DC_ChargeLoopReq, DC_PreChargeReq, Scheduled_DC_CLReqControlMode
from protocols.iso15118.iso20.types import MessageHeader, Processing, RationalNumber, ResponseCode
from tests.protocols.exi.vectors import vectors

HEADER = MessageHeader(SessionID=bytes(8), TimeStamp=1_700_000_000)
VOLTAGE = RationalNumber(Exponent=-1, Value=4000)
PRE_CHARGE = DC_PreChargeReq(
    Header=HEADER, EVProcessing=Processing.Ongoing, EVPresentVoltage=VOLTAGE, EVTargetVoltage=VOLTAGE
)


def setup(**changes: Any) -> AuthorizationSetupRes:
    message = AuthorizationSetupRes(
        Header=HEADER,
        ResponseCode=ResponseCode.OK,
        AuthorizationServices=(Authorization.EIM,),
        CertificateInstallationService=False,
        EIM_ASResAuthorizationMode=EIM_ASResAuthorizationMode(),
    )
    return dataclasses.replace(message, **changes)


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (
            dataclasses.replace(PRE_CHARGE, EVTargetVoltage=RationalNumber(Exponent=0, Value=40_000)),
            "DC_PreChargeReq/EVTargetVoltage/Value: 40000 is more than the maximum 32767",
        ),
        (
            dataclasses.replace(PRE_CHARGE, EVTargetVoltage=RationalNumber(Exponent=0, Value=1.5)),  # type: ignore[arg-type]
            "DC_PreChargeReq/EVTargetVoltage/Value: 1.5 is not an integer",
        ),
        (
            dataclasses.replace(PRE_CHARGE, EVTargetVoltage=None),  # type: ignore[arg-type]
            "DC_PreChargeReq/EVTargetVoltage: is missing",
        ),
        (
            dataclasses.replace(PRE_CHARGE, EVProcessing="Soon"),  # type: ignore[arg-type]
            "DC_PreChargeReq/EVProcessing: 'Soon' is none of Finished, Ongoing, Ongoing_WaitingForCustomerInteraction",
        ),
        (
            dataclasses.replace(PRE_CHARGE, EVProcessing=["Ongoing"]),  # type: ignore[arg-type]
            "DC_PreChargeReq/EVProcessing: ['Ongoing'] is of the wrong type",
        ),
        (
            dataclasses.replace(PRE_CHARGE, Header=MessageHeader(SessionID=b"1234567", TimeStamp=0)),
            "DC_PreChargeReq/Header/SessionID: has 7 bytes, exactly 8 are needed",
        ),
        (
            dataclasses.replace(PRE_CHARGE, Header=MessageHeader(SessionID=bytes(8), TimeStamp=-1)),
            "DC_PreChargeReq/Header/TimeStamp: -1 is less than the minimum 0",
        ),
        (
            dataclasses.replace(PRE_CHARGE, Header=PRE_CHARGE),  # type: ignore[arg-type]
            "DC_PreChargeReq/Header: DC_PreChargeReq is not allowed here, only MessageHeader",
        ),
        (
            DC_ChargeLoopReq(
                Header=HEADER,
                MeterInfoRequested=False,
                EVPresentVoltage=VOLTAGE,
                CLReqControlMode=Dynamic_AC_CLReqControlMode,  # type: ignore[arg-type]
            ),
            "DC_ChargeLoopReq/CLReqControlMode: type is not allowed here, only BPT_Dynamic_DC_CLReqControlMode",
        ),
    ],
)
def test_a_dc_message_that_breaks_its_declaration(message: Any, fault: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        ISO20_DC.encode(message)
    assert str(caught.value).startswith(fault)


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (
            SessionSetupReq(Header=HEADER, EVCCID="x" * 256),
            "SessionSetupReq/EVCCID: has 256 characters, at most 255 are allowed",
        ),
        (
            SessionSetupReq(Header=HEADER, EVCCID="half \ud800"),
            "SessionSetupReq/EVCCID: contains an unpaired surrogate",
        ),
        (
            setup(AuthorizationServices=()),
            "AuthorizationSetupRes/AuthorizationServices: has 0 items, at least 1 are needed",
        ),
        (
            setup(AuthorizationServices=(Authorization.EIM,) * 3),
            "AuthorizationSetupRes/AuthorizationServices: has 3 items, at most 2 are allowed",
        ),
        (
            setup(AuthorizationServices=(Authorization.EIM, "NFC")),
            "AuthorizationSetupRes/AuthorizationServices[1]: 'NFC' is none of EIM, PnC",
        ),
        (
            setup(AuthorizationServices=None),
            "AuthorizationSetupRes/AuthorizationServices: None is not a tuple",
        ),
        (
            setup(CertificateInstallationService=2),
            "AuthorizationSetupRes/CertificateInstallationService: 2 is not a boolean",
        ),
        (
            setup(EIM_ASResAuthorizationMode=None),
            "AuthorizationSetupRes: one of EIM_ASResAuthorizationMode, PnC_ASResAuthorizationMode must be present",
        ),
        (
            ServiceDiscoveryReq(Header=HEADER, SupportedServiceIDs=ServiceIDList(ServiceID=(5, 65_536))),
            "ServiceDiscoveryReq/SupportedServiceIDs/ServiceID[1]: 65536 is more than the maximum 65535",
        ),
    ],
)
def test_a_common_message_that_breaks_its_declaration(message: Any, fault: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        ISO20_COMMON.encode(message)
    assert str(caught.value) == fault


def test_two_branches_of_a_choice() -> None:
    message = AuthorizationReq(
        Header=HEADER,
        SelectedAuthorizationService=Authorization.EIM,
        EIM_AReqAuthorizationMode=EIM_AReqAuthorizationMode(),
        PnC_AReqAuthorizationMode=PnC_AReqAuthorizationMode(
            Id="id1",
            GenChallenge=bytes(16),
            ContractCertificateChain=None,  # type: ignore[arg-type]
        ),
    )
    with pytest.raises(LocalProtocolError, match="only one of EIM_AReqAuthorizationMode, PnC_AReqAuthorizationMode"):
        ISO20_COMMON.encode(message)


def test_a_message_of_another_schema_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="DC_PreChargeReq is no message of iso20"):
        ISO20_COMMON.encode(PRE_CHARGE)
    with pytest.raises(LocalProtocolError, match="Parameter is no message of iso20"):
        ISO20_COMMON.encode(Parameter(Name="ControlMode", intValue=1))


def test_an_abstract_element_can_not_be_sent() -> None:
    body = SessionSetupRes(ResponseCode=CodeOfIso2.OK, EVSEID="short")
    message = V2G_Message(Header=HeaderOfIso2(SessionID=b"\0"), Body=Body(BodyElement=body))
    with pytest.raises(LocalProtocolError, match=r"V2G_Message/Body/BodyElement/EVSEID: has 5 characters, at least 7"):
        ISO2.encode(message)


def test_messages_can_not_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        PRE_CHARGE.EVProcessing = Processing.Finished  # type: ignore[misc]
    read = ISO20_DC.decode(ISO20_DC.encode(PRE_CHARGE))
    with pytest.raises(dataclasses.FrozenInstanceError):
        read.Header.SessionID = b""
    with pytest.raises(dataclasses.FrozenInstanceError):
        del read.Header
    assert dataclasses.replace(PRE_CHARGE, EVProcessing=Processing.Finished).EVProcessing is Processing.Finished


def test_numbers_equal_to_integers_count_as_integers() -> None:
    exact = dataclasses.replace(PRE_CHARGE, EVTargetVoltage=RationalNumber(Exponent=0, Value=400))
    as_float = dataclasses.replace(PRE_CHARGE, EVTargetVoltage=RationalNumber(Exponent=0, Value=400.0))  # type: ignore[arg-type]
    assert ISO20_DC.encode(as_float) == ISO20_DC.encode(exact)


STREAM = ISO20_DC.encode(
    DC_ChargeLoopReq(
        Header=HEADER,
        MeterInfoRequested=True,
        EVPresentVoltage=VOLTAGE,
        CLReqControlMode=Scheduled_DC_CLReqControlMode(EVTargetCurrent=VOLTAGE, EVTargetVoltage=VOLTAGE),
    )
)


def fault_of(data: bytes) -> ExiError:
    with pytest.raises(RemoteProtocolError) as caught:
        ISO20_DC.decode(data)
    assert isinstance(caught.value, ExiError)
    return caught.value


def flipped(bit: int) -> bytes:
    changed = bytearray(STREAM)
    changed[bit >> 3] ^= 128 >> (bit & 7)
    return bytes(changed)


@pytest.mark.parametrize(
    ("data", "path", "bit", "why"),
    [
        (b"", "", 0, "is empty"),
        (b"$EXI\x80", "", 0, "the header is not 0x80 (EXI 1.0 without options)"),
        (b"\x80", "", 8, "the message ends here"),
        (b"\x80\xff", "", 8, "element number 63 of 48: foreign content"),
        (b"\x80\x18", "", 8, "CLReqControlMode cannot be a message"),
        (flipped(14), "DC_ChargeLoopReq/Header", 14, "undeclared content"),
        (flipped(18), "DC_ChargeLoopReq/Header/SessionID", 17, "has 72 bytes, exactly 8 are needed"),
        (flipped(15), "DC_ChargeLoopReq/Header/SessionID", 15, "undeclared content"),
    ],
)
def test_a_fault_has_a_path_a_bit_and_a_reason(data: bytes, path: str, bit: int, why: str) -> None:
    fault = fault_of(data)
    assert (fault.path, fault.bit, fault.why) == (path, bit, why)
    assert str(fault) == f"{path or 'stream'}, bit {bit}: {why}"


def test_every_cut_is_found_and_located() -> None:
    for size in range(1, len(STREAM)):
        fault = fault_of(STREAM[:size])
        assert 8 * size - 80 <= fault.bit <= 8 * size, (size, fault)


def test_the_item_of_a_list_is_named() -> None:
    message = ServiceDiscoveryReq(Header=HEADER, SupportedServiceIDs=ServiceIDList(ServiceID=(1, 2, 65_535)))
    data = ISO20_COMMON.encode(message)
    with pytest.raises(ExiError) as caught:
        ISO20_COMMON.decode(data[:-2])
    assert caught.value.path == "ServiceDiscoveryReq/SupportedServiceIDs/ServiceID[2]"


def test_a_literal_beyond_the_last_is_named_by_its_number() -> None:
    with pytest.raises(ExiError, match=r"supportedAppProtocolRes/ResponseCode, bit 12: literal number 3 of an enum"):
        SAP.decode(bytes.fromhex("804c00"))


@pytest.mark.parametrize("name", ["sap", "iso2", "din", "iso20_dc", "iso20_common", "iso20_fragments"])
def test_cuts_and_flips_of_the_vectors_are_located_and_explained(name: str) -> None:
    for number, vector in enumerate(vectors(name)):
        data, codec = bytes.fromhex(vector["exi"]), BY_NAME[vector["schema"]]
        if number % 9 or len(data) > 150:
            continue
        flipped_at = 8 + (number * 7919) % (8 * len(data) - 8)
        changed = bytearray(data)
        changed[flipped_at >> 3] ^= 128 >> (flipped_at & 7)
        for stream in [*(data[:size] for size in range(1, len(data))), bytes(changed)]:
            try:
                codec.decode(stream, lenient=False)
            except ExiError as fault:
                assert 0 <= fault.bit <= 8 * len(stream)  # noqa: PT017
                assert list(explain(codec, stream))[-1].fault
