"""Types of the messages of DIN SPEC 70121 (namespace MsgDataTypes).

A predecessor of ISO 15118-2 for DC charging: the same names, often other limits, and almost no bounds on lists.
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
    UnsignedShort,
    complex_type,
    element,
)
from protocols.iso15118.din.codes import (
    CostKind as CostKind,
)
from protocols.iso15118.din.codes import (
    DC_EVErrorCode as DC_EVErrorCode,
)
from protocols.iso15118.din.codes import (
    DC_EVSEStatusCode as DC_EVSEStatusCode,
)
from protocols.iso15118.din.codes import (
    EVRequestedEnergyTransfer as EVRequestedEnergyTransfer,
)
from protocols.iso15118.din.codes import (
    EVSENotification as EVSENotification,
)
from protocols.iso15118.din.codes import (
    EVSEProcessing as EVSEProcessing,
)
from protocols.iso15118.din.codes import (
    EVSESupportedEnergyTransfer as EVSESupportedEnergyTransfer,
)
from protocols.iso15118.din.codes import (
    FaultCode as FaultCode,
)
from protocols.iso15118.din.codes import (
    IsolationLevel as IsolationLevel,
)
from protocols.iso15118.din.codes import (
    PaymentOption as PaymentOption,
)
from protocols.iso15118.din.codes import (
    ResponseCode as ResponseCode,
)
from protocols.iso15118.din.codes import (
    ServiceCategory as ServiceCategory,
)
from protocols.iso15118.din.codes import (
    UnitSymbol as UnitSymbol,
)
from protocols.iso15118.din.codes import (
    ValueType as ValueType,
)

MSG_DATA_TYPES = Namespace("urn:din:70121:2012:MsgDataTypes", qualified_attributes=False)


# ------------------------------------------------------------------------------------------------------- simple types

SessionID = Annotated[bytes, Binary(0, 8, hexadecimal=True)]  # a single or eight zero bytes request a new one
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


# -------------------------------------------------------------------------------------------------- values and status


@complex_type(MSG_DATA_TYPES)
class PhysicalValue:
    """Value x 10^Multiplier, in Unit if stated."""

    Multiplier: UnitMultiplier
    Unit: UnitSymbol | None = None
    Value: Short


@complex_type(MSG_DATA_TYPES)
class MeterInfo:
    """A reading of the energy meter, signed if the meter supports it."""

    MeterID: MeterID
    MeterReading: PhysicalValue | None = None
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


@element(MSG_DATA_TYPES)
class AC_EVSEStatus(EVSEStatus):
    """State of an AC EVSE and its notification."""

    PowerSwitchClosed: bool
    RCD: bool
    NotificationMaxDelay: UnsignedInt  # s
    EVSENotification: EVSENotification


@element(MSG_DATA_TYPES)
class DC_EVSEStatus(EVSEStatus):
    """Insulation and state of a DC EVSE and its notification."""

    EVSEIsolationStatus: IsolationLevel | None = None
    EVSEStatusCode: DC_EVSEStatusCode
    NotificationMaxDelay: UnsignedInt  # s
    EVSENotification: EVSENotification


@element(MSG_DATA_TYPES, abstract=True)
class EVStatus:
    """Abstract base of the EV status."""


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
    """Identification of a service."""

    ServiceID: ServiceID
    ServiceName: ServiceName | None = None
    ServiceCategory: ServiceCategory
    ServiceScope: ServiceScope | None = None


@complex_type(MSG_DATA_TYPES)
class Service:
    """One offered service."""

    ServiceTag: ServiceTag
    FreeService: bool


@complex_type(MSG_DATA_TYPES)
class ServiceTagList:
    """Offered services."""

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
    """Selected services; the charging service is number 1."""

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
    """A set of parameters."""

    ParameterSetID: Short
    Parameter: Annotated[tuple[Parameter, ...], Occurs(1, None)]


@complex_type(MSG_DATA_TYPES)
class ServiceParameterList:
    """The parameter sets of a service."""

    ParameterSet: Annotated[tuple[ParameterSet, ...], Occurs(1, None)]


@complex_type(MSG_DATA_TYPES)
class PaymentOptions:
    """Offered payment options."""

    PaymentOption: Annotated[tuple[PaymentOption, ...], Occurs(1, None)]


# ------------------------------------------------------------------------------------------------------- certificates


@complex_type(MSG_DATA_TYPES)
class SubCertificates:
    """The certificates between leaf and root, leaf side first."""

    Certificate: Annotated[tuple[Certificate, ...], Occurs(1, None)]


@complex_type(MSG_DATA_TYPES)
class CertificateChain:
    """A leaf certificate and its sub-CAs."""

    Certificate: Certificate
    SubCertificates: SubCertificates | None = None


@complex_type(MSG_DATA_TYPES)
class ListOfRootCertificateIDs:
    """The root certificates known to the EV."""

    RootCertificateID: Annotated[tuple[RootCertificateID, ...], Occurs(1, None)]


# ------------------------------------------------------------------------------------------------------------- limits


@element(MSG_DATA_TYPES, abstract=True)
class EVChargeParameter:
    """Abstract base of the limits of an EV."""


@element(MSG_DATA_TYPES)
class AC_EVChargeParameter(EVChargeParameter):
    """Departure, requested energy (Wh), voltage (V) and current (A)."""

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
    """Abstract base of the limits of an EVSE."""


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

    start: UnsignedInt  # s from now
    duration: UnsignedInt | None = None  # s


@element(MSG_DATA_TYPES, abstract=True)
class Entry:
    """Abstract base of the entries of schedules and tariffs."""

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
    """Abstract base of the schedules."""


@element(MSG_DATA_TYPES)
class SAScheduleList(SASchedules):
    """Offered schedules."""

    SAScheduleTuple: Annotated[tuple[SAScheduleTuple, ...], Occurs(1, None)]


@complex_type(MSG_DATA_TYPES)
class ProfileEntry:
    """Highest power from a time on (W)."""

    ChargingProfileEntryStart: UnsignedInt  # s from now
    ChargingProfileEntryMaxPower: PMax


@complex_type(MSG_DATA_TYPES)
class ChargingProfile:
    """Planned power of the EV, within the selected schedule."""

    SAScheduleTupleID: SAID
    ProfileEntry: Annotated[tuple[ProfileEntry, ...], Occurs(1, None)]
