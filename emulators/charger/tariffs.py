"""The tariffs an emulated station holds, and which one a transaction uses (OCPP 2.1 I07-I11).

What a transaction comes to is in `tariff_cost.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulators.charger.evse import EvseState
    from emulators.charger.station import Station
    from emulators.charger.transaction import Transaction

Tariff = dict[str, Any]


class Tariffs:
    """All of one station."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.defaults: dict[int, list[Tariff]] = {}  # by EVSE, in the order they came

    def begin(self, evse: EvseState, transaction: Transaction) -> None:
        """A transaction begins."""

    def saved(self) -> list[list[Any]]:
        """What is kept over a restart (I07.FR.13)."""
        return [[evse, tariffs] for evse, tariffs in self.defaults.items()]

    def restore(self, saved: list[list[Any]]) -> None:
        """What was kept."""
        self.defaults = {int(evse): list(tariffs) for evse, tariffs in saved}
