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
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from gateway.core import views
from gateway.core.board import Board
from gateway.core.desk import Desk
from gateway.core.ending import Endings
from gateway.core.governor import Governor
from gateway.core.listener import Listener
from gateway.core.orders import Orders
from gateway.core.place import Place
from gateway.core.recovery import recover
from gateway.core.settings import CoreSettings
from gateway.core.submission import Channel, Submission
from gateway.model.command import complaint
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
from gateway.model.journal import Entry, Phase, ResultDelivered, Step
from gateway.model.reason import Code, Reason, because
from gateway.model.result import Result, Status
from gateway.model.site import INPUTS, Freshness, InputKind
from gateway.model.state import EvseState, Explanation, Happened, SiteState, SiteTelemetry, Telemetry
from gateway.model.station import Stations
from gateway.store.journal import Journal
from gateway.store.ports import Sample, StoreError
from protocols.ports import Clock

HOUSEKEEPING_S = 3600.0
BATCH, BATCH_S, MOST_SAMPLES = 500, 30.0, 20_000  # of telemetry

log = logging.getLogger("v2x.core")


class Core:
    """What decides. One per gateway process."""

    def __init__(self, settings: CoreSettings, clock: Clock, stations: Stations, journal: Journal) -> None:
        self.settings = settings
        self.journal = journal
        self.board = Board(settings, clock, stations, journal)
        self.endings = Endings(self.board)
        self.orders = Orders(self.board, self.endings)
        self.desk = Desk(self.board, self.orders)
        self.ready = asyncio.Event()  # what an earlier life left behind is settled; commands are taken now
        self._stopping = False
        self._tasks: asyncio.TaskGroup | None = None
        self._freshness: dict[InputKind, Freshness] = {}
        self._governing: dict[str, asyncio.Task[None]] = {}
        self._links: dict[str, StationConnected | StationLost] = {}
        self.board.spawn_place = self._govern
        journal.on_trouble = self._journal_trouble

    # for who calls --------------------------------------------------------------------------------------------------

    def listen(self, listener: Listener) -> None:
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
        board.site.inputs.take(InputKind(kind), value, now, wall)
        self._note_freshness()
        board.changed(None)
        board.wake_all()
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
        self._links.pop(station, None)

    def end_channel(self, channel: Channel, reason: Reason) -> None:
        """A way by which commands came is gone: leased commands that came through it end, power goes to 0 W."""
        for holding in self.orders.all_in_force():
            if holding.channel is channel and holding.lease_until is not None:
                self.endings.end(holding, Status.FAILED, reason)

    # what the edge says ---------------------------------------------------------------------------------------------

    def report(self, event: Event) -> None:
        """Take in one event of a station or an EVSE."""
        board = self.board
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

    def _apply(self, place: Place, event: Event) -> None:
        board, evse = self.board, place.evse
        was_plugged, was_session, was_fault = evse.plug, evse.session, evse.fault
        was_connected, had_needs = evse.connected, evse.needs is not None
        evse.apply(event)
        if isinstance(event, Metered):
            self.endings.judge(place)
            board.changed(place.name)
            if event.soc_pct is not None or place.floor_reached or board.site.policy.export_limit_w is not None:
                place.wake.set()
            return
        told = _TOLD.get(type(event))
        if told is not None:
            told(self, place, event, (was_connected, was_plugged, was_session, was_fault, had_needs))
        board.changed(place.name)
        place.wake.set()
        self.orders.share_again()

    def _on_connected(self, place: Place, event: StationConnected, was: tuple[Any, ...]) -> None:
        place.reconciled, place.sent_w, place.retry_at, place.silent = False, None, None, 0
        self.board.happened(
            Happened.STATION_CONNECTED, place.name, text=f"{event.protocol} {event.vendor} {event.model}".strip()
        )

    def _on_lost(self, place: Place, event: StationLost, was: tuple[Any, ...]) -> None:
        place.reconciled, place.sent_w, place.ramp = False, None, None
        reason = because(Code.OFFLINE, event.reason or f"The link to the station of {place.name} broke.")
        self.board.happened(Happened.STATION_LOST, place.name, reason)
        self._drop_leased(place, reason)

    def _on_plug(self, place: Place, event: PlugChanged, was: tuple[Any, ...]) -> None:
        plugged, before = event.state is PlugState.OCCUPIED, was[1] is PlugState.OCCUPIED
        if plugged != before and event.state in (PlugState.OCCUPIED, PlugState.AVAILABLE):
            self.board.happened(
                Happened.PLUGGED if plugged else Happened.UNPLUGGED, place.name, session=place.evse.session
            )

    def _on_started(self, place: Place, event: SessionStarted, was: tuple[Any, ...]) -> None:
        if was[2] == event.session:
            return
        place.reconciled, place.sent_w, place.floor_reached = False, None, False
        self.board.happened(Happened.SESSION_STARTED, place.name, session=event.session)

    def _on_needs(self, place: Place, event: NeedsStated, was: tuple[Any, ...]) -> None:
        limits, way = event.needs.limits, "both ways" if event.needs.bidirectional else "charging only"
        text = (
            f"{event.needs.energy_transfer}, {event.needs.control_mode}, {way}: {limits.max_charge_w:.0f} W into the car, "
            f"{limits.max_discharge_w:.0f} W out of it"
        )
        self.board.happened(Happened.NEGOTIATED, place.name, text=text, session=place.evse.session)

    def _on_ended(self, place: Place, event: SessionEnded, was: tuple[Any, ...]) -> None:
        place.reconciled, place.sent_w, place.ramp, place.floor_reached = False, None, None, False
        because_ = f": {event.reason}" if event.reason else ""
        reason = because(Code.SESSION_ENDED, f"The session at {place.name} ended{because_}.")
        self.board.happened(Happened.SESSION_ENDED, place.name, reason, session=event.session)
        if place.holding is not None:
            self.endings.leave(place, reason, failed=True)

    def _on_mode(self, place: Place, event: ModeChanged, was: tuple[Any, ...]) -> None:
        self.board.happened(Happened.MODE_CHANGED, place.name, text=event.mode.value, session=place.evse.session)

    def _on_fault(self, place: Place, event: FaultRaised | FaultCleared, was: tuple[Any, ...]) -> None:
        fault = place.evse.fault
        if fault == was[3]:
            return
        if fault is None:
            self.board.happened(Happened.FAULT_CLEARED, place.name)
            return
        reason = because(Code.FAULT, f"{place.name} is in fault: {fault}.")
        self.board.happened(Happened.FAULT, place.name, reason)
        self._drop_leased(place, reason)

    def _drop_leased(self, place: Place, reason: Reason) -> None:
        if place.holding is not None and place.holding.lease_until is not None:
            self.endings.leave(place, reason, failed=True)

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
        self._stopping = True
        reason = because(Code.GATEWAY_STOPPED, "The gateway is being stopped.")
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

    def _still_powered(self, place: Place) -> bool:
        evse = place.evse
        return bool(evse.connected and evse.session and place.sent_w and not place.hands_off)

    def _govern(self, place: Place) -> None:
        if self._tasks is not None and self.ready.is_set():
            governor = Governor(self.board, self.endings, place)
            self._governing[place.name] = self._tasks.create_task(governor.run(), name=f"governor {place.name}")

    async def _keep_house(self) -> None:
        """Inputs that fall silent are told, telemetry is kept in batches, old rows go."""
        clock, store = self.board.clock, self.journal.store
        pruned = sampled = clock.now()
        samples: deque[Sample] = deque(maxlen=MOST_SAMPLES)
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
            except StoreError as error:
                log.warning("telemetry or old rows: %s", error)

    async def _prune(self) -> None:
        wall, settings, day = self.board.clock.wall(), self.settings, 86_400.0
        await self.journal.store.prune(
            wall - settings.command_days * day, wall - settings.journal_days * day, wall - settings.telemetry_days * day
        )

    def _note_freshness(self) -> None:
        board = self.board
        for kind in InputKind:
            freshness = board.site.inputs.freshness(kind, board.clock.now())
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
            board.wake_all()

    def _refuse_input(self, kind: str, reason: Reason) -> Reason:
        if self.desk.allow_input(kind):
            self.board.happened(Happened.INPUT_REFUSED, None, reason)
        return reason

    def _journal_trouble(self, text: str) -> None:
        reason = because(Code.JOURNAL_UNAVAILABLE, f"The journal cannot be written: {text}.") if text else None
        self.board.happened(Happened.JOURNAL, None, reason, "" if text else "The journal is written again.")
        self.board.changed(None)


Told = Callable[[Core, Place, Any, tuple[Any, ...]], None]


_TOLD: dict[type, Told] = {
    StationConnected: Core._on_connected,
    StationLost: Core._on_lost,
    PlugChanged: Core._on_plug,
    SessionStarted: Core._on_started,
    NeedsStated: Core._on_needs,
    SessionEnded: Core._on_ended,
    ModeChanged: Core._on_mode,
    FaultRaised: Core._on_fault,
    FaultCleared: Core._on_fault,
}
