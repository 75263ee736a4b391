"""Output of a hosted EVSE, AC or DC: what its board reports, and its limits at the meter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from gateway.drivers.board.faults import Reaction
from gateway.drivers.board.ports import MeterReading, Output
from gateway.drivers.board.runner import BoardRunner
from gateway.model.event import PowerLimits


class OutputSettings(Protocol):
    """Settings of an EVSE that limit its output; powers are magnitudes at the meter."""

    @property
    def max_charge_w(self) -> float | None: ...
    @property
    def max_discharge_w(self) -> float | None: ...


class HostedOutput(ABC):
    """Output of one EVSE, within the limits of board and configuration."""

    not_configured = "discharging is not configured"

    def __init__(self, settings: OutputSettings, board: BoardRunner) -> None:
        self._limits, self._board = settings, board
        self.forms = False  # ordered to form the grid
        self.delivering = False

    # orders

    def form(self, forms: bool) -> None:
        """Form the grid from the next order on, or follow it."""
        self.forms = forms

    # what the hardware reports

    @property
    @abstractmethod
    def ready(self) -> bool:
        """True once the board has reported what a session needs."""

    @property
    @abstractmethod
    def forming(self) -> bool:
        """True where the board has a command to form a grid."""

    @property
    @abstractmethod
    def measured(self) -> Output | None:
        """Last measurement of a power stage at the connector."""

    @property
    def reading(self) -> MeterReading | None:
        """Last reading of the meter."""
        return self._board.board.meter.reading

    @property
    def available(self) -> bool:
        """True while no fault keeps the output at 0 A; faults of the grid do not stop a grid-forming source."""
        return not self._board.supervisor.faults.at_least(Reaction.ZERO, forming=self.forms)

    # limits

    @property
    @abstractmethod
    def bidirectional(self) -> bool:
        """True where a discharge is configured."""

    @property
    @abstractmethod
    def power_limits(self) -> PowerLimits:
        """Limits at the meter, magnitudes."""

    @property
    def why_not(self) -> str:
        """Reason why the EVSE cannot discharge, empty where it can."""
        if not self.bidirectional:
            return self.not_configured
        if self.power_limits.max_discharge_w <= 0:
            return "no discharge power is configured (max_discharge_w)"
        return ""


def least(rated_w: float, configured_w: float | None) -> float:
    """Return a rated power, narrowed by the configured one."""
    return rated_w if configured_w is None else min(rated_w, configured_w)
