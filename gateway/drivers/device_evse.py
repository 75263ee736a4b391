"""EVSE of a product with its own vehicle communication, which the gateway reads and orders: a wallbox or a V2H box."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar, Generic, Protocol, TypeVar

from gateway.drivers.device_session import DeviceSession
from gateway.model.event import Report
from gateway.model.station import Answer, Outcome, OutcomeCode, setpoint_refusal
from protocols.ports import Clock

ZERO_WITHIN_S = 8.0  # for 0 W to be confirmed when the gateway stops


class Engine(Protocol):
    """Engine of a product."""

    @property
    def ready(self) -> bool:
        """True while the product answers and was read."""


class Device(Protocol):
    """A product at work."""

    @property
    def engine(self) -> Engine: ...

    async def order(self, power_w: float, valid_for_s: float) -> Outcome:
        """Order a power, + into the vehicle."""


DeviceT = TypeVar("DeviceT", bound=Device)


class DeviceEvse(ABC, Generic[DeviceT]):
    """One EVSE. `kind`: what the product is called in reasons."""

    kind: ClassVar[str]

    def __init__(self, session: DeviceSession, report: Report, clock: Clock) -> None:
        self.name = session.name
        self._evse, self._report, self._clock = session, report, clock
        self._device: DeviceT | None = None

    # an EVSE that the gateway hosts

    @property
    def connected(self) -> bool:
        """True while the product answers and was read."""
        return self._ready is not None

    @property
    def _ready(self) -> DeviceT | None:
        device = self._device
        return device if device is not None and device.engine.ready else None

    def announce(self) -> None:
        """Report the EVSE, before its product answers."""
        self._report(self._evse.announce(self._clock.now()))

    # `gateway.model.station.Stations`

    def reaches(self, evse: str) -> bool:
        """Return True while the product answers."""
        return self.connected

    async def set_power(self, evse: str, power_w: float, valid_for_s: float) -> Outcome:
        """Run at a power; it ends by itself, or by order of the driver, after `valid_for_s`."""
        device = self._ready
        if device is None:
            return self._silent()
        refused = setpoint_refusal(power_w, valid_for_s, why_not=None, bidirectional=None)
        if refused is not None:
            return refused
        if power_w and self._evse.session is None:
            return self._without_vehicle()
        return await device.order(power_w, valid_for_s)

    async def end_session(self, evse: str) -> Outcome:
        """Stop the power; the session itself ends with the removal of the vehicle."""
        return await self.set_power(evse, 0.0, ZERO_WITHIN_S)

    async def reset(self, evse: str) -> Outcome:
        """Refuse: nothing is latched here, and faults of the product are cleared at the product."""
        return Outcome(Answer.REFUSED, "NotSupported", f"faults of {self.name} are cleared at the {self.kind}")

    def _silent(self) -> Outcome:
        return Outcome(Answer.UNKNOWN, OutcomeCode.NOT_CONNECTED, f"the {self.kind} of {self.name} does not answer")

    def _without_vehicle(self) -> Outcome:
        return Outcome(Answer.REFUSED, OutcomeCode.TX_NOT_FOUND, f"no vehicle is ready at {self.name}")
