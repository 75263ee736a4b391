"""State of one EVSE of a station (in 1.6, of a connector): as reported by the station, and as set by the gateway."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec

from gateway.model.event import OperationMode, PlugState, PowerLimits, VehicleNeeds
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import ErrorCode, Payload

FaultSource: TypeAlias = tuple[str, ...]  # what reports it, such as ("connector", "1"); see `faults`
DER_CONTROL = "DER"  # first member of the sources of DER controls
_encode = msgspec.json.Encoder().encode
UNSUPPORTED = frozenset({ErrorCode.NOT_IMPLEMENTED, ErrorCode.NOT_SUPPORTED})  # the station lacks an action
Faults: TypeAlias = dict[FaultSource, tuple[str, str]]  # code and text


@dataclass(slots=True)
class SetpointProfile:
    """The charging profile with the set-point that the station has accepted."""

    profile: int
    transaction: str
    mode: OperationMode
    unit: v21.ChargingRateUnitEnumType
    power_w: float
    valid_for_s: float | None


@dataclass(slots=True)
class FallbackProfile:
    """State of the TxDefaultProfile of stack level 0: installed or not, and the failed attempts to install it."""

    installed: bool = False
    failures: int = 0  # in a row
    retry_at: float = 0.0  # engine time; no attempt before it
    rejected: bool = False  # the last attempt, by a station that supports charging profiles
    error: str = ""  # the station's rejection, or that it did not respond

    def reset(self) -> None:
        """Reset the state: the station may have lost the profile."""
        self.installed, self.failures, self.retry_at, self.rejected, self.error = False, 0, 0.0, False, ""


@dataclass(slots=True)
class Unsupported:
    """Refusals in a row of an action that the station does not implement, and when it may be sent again."""

    count: int = 0
    code: str = ""
    at: float = 0.0  # engine time

    def answered(self, code: str, now: float) -> None:
        """Apply a refusal, or with another code or none its end."""
        if code not in UNSUPPORTED:
            self.count = 0
            return
        self.count, self.code = self.count + 1, code
        self.at = now + min(600.0, 5.0 * 2.0 ** min(self.count, 10))


@dataclass(slots=True)
class Meter:
    """Last values of the meter of an EVSE."""

    voltage_v: float | None = None
    volt_phases: float | None = None  # power per ampere of a phase, as measured last in this session
    stamp: float | None = None  # newest one
    received_at: float = 0.0  # engine time of the first sampled values with it
    _samples: bytes = b"[]"

    def keep(self, samples: list[Payload]) -> None:
        """Keep the sampled values of the newest time stamp; as text they are one object instead of a hundred."""
        self._samples = _encode(samples)

    def samples(self) -> list[Payload]:
        """Return the sampled values of the newest time stamp."""
        return msgspec.json.decode(self._samples, type=list[Payload])


@dataclass(slots=True)
class Evse:
    """One EVSE."""

    number: int
    name: str
    connectors: dict[int, str] = field(default_factory=dict)  # OCPP status by connector
    plug: PlugState | None = None
    described_in: str | None = None  # transaction in which ConnectedEV was read
    faults: Faults = field(default_factory=dict)  # its own, without those of the station
    reported_faults: dict[str, str] = field(default_factory=dict)  # text by code, as last reported to the gateway
    mode: OperationMode | None = None
    limits: PowerLimits | None = None  # as last reported to the gateway
    can_discharge: bool = False
    why_not: str = ""  # reason why it cannot discharge
    bidirectional: bool | None = None  # requested by the vehicle; None before its charging needs
    needs: VehicleNeeds | None = None  # of a vehicle at a 2.0.1 station
    setpoint_profile: SetpointProfile | None = None
    setpoint: tuple[float, float] | None = None  # last power in W, not refused, and the end of its validity
    fallback: FallbackProfile = field(default_factory=FallbackProfile)
    unsupported: Unsupported = field(default_factory=Unsupported)  # SetChargingProfile
    meter: Meter = field(default_factory=Meter)
    priority: bool = False  # the driver requested priority charging
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)  # one order at a time, in order of arrival
    orders: set[asyncio.Timeout] = field(default_factory=set)  # of another power than 0 W, not completed
    watchdog: asyncio.Task[None] | None = None  # sends 0 W where the station has no watchdog of its own

    @property
    def fault(self) -> str | None:
        """Codes of the active faults, None without any."""
        return ", ".join(self.reported_faults) or None

    def stop_watchdog(self) -> None:
        """Cancel the pending 0 W."""
        if self.watchdog is not None:
            self.watchdog.cancel()
            self.watchdog = None

    def give_up_orders(self) -> None:
        """Abandon the orders that are not completed."""
        now = asyncio.get_running_loop().time()
        for order in self.orders:
            if not order.expired() and order.when() is None:
                order.reschedule(now)

    def reset_profiles(self) -> None:
        """Reset the state of the charging profiles: the station may have lost them."""
        self.setpoint_profile = None
        self.fallback.reset()
