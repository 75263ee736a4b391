"""Variables of the device model as a station last reported them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from protocols.ocpp.enums import v21

MAX_VARIABLES = 2_000  # of one station's device model
VariableName: TypeAlias = tuple[str, int, str, str]  # component, EVSE or 0, variable, instance
ReportedRow: TypeAlias = tuple[str, int, str, str, str, float | None]  # the name, value and limit
RESTORED = frozenset({"V2XChargingCtrlr", "SmartChargingCtrlr"})  # decide, with all limits, what an EVSE can do


class ReportedVariables:
    """Values of variables, and their limits."""

    def __init__(self) -> None:
        self.variables: dict[VariableName, str] = {}
        self.limits: dict[VariableName, float] = {}  # maxLimit of a variable, from its characteristics
        self.inventory_request: int | None = None  # request id of the pending inventory
        self.rate_unit: v21.ChargingRateUnitEnumType | None = None  # of charging profiles, where it is known

    def expect_inventory(self, request: int | None) -> None:
        """Record the request whose reports are the inventory; None: it is complete, or rejected."""
        self.inventory_request = request

    def use_rate_unit(self, unit: v21.ChargingRateUnitEnumType | None) -> None:
        """Use a unit of charging profiles, which the station has stated or accepted."""
        self.rate_unit = unit

    def variable(self, component: str, variable: str, evse: int = 0, instance: str = "") -> str | None:
        """Return the last reported value of a variable of the device model."""
        return self.variables.get((component, evse, variable, instance))

    def set_variable(self, name: VariableName, value: str, limit: float | None = None) -> None:
        """Store a reported value of the device model, up to `MAX_VARIABLES`."""
        if len(self.variables) < MAX_VARIABLES or name in self.variables:
            self.variables[name] = value
            if limit is not None:
                self.limits[name] = limit

    def restored_rows(self) -> list[ReportedRow]:
        """Return what a later run has to know before the station reports again."""
        return [
            (*name, value, limit)
            for name, value in self.variables.items()
            if (limit := self.limits.get(name)) is not None or name[0] in RESTORED
        ]

    def restore_variables(self, rows: Iterable[ReportedRow]) -> None:
        """Restore what an earlier run has stored."""
        for component, evse, variable, instance, value, limit in rows:
            self.set_variable((component, evse, variable, instance), value, limit)
