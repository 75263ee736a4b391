"""Types of the messages of ISO 15118-2 (namespace MsgDataTypes).

Physical values carry their unit. The messages are in `messages`, the enumerations in `codes`, signatures in
`..xmldsig`.
"""

from __future__ import annotations

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
    UnsignedLong,
    UnsignedShort,
    complex_type,
    element,
)
from protocols.iso15118.iso2.codes import (
    ChargeProgress as ChargeProgress,
)
from protocols.iso15118.iso2.codes import (
    ChargingSession as ChargingSession,
)
from protocols.iso15118.iso2.codes import (
    CostKind as CostKind,
)
from protocols.iso15118.iso2.codes import (
    DC_EVErrorCode as DC_EVErrorCode,
)
from protocols.iso15118.iso2.codes import (
    DC_EVSEStatusCode as DC_EVSEStatusCode,
)
from protocols.iso15118.iso2.codes import (
    EnergyTransferMode as EnergyTransferMode,
)
from protocols.iso15118.iso2.codes import (
    EVSENotification as EVSENotification,
)
from protocols.iso15118.iso2.codes import (
    EVSEProcessing as EVSEProcessing,
)
from protocols.iso15118.iso2.codes import (
    FaultCode as FaultCode,
)
from protocols.iso15118.iso2.codes import (
    IsolationLevel as IsolationLevel,
)
from protocols.iso15118.iso2.codes import (
    PaymentOption as PaymentOption,
)
from protocols.iso15118.iso2.codes import (
    ResponseCode as ResponseCode,
)
from protocols.iso15118.iso2.codes import (
    ServiceCategory as ServiceCategory,
)
from protocols.iso15118.iso2.codes import (
    UnitSymbol as UnitSymbol,
)
from protocols.iso15118.iso2.codes import (
    ValueType as ValueType,
)
from protocols.iso15118.xmldsig import X509IssuerSerial

MSG_DATA_TYPES = Namespace("urn:iso:15118:2:2013:MsgDataTypes")

Start = Annotated[int, Integer(0, 16777214)]
Duration = Annotated[int, Integer(0, 86400)]


# ------------------------------------------------------------------------------------------------------- simple types

SessionID = Annotated[bytes, Binary(0, 8, hexadecimal=True)]  # a single or eight zero bytes request a new one
EVCCID = Annotated[bytes, Binary(0, 6, hexadecimal=True)]  # MAC address of the EVCC
EVSEID = Annotated[str, Text(min_length=7, max_length=37)]
EMAIDText = Annotated[str, Text(min_length=14, max_length=15)]  # contract id, with or without separators
Certificate = Annotated[bytes, Binary(0, 800)]  # X.509, DER
GenChallenge = Annotated[bytes, Binary(16, 16)]  # from the SECC; the EV signs it
DHPublicKey = Annotated[bytes, Binary(0, 65)]  # uncompressed point on secp256r1
PrivateKey = Annotated[bytes, Binary(0, 48)]  # initialisation vector and key
SigMeterReading = Annotated[bytes, Binary(0, 64)]
MeterID = Annotated[str, Text(max_length=32)]
MeterStatus = Short
PercentValue = Annotated[int, Integer(0, 100)]  # %
SAID = Annotated[int, Integer(1, 255)]  # schedules are numbered from 1
ServiceID = UnsignedShort
ServiceName = Annotated[str, Text(max_length=32)]
ServiceScope = Annotated[str, Text(max_length=64)]
TariffDescription = Annotated[str, Text(max_length=32)]
FaultMsg = Annotated[str, Text(max_length=64)]
UnitMultiplier = Annotated[int, Integer(-3, 3)]  # power of ten
MaxNumPhases = Annotated[int, Integer(1, 3)]


# -------------------------------------------------------------------------------------------------- values and status


@complex_type(MSG_DATA_TYPES)
class PhysicalValue:
    """Value x 10^Multiplier in Unit."""

    Multiplier: UnitMultiplier
    Unit: UnitSymbol
    Value: Short


@complex_type(MSG_DATA_TYPES)
class MeterInfo:
    """A reading of the energy meter in Wh, signed if the meter supports it."""

    MeterID: MeterID
    MeterReading: UnsignedLong | None = None
    SigMeterReading: SigMeterReading | None = None
    MeterStatus: MeterStatus | None = None
    TMeter: Long | None = None  # Unix time, s


@complex_type(MSG_DATA_TYPES)
class Notification:
    """An error outside the responses."""

    FaultCode: FaultCode
    FaultMsg: FaultMsg | None = None


@element(MSG_DATA_TYPES, abstract=True)
class EVSEStatus:
    """Abstract base of the two forms of EVSE status."""

    NotificationMaxDelay: UnsignedShort  # s
    EVSENotification: EVSENotification


@element(MSG_DATA_TYPES)
class AC_EVSEStatus(EVSEStatus):
    """Notification of the EVSE, and whether its residual current device has tripped."""

    RCD: bool


@element(MSG_DATA_TYPES)
class DC_EVSEStatus(EVSEStatus):
    """Notification of the EVSE, its insulation and its state."""

    EVSEIsolationStatus: IsolationLevel | None = None
    EVSEStatusCode: DC_EVSEStatusCode


@element(MSG_DATA_TYPES, abstract=True)
class EVStatus:
    """Abstract base of the EV status."""


@element(MSG_DATA_TYPES)
class DC_EVStatus(EVStatus):
    """Readiness, error and state of charge of a DC EV."""

    EVReady: bool
    EVErrorCode: DC_EVErrorCode
    EVRESSSOC: PercentValue  # %


# ----------------------------------------------------------------------------------------------------------- services


@complex_type(MSG_DATA_TYPES)
class Service:
    """One offered service."""

    ServiceID: ServiceID
    ServiceName: ServiceName | None = None
    ServiceCategory: ServiceCategory
    ServiceScope: ServiceScope | None = None
    FreeService: bool


@complex_type(MSG_DATA_TYPES)
class ServiceList:
    """Offered services."""

    Service: Annotated[tuple[Service, ...], Occurs(1, 8)]


@complex_type(MSG_DATA_TYPES)
class SupportedEnergyTransferMode:
    """Offered modes."""

    EnergyTransferMode: Annotated[tuple[EnergyTransferMode, ...], Occurs(1, 6)]


@complex_type(MSG_DATA_TYPES)
class ChargeService(Service):
    """The charging service with its energy transfer modes."""

    SupportedEnergyTransferMode: SupportedEnergyTransferMode


@complex_type(MSG_DATA_TYPES)
class SelectedService:
    """A service, with the parameter set chosen from it if it has any."""

    ServiceID: ServiceID
    ParameterSetID: Short | None = None


@complex_type(MSG_DATA_TYPES)
class SelectedServiceList:
    """Selected services; the charging service is number 1."""

    SelectedService: Annotated[tuple[SelectedService, ...], Occurs(1, 16)]


@complex_type(MSG_DATA_TYPES)
class Parameter:
    """A name and one value."""

    Name: Attribute[str]
    boolValue: OneOf[bool] = None
    byteValue: OneOf[Byte] = None
    shortValue: OneOf[Short] = None
    intValue: OneOf[Int] = None
    physicalValue: OneOf[PhysicalValue] = None
    stringValue: OneOf[str] = None


@complex_type(MSG_DATA_TYPES)
class ParameterSet:
    """A set of parameters."""

    ParameterSetID: Short
    Parameter: Annotated[tuple[Parameter, ...], Occurs(1, 16)]


@complex_type(MSG_DATA_TYPES)
class ServiceParameterList:
    """The parameter sets of a service."""

    ParameterSet: Annotated[tuple[ParameterSet, ...], Occurs(1, 255)]


@complex_type(MSG_DATA_TYPES)
class PaymentOptionList:
    """Offered payment options."""

    PaymentOption: Annotated[tuple[PaymentOption, ...], Occurs(1, 2)]


# ------------------------------------------------------------------------------------------------------- certificates


@complex_type(MSG_DATA_TYPES)
class SubCertificates:
    """The certificates between leaf and root, leaf side first."""

    Certificate: Annotated[tuple[Certificate, ...], Occurs(1, 4)]


@complex_type(MSG_DATA_TYPES)
class CertificateChain:
    """A leaf certificate and its sub-CAs; signed by reference to Id in certificate responses."""

    Id: Attribute[str] | None = None
    Certificate: Certificate
    SubCertificates: SubCertificates | None = None


@complex_type(MSG_DATA_TYPES)
class ListOfRootCertificateIDs:
    """The root certificates known to the EV."""

    RootCertificateID: Annotated[tuple[X509IssuerSerial, ...], Occurs(1, 20)]


@complex_type(MSG_DATA_TYPES)
class ContractSignatureEncryptedPrivateKey:
    """The contract key, encrypted for this EV."""

    Id: Attribute[str]
    value: PrivateKey


@complex_type(MSG_DATA_TYPES)
class DiffieHellmanPublickey:
    """The ephemeral key that the contract key was encrypted with."""

    Id: Attribute[str]
    value: DHPublicKey


@complex_type(MSG_DATA_TYPES)
class EMAID:
    """A contract id that a signature refers to."""

    Id: Attribute[str]
    value: EMAIDText


# ------------------------------------------------------------------------------------------------------------- limits


@element(MSG_DATA_TYPES, abstract=True)
class EVChargeParameter:
    """Abstract base of the limits of an EV."""

    DepartureTime: UnsignedInt | None = None  # s from now


@element(MSG_DATA_TYPES)
class AC_EVChargeParameter(EVChargeParameter):
    """Requested energy (Wh), highest voltage (V), highest and lowest current (A)."""

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
    """Abstract base of the limits of an EVSE."""


@element(MSG_DATA_TYPES)
class AC_EVSEChargeParameter(EVSEChargeParameter):
    """Nominal voltage (V) and highest current (A)."""

    AC_EVSEStatus: AC_EVSEStatus
    EVSENominalVoltage: PhysicalValue
    EVSEMaxCurrent: PhysicalValue


@element(MSG_DATA_TYPES)
class DC_EVSEChargeParameter(EVSEChargeParameter):
    """Limits of a DC EVSE: A, W, V; ripple in A, energy in Wh."""

    DC_EVSEStatus: DC_EVSEStatus
    EVSEMaximumCurrentLimit: PhysicalValue
    EVSEMaximumPowerLimit: PhysicalValue
    EVSEMaximumVoltageLimit: PhysicalValue
    EVSEMinimumCurrentLimit: PhysicalValue
    EVSEMinimumVoltageLimit: PhysicalValue
    EVSECurrentRegulationTolerance: PhysicalValue | None = None
    EVSEPeakCurrentRipple: PhysicalValue
    EVSEEnergyToBeDelivered: PhysicalValue | None = None


@element(MSG_DATA_TYPES, abstract=True)
class EVPowerDeliveryParameter:
    """Abstract base of the EV data in PowerDelivery."""


@element(MSG_DATA_TYPES)
class DC_EVPowerDeliveryParameter(EVPowerDeliveryParameter):
    """Status of a DC EV, and whether charging is complete."""

    DC_EVStatus: DC_EVStatus
    BulkChargingComplete: bool | None = None
    ChargingComplete: bool


# ----------------------------------------------------------------------------------------------- schedules and prices


@element(MSG_DATA_TYPES, abstract=True)
class TimeInterval:
    """Abstract base of the intervals."""


@element(MSG_DATA_TYPES)
class RelativeTimeInterval(TimeInterval):
    """From start for duration; without duration until the next entry."""

    start: Start  # s from now
    duration: Duration | None = None  # s


@element(MSG_DATA_TYPES, abstract=True)
class Entry:
    """Abstract base of the entries of schedules and tariffs."""

    TimeInterval: Annotated[RelativeTimeInterval, Ref(TimeInterval)]


@element(MSG_DATA_TYPES)
class PMaxScheduleEntry(Entry):
    """Highest power during an interval."""

    PMax: PhysicalValue


@complex_type(MSG_DATA_TYPES)
class PMaxSchedule:
    """Highest power over time."""

    PMaxScheduleEntry: Annotated[tuple[Annotated[PMaxScheduleEntry, Ref(PMaxScheduleEntry)], ...], Occurs(1, 1024)]


@complex_type(MSG_DATA_TYPES)
class Cost:
    """One cost: a relative price, a share of renewables or a CO2 emission."""

    costKind: CostKind
    amount: UnsignedInt
    amountMultiplier: UnitMultiplier | None = None


@complex_type(MSG_DATA_TYPES)
class ConsumptionCost:
    """Costs from a power upwards (startValue)."""

    startValue: PhysicalValue
    Cost: Annotated[tuple[Cost, ...], Occurs(1, 3)]


@element(MSG_DATA_TYPES)
class SalesTariffEntry(Entry):
    """Price level and costs during an interval."""

    EPriceLevel: UnsignedByte | None = None
    ConsumptionCost: Annotated[tuple[ConsumptionCost, ...], Occurs(0, 3)] = ()


@complex_type(MSG_DATA_TYPES)
class SalesTariff:
    """Prices over time; may be signed (Id)."""

    Id: Attribute[str] | None = None
    SalesTariffID: SAID
    SalesTariffDescription: TariffDescription | None = None
    NumEPriceLevels: UnsignedByte | None = None
    SalesTariffEntry: Annotated[tuple[Annotated[SalesTariffEntry, Ref(SalesTariffEntry)], ...], Occurs(1, 1024)]


@complex_type(MSG_DATA_TYPES)
class SAScheduleTuple:
    """A power schedule with its tariff."""

    SAScheduleTupleID: SAID
    PMaxSchedule: PMaxSchedule
    SalesTariff: SalesTariff | None = None


@element(MSG_DATA_TYPES, abstract=True)
class SASchedules:
    """Abstract base of the schedules."""


@element(MSG_DATA_TYPES)
class SAScheduleList(SASchedules):
    """Up to three offered schedules."""

    SAScheduleTuple: Annotated[tuple[SAScheduleTuple, ...], Occurs(1, 3)]


@complex_type(MSG_DATA_TYPES)
class ProfileEntry:
    """Highest power from a time on (W)."""

    ChargingProfileEntryStart: UnsignedInt  # s from now
    ChargingProfileEntryMaxPower: PhysicalValue
    ChargingProfileEntryMaxNumberOfPhasesInUse: MaxNumPhases | None = None


@complex_type(MSG_DATA_TYPES)
class ChargingProfile:
    """Planned power of the EV, within the selected schedule."""

    ProfileEntry: Annotated[tuple[ProfileEntry, ...], Occurs(1, 24)]
