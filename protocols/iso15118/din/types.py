"""What the messages of DIN SPEC 70121 are made of (namespace MsgDataTypes).

A forerunner of ISO 15118-2 for DC charging: the same names, often other limits, and almost no bounds on lists.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from protocols.exi.declare import (
    Attribute,
    Binary,
    Byte,
    Int,
    Integer,
    Long,
    Namespace,
    Occurs,
    OneOf,
    Ref,
    Short,
    Text,
    UnsignedByte,
    UnsignedInt,
    UnsignedShort,
    complex_type,
    element,
)

MSG_DATA_TYPES = Namespace("urn:din:70121:2012:MsgDataTypes", qualified_attributes=False)


# ------------------------------------------------------------------------------------------------------- simple types

SessionID = Annotated[bytes, Binary(0, 8, hexadecimal=True)]  # a single or eight zero bytes ask for a new one
EVCCID = Annotated[bytes, Binary(0, 8, hexadecimal=True)]  # MAC address of the EVCC
EVSEID = Annotated[bytes, Binary(0, 32, hexadecimal=True)]  # bytes; a single zero byte where the EVSE has no id
ContractID = Annotated[str, Text(max_length=24)]
Certificate = Annotated[bytes, Binary(0, 1200)]  # X.509, DER
RootCertificateID = Annotated[str, Text(max_length=40)]
GenChallenge = str
DHParams = Annotated[bytes, Binary(0, 256)]
PrivateKey = Annotated[bytes, Binary(0, 128)]  # initialisation vector and key
SigMeterReading = Annotated[bytes, Binary(0, 32)]
MeterID = Annotated[str, Text(max_length=32)]
MeterStatus = Short
PercentValue = Annotated[int, Integer(0, 100)]  # %
SAID = Short
ServiceID = UnsignedShort
ServiceName = Annotated[str, Text(max_length=32)]
ServiceScope = Annotated[str, Text(max_length=32)]
TariffDescription = Annotated[str, Text(max_length=32)]
FaultMsg = Annotated[str, Text(max_length=64)]
UnitMultiplier = Annotated[int, Integer(-3, 3)]  # power of ten
PMax = Short  # W


# -------------------------------------------------------------------------------------------------------------- codes


class ResponseCode(StrEnum):
    """OK* goes on, FAILED* ends the session."""

    OK = "OK"
    OK_NewSessionEstablished = "OK_NewSessionEstablished"
    OK_OldSessionJoined = "OK_OldSessionJoined"
    OK_CertificateExpiresSoon = "OK_CertificateExpiresSoon"
    FAILED = "FAILED"
    FAILED_SequenceError = "FAILED_SequenceError"
    FAILED_ServiceIDInvalid = "FAILED_ServiceIDInvalid"
    FAILED_UnknownSession = "FAILED_UnknownSession"
    FAILED_ServiceSelectionInvalid = "FAILED_ServiceSelectionInvalid"
    FAILED_PaymentSelectionInvalid = "FAILED_PaymentSelectionInvalid"
    FAILED_CertificateExpired = "FAILED_CertificateExpired"
    FAILED_SignatureError = "FAILED_SignatureError"
    FAILED_NoCertificateAvailable = "FAILED_NoCertificateAvailable"
    FAILED_CertChainError = "FAILED_CertChainError"
    FAILED_ChallengeInvalid = "FAILED_ChallengeInvalid"
    FAILED_ContractCanceled = "FAILED_ContractCanceled"
    FAILED_WrongChargeParameter = "FAILED_WrongChargeParameter"
    FAILED_PowerDeliveryNotApplied = "FAILED_PowerDeliveryNotApplied"
    FAILED_TariffSelectionInvalid = "FAILED_TariffSelectionInvalid"
    FAILED_ChargingProfileInvalid = "FAILED_ChargingProfileInvalid"
    FAILED_EVSEPresentVoltageToLow = "FAILED_EVSEPresentVoltageToLow"
    FAILED_MeteringSignatureNotValid = "FAILED_MeteringSignatureNotValid"
    FAILED_WrongEnergyTransferType = "FAILED_WrongEnergyTransferType"


class EVSEProcessing(StrEnum):
    """Whether the answer is final; while it is not, the same request comes again."""

    Finished = "Finished"
    Ongoing = "Ongoing"


class EVSENotification(StrEnum):
    """What the EVSE asks the EV to do."""

    NONE = "None"
    StopCharging = "StopCharging"
    ReNegotiation = "ReNegotiation"


class ServiceCategory(StrEnum):
    """Kinds of services."""

    EVCharging = "EVCharging"
    Internet = "Internet"
    ContractCertificate = "ContractCertificate"
    OtherCustom = "OtherCustom"


class EVSESupportedEnergyTransfer(StrEnum):
    """Energy transfer on offer, alone or in combination."""

    AC_single_phase_core = "AC_single_phase_core"
    AC_three_phase_core = "AC_three_phase_core"
    DC_core = "DC_core"
    DC_extended = "DC_extended"
    DC_combo_core = "DC_combo_core"
    DC_dual = "DC_dual"
    AC_core1p_DC_extended = "AC_core1p_DC_extended"
    AC_single_DC_core = "AC_single_DC_core"
    AC_single_phase_three_phase_core_DC_extended = "AC_single_phase_three_phase_core_DC_extended"
    AC_core3p_DC_extended = "AC_core3p_DC_extended"


class EVRequestedEnergyTransfer(StrEnum):
    """Energy transfer wanted."""

    AC_single_phase_core = "AC_single_phase_core"
    AC_three_phase_core = "AC_three_phase_core"
    DC_core = "DC_core"
    DC_extended = "DC_extended"
    DC_combo_core = "DC_combo_core"
    DC_unique = "DC_unique"


class PaymentOption(StrEnum):
    """By contract certificate, or by other means."""

    Contract = "Contract"
    ExternalPayment = "ExternalPayment"


class FaultCode(StrEnum):
    """What a notification reports."""

    ParsingError = "ParsingError"
    NoTLSRootCertificatAvailable = "NoTLSRootCertificatAvailable"
    UnknownError = "UnknownError"


class UnitSymbol(StrEnum):
    """Units of a PhysicalValue."""

    h = "h"
    m = "m"
    s = "s"
    A = "A"
    Ah = "Ah"
    V = "V"
    VA = "VA"
    W = "W"
    W_s = "W/s"
    Wh = "Wh"


class CostKind(StrEnum):
    """What a cost means."""

    relativePricePercentage = "relativePricePercentage"
    RenewableGenerationPercentage = "RenewableGenerationPercentage"
    CarbonDioxideEmission = "CarbonDioxideEmission"


class DC_EVSEStatusCode(StrEnum):
    """State of a DC EVSE."""

    EVSE_NotReady = "EVSE_NotReady"
    EVSE_Ready = "EVSE_Ready"
    EVSE_Shutdown = "EVSE_Shutdown"
    EVSE_UtilityInterruptEvent = "EVSE_UtilityInterruptEvent"
    EVSE_IsolationMonitoringActive = "EVSE_IsolationMonitoringActive"
    EVSE_EmergencyShutdown = "EVSE_EmergencyShutdown"
    EVSE_Malfunction = "EVSE_Malfunction"
    Reserved_8 = "Reserved_8"
    Reserved_9 = "Reserved_9"
    Reserved_A = "Reserved_A"
    Reserved_B = "Reserved_B"
    Reserved_C = "Reserved_C"


class IsolationLevel(StrEnum):
    """Result of the insulation test."""

    Invalid = "Invalid"
    Valid = "Valid"
    Warning = "Warning"
    Fault = "Fault"


class DC_EVErrorCode(StrEnum):
    """State of a DC EV."""

    NO_ERROR = "NO_ERROR"
    FAILED_RESSTemperatureInhibit = "FAILED_RESSTemperatureInhibit"
    FAILED_EVShiftPosition = "FAILED_EVShiftPosition"
    FAILED_ChargerConnectorLockFault = "FAILED_ChargerConnectorLockFault"
    FAILED_EVRESSMalfunction = "FAILED_EVRESSMalfunction"
    FAILED_ChargingCurrentdifferential = "FAILED_ChargingCurrentdifferential"
    FAILED_ChargingVoltageOutOfRange = "FAILED_ChargingVoltageOutOfRange"
    Reserved_A = "Reserved_A"
    Reserved_B = "Reserved_B"
    Reserved_C = "Reserved_C"
    FAILED_ChargingSystemIncompatibility = "FAILED_ChargingSystemIncompatibility"
    NoData = "NoData"


class ValueType(StrEnum):
    """Kinds of parameter values."""

    bool = "bool"
    byte = "byte"
    short = "short"
    int = "int"
    physicalValue = "physicalValue"
    string = "string"


# -------------------------------------------------------------------------------------------------- values and status


@complex_type(MSG_DATA_TYPES)
class PhysicalValue:
    """Value x 10^Multiplier, in Unit if it is said."""

    Multiplier: UnitMultiplier
    Unit: UnitSymbol | None = None
    Value: Short


@complex_type(MSG_DATA_TYPES)
class MeterInfo:
    """A reading of the energy meter, signed by the meter if it can."""

    MeterID: MeterID
    MeterReading: PhysicalValue | None = None
    SigMeterReading: SigMeterReading | None = None
    MeterStatus: MeterStatus | None = None
    TMeter: Long | None = None  # Unix time, s


@complex_type(MSG_DATA_TYPES)
class Notification:
    """An error that is no answer to a request."""

    FaultCode: FaultCode
    FaultMsg: FaultMsg | None = None


@element(MSG_DATA_TYPES, abstract=True)
class EVSEStatus:
    """Head of the two forms of EVSE status."""


@element(MSG_DATA_TYPES)
class AC_EVSEStatus(EVSEStatus):
    """State of an AC EVSE and a wish of it."""

    PowerSwitchClosed: bool
    RCD: bool
    NotificationMaxDelay: UnsignedInt  # s
    EVSENotification: EVSENotification


@element(MSG_DATA_TYPES)
class DC_EVSEStatus(EVSEStatus):
    """Insulation and state of a DC EVSE and a wish of it."""

    EVSEIsolationStatus: IsolationLevel | None = None
    EVSEStatusCode: DC_EVSEStatusCode
    NotificationMaxDelay: UnsignedInt  # s
    EVSENotification: EVSENotification


@element(MSG_DATA_TYPES, abstract=True)
class EVStatus:
    """Head of the EV status."""


@element(MSG_DATA_TYPES)
class DC_EVStatus(EVStatus):
    """Readiness, conditioning, error and state of charge of a DC EV."""

    EVReady: bool
    EVCabinConditioning: bool | None = None
    EVRESSConditioning: bool | None = None
    EVErrorCode: DC_EVErrorCode
    EVRESSSOC: PercentValue  # %


# ----------------------------------------------------------------------------------------------------------- services


@complex_type(MSG_DATA_TYPES)
class ServiceTag:
    """Names a service."""

    ServiceID: ServiceID
    ServiceName: ServiceName | None = None
    ServiceCategory: ServiceCategory
    ServiceScope: ServiceScope | None = None


@complex_type(MSG_DATA_TYPES)
class Service:
    """One service on offer."""

    ServiceTag: ServiceTag
    FreeService: bool


@complex_type(MSG_DATA_TYPES)
class ServiceTagList:
    """Services on offer."""

    Service: Annotated[tuple[Service, ...], Occurs(1, None)]


@element(MSG_DATA_TYPES)
class ServiceCharge(Service):
    """The charging service with its kind of energy transfer."""

    EnergyTransferType: EVSESupportedEnergyTransfer


@complex_type(MSG_DATA_TYPES)
class SelectedService:
    """A service, with the parameter set chosen from it if it has any."""

    ServiceID: ServiceID
    ParameterSetID: Short | None = None


@complex_type(MSG_DATA_TYPES)
class SelectedServiceList:
    """What was chosen; the charging service is number 1."""

    SelectedService: Annotated[tuple[SelectedService, ...], Occurs(1, None)]


@complex_type(MSG_DATA_TYPES)
class Parameter:
    """A name and one value."""

    Name: Attribute[str]
    ValueType: Attribute[ValueType]
    boolValue: OneOf[bool] = None
    byteValue: OneOf[Byte] = None
    shortValue: OneOf[Short] = None
    intValue: OneOf[Int] = None
    physicalValue: OneOf[PhysicalValue] = None
    stringValue: OneOf[str] = None


@complex_type(MSG_DATA_TYPES)
class ParameterSet:
    """Parameters that go together."""

    ParameterSetID: Short
    Parameter: Annotated[tuple[Parameter, ...], Occurs(1, None)]


@complex_type(MSG_DATA_TYPES)
class ServiceParameterList:
    """The parameter sets of a service."""

    ParameterSet: Annotated[tuple[ParameterSet, ...], Occurs(1, None)]


@complex_type(MSG_DATA_TYPES)
class PaymentOptions:
    """Ways to pay on offer."""

    PaymentOption: Annotated[tuple[PaymentOption, ...], Occurs(1, None)]


# ------------------------------------------------------------------------------------------------------- certificates


@complex_type(MSG_DATA_TYPES)
class SubCertificates:
    """The certificates between leaf and root, leaf side first."""

    Certificate: Annotated[tuple[Certificate, ...], Occurs(1, None)]


@complex_type(MSG_DATA_TYPES)
class CertificateChain:
    """A leaf and what leads to its root."""

    Certificate: Certificate
    SubCertificates: SubCertificates | None = None


@complex_type(MSG_DATA_TYPES)
class ListOfRootCertificateIDs:
    """The root certificates that the EV already has."""

    RootCertificateID: Annotated[tuple[RootCertificateID, ...], Occurs(1, None)]


# ------------------------------------------------------------------------------------------------------------- limits


@element(MSG_DATA_TYPES, abstract=True)
class EVChargeParameter:
    """Head of the limits an EV states."""


@element(MSG_DATA_TYPES)
class AC_EVChargeParameter(EVChargeParameter):
    """Departure, energy wanted (Wh), voltage (V) and current (A)."""

    DepartureTime: UnsignedInt  # s from now
    EAmount: PhysicalValue
    EVMaxVoltage: PhysicalValue
    EVMaxCurrent: PhysicalValue
    EVMinCurrent: PhysicalValue


@element(MSG_DATA_TYPES)
class DC_EVChargeParameter(EVChargeParameter):
    """Limits and needs of a DC EV: A, W, V, Wh, %."""

    DC_EVStatus: DC_EVStatus
    EVMaximumCurrentLimit: PhysicalValue
    EVMaximumPowerLimit: PhysicalValue | None = None
    EVMaximumVoltageLimit: PhysicalValue
    EVEnergyCapacity: PhysicalValue | None = None
    EVEnergyRequest: PhysicalValue | None = None
    FullSOC: PercentValue | None = None  # %
    BulkSOC: PercentValue | None = None  # %


@element(MSG_DATA_TYPES, abstract=True)
class EVSEChargeParameter:
    """Head of the limits an EVSE states."""


@element(MSG_DATA_TYPES)
class AC_EVSEChargeParameter(EVSEChargeParameter):
    """Highest voltage (V), highest and lowest current (A)."""

    AC_EVSEStatus: AC_EVSEStatus
    EVSEMaxVoltage: PhysicalValue
    EVSEMaxCurrent: PhysicalValue
    EVSEMinCurrent: PhysicalValue


@element(MSG_DATA_TYPES)
class DC_EVSEChargeParameter(EVSEChargeParameter):
    """Limits of a DC EVSE: A, W, V; ripple in A, energy in Wh."""

    DC_EVSEStatus: DC_EVSEStatus
    EVSEMaximumCurrentLimit: PhysicalValue
    EVSEMaximumPowerLimit: PhysicalValue | None = None
    EVSEMaximumVoltageLimit: PhysicalValue
    EVSEMinimumCurrentLimit: PhysicalValue
    EVSEMinimumVoltageLimit: PhysicalValue
    EVSECurrentRegulationTolerance: PhysicalValue | None = None
    EVSEPeakCurrentRipple: PhysicalValue
    EVSEEnergyToBeDelivered: PhysicalValue | None = None


@element(MSG_DATA_TYPES, abstract=True)
class EVPowerDeliveryParameter:
    """Head of what an EV adds when power delivery changes."""


@element(MSG_DATA_TYPES)
class DC_EVPowerDeliveryParameter(EVPowerDeliveryParameter):
    """Status of a DC EV, and whether it is full."""

    DC_EVStatus: DC_EVStatus
    BulkChargingComplete: bool | None = None
    ChargingComplete: bool


# ----------------------------------------------------------------------------------------------- schedules and prices


@element(MSG_DATA_TYPES, abstract=True)
class TimeInterval:
    """Head of the intervals."""


@element(MSG_DATA_TYPES)
class RelativeTimeInterval(TimeInterval):
    """From start for duration; without duration until the next entry."""

    start: UnsignedInt  # s from now
    duration: UnsignedInt | None = None  # s


@element(MSG_DATA_TYPES, abstract=True)
class Entry:
    """Head of the entries of schedules and tariffs."""

    TimeInterval: Annotated[RelativeTimeInterval, Ref(TimeInterval)]


@element(MSG_DATA_TYPES)
class PMaxScheduleEntry(Entry):
    """Highest power during an interval."""

    PMax: PMax


@complex_type(MSG_DATA_TYPES)
class PMaxSchedule:
    """Highest power over time."""

    PMaxScheduleID: SAID
    PMaxScheduleEntry: Annotated[tuple[Annotated[PMaxScheduleEntry, Ref(PMaxScheduleEntry)], ...], Occurs(1, None)]


@complex_type(MSG_DATA_TYPES)
class Cost:
    """One cost: a relative price, a share of renewables or a CO2 emission."""

    costKind: CostKind
    amount: UnsignedInt
    amountMultiplier: UnitMultiplier | None = None


@complex_type(MSG_DATA_TYPES)
class ConsumptionCost:
    """Costs from a power upwards (startValue, W)."""

    startValue: UnsignedInt
    Cost: Annotated[tuple[Cost, ...], Occurs(0, None)] = ()


@element(MSG_DATA_TYPES)
class SalesTariffEntry(Entry):
    """Price level and costs during an interval."""

    EPriceLevel: UnsignedByte
    ConsumptionCost: Annotated[tuple[ConsumptionCost, ...], Occurs(0, None)] = ()


@complex_type(MSG_DATA_TYPES)
class SalesTariff:
    """Prices over time."""

    Id: Attribute[str]
    SalesTariffID: SAID
    SalesTariffDescription: TariffDescription | None = None
    NumEPriceLevels: UnsignedByte
    SalesTariffEntry: Annotated[tuple[Annotated[SalesTariffEntry, Ref(SalesTariffEntry)], ...], Occurs(1, None)]


@complex_type(MSG_DATA_TYPES)
class SAScheduleTuple:
    """A power schedule with its tariff."""

    SAScheduleTupleID: SAID
    PMaxSchedule: PMaxSchedule
    SalesTariff: SalesTariff | None = None


@element(MSG_DATA_TYPES, abstract=True)
class SASchedules:
    """Head of the schedules."""


@element(MSG_DATA_TYPES)
class SAScheduleList(SASchedules):
    """Schedules to choose from."""

    SAScheduleTuple: Annotated[tuple[SAScheduleTuple, ...], Occurs(1, None)]


@complex_type(MSG_DATA_TYPES)
class ProfileEntry:
    """Highest power from a time on (W)."""

    ChargingProfileEntryStart: UnsignedInt  # s from now
    ChargingProfileEntryMaxPower: PMax


@complex_type(MSG_DATA_TYPES)
class ChargingProfile:
    """What the EV will take, within the schedule it chose."""

    SAScheduleTupleID: SAID
    ProfileEntry: Annotated[tuple[ProfileEntry, ...], Occurs(1, None)]
