"""What an earlier life of this gateway left behind, settled before the first new command is taken.

A leased command does not act again: power goes to 0 W (the station is asked what it holds before anything is sent), and
a command that was accepted without a final result gets `failed` with `gateway_restarted`. What lasts until changed
(reserves, modes, limits, schedules, stops) is in force again. Results no broker acknowledged are told again.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

from gateway.commands.active_command import ActiveCommand
from gateway.commands.arbiter import CommandArbiter
from gateway.commands.lifecycle import CommandLifecycle
from gateway.commands.submission import Channel
from gateway.control.board import Board
from gateway.model.command import EVSE_VERBS, LEASED, SITE_VERBS, Verb
from gateway.model.event import PowerLimits, VehicleNeeds
from gateway.model.journal import Entry, Phase, Step, StoredCommand
from gateway.model.reason import Code, because
from gateway.model.result import Result, Status
from gateway.model.state import Happened
from gateway.store.ports import StoreError

TOLD_AGAIN = 10_000
ENTRIES_READ = 10_000  # the newest, for what cars negotiated
NEEDS_KEPT_S = 7 * 86_400.0
NOT_HEARD_OF = tuple(f'"code":"{code.value}"' for code in (Code.UNKNOWN_EVSE, Code.OFFLINE))  # it may not exist


async def recover(board: Board, endings: CommandLifecycle, orders: CommandArbiter) -> None:
    """Read the store and act on it; StoreError if it cannot be read (then the gateway does not start)."""
    store = board.journal.store
    recent = await store.recent_commands(board.settings.known_ids)
    for stored in reversed(recent):
        if latest := stored.final or stored.first:
            board.ids.put(stored.id, stored.fingerprint, latest)
            if stored.evse is not None and not any(code in latest for code in NOT_HEARD_OF):
                board.place(stored.evse)  # until its station is back it is offline, not unknown
    board.ids.complete = len(recent) < board.settings.known_ids
    for stored in await store.undelivered(TOLD_AGAIN):
        _tell_again(board, stored)
    await _remember_needs(board)
    in_force = await store.in_force()
    for stored in in_force:
        _settle(board, endings, orders, stored)
    await board.settle_background()
    wall = board.clock.wall()
    data = {"commands_in_force": len(in_force), "known_ids": len(recent)}
    with contextlib.suppress(StoreError):  # told by the journal itself; the gateway serves what needs no journal
        await board.journal.keep(Entry(wall, Step.EVENT, "gateway_started", None, None, data))


async def _remember_needs(board: Board) -> None:
    """What cars said they can do: a station tells it once a session, and the session outlives the gateway.

    Only what lasts: the charge and the energy requests of then say nothing about now.
    """
    since = board.clock.wall() - NEEDS_KEPT_S
    for entry in await board.journal.store.entries(since=since, limit=ENTRIES_READ):
        needs, session = entry.data.get("needs"), entry.data.get("session")
        if entry.cause != Happened.NEGOTIATED or not needs or not session or entry.evse is None:
            continue
        try:
            known = VehicleNeeds(**{**needs, "limits": PowerLimits(**needs["limits"])})
        except (TypeError, KeyError):  # written by another version
            continue
        board.negotiated[entry.evse, session] = replace(
            known,
            soc_pct=None,
            target_energy_wh=None,
            min_energy_wh=None,
            max_energy_wh=None,
            min_v2x_energy_wh=None,
            max_v2x_energy_wh=None,
        )


def _tell_again(board: Board, stored: StoredCommand) -> None:
    if stored.first and not stored.first_delivered and not stored.final:
        board.tell(Result.model_validate_json(stored.first), stored.reply, Phase.FIRST)
    if stored.final and not stored.final_delivered:
        board.tell(Result.model_validate_json(stored.final), stored.reply, Phase.FINAL)


def _settle(board: Board, endings: CommandLifecycle, orders: CommandArbiter, stored: StoredCommand) -> None:
    verb = Verb(stored.verb)
    bodies = SITE_VERBS if stored.evse is None else EVSE_VERBS
    body = bodies[verb].model_validate_json(stored.body)
    holding = ActiveCommand(
        stored.id,
        stored.evse,
        verb,
        body,
        Channel(stored.channel),
        started=board.clock.now(),
        reply=stored.reply,
        settled=stored.final is not None,
        turn=orders.next_turn(),
    )
    if verb in LEASED:
        first = Result.model_validate_json(stored.first) if stored.first else None
        holding.lease_wall = first.lease_until if first else None
        over = holding.lease_wall is not None and holding.lease_wall <= board.clock.wall()
        if over:
            text = "The lease ended while the gateway was down."
            endings.settle(holding, Status.LEASE_EXPIRED, because(Code.LEASE_EXPIRED, text), ended=True)
        else:
            text = "The gateway was restarted; power goes to 0 W until a fresh command."
            endings.settle(holding, Status.FAILED, because(Code.GATEWAY_RESTARTED, text), ended=True)
        return
    if holding.over(board.clock.wall()):
        text = "The schedule ended while the gateway was down."
        endings.settle(holding, Status.FAILED, because(Code.SCHEDULE_ENDED, text), ended=True)
        return
    if verb is Verb.RELEASE:  # accepted, and perhaps not carried out
        orders.set_standing(holding)
        endings.settle(holding, Status.ACHIEVED, because(Code.IN_FORCE, "Done."), ended=True)
        return
    orders.restore(holding)
    board.note(Step.EVENT, "restored", stored.id, stored.evse, verb=verb.value)
    if not holding.settled and not holding.parts:
        endings.settle(holding, Status.ACHIEVED, because(Code.IN_FORCE, "In force."), ended=False)
