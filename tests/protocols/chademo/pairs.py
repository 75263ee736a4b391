"""Pairs of a charger and a vehicle for the tests."""

from __future__ import annotations

from dataclasses import replace

from emulators.battery.pack import Pack
from emulators.charger.chademo.pair import Pair
from emulators.ev.profile import load
from protocols.can import CanFrame
from protocols.chademo.charger import Charger
from protocols.chademo.charger_session import ChargerSettings, SetCurrent, Start
from protocols.chademo.events import SessionEnded, Stopping
from protocols.chademo.layout import Message, decode, encode
from protocols.chademo.profile import PROFILES, VehicleProfile
from protocols.chademo.states import ChargerState, VehicleState
from protocols.chademo.stops import Cause, Stop
from protocols.chademo.vehicle import Vehicle

SETTINGS = ChargerSettings(max_charge_a=30, max_discharge_a=15)


def pair(model: str | VehicleProfile = "leaf-40", settings: ChargerSettings = SETTINGS, soc_pct: float = 60.0) -> Pair:
    """Return a pair with a plug, without a session."""
    profile = PROFILES[model] if isinstance(model, str) else model
    return Pair.of(Charger(settings), Vehicle(profile), Pack(load("leaf-40").pack, soc_pct))


def started(made: Pair, current_a: float) -> Pair:
    """Start a session with a set-point."""
    made.order(SetCurrent(current_a))
    made.order(Start())
    return made


def flowing(made: Pair, current_a: float) -> Pair:
    """Start a session and run it until the current flows."""
    started(made, current_a)
    assert made.run(30, lambda one: abs(one.dc.current_a - current_a) < 0.2), made.log
    return made


def powered(made: Pair, current_a: float = 0.0) -> Pair:
    """Start a session and run it until power can flow."""
    started(made, current_a)
    assert made.run(30, lambda one: one.charger.state is ChargerState.POWER), made.log
    return made


def stop_of(made: Pair, side: str) -> Stop | None:
    """Return the stop with which a side ended its last session."""
    ended = [event.stop for _, who, event in made.log if who == side and isinstance(event, SessionEnded)]
    return ended[-1] if ended else None


def states(made: Pair) -> tuple[ChargerState, VehicleState]:
    """Return the present states."""
    return made.charger.state, made.vehicle.state


def causes(made: Pair) -> list[Cause]:
    """Return the causes for which the charger stopped, in order."""
    return [event.stop.cause for _, who, event in made.log if who == "charger" and isinstance(event, Stopping)]


def changed(frame: CanFrame, message: type[Message], **values: int | bool) -> CanFrame:
    """Return a frame with other values, if it has this content."""
    found = decode(frame)
    return encode(replace(found, **values)) if type(found) is message else frame
