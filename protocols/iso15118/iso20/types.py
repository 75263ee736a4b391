"""Types that all messages of ISO 15118-20 share (namespace CommonTypes).

Physical values are RationalNumbers, and the unit is not part of the message: power W, reactive power var, energy Wh,
voltage V, current A, frequency Hz, state of charge %, durations s, points in time Unix seconds (UTC). The messages
themselves are in `common`, `dc` and `ac`; signatures in `..xmldsig`.

Source: the schema's names, order and limits; meaning as agreed by the implementations in the field.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from protocols.exi.declare import (
    Binary,
    Byte,
    Integer,
    Namespace,
    Occurs,
    Ref,
    Short,
    Text,
    UnsignedInt,
    UnsignedLong,
    UnsignedShort,
    complex_type,
    element,
)
from protocols.iso15118.xmldsig import Signature, X509IssuerSerial

COMMON_TYPES = Namespace("urn:iso:std:iso:15118:-20:CommonTypes")


# ------------------------------------------------------------------------------------------------------- simple types

NumericID = Annotated[int, Integer(1, 4294967295)]  # never 0
SessionID = Annotated[bytes, Binary(8, 8, hexadecimal=True)]  # assigned by the SECC; eight zero bytes request a new one
PercentValue = Annotated[int, Integer(0, 100)]  # %
Identifier = Annotated[str, Text(max_length=255)]
Name = Annotated[str, Text(max_length=80)]
Description = Annotated[str, Text(max_length=160)]
MeterID = Annotated[str, Text(max_length=32)]
MeterSignature = Annotated[bytes, Binary(0, 64)]


# -------------------------------------------------------------------------------------------------------------- codes


class ResponseCode(StrEnum):
    """OK* continues, WARNING_* leaves the sequence unchanged, FAILED* ends the session at once, for both sides."""

    OK = "OK"
    OK_CertificateExpiresSoon = "OK_CertificateExpiresSoon"
    OK_NewSessionEstablished = "OK_NewSessionEstablished"
    OK_OldSessionJoined = "OK_OldSessionJoined"
    OK_PowerToleranceConfirmed = "OK_PowerToleranceConfirmed"
    WARNING_AuthorizationSelectionInvalid = "WARNING_AuthorizationSelectionInvalid"
    WARNING_CertificateExpired = "WARNING_CertificateExpired"
    WARNING_CertificateNotYetValid = "WARNING_CertificateNotYetValid"
    WARNING_CertificateRevoked = "WARNING_CertificateRevoked"
    WARNING_CertificateValidationError = "WARNING_CertificateValidationError"
    WARNING_ChallengeInvalid = "WARNING_ChallengeInvalid"
    WARNING_EIMAuthorizationFailure = "WARNING_EIMAuthorizationFailure"
    WARNING_eMSPUnknown = "WARNING_eMSPUnknown"
    WARNING_EVPowerProfileViolation = "WARNING_EVPowerProfileViolation"
    WARNING_GeneralPnCAuthorizationError = "WARNING_GeneralPnCAuthorizationError"
    WARNING_NoCertificateAvailable = "WARNING_NoCertificateAvailable"
    WARNING_NoContractMatchingPCIDFound = "WARNING_NoContractMatchingPCIDFound"
    WARNING_PowerToleranceNotConfirmed = "WARNING_PowerToleranceNotConfirmed"
    WARNING_ScheduleRenegotiationFailed = "WARNING_ScheduleRenegotiationFailed"
    WARNING_StandbyNotAllowed = "WARNING_StandbyNotAllowed"
    WARNING_WPT = "WARNING_WPT"
    FAILED = "FAILED"
    FAILED_AssociationError = "FAILED_AssociationError"
    FAILED_ContactorError = "FAILED_ContactorError"
    FAILED_EVPowerProfileInvalid = "FAILED_EVPowerProfileInvalid"
    FAILED_EVPowerProfileViolation = "FAILED_EVPowerProfileViolation"
    FAILED_MeteringSignatureNotValid = "FAILED_MeteringSignatureNotValid"
    FAILED_NoEnergyTransferServiceSelected = "FAILED_NoEnergyTransferServiceSelected"
    FAILED_NoServiceRenegotiationSupported = "FAILED_NoServiceRenegotiationSupported"
    FAILED_PauseNotAllowed = "FAILED_PauseNotAllowed"
    FAILED_PowerDeliveryNotApplied = "FAILED_PowerDeliveryNotApplied"
    FAILED_PowerToleranceNotConfirmed = "FAILED_PowerToleranceNotConfirmed"
    FAILED_ScheduleRenegotiation = "FAILED_ScheduleRenegotiation"
    FAILED_ScheduleSelectionInvalid = "FAILED_ScheduleSelectionInvalid"
    FAILED_SequenceError = "FAILED_SequenceError"
    FAILED_ServiceIDInvalid = "FAILED_ServiceIDInvalid"
    FAILED_ServiceSelectionInvalid = "FAILED_ServiceSelectionInvalid"
    FAILED_SignatureError = "FAILED_SignatureError"
    FAILED_UnknownSession = "FAILED_UnknownSession"
    FAILED_WrongChargeParameter = "FAILED_WrongChargeParameter"


class Processing(StrEnum):
    """Ongoing responses are followed by the same request again, Finished is final."""

    Finished = "Finished"
    Ongoing = "Ongoing"
    Ongoing_WaitingForCustomerInteraction = "Ongoing_WaitingForCustomerInteraction"


class EVSENotification(StrEnum):
    """Action that the EVSE requests from the EV."""

    Pause = "Pause"
    ExitStandby = "ExitStandby"
    Terminate = "Terminate"
    ScheduleRenegotiation = "ScheduleRenegotiation"
    ServiceRenegotiation = "ServiceRenegotiation"
    MeteringConfirmation = "MeteringConfirmation"


# ------------------------------------------------------------------------------------------------------------- values


@complex_type(COMMON_TYPES)
class RationalNumber:
    """Value x 10^Exponent; the unit belongs to the field that has this type.

    The standard narrows Exponent to -3..3, the schema (and with it the wire) does not. Round limits to the safe side.
    """

    Exponent: Byte
    Value: Short


@complex_type(COMMON_TYPES)
class EVSEStatus:
    """A notification of the EVSE and the time for the EV to follow it."""

    NotificationMaxDelay: UnsignedShort  # s
    EVSENotification: EVSENotification


@complex_type(COMMON_TYPES)
class DisplayParameters:
    """Values of the EV for display; never an input to control. SOC in %, times in s."""

    PresentSOC: PercentValue | None = None  # %
    MinimumSOC: PercentValue | None = None  # %
    TargetSOC: PercentValue | None = None  # %
    MaximumSOC: PercentValue | None = None  # %
    RemainingTimeToMinimumSOC: UnsignedInt | None = None  # s
    RemainingTimeToTargetSOC: UnsignedInt | None = None  # s
    RemainingTimeToMaximumSOC: UnsignedInt | None = None  # s
    ChargingComplete: bool | None = None
    BatteryEnergyCapacity: RationalNumber | None = None  # Wh
    InletHot: bool | None = None


@complex_type(COMMON_TYPES)
class MeterInfo:
    """Readings of the energy meter. Registers only increase: charge and discharge are counted separately."""

    MeterID: MeterID
    ChargedEnergyReadingWh: UnsignedLong
    BPT_DischargedEnergyReadingWh: UnsignedLong | None = None
    CapacitiveEnergyReadingVARh: UnsignedLong | None = None
    BPT_InductiveEnergyReadingVARh: UnsignedLong | None = None
    MeterSignature: MeterSignature | None = None
    MeterStatus: Short | None = None
    MeterTimestamp: UnsignedLong | None = None  # Unix time, s


@complex_type(COMMON_TYPES)
class DetailedCost:
    """An amount of money and its price."""

    Amount: RationalNumber
    CostPerUnit: RationalNumber


@complex_type(COMMON_TYPES)
class DetailedTax:
    """The tax of one rule of the price schedule."""

    TaxRuleID: NumericID
    Amount: RationalNumber


@complex_type(COMMON_TYPES)
class Receipt:
    """The costs so far, by kind, for the driver."""

    TimeAnchor: UnsignedLong  # Unix time, s
    EnergyCosts: DetailedCost | None = None
    OccupancyCosts: DetailedCost | None = None
    AdditionalServicesCosts: DetailedCost | None = None
    OverstayCosts: DetailedCost | None = None
    TaxCosts: Annotated[tuple[DetailedTax, ...], Occurs(0, 10)] = ()


@complex_type(COMMON_TYPES)
class ListOfRootCertificateIDs:
    """The root certificates known to the EV, by issuer and serial number."""

    RootCertificateID: Annotated[tuple[X509IssuerSerial, ...], Occurs(1, 20)]


# ----------------------------------------------------------------------------------------------- base types of messages


@complex_type(COMMON_TYPES)
class MessageHeader:
    """Header of every message. The SECC assigns SessionID, all later messages carry it; Signature if a part is
    signed."""

    SessionID: SessionID
    TimeStamp: UnsignedLong  # Unix time, s
    Signature: Annotated[Signature, Ref(Signature)] | None = None


@complex_type(COMMON_TYPES, abstract=True)
class V2GMessage:
    """Base of all messages."""

    Header: MessageHeader


@complex_type(COMMON_TYPES, abstract=True)
class V2GRequest(V2GMessage):
    """Base of the EVCC's requests."""


@complex_type(COMMON_TYPES, abstract=True)
class V2GResponse(V2GMessage):
    """Base of the SECC's responses; the name of the request ends in Req."""

    ResponseCode: ResponseCode


@complex_type(COMMON_TYPES, abstract=True)
class ChargeParameterDiscoveryReq(V2GRequest):
    """The EV states its limits, in the form of the service it selected."""


@complex_type(COMMON_TYPES, abstract=True)
class ChargeParameterDiscoveryRes(V2GResponse):
    """The EVSE states its limits."""


@complex_type(COMMON_TYPES, abstract=True)
class ChargeLoopReq(V2GRequest):
    """Sent cyclically while energy flows; DisplayParameters are for people, MeterInfoRequested requests readings."""

    DisplayParameters: DisplayParameters | None = None
    MeterInfoRequested: bool


@complex_type(COMMON_TYPES, abstract=True)
class ChargeLoopRes(V2GResponse):
    """Response to a loop request; EVSEStatus is present when the EVSE requests an action."""

    EVSEStatus: EVSEStatus | None = None
    MeterInfo: MeterInfo | None = None
    Receipt: Receipt | None = None


# ----------------------------------------------------------------------------------- control modes of the charge loop


@element(COMMON_TYPES, abstract=True)
class CLReqControlMode:
    """Abstract base of the control modes of charge loop requests: exactly one of four."""


@element(COMMON_TYPES, abstract=True)
class CLResControlMode:
    """Abstract base of the control modes of charge loop responses: that of the request."""


@complex_type(COMMON_TYPES, abstract=True)
class Scheduled_CLReqControlMode(CLReqControlMode):
    """Scheduled: the EV follows its power profile. Energies are relative to now, so they decrease from loop to loop."""

    EVTargetEnergyRequest: RationalNumber | None = None  # Wh
    EVMaximumEnergyRequest: RationalNumber | None = None  # Wh
    EVMinimumEnergyRequest: RationalNumber | None = None  # Wh


@complex_type(COMMON_TYPES, abstract=True)
class Scheduled_CLResControlMode(CLResControlMode):
    """Scheduled: common part of AC and DC responses (empty)."""


@complex_type(COMMON_TYPES, abstract=True)
class Dynamic_CLReqControlMode(CLReqControlMode):
    """Dynamic: the SECC controls. A negative energy request is the energy above that level."""

    DepartureTime: UnsignedInt | None = None  # s after the TimeStamp of this message
    EVTargetEnergyRequest: RationalNumber  # Wh
    EVMaximumEnergyRequest: RationalNumber  # Wh
    EVMinimumEnergyRequest: RationalNumber  # Wh


@complex_type(COMMON_TYPES, abstract=True)
class Dynamic_CLResControlMode(CLResControlMode):
    """Dynamic: in mobility needs mode 2 the SECC may replace the EV's departure time and SOC targets.

    The EV (or its user) confirms within AckMaxDelay.
    """

    DepartureTime: UnsignedInt | None = None  # s after the TimeStamp of this message
    MinimumSOC: PercentValue | None = None  # %
    TargetSOC: PercentValue | None = None  # %
    AckMaxDelay: UnsignedShort | None = None  # s
