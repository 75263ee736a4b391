"""Price schedules of ISO 15118-20: relative levels and absolute prices, as values and as messages.

A price schedule covers the same time as its power schedule. Source: ISO 15118-20, PriceLevelSchedule and
AbsolutePriceSchedule; V2G20-2176 requires one in scheduled control although the schema does not, so one is always sent
and never required.
"""

from __future__ import annotations

from protocols.frozen import frozen
from protocols.iso15118.iso20.common import (
    AbsolutePriceSchedule,
    PriceLevelSchedule,
    PriceLevelScheduleEntry,
    PriceLevelScheduleEntryList,
    PriceRule,
    PriceRuleStack,
    PriceRuleStackList,
    TaxRule,
    TaxRuleList,
)
from protocols.iso15118.iso20.rational import number, rational

ALGORITHMS = {
    "power": "urn:iso:std:iso:15118:-20:PriceAlgorithm:1-Power",
    "peak": "urn:iso:std:iso:15118:-20:PriceAlgorithm:2-PeakPower",
    "stacked": "urn:iso:std:iso:15118:-20:PriceAlgorithm:3-StackedEnergy",
}
MAX_STACKS = 1024


@frozen(kw_only=True)
class PriceLevels:
    """`entries` of (duration s, level); level 0 is the cheapest of `levels`."""

    levels: int
    entries: tuple[tuple[int, int], ...]

    @classmethod
    def read(cls, message: PriceLevelSchedule) -> PriceLevels:
        return cls(
            levels=message.NumberOfPriceLevels,
            entries=tuple(
                (entry.Duration, entry.PriceLevel)
                for entry in message.PriceLevelScheduleEntries.PriceLevelScheduleEntry
            ),
        )


@frozen(kw_only=True)
class PriceBlock:
    """A price per kWh for a duration. `above_w`: it applies to power from there on."""

    duration_s: int
    per_kwh: float
    above_w: float = 0.0
    co2_g_per_kwh: int | None = None
    renewable_pct: int | None = None


@frozen(kw_only=True)
class Prices:
    """Absolute prices in one currency, with at most one tax rate."""

    currency: str
    blocks: tuple[PriceBlock, ...]
    language: str = "en"
    algorithm: str = ALGORITHMS["power"]
    minimum: float | None = None
    maximum: float | None = None
    tax_pct: float | None = None

    @classmethod
    def read(cls, message: AbsolutePriceSchedule) -> Prices:
        tax = message.TaxRules.TaxRule[0] if message.TaxRules else None
        return cls(
            currency=message.Currency,
            language=message.Language,
            algorithm=message.PriceAlgorithm,
            minimum=None if message.MinimumCost is None else number(message.MinimumCost),
            maximum=None if message.MaximumCost is None else number(message.MaximumCost),
            tax_pct=None if tax is None else number(tax.TaxRate),
            blocks=tuple(
                PriceBlock(
                    duration_s=stack.Duration,
                    per_kwh=number(rule.EnergyFee),
                    above_w=number(rule.PowerRangeStart),
                    co2_g_per_kwh=rule.CarbonDioxideEmission,
                    renewable_pct=rule.RenewableGenerationPercentage,
                )
                for stack in message.PriceRuleStacks.PriceRuleStack
                for rule in stack.PriceRule[:1]
            ),
        )


def level_message(levels: PriceLevels, anchor_s: int, schedule_id: int) -> PriceLevelSchedule:
    return PriceLevelSchedule(
        TimeAnchor=anchor_s,
        PriceScheduleID=schedule_id,
        NumberOfPriceLevels=levels.levels,
        PriceLevelScheduleEntries=PriceLevelScheduleEntryList(
            PriceLevelScheduleEntry=tuple(
                PriceLevelScheduleEntry(Duration=duration, PriceLevel=level)
                for duration, level in levels.entries[:MAX_STACKS]
            )
        ),
    )


def price_message(prices: Prices, anchor_s: int, schedule_id: int) -> AbsolutePriceSchedule:
    return AbsolutePriceSchedule(
        TimeAnchor=anchor_s,
        PriceScheduleID=schedule_id,
        Currency=prices.currency,
        Language=prices.language,
        PriceAlgorithm=prices.algorithm,
        MinimumCost=None if prices.minimum is None else rational(prices.minimum),
        MaximumCost=None if prices.maximum is None else rational(prices.maximum),
        TaxRules=None if prices.tax_pct is None else TaxRuleList(TaxRule=(_tax(prices.tax_pct),)),
        PriceRuleStacks=PriceRuleStackList(
            PriceRuleStack=tuple(
                PriceRuleStack(Duration=block.duration_s, PriceRule=(_rule(block),))
                for block in prices.blocks[:MAX_STACKS]
            )
        ),
    )


def _rule(block: PriceBlock) -> PriceRule:
    return PriceRule(
        EnergyFee=rational(block.per_kwh),
        CarbonDioxideEmission=block.co2_g_per_kwh,
        RenewableGenerationPercentage=block.renewable_pct,
        PowerRangeStart=rational(block.above_w),
    )


def _tax(rate_pct: float) -> TaxRule:
    return TaxRule(
        TaxRuleID=1,
        TaxRate=rational(rate_pct),
        TaxIncludedInPrice=False,
        AppliesToEnergyFee=True,
        AppliesToParkingFee=True,
        AppliesToOverstayFee=True,
        AppliesMinimumMaximumCost=True,
    )
