"""One EVSE of the emulated station as it is now: what is plugged in, what runs, what was measured and told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from emulators.charger.hardware.thermal_model import Warmth
from emulators.charger.station.power_path import Needs, PowerPath, Reading
from emulators.charger.station.smart_charging.operation_modes import Memory, Surroundings
from emulators.charger.station.smart_charging.schedule import Composite
from emulators.charger.station.transaction import Transaction

if TYPE_CHECKING:
    from emulators.charger.station.connector_sessions import Order


@dataclass(slots=True)
class EvseState:
    """One EVSE as it is now."""

    number: int
    outlet: PowerPath
    status: str = "Available"  # Available | Occupied | Reserved | Unavailable | Faulted
    operative: bool = True
    inoperative_next: bool = False  # as soon as the transaction has ended
    fault: str | None = None
    vehicle: Needs | None = None
    offered: Needs | None = None  # what it said when it came
    transaction: Transaction | None = None
    group: str | None = None  # of the token that was authorised last
    awaited: Order | None = None  # 1.6: authorised, and no vehicle yet
    composite: Composite = field(default_factory=Composite)
    memory: Memory = field(default_factory=Memory)
    surroundings: Surroundings = field(default_factory=Surroundings)
    wish_w: float = 0.0
    reading: Reading = field(default_factory=lambda: Reading(0.0, 0.0, 0.0))
    told_w: float = 0.0
    told_at: float = float("-inf")
    sampled_at: float = float("-inf")
    soc_told: bool = False  # in this transaction
    alarm: tuple[str, str | None] | None = None
    open: bool = False
    told_to_form: bool = False  # an island's voltage, in the vendor's own way
    finishing: bool = False  # 1.6: the transaction has ended, the cable is still in
    priority: bool = False
    allowed: tuple[str, ...] | None = None  # energy transfers the CSMS allows; None: not said
    asked: bool = False  # the CSMS was asked who this is, and could have said what is allowed
    untold: bool = False  # what the vehicle needs could not be told: the station was offline
    sleeping: bool = False
    warmth: Warmth = field(default_factory=Warmth)
    resetting: bool = False  # until what runs has ended
    held_power_w: float | None = None  # vendor channels without a profile

    def idle_status(self, reserved: bool) -> str:
        """The status that follows from what it is, a transaction aside: not operative counts once nothing runs."""
        if self.fault is not None:
            return "Faulted"
        if not self.operative or self.resetting:
            return "Unavailable" if self.transaction is None else "Occupied"
        if self.vehicle is not None or self.transaction is not None or self.awaited is not None:
            return "Occupied"
        return "Reserved" if reserved else "Available"
