"""Responses with an error code: for every request its response type, with valid values in all mandatory fields.

Source: ISO 15118-20 §8.6: an unexpected request is answered by its own response type with FAILED_SequenceError,
mandatory fields filled with any valid value.
"""

from __future__ import annotations

from collections.abc import Callable

from protocols.iso15118.iso20 import ac, common, dc
from protocols.iso15118.iso20.rational import rational
from protocols.iso15118.iso20.types import MessageHeader, Processing, ResponseCode, V2GResponse

ZERO = rational(0)
_DONE = Processing.Finished


def error_response(request_name: str, header: MessageHeader, code: ResponseCode) -> V2GResponse:
    """Return the response to a request of this element name. Raises KeyError if there is no such request."""
    return _BUILDERS[request_name](header, code)


def has_error_response(request_name: str) -> bool:
    return request_name in _BUILDERS


def _dc_discovery(header: MessageHeader, code: ResponseCode) -> V2GResponse:
    mode = dc.DC_CPDResEnergyTransferMode(
        EVSEMaximumChargePower=ZERO,
        EVSEMinimumChargePower=ZERO,
        EVSEMaximumChargeCurrent=ZERO,
        EVSEMinimumChargeCurrent=ZERO,
        EVSEMaximumVoltage=ZERO,
        EVSEMinimumVoltage=ZERO,
    )
    return dc.DC_ChargeParameterDiscoveryRes(Header=header, ResponseCode=code, DC_CPDResEnergyTransferMode=mode)


def _ac_discovery(header: MessageHeader, code: ResponseCode) -> V2GResponse:
    mode = ac.AC_CPDResEnergyTransferMode(
        EVSEMaximumChargePower=ZERO, EVSEMinimumChargePower=ZERO, EVSENominalFrequency=ZERO
    )
    return ac.AC_ChargeParameterDiscoveryRes(Header=header, ResponseCode=code, AC_CPDResEnergyTransferMode=mode)


def _dc_loop(header: MessageHeader, code: ResponseCode) -> V2GResponse:
    return dc.DC_ChargeLoopRes(
        Header=header,
        ResponseCode=code,
        EVSEPresentCurrent=ZERO,
        EVSEPresentVoltage=ZERO,
        EVSEPowerLimitAchieved=False,
        EVSECurrentLimitAchieved=False,
        EVSEVoltageLimitAchieved=False,
        CLResControlMode=dc.Scheduled_DC_CLResControlMode(),
    )


def _installation(header: MessageHeader, code: ResponseCode) -> V2GResponse:
    chain = common.ContractCertificateChain(Certificate=b"", SubCertificates=common.SubCertificates(Certificate=(b"",)))
    data = common.SignedInstallationData(
        Id="none",
        ContractCertificateChain=chain,
        ECDHCurve=common.ECDHCurve.SECP521,
        DHPublicKey=bytes(133),
        SECP521_EncryptedPrivateKey=bytes(94),
    )
    return common.CertificateInstallationRes(
        Header=header,
        ResponseCode=code,
        EVSEProcessing=_DONE,
        CPSCertificateChain=common.CertificateChain(Certificate=b""),
        SignedInstallationData=data,
        RemainingContractCertificateChains=0,
    )


def _detail(header: MessageHeader, code: ResponseCode) -> V2GResponse:
    nothing = common.ParameterSet(ParameterSetID=0, Parameter=(common.Parameter(Name="ControlMode", intValue=1),))
    return common.ServiceDetailRes(
        Header=header,
        ResponseCode=code,
        ServiceID=0,
        ServiceParameterList=common.ServiceParameterList(ParameterSet=(nothing,)),
    )


def _discovery(header: MessageHeader, code: ResponseCode) -> V2GResponse:
    nothing = common.Service(ServiceID=0, FreeService=False)
    return common.ServiceDiscoveryRes(
        Header=header,
        ResponseCode=code,
        ServiceRenegotiationSupported=False,
        EnergyTransferServiceList=common.ServiceList(Service=(nothing,)),
    )


_BUILDERS: dict[str, Callable[[MessageHeader, ResponseCode], V2GResponse]] = {
    "SessionSetupReq": lambda h, c: common.SessionSetupRes(Header=h, ResponseCode=c, EVSEID=""),
    "AuthorizationSetupReq": lambda h, c: common.AuthorizationSetupRes(
        Header=h,
        ResponseCode=c,
        AuthorizationServices=(common.Authorization.EIM,),
        CertificateInstallationService=False,
        EIM_ASResAuthorizationMode=common.EIM_ASResAuthorizationMode(),
    ),
    "AuthorizationReq": lambda h, c: common.AuthorizationRes(Header=h, ResponseCode=c, EVSEProcessing=_DONE),
    "CertificateInstallationReq": _installation,
    "ServiceDiscoveryReq": _discovery,
    "ServiceDetailReq": _detail,
    "ServiceSelectionReq": lambda h, c: common.ServiceSelectionRes(Header=h, ResponseCode=c),
    "DC_ChargeParameterDiscoveryReq": _dc_discovery,
    "AC_ChargeParameterDiscoveryReq": _ac_discovery,
    "ScheduleExchangeReq": lambda h, c: common.ScheduleExchangeRes(
        Header=h,
        ResponseCode=c,
        EVSEProcessing=_DONE,
        Dynamic_SEResControlMode=common.Dynamic_SEResControlMode(),
    ),
    "DC_CableCheckReq": lambda h, c: dc.DC_CableCheckRes(Header=h, ResponseCode=c, EVSEProcessing=_DONE),
    "DC_PreChargeReq": lambda h, c: dc.DC_PreChargeRes(Header=h, ResponseCode=c, EVSEPresentVoltage=ZERO),
    "PowerDeliveryReq": lambda h, c: common.PowerDeliveryRes(Header=h, ResponseCode=c),
    "DC_ChargeLoopReq": _dc_loop,
    "AC_ChargeLoopReq": lambda h, c: ac.AC_ChargeLoopRes(
        Header=h, ResponseCode=c, CLResControlMode=ac.Scheduled_AC_CLResControlMode()
    ),
    "MeteringConfirmationReq": lambda h, c: common.MeteringConfirmationRes(Header=h, ResponseCode=c),
    "DC_WeldingDetectionReq": lambda h, c: dc.DC_WeldingDetectionRes(Header=h, ResponseCode=c, EVSEPresentVoltage=ZERO),
    "SessionStopReq": lambda h, c: common.SessionStopRes(Header=h, ResponseCode=c),
    "VehicleCheckInReq": lambda h, c: common.VehicleCheckInRes(Header=h, ResponseCode=c),
    "VehicleCheckOutReq": lambda h, c: common.VehicleCheckOutRes(
        Header=h, ResponseCode=c, EVSECheckOutStatus=common.EVSECheckOutStatus.Completed
    ),
}
