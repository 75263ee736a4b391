"""EVerest's side of its hardware API: the gateway takes the place of EVerest towards a vendor's hardware program.

Pure: payloads and time in, events and messages out. A program that was written for `evse_board_support_API`,
`power_supply_DC_API`, `isolation_monitor_API` and `powermeter_API` works unchanged. Not certain: QoS is not stated by
the API; the lock has no confirmation there, so that its command counts as its position `LOCK_S` later unless an error
is raised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from gateway.drivers.board.faults import FaultName, Part
from gateway.drivers.board.ports import (
    HOLD_S,
    OFF,
    BoardEvent,
    Capability,
    ContactorsChanged,
    DutyCycle,
    FaultCleared,
    FaultRaised,
    IsolationMeasured,
    IsolationTested,
    LockChanged,
    MeterReading,
    Output,
    PilotChanged,
    PilotSignal,
    PilotState,
    PowerReason,
    Range,
    Setpoint,
    StageMode,
    StopRequested,
)
from protocols.everest_api import (
    COMMUNICATION_CHECK_S,
    HEARTBEAT_S,
    Address,
    Kind,
    PayloadError,
    decode,
    encode,
    members,
    number,
)

Message: TypeAlias = tuple[str, bytes]
REPEAT_S = 1.0  # of set-points
LOCK_S = 0.5
PART_OF = {Kind.BOARD: Part.PILOT, Kind.POWER: Part.POWER, Kind.ISOLATION: Part.ISOLATION, Kind.METER: Part.METER}
MODES = {
    "Off": StageMode.OFF,
    "Export": StageMode.CHARGE,
    "Import": StageMode.DISCHARGE,
    "Fault": StageMode.FAULT,
}
MODE_NAMES = {mode: name for name, mode in MODES.items()}
PHASES = {
    PowerReason.CABLE_CHECK: "CableCheck",
    PowerReason.PRECHARGE: "PreCharge",
    PowerReason.FULL_POWER: "Charging",
    PowerReason.POWER_OFF: "Other",
}


@dataclass
class Link:
    """Liveness of one module."""

    alive: bool = False
    checked: bool = True  # False: the program has stopped the check
    heard_at: float = 0.0


class EverestEngine:
    """Engine of up to four modules; `modules` are their ids in the API."""

    def __init__(self, modules: Mapping[Kind, str], now: float, settle_s: float) -> None:
        self.modules, self._settle_s = dict(modules), settle_s
        self.links = {kind: Link(heard_at=now) for kind in modules}
        self.pilot_state: PilotState | None = None
        self.closed: bool | None = None
        self.output: Output | None = None
        self.capability: Capability | None = None
        self.reading: MeterReading | None = None
        self.resistance_ohm: float | None = None
        self.locked: bool | None = None
        self.invalid = 0
        self._mode = StageMode.OFF
        self._setpoint, self._set_at, self._sent_at = OFF, now, float("-inf")
        self._reason = PowerReason.POWER_OFF
        self._commands: dict[tuple[Kind, str], Message] = {}  # last of each topic, sent again after a fault of the link
        self._lock_at: float | None = None
        self._lock_ordered = False
        self._measuring = False
        self._raised: set[tuple[Part, FaultName]] = set()
        self._outgoing: list[Message] = []
        self._beat_at, self._beats = now, 0

    # commands

    def send(self, kind: Kind, name: str, value: object = None, *, keep: str = "") -> None:
        """Send a command; `keep`: store it as the last one of this sort."""
        if kind in self.modules:
            message = (Address(kind, self.modules[kind], True, name).topic, encode(value))
            if keep:
                self._commands[kind, keep] = message
            self._outgoing.append(message)

    def start(self) -> None:
        """After connecting: enable the board, send the last commands, let the modules send their capabilities.

        What could not be sent before is dropped: an old command must not follow a newer one.
        """
        self._outgoing.clear()
        self._commands.pop((Kind.BOARD, "enable"), None)
        last = list(self._commands.values())
        self.send(Kind.BOARD, "enable", True, keep="enable")
        self._outgoing += last
        self._outgoing.append(("everest_api/ready_beacon", b"{}"))

    def set_pilot(self, signal: PilotSignal) -> None:
        """Output a signal of the pilot, if it is another one."""
        percent = signal.percent if isinstance(signal, DutyCycle) else None
        name = "pwm_on" if percent is not None else f"cp_state_{signal}"
        message = (Address(Kind.BOARD, self.modules[Kind.BOARD], True, name).topic, encode(percent))
        if self._commands.get((Kind.BOARD, "pilot")) != message:
            self.send(Kind.BOARD, name, percent, keep="pilot")

    def allow(self, closed: bool, reason: PowerReason) -> None:
        """Close or open the contactors."""
        self._reason = reason
        self.send(Kind.BOARD, "allow_power_on", {"allow_power_on": closed, "reason": str(reason)}, keep="power")

    def set_lock(self, locked: bool, now: float) -> None:
        """Lock or unlock."""
        self._lock_ordered, self._lock_at = locked, now + LOCK_S
        self.send(Kind.BOARD, "lock" if locked else "unlock", keep="lock")

    def set(self, setpoint: Setpoint, now: float) -> None:
        """Set the output, for HOLD_S."""
        changed = setpoint != self._setpoint
        self._setpoint, self._set_at = setpoint, now
        if changed:
            self._send_setpoint(now)

    def measure(self, on: bool) -> None:
        """Start or stop measuring the isolation."""
        self._measuring = on
        if not on:
            self.resistance_ohm = None
        self.send(Kind.ISOLATION, "start" if on else "stop", {}, keep="measure")

    def self_test(self, voltage_v: float) -> None:
        """Test the isolation monitor."""
        self.send(Kind.ISOLATION, "start_self_test", voltage_v)

    def _send_setpoint(self, now: float) -> None:
        self._sent_at = now
        one = self._setpoint
        values = {"voltage_V": one.voltage_v, "current_A": abs(one.current_a)}
        mode = {"mode": MODE_NAMES[one.mode], "charging_phase": PHASES[self._reason]}
        if one.mode is StageMode.DISCHARGE:
            self.send(Kind.POWER, "import_voltage_current", values)
        elif one.mode is StageMode.CHARGE:
            self.send(Kind.POWER, "export_voltage_current", values)
        self.send(Kind.POWER, "mode", mode)

    # engine contract

    def expire(self, now: float) -> list[BoardEvent]:
        """Send what is due, and the time-outs."""
        events: list[BoardEvent] = []
        if self._setpoint != OFF and now - self._set_at >= HOLD_S:
            self._setpoint = OFF
            self._send_setpoint(now)
        if now - self._sent_at >= REPEAT_S:
            self._send_setpoint(now)
        if now >= self._beat_at:
            self._beat_at, self._beats = now + HEARTBEAT_S, self._beats + 1
            for kind in self.modules:
                self.send(kind, "heartbeat", self._beats)
        if self._lock_at is not None and now >= self._lock_at:
            self._lock_at = None
            if self.locked is not self._lock_ordered:
                self.locked = self._lock_ordered
                events.append(LockChanged(self.locked, now))
        for kind, link in self.links.items():
            if link.checked and now - link.heard_at >= COMMUNICATION_CHECK_S:
                link.alive = False
                events += self._raise(PART_OF[kind], FaultName.COMMUNICATION, "no communication check", now)
        return events

    def deadline(self) -> float:
        """Time of the next `expire` at the latest."""
        hold = self._set_at + HOLD_S if self._setpoint != OFF else self._beat_at
        return min(self._beat_at, self._sent_at + REPEAT_S, hold, self._lock_at or self._beat_at)

    def messages_to_send(self) -> list[Message]:
        """Return the messages to publish and remove them."""
        messages, self._outgoing = self._outgoing, []
        return messages

    def receive(self, address: Address, payload: bytes, now: float) -> list[BoardEvent]:
        """Process a message of a hardware program; invalid ones are counted."""
        if address.command or self.modules.get(address.kind) != address.module_id:
            return []
        try:
            value = decode(payload)
            if address.name == "communication_check":
                return self._checked(address.kind, value, now)
            if address.name in ("raise_error", "clear_error"):
                return self._error(address, members(value), now)
            return self._value(address, value, now)
        except (PayloadError, KeyError, ValueError):
            self.invalid += 1
            return []

    def _value(self, address: Address, value: object, now: float) -> list[BoardEvent]:
        match address.kind, address.name:
            case Kind.BOARD, "event":
                return self._board_event(str(members(value)["event"]), now)
            case Kind.BOARD, "request_stop_transaction":
                return [StopRequested(str(members(value)["reason"]), now)]
            case Kind.POWER, "mode":
                self._mode = MODES[str(value)]
            case Kind.POWER, "voltage_current":
                found = members(value)
                volts, amps = number(found["voltage_V"]), number(found["current_A"])
                self.output = Output(now, self._mode, volts, amps)
            case Kind.POWER, "capabilities":
                self.capability = capability_of(members(value), self._settle_s)
            case Kind.ISOLATION, "isolation_measurement":
                ohm = number(members(value)["resistance_F_Ohm"])
                if self._measuring:
                    self.resistance_ohm = ohm
                    return [IsolationMeasured(ohm, now)]
            case Kind.ISOLATION, "self_test_result":
                return [IsolationTested(value is True, now)]
            case Kind.METER, "powermeter_values":
                self.reading = reading_of(members(value), now)
            case _:
                pass
        return []

    def _board_event(self, name: str, now: float) -> list[BoardEvent]:
        if name in ("PowerOn", "PowerOff"):
            closed = name == "PowerOn"
            changed, self.closed = self.closed is not closed, closed
            return [ContactorsChanged(closed, now)] if changed else []
        state = PilotState(name)
        changed, self.pilot_state = self.pilot_state is not state, state
        return [PilotChanged(state, now)] if changed else []

    def _checked(self, kind: Kind, value: object, now: float) -> list[BoardEvent]:
        if not isinstance(value, bool):
            raise PayloadError("communication_check is a boolean")
        link = self.links[kind]
        link.checked, link.heard_at = value, now
        if link.alive:
            return []
        link.alive = True
        for (sort, _), message in self._commands.items():
            if sort is kind:
                self._outgoing.append(message)
        if kind is Kind.POWER:
            self._send_setpoint(now)
        return self._clear(PART_OF[kind], FaultName.COMMUNICATION, now)

    # faults

    def _error(self, address: Address, found: Mapping[str, object], now: float) -> list[BoardEvent]:
        kind, stated = str(found["type"]), str(found.get("message", ""))
        name = FaultName(kind) if kind in {str(one) for one in FaultName} else FaultName.VENDOR_ERROR
        part = PART_OF[address.kind]
        if kind.startswith("ConnectorLock") or name is FaultName.LOCK_FAILURE:
            part = Part.LOCK
        elif name is FaultName.CONTACTOR:
            part = Part.CONTACTORS
        if address.name == "clear_error":
            return self._clear(part, name, now)
        return self._raise(part, name, f"{kind} {stated}".strip(), now)

    def _raise(self, part: Part, name: FaultName, detail: str, now: float) -> list[BoardEvent]:
        if (part, name) in self._raised:
            return []
        self._raised.add((part, name))
        return [FaultRaised(part, name, detail, now)]

    def _clear(self, part: Part, name: FaultName, now: float) -> list[BoardEvent]:
        if (part, name) not in self._raised:
            return []
        self._raised.discard((part, name))
        return [FaultCleared(part, name, now)]


def capability_of(found: Mapping[str, object], settle_s: float) -> Capability:
    """Return the capability of a power supply. Raises `PayloadError`, KeyError."""

    def direction(name: str) -> Range:
        return Range(
            min_voltage_v=number(found[f"min_{name}_voltage_V"]),
            max_voltage_v=number(found[f"max_{name}_voltage_V"]),
            max_current_a=number(found[f"max_{name}_current_A"]),
            max_power_w=number(found[f"max_{name}_power_W"]),
            min_current_a=number(found[f"min_{name}_current_A"]),
        )

    both = found["bidirectional"] is True and "max_import_power_W" in found
    return Capability(
        direction("export"),
        direction("import") if both else None,
        tolerance_a=number(found["current_regulation_tolerance_A"]),
        settle_s=settle_s,
    )


def reading_of(found: Mapping[str, object], now: float) -> MeterReading:
    """Return the reading of a power meter: import from the grid is energy into the vehicle. Raises `PayloadError`."""

    def total(name: str, member: str = "total") -> float | None:
        part = found.get(name)
        value = None if part is None else members(part).get(member)
        return None if value is None else number(value)

    charged = total("energy_Wh_import")
    if charged is None:
        raise PayloadError("energy_Wh_import.total is required")
    signed = found.get("signed_meter_value")
    return MeterReading(
        now, charged, total("energy_Wh_export") or 0.0, total("power_W") or 0.0, total("voltage_V", "DC"),
        total("current_A", "DC"), None if signed is None else str(members(signed).get("signed_meter_data", "")),
    )  # fmt: skip
