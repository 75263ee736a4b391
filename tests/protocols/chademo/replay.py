"""Engines against recordings: the frames of one side arrive as recorded, lines and voltages follow from them.

Recordings contain no lines: k follows 102.5.0, the lock and the end of the insulation test come at the recorded
times, d2 at a time inferred from the recording. The cable is that of the physics: the battery while the recorded
vehicle reports closed contactors, a test voltage while the charger orders it, a decay otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from protocols.can import CanFrame
from protocols.chademo.charger import Charger
from protocols.chademo.charger_session import ChargerInputs, ChargerSettings, SetCurrent, Start, StopSession
from protocols.chademo.events import Event, SessionEnded, StateEntered
from protocols.chademo.frames import ChargerStatus, VehicleStatus
from protocols.chademo.layout import decode
from protocols.chademo.profile import VehicleProfile
from protocols.chademo.stops import Stop
from protocols.chademo.vehicle import Vehicle
from protocols.chademo.vehicle_session import Battery, VehicleInputs
from tests.protocols.chademo.traces import Timed, of_charger, of_vehicle

STEP = 0.01
DECAY = 0.6  # of the voltage in 0.1 s, as recorded
GOOD_OHM = 1e6


@dataclass
class Outcome:
    """Actions of an engine: times of its states, its frames, its stop."""

    entered: dict[str, float] = field(default_factory=dict)
    sent: list[Timed] = field(default_factory=list)
    stop: Stop | None = None

    def note(self, at: float, events: Sequence[Event]) -> None:
        """Record events."""
        for event in events:
            if isinstance(event, StateEntered):
                self.entered[str(event.state)] = at
            elif isinstance(event, SessionEnded):
                self.stop = event.stop

    def values(self, can_id: int, byte: int) -> list[tuple[float, int]]:
        """Return the changes of one byte of one frame."""
        changes: list[tuple[float, int]] = []
        for at, frame in self.sent:
            if frame.can_id == can_id and (not changes or changes[-1][1] != frame.data[byte]):
                changes.append((at, frame.data[byte]))
        return changes


@dataclass(frozen=True, kw_only=True)
class Host:
    """Actions of the host of a charger, and their times."""

    start_at: float
    locked_at: float
    tested_at: float
    opened_at: float = 1e9  # contactors of the vehicle, before it reports them
    end_at: float
    stop_at: float | None = None
    setpoints: tuple[tuple[float, float], ...] = ()  # time, A
    measured: Callable[[float], tuple[float, float]] | None = None  # voltage and current instead of the physics


def charger_against(name: str, host: Host, settings: ChargerSettings) -> Outcome:
    """Return what a charger does with the recorded frames of a vehicle."""
    charger, outcome = Charger(settings), Outcome()
    frames = [one for one in of_vehicle(name) if host.start_at <= one[0] <= host.end_at]
    inputs = ChargerInputs(plugged=True)
    charger.command(inputs, host.start_at)
    voltage, closed, position, now = 0.0, False, 0, host.start_at
    setpoints = dict(host.setpoints)
    outcome.note(now, charger.command(Start(), now))
    while now <= host.end_at:
        while position < len(frames) and frames[position][0] <= now:
            frame = frames[position][1]
            message = decode(frame)
            if isinstance(message, VehicleStatus):
                closed = not message.contactors_open and (closed or message.enabled)
                inputs = replace(inputs, k=message.enabled)
                outcome.note(now, charger.command(inputs, now))
            outcome.note(now, charger.receive(frame, now))
            position += 1
        for at in [at for at in setpoints if at <= now]:
            charger.command(SetCurrent(setpoints.pop(at)), now)
        if host.stop_at is not None and host.stop_at <= now < host.stop_at + STEP:
            outcome.note(now, charger.command(StopSession(), now))
        outputs = charger.outputs
        if host.measured is not None:
            voltage, current = host.measured(now)
        else:
            connected = closed and charger.session.d2_at is not None and now < host.opened_at
            voltage = 375.0 if connected else outputs.test_v or voltage * DECAY ** (STEP / 0.1)
            current = outputs.current_a
        changed = replace(
            inputs,
            locked=outputs.lock and now >= host.locked_at,
            voltage_v=voltage,
            current_a=current,
            insulation_ohm=GOOD_OHM if now >= host.tested_at else None,
        )
        if changed != inputs:
            inputs = changed
            outcome.note(now, charger.command(inputs, now))
        outcome.note(now, charger.expire(now))
        outcome.sent.extend((now, frame) for frame in charger.data_to_send())
        now = round(now + STEP, 6)
    return outcome


def vehicle_against(
    name: str, profile: VehicleProfile, d2_at: float, battery: Battery, *, start_at: float = 0.0, d1_off: float = 1e9
) -> Outcome:
    """Return what a vehicle does with the recorded frames of a charger; d2 opens when the lock bit is cleared."""
    vehicle, outcome = Vehicle(profile), Outcome()
    frames = [one for one in of_charger(name) if one[0] >= start_at]
    end = min(frames[-1][0], d1_off) + 2.0
    inputs = VehicleInputs(plugged=True, battery=battery)
    outcome.note(start_at, vehicle.command(inputs, start_at))
    now, position, unlocked, was_locked, current = start_at, 0, False, False, 0.0
    while now <= end:
        while position < len(frames) and frames[position][0] <= now:
            message = decode(frames[position][1])
            if isinstance(message, ChargerStatus):
                unlocked = was_locked and not message.locked
                was_locked = was_locked or message.locked
                current = float(message.charge_a)
            outcome.note(now, vehicle.receive(frames[position][1], now))
            position += 1
        closed = vehicle.outputs.contactors
        changed = replace(
            inputs,
            d1=now < d1_off and not unlocked,
            d2=now >= d2_at and not unlocked,
            contactors_closed=closed,
            inlet_v=battery.voltage_v if closed else inputs.inlet_v * DECAY ** (STEP / 0.1),
            current_a=current if closed else 0.0,
        )
        if changed != inputs:
            inputs = changed
            outcome.note(now, vehicle.command(inputs, now))
        outcome.note(now, vehicle.expire(now))
        outcome.sent.extend((now, frame) for frame in vehicle.data_to_send())
        now = round(now + STEP, 6)
    return outcome


def frames_of(outcome: Outcome, can_id: int) -> list[CanFrame]:
    """Return the sent frames with an identifier."""
    return [frame for _, frame in outcome.sent if frame.can_id == can_id]
