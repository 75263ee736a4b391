"""Recovery of what an earlier run of this gateway left in the store, before the first new command is accepted.

A leased command does not act again: power goes to 0 W (the station's set-point is read before anything is sent), and
a command that was accepted without a final result gets `failed` with `gateway_restarted`. What lasts until changed
(reserves, modes, limits, schedules, stops) is put in force again. Results that no broker acknowledged are published
again.
"""

from __future__ import annotations

import contextlib

import msgspec

from gateway.commands.arbiter import CommandArbiter
from gateway.commands.background import BackgroundTasks
from gateway.commands.lifecycle import CommandLifecycle
from gateway.control.control_state import ActiveCommand, EvseRegistry
from gateway.control.last_grid import LastGridPersistence
from gateway.control.negotiated_needs import VehicleNeedsPersistence
from gateway.control.publisher import EventPublisher
from gateway.model.command import EVSE_VERBS, LEASED, SITE_VERBS, Channel, Verb
from gateway.model.journal import Entry, Phase, Step, StoredCommand
from gateway.model.reason import Code, because
from gateway.model.result import Result, Status
from gateway.model.site import Site
from gateway.store.journal import IdempotencyCache, Journal
from gateway.store.store import StoreError
from protocols.ports import Clock

UNDELIVERED = 10_000  # results published again
NO_EVSE = frozenset({Code.UNKNOWN_EVSE.value, Code.OFFLINE.value})  # the EVSE of such a result may not exist


class _Reason(msgspec.Struct):
    code: str = ""


class _Answer(msgspec.Struct):
    reason: _Reason


class Recovery:
    """Restores commands and vehicles from the store."""

    def __init__(
        self,
        site: Site,
        registry: EvseRegistry,
        arbiter: CommandArbiter,
        lifecycle: CommandLifecycle,
        publisher: EventPublisher,
        journal: Journal,
        known: IdempotencyCache,
        needs: VehicleNeedsPersistence,
        last_grid: LastGridPersistence,
        background: BackgroundTasks,
        clock: Clock,
        takes_over: bool = False,
    ) -> None:
        """`takes_over`: another process has carried out the leased commands until now; they stay in force."""
        self._site = site
        self._registry = registry
        self._arbiter = arbiter
        self._lifecycle = lifecycle
        self._publisher = publisher
        self._journal = journal
        self._known = known
        self._needs = needs
        self._last_grid = last_grid
        self._background = background
        self._clock = clock
        self._takes_over = takes_over

    async def run(self, known_ids: int) -> None:
        """Read the store and act on it; StoreError if it cannot be read (then the gateway does not start)."""
        store = self._journal.store
        recent = await store.recent_commands(known_ids)
        for stored in reversed(recent):
            if latest := stored.final or stored.first:
                self._known.put(stored.id, stored.fingerprint, latest)
                if stored.evse is not None and _code(latest) not in NO_EVSE:
                    self._registry.ensure(stored.evse)  # until its station is back it is offline, not unknown
        self._known.restored(complete=len(recent) < known_ids)
        for stored in await store.undelivered(UNDELIVERED):
            self._publish_again(stored)
        kept = await store.kept(0)
        self._site.restore_grid(self._last_grid.restore(kept))
        self._arbiter.restore_rest(kept)
        self._needs.restore(kept)
        in_force = await store.in_force()
        for stored in in_force:
            self._settle_or_restore(stored)
        await self._background.finish()
        data = {"commands_in_force": len(in_force), "known_ids": len(recent)}
        with contextlib.suppress(StoreError):  # reported by the journal; what needs no journal is served
            await self._journal.keep(Entry(self._clock.wall(), Step.EVENT, "gateway_started", None, None, data))

    def _publish_again(self, stored: StoredCommand) -> None:
        if stored.first and not (stored.first_delivered or stored.final_delivered):
            self._publisher.result(Result.model_validate_json(stored.first), stored.reply, Phase.FIRST)
        if stored.final and not stored.final_delivered:
            self._publisher.result(Result.model_validate_json(stored.final), stored.reply, Phase.FINAL)

    def _settle_or_restore(self, stored: StoredCommand) -> None:
        """Settle a command that must not act again, and put one that lasts in force."""
        verb, wall, settle = Verb(stored.verb), self._clock.wall(), self._lifecycle.settle
        bodies = SITE_VERBS if stored.evse is None else EVSE_VERBS
        command = ActiveCommand(
            stored.id,
            stored.evse,
            verb,
            bodies[verb].model_validate_json(stored.body),
            Channel(stored.channel),
            reply=stored.reply,
            settled=stored.final is not None,
            sequence=self._arbiter.next_sequence(),
        )
        if verb in LEASED:
            first = Result.model_validate_json(stored.first) if stored.first else None
            command.lease_wall = first.lease_until if first else None
            if command.lease_wall is not None and command.lease_wall <= wall:
                reason = because(Code.LEASE_EXPIRED, "The lease ended while the gateway was down.")
                settle(command, Status.LEASE_EXPIRED, reason, ended=True)
            elif self._takes_over and command.lease_wall is not None:
                command.lease_until = self._clock.now() + command.lease_wall - wall
                command.session = first.session if first else None
                self._arbiter.resume(command)
                self._publisher.note(Step.EVENT, "resumed", stored.id, stored.evse, verb=verb.value)
            else:
                text = "The gateway was restarted; power goes to 0 W until a fresh command."
                settle(command, Status.FAILED, because(Code.GATEWAY_RESTARTED, text), ended=True)
        elif command.finished(wall):
            reason = because(Code.SCHEDULE_ENDED, "The schedule ended while the gateway was down.")
            settle(command, Status.FAILED, reason, ended=True)
        elif verb is Verb.RELEASE:  # accepted, and perhaps not carried out
            self._arbiter.apply_standing(command)
            settle(command, Status.ACHIEVED, because(Code.IN_FORCE, "Done."), ended=True)
        else:
            self._arbiter.restore(command)
            self._publisher.note(Step.EVENT, "restored", stored.id, stored.evse, verb=verb.value)
            if not command.settled and not command.allocations:
                settle(command, Status.ACHIEVED, because(Code.IN_FORCE, "In force."), ended=False)


def _code(result: str) -> str:
    """Return the reason code of a stored result without reading the rest of it."""
    try:
        return msgspec.json.decode(result, type=_Answer).reason.code
    except msgspec.DecodeError:
        return ""
