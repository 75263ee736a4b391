"""The object that MQTT, the admin API and the applications call.

    core = Core(settings, clock, stations, Journal(store, clock))
    core.report(event)                      # what the edge says
    await core.submit(Submission(...))      # a command; the first result
    core.explain("CP1-1")                   # who bound what, now
    await core.run()                        # governs until cancelled

Everything behind it lives in this package, one idea a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from typing import Any

from pydantic import ValidationError

from gateway import views
from gateway.authority.site_limits import metered
from gateway.commands.arbiter import CommandArbiter
from gateway.commands.intake import CommandIntake
from gateway.commands.lifecycle import CommandLifecycle
from gateway.commands.recovery import recover
from gateway.commands.submission import Channel, Submission
from gateway.control.board import Board
from gateway.control.control_state import EvseControlState
from gateway.control.event_ingest import EventIngest
from gateway.control.setpoint_controller import SetpointController
from gateway.control.settings import ServiceSettings
from gateway.model.command import complaint
from gateway.model.event import Event
from gateway.model.journal import Entry, Phase, ResultDelivered, Step
from gateway.model.reason import Code, Reason, because
from gateway.model.result import Result, Status
from gateway.model.site import INPUTS, Freshness, InputKind, switching_part
from gateway.model.state import EvseState, Explanation, Happened, SiteState, SiteTelemetry, Telemetry
from gateway.model.station import Stations
from gateway.model.subscriber import Subscriber
from gateway.store.journal import Journal
from gateway.store.ports import Sample, StoreError
from protocols.ports import Clock

HOUSEKEEPING_S = 3600.0
BATCH, BATCH_S, MOST_SAMPLES = 500, 30.0, 20_000  # of telemetry

log = logging.getLogger("v2x.core")


class GatewayService:
    """What decides. One per gateway process."""

    def __init__(self, settings: ServiceSettings, clock: Clock, stations: Stations, journal: Journal) -> None:
        self.settings = settings
        self.journal = journal
        self.board = Board(settings, clock, stations, journal)
        self.endings = CommandLifecycle(self.board)
        self.orders = CommandArbiter(self.board, self.endings)
        self.desk = CommandIntake(self.board, self.orders)
        self._edge = EventIngest(self.board, self.endings, self.orders)
        self.ready = asyncio.Event()  # what an earlier life left behind is settled; commands are taken now
        self._tasks: asyncio.TaskGroup | None = None
        self._freshness: dict[InputKind, Freshness] = {}
        self._governing: dict[str, asyncio.Task[None]] = {}
        self.board.spawn_place = self._govern
        journal.on_trouble = self._journal_trouble

    # for who calls --------------------------------------------------------------------------------------------------

    def listen(self, listener: Subscriber) -> None:
        """Hear results, events and changes from now on."""
        self.board.listeners.append(listener)

    async def submit(self, submission: Submission) -> Result:
        """Take a command and give its first result. Never raises for what was sent."""
        await self.ready.wait()
        return await self.desk.submit(submission)

    async def result(self, command_id: str) -> tuple[Result | None, Result | None]:
        """The first and the final result of a command, None for what it has not (or is not known)."""
        stored = await self.journal.store.find_command(command_id)
        if stored is None:
            return None, None
        first = Result.model_validate_json(stored.first) if stored.first else None
        return first, Result.model_validate_json(stored.final) if stored.final else None

    async def entries(self, **wanted: Any) -> list[Entry]:
        """Lines of the journal: `since`, `until` (Unix time), `evse`, `command`, `limit`, `after_seq`."""
        return await self.journal.store.entries(**wanted)

    def evses(self) -> list[str]:
        """All EVSEs heard of."""
        return sorted(self.board.places)

    def state(self, evse: str) -> EvseState | None:
        """Everything about an EVSE."""
        place = self.board.places.get(evse)
        return views.evse_state(self.board, place) if place else None

    def telemetry(self, evse: str) -> Telemetry | None:
        """What its meter shows; every call counts `seq` up."""
        place = self.board.places.get(evse)
        return views.telemetry(self.board, place) if place else None

    def site_state(self) -> SiteState:
        """The site as one group."""
        return views.site_state(self.board)

    def site_telemetry(self, seq: int) -> SiteTelemetry:
        """All EVSEs together."""
        return views.site_telemetry(self.board, seq)

    def explain(self, evse: str) -> Explanation | None:
        """The layers of the order of authority now in force at an EVSE, and who bound what."""
        place = self.board.known(evse)
        return views.explain(self.board, place) if place else None

    def delivered(self, command_id: str, phase: Phase) -> None:
        """A broker has acknowledged a result."""
        self.journal.later(ResultDelivered(command_id, phase))

    def operator(self, text: str, evse: str | None = None, **data: Any) -> None:
        """An operator did something around the order of authority, such as a raw call to a station."""
        wall = self.board.clock.wall()
        self.journal.later(Entry(wall, Step.OPERATOR, text[:200], None, evse, data))

    def input(self, kind: str, payload: bytes, retained: bool = False) -> Reason | None:
        """What the facility measures or knows; a reason if it is not taken."""
        board, wall, now = self.board, self.board.clock.wall(), self.board.clock.now()
        if kind not in InputKind.__members__.values():
            known = ", ".join(InputKind)
            return self._refuse_input(
                kind, because(Code.BAD_INPUT, f"There is no input {kind[:64]!r}; known are {known}.")
            )
        if len(payload) > 65_536:
            return self._refuse_input(
                kind, because(Code.TOO_LARGE, f"The input {kind} has {len(payload)} bytes; 65536 are allowed.")
            )
        try:
            value = INPUTS[InputKind(kind)].model_validate_json(payload)
        except ValidationError as error:
            return self._refuse_input(kind, because(Code.BAD_INPUT, f"Input {kind}: {complaint(error)}."))
        ahead_s = value.ts - wall
        if ahead_s > self.settings.clock_skew_s:
            text = f"Input {kind} is stamped {ahead_s:.1f} s ahead of the gateway's clock; check both clocks."
            return self._refuse_input(kind, because(Code.CLOCK_SKEW, text))
        held = board.site.inputs.readings.get(InputKind(kind))
        board.site.inputs.put(InputKind(kind), value, now, wall)
        if (hears := board.hears.get(InputKind(kind))) is not None:
            hears(value)
        self._note_freshness()
        turned = switching_part(value) != switching_part(held.value if held is not None else None)
        if turned:
            board.changed(None)
        else:
            board.news.set()
            board.stirred(None)
        if turned or (board.limited and (kind == InputKind.GRID or not metered(board.site, now))):
            board.wake_busy()  # what a limit leaves is another
        return None

    def forget(self, station: str) -> None:
        """A station was removed for good: its EVSEs go, and with them what was retained about them."""
        board = self.board
        for place in [one for one in board.places.values() if one.evse.station == station]:
            reason = because(Code.UNKNOWN_EVSE, f"The station of {place.name} was removed.")
            if place.holding is not None:
                self.endings.leave(place, reason, failed=True)
            del board.places[place.name]
            governing = self._governing.pop(place.name, None)
            if governing is not None:
                governing.cancel()
            board.changed(place.name)
        self._edge.forget(station)

    def end_channel(self, channel: Channel, reason: Reason) -> None:
        """A way by which commands came is gone: leased commands that came through it end, power goes to 0 W."""
        for holding in self.orders.all_in_force():
            if holding.channel is channel and holding.lease_until is not None:
                self.endings.end(holding, Status.FAILED, reason)

    def report(self, event: Event) -> None:
        """Take in one event of a station or an EVSE."""
        self._edge.report(event)

    # running --------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Settle what an earlier life left behind, then govern until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            writing = tasks.create_task(self.journal.run(), name="journal")
            try:
                await recover(self.board, self.endings, self.orders)
                self.ready.set()
                for place in list(self.board.places.values()):
                    self._govern(place)
                await self._keep_house()
            finally:
                self._tasks = None
                await asyncio.shield(self.board.settle_background())
                writing.cancel()

    async def stop(self, within_s: float = 10.0) -> None:
        """End all leased commands and walk to 0 W before the gateway goes; sessions stay."""
        reason = because(Code.GATEWAY_STOPPED, "The gateway is being stopped.")
        self.orders.closed = reason
        for holding in self.orders.all_in_force():
            if holding.lease_until is not None:
                self.endings.end(holding, Status.FAILED, reason)
        deadline = self.board.clock.now() + within_s
        while self.board.clock.now() < deadline and any(self._still_powered(one) for one in self.board.places.values()):
            await self.board.clock.sleep(0.1)
        await self.board.settle_background()
        with contextlib.suppress(TimeoutError):
            async with self.board.clock.timeout_at(self.board.clock.now() + 2.0):
                await self.journal.flush()

    def _still_powered(self, place: EvseControlState) -> bool:
        evse = place.evse
        return bool(evse.connected and evse.session and place.sent_w and not place.hands_off)

    def _govern(self, place: EvseControlState) -> None:
        if self._tasks is not None and self.ready.is_set():
            governor = SetpointController(self.board, self.endings, place)
            self._governing[place.name] = self._tasks.create_task(governor.run(), name=f"governor {place.name}")

    async def _keep_house(self) -> None:
        """Inputs that fall silent are told, telemetry is kept in batches, old rows go."""
        clock, store = self.board.clock, self.journal.store
        pruned = sampled = clock.now()
        samples: deque[Sample] = deque(maxlen=MOST_SAMPLES)
        trouble = ""  # of the store, as told last
        while True:
            await clock.sleep(1.0)
            self._note_freshness()
            now = clock.now()
            if self.settings.telemetry_days and now - sampled >= self.settings.telemetry_every_s:
                sampled = now
                samples.extend(views.samples(self.board))
            try:
                if len(samples) >= BATCH or (samples and clock.wall() - samples[0].wall >= BATCH_S):
                    await store.sample(list(samples))
                    samples.clear()
                if now - pruned >= HOUSEKEEPING_S:
                    pruned = now
                    await self._prune()
                trouble = ""
            except StoreError as error:
                if str(error) != trouble:  # told once, and not each second onto a disk that is full
                    log.warning("telemetry or old rows: %s", error)
                trouble = str(error)

    async def _prune(self) -> None:
        wall, settings, day = self.board.clock.wall(), self.settings, 86_400.0
        await self.journal.store.prune(
            wall - settings.command_days * day, wall - settings.journal_days * day, wall - settings.telemetry_days * day
        )

    def _note_freshness(self) -> None:
        board = self.board
        now = board.clock.now()
        for kind in board.site.inputs.readings:
            freshness = board.site.inputs.freshness(kind, now)
            before = self._freshness.get(kind, Freshness.NEVER)
            self._freshness[kind] = freshness
            if freshness is before:
                continue
            if freshness is Freshness.STALE:
                reason = because(Code.INPUT_STALE, f"The input {kind.value} has gone quiet.")
                board.happened(Happened.INPUT_STALE, None, reason)
            else:
                board.happened(Happened.INPUT_FRESH, None, text=f"The input {kind.value} is there.")
            board.changed(None)
            board.wake_busy()

    def _refuse_input(self, kind: str, reason: Reason) -> Reason:
        if self.desk.allow_input(kind):
            self.board.happened(Happened.INPUT_REFUSED, None, reason)
        return reason

    def _journal_trouble(self, text: str) -> None:
        reason = because(Code.JOURNAL_UNAVAILABLE, f"The journal cannot be written: {text}.") if text else None
        self.board.happened(Happened.JOURNAL, None, reason, "" if text else "The journal is written again.")
        self.board.changed(None)
