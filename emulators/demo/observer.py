"""Observer of the discharge demo: counts the messages of all links, and measures the times since the command."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any

from emulators.demo.timeline import Timeline, in_words
from protocols.iso15118.iso20 import events

SOC_PCT = 80.0
REQUESTED_W = 5_000.0
NEGATIVE_A = -0.1  # a lower current counts as discharge
SHOWN_A = 1.0  # least change of the current that is printed


@dataclass
class Figures:
    """Result of the demo: the object of `v2x demo --json`."""

    achieved: bool = False
    energy_from_battery_wh: float = 0.0
    energy_at_meter_wh: float = 0.0
    efficiency: float | None = None
    soc_start_pct: float = SOC_PCT
    soc_end_pct: float = SOC_PCT
    requested_w: float = REQUESTED_W
    effective_w: float | None = None
    binding: str | None = None
    accepted_ms: float | None = None
    setpoint_ms: float | None = None
    first_negative_current_ms: float | None = None
    lease_ended: bool = False
    messages: dict[str, int] = field(default_factory=lambda: {"iso15118": 0, "ocpp": 0, "mqtt": 0})


class Observer:
    """Observes all messages: counts them, measures the times since the command, and prints them."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.figures = Figures()
        self.commanded_at: float | None = None
        self.changed = asyncio.Event()
        self.current_a = 0.0  # of the vehicle, + is charge
        self._shown_a = 0.0
        self._began = time.perf_counter()
        self._setpoint_calls: set[str] = set()

    def line(self, source: str, text: str) -> None:
        """Print an event, with the time since the start."""
        self.timeline.line(f"{time.perf_counter() - self._began:.2f} s", source, text)

    def _since_command(self) -> float | None:
        return None if self.commanded_at is None else round((time.perf_counter() - self.commanded_at) * 1000, 1)

    def car(self, event: events.Event) -> None:
        """Process an event of the EVCC; with trace, every message."""
        if isinstance(event, events.MessageSent | events.MessageReceived):
            self.figures.messages["iso15118"] += 1
            name, sent = type(event.message).__name__, isinstance(event, events.MessageSent)
            source = "car → charger" if sent else "charger → car"
            if "ChargeLoop" in name:  # several a second: the present current is printed instead
                self.timeline.skip(source, name)
            else:
                self.line(source, name)
        elif isinstance(event, events.ChargeLoopAnswered):
            self.current_a = current = event.station.present_current_a or 0.0
            volts = event.station.present_voltage_v or 0.0
            if abs(current - self._shown_a) >= SHOWN_A or (current == 0.0) != (self._shown_a == 0.0):
                self._shown_a = current
                power = in_words(volts * current)
                self.line("charger → car", f"DC_ChargeLoopRes: {volts:.0f} V, {abs(current):.1f} A ({power})")
            if current < NEGATIVE_A and self.figures.first_negative_current_ms is None:
                self.figures.first_negative_current_ms = self._since_command()

    def ocpp(self, direction: str, text: str) -> None:
        """Process an OCPP frame of the station."""
        self.figures.messages["ocpp"] += 1
        frame = json.loads(text)
        message_type, message_id = frame[0], frame[1]
        source = "charger → gateway" if direction == "out" else "gateway → charger"
        if message_type == 2:
            self.line(source, f"{frame[2]}{_setpoint(frame[3])}")
            if direction == "in" and self.commanded_at is not None and _setpoint(frame[3]):
                self._setpoint_calls.add(message_id)
        elif (
            message_type == 3
            and direction == "out"
            and message_id in self._setpoint_calls
            and frame[2].get("status") == "Accepted"
        ):
            if self.figures.setpoint_ms is None:
                self.figures.setpoint_ms = self._since_command()
        elif message_type in (4, 5):
            self.line(source, f"error {frame[2]}")


def _setpoint(payload: Any) -> str:
    """Return `: discharge 5000 W` if the payload of an OCPP call has a set-point, else ""."""
    update = payload.get("scheduleUpdate")
    if update is None and "chargingProfile" in payload:
        update = payload["chargingProfile"]["chargingSchedule"][0]["chargingSchedulePeriod"][0]
    return f": {in_words(update['setpoint'])}" if update and "setpoint" in update else ""
