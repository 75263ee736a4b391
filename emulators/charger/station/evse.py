"""State of one EVSE of an emulated station."""

from __future__ import annotations

from dataclasses import dataclass, field

from emulators.charger.hardware.thermal_model import ThermalModel
from emulators.charger.station.ocpp_enums import ConnectorStatus
from emulators.charger.station.power_path import Needs, PowerPath, Reading
from emulators.charger.station.smart_charging.grid_protection import GridProtection
from emulators.charger.station.smart_charging.operation_modes import AlgorithmState, LocalConditions
from emulators.charger.station.smart_charging.schedule import Composite, EvseConditions
from emulators.charger.station.transaction import Transaction, TransactionStart

LOCK_FAULT = "ConnectorLockFailure"


@dataclass(slots=True)
class EvseState:
    """One EVSE with one connector: vehicle, transaction, charging profile in force, last measurements and reports."""

    number: int
    power_path: PowerPath
    status: str = ConnectorStatus.available  # ConnectorStatusEnumType
    operative: bool = True
    inoperative_next: bool = False  # inoperative as soon as the transaction has ended
    fault: str | None = None
    vehicle: Needs | None = None
    initial_needs: Needs | None = None  # as stated at plug-in
    transaction: Transaction | None = None
    group: str | None = None  # of the token authorised last
    pending_start: TransactionStart | None = None  # 1.6: authorised, no vehicle connected yet
    composite: Composite = field(default_factory=Composite)
    profile_conditions: EvseConditions = field(default_factory=EvseConditions)  # of the composite
    algorithm: AlgorithmState = field(default_factory=AlgorithmState)
    conditions: LocalConditions = field(default_factory=LocalConditions)
    setpoint_w: float = 0.0
    reading: Reading = field(default_factory=lambda: Reading(0.0, 0.0, 0.0))
    reported_w: float = 0.0
    reported_at: float = float("-inf")
    sampled_at: float = float("-inf")
    soc_reported: bool = False  # in this transaction
    alarm: tuple[str, str | None] | None = None  # DER control and grid fault of the alarm that is active
    protection: GridProtection = field(default_factory=GridProtection)
    open: bool = False  # energy may flow
    finishing: bool = False  # 1.6: transaction ended, cable still connected
    priority: bool = False
    allowed_transfers: tuple[str, ...] | None = None  # energy transfers the CSMS allows; None: not stated
    authorize_answered: bool = False  # the CSMS has answered Authorize and could have stated what it allows
    needs_unsent: bool = False  # the station was offline when the vehicle stated its needs
    sleeping: bool = False
    thermal: ThermalModel = field(default_factory=ThermalModel)
    resetting: bool = False  # blocked until a reset or installation
    vendor_setpoint_w: float | None = None  # set over a vendor channel without a charging profile

    @property
    def unlocks(self) -> bool:
        """False while the connector lock has failed."""
        return self.fault != LOCK_FAULT

    @property
    def in_service(self) -> bool:
        """True where a transaction may begin."""
        return self.operative and self.fault is None and not self.resetting

    def idle_status(self, reserved: bool) -> str:
        """Return the connector status without regard to measurements. A running transaction postpones Unavailable."""
        if self.fault is not None:
            return ConnectorStatus.faulted
        if not self.operative or self.resetting:
            return ConnectorStatus.unavailable if self.transaction is None else ConnectorStatus.occupied
        used = self.vehicle is not None or self.transaction is not None or self.pending_start is not None
        if used or self.power_path.plugged:
            return ConnectorStatus.occupied
        return ConnectorStatus.reserved if reserved else ConnectorStatus.available
