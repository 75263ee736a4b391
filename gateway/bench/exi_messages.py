"""Messages of `v2x bench exi`: a charge loop pair, a large schedule, contracts of both generations."""

from __future__ import annotations

from typing import Any, NamedTuple

from gateway.bench.exi_loop import HEADER, RANDOM, any_number, loop_request, loop_response
from protocols.exi.codec import Codec
from protocols.iso15118.codecs import ISO2, ISO20_COMMON, ISO20_DC
from protocols.iso15118.iso2 import messages as iso2
from protocols.iso15118.iso2 import types as iso2_types
from protocols.iso15118.iso20 import common
from protocols.iso15118.iso20.types import Processing, ResponseCode


class Case(NamedTuple):
    """A message to measure, with Josev's name of its schema."""

    name: str
    codec: Codec
    namespace: str
    message: Any


def schedule_response(entries: int = 72) -> common.ScheduleExchangeRes:
    """Return three schedules of a day in quarter hours, with price levels."""

    def powers() -> common.PowerSchedule:
        rows = (common.PowerScheduleEntry(Duration=900, Power=any_number()) for _ in range(entries))
        row_list = common.PowerScheduleEntryList(PowerScheduleEntry=tuple(rows))
        return common.PowerSchedule(TimeAnchor=1_725_456_333, PowerScheduleEntries=row_list)

    def prices(schedule: int) -> common.PriceLevelSchedule:
        rows = (common.PriceLevelScheduleEntry(Duration=900, PriceLevel=i % 4) for i in range(entries))
        return common.PriceLevelSchedule(
            TimeAnchor=1_725_456_333,
            PriceScheduleID=schedule,
            NumberOfPriceLevels=4,
            PriceLevelScheduleEntries=common.PriceLevelScheduleEntryList(PriceLevelScheduleEntry=tuple(rows)),
        )

    tuples = tuple(
        common.ScheduleTuple(
            ScheduleTupleID=i,
            ChargingSchedule=common.ChargingSchedule(PowerSchedule=powers(), PriceLevelSchedule=prices(i)),
            DischargingSchedule=common.ChargingSchedule(PowerSchedule=powers(), PriceLevelSchedule=prices(i)),
        )
        for i in (1, 2, 3)
    )
    return common.ScheduleExchangeRes(
        Header=HEADER,
        ResponseCode=ResponseCode.OK,
        EVSEProcessing=Processing.Finished,
        Scheduled_SEResControlMode=common.Scheduled_SEResControlMode(ScheduleTuple=tuples),
    )


def contract_response() -> common.CertificateInstallationRes:
    """Return a contract of ISO 15118-20 with both chains."""
    data = RANDOM.randbytes
    return common.CertificateInstallationRes(
        Header=HEADER,
        ResponseCode=ResponseCode.OK,
        EVSEProcessing=Processing.Finished,
        CPSCertificateChain=common.CertificateChain(
            Certificate=data(800), SubCertificates=common.SubCertificates(Certificate=(data(800), data(790)))
        ),
        SignedInstallationData=common.SignedInstallationData(
            Id="id1",
            ContractCertificateChain=common.ContractCertificateChain(
                Certificate=data(900), SubCertificates=common.SubCertificates(Certificate=(data(800), data(600)))
            ),
            ECDHCurve=common.ECDHCurve.SECP521,
            DHPublicKey=data(133),
            SECP521_EncryptedPrivateKey=data(94),
        ),
        RemainingContractCertificateChains=0,
    )


def iso2_document(body: iso2.BodyElement) -> iso2.V2G_Message:
    """Return a message of ISO 15118-2."""
    header = iso2.MessageHeader(SessionID=bytes(range(1, 9)))
    return iso2.V2G_Message(Header=header, Body=iso2.Body(BodyElement=body))


def iso2_contract() -> iso2.V2G_Message:
    """Return a contract of ISO 15118-2 with both chains."""
    data = RANDOM.randbytes

    def chain(name: str) -> iso2_types.CertificateChain:
        subs = iso2_types.SubCertificates(Certificate=(data(600), data(600)))
        return iso2_types.CertificateChain(Id=name, Certificate=data(600), SubCertificates=subs)

    return iso2_document(
        iso2.CertificateInstallationRes(
            ResponseCode=iso2_types.ResponseCode.OK,
            SAProvisioningCertificateChain=chain("id1"),
            ContractSignatureCertChain=chain("id2"),
            ContractSignatureEncryptedPrivateKey=iso2_types.ContractSignatureEncryptedPrivateKey(
                Id="id3", value=data(48)
            ),
            DHpublickey=iso2_types.DiffieHellmanPublickey(Id="id4", value=data(65)),
            eMAID=iso2_types.EMAID(Id="id5", value="DEABCC123456789"),
        )
    )


def cases() -> list[Case]:
    """Return the messages to measure, in order."""
    start = iso2_document(iso2.SessionSetupReq(EVCCID=bytes(6)))
    charge_loop, shared, second = "ISO_V20_DC", "ISO_V20_COMMON_MSG", "ISO_V2_MSG_DEF"
    return [
        Case("DC_ChargeLoopReq", ISO20_DC, charge_loop, loop_request()),
        Case("DC_ChargeLoopRes", ISO20_DC, charge_loop, loop_response()),
        Case("ScheduleExchangeRes", ISO20_COMMON, shared, schedule_response()),
        Case("CertificateInstallationRes", ISO20_COMMON, shared, contract_response()),
        Case("SessionSetupReq (-2)", ISO2, second, start),
        Case("CertificateInstallationRes (-2)", ISO2, second, iso2_contract()),
    ]
