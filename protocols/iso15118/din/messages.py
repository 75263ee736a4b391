"""The messages of DIN SPEC 70121 (namespaces MsgDef, MsgHeader and MsgBody, V2GTP payload type 0x8001).

Every message is the one element in the body of a V2G_Message. In the field: DC, external payment, no TLS; AC, contracts
and certificates are declared and unused. Types are in `types`.
"""

from __future__ import annotations

from typing import Annotated

from protocols.exi.declare import (
    Attribute,
    Long,
    Namespace,
    Ref,
    Short,
    complex_type,
    element,
)
from protocols.iso15118.din.types import (
    EVCCID,
    EVSEID,
    SAID,
    AC_EVChargeParameter,
    AC_EVSEChargeParameter,
    AC_EVSEStatus,
    Certificate,
    CertificateChain,
    ChargingProfile,
    ContractID,
    DC_EVChargeParameter,
    DC_EVPowerDeliveryParameter,
    DC_EVSEChargeParameter,
    DC_EVSEStatus,
    DC_EVStatus,
    DHParams,
    EVChargeParameter,
    EVPowerDeliveryParameter,
    EVRequestedEnergyTransfer,
    EVSEChargeParameter,
    EVSEProcessing,
    EVSEStatus,
    GenChallenge,
    ListOfRootCertificateIDs,
    MeterInfo,
    Notification,
    PaymentOption,
    PaymentOptions,
    PhysicalValue,
    PrivateKey,
    ResponseCode,
    SAScheduleList,
    SASchedules,
    SelectedServiceList,
    ServiceCategory,
    ServiceCharge,
    ServiceID,
    ServiceParameterList,
    ServiceScope,
    ServiceTagList,
    SessionID,
)
from protocols.iso15118.xmldsig import Signature

MSG_DEF = Namespace("urn:din:70121:2012:MsgDef", qualified_attributes=False)
MSG_HEADER = Namespace("urn:din:70121:2012:MsgHeader", qualified_attributes=False)
MSG_BODY = Namespace("urn:din:70121:2012:MsgBody", qualified_attributes=False)


# ------------------------------------------------------------------------------------- abstract base of all messages


@element(MSG_DEF, abstract=True)
class BodyElement:
    """Abstract base of all messages."""


# ----------------------------------------------------------------------------------------------- session and services


@element(MSG_BODY)
class SessionSetupReq(BodyElement):
    """Opens a session, or resumes a paused one."""

    EVCCID: EVCCID


@element(MSG_BODY)
class SessionSetupRes(BodyElement):
    """Gives the EVSE id and the time."""

    ResponseCode: ResponseCode
    EVSEID: EVSEID
    DateTimeNow: Long | None = None  # Unix time, s


@element(MSG_BODY)
class ServiceDiscoveryReq(BodyElement):
    """Requests the services, all or of a scope and category."""

    ServiceScope: ServiceScope | None = None
    ServiceCategory: ServiceCategory | None = None


@element(MSG_BODY)
class ServiceDiscoveryRes(BodyElement):
    """Payment options, the charging service and others."""

    ResponseCode: ResponseCode
    PaymentOptions: PaymentOptions
    ChargeService: ServiceCharge
    ServiceList: ServiceTagList | None = None


@element(MSG_BODY)
class ServiceDetailReq(BodyElement):
    """Requests the parameters of one service."""

    ServiceID: ServiceID


@element(MSG_BODY)
class ServiceDetailRes(BodyElement):
    """The parameters of one service."""

    ResponseCode: ResponseCode
    ServiceID: ServiceID
    ServiceParameterList: ServiceParameterList | None = None


@element(MSG_BODY)
class ServicePaymentSelectionReq(BodyElement):
    """Selects payment option and services."""

    SelectedPaymentOption: PaymentOption
    SelectedServiceList: SelectedServiceList


@element(MSG_BODY)
class ServicePaymentSelectionRes(BodyElement):
    """Confirms the selection."""

    ResponseCode: ResponseCode


# --------------------------------------------------------------------------------------- identification and contracts


@element(MSG_BODY)
class PaymentDetailsReq(BodyElement):
    """Presents the contract."""

    ContractID: ContractID
    ContractSignatureCertChain: CertificateChain


@element(MSG_BODY)
class PaymentDetailsRes(BodyElement):
    """Challenges the holder of the contract."""

    ResponseCode: ResponseCode
    GenChallenge: GenChallenge
    DateTimeNow: Long  # Unix time, s


@element(MSG_BODY)
class ContractAuthenticationReq(BodyElement):
    """Requests authorization; repeated while Ongoing."""

    Id: Attribute[str] | None = None
    GenChallenge: GenChallenge | None = None


@element(MSG_BODY)
class ContractAuthenticationRes(BodyElement):
    """State of the authorization."""

    ResponseCode: ResponseCode
    EVSEProcessing: EVSEProcessing


@element(MSG_BODY)
class CertificateUpdateReq(BodyElement):
    """Requests a new contract certificate; signed."""

    Id: Attribute[str] | None = None
    ContractSignatureCertChain: CertificateChain
    ContractID: ContractID
    ListOfRootCertificateIDs: ListOfRootCertificateIDs
    DHParams: DHParams


@element(MSG_BODY)
class CertificateUpdateRes(BodyElement):
    """The new contract, its parts signed by the provisioning service."""

    Id: Attribute[str]
    ResponseCode: ResponseCode
    ContractSignatureCertChain: CertificateChain
    ContractSignatureEncryptedPrivateKey: PrivateKey
    DHParams: DHParams
    ContractID: ContractID
    RetryCounter: Short


@element(MSG_BODY)
class CertificateInstallationReq(BodyElement):
    """Requests a contract with the provisioning certificate; signed."""

    Id: Attribute[str] | None = None
    OEMProvisioningCert: Certificate
    ListOfRootCertificateIDs: ListOfRootCertificateIDs
    DHParams: DHParams


@element(MSG_BODY)
class CertificateInstallationRes(BodyElement):
    """The contract, its parts signed by the provisioning service."""

    Id: Attribute[str]
    ResponseCode: ResponseCode
    ContractSignatureCertChain: CertificateChain
    ContractSignatureEncryptedPrivateKey: PrivateKey
    DHParams: DHParams
    ContractID: ContractID


# ----------------------------------------------------------------------------------------------------------- charging


@element(MSG_BODY)
class ChargeParameterDiscoveryReq(BodyElement):
    """Limits and needs of the EV; repeated while Ongoing."""

    EVRequestedEnergyTransferType: EVRequestedEnergyTransfer
    EVChargeParameter: Annotated[AC_EVChargeParameter | DC_EVChargeParameter, Ref(EVChargeParameter)]


@element(MSG_BODY)
class ChargeParameterDiscoveryRes(BodyElement):
    """Offered schedules and the limits of the EVSE."""

    ResponseCode: ResponseCode
    EVSEProcessing: EVSEProcessing
    SASchedules: Annotated[SAScheduleList, Ref(SASchedules)]
    EVSEChargeParameter: Annotated[AC_EVSEChargeParameter | DC_EVSEChargeParameter, Ref(EVSEChargeParameter)]


@element(MSG_BODY)
class PowerDeliveryReq(BodyElement):
    """Starts (ReadyToChargeState) or stops the energy transfer."""

    ReadyToChargeState: bool
    ChargingProfile: ChargingProfile | None = None
    EVPowerDeliveryParameter: Annotated[DC_EVPowerDeliveryParameter, Ref(EVPowerDeliveryParameter)] | None = None


@element(MSG_BODY)
class PowerDeliveryRes(BodyElement):
    """Confirms."""

    ResponseCode: ResponseCode
    EVSEStatus: Annotated[AC_EVSEStatus | DC_EVSEStatus, Ref(EVSEStatus)]


@element(MSG_BODY)
class MeteringReceiptReq(BodyElement):
    """Signs a meter reading."""

    Id: Attribute[str] | None = None
    SessionID: SessionID
    SAScheduleTupleID: SAID | None = None
    MeterInfo: MeterInfo


@element(MSG_BODY)
class MeteringReceiptRes(BodyElement):
    """Confirms the receipt."""

    ResponseCode: ResponseCode
    AC_EVSEStatus: AC_EVSEStatus


@element(MSG_BODY)
class SessionStopReq(BodyElement):
    """Ends the session."""


@element(MSG_BODY)
class SessionStopRes(BodyElement):
    """The last message of a session."""

    ResponseCode: ResponseCode


# ----------------------------------------------------------------------------------------------------------------- AC


@element(MSG_BODY)
class ChargingStatusReq(BodyElement):
    """AC charging: requests the status."""


@element(MSG_BODY)
class ChargingStatusRes(BodyElement):
    """AC charging: limit, meter and status."""

    ResponseCode: ResponseCode
    EVSEID: EVSEID
    SAScheduleTupleID: SAID
    EVSEMaxCurrent: PhysicalValue | None = None
    MeterInfo: MeterInfo | None = None
    ReceiptRequired: bool
    AC_EVSEStatus: AC_EVSEStatus


# ----------------------------------------------------------------------------------------------------------------- DC


@element(MSG_BODY)
class CableCheckReq(BodyElement):
    """DC: requests the insulation test; repeated while Ongoing."""

    DC_EVStatus: DC_EVStatus


@element(MSG_BODY)
class CableCheckRes(BodyElement):
    """DC: result of the insulation test."""

    ResponseCode: ResponseCode
    DC_EVSEStatus: DC_EVSEStatus
    EVSEProcessing: EVSEProcessing


@element(MSG_BODY)
class PreChargeReq(BodyElement):
    """DC: requests the battery voltage at the output."""

    DC_EVStatus: DC_EVStatus
    EVTargetVoltage: PhysicalValue
    EVTargetCurrent: PhysicalValue


@element(MSG_BODY)
class PreChargeRes(BodyElement):
    """DC: the voltage at the output."""

    ResponseCode: ResponseCode
    DC_EVSEStatus: DC_EVSEStatus
    EVSEPresentVoltage: PhysicalValue


@element(MSG_BODY)
class CurrentDemandReq(BodyElement):
    """DC: target current and voltage of the EV."""

    DC_EVStatus: DC_EVStatus
    EVTargetCurrent: PhysicalValue
    EVMaximumVoltageLimit: PhysicalValue | None = None
    EVMaximumCurrentLimit: PhysicalValue | None = None
    EVMaximumPowerLimit: PhysicalValue | None = None
    BulkChargingComplete: bool | None = None
    ChargingComplete: bool
    RemainingTimeToFullSoC: PhysicalValue | None = None
    RemainingTimeToBulkSoC: PhysicalValue | None = None
    EVTargetVoltage: PhysicalValue


@element(MSG_BODY)
class CurrentDemandRes(BodyElement):
    """DC: present current and voltage, and the limits reached."""

    ResponseCode: ResponseCode
    DC_EVSEStatus: DC_EVSEStatus
    EVSEPresentVoltage: PhysicalValue
    EVSEPresentCurrent: PhysicalValue
    EVSECurrentLimitAchieved: bool
    EVSEVoltageLimitAchieved: bool
    EVSEPowerLimitAchieved: bool
    EVSEMaximumVoltageLimit: PhysicalValue | None = None
    EVSEMaximumCurrentLimit: PhysicalValue | None = None
    EVSEMaximumPowerLimit: PhysicalValue | None = None


@element(MSG_BODY)
class WeldingDetectionReq(BodyElement):
    """DC: verifies after the session that the contactor has opened."""

    DC_EVStatus: DC_EVStatus


@element(MSG_BODY)
class WeldingDetectionRes(BodyElement):
    """DC: the remaining voltage."""

    ResponseCode: ResponseCode
    DC_EVSEStatus: DC_EVSEStatus
    EVSEPresentVoltage: PhysicalValue


# ------------------------------------------------------------------------------------------------------- the document


@complex_type(MSG_HEADER)
class MessageHeader:
    """Header of every message; Signature if the body is signed."""

    SessionID: SessionID
    Notification: Notification | None = None
    Signature: Annotated[Signature, Ref(Signature)] | None = None


@complex_type(MSG_DEF)
class Body:
    """Body with one message."""

    BodyElement: Annotated[BodyElement, Ref(BodyElement)] | None = None


@element(MSG_DEF)
class V2G_Message:
    """The only document of this schema: header and body."""

    Header: MessageHeader
    Body: Body
