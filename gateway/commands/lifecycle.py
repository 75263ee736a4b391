"""Life of a command in force: its allocations, its final result, and its end with the way to 0 W.

A final result is durable before it is published: while the journal fails it waits, and a gateway that is killed
meanwhile publishes `gateway_restarted` instead, so that a command has one final result. Those of `stop` and
`emergency_stop` do not wait. A command ends once; what it leaves at its EVSEs is a ramp, not a step. What one EVSE no
longer carries of a command to the site, the others take over.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.authority.priority import MARGIN_W
from gateway.authority.ramp import Ramp
from gateway.commands.background import BackgroundTasks
from gateway.commands.site_command import SiteCommands
from gateway.control.control_state import (
    ActiveCommand,
    Allocation,
    EvseControlState,
    EvseRegistry,
    SiteControlState,
    Stage,
)
from gateway.control.publisher import EventPublisher
from gateway.control.settings import ServiceSettings
from gateway.model.command import ALWAYS_ACT, LEASED, Verb
from gateway.model.journal import CommandEnded, Entry, Phase, Record, ResultGiven, Step
from gateway.model.reason import Code, Reason, because
from gateway.model.result import Layer, Measured, Result, Share, Status
from gateway.model.state import Happened
from gateway.store.journal import IdempotencyCache, Journal
from gateway.store.store import StoreError
from protocols.ports import Clock

ACHIEVED = because(Code.SEEN_ON_METER, "The meter shows what was granted.")


class CommandLifecycle:
    """Allocates commands to EVSEs, gives their final results and takes them out of force."""

    def __init__(
        self,
        registry: EvseRegistry,
        site: SiteControlState,
        sites: SiteCommands,
        publisher: EventPublisher,
        journal: Journal,
        known: IdempotencyCache,
        background: BackgroundTasks,
        clock: Clock,
        settings: ServiceSettings,
    ) -> None:
        self._registry = registry
        self._site = site
        self._sites = sites
        self._publisher = publisher
        self._journal = journal
        self._known = known
        self._background = background
        self._clock = clock
        self._settings = settings

    # allocations ----------------------------------------------------------------------------------------------------

    def allocate(self, command: ActiveCommand, state: EvseControlState, power_w: float) -> None:
        """Put a command to one EVSE in force there, in the place of what is in force."""
        replaced, renewed = state.command, state.allocation
        if replaced is not None:
            text = f"Replaced by the {command.named}."
            self._replace(state, replaced, because(Code.SUPERSEDED, text))
        command.session = command.session or state.evse.session
        allocation = self._assign(command, state, power_w, renewed)
        waits = command.lease_until is not None and not state.evse.connected and self._settings.reconnect_within_s > 0
        if waits and allocation.waits_until is None:  # its station was lost while the journal wrote the command
            allocation.waits_until = self._clock.now() + self._settings.reconnect_within_s
        if state.evse.session is None and command.verb is Verb.STOP:
            allocation.stage = Stage.ACHIEVED  # nothing runs
        self._notify(state)

    def allocate_site(self, command: ActiveCommand, powers: dict[str, float]) -> None:
        """Put a command to the site in force at the EVSEs that take part in it."""
        reason = because(Code.SUPERSEDED, f"Replaced by the site's {command.named}.")
        states = {name: state for name in powers if (state := self._registry.get(name)) is not None}
        before, renewed = self._site.command, {name: state.allocation for name, state in states.items()}
        self._site.command = None
        for state in states.values():
            if state.command is not None and state.command is not before:
                self._replace(state, state.command, reason)
        if before is not None:
            self.end(before, Status.SUPERSEDED, reason)
        self._site.command = command
        for name, state in states.items():
            allocation = self._assign(command, state, powers[name], renewed[name])
            if state.evse.session is None:
                allocation.stage = Stage.ACHIEVED
            self._notify(state)
        self._publisher.changed(None)

    def reallocate(self, without: EvseControlState | None = None) -> None:
        """Share the command to the site anew: a vehicle has come, left or failed, or its limits have changed."""
        command, now = self._site.command, self._clock.now()
        if command is None or command.verb not in LEASED:
            return
        states = self._sites.able_to_share(command, without)
        if not states:
            return
        powers = self._sites.share(command, states)
        for state in states:
            allocation, power_w = command.allocations.get(state.name), powers[state.name]
            if allocation is None or allocation.stage is Stage.FAILED:
                state.assign(command, power_w, now)
            elif abs(allocation.power_w - power_w) > MARGIN_W:
                allocation.request(power_w, now)
            else:
                continue
            self._notify(state)

    def _assign(
        self, command: ActiveCommand, state: EvseControlState, power_w: float, renewed: Allocation | None
    ) -> Allocation:
        allocation = state.assign(command, power_w, self._clock.now())
        state.sequence = command.sequence
        if renewed is not None:
            allocation.renew(renewed, self._settings.tolerance(power_w), self._settings.tolerance(0.0))
            allocation.waits_until = renewed.waits_until
        return allocation

    def _replace(self, state: EvseControlState, before: ActiveCommand, reason: Reason) -> None:
        """Take an EVSE from the command in force there, without a ramp."""
        if before.evse is not None:
            self.end(before, Status.SUPERSEDED, reason, ramp=False, next_at=state)
        else:
            self.withdraw(state, reason, failed=False)
            state.ramp = None

    def _notify(self, state: EvseControlState) -> None:
        state.wake.set()
        self._publisher.changed(state.name)

    # the final result -----------------------------------------------------------------------------------------------

    def settle(self, command: ActiveCommand, status: Status, reason: Reason, *, ended: bool) -> None:
        """Give the final result, once. `ended`: the command also stops acting."""
        wall = self._clock.wall()
        records: list[Record] = []
        result: Result | None = None
        if not command.settled:
            command.settled = True
            result = self._final(command, status, reason, wall)
            data = {"status": status.value, "reason": reason.model_dump(mode="json"), "effective_w": result.effective_w}
            if result.measured is not None:
                data["measured"] = result.measured.model_dump(mode="json")
            records.append(Entry(wall, Step.RESULT, reason.code.value, command.id, command.evse, data))
            records.append(ResultGiven(command.id, Phase.FINAL, result.as_json, wall))
        if ended:
            records.append(Entry(wall, Step.ENDED, reason.code.value, command.id, command.evse))
            records.append(CommandEnded(command.id, wall))
        if result is None:
            self._journal.later(*records)
            return
        given = result

        def publish() -> None:
            self._known.update(command.id, given.as_json)
            self._publisher.result(given, command.reply, Phase.FINAL)

        def publish_refused() -> None:  # the store has another line of this id
            self._journal.later(*records)
            publish()

        if command.verb in ALWAYS_ACT:  # after a restart its final result is the same
            self._background.start(self._keep_and_publish(publish, publish_refused, records))
        else:
            self._journal.keep_then(publish, publish_refused, *records)

    async def _keep_and_publish(
        self, publish: Callable[[], None], publish_refused: Callable[[], None], records: list[Record]
    ) -> None:
        try:
            await self._journal.keep_or_later(*records)
        except StoreError:
            publish_refused()
        else:
            publish()

    def _final(self, command: ActiveCommand, status: Status, reason: Reason, wall: float) -> Result:
        states = [state for name in command.allocations if (state := self._registry.get(name)) is not None]
        effective_w = sum(one.confirmed_w or 0.0 for one in command.allocations.values())
        one = states[0] if states and command.evse is not None else None
        shares = measured = None
        if command.evse is None:
            shares = tuple(_share(state, command.allocations[state.name]) for state in states)
            powers = [state.evse.power_w for state in states if state.evse.power_w is not None]
            measured = Measured(power_w=sum(powers) if powers else None, at=wall)
        elif one is not None:
            measured = Measured(
                power_w=one.evse.power_w,
                soc_pct=one.evse.soc_pct,
                energy_charged_wh=one.evse.charged.total_wh,
                energy_discharged_wh=one.evse.discharged.total_wh,
                at=one.evse.metered_wall,
            )
        return Result(
            id=command.body.id,
            verb=command.verb.value,
            evse=command.evse,
            status=status,
            reason=reason,
            requested_w=command.requested_w(wall) if command.allocations else None,
            effective_w=effective_w if command.allocations else None,
            binding=one.decision.binding if one is not None and one.decision is not None else None,
            lease_until=command.lease_wall,
            measured=measured,
            shares=shares,
            source=command.body.source,
            client=command.client,
            session=one.evse.session if one is not None else None,
            gateway=self._settings.gateway_id,
            ts=wall,
        )

    # verified by the meter ------------------------------------------------------------------------------------------

    def verify(self, state: EvseControlState) -> None:
        """Compare a fresh reading of the meter with what the station confirmed.

        The power of a grid-forming source follows the load, which the gateway estimates: any reading shows what was
        granted.
        """
        allocation, command, evse = state.allocation, state.command, state.evse
        if allocation is None or command is None or allocation.stage is not Stage.CONFIRMED:
            return
        if allocation.confirmed_at is None or evse.metered_at is None or evse.metered_at < allocation.confirmed_at:
            return
        if allocation.limited is not None:  # 0 W is not what was requested
            return
        allocation.measured_w = evse.power_w
        confirmed_w = allocation.confirmed_w or 0.0
        off_w = 0.0 if state.forms_grid else abs((evse.power_w or 0.0) - confirmed_w)
        if evse.power_w is None or off_w > self._settings.tolerance(confirmed_w):
            allocation.mismatch_w = evse.power_w
            return
        allocation.stage = Stage.ACHIEVED
        measured = {"power_w": evse.power_w, "confirmed_w": confirmed_w, "soc_pct": evse.soc_pct}
        self._publisher.note(Step.METERED, "meter", command.id, state.name, **measured)
        self._settle_if_achieved(command)

    def _settle_if_achieved(self, command: ActiveCommand) -> None:
        allocations = command.allocations.values()
        if command.settled or any(one.pending for one in allocations):
            return
        if command.before_first_power(self._clock.wall()):
            return
        failed = ", ".join(one.evse for one in allocations if one.stage is Stage.FAILED)
        reason = because(Code.PARTLY, f"Achieved without {failed}, which failed.") if failed else ACHIEVED
        self.settle(command, Status.ACHIEVED, reason, ended=False)

    # ends -----------------------------------------------------------------------------------------------------------

    def end(
        self,
        command: ActiveCommand,
        status: Status,
        reason: Reason,
        *,
        ramp: bool = True,
        next_at: EvseControlState | None = None,
    ) -> None:
        """Take a command out of force; its final result, if it has none yet, is `status` with `reason`.

        `next_at`: the EVSE that another command takes over at once; a command to the site gets no share of it.
        """
        had_power = any(one.confirmed_w for one in command.allocations.values())
        settled = command.settled
        self.settle(command, status, reason, ended=True)
        for name in list(command.allocations):
            state = self._registry.get(name)
            if state is not None and state.command is command:
                self._vacate(state, ramp=ramp)
        if self._site.command is command:
            self._site.command = None
            self._publisher.changed(None)
        self.reallocate(without=next_at)  # an EVSE has become free
        if reason.code is not Code.SUPERSEDED and (had_power or settled):
            event = Happened.RELEASED if reason.code is Code.RELEASED else Happened.LEASE_ENDED
            self._publisher.happened(event, command.evse, reason, command=command.id)

    def station_lost(self, state: EvseControlState, reason: Reason) -> None:
        """Let a leased command wait for the station to connect again; one to the site goes on at its other EVSEs."""
        command, allocation, within_s = state.command, state.allocation, self._settings.reconnect_within_s
        if command is None or allocation is None or command.lease_until is None or state.waits_until is not None:
            return
        others = (one for one in command.allocations.values() if one is not allocation)
        if within_s and not any(one.stage is not Stage.FAILED and one.waits_until is None for one in others):
            allocation.waits_until = self._clock.now() + within_s
        else:
            self.withdraw(state, reason, failed=True)

    def withdraw(self, state: EvseControlState, reason: Reason, *, failed: bool) -> None:
        """Take one EVSE out of the command in force there; with its last EVSE the command ends."""
        command, allocation = state.command, state.allocation
        if command is None or allocation is None:
            return
        if command.evse is not None or sum(one.stage is not Stage.FAILED for one in command.allocations.values()) <= 1:
            allocation.fail(reason)
            self.end(command, Status.FAILED if failed else Status.SUPERSEDED, reason)
            return
        if failed:
            allocation.fail(reason)
            allocation.power_w = allocation.confirmed_w = 0.0
            data = {"status": "failed", "text": reason.text}
            self._publisher.note(Step.RESULT, reason.code.value, command.id, state.name, **data)
        else:
            del command.allocations[state.name]
        self._vacate(state, ramp=True)
        self.reallocate(without=state)
        self._settle_if_achieved(command)

    def _vacate(self, state: EvseControlState, *, ramp: bool) -> None:
        state.command = None
        if ramp and state.setpoint.sent_w:
            state.ramp = Ramp(state.setpoint.sent_w, self._clock.now())
        self._notify(state)


def _share(state: EvseControlState, allocation: Allocation) -> Share:
    decision = state.decision
    if allocation.failure is not None:
        status, reason = Status.FAILED, allocation.failure
    elif allocation.limited is not None:
        status, reason = Status.CLAMPED, allocation.limited
    elif allocation.stage is Stage.ACHIEVED:
        status, reason = Status.ACHIEVED, ACHIEVED
    else:
        status, reason = Status.ACCEPTED, because(Code.GRANTED, "Granted, and not seen on the meter yet.")
    return Share(
        evse=state.name,
        effective_w=allocation.confirmed_w if allocation.confirmed_w is not None else state.effective_w,
        binding=decision.binding if decision else Layer.IDLE,
        status=status,
        reason=reason,
        measured_w=allocation.measured_w,
    )
