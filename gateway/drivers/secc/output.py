"""Output of one EVSE with sessions of ISO 15118: a power at the meter becomes an order to the supervisor of its board.

What both kinds share: `dc_output.py` with a power stage, `ac_output.py` with contactors only. An order is repeated with
every charge loop and ends by itself without that (`orders.ORDER_VALID_S`).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from gateway.drivers.board.output import HostedOutput
from gateway.drivers.board.runner import BoardRunner
from gateway.drivers.secc.settings import SeccEvseSettings, bidirectional
from protocols.iso15118.iso20.limits import NOTHING, Limits, PowerRange


class EvseOutput(HostedOutput):
    """Output of one EVSE, within the limits of the board, the configuration and the vehicle."""

    ac: ClassVar[bool]
    not_configured = "no bidirectional service is configured (services and protocols)"

    def __init__(self, settings: SeccEvseSettings, board: BoardRunner) -> None:
        super().__init__(settings, board)
        self._settings = settings
        self.vehicle = NOTHING
        self.allowed: PowerRange | None = None  # at the connector, of the last charge loop

    @property
    def bidirectional(self) -> bool:
        return bidirectional(self._settings, ac=self.ac)

    @abstractmethod
    def limits(self) -> Limits:
        """Return the limits at the connector; without power while a fault keeps the output at 0 A."""

    # the output

    @abstractmethod
    def to_connector(self, meter_w: float) -> float:
        """Return the power at the connector for a power at the meter."""

    def begin(self) -> None:
        """Begin a session."""
        self.delivering, self.vehicle, self.allowed = False, NOTHING, None

    def start(self) -> None:
        """Begin to deliver: from now on power may flow."""
        self.delivering = True

    def limit(self, vehicle: Limits) -> None:
        """Apply the limits of the vehicle."""
        self.vehicle = vehicle

    def allow(self, allowed: PowerRange | None) -> None:
        """Apply the range of a charge loop at the connector, None in standby."""
        self.allowed = allowed

    def stop(self) -> None:
        """End the delivery, until the next `start`."""
        self.delivering, self.allowed = False, None

    @abstractmethod
    def deliver(self, power_w: float, now: float) -> None:
        """Order a power at the connector."""

    @abstractmethod
    def learn(self, now: float) -> None:
        """Compare the measurements at connector and meter."""
