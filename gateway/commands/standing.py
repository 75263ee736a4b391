"""Standing commands: reserves, limits, modes, backup and emergency stop, in force until changed; and the release."""

from __future__ import annotations

from gateway.authority import soc_floors
from gateway.commands.lifecycle import CommandLifecycle
from gateway.control.control_state import (
    ActiveCommand,
    EvseControlState,
    EvseRegistry,
    SiteControlState,
    commands_in_force,
)
from gateway.control.publisher import EventPublisher
from gateway.model.command import Backup, Mode, PeakLimit, Reserve, Verb
from gateway.model.journal import CommandEnded
from gateway.model.reason import Code, because
from gateway.model.result import Status
from gateway.model.site import Site
from gateway.model.state import Happened
from gateway.store.journal import Journal
from protocols.ports import Clock

STANDING = frozenset({Verb.RESERVE, Verb.PEAK_LIMIT, Verb.BACKUP, Verb.MODE, Verb.EMERGENCY_STOP})


class StandingCommands:
    """Sets what standing commands and releases change."""

    def __init__(
        self,
        site: Site,
        registry: EvseRegistry,
        site_state: SiteControlState,
        lifecycle: CommandLifecycle,
        publisher: EventPublisher,
        journal: Journal,
        clock: Clock,
    ) -> None:
        self._site = site
        self._registry = registry
        self._site_state = site_state
        self._lifecycle = lifecycle
        self._publisher = publisher
        self._journal = journal
        self._clock = clock
        self._in_force: dict[tuple[str | None, Verb], str] = {}  # by EVSE (None: site) and verb: the id
        self._emergency_sequence = 0

    def apply(self, command: ActiveCommand) -> None:
        """Put a standing command in force in the place of the one before it, or carry out a release."""
        site, body = self._site, command.body
        state = self._registry.ensure(command.evse) if command.evse is not None else None
        if command.verb in STANDING:
            self._replace((command.evse, command.verb), command.id)
        match body:
            case Reserve() if state is not None:
                pct, energy_wh = body.min_soc_pct or None, body.energy_wh or None
                state.reserve = soc_floors.Reserve(pct, energy_wh) if pct or energy_wh else None
            case Reserve():
                site.reserve_pct, site.reserve_wh = body.min_soc_pct or None, body.energy_wh or None
            case PeakLimit():
                site.peak_limit_w = body.import_w
            case Mode():
                site.mode = body.mode
            case Backup():
                site.backup = body.action == "enter"
            case _ if command.verb is Verb.EMERGENCY_STOP:
                self._emergency_stop(command)
            case _ if command.verb is Verb.RELEASE:
                self._release(command, state)
            case _:
                raise AssertionError(f"{command.verb} is no standing command")
        self._publisher.changed(command.evse)
        self._registry.wake_all()

    def _replace(self, key: tuple[str | None, Verb], command: str) -> None:
        before = self._in_force.get(key)
        self._in_force[key] = command
        if before is not None and before != command:
            self._journal.later(CommandEnded(before, self._clock.wall()))

    def _emergency_stop(self, command: ActiveCommand) -> None:
        self._site.emergency_stop = command.id
        self._emergency_sequence = self._site_state.sequence = command.sequence
        for state in self._registry:
            state.sequence = command.sequence
        by = f" by {command.body.source}" if command.body.source else ""
        reason = because(Code.EMERGENCY_STOP, f"The site was stopped{by}.")
        self._publisher.happened(Happened.EMERGENCY_STOP, None, reason, command=command.id)
        for held in commands_in_force(self._registry, self._site_state):
            self._lifecycle.end(held, Status.SUPERSEDED, reason, ramp=False)

    def _release(self, command: ActiveCommand, state: EvseControlState | None) -> None:
        """End what was in force when the release was decided; what came after it stays."""
        by = f" by {command.body.source}" if command.body.source else ""
        reason = because(Code.RELEASED, f"Released{by}.")
        held = state.command if state is not None else self._site_state.command
        if state is not None and held is not None and held.evse is None:
            return  # a command to the site is ended by a release of the site
        if state is None and self._emergency_sequence < command.sequence:
            self._site.emergency_stop = None
            stopped = self._in_force.pop((None, Verb.EMERGENCY_STOP), None)
            if stopped is not None:
                self._journal.later(CommandEnded(stopped, self._clock.wall()))
                text = "The emergency stop is over."
                self._publisher.happened(Happened.RELEASED, None, reason, text, command.id)
        if held is not None and held.sequence < command.sequence:
            self._lifecycle.end(held, Status.SUPERSEDED, reason)
