"""Tariffs of an emulated 2.1 station, their assignment to transactions, and running costs (2.1 I07-I12).

Costs are computed in `cost.py`. A 2.0.1 station only displays the cost that the CSMS sends. Running costs are not
stored: after a restart of the process a transaction ends without cost details.
"""

from __future__ import annotations

from typing import TypeAlias

from emulators.charger.station.context import StationContext
from emulators.charger.station.device_model.model import DeviceModel
from emulators.charger.station.evse import EvseState
from emulators.charger.station.ocpp_enums import TriggerReason
from emulators.charger.station.store import SavedRow
from emulators.charger.station.tariffs.cost import Bill
from emulators.charger.station.transaction import Transaction
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.times import parse

Tariff: TypeAlias = Payload
CONTROLLER = "TariffCostCtrlr"
FLOW_W = 50.0  # W; less counts as no energy flow
MAX_ELEMENTS = 50
MAX_TARIFFS = 10  # default tariffs of one EVSE, future ones included
PARTS = ("energy", "chargingTime", "idleTime", "fixedFee", "reservationTime", "reservationFixed")


def add_variables(device_model: DeviceModel, late: bool) -> None:
    """Add the variables of TariffCostCtrlr; `late` adds those of 2.1."""
    add = device_model.add
    for instance in ("Cost", *(("Tariff",) if late else ())):
        add(CONTROLLER, "Available", True, instance=instance, type="boolean")
        add(CONTROLLER, "Enabled", True, instance=instance, type="boolean", mutable=True)
    add(CONTROLLER, "Currency", "EUR", mutable=True)
    add(CONTROLLER, "TariffFallbackMessage", "", mutable=True)
    add(CONTROLLER, "TotalCostFallbackMessage", "", mutable=True)
    if late:
        add(CONTROLLER, "Interval", 0, instance="Cost", type="integer", mutable=True, low=0, unit="s")
        add(CONTROLLER, "Interval", 0, instance="Tariff", type="integer", mutable=True, low=0, unit="s")
        add(CONTROLLER, "MaxElements", MAX_ELEMENTS, instance="Tariff", type="integer")
        add(CONTROLLER, "ConditionsSupported", True, instance="Tariff", type="boolean")
        add(CONTROLLER, "Problem", False, type="boolean")


def elements(tariff: Tariff) -> int:
    """Return the number of prices of a tariff."""
    return sum(len(tariff[part]["prices"]) for part in PARTS if part in tariff)


class Tariffs:
    """Tariffs and running costs of one station."""

    def __init__(self, context: StationContext) -> None:
        self._context = context
        self.defaults: dict[int, list[Tariff]] = {}  # by EVSE: the one in force and future ones
        self.initial_needs: dict[int, Tariff] = {}  # driver tariffs until their transaction begins
        self.bills: dict[int, Bill] = {}  # by EVSE
        self._reported_at: dict[int, float] = {}

    @property
    def enabled(self) -> bool:
        """True if the station computes costs."""
        found = self._context.device_model.get(CONTROLLER, "Enabled", 0, "Tariff")
        return self._context.config.version is Version.V21 and found == "true"

    # requests of the CSMS

    def set_default(self, evse: int, tariff: Tariff) -> str:
        """Set a default tariff; return SetDefaultTariffResponse.status (I07.FR.02-23). EVSE 0 is each EVSE."""
        if elements(tariff) > MAX_ELEMENTS:
            return v21.TariffSetStatusEnumType.too_many_elements
        evses = [number for number in self._context.evses if evse in (0, number)]
        if not evses or elements(tariff) == 0:
            return v21.TariffSetStatusEnumType.rejected
        known = {one["tariffId"] for number in evses for one in self.defaults.get(number, ())}
        if tariff["tariffId"] in known:
            return v21.TariffSetStatusEnumType.duplicate_tariff_id
        if any(len(self.defaults.get(number, ())) >= MAX_TARIFFS for number in evses):
            return v21.TariffSetStatusEnumType.rejected
        for number in evses:
            defaults = self.defaults.setdefault(number, [])
            if "validFrom" not in tariff:
                defaults[:] = [one for one in defaults if "validFrom" in one]  # I07.FR.22
            defaults.append(tariff)
        self._context.save("tariffs")
        return v21.TariffSetStatusEnumType.accepted

    def default(self, evse: int) -> Tariff | None:
        """Return the default tariff in force and remove those it has replaced (I07.FR.19-21)."""
        defaults, now = self.defaults.get(evse, []), self._context.wall()
        begun = [one for one in defaults if (parse(one.get("validFrom")) or float("-inf")) <= now]
        if not begun:
            return None
        best = max(begun, key=lambda one: parse(one.get("validFrom")) or float("-inf"))
        if len(begun) > 1:
            self.defaults[evse] = [one for one in defaults if one is best or one not in begun]
            self._context.save("tariffs")
        return best

    def clear(self, ids: list[str] | None, evse: int | None) -> list[str]:
        """Remove default tariffs; return their ids (I10). A transaction keeps its tariff."""
        removed: list[str] = []
        for number, defaults in self.defaults.items():
            if evse in (None, 0, number):
                removed += [one["tariffId"] for one in defaults if ids is None or one["tariffId"] in ids]
                defaults[:] = [one for one in defaults if not (ids is None or one["tariffId"] in ids)]
        self._context.save("tariffs")
        return list(dict.fromkeys(removed))

    def assignments(self, evse: int) -> list[Payload]:
        """Return TariffAssignmentType of each tariff (I09)."""
        found: dict[tuple[str, str], Payload] = {}

        def add(tariff: Tariff, kind: str, number: int, token: str = "") -> None:
            entry = found.setdefault(
                (tariff["tariffId"], kind), {"tariffId": tariff["tariffId"], "tariffKind": kind, "evseIds": []}
            )
            if number not in entry["evseIds"]:
                entry["evseIds"].append(number)
            if token:
                entry.setdefault("idTokens", []).append(token)
            if "validFrom" in tariff:
                entry["validFrom"] = tariff["validFrom"]

        for number, state in self._context.evses.items():
            if evse not in (0, number):
                continue
            for tariff in self.defaults.get(number, ()):
                add(tariff, "DefaultTariff", number)
            running, defaults = state.transaction, self.defaults.get(number, ())
            if running is not None and running.tariff is not None and running.tariff not in defaults:
                add(running.tariff, "DriverTariff", number, running.token)
        return list(found.values())

    def change(self, transaction: str, tariff: Tariff) -> str:
        """Change the tariff of a transaction; return ChangeTransactionTariffResponse.status (I11)."""
        if elements(tariff) > MAX_ELEMENTS:
            return v21.TariffChangeStatusEnumType.too_many_elements
        evse = self._context.evse_of(transaction)
        running = None if evse is None else evse.transaction
        if evse is None or running is None:
            return v21.TariffChangeStatusEnumType.tx_not_found
        if running.tariff is not None and running.tariff["currency"] != tariff["currency"]:
            return v21.TariffChangeStatusEnumType.no_currency_change
        self.update(evse)
        running.tariff, running.tariff_sent = tariff, False
        if evse.number in self.bills:
            self.bills[evse.number].tariff = tariff  # costs so far remain (I11.FR.08)
        else:
            self._begin_bill(evse.number, tariff, None)
        self._context.messages.updated(evse, running, TriggerReason.tariff_changed)
        return v21.TariffChangeStatusEnumType.accepted

    # transactions

    def offer(self, evse: int, tariff: Tariff | None) -> None:
        """Store the driver tariff that an authorisation states (I08)."""
        self.initial_needs.pop(evse, None)
        if tariff is not None and self.enabled:
            usable = 0 < elements(tariff) <= MAX_ELEMENTS
            self._context.device_model.put(CONTROLLER, "Problem", not usable)  # I08.FR.30: the default is used
            if usable:
                self.initial_needs[evse] = tariff

    def begin(self, evse: EvseState, transaction: Transaction, reserved_s: float | None) -> None:
        """Assign the driver tariff to a new transaction, otherwise the default tariff (I07.FR.14)."""
        self.bills.pop(evse.number, None)
        if not self.enabled:
            return
        transaction.tariff = self.initial_needs.pop(evse.number, None) or self.default(evse.number)
        if transaction.tariff is not None:
            self._begin_bill(evse.number, transaction.tariff, reserved_s)
            self._reported_at[evse.number] = self._context.wall()

    def _begin_bill(self, evse: int, tariff: Tariff, reserved_s: float | None) -> None:
        kind = "DC" if self._context.config.dc else "AC"
        self.bills[evse] = Bill(tariff, self._context.wall(), kind)
        self.bills[evse].begin(reserved_s)

    def update(self, evse: EvseState) -> None:
        """Add the consumption since the last update at the prices that applied then."""
        bill = self.bills.get(evse.number)
        transaction = evse.transaction
        if bill is None or transaction is None:
            return
        reading, charged = evse.reading, evse.power_path.stage.meter.charged_wh
        energy = max(0.0, charged - transaction.started_wh - bill.energy_wh)
        power = max(0.0, reading.power_w)
        charging = abs(reading.power_w) >= FLOW_W
        bill.add(self._context.wall(), energy, power, abs(reading.current_a or 0.0), charging)
        interval = self._context.device_model.number(CONTROLLER, "Interval", 0, 0, "Cost")
        if interval > 0 and bill.at - self._reported_at[evse.number] >= interval - 1e-6:
            self._reported_at[evse.number] = bill.at
            self._context.messages.updated(evse, transaction, TriggerReason.running_cost)  # I12.FR.03

    def next_change_at(self) -> float | None:
        """Return the next whole minute while costs run: prices change then."""
        return (self._context.wall() // 60 + 1) * 60 if self.bills else None

    def details(self, evse: EvseState, ended: bool) -> Payload | None:
        """Return CostDetailsType of the running or just ended transaction of an EVSE."""
        bill = self.bills.get(evse.number)
        return None if bill is None else bill.details(ended)

    def end(self, evse: EvseState) -> None:
        """Drop the costs after the last event of a transaction."""
        self.bills.pop(evse.number, None)
        self._reported_at.pop(evse.number, None)

    def saved(self) -> list[SavedRow]:
        """Return the stored form (I07.FR.13)."""
        return [[evse, tariffs] for evse, tariffs in self.defaults.items()]

    def restore(self, saved: list[SavedRow]) -> None:
        """Restore the stored form."""
        self.defaults = {int(evse): list(tariffs) for evse, tariffs in saved}
