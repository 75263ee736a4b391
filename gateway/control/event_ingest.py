"""What stations and EVSEs tell: folded into the places, told to the listeners, and what it means for commands in force.

A lost link, a fault or the end of a session takes leased commands with it; nothing is resumed by what comes after.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from gateway.commands.arbiter import CommandArbiter
from gateway.commands.lifecycle import CommandLifecycle
from gateway.control.board import Board
from gateway.control.control_state import EvseControlState
from gateway.control.plausibility import plausible
from gateway.model.event import (
    Event,
    EvseDescribed,
    FaultCleared,
    FaultRaised,
    Metered,
    ModeChanged,
    NeedsStated,
    PlugChanged,
    PlugState,
    SessionEnded,
    SessionStarted,
    StationConnected,
    StationLost,
)
from gateway.model.reason import Code, Reason, because
from gateway.model.state import Happened


class EventIngest:
    """Takes in events."""

    def __init__(self, board: Board, endings: CommandLifecycle, orders: CommandArbiter) -> None:
        self._board = board
        self._endings = endings
        self._orders = orders
        self._links: dict[str, StationConnected | StationLost] = {}

    def forget(self, station: str) -> None:
        """A station was removed."""
        self._links.pop(station, None)

    def report(self, event: Event) -> None:
        """Take in one event of a station or an EVSE."""
        board, event = self._board, plausible(event)
        if isinstance(event, (StationConnected, StationLost)):
            for place in [one for one in board.places.values() if one.evse.station == event.station]:
                self._apply(place, event)
            self._links[event.station] = event
            return
        place = board.place(event.evse, getattr(event, "station", None))
        if isinstance(event, EvseDescribed):
            link = self._links.get(event.station)
            if isinstance(link, StationConnected) and not place.evse.connected:
                self._apply(place, link)
        self._apply(place, event)

    def _apply(self, place: EvseControlState, event: Event) -> None:
        board, evse = self._board, place.evse
        was_plugged, was_session, was_fault = evse.plug, evse.session, evse.fault
        was_connected, had_needs = evse.connected, evse.needs is not None
        before_w, before_pct = evse.power_w, evse.soc_pct
        evse.apply(event)
        if isinstance(event, Metered):
            self._endings.judge(place)
            board.stirred(place.name)
            if evse.power_w != before_w or evse.soc_pct != before_pct:
                board.news.set()
            if event.soc_pct is not None or place.floor_reached or board.site.policy.export_limit_w is not None:
                place.wake.set()
            return
        told = _TOLD.get(type(event))
        if told is not None:
            told(self, place, event, (was_connected, was_plugged, was_session, was_fault, had_needs))
        board.changed(place.name)
        place.wake.set()
        self._orders.share_again()

    def _on_connected(self, place: EvseControlState, event: StationConnected, was: tuple[Any, ...]) -> None:
        place.reconciled, place.sent_w, place.silent = False, None, 0
        place.forgive()
        self._board.happened(
            Happened.STATION_CONNECTED, place.name, text=f"{event.protocol} {event.vendor} {event.model}".strip()
        )

    def _on_lost(self, place: EvseControlState, event: StationLost, was: tuple[Any, ...]) -> None:
        place.reconciled, place.sent_w, place.ramp = False, None, None
        place.forgive()
        reason = because(Code.OFFLINE, event.reason or f"The link to the station of {place.name} broke.")
        self._board.happened(Happened.STATION_LOST, place.name, reason)
        self._drop_leased(place, reason)

    def _on_plug(self, place: EvseControlState, event: PlugChanged, was: tuple[Any, ...]) -> None:
        plugged, before = event.state is PlugState.OCCUPIED, was[1] is PlugState.OCCUPIED
        if plugged != before and event.state in (PlugState.OCCUPIED, PlugState.AVAILABLE):
            self._board.happened(
                Happened.PLUGGED if plugged else Happened.UNPLUGGED, place.name, session=place.evse.session
            )

    def _on_started(self, place: EvseControlState, event: SessionStarted, was: tuple[Any, ...]) -> None:
        if was[2] == event.session:
            return
        place.reconciled, place.sent_w, place.floor_reached = False, None, False
        place.forgive()
        self._board.happened(Happened.SESSION_STARTED, place.name, session=event.session)
        known = self._board.negotiated.pop((place.name, event.session), None)
        if known is not None and place.evse.needs is None:
            self._apply(place, NeedsStated(place.name, event.at, known))

    def _on_needs(self, place: EvseControlState, event: NeedsStated, was: tuple[Any, ...]) -> None:
        limits, way = event.needs.limits, "both ways" if event.needs.bidirectional else "charging only"
        text = (
            f"{event.needs.energy_transfer}, {event.needs.control_mode}, {way}: "
            f"{limits.max_charge_w:.0f} W into the car, {limits.max_discharge_w:.0f} W out of it"
        )
        self._board.happened(
            Happened.NEGOTIATED, place.name, text=text, session=place.evse.session, needs=asdict(event.needs)
        )

    def _on_ended(self, place: EvseControlState, event: SessionEnded, was: tuple[Any, ...]) -> None:
        place.reconciled, place.sent_w, place.ramp, place.floor_reached = False, None, None, False
        place.forgive()
        because_ = f": {event.reason}" if event.reason else ""
        reason = because(Code.SESSION_ENDED, f"The session at {place.name} ended{because_}.")
        self._board.happened(Happened.SESSION_ENDED, place.name, reason, session=event.session)
        if place.holding is not None:
            self._endings.leave(place, reason, failed=True)

    def _on_mode(self, place: EvseControlState, event: ModeChanged, was: tuple[Any, ...]) -> None:
        self._board.happened(Happened.MODE_CHANGED, place.name, text=event.mode.value, session=place.evse.session)

    def _on_fault(self, place: EvseControlState, event: FaultRaised | FaultCleared, was: tuple[Any, ...]) -> None:
        fault = place.evse.fault
        if fault == was[3]:
            return
        if fault is None:
            self._board.happened(Happened.FAULT_CLEARED, place.name)
            return
        reason = because(Code.FAULT, f"{place.name} is in fault: {fault}.")
        self._board.happened(Happened.FAULT, place.name, reason)
        self._drop_leased(place, reason)

    def _drop_leased(self, place: EvseControlState, reason: Reason) -> None:
        if place.holding is not None and place.holding.lease_until is not None:
            self._endings.leave(place, reason, failed=True)


Told = Callable[[EventIngest, EvseControlState, Any, tuple[Any, ...]], None]


_TOLD: dict[type, Told] = {
    StationConnected: EventIngest._on_connected,
    StationLost: EventIngest._on_lost,
    PlugChanged: EventIngest._on_plug,
    SessionStarted: EventIngest._on_started,
    NeedsStated: EventIngest._on_needs,
    SessionEnded: EventIngest._on_ended,
    ModeChanged: EventIngest._on_mode,
    FaultRaised: EventIngest._on_fault,
    FaultCleared: EventIngest._on_fault,
}
