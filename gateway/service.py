"""The facade that MQTT, the admin API, drivers and applications call; nothing outside reaches behind it.

service = GatewayService(settings, clock, backends.of, Journal(store, clock))
service.report(event)                      # events of stations and EVSEs
await service.submit(Submission(...))      # a command; returns the first result
service.explain("CP1-1")                   # the layers of the control hierarchy, now
await service.run()                        # controls until cancelled
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence

from gateway.commands.admission import CommandDecision
from gateway.commands.arbiter import CommandArbiter
from gateway.commands.background import BackgroundTasks
from gateway.commands.intake import CommandIntake
from gateway.commands.lifecycle import CommandLifecycle
from gateway.commands.recovery import Recovery
from gateway.commands.site_command import SiteCommands
from gateway.control.components import ControlComponents
from gateway.control.control_state import EvseControlState, SiteControlState, commands_in_force
from gateway.control.event_ingest import EventIngest
from gateway.control.last_grid import LastGridPersistence
from gateway.control.negotiated_needs import VehicleNeedsPersistence
from gateway.control.publisher import Subscriber
from gateway.control.setpoint_controller import SetpointController
from gateway.control.setpoint_supervisor import SetpointSupervisor
from gateway.control.settings import ServiceSettings
from gateway.control.site_input import InputHandlers, SiteInputs
from gateway.energy.plan_outlook import PlanOutlook
from gateway.energy.service import EnergyService
from gateway.housekeeping import Housekeeping
from gateway.model.command import Channel, Malformed, Submission, parse
from gateway.model.event import Event, SecurityNoticed, StationRejected, StationRemoved
from gateway.model.journal import Entry, Phase, ResultDelivered, Step
from gateway.model.reason import Code, Reason, because
from gateway.model.result import Result, Status
from gateway.model.state import EvseState, Explanation, Happened, SiteState, SiteTelemetry, Telemetry
from gateway.model.station import Stations
from gateway.readings import EvseReading, SiteReading, reading
from gateway.store.journal import IdempotencyCache, Journal
from gateway.store.store import Sample
from gateway.views import PowerFlow, SiteSummary, StateViews
from protocols.ports import Clock

FLUSH_S = 2.0  # for the journal when the gateway stops
NO_HANDLERS: InputHandlers = {}


class GatewayService:
    """Decides and controls. One per gateway process."""

    def __init__(
        self,
        settings: ServiceSettings,
        clock: Clock,
        backend_of: Callable[[str], Stations],
        journal: Journal,
        control: ControlComponents | None = None,
        energy: EnergyService | None = None,
        input_handlers: InputHandlers = NO_HANDLERS,
    ) -> None:
        """`backend_of` returns what reaches an EVSE, and is called once for each.

        `energy` is shown in the site's state; `input_handlers` get every message of an input.
        """
        control = control or ControlComponents.create(settings, clock, journal)
        site, registry, decision, publisher = control.site, control.registry, control.decision, control.publisher
        self._clock, self._journal, self._known_ids = clock, journal, settings.known_ids
        self._registry, self._publisher, self._decision = registry, publisher, decision
        self._site_state = SiteControlState()
        self._background = BackgroundTasks()
        known = IdempotencyCache(journal.store, settings.known_ids)
        needs = VehicleNeedsPersistence(journal, takes_over=settings.takes_over)
        sites = SiteCommands(registry, decision)
        self._lifecycle = CommandLifecycle(
            registry, self._site_state, sites, publisher, journal, known, self._background, clock, settings
        )
        self._arbiter = CommandArbiter(
            site, registry, self._site_state, decision, sites, self._lifecycle, publisher, journal, clock
        )
        self._intake = CommandIntake(
            self._arbiter, self._lifecycle, registry, publisher, journal, known, self._background, clock, settings
        )
        last_grid = LastGridPersistence(journal)
        self._recovery = Recovery(
            site,
            registry,
            self._arbiter,
            self._lifecycle,
            publisher,
            journal,
            known,
            needs,
            last_grid,
            self._background,
            clock,
            settings.takes_over,
        )
        self._suspended = False
        self._ingest = EventIngest(site, registry, decision, publisher, self._lifecycle, needs, clock)
        self._inputs = SiteInputs(
            site, registry, decision, publisher, clock, settings.clock_skew_s, input_handlers, last_grid
        )
        self._views = StateViews(settings.gateway_id, site, registry, self._site_state, decision, clock, energy)
        self._housekeeping = Housekeeping(registry, journal, clock, settings)

        def controller(state: EvseControlState) -> SetpointController:
            backend = backend_of(state.name)
            return SetpointController(
                state, registry, decision, publisher, self._lifecycle, backend, needs, clock, settings
            )

        self._controllers = SetpointSupervisor(registry, controller)
        self.ready = asyncio.Event()  # what an earlier run left is settled; commands are accepted now

    # commands -------------------------------------------------------------------------------------------------------

    async def submit(self, submission: Submission) -> Result:
        """Return the first result of a command. Never raises for what was sent."""
        await self.ready.wait()
        return await self._intake.submit(submission)

    def preview(self, submission: Submission) -> CommandDecision:
        """Return what a command would get now. It is not journalled and does not act."""
        parsed = parse(submission)
        if isinstance(parsed, Malformed):
            return CommandDecision.refusal(parsed.reason)
        return self._arbiter.decide(submission.evse, *parsed, self._clock.wall())

    async def result(self, command_id: str) -> tuple[Result | None, Result | None]:
        """Return the first and the final result of a command, None for what it has not (or is not known)."""
        stored = await self._journal.store.find_command(command_id)
        if stored is None:
            return None, None
        first = Result.model_validate_json(stored.first) if stored.first else None
        return first, Result.model_validate_json(stored.final) if stored.final else None

    def delivered(self, command_id: str, phase: Phase) -> None:
        """Note that a broker has acknowledged a result."""
        self._journal.later(ResultDelivered(command_id, phase))

    def commands_in_force(self) -> int:
        """Return how many commands hold a power somewhere."""
        return len(commands_in_force(self._registry, self._site_state))

    def command_counts(self) -> Mapping[tuple[str, str], int]:
        """Return the number of first results by status and reason code."""
        return self._intake.counts

    def end_leased(self, reason: Reason, channel: Channel | None = None) -> None:
        """End the leased commands, or only those of a channel that is lost; power goes to 0 W."""
        for command in commands_in_force(self._registry, self._site_state):
            if command.lease_until is not None and channel in (None, command.channel):
                self._lifecycle.end(command, Status.FAILED, reason)

    # events and inputs ----------------------------------------------------------------------------------------------

    def report(self, event: Event) -> None:
        """Apply one event of a station or an EVSE."""
        if self._suspended:
            return
        if isinstance(event, StationRemoved):
            self.forget(event.station)
        elif isinstance(event, SecurityNoticed):
            self.security(event.text, station=event.station, kind=event.kind)
        elif isinstance(event, StationRejected):
            self._rejected(event)
        else:
            self._ingest.report(event)

    def input(self, kind: str, payload: bytes, retained: bool = False) -> Reason | None:
        """Store an input of the facility; return the reason where it is refused."""
        reason = self._inputs.receive(kind, payload)
        if reason is not None and self._intake.allow_input_refusal(kind, reason):
            self._publisher.happened(Happened.INPUT_REFUSED, None, reason)
        return reason

    def undeliverable(self, topic: str, why: str) -> None:
        """Report a message that no broker accepts."""
        text = f"A message to {topic[:120]!r} is not delivered: {why}."
        self._intake.report_undeliverable(None, because(Code.UNDELIVERABLE, text))

    def overloaded(self, number: int, submissions: Sequence[Submission]) -> None:
        """Answer commands of QoS 0 that could not be queued, of `number` messages."""
        self._intake.refuse_overloaded(number, submissions)

    def operator(self, text: str, evse: str | None = None, **data: object) -> None:
        """Journal an action of an operator outside the control hierarchy, such as a raw call to a station."""
        self._journal.later(Entry(self._clock.wall(), Step.OPERATOR, text[:200], None, evse, data))

    def security(self, text: str, station: str | None = None, kind: str = "FailedLogin") -> None:
        """Publish and journal a security event, such as failed logins."""
        self._publisher.happened(Happened.SECURITY, None, text=text, station=station, kind=kind)

    def _rejected(self, event: StationRejected) -> None:
        path = f" at {event.path}" if event.path else ""
        text = f"{event.station or 'A station'} from {event.address or 'an unknown address'}{path}: {event.reason}."
        self._publisher.happened(
            Happened.STATION_REJECTED, None, text=text, rejected=event.station, address=event.address, path=event.path
        )

    def broker(self, connected: bool, text: str) -> None:
        """Publish that the broker is connected, or why it is not."""
        if connected:
            self._publisher.happened(Happened.BROKER_CONNECTED, None, text=text)
        else:
            self._publisher.happened(Happened.BROKER_LOST, None, because(Code.BROKER_LOST, text))

    def forget(self, station: str) -> None:
        """Remove the EVSEs of a station that was removed for good, and what is retained about them."""
        for state in self._registry.of_station(station):
            reason = because(Code.UNKNOWN_EVSE, f"The station of {state.name} was removed.")
            self._lifecycle.withdraw(state, reason, failed=True)
            self._registry.remove(state.name)
            self._decision.forget(state)
            self._controllers.stop(state.name)
            self._publisher.changed(state.name)
        self._publisher.changed(None)
        self._ingest.forget(station)

    # state ----------------------------------------------------------------------------------------------------------

    def subscribe(self, subscriber: Subscriber) -> None:
        """Pass results, events and changes on from now on."""
        self._publisher.subscribe(subscriber)

    def evses(self) -> list[str]:
        """Return all EVSEs that have been reported."""
        return self._registry.names()

    def connected_evses(self) -> list[str]:
        """Return the EVSEs whose station is connected."""
        return [state.name for state in sorted(self._registry, key=lambda one: one.name) if state.evse.connected]

    def is_connected(self, evse: str) -> bool:
        """Return whether an EVSE has been reported and its station is connected."""
        state = self._registry.get(evse)
        return state is not None and state.evse.connected

    def is_known(self, evse: str) -> bool:
        """Return whether an EVSE has been reported."""
        return evse in self._registry

    def may_exist(self, evse: str) -> bool:
        """Return whether an EVSE has been reported, or may exist at a configured station."""
        return self._registry.find(evse) is not None

    def state(self, evse: str) -> EvseState | None:
        """Return everything about an EVSE."""
        state = self._registry.get(evse)
        return self._views.evse_state(state) if state else None

    def states(self, evses: Sequence[str]) -> list[EvseState]:
        """Return everything about several EVSEs; those that are not known are left out."""
        found = (self._registry.get(evse) for evse in evses)
        return self._views.evse_states(state for state in found if state is not None)

    def unreported_state(self, evse: str) -> EvseState:
        """Return the state of an EVSE of which nothing has been reported in this run: offline."""
        return self._views.evse_state(self._registry.unreported(evse))

    def ended_state(self, evse: str) -> EvseState | None:
        """Return the state of an EVSE that the gateway leaves when it stops."""
        state = self._registry.get(evse)
        return self._views.ended_state(state) if state else None

    def telemetry(self, evse: str) -> Telemetry | None:
        """Return what its meter shows; every call increments `seq`."""
        state = self._registry.get(evse)
        return self._views.telemetry(state) if state else None

    def readings(self) -> list[EvseReading]:
        """Return power, energy and state of charge of each EVSE, by name."""
        return self._views.readings()

    def reading(self, evse: str) -> EvseReading | None:
        """Return the measurements of one EVSE."""
        state = self._registry.get(evse)
        return reading(state) if state else None

    def site_reading(self) -> SiteReading:
        """Return the mode of the site and the fresh inputs of its meters."""
        return self._views.site_reading()

    def site_state(self) -> SiteState:
        """Return the site as one group."""
        return self._views.site_state()

    def site_summary(self) -> SiteSummary:
        """Return mode, inputs, energy state and the EVSEs in session."""
        return self._views.site_summary()

    def power_flow(self) -> PowerFlow:
        """Return the measured powers of the site."""
        return self._views.power_flow()

    def plan_outlook(self) -> PlanOutlook | None:
        """Return the look-ahead plan with what it follows from; None without energy management."""
        return self._views.plan_outlook()

    async def samples(self, evse: str, since: float, until: float, every_s: float = 0.0) -> list[Sample]:
        """Return stored telemetry of an EVSE, oldest first; means over `every_s`, where it is given."""
        return await self._journal.store.samples(evse, since, until, every_s=every_s)

    def site_telemetry(self, seq: int) -> SiteTelemetry:
        """Return all EVSEs together."""
        return self._views.site_telemetry(seq)

    def explain(self, evse: str) -> Explanation | None:
        """Return the layers of the control hierarchy in force at an EVSE, and the limiting one."""
        state = self._registry.find(evse)
        return self._views.explain(state) if state else None

    async def entries(
        self,
        *,
        since: float | None = None,
        until: float | None = None,
        evse: str | None = None,
        command: str | None = None,
        limit: int = 1000,
        after_seq: int | None = None,
    ) -> list[Entry]:
        """Return journal entries, oldest first: the newest `limit`, or the next ones after `after_seq`; Unix time."""
        return await self._journal.store.entries(
            since=since, until=until, evse=evse, command=command, limit=limit, after_seq=after_seq
        )

    def journal_trouble(self) -> str | None:
        """Return why the journal cannot be written, None where it can."""
        return self._journal.trouble

    def journal_dropped(self) -> int:
        """Return the number of records lost because the journal could not be written."""
        return self._journal.dropped

    # running --------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Settle what an earlier run left, then control until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(self._journal.run(), name="journal")
            tasks.create_task(self._report_journal(), name="journal trouble")
            try:
                await self._recovery.run(self._known_ids)
                self.ready.set()
                tasks.create_task(self._controllers.run(), name="set-points")
                tasks.create_task(self._inputs.run(), name="inputs")
                await self._housekeeping.run()
            finally:
                await asyncio.shield(self._background.finish())
                writing.cancel()

    def suspend(self) -> None:
        """Leave everything as it is for another process, which takes over: what happens from now on has no effect."""
        self._suspended = True

    async def flush(self) -> None:
        """Write the journal, within a time."""
        with contextlib.suppress(TimeoutError):
            async with self._clock.timeout_at(self._clock.now() + FLUSH_S):
                await self._journal.flush()

    async def stop(self, within_s: float = 10.0) -> None:
        """End all leased commands and ramp to 0 W before the gateway stops; sessions stay."""
        reason = because(Code.GATEWAY_STOPPED, "The gateway is being stopped.")
        self._arbiter.close(reason)
        self.end_leased(reason)
        deadline = self._clock.now() + within_s
        while self._clock.now() < deadline and any(_powered(state) for state in self._registry):
            await self._clock.sleep(0.1)
        await self._background.finish()
        await self.flush()

    async def _report_journal(self) -> None:
        """Publish that the journal cannot be written, or is written again."""
        while True:
            trouble = await self._journal.troubles.get()
            text = "" if trouble else "The journal is written again."
            reason = because(Code.JOURNAL_UNAVAILABLE, f"The journal cannot be written: {trouble}.")
            self._publisher.happened(Happened.JOURNAL, None, reason if trouble else None, text)
            self._publisher.changed(None)


def _powered(state: EvseControlState) -> bool:
    return not state.idle and bool(state.setpoint.sent_w) and not state.forms_grid
