"""Power and prices over time: the schedule types of ISO 15118-20 (namespace CommonMessages).

Schedules offered by the SECC, their prices as levels or in money, and the energy offer of the EV. Entries run back to
back from a TimeAnchor. The messages that carry them are in `common`.
"""

from __future__ import annotations

from typing import Annotated

from protocols.exi.declare import (
    Attribute,
    Namespace,
    Occurs,
    Text,
    UnsignedByte,
    UnsignedInt,
    UnsignedLong,
    UnsignedShort,
    complex_type,
)
from protocols.iso15118.iso20.types import Description, Identifier, Name, NumericID, RationalNumber

COMMON_MESSAGES = Namespace("urn:iso:std:iso:15118:-20:CommonMessages")

Currency = Annotated[str, Text(max_length=3)]  # ISO 4217
Language = Annotated[str, Text(max_length=3)]  # ISO 639


# ---------------------------------------------------------------------------------------------------- power schedules


@complex_type(COMMON_MESSAGES)
class PowerScheduleEntry:
    """Power for a duration; without L2 and L3 it is the total, with them it is phase L1."""

    Duration: UnsignedInt  # s
    Power: RationalNumber  # W
    Power_L2: RationalNumber | None = None  # W
    Power_L3: RationalNumber | None = None  # W


@complex_type(COMMON_MESSAGES)
class PowerScheduleEntryList:
    """The entries of a power schedule or profile."""

    PowerScheduleEntry: Annotated[tuple[PowerScheduleEntry, ...], Occurs(1, 1024)]


@complex_type(COMMON_MESSAGES)
class PowerSchedule:
    """Entries run back to back from TimeAnchor; the last duration ends the schedule."""

    TimeAnchor: UnsignedLong  # Unix time, s
    AvailableEnergy: RationalNumber | None = None  # Wh
    PowerTolerance: RationalNumber | None = None  # W
    PowerScheduleEntries: PowerScheduleEntryList


# ------------------------------------------------------------------------------------------------------------- prices


@complex_type(COMMON_MESSAGES, abstract=True)
class PriceSchedule:
    """Base of both kinds of price schedules."""

    TimeAnchor: UnsignedLong  # Unix time, s
    PriceScheduleID: NumericID
    PriceScheduleDescription: Description | None = None


@complex_type(COMMON_MESSAGES)
class PriceLevelScheduleEntry:
    """One level for a duration."""

    Duration: UnsignedInt  # s
    PriceLevel: UnsignedByte


@complex_type(COMMON_MESSAGES)
class PriceLevelScheduleEntryList:
    """The levels over time."""

    PriceLevelScheduleEntry: Annotated[tuple[PriceLevelScheduleEntry, ...], Occurs(1, 1024)]


@complex_type(COMMON_MESSAGES)
class PriceLevelSchedule(PriceSchedule):
    """Prices as levels, comparable only among each other; may be signed (Id)."""

    Id: Attribute[str] | None = None
    NumberOfPriceLevels: UnsignedByte
    PriceLevelScheduleEntries: PriceLevelScheduleEntryList


@complex_type(COMMON_MESSAGES)
class TaxRule:
    """A tax rate in % and the fees it applies to."""

    TaxRuleID: NumericID
    TaxRuleName: Name | None = None
    TaxRate: RationalNumber
    TaxIncludedInPrice: bool | None = None
    AppliesToEnergyFee: bool
    AppliesToParkingFee: bool
    AppliesToOverstayFee: bool
    AppliesMinimumMaximumCost: bool


@complex_type(COMMON_MESSAGES)
class TaxRuleList:
    """Taxes that prices refer to."""

    TaxRule: Annotated[tuple[TaxRule, ...], Occurs(1, 10)]


@complex_type(COMMON_MESSAGES)
class PriceRule:
    """Fees that apply from PowerRangeStart upwards."""

    EnergyFee: RationalNumber  # per kWh
    ParkingFee: RationalNumber | None = None
    ParkingFeePeriod: UnsignedInt | None = None  # s
    CarbonDioxideEmission: UnsignedShort | None = None  # g/kWh
    RenewableGenerationPercentage: UnsignedByte | None = None
    PowerRangeStart: RationalNumber  # W


@complex_type(COMMON_MESSAGES)
class PriceRuleStack:
    """The rules that apply for a duration, by power range."""

    Duration: UnsignedInt  # s
    PriceRule: Annotated[tuple[PriceRule, ...], Occurs(1, 8)]


@complex_type(COMMON_MESSAGES)
class PriceRuleStackList:
    """Price rules over time."""

    PriceRuleStack: Annotated[tuple[PriceRuleStack, ...], Occurs(1, 1024)]


@complex_type(COMMON_MESSAGES)
class OverstayRule:
    """Cost of overstaying from StartTime on."""

    OverstayRuleDescription: Description | None = None
    StartTime: UnsignedInt  # s
    OverstayFee: RationalNumber
    OverstayFeePeriod: UnsignedInt  # s


@complex_type(COMMON_MESSAGES)
class OverstayRuleList:
    """Rules for the cost of staying after the end."""

    OverstayTimeThreshold: UnsignedInt | None = None  # s
    OverstayPowerThreshold: RationalNumber | None = None  # W
    OverstayRule: Annotated[tuple[OverstayRule, ...], Occurs(1, 5)]


@complex_type(COMMON_MESSAGES)
class AdditionalService:
    """Another item of the bill."""

    ServiceName: Name
    ServiceFee: RationalNumber


@complex_type(COMMON_MESSAGES)
class AdditionalServiceList:
    """Other items of the bill."""

    AdditionalService: Annotated[tuple[AdditionalService, ...], Occurs(1, 5)]


@complex_type(COMMON_MESSAGES)
class AbsolutePriceSchedule(PriceSchedule):
    """Prices in money, by the algorithm named; may be signed (Id)."""

    Id: Attribute[str] | None = None
    Currency: Currency
    Language: Language
    PriceAlgorithm: Identifier
    MinimumCost: RationalNumber | None = None
    MaximumCost: RationalNumber | None = None
    TaxRules: TaxRuleList | None = None
    PriceRuleStacks: PriceRuleStackList
    OverstayRules: OverstayRuleList | None = None
    AdditionalSelectedServices: AdditionalServiceList | None = None


# ----------------------------------------------------------------------------------------------- energy offer of the EV


@complex_type(COMMON_MESSAGES)
class EVPowerScheduleEntry:
    """Power for a duration."""

    Duration: UnsignedInt  # s
    Power: RationalNumber  # W


@complex_type(COMMON_MESSAGES)
class EVPowerScheduleEntryList:
    """The entries of the EV's schedule."""

    EVPowerScheduleEntry: Annotated[tuple[EVPowerScheduleEntry, ...], Occurs(1, 1024)]


@complex_type(COMMON_MESSAGES)
class EVPowerSchedule:
    """The EV's power over time; negative to discharge."""

    TimeAnchor: UnsignedLong  # Unix time, s
    EVPowerScheduleEntries: EVPowerScheduleEntryList


@complex_type(COMMON_MESSAGES)
class EVPriceRule:
    """A fee that applies from PowerRangeStart upwards."""

    EnergyFee: RationalNumber  # per kWh
    PowerRangeStart: RationalNumber  # W


@complex_type(COMMON_MESSAGES)
class EVPriceRuleStack:
    """The rules that apply for a duration."""

    Duration: UnsignedInt  # s
    EVPriceRule: Annotated[tuple[EVPriceRule, ...], Occurs(1, 8)]


@complex_type(COMMON_MESSAGES)
class EVPriceRuleStackList:
    """The EV's price rules over time."""

    EVPriceRuleStack: Annotated[tuple[EVPriceRuleStack, ...], Occurs(1, 1024)]


@complex_type(COMMON_MESSAGES)
class EVAbsolutePriceSchedule:
    """The EV's prices for its energy."""

    TimeAnchor: UnsignedLong  # Unix time, s
    Currency: Currency
    PriceAlgorithm: Identifier
    EVPriceRuleStacks: EVPriceRuleStackList


@complex_type(COMMON_MESSAGES)
class EVEnergyOffer:
    """Energy that the EV offers to sell: power over time and its prices."""

    EVPowerSchedule: EVPowerSchedule
    EVAbsolutePriceSchedule: EVAbsolutePriceSchedule
