"""Events of stations and EVSEs: applied to the control states, published, and their effect on commands in force.

A fault or the end of a session ends leased commands, and so does a station that does not connect again in time; nothing
that follows resumes them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Protocol

from gateway.control.control_state import EvseControlState, EvseRegistry
from gateway.control.negotiated_needs import VehicleNeedsPersistence
from gateway.control.plausibility import plausible
from gateway.control.publisher import EventPublisher
from gateway.control.site_decision import SiteDecision
from gateway.model.event import (
    Event,
    EvseDescribed,
    FaultCleared,
    FaultRaised,
    InterconnectionReported,
    Metered,
    ModeChanged,
    NeedsStated,
    PlugChanged,
    PlugState,
    RebootRequired,
    SecurityNoticed,
    SessionEnded,
    SessionStarted,
    StationConnected,
    StationLost,
    StationRejected,
    StationRemoved,
)
from gateway.model.evse import NO_REQUESTS, requests_of
from gateway.model.reason import Code, Reason, because
from gateway.model.site import Site
from gateway.model.state import Happened
from protocols.ports import Clock

DECIDE_PCT = 0.1  # change of the state of charge from which an EVSE without power is decided again
LEAST_FLOW_W = 50.0  # of a power that was not ordered


class CommandEffects(Protocol):
    """Effect of events on commands in force: `gateway.commands.lifecycle.CommandLifecycle`."""

    def verify(self, state: EvseControlState) -> None: ...
    def withdraw(self, state: EvseControlState, reason: Reason, *, failed: bool) -> None: ...
    def station_lost(self, state: EvseControlState, reason: Reason) -> None: ...
    def reallocate(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Before:
    """State that an event may change."""

    plug: PlugState
    session: str | None
    fault: str | None


class EventIngest:
    """Applies events to the control states."""

    def __init__(
        self,
        site: Site,
        registry: EvseRegistry,
        decision: SiteDecision,
        publisher: EventPublisher,
        commands: CommandEffects,
        needs: VehicleNeedsPersistence,
        clock: Clock,
    ) -> None:
        self._site = site
        self._registry = registry
        self._decision = decision
        self._publisher = publisher
        self._commands = commands
        self._needs = needs
        self._clock = clock
        self._links: dict[str, StationConnected | StationLost] = {}

    def forget(self, station: str) -> None:
        """Remove the link of a station that was removed."""
        self._links.pop(station, None)

    def report(self, event: Event) -> None:
        """Apply one event of a station or an EVSE."""
        event = plausible(event)
        if isinstance(event, Metered):
            self._metered(self._registry.ensure(event.evse), event)
            return
        if isinstance(event, StationRemoved):
            self.forget(event.station)
            return
        if isinstance(event, (SecurityNoticed, StationRejected)):  # concern no EVSE: the service publishes them
            return
        if isinstance(event, RebootRequired):
            text = f"{event.station} applies with its next boot: {', '.join(event.settings)}. A reset is required."
            for state in self._registry.of_station(event.station):
                self._publisher.happened(Happened.REBOOT_REQUIRED, state.name, text=text)
            return
        if isinstance(event, (StationConnected, StationLost)):
            for state in self._registry.of_station(event.station):
                self._apply(state, event)
            self._links[event.station] = event
            return
        if isinstance(event, EvseDescribed):
            state = self._registry.ensure(event.evse, event.station)
            link = self._links.get(event.station)
            if isinstance(link, StationConnected) and not state.evse.connected:
                self._apply(state, link)
        else:
            state = self._registry.ensure(event.evse)
        self._apply(state, event)

    def _apply(self, state: EvseControlState, event: Event) -> None:
        evse = state.evse
        before = _Before(evse.plug, evse.session, evse.fault)
        evse.apply(event)
        self._handle(state, event, before)
        self._publisher.changed(state.name)
        state.wake.set()
        self._commands.reallocate()

    def _metered(self, state: EvseControlState, event: Metered) -> None:
        evse, publisher = state.evse, self._publisher
        power_w, soc_pct = evse.power_w, evse.soc_pct
        evse.apply(event)
        if not state.forms_grid and state.setpoint.metered(evse.power_w, evse.metered_at):
            state.wake.set()
        self._decision.record(state)
        self._commands.verify(state)
        self._needs.keep_soc(state, self._clock.wall())
        publisher.measured(state.name)
        acts = state.acts
        stated = requests_of(event) != NO_REQUESTS or (event.soc_pct is not None and (acts or _moved(state)))
        flows = not acts and abs(evse.power_w or 0.0) > LEAST_FLOW_W  # not ordered
        if (evse.power_w, evse.soc_pct) != (power_w, soc_pct):  # requests, which follow the energy, wait for a step
            publisher.inputs_changed.set()
        at_floor = evse.soc_pct is not None and evse.soc_pct <= state.floor_pct and evse.soc_pct != soc_pct
        if stated or flows or at_floor or state.floor_reached or self._site.policy.export_limit_w is not None:
            state.wake.set()

    def _handle(self, state: EvseControlState, event: Event, before: _Before) -> None:
        match event:
            case StationConnected():
                self._connected(state, event)
            case StationLost():
                self._lost(state, event)
            case PlugChanged():
                self._plug_changed(state, event, before)
            case SessionStarted() if event.session != before.session:
                self._session_started(state, event, before)
            case NeedsStated():
                self._negotiated(state, event)
            case SessionEnded():
                self._session_ended(state, event)
            case ModeChanged():
                mode, session = event.mode.value, state.evse.session
                self._publisher.happened(Happened.MODE_CHANGED, state.name, text=mode, session=session)
            case InterconnectionReported():
                self._interconnected(state, event)
            case FaultRaised() | FaultCleared():
                self._fault_changed(state, before)

    def _connected(self, state: EvseControlState, event: StationConnected) -> None:
        state.setpoint.reset()
        if state.allocation is not None and state.waits_until is not None:
            state.allocation.resume(self._clock.now(), in_session=state.evse.session is not None)
        text = f"{event.protocol} {event.vendor} {event.model}".strip()
        self._publisher.happened(Happened.STATION_CONNECTED, state.name, text=text)

    def _lost(self, state: EvseControlState, event: StationLost) -> None:
        state.setpoint.lost(*self._decision.span(state), self._clock.now())
        state.ramp = None
        self._interconnected(state, None)
        reason = because(Code.OFFLINE, event.reason or f"The link to the station of {state.name} broke.")
        self._publisher.happened(Happened.STATION_LOST, state.name, reason)
        self._commands.station_lost(state, reason)

    def _plug_changed(self, state: EvseControlState, event: PlugChanged, before: _Before) -> None:
        occupied = event.state is PlugState.OCCUPIED
        if occupied != (before.plug is PlugState.OCCUPIED) and (occupied or event.state is PlugState.AVAILABLE):
            happened = Happened.PLUGGED if occupied else Happened.UNPLUGGED
            self._publisher.happened(happened, state.name, session=state.evse.session)

    def _session_started(self, state: EvseControlState, event: SessionStarted, before: _Before) -> None:
        state.setpoint.reset()
        state.floor_reached = False
        command = state.command
        if command is not None and (command.session or before.session) not in (None, event.session):
            reason = because(Code.SESSION_ENDED, f"Another session has started at {state.name}.")
            self._commands.withdraw(state, reason, failed=True)
        text = f"MAC address {event.mac}" if event.mac else ""
        self._publisher.happened(Happened.SESSION_STARTED, state.name, text=text, session=event.session)
        soc_pct = self._needs.soc(state.name, event.session, self._clock.wall())
        if soc_pct is not None and state.evse.soc_pct is None:
            state.evse.read_soc(soc_pct, event.at)
        restored = self._needs.take(state.name, event.session)
        if restored is not None and state.evse.needs is None:
            needs, state.floor_reached = restored
            self._apply(state, NeedsStated(state.name, event.at, needs))
        else:
            self._needs.keep(state, self._clock.wall())

    def _negotiated(self, state: EvseControlState, event: NeedsStated) -> None:
        needs = event.needs
        direction = "both directions" if needs.bidirectional else "charging only"
        text = (
            f"{needs.energy_transfer}, {needs.control_mode}, {direction}: {needs.limits.max_charge_w:.0f} W into the "
            f"vehicle, {needs.limits.max_discharge_w:.0f} W out of it"
        )
        session = state.evse.session
        self._publisher.happened(Happened.NEGOTIATED, state.name, text=text, session=session, needs=asdict(needs))
        self._needs.keep(state, self._clock.wall())

    def _session_ended(self, state: EvseControlState, event: SessionEnded) -> None:
        state.setpoint.reset()
        state.ramp, state.floor_reached = None, False
        if state.evse.session is None:
            self._needs.forget(state.name)
        cause = f": {event.reason}" if event.reason else ""
        reason = because(Code.SESSION_ENDED, f"The session at {state.name} ended{cause}.")
        self._publisher.happened(Happened.SESSION_ENDED, state.name, reason, session=event.session)
        self._commands.withdraw(state, reason, failed=True)

    def _fault_changed(self, state: EvseControlState, before: _Before) -> None:
        fault = state.evse.fault
        if fault == before.fault:
            return
        if fault is None:
            self._publisher.happened(Happened.FAULT_CLEARED, state.name)
            return
        reason = because(Code.FAULT, f"{state.name} is in fault: {fault}.")
        self._publisher.happened(Happened.FAULT, state.name, reason)
        self._withdraw_leased(state, reason)

    def _interconnected(self, state: EvseControlState, event: InterconnectionReported | None) -> None:
        """Apply the interconnection of a charger as a source of loss-of-mains detection; None: it states none."""
        site, before = self._site, self._site.last_grid
        present = None if event is None else event.grid_present
        site.interconnections.report(state.name, present, self._clock.wall())
        report, was = site.last_grid, before is None or before.present
        if (report is None or report.present) is was:
            return
        happened = Happened.GRID_LOST if was else Happened.GRID_RETURNED
        text = f"{state.name} {'operates independently of' if was else 'is connected to'} the grid."
        self._publisher.happened(happened, None, text=text)
        self._publisher.changed(None)
        self._registry.wake_active()

    def _withdraw_leased(self, state: EvseControlState, reason: Reason) -> None:
        if state.command is not None and state.command.lease_until is not None:
            self._commands.withdraw(state, reason, failed=True)


def _moved(state: EvseControlState) -> bool:
    """Return whether the state of charge has moved since the last decision. Of an EVSE without power it may wait."""
    soc_pct, decided_pct = state.evse.soc_pct, state.decided_soc_pct
    return soc_pct is None or decided_pct is None or abs(soc_pct - decided_pct) >= DECIDE_PCT
