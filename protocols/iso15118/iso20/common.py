"""The messages of ISO 15118-20 that AC and DC share (namespace CommonMessages, V2GTP payload type 0x8002).

In the order of a session: setup and identification, services, schedules, power delivery, metering, stop; then contract
certificates and parking. Types precede the messages that use them, those of schedules and prices are in
`common_schedules`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from protocols.exi.declare import (
    AtMostOneOf,
    Attribute,
    Binary,
    Byte,
    Int,
    Integer,
    Occurs,
    OneOf,
    Short,
    UnsignedByte,
    UnsignedInt,
    UnsignedLong,
    UnsignedShort,
    complex_type,
    element,
)
from protocols.iso15118.iso20.common_schedules import (
    COMMON_MESSAGES as COMMON_MESSAGES,
)
from protocols.iso15118.iso20.common_schedules import (
    AbsolutePriceSchedule as AbsolutePriceSchedule,
)
from protocols.iso15118.iso20.common_schedules import (
    AdditionalService as AdditionalService,
)
from protocols.iso15118.iso20.common_schedules import (
    AdditionalServiceList as AdditionalServiceList,
)
from protocols.iso15118.iso20.common_schedules import (
    EVAbsolutePriceSchedule as EVAbsolutePriceSchedule,
)
from protocols.iso15118.iso20.common_schedules import (
    EVEnergyOffer as EVEnergyOffer,
)
from protocols.iso15118.iso20.common_schedules import (
    EVPowerSchedule as EVPowerSchedule,
)
from protocols.iso15118.iso20.common_schedules import (
    EVPowerScheduleEntry as EVPowerScheduleEntry,
)
from protocols.iso15118.iso20.common_schedules import (
    EVPowerScheduleEntryList as EVPowerScheduleEntryList,
)
from protocols.iso15118.iso20.common_schedules import (
    EVPriceRule as EVPriceRule,
)
from protocols.iso15118.iso20.common_schedules import (
    EVPriceRuleStack as EVPriceRuleStack,
)
from protocols.iso15118.iso20.common_schedules import (
    EVPriceRuleStackList as EVPriceRuleStackList,
)
from protocols.iso15118.iso20.common_schedules import (
    OverstayRule as OverstayRule,
)
from protocols.iso15118.iso20.common_schedules import (
    OverstayRuleList as OverstayRuleList,
)
from protocols.iso15118.iso20.common_schedules import (
    PowerSchedule as PowerSchedule,
)
from protocols.iso15118.iso20.common_schedules import (
    PowerScheduleEntry as PowerScheduleEntry,
)
from protocols.iso15118.iso20.common_schedules import (
    PowerScheduleEntryList as PowerScheduleEntryList,
)
from protocols.iso15118.iso20.common_schedules import (
    PriceLevelSchedule as PriceLevelSchedule,
)
from protocols.iso15118.iso20.common_schedules import (
    PriceLevelScheduleEntry as PriceLevelScheduleEntry,
)
from protocols.iso15118.iso20.common_schedules import (
    PriceLevelScheduleEntryList as PriceLevelScheduleEntryList,
)
from protocols.iso15118.iso20.common_schedules import (
    PriceRule as PriceRule,
)
from protocols.iso15118.iso20.common_schedules import (
    PriceRuleStack as PriceRuleStack,
)
from protocols.iso15118.iso20.common_schedules import (
    PriceRuleStackList as PriceRuleStackList,
)
from protocols.iso15118.iso20.common_schedules import (
    PriceSchedule as PriceSchedule,
)
from protocols.iso15118.iso20.common_schedules import (
    TaxRule as TaxRule,
)
from protocols.iso15118.iso20.common_schedules import (
    TaxRuleList as TaxRuleList,
)
from protocols.iso15118.iso20.types import (
    Description,
    EVSEStatus,
    Identifier,
    ListOfRootCertificateIDs,
    MeterInfo,
    Name,
    NumericID,
    PercentValue,
    Processing,
    RationalNumber,
    Receipt,
    SessionID,
    V2GRequest,
    V2GResponse,
)

# ------------------------------------------------------------------------------------------------------- simple types

ServiceID = UnsignedShort  # 1 AC, 2 DC, 5 AC_BPT, 6 DC_BPT, 65 Internet, 66 parking status
ParameterSetID = ServiceID
FiniteString = Name
GenChallenge = Annotated[bytes, Binary(16, 16)]  # from the SECC; the EV signs it
Certificate = Annotated[bytes, Binary(0, 1600)]  # X.509, DER
MaxSupportingPointsScheduleTuple = Annotated[int, Integer(12, 1024)]  # number of schedule entries that the EV can store
DHPublicKey = Annotated[bytes, Binary(133, 133)]  # uncompressed point
SECP521_EncryptedPrivateKey = Annotated[bytes, Binary(94, 94)]  # initialisation vector, key, tag
X448_EncryptedPrivateKey = Annotated[bytes, Binary(84, 84)]  # the same for X448
TPM_EncryptedPrivateKey = Annotated[bytes, Binary(206, 206)]  # for a key that only a TPM can open


# -------------------------------------------------------------------------------------------------------------- codes


class Authorization(StrEnum):
    """Means of identification: external, or Plug and Charge."""

    EIM = "EIM"
    PnC = "PnC"


class ChargeProgress(StrEnum):
    """Action of PowerDelivery."""

    Start = "Start"
    Stop = "Stop"
    Standby = "Standby"
    ScheduleRenegotiation = "ScheduleRenegotiation"


class ChannelSelection(StrEnum):
    """Active channel where charging and discharging have separate ones."""

    Charge = "Charge"
    Discharge = "Discharge"


class ChargingSession(StrEnum):
    """End of a session: termination, pause or service renegotiation."""

    Pause = "Pause"
    Terminate = "Terminate"
    ServiceRenegotiation = "ServiceRenegotiation"


class PowerToleranceAcceptance(StrEnum):
    """Response to the power tolerance of a schedule."""

    PowerToleranceNotConfirmed = "PowerToleranceNotConfirmed"
    PowerToleranceConfirmed = "PowerToleranceConfirmed"


class ECDHCurve(StrEnum):
    """Curve of the key exchange."""

    SECP521 = "SECP521"
    X448 = "X448"


class EVCheckInStatus(StrEnum):
    """Progress of the arrival."""

    CheckIn = "CheckIn"
    Processing = "Processing"
    Completed = "Completed"


class EVCheckOutStatus(StrEnum):
    """Progress of the departure."""

    CheckOut = "CheckOut"
    Processing = "Processing"
    Completed = "Completed"


class EVSECheckOutStatus(StrEnum):
    """State of the EVSE for the departure."""

    Scheduled = "Scheduled"
    Completed = "Completed"


class ParkingMethod(StrEnum):
    """Party that steers."""

    AutoParking = "AutoParking"
    MVGuideManual = "MVGuideManual"
    Manual = "Manual"


# ----------------------------------------------------------------------------------------- session and identification


@element(COMMON_MESSAGES)
class SessionSetupReq(V2GRequest):
    """Opens a session, or resumes a paused one when the header carries its SessionID (V2G20-1032).

    EVCCID identifies the vehicle: the common name of its certificate.
    """

    EVCCID: Identifier


@element(COMMON_MESSAGES)
class SessionSetupRes(V2GResponse):
    """New or resumed session (OK_NewSessionEstablished or OK_OldSessionJoined) and the EVSE id."""

    EVSEID: Identifier


@element(COMMON_MESSAGES)
class AuthorizationSetupReq(V2GRequest):
    """Requests the means of identification."""


@complex_type(COMMON_MESSAGES)
class EIM_ASResAuthorizationMode:
    """External identification; without parameters."""


@complex_type(COMMON_MESSAGES)
class SupportedProvidersList:
    """Mobility operators, by provider id."""

    ProviderID: Annotated[tuple[Name, ...], Occurs(1, 128)]


@complex_type(COMMON_MESSAGES)
class PnC_ASResAuthorizationMode:
    """The challenge to sign, and the accepted providers."""

    GenChallenge: GenChallenge
    SupportedProviders: SupportedProvidersList | None = None


@element(COMMON_MESSAGES)
class AuthorizationSetupRes(V2GResponse):
    """Offered means of identification. If PnC is among them its form of the choice is used, with the challenge
    (V2G20-1219)."""

    AuthorizationServices: Annotated[tuple[Authorization, ...], Occurs(1, 2)]
    CertificateInstallationService: bool
    EIM_ASResAuthorizationMode: OneOf[EIM_ASResAuthorizationMode] = None
    PnC_ASResAuthorizationMode: OneOf[PnC_ASResAuthorizationMode] = None


@complex_type(COMMON_MESSAGES)
class SubCertificates:
    """The certificates between leaf and root, leaf side first."""

    Certificate: Annotated[tuple[Certificate, ...], Occurs(1, 3)]


@complex_type(COMMON_MESSAGES)
class ContractCertificateChain:
    """A contract certificate and its sub-CAs."""

    Certificate: Certificate
    SubCertificates: SubCertificates


@complex_type(COMMON_MESSAGES)
class EIM_AReqAuthorizationMode:
    """Identified externally: card, app, operator."""


@complex_type(COMMON_MESSAGES)
class PnC_AReqAuthorizationMode:
    """Challenge and contract chain; signed as a fragment, by reference to Id."""

    Id: Attribute[str]
    GenChallenge: GenChallenge
    ContractCertificateChain: ContractCertificateChain


@element(COMMON_MESSAGES)
class AuthorizationReq(V2GRequest):
    """Identifies by external means (EIM) or by contract certificate (PnC).

    While the response is Ongoing the same request is repeated with a new TimeStamp (V2G20-1582).
    """

    SelectedAuthorizationService: Authorization
    EIM_AReqAuthorizationMode: OneOf[EIM_AReqAuthorizationMode] = None
    PnC_AReqAuthorizationMode: OneOf[PnC_AReqAuthorizationMode] = None


@element(COMMON_MESSAGES)
class AuthorizationRes(V2GResponse):
    """Ongoing while the decision is pending; a WARNING code with Finished permits another attempt."""

    EVSEProcessing: Processing


# ----------------------------------------------------------------------------------------------------------- services


@complex_type(COMMON_MESSAGES)
class ServiceIDList:
    """Services by number."""

    ServiceID: Annotated[tuple[ServiceID, ...], Occurs(1, 16)]


@complex_type(COMMON_MESSAGES)
class Service:
    """One offered service."""

    ServiceID: ServiceID
    FreeService: bool


@complex_type(COMMON_MESSAGES)
class ServiceList:
    """Offered services."""

    Service: Annotated[tuple[Service, ...], Occurs(1, 8)]


@element(COMMON_MESSAGES)
class ServiceDiscoveryReq(V2GRequest):
    """Requests the services; the filter applies to value-added services only (V2G20-1248, -1249)."""

    SupportedServiceIDs: ServiceIDList | None = None


@element(COMMON_MESSAGES)
class ServiceDiscoveryRes(V2GResponse):
    """Offered energy transfer services and value-added services (VAS)."""

    ServiceRenegotiationSupported: bool
    EnergyTransferServiceList: ServiceList
    VASList: ServiceList | None = None


@complex_type(COMMON_MESSAGES)
class Parameter:
    """A name and one value; ControlMode, MobilityNeedsMode, Connector and the others use intValue."""

    Name: Attribute[Name]
    boolValue: OneOf[bool] = None
    byteValue: OneOf[Byte] = None
    shortValue: OneOf[Short] = None
    intValue: OneOf[Int] = None
    rationalNumber: OneOf[RationalNumber] = None
    finiteString: OneOf[FiniteString] = None


@complex_type(COMMON_MESSAGES)
class ParameterSet:
    """A set of parameters; a selection refers to its id."""

    ParameterSetID: ParameterSetID
    Parameter: Annotated[tuple[Parameter, ...], Occurs(1, 32)]


@complex_type(COMMON_MESSAGES)
class ServiceParameterList:
    """All parameter sets of a service."""

    ParameterSet: Annotated[tuple[ParameterSet, ...], Occurs(1, 32)]


@element(COMMON_MESSAGES)
class ServiceDetailReq(V2GRequest):
    """Requests the parameter sets of one service; sent once per candidate."""

    ServiceID: ServiceID


@element(COMMON_MESSAGES)
class ServiceDetailRes(V2GResponse):
    """The parameter sets of one service, each a combination that can be selected."""

    ServiceID: ServiceID
    ServiceParameterList: ServiceParameterList


@complex_type(COMMON_MESSAGES)
class SelectedService:
    """A service with the parameter set chosen from it."""

    ServiceID: ServiceID
    ParameterSetID: ParameterSetID


@complex_type(COMMON_MESSAGES)
class SelectedServiceList:
    """Selected value-added services."""

    SelectedService: Annotated[tuple[SelectedService, ...], Occurs(1, 16)]


@element(COMMON_MESSAGES)
class ServiceSelectionReq(V2GRequest):
    """Selects one energy transfer service with one parameter set, and any value-added services."""

    SelectedEnergyTransferService: SelectedService
    SelectedVASList: SelectedServiceList | None = None


@element(COMMON_MESSAGES)
class ServiceSelectionRes(V2GResponse):
    """Confirms the selection."""


# -------------------------------------------------------------------------------------------------- schedule exchange


@complex_type(COMMON_MESSAGES)
class Dynamic_SEReqControlMode:
    """Needs of an EV in dynamic control. The V2X energies bound the cycling window: both or none (V2G20-2681)."""

    DepartureTime: UnsignedInt  # s after the TimeStamp of this message
    MinimumSOC: PercentValue | None = None  # %
    TargetSOC: PercentValue | None = None  # %
    EVTargetEnergyRequest: RationalNumber  # Wh
    EVMaximumEnergyRequest: RationalNumber  # Wh
    EVMinimumEnergyRequest: RationalNumber  # Wh
    EVMaximumV2XEnergyRequest: RationalNumber | None = None  # Wh
    EVMinimumV2XEnergyRequest: RationalNumber | None = None  # Wh


@complex_type(COMMON_MESSAGES)
class Scheduled_SEReqControlMode:
    """Needs of an EV in scheduled control, and its energy offer."""

    DepartureTime: UnsignedInt | None = None  # s after the TimeStamp of this message
    EVTargetEnergyRequest: RationalNumber | None = None  # Wh
    EVMaximumEnergyRequest: RationalNumber | None = None  # Wh
    EVMinimumEnergyRequest: RationalNumber | None = None  # Wh
    EVEnergyOffer: EVEnergyOffer | None = None


@element(COMMON_MESSAGES)
class ScheduleExchangeReq(V2GRequest):
    """The EV's energy needs, and in scheduled control its energy offer; repeated while the response is Ongoing."""

    MaximumSupportingPoints: MaxSupportingPointsScheduleTuple
    Dynamic_SEReqControlMode: OneOf[Dynamic_SEReqControlMode] = None
    Scheduled_SEReqControlMode: OneOf[Scheduled_SEReqControlMode] = None


@complex_type(COMMON_MESSAGES)
class ChargingSchedule:
    """Power over time, with prices. Prices are optional in the schema and mandatory in scheduled control
    (V2G20-2176)."""

    PowerSchedule: PowerSchedule
    AbsolutePriceSchedule: AtMostOneOf[AbsolutePriceSchedule] = None
    PriceLevelSchedule: AtMostOneOf[PriceLevelSchedule] = None


OneWaySchedule = ChargingSchedule


@complex_type(COMMON_MESSAGES)
class ScheduleTuple:
    """A schedule for charging and optionally one for discharging."""

    ScheduleTupleID: NumericID
    ChargingSchedule: ChargingSchedule
    DischargingSchedule: OneWaySchedule | None = None


@complex_type(COMMON_MESSAGES)
class Dynamic_SEResControlMode:
    """Changed needs (mobility needs mode 2) and prices, if any."""

    DepartureTime: UnsignedInt | None = None  # s after the TimeStamp of this message
    MinimumSOC: PercentValue | None = None  # %
    TargetSOC: PercentValue | None = None  # %
    AbsolutePriceSchedule: AtMostOneOf[AbsolutePriceSchedule] = None
    PriceLevelSchedule: AtMostOneOf[PriceLevelSchedule] = None


@complex_type(COMMON_MESSAGES)
class Scheduled_SEResControlMode:
    """Up to three offered schedules."""

    ScheduleTuple: Annotated[tuple[ScheduleTuple, ...], Occurs(1, 3)]


@element(COMMON_MESSAGES)
class ScheduleExchangeRes(V2GResponse):
    """Schedules (Scheduled) or changed needs and prices (Dynamic). GoToPause: no energy is available now; the EV should
    pause."""

    EVSEProcessing: Processing
    GoToPause: bool | None = None
    Dynamic_SEResControlMode: OneOf[Dynamic_SEResControlMode] = None
    Scheduled_SEResControlMode: OneOf[Scheduled_SEResControlMode] = None


# ----------------------------------------------------------------------------------------------------- power delivery


@complex_type(COMMON_MESSAGES)
class Dynamic_EVPPTControlMode:
    """Without a selected schedule."""


@complex_type(COMMON_MESSAGES)
class Scheduled_EVPPTControlMode:
    """Selected schedule of the profile, and acceptance of its power tolerance."""

    SelectedScheduleTupleID: NumericID
    PowerToleranceAcceptance: PowerToleranceAcceptance | None = None


@complex_type(COMMON_MESSAGES)
class EVPowerProfileEntryList:
    """The entries of the profile."""

    EVPowerProfileEntry: Annotated[tuple[PowerScheduleEntry, ...], Occurs(1, 2048)]


@complex_type(COMMON_MESSAGES)
class EVPowerProfile:
    """Planned power of the EV, within the selected schedule."""

    TimeAnchor: UnsignedLong  # Unix time, s
    Dynamic_EVPPTControlMode: OneOf[Dynamic_EVPPTControlMode] = None
    Scheduled_EVPPTControlMode: OneOf[Scheduled_EVPPTControlMode] = None
    EVPowerProfileEntries: EVPowerProfileEntryList


@element(COMMON_MESSAGES)
class PowerDeliveryReq(V2GRequest):
    """Starts, stops or suspends the energy transfer, or requests new schedules; Start carries the power profile."""

    EVProcessing: Processing
    ChargeProgress: ChargeProgress
    EVPowerProfile: EVPowerProfile | None = None
    BPT_ChannelSelection: ChannelSelection | None = None


@element(COMMON_MESSAGES)
class PowerDeliveryRes(V2GResponse):
    """Confirms; after Start the charge loop follows."""

    EVSEStatus: EVSEStatus | None = None


# ----------------------------------------------------------------------------------------------- metering and the end


@complex_type(COMMON_MESSAGES)
class Dynamic_SMDTControlMode:
    """Without a schedule in force."""


@complex_type(COMMON_MESSAGES)
class Scheduled_SMDTControlMode:
    """The schedule in force."""

    SelectedScheduleTupleID: NumericID


@element(COMMON_MESSAGES)
class SignedMeteringData:
    """The reading that the EV confirms; signed as a fragment."""

    Id: Attribute[str]
    SessionID: SessionID
    MeterInfo: MeterInfo
    Receipt: Receipt | None = None
    Dynamic_SMDTControlMode: OneOf[Dynamic_SMDTControlMode] = None
    Scheduled_SMDTControlMode: OneOf[Scheduled_SMDTControlMode] = None


@element(COMMON_MESSAGES)
class MeteringConfirmationReq(V2GRequest):
    """The EV signs the meter reading received."""

    SignedMeteringData: SignedMeteringData


@element(COMMON_MESSAGES)
class MeteringConfirmationRes(V2GResponse):
    """Confirms the receipt of the signed reading."""


@element(COMMON_MESSAGES)
class SessionStopReq(V2GRequest):
    """Ends or pauses the session, or returns to service discovery (V2G20-1477), with a reason."""

    ChargingSession: ChargingSession
    EVTerminationCode: Name | None = None
    EVTerminationExplanation: Description | None = None


@element(COMMON_MESSAGES)
class SessionStopRes(V2GResponse):
    """The last message of a session."""


# ---------------------------------------------------------------------------------------------- contract certificates


@complex_type(COMMON_MESSAGES)
class CertificateChain:
    """A leaf certificate and its sub-CAs."""

    Certificate: Certificate
    SubCertificates: SubCertificates | None = None


@complex_type(COMMON_MESSAGES)
class SignedCertificateChain:
    """A chain that a signature refers to."""

    Id: Attribute[str]
    Certificate: Certificate
    SubCertificates: SubCertificates | None = None


@complex_type(COMMON_MESSAGES)
class EMAIDList:
    """Contracts, best first."""

    EMAID: Annotated[tuple[Identifier, ...], Occurs(1, 8)]


@element(COMMON_MESSAGES)
class CertificateInstallationReq(V2GRequest):
    """Requests contract certificates; the chain of the provisioning certificate is signed."""

    OEMProvisioningCertificateChain: SignedCertificateChain
    ListOfRootCertificateIDs: ListOfRootCertificateIDs
    MaximumContractCertificateChains: UnsignedByte
    PrioritizedEMAIDs: EMAIDList | None = None


@element(COMMON_MESSAGES)
class SignedInstallationData:
    """Contract chain and encrypted key; signed as a fragment by the provisioning service."""

    Id: Attribute[str]
    ContractCertificateChain: ContractCertificateChain
    ECDHCurve: ECDHCurve
    DHPublicKey: DHPublicKey
    SECP521_EncryptedPrivateKey: OneOf[SECP521_EncryptedPrivateKey] = None
    X448_EncryptedPrivateKey: OneOf[X448_EncryptedPrivateKey] = None
    TPM_EncryptedPrivateKey: OneOf[TPM_EncryptedPrivateKey] = None


@element(COMMON_MESSAGES)
class CertificateInstallationRes(V2GResponse):
    """One contract certificate with its encrypted private key, signed by the provisioning service; more may remain."""

    EVSEProcessing: Processing
    CPSCertificateChain: CertificateChain
    SignedInstallationData: SignedInstallationData
    RemainingContractCertificateChains: UnsignedByte


# ------------------------------------------------------------------------------------------------------------ parking


@element(COMMON_MESSAGES)
class VehicleCheckInReq(V2GRequest):
    """Parking for wireless and pantograph charging: the vehicle arrives. Offsets in mm."""

    EVCheckInStatus: EVCheckInStatus
    ParkingMethod: ParkingMethod
    VehicleFrame: Short | None = None
    DeviceOffset: Short | None = None
    VehicleTravel: Short | None = None


@element(COMMON_MESSAGES)
class VehicleCheckInRes(V2GResponse):
    """Position for the stop."""

    ParkingSpace: Short | None = None
    DeviceLocation: Short | None = None
    TargetDistance: Short | None = None


@element(COMMON_MESSAGES)
class VehicleCheckOutReq(V2GRequest):
    """Announces the departure of the vehicle."""

    EVCheckOutStatus: EVCheckOutStatus
    CheckOutTime: UnsignedLong  # Unix time, s


@element(COMMON_MESSAGES)
class VehicleCheckOutRes(V2GResponse):
    """Permission for the departure."""

    EVSECheckOutStatus: EVSECheckOutStatus


@complex_type(COMMON_MESSAGES)
class TargetPosition:
    """Parking position; declared, but not used."""

    TargetOffsetX: UnsignedShort
    TargetOffsetY: UnsignedShort
