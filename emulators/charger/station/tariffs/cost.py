"""Cost of a transaction by its tariff, computed by an OCPP 2.1 station (I12). Pure: time is an argument.

Energy is in Wh, times in s, prices in the tariff's currency. A tariff's hours and days are local time; the emulated
station's is UTC. `chargingTime` counts while energy flows to the vehicle and `idleTime` while it does not: the schema's
text for totalUsage.chargingTime can also be read as both together. Discharged energy has no
price: tariffs of edition 1 do not define one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

from protocols.ocpp.schema import Payload
from protocols.ocpp.times import stamp

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
CENTS = 4  # decimals of what is reported
_UNKNOWN = ("paymentBrand", "paymentRecognition")  # no card payment: such prices never apply
Price: TypeAlias = Mapping[str, Any]  # or another part of a tariff


@dataclass(frozen=True, slots=True)
class Moment:
    """State on which the conditions of a price depend."""

    at: float  # Unix time
    kind: str = "DC"
    energy_wh: float = 0.0
    power_w: float = 0.0
    current_a: float = 0.0
    total_s: float = 0.0
    charging_s: float = 0.0
    idle_s: float = 0.0  # of the current idle time


def applies(conditions: Price, now: Moment) -> bool:
    """Evaluate TariffConditionsType: a minimum is inclusive, a maximum and an end are exclusive."""
    if any(name in conditions for name in _UNKNOWN):
        return False
    if conditions.get("evseKind", now.kind) != now.kind:
        return False
    bounds = {
        "Energy": now.energy_wh, "Power": now.power_w, "Current": now.current_a, "Time": now.total_s,
        "ChargingTime": now.charging_s, "IdleTime": now.idle_s,
    }  # fmt: skip
    for name, value in bounds.items():
        low, high = conditions.get(f"min{name}"), conditions.get(f"max{name}")
        if (low is not None and value < low) or (high is not None and value >= high):
            return False
    local = datetime.fromtimestamp(now.at + 1e-6, UTC)
    day, clock = local.date().isoformat(), local.strftime("%H:%M")
    if not conditions.get("validFromDate", day) <= day or day >= conditions.get("validToDate", "9999-99-99"):
        return False
    if "dayOfWeek" in conditions and DAYS[local.weekday()] not in conditions["dayOfWeek"]:
        return False
    begin, end = conditions.get("startTimeOfDay", "00:00"), conditions.get("endTimeOfDay", "24:00")
    return bool(begin <= clock < end if begin <= end else clock >= begin or clock < end)


def first(prices: Sequence[Price], now: Moment) -> int | None:
    """Return the index of the first price whose conditions apply (I12.FR.34)."""
    return next((i for i, price in enumerate(prices) if applies(price.get("conditions", {}), now)), None)


def with_tax(amount: float, rates: Sequence[Price]) -> float:
    """Add taxes: rates of a stack level are summed, each level applies to the result of the one below (I12.FR.13)."""
    for level in sorted({rate.get("stack", 0) for rate in rates}):
        amount *= 1 + sum(rate["tax"] for rate in rates if rate.get("stack", 0) == level) / 100
    return amount


@dataclass(slots=True)
class _Period:
    """Consumption while the same prices apply (ChargingPeriodType)."""

    tariff: str
    start: float
    used: tuple[int | None, ...]
    energy_wh: float = 0.0
    charging_s: float = 0.0
    idle_s: float = 0.0

    def as_payload(self) -> Payload:
        """Return ChargingPeriodType."""
        amounts = (("Energy", self.energy_wh), ("ChargingTime", self.charging_s), ("IdleTIme", self.idle_s))  # sic
        dimensions = [{"type": name, "volume": round(value, 3)} for name, value in amounts if value > 0]
        period: Payload = {"tariffId": self.tariff, "startPeriod": stamp(self.start)}
        return period | ({"dimensions": dimensions} if dimensions else {})


@dataclass(slots=True)
class Bill:
    """Running cost of a transaction. `begin` once, `add` for each period, then `details`."""

    tariff: Payload
    at: float
    kind: str = "DC"
    costs: dict[str, float] = field(default_factory=dict)  # by TariffType member, without tax
    taxes: dict[str, Sequence[Price]] = field(default_factory=dict)
    taxed: dict[str, float] = field(default_factory=dict)
    energy_wh: float = 0.0
    charging_s: float = 0.0
    idle_s: float = 0.0
    reservation_s: float | None = None
    frozen: bool = False
    _idle_run_s: float = 0.0
    _began: float = 0.0
    _periods: list[_Period] = field(default_factory=list)

    def begin(self, reserved_s: float | None) -> None:
        """Add fixed fees and the reservation, once at the start (I12.FR.06-08, .30)."""
        self._began, self.reservation_s = self.at, reserved_s
        now = self._moment(self.at, 0.0, 0.0)
        self._fixed("fixedFee", now)
        if reserved_s is not None:
            self._fixed("reservationFixed", now)
            self._cost("reservationTime", "priceMinute", reserved_s / 60, now)
        self._freeze()

    def add(self, until: float, energy_wh: float, power_w: float, current_a: float, charging: bool) -> None:
        """Add a period up to `until` at the prices of its start. Power and current are those at its end."""
        seconds = max(0.0, until - self.at)
        now = self._moment(self.at, power_w, current_a)
        used = tuple(first(self._prices(name), now) for name in ("energy", "chargingTime", "idleTime"))
        if not self._periods or self._periods[-1].used != used or self._periods[-1].tariff != self.tariff["tariffId"]:
            self._periods.append(_Period(self.tariff["tariffId"], self.at, used))
        period = self._periods[-1]
        self._cost("energy", "priceKwh", energy_wh / 1000, now)
        self._cost("chargingTime" if charging else "idleTime", "priceMinute", seconds / 60, now)
        self.energy_wh, period.energy_wh = self.energy_wh + energy_wh, period.energy_wh + energy_wh
        if charging:
            self.charging_s, period.charging_s = self.charging_s + seconds, period.charging_s + seconds
            self._idle_run_s = 0.0
        else:
            self.idle_s, period.idle_s = self.idle_s + seconds, period.idle_s + seconds
            self._idle_run_s += seconds
        self.at = until
        self._freeze()

    def change(self, tariff: Payload) -> None:
        """Change the tariff from now on; costs so far remain (I11.FR.08)."""
        self.tariff = tariff

    def details(self, ended: bool) -> Payload:
        """Return CostDetailsType."""
        usage: Payload = {
            "energy": round(self.energy_wh, 3),
            "chargingTime": round(self.charging_s),
            "idleTime": round(self.idle_s),
        }
        if self.reservation_s is not None:
            usage["reservationTime"] = round(self.reservation_s)
        body: Payload = {"totalCost": self._total(ended), "totalUsage": usage}
        return body | ({"chargingPeriods": [one.as_payload() for one in self._periods]} if self._periods else {})

    # helpers

    def _moment(self, at: float, power_w: float, current_a: float) -> Moment:
        total = at - self._began
        return Moment(at, self.kind, self.energy_wh, power_w, current_a, total, self.charging_s, self._idle_run_s)

    def _prices(self, name: str) -> Sequence[Price]:
        found: Sequence[Price] = self.tariff.get(name, {}).get("prices", ())
        return found

    def _fixed(self, name: str, now: Moment) -> None:
        self._cost(name, "priceFixed", 1.0, now)

    def _cost(self, name: str, price: str, amount: float, now: Moment) -> None:
        found = first(self._prices(name), now)
        if found is None or self.frozen:
            return
        cost, rates = self._prices(name)[found][price] * amount, self.tariff[name].get("taxRates", ())
        self.costs[name] = self.costs.get(name, 0.0) + cost
        self.taxed[name] = self.taxed.get(name, 0.0) + with_tax(cost, rates)
        self.taxes[name] = rates

    def _sums(self) -> tuple[float, float]:
        return sum(self.costs.values()), sum(self.taxed.values())

    def _freeze(self) -> None:
        """Stop counting at the maximum cost (I12.FR.39)."""
        most, (plain, taxed) = self.tariff.get("maxCost", {}), self._sums()
        if plain >= most.get("exclTax", float("inf")) or taxed >= most.get("inclTax", float("inf")):
            self.frozen = True

    def _total(self, ended: bool) -> Payload:
        plain, taxed = self._sums()
        head = {"currency": self.tariff["currency"]}
        least = self.tariff.get("minCost", {})
        below = plain < least.get("exclTax", float("-inf")) or taxed < least.get("inclTax", float("-inf"))
        if ended and below:  # I12.FR.38
            total = {name: least[name] for name in ("exclTax", "inclTax") if name in least}
            return head | {"typeOfCost": "MinCost", "fixed": dict(least), "total": total}
        found: Payload = head | {"typeOfCost": "MaxCost" if self.frozen else "NormalCost"}
        for name in self.costs:
            rates = [dict(rate) for rate in self.taxes[name]]
            price = {"exclTax": round(self.costs[name], CENTS), "inclTax": round(self.taxed[name], CENTS)}
            found["fixed" if name == "fixedFee" else name] = price | ({"taxRates": rates} if rates else {})
        return found | {"total": {"exclTax": round(plain, CENTS), "inclTax": round(taxed, CENTS)}}
