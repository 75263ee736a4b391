"""The messages of ISO 15118-2 (namespaces MsgDef, MsgHeader and MsgBody, V2GTP payload type 0x8001).

Every message is the one element in the body of a V2G_Message. Types are in `types`.
"""

from __future__ import annotations

from typing import Annotated

from protocols.exi.declare import (
    Attribute,
    Long,
    Namespace,
    Ref,
    Short,
    UnsignedShort,
    complex_type,
    element,
)
from protocols.iso15118.iso2.types import (
    EMAID,
    EVCCID,
    EVSEID,
    SAID,
    AC_EVChargeParameter,
    AC_EVSEChargeParameter,
    AC_EVSEStatus,
    Certificate,
    CertificateChain,
    ChargeProgress,
    ChargeService,
    ChargingProfile,
    ChargingSession,
    ContractSignatureEncryptedPrivateKey,
    DC_EVChargeParameter,
    DC_EVPowerDeliveryParameter,
    DC_EVSEChargeParameter,
    DC_EVSEStatus,
    DC_EVStatus,
    DiffieHellmanPublickey,
    EMAIDText,
    EnergyTransferMode,
    EVChargeParameter,
    EVPowerDeliveryParameter,
    EVSEChargeParameter,
    EVSEProcessing,
    EVSEStatus,
    GenChallenge,
    ListOfRootCertificateIDs,
    MeterInfo,
    Notification,
    PaymentOption,
    PaymentOptionList,
    PhysicalValue,
    ResponseCode,
    SAScheduleList,
    SASchedules,
    SelectedServiceList,
    ServiceCategory,
    ServiceID,
    ServiceList,
    ServiceParameterList,
    ServiceScope,
    SessionID,
)
from protocols.iso15118.xmldsig import Signature

MSG_DEF = Namespace("urn:iso:15118:2:2013:MsgDef")
MSG_HEADER = Namespace("urn:iso:15118:2:2013:MsgHeader")
MSG_BODY = Namespace("urn:iso:15118:2:2013:MsgBody")


# ------------------------------------------------------------------------------------- abstract base of all messages


@element(MSG_BODY, abstract=True)
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
    EVSETimeStamp: Long | None = None  # Unix time, s


@element(MSG_BODY)
class ServiceDiscoveryReq(BodyElement):
    """Requests the services, all or of a scope and category."""

    ServiceScope: ServiceScope | None = None
    ServiceCategory: ServiceCategory | None = None


@element(MSG_BODY)
class ServiceDiscoveryRes(BodyElement):
    """Payment options, the charging service and others."""

    ResponseCode: ResponseCode
    PaymentOptionList: PaymentOptionList
    ChargeService: ChargeService
    ServiceList: ServiceList | None = None


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
class PaymentServiceSelectionReq(BodyElement):
    """Selects payment option and services."""

    SelectedPaymentOption: PaymentOption
    SelectedServiceList: SelectedServiceList


@element(MSG_BODY)
class PaymentServiceSelectionRes(BodyElement):
    """Confirms the selection."""

    ResponseCode: ResponseCode


# --------------------------------------------------------------------------------------- identification and contracts


@element(MSG_BODY)
class PaymentDetailsReq(BodyElement):
    """Presents the contract."""

    eMAID: EMAIDText
    ContractSignatureCertChain: CertificateChain


@element(MSG_BODY)
class PaymentDetailsRes(BodyElement):
    """Challenges the holder of the contract."""

    ResponseCode: ResponseCode
    GenChallenge: GenChallenge
    EVSETimeStamp: Long  # Unix time, s


@element(MSG_BODY)
class AuthorizationReq(BodyElement):
    """Requests authorization; with a contract it repeats the challenge and is signed. Repeated while Ongoing."""

    Id: Attribute[str] | None = None
    GenChallenge: GenChallenge | None = None


@element(MSG_BODY)
class AuthorizationRes(BodyElement):
    """State of the authorization."""

    ResponseCode: ResponseCode
    EVSEProcessing: EVSEProcessing


@element(MSG_BODY)
class CertificateUpdateReq(BodyElement):
    """Requests a new contract certificate; signed."""

    Id: Attribute[str]
    ContractSignatureCertChain: CertificateChain
    eMAID: EMAIDText
    ListOfRootCertificateIDs: ListOfRootCertificateIDs


@element(MSG_BODY)
class CertificateUpdateRes(BodyElement):
    """The new contract, its parts signed by the provisioning service."""

    ResponseCode: ResponseCode
    SAProvisioningCertificateChain: CertificateChain
    ContractSignatureCertChain: CertificateChain
    ContractSignatureEncryptedPrivateKey: ContractSignatureEncryptedPrivateKey
    DHpublickey: DiffieHellmanPublickey
    eMAID: EMAID
    RetryCounter: Short | None = None


@element(MSG_BODY)
class CertificateInstallationReq(BodyElement):
    """Requests a contract with the provisioning certificate; signed."""

    Id: Attribute[str]
    OEMProvisioningCert: Certificate
    ListOfRootCertificateIDs: ListOfRootCertificateIDs


@element(MSG_BODY)
class CertificateInstallationRes(BodyElement):
    """The contract, its parts signed by the provisioning service."""

    ResponseCode: ResponseCode
    SAProvisioningCertificateChain: CertificateChain
    ContractSignatureCertChain: CertificateChain
    ContractSignatureEncryptedPrivateKey: ContractSignatureEncryptedPrivateKey
    DHpublickey: DiffieHellmanPublickey
    eMAID: EMAID


# ----------------------------------------------------------------------------------------------------------- charging


@element(MSG_BODY)
class ChargeParameterDiscoveryReq(BodyElement):
    """Limits and needs of the EV; repeated while Ongoing."""

    MaxEntriesSAScheduleTuple: UnsignedShort | None = None
    RequestedEnergyTransferMode: EnergyTransferMode
    EVChargeParameter: Annotated[AC_EVChargeParameter | DC_EVChargeParameter, Ref(EVChargeParameter)]


@element(MSG_BODY)
class ChargeParameterDiscoveryRes(BodyElement):
    """Offered schedules and the limits of the EVSE."""

    ResponseCode: ResponseCode
    EVSEProcessing: EVSEProcessing
    SASchedules: Annotated[SAScheduleList, Ref(SASchedules)] | None = None
    EVSEChargeParameter: Annotated[AC_EVSEChargeParameter | DC_EVSEChargeParameter, Ref(EVSEChargeParameter)]


@element(MSG_BODY)
class PowerDeliveryReq(BodyElement):
    """Starts, stops or renegotiates, with schedule and profile."""

    ChargeProgress: ChargeProgress
    SAScheduleTupleID: SAID
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
    EVSEStatus: Annotated[AC_EVSEStatus | DC_EVSEStatus, Ref(EVSEStatus)]


@element(MSG_BODY)
class SessionStopReq(BodyElement):
    """Ends or pauses the session."""

    ChargingSession: ChargingSession


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
    ReceiptRequired: bool | None = None
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
    EVSEID: EVSEID
    SAScheduleTupleID: SAID
    MeterInfo: MeterInfo | None = None
    ReceiptRequired: bool | None = None


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


@complex_type(MSG_BODY)
class Body:
    """Body with one message."""

    BodyElement: Annotated[BodyElement, Ref(BodyElement)] | None = None


@element(MSG_DEF)
class V2G_Message:
    """The only document of this schema: header and body."""

    Header: MessageHeader
    Body: Body
