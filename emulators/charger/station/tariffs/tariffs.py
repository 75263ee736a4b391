"""The tariffs an emulated 2.1 station holds, which one a transaction uses, and its running bill (I07-I12).

What a transaction comes to is in `tariff_cost.py`. A 2.0.1 station shows what the CSMS says it costs and no more. A
bill is not kept over a restart of the process: what ran then ends without cost details.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulators.charger.station.tariffs.cost import Bill
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.times import parse

if TYPE_CHECKING:
    from emulators.charger.station.evse import EvseState
    from emulators.charger.station.station import Station
    from emulators.charger.station.transaction import Transaction

Tariff = dict[str, Any]
CONTROLLER = "TariffCostCtrlr"
FLOWS_W = 50.0  # W; below it nothing is said to flow
MOST_ELEMENTS = 50
MOST_TARIFFS = 10  # waiting for their time, at one EVSE
PARTS = ("energy", "chargingTime", "idleTime", "fixedFee", "reservationTime", "reservationFixed")


def furnish(station: Station, late: bool) -> None:
    """TariffCostCtrlr."""
    add = station.device.add
    for instance in ("Cost", *(("Tariff",) if late else ())):
        add(CONTROLLER, "Available", True, instance=instance, type="boolean")
        add(CONTROLLER, "Enabled", True, instance=instance, type="boolean", mutable=True)
    add(CONTROLLER, "Currency", "EUR", mutable=True)
    add(CONTROLLER, "TariffFallbackMessage", "", mutable=True)
    add(CONTROLLER, "TotalCostFallbackMessage", "", mutable=True)
    if late:
        add(CONTROLLER, "Interval", 0, instance="Cost", type="integer", mutable=True, low=0, unit="s")
        add(CONTROLLER, "Interval", 0, instance="Tariff", type="integer", mutable=True, low=0, unit="s")
        add(CONTROLLER, "MaxElements", MOST_ELEMENTS, instance="Tariff", type="integer")
        add(CONTROLLER, "ConditionsSupported", True, instance="Tariff", type="boolean")
        add(CONTROLLER, "Problem", False, type="boolean")


def elements(tariff: Tariff) -> int:
    """How many prices a tariff has."""
    return sum(len(tariff[part]["prices"]) for part in PARTS if part in tariff)


class Tariffs:
    """All of one station."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.defaults: dict[int, list[Tariff]] = {}  # by EVSE: the one in force, and those whose time comes
        self.offered: dict[int, Tariff] = {}  # a driver's, until the transaction begins
        self.bills: dict[int, Bill] = {}  # by EVSE
        self._told: dict[int, float] = {}

    @property
    def enabled(self) -> bool:
        """Whether the station computes costs."""
        found = self.station.device.get(CONTROLLER, "Enabled", 0, "Tariff")
        return self.station.config.version is Version.V21 and found == "true"

    # what the CSMS sets

    def set_default(self, evse: int, tariff: Tariff) -> str:
        """SetDefaultTariffResponse.status (I07.FR.02-23). EVSE 0 is each of them."""
        if elements(tariff) > MOST_ELEMENTS:
            return "TooManyElements"
        places = [number for number in self.station.evses if evse in (0, number)]
        if not places or elements(tariff) == 0:
            return "Rejected"
        known = {one["tariffId"] for number in places for one in self.defaults.get(number, ())}
        if tariff["tariffId"] in known:
            return "DuplicateTariffId"
        if any(len(self.defaults.get(number, ())) >= MOST_TARIFFS for number in places):
            return "Rejected"
        for number in places:
            kept = self.defaults.setdefault(number, [])
            if "validFrom" not in tariff:
                kept[:] = [one for one in kept if "validFrom" in one]  # I07.FR.22
            kept.append(tariff)
        self.station.save("tariffs")
        return "Accepted"

    def default(self, evse: int) -> Tariff | None:
        """The one in force now; what it replaced is gone (I07.FR.19-21)."""
        kept, now = self.defaults.get(evse, []), self.station.wall()
        begun = [one for one in kept if (parse(one.get("validFrom")) or float("-inf")) <= now]
        if not begun:
            return None
        best = max(begun, key=lambda one: parse(one.get("validFrom")) or float("-inf"))
        if len(begun) > 1:
            self.defaults[evse] = [one for one in kept if one is best or one not in begun]
            self.station.save("tariffs")
        return best

    def clear(self, ids: list[str] | None, evse: int | None) -> list[str]:
        """The ids of what went (I10). A transaction keeps the tariff it began with."""
        gone: list[str] = []
        for number, kept in self.defaults.items():
            if evse in (None, 0, number):
                gone += [one["tariffId"] for one in kept if ids is None or one["tariffId"] in ids]
                kept[:] = [one for one in kept if not (ids is None or one["tariffId"] in ids)]
        self.station.save("tariffs")
        return list(dict.fromkeys(gone))

    def assignments(self, evse: int) -> list[Payload]:
        """TariffAssignmentType of each tariff (I09)."""
        found: dict[tuple[str, str], Payload] = {}

        def note(tariff: Tariff, kind: str, number: int, token: str = "") -> None:
            entry = found.setdefault(
                (tariff["tariffId"], kind), {"tariffId": tariff["tariffId"], "tariffKind": kind, "evseIds": []}
            )
            if number not in entry["evseIds"]:
                entry["evseIds"].append(number)
            if token:
                entry.setdefault("idTokens", []).append(token)
            if "validFrom" in tariff:
                entry["validFrom"] = tariff["validFrom"]

        for number, state in self.station.evses.items():
            if evse not in (0, number):
                continue
            for tariff in self.defaults.get(number, ()):
                note(tariff, "DefaultTariff", number)
            running = state.transaction
            if (
                running is not None
                and running.tariff is not None
                and running.tariff not in self.defaults.get(number, ())
            ):
                note(running.tariff, "DriverTariff", number, running.token)
        return list(found.values())

    def change(self, transaction: str, tariff: Tariff) -> str:
        """ChangeTransactionTariffResponse.status (I11)."""
        if elements(tariff) > MOST_ELEMENTS:
            return "TooManyElements"
        for evse in self.station.evses.values():
            running = evse.transaction
            if running is None or running.id != transaction:
                continue
            if running.tariff is not None and running.tariff["currency"] != tariff["currency"]:
                return "NoCurrencyChange"
            self.look(evse)
            running.tariff, running.tariff_told = tariff, False
            bill = self.bills.get(evse.number)
            if bill is None:
                self.bills[evse.number] = Bill(tariff, self.station.wall(), self._kind)
                self.bills[evse.number].begin(None)
            else:
                bill.change(tariff)
            self.station.dialect.updated(evse, running, "TariffChanged")
            return "Accepted"
        return "TxNotFound"

    # a transaction

    @property
    def _kind(self) -> str:
        return "DC" if self.station.config.dc else "AC"

    def offer(self, evse: int, tariff: Tariff | None) -> None:
        """I08: a driver's tariff came with the authorisation."""
        self.offered.pop(evse, None)
        if tariff is not None and self.enabled:
            usable = 0 < elements(tariff) <= MOST_ELEMENTS
            self.station.device.put(CONTROLLER, "Problem", not usable)  # I08.FR.30: the default is used
            if usable:
                self.offered[evse] = tariff

    def begin(self, evse: EvseState, transaction: Transaction, reserved_s: float | None) -> None:
        """A transaction begins: by the driver's tariff, else by the default (I07.FR.14)."""
        self.bills.pop(evse.number, None)
        if not self.enabled:
            return
        transaction.tariff = self.offered.pop(evse.number, None) or self.default(evse.number)
        if transaction.tariff is not None:
            bill = Bill(transaction.tariff, self.station.wall(), self._kind)
            bill.begin(reserved_s)
            self.bills[evse.number] = bill
            self._told[evse.number] = self.station.wall()

    def look(self, evse: EvseState) -> None:
        """Count what passed since the last look, at the prices of then."""
        bill = self.bills.get(evse.number)
        transaction = evse.transaction
        if bill is None or transaction is None:
            return
        reading, charged = evse.reading, evse.outlet.stage.meter.charged_wh
        energy = max(0.0, charged - transaction.started_wh - bill.energy_wh)
        power = max(0.0, reading.power_w)
        charging = abs(reading.power_w) >= FLOWS_W
        bill.add(self.station.wall(), energy, power, abs(reading.current_a or 0.0), charging)
        every = self.station.device.number(CONTROLLER, "Interval", 0, 0, "Cost")
        if every > 0 and bill.at - self._told[evse.number] >= every - 1e-6:
            self._told[evse.number] = bill.at
            self.station.dialect.updated(evse, transaction, "RunningCost")  # I12.FR.03

    def next_turn(self) -> float | None:
        """Prices turn on whole minutes."""
        return (self.station.wall() // 60 + 1) * 60 if self.bills else None

    def details(self, evse: EvseState, ended: bool) -> Payload | None:
        """CostDetailsType of what runs or has just ended."""
        bill = self.bills.get(evse.number)
        return None if bill is None else bill.details(ended)

    def end(self, evse: EvseState) -> None:
        """The last event has been written."""
        self.bills.pop(evse.number, None)
        self._told.pop(evse.number, None)

    def saved(self) -> list[list[Any]]:
        """What is kept over a restart (I07.FR.13)."""
        return [[evse, tariffs] for evse, tariffs in self.defaults.items()]

    def restore(self, saved: list[list[Any]]) -> None:
        """What was kept."""
        self.defaults = {int(evse): list(tariffs) for evse, tariffs in saved}
