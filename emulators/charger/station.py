"""An emulated charging station: its EVSEs, its link to the CSMS, and the power it runs at. Any OCPP version.

Here: connecting and booting with back-off, the offline queue, what plugs and tokens do, and the step that turns
profiles, modes and DER controls into power. What is said in which words is in `ocpp16.py` and `ocpp2.py`; the wire and
the vehicles are handed in.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from emulators.charger import der, modes
from emulators.charger.device_model import DeviceModel
from emulators.charger.external import IDS_FROM, ExternalSystem
from emulators.charger.modes import Memory, Surroundings
from emulators.charger.outlet import Needs, Outlet, Reading
from emulators.charger.profile_rules import MODES, Abilities
from emulators.charger.profiles import Circumstances, Composite, Profiles
from emulators.charger.transaction import Message, Queue, Transaction
from emulators.charger.upkeep import Upkeep
from protocols.errors import LocalProtocolError
from protocols.ocpp import rpc
from protocols.ocpp.io import Answered, Link, Lost, Refused, Reply, TimedOut
from protocols.ocpp.rpc import CallReceived, Refusal, ResultReceived, Rpc
from protocols.ocpp.schema import ErrorCode, Payload, Version
from protocols.ocpp.times import parse, stamp
from protocols.ocpp.vendor import Channel, VendorProfile, find
from protocols.ports import Clock, TextWire

log = logging.getLogger("v2x.station")

TICK_S = 1.0
FLOWS_W = 50.0  # W; below it nothing is said to flow
CHANGED = 0.02  # of the rated power: a change that is told at once
CHANGED_EVERY_S = 1.0
BACK_OFF = (2.0, 60.0)  # s, first and longest wait before connecting again
BACK_OFF_RANDOM = 0.5  # of the wait, at most
RETRY_AFTER = 10.0  # s, times the tries so far: MessageAttemptInterval
START_TOLD_WITHIN = 60.0  # s that a vehicle's needs wait for the start of its transaction to be told
SILENT_CALLS = 2  # calls in a row without an answer, and the line is taken for dead
STOP_WITHIN = 10.0  # s for the last messages when the station is stopped


@dataclass(frozen=True, slots=True)
class StationConfig:
    """What the station is. Powers come from its outlets."""

    id: str = "CP1"
    version: Version = Version.V21
    vendor: str = "v2x-gateway"
    model: str = "emulator"
    serial: str = "EMU-1"
    firmware: str = "1.0"
    vendor_profile: str | VendorProfile | None = None  # by name, or one of your own
    id_token: str = ""  # empty: nobody is asked (NoAuthorization), in 1.6 the tag FREE
    token_type: str = "ISO14443"
    meter_interval_s: float = 10.0
    dc: bool = True
    modes: tuple[str, ...] = MODES
    answer_within_s: float = 30.0
    tick_s: float = TICK_S  # between two looks at profiles and meters while nothing wakes it
    seed: int = 0


@dataclass(slots=True)
class EvseState:
    """One EVSE as it is now."""

    number: int
    outlet: Outlet
    status: str = "Available"  # Available | Occupied | Reserved | Unavailable | Faulted
    operative: bool = True
    inoperative_next: bool = False  # as soon as the transaction has ended
    fault: str | None = None
    vehicle: Needs | None = None
    offered: Needs | None = None  # what it said when it came
    transaction: Transaction | None = None
    reservation: dict[str, Any] | None = None
    composite: Composite = field(default_factory=Composite)
    memory: Memory = field(default_factory=Memory)
    surroundings: Surroundings = field(default_factory=Surroundings)
    wish_w: float = 0.0
    reading: Reading = field(default_factory=lambda: Reading(0.0, 0.0, 0.0))
    told_w: float = 0.0
    told_at: float = float("-inf")
    sampled_at: float = float("-inf")
    soc_told: bool = False  # in this transaction
    alarm: tuple[str, str | None] | None = None
    open: bool = False
    finishing: bool = False  # 1.6: the transaction has ended, the cable is still in
    priority: bool = False
    allowed: tuple[str, ...] | None = None  # energy transfers the CSMS allows; None: not said
    asked: bool = False  # the CSMS was asked who this is, and could have said what is allowed
    sleeping: bool = False
    shown_cost: float | None = None
    held_power_w: float | None = None  # vendor channels without a profile


class Dialect(Protocol):
    """One version's words. Answers go back at once; what follows from a message is the station's."""

    def handlers(self) -> dict[str, Callable[[Payload], Payload | Awaitable[Payload]]]:
        """What the CSMS may ask."""

    def boot(self, reason: str) -> Payload:
        """BootNotification."""

    def status(self, evse: EvseState) -> Payload:
        """StatusNotification."""

    async def authorize(self, evse: EvseState, token: str, sort: str) -> bool:
        """Ask whether a token may charge."""

    def started(self, evse: EvseState, transaction: Transaction) -> None:
        """Tell that a transaction began."""

    def updated(self, evse: EvseState, transaction: Transaction, trigger: str) -> None:
        """Tell that something changed, with readings where the trigger asks for them."""

    def ended(self, evse: EvseState, transaction: Transaction, trigger: str) -> None:
        """Tell that it ended."""

    async def needs(self, evse: EvseState) -> None:
        """Tell what the vehicle needs, and obey the answer."""


Connect = Callable[[Version], Awaitable[TextWire]]


class Station:
    """One charging station. `run` lives its life; everything else happens to it."""

    def __init__(
        self,
        config: StationConfig,
        outlets: list[Outlet],
        clock: Clock,
        connect: Connect,
        dialect: Callable[[Station], Dialect],
    ) -> None:
        self.config, self.clock, self._connect = config, clock, connect
        self.evses = {number: EvseState(number, outlet) for number, outlet in enumerate(outlets, 1)}
        chosen = config.vendor_profile or f"generic-{config.version.number}"
        self.vendor = chosen if isinstance(chosen, VendorProfile) else find(chosen)
        self.quirks = self.vendor.quirks
        self.device = DeviceModel()
        self.profiles = Profiles(self._abilities(), config.seed)
        self.controls = der.Controls(frozenset(der.BODIES))
        self.grid = der.Grid()
        self.queue = Queue()
        self.local_list: dict[str, dict[str, Any]] = {}
        self.local_list_version = 0
        self.link: Link | None = None
        self.accepted = False
        self.pending = False
        self.offline_since: float | None = None
        self.booted = False
        self.boot_reason = "PowerUp"
        self.heartbeat_s = 300.0
        self.clock_offset = 0.0
        self.stopping = False
        self.ended = asyncio.Event()
        self.refused: list[str] = []  # why profiles were refused, with requirement ids: for tests and people
        self.sent: list[tuple[str, Payload]] = []  # the last messages, for people
        self._random = random.Random(f"station-{config.id}-{config.seed}")
        self._silent = 0  # calls in a row that were not answered
        self._handover: TextWire | None = None  # a connection made while the old one still stood
        self._wake = asyncio.Event()
        self._queued = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = 0
        self._last_step: float | None = None
        self.external = ExternalSystem(self)
        self.upkeep = Upkeep(self)
        self.firmware = config.firmware
        self.messages: dict[int, dict[str, Any]] = {}  # what the display shows
        self.dialect = dialect(self)

    def _abilities(self) -> Abilities:
        late = self.config.version is Version.V21
        return Abilities(
            frozenset(self.evses),
            modes=frozenset(self.config.modes) if late else frozenset({"ChargingOnly"}),
            dc=self.config.dc,
            dynamic=late,
            max_offline=late,
            randomized_delay=late,
            limit_at_soc=late,
            negative_limit=self.vendor.setpoint.channel is Channel.LIMIT,
            replaces_twins=self.config.version is Version.V16,
            external_ids=IDS_FROM if late else None,
        )

    # time

    def wall(self) -> float:
        """The station's own clock: what the CSMS said last, running on."""
        return self.clock.wall() + self.clock_offset

    def set_clock(self, wall: float) -> None:
        """The CSMS says what time it is."""
        self.clock_offset = wall - self.clock.wall()

    # life

    async def run(self) -> None:
        """Connect, boot, charge, and connect again, until `stop` is called."""
        if self.quirks.clock_at_epoch:
            self.clock_offset = -self.clock.wall()
        self.offline_since = self.wall()
        life = asyncio.get_running_loop().create_task(self._live())
        try:
            await self._stay_connected()
        finally:
            life.cancel()
            for task in list(self._tasks):
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await life
            self.ended.set()

    async def stop(self) -> None:
        """End all transactions in order, tell the CSMS, and close the link."""
        for evse in self.evses.values():
            if evse.transaction is not None:
                self.end_transaction(evse, "StopAuthorized", "Local")
        deadline = self.clock.now() + STOP_WITHIN
        while self.online and len(self.queue) and self.clock.now() < deadline:
            await self.clock.sleep(0.05)
        self.stopping = True
        if self.link is not None:
            await self.link.close(1000, "the station stops")

    async def modem_reset(self) -> None:
        """The line drops without a word and comes back. Some stations then hold two connections at once."""
        if self.link is None:
            return
        if self.quirks.keeps_old_connection:
            self._handover = await self._connect(self.config.version)
        else:
            await self.link.close(1001, "modem reset")

    @property
    def online(self) -> bool:
        """Whether the CSMS can be reached and has accepted the station."""
        return self.link is not None and self.accepted

    async def _stay_connected(self) -> None:
        wait = BACK_OFF[0]
        while not self.stopping:
            try:
                wire = self._handover or await self._connect(self.config.version)
                self._handover = None
            except ConnectionError as error:
                log.info("%s: %s", self.config.id, error)
                await self.clock.sleep(wait * (1 + self._random.random() * BACK_OFF_RANDOM))
                wait = min(wait * 2, BACK_OFF[1])
                continue
            wait = BACK_OFF[0]
            await self._connected(wire)
            if not self.stopping and self._handover is None:
                await self.clock.sleep(wait * (1 + self._random.random() * BACK_OFF_RANDOM))

    async def _connected(self, wire: TextWire) -> None:
        handlers = self.dialect.handlers()
        engine = Rpc(self.config.version, handles=frozenset(handlers), answer_within=self.config.answer_within_s)

        def handle(call: CallReceived) -> Payload | Awaitable[Payload]:
            if not self.accepted and not self.pending:
                raise Refusal(ErrorCode.SECURITY_ERROR, "this station has not been accepted yet")
            return handlers[call.action](call.payload)

        self.link = link = Link(wire, engine, handle, self.clock, self._observe)
        speaking = asyncio.get_running_loop().create_task(self._speak(link))
        try:
            await link.run()
        finally:
            speaking.cancel()
            self.link = None
            if self.offline_since is None:
                self.offline_since = self.wall()
            self.accepted = self.pending = False
            self.wake()

    def _observe(self, event: rpc.Event) -> None:
        """An accepted boot counts at once: the next message may already ask for something."""
        if isinstance(event, ResultReceived) and event.action == "BootNotification" and event.violation is None:
            self.pending = event.payload["status"] == "Pending"
            if event.payload["status"] == "Accepted":
                self._back_online()

    async def _speak(self, link: Link) -> None:
        """Boot, then tell what is due, for as long as the link lives."""
        try:
            if self.quirks.status_before_boot:
                await self._tell_status()
            if self.booted:
                self._back_online()
            elif not await self._boot(link):
                return
            await self._tell_status()
            for evse in self.evses.values():
                if evse.vehicle is not None and evse.transaction is None:
                    self.later(self._begin(evse))
            await asyncio.gather(self._empty_queue(link), self._beat(link))
        except ConnectionError:
            await link.close()

    async def _boot(self, link: Link) -> bool:
        while not link.closed:
            reply = await self.call("BootNotification", self.dialect.boot(self.boot_reason))
            interval = 30.0
            if isinstance(reply, Answered) and reply.violation is None:
                if not self.quirks.clock_at_epoch:
                    self.dialect_time(reply.payload)
                interval = float(reply.payload["interval"]) or 30.0
                if reply.payload["status"] == "Accepted":
                    self.booted, self.heartbeat_s = True, interval
                    return True
            await self.clock.sleep(interval)
        return False

    def dialect_time(self, payload: Payload) -> None:
        """Put the clock right."""
        wall = parse(payload.get("currentTime"))
        if wall is not None:
            self.set_clock(wall)

    def _back_online(self) -> None:
        if self.offline_since is not None:
            self.profiles.back_online(self.wall(), self.offline_since)
        self.accepted, self.offline_since = True, None
        self.wake()

    async def _tell_status(self) -> None:
        for evse in self.evses.values():
            await self.call("StatusNotification", self.dialect.status(evse))

    async def _beat(self, link: Link) -> None:
        while True:
            await self.clock.sleep(self.heartbeat_s)
            reply = await self.call("Heartbeat", {})
            if isinstance(reply, Answered):
                self.dialect_time(reply.payload)

    async def _empty_queue(self, link: Link) -> None:
        while True:
            head = self.queue.head()
            if head is None or head.not_before > self.clock.now():
                self._queued.clear()
                waiting = None if head is None else head.not_before
                try:
                    async with self.clock.timeout_at(waiting):
                        await self._queued.wait()
                except TimeoutError:
                    pass
                continue
            reply = await self.call(head.action, head.build())
            if isinstance(reply, Answered):
                self.queue.sent()
                if head.done is not None and reply.violation is None:
                    head.done(reply.payload)
            elif isinstance(reply, Lost):
                return
            else:
                log.warning("%s: %s was not taken: %s", self.config.id, head.action, reply)
                head.not_before = self.clock.now() + RETRY_AFTER * (head.tries + 1)
                if isinstance(reply, Refused):
                    self.queue.failed()  # silence is the line's fault and is no attempt

    # messages

    async def call(self, action: str, payload: Payload) -> Reply:
        """Ask the CSMS, if it can be reached."""
        link = self.link
        if link is None:
            return Lost()
        self.sent.append((action, payload))
        del self.sent[:-1000]
        try:
            reply = await link.call(action, payload)
            self._silent = self._silent + 1 if isinstance(reply, TimedOut) else 0
            if self._silent >= SILENT_CALLS:
                self._silent = 0
                await link.close(1001, "the CSMS does not answer")
            return reply
        except LocalProtocolError:
            log.exception("%s: %s could not be sent", self.config.id, action)
            raise

    def enqueue(self, message: Message) -> None:
        """Send a message of a transaction when its turn comes."""
        if self.quirks.reports_late_s:
            message.not_before = self.clock.now() + self.quirks.reports_late_s
        self.queue.put(message)
        self._queued.set()

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something after the answer at hand has gone out."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("%s: work beside a message failed", self.config.id, exc_info=task.exception())

    def wake(self) -> None:
        """Something changed: decide again at once."""
        self._wake.set()

    # what happens at the plugs

    def arrive(self, number: int) -> None:
        """A plug is in; what the vehicle needs is not known yet."""
        self.set_status(self.evses[number], "Occupied")

    def leave(self, number: int, well: bool) -> None:
        """The vehicle's session is over, and with it what ran."""
        evse = self.evses[number]
        if evse.transaction is not None and well:
            self.end_transaction(evse, "EVDeparted", "StoppedByEV")
        elif evse.transaction is not None:
            self.end_transaction(evse, "EVCommunicationLost", "EVDisconnected")
        self.unplug(number)

    def plug_in(self, number: int, needs: Needs, token: str | None = None) -> None:
        """A vehicle is connected and stated its needs; with a token (or free use) its transaction begins.

        Told again in a transaction, the needs are new ones: the service was negotiated again (Q02.FR.07).
        """
        evse = self.evses[number]
        if evse.transaction is not None:
            evse.vehicle = needs
            self.later(self.dialect.needs(evse))
            return
        if not evse.operative or evse.fault is not None:
            raise ValueError(f"EVSE {number} is {evse.status} and takes no vehicle")
        evse.vehicle = evse.offered = needs
        self.set_status(evse, "Occupied")
        self.later(self._begin(evse, token))

    def unplug(self, number: int) -> None:
        """The cable is pulled: whatever ran ends."""
        evse = self.evses[number]
        if evse.transaction is not None:
            self.end_transaction(evse, "EVDeparted", "EVDisconnected")
        evse.vehicle, evse.offered, evse.allowed, evse.asked, evse.finishing = None, None, None, False, False
        self.set_status(evse, "Available" if evse.operative else "Unavailable")

    def set_status(self, evse: EvseState, status: str) -> None:
        """A connector's status, told when it changes."""
        if status != evse.status:
            evse.status = status
            if self.online:
                self.later(self._tell(evse))

    async def _tell(self, evse: EvseState) -> None:
        await self.call("StatusNotification", self.dialect.status(evse))

    async def _begin(self, evse: EvseState, token: str | None = None) -> None:
        name = self.config.id_token if token is None else token
        sort = self.config.token_type if name else "NoAuthorization"
        if evse.transaction is not None or evse.vehicle is None:
            return
        if name and not await self._may_charge(evse, name, sort):
            log.warning("%s: %s may not charge", self.config.id, name)
            return
        if evse.transaction is None and evse.vehicle is not None:
            self.begin_transaction(evse, name, sort)

    async def _may_charge(self, evse: EvseState, name: str, sort: str) -> bool:
        if not self.online:
            known = self.local_list.get(name.casefold())
            return known is not None and known.get("status", "Accepted") == "Accepted"
        return await self.dialect.authorize(evse, name, sort)

    def begin_transaction(self, evse: EvseState, token: str, sort: str, remote_start: int | None = None) -> Transaction:
        """A transaction begins: authorised and connected."""
        self._numbers += 1
        name = f"{self.config.id[:12]}-{int(self.clock.wall() * 1000):x}-{self._numbers:x}"
        new = Transaction(name[:36], evse.number, self.wall(), token, sort, remote_start=remote_start)
        new.authorized, new.ready_at = True, self.wall()
        new.vehicle = evse.vehicle.vehicle if evse.vehicle is not None else None
        reserved = evse.reservation
        if reserved is not None:
            new.reservation, evse.reservation = reserved["id"], None
        evse.transaction, evse.priority, evse.finishing = new, False, False
        evse.memory, evse.alarm, evse.sleeping = Memory(), None, False
        new.started_wh = evse.outlet.reading(self.clock.now()).charged_wh
        self.set_status(evse, "Occupied")
        evse.composite = self._composite(evse)
        new.mode = evse.composite.mode
        evse.sampled_at, evse.soc_told = self.clock.now(), False
        self.dialect.started(evse, new)
        self.later(self._open(evse))
        return new

    async def _open(self, evse: EvseState) -> None:
        deadline = self.clock.now() + START_TOLD_WITHIN
        while self.online and self.queue.tells_turns and self.clock.now() < deadline:
            await self.clock.sleep(0.05)  # what the vehicle needs belongs to a transaction that the CSMS knows
        if self.online and evse.vehicle is not None:
            await self.dialect.needs(evse)
        if evse.transaction is not None:
            evse.outlet.open(self.clock.now())
            evse.open = True
            self.wake()

    def end_transaction(self, evse: EvseState, trigger: str, reason: str) -> None:
        """The transaction ends: power off, contactors open, tell."""
        transaction = evse.transaction
        if transaction is None:
            return
        now = self.clock.now()
        evse.outlet.set_power(0.0, now)
        evse.outlet.close(now)
        evse.open, evse.wish_w, evse.held_power_w = False, 0.0, None
        evse.reading = evse.outlet.reading(now)
        transaction.stopped = reason
        evse.transaction = None
        self.profiles.end_transaction(transaction.name)
        self.dialect.ended(evse, transaction, trigger)
        if evse.inoperative_next:
            evse.inoperative_next, evse.operative = False, False
            self.set_status(evse, "Unavailable")
        self.wake()

    def fault(self, number: int, code: str | None) -> None:
        """Something breaks, or with None is mended."""
        evse = self.evses[number]
        evse.fault = code
        if code is not None and evse.transaction is not None:
            self.end_transaction(evse, "AbnormalCondition", "Other")
        status = "Faulted" if code else "Occupied" if evse.vehicle else "Available" if evse.operative else "Unavailable"
        self.set_status(evse, status)

    # power

    def circumstances(self, evse: EvseState) -> Circumstances:
        """What the profiles of an EVSE depend on now."""
        transaction = evse.transaction
        return Circumstances(
            transaction=None if transaction is None else transaction.name,
            ready_at=None if transaction is None else transaction.ready_at,
            soc_pct=evse.reading.soc_pct,
            offline_since=self.offline_since,
            priority=evse.priority,
            setpoint_priority=self.device.get("SmartChargingCtrlr", "SetpointPriority") or "ExternalControl",
            max_charge_w=evse.outlet.max_charge_w,
            max_discharge_w=evse.outlet.max_discharge_w,
            sharers=sum(1 for one in self.evses.values() if one.transaction is not None) or 1,
        )

    def _composite(self, evse: EvseState) -> Composite:
        composite = self.profiles.composite(evse.number, self.wall(), self.circumstances(evse))
        lapses = self.quirks.limit_lapses_s
        held = None if composite.profile is None else self.profiles.get(composite.profile)
        if lapses is not None and held is not None and self.wall() - held.updated_at > lapses:
            return Composite()
        return composite

    async def _live(self) -> None:
        while True:
            self.step()
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with self.clock.timeout_at(self.clock.now() + self._rest()):
                    await self._wake.wait()

    def _rest(self) -> float:
        """Seconds until something can change by itself: profiles and DER controls turn on time, not on the tick."""
        wall, turns = self.wall(), [self.controls.next_turn(self.wall())]
        turns += [self.profiles.next_change(wall, self.circumstances(e)) for e in self.evses.values() if e.transaction]
        return max(1e-3, min([self.config.tick_s, *(turn - wall for turn in turns if turn is not None)]))

    def step(self) -> None:
        """Decide and measure once."""
        now, wall = self.clock.now(), self.wall()
        for turned in self.controls.tick(wall):
            self.later(self._tell_turned(turned))
        passed = 0.0 if self._last_step is None else now - self._last_step
        self._last_step = now
        for evse in self.evses.values():
            self._step_evse(evse, now, passed)
        self._pull_updates(wall)

    def _step_evse(self, evse: EvseState, now: float, passed: float) -> None:
        transaction = evse.transaction
        composite = self._composite(evse)
        if transaction is not None and composite.mode != transaction.mode:
            transaction.mode = composite.mode
            evse.composite = composite
            evse.sleeping = self._sleeps(composite)
            self.dialect.updated(evse, transaction, "OperationModeChanged")
        evse.composite = composite
        evse.sleeping = self._sleeps(composite)
        evse.wish_w = self._wish(evse, composite) if transaction is not None and evse.open else 0.0
        evse.outlet.set_power(evse.wish_w, now)
        evse.reading = evse.outlet.reading(now)
        if transaction is not None:
            self._tell_changes(evse, transaction, now, passed)

    def _sleeps(self, composite: Composite) -> bool:
        return (
            composite.mode == "Idle"
            and bool(composite.period.get("evseSleep", False))
            and self.device.truth("SmartChargingCtrlr", "SupportsEvseSleep")
        )

    def _wish(self, evse: EvseState, composite: Composite) -> float:
        outlet = evse.outlet
        if evse.held_power_w is not None:
            wish = evse.held_power_w
        elif self.quirks.accepts_and_ignores:
            wish = outlet.max_charge_w
        else:
            wish = modes.power_w(composite, evse.surroundings, evse.memory, outlet.max_charge_w)
        vehicle = evse.vehicle
        if wish < 0 and (vehicle is None or not vehicle.bidirectional):
            wish = 0.0
        wish = max(-outlet.max_discharge_w, min(wish, outlet.max_charge_w))
        bounded, control, fault = der.bound(self.controls, self.grid, wish, outlet.max_charge_w, outlet.max_discharge_w)
        self._alarm(evse, None if control is None else (control, fault))
        return bounded

    def _alarm(self, evse: EvseState, cause: tuple[str, str | None] | None) -> None:
        """R05: told once when a control takes over, once when it lets go; a change of control is no end."""
        before, evse.alarm = evse.alarm, cause
        if cause is not None and cause != before:
            self.later(self._tell_alarm(cause, False))
        elif cause is None and before is not None:
            self.later(self._tell_alarm(before, True))

    def _tell_changes(self, evse: EvseState, transaction: Transaction, now: float, passed: float) -> None:
        power = evse.reading.power_w
        flows = abs(power) >= FLOWS_W
        if flows:
            transaction.seconds_charging += passed
        state = "Charging" if flows else "SuspendedEVSE" if abs(evse.wish_w) < FLOWS_W else "SuspendedEV"
        if not evse.open:
            state = "EVConnected"
        if state != transaction.state:
            transaction.state = state
            self.dialect.updated(evse, transaction, "ChargingStateChanged")
            self._told(evse, now)
            return
        if evse.reading.soc_pct is not None and not evse.soc_told:  # a floor can't be kept by who does not know it
            evse.soc_told, evse.sampled_at = True, float("-inf")
        rated = max(evse.outlet.max_charge_w, 1.0)
        if abs(power - evse.told_w) > CHANGED * rated and now - evse.told_at >= CHANGED_EVERY_S:
            self.dialect.updated(evse, transaction, "ChargingRateChanged")
            self._told(evse, now)
        elif self.meter_interval_s > 0 and now - evse.sampled_at >= self.meter_interval_s - 1e-6:
            self.dialect.updated(evse, transaction, "MeterValuePeriodic")
            evse.sampled_at = now
            self._told(evse, now)

    def _told(self, evse: EvseState, now: float) -> None:
        evse.told_w, evse.told_at = evse.reading.power_w, now

    @property
    def meter_interval_s(self) -> float:
        """Seconds between samples, 0 for none."""
        return self.config.meter_interval_s

    # 2.1 only; the dialect of other versions never lets it come so far

    def _pull_updates(self, wall: float) -> None:
        if not self.online:
            return
        for held in self.profiles:
            every = held.profile.get("dynUpdateInterval", 0)
            if (
                held.dynamic
                and not held.external
                and every > 0
                and wall - max(held.updated_at, held.pulled_at) >= every
            ):
                held.pulled_at = wall
                self.later(self._pull(held.id))

    async def _pull(self, number: int) -> None:
        """K28.FR.08, .10."""
        reply = await self.call("PullDynamicScheduleUpdate", {"chargingProfileId": number})
        if isinstance(reply, Answered) and reply.violation is None and reply.payload["status"] == "Accepted":
            self.profiles.update(number, reply.payload.get("scheduleUpdate", {}), self.wall())
            self.wake()

    async def _tell_turned(self, turned: der.Turned) -> None:
        body: Payload = {"controlId": turned.id, "started": turned.started, "timestamp": stamp(self.wall())}
        if turned.superseded:
            body["supersededIds"] = list(turned.superseded)
        await self.call("NotifyDERStartStop", body)

    async def _tell_alarm(self, cause: tuple[str, str | None], ended: bool) -> None:
        body: Payload = {"controlType": cause[0], "timestamp": stamp(self.wall())}
        if cause[1] is not None:
            body["gridEventFault"] = cause[1]
        if ended:
            body["alarmEnded"] = True
        await self.call("NotifyDERAlarm", body)

    async def renegotiate(self, evse: EvseState) -> None:
        """Q02.FR.06: agree with the vehicle on the best transfer that is allowed now."""
        vehicle = evse.vehicle
        if vehicle is None or evse.allowed is None:
            return
        best = next((mode for mode in vehicle.available if mode in evse.allowed), vehicle.energy_transfer)
        if evse.outlet.renegotiate():
            return  # the vehicle chooses, and states its needs again
        if best != vehicle.energy_transfer:
            evse.vehicle = replace(evse.offered or vehicle, energy_transfer=best)
        await self.dialect.needs(evse)

    async def reboot(self, reason: str, stopped: str) -> None:
        """Stop what runs, forget what is not kept over a reboot, and come back."""
        for evse in self.evses.values():
            if evse.transaction is not None:
                self.end_transaction(evse, "ResetCommand", stopped)
        await self.clock.sleep(0.1)
        for held in self.profiles:
            if held.purpose in ("TxProfile", "LocalGeneration", "ChargingStationExternalConstraints"):
                self.profiles.forget(held)  # K01.FR.27: the others and DER controls (R01.FR.03) persist
        self.booted, self.boot_reason = False, reason
        if self.link is not None:
            await self.link.close(1000, "reboot")

    # vendors' ways to order power

    def vendor_message(self, data: object) -> bool:
        """A vendor message with a set-point, as the profile's template says it; whether it was understood."""
        pattern = vendor_pattern(self.vendor.setpoint.data)
        found = pattern.fullmatch(data) if isinstance(data, str) else None
        if found is None:
            return False
        fields = found.groupdict()
        number = int(fields.get("evse") or 1)
        if number not in self.evses or "value" not in fields:
            return False
        return self._vendor_power(self.evses[number], float(fields["value"]))

    def vendor_setpoint(self, value: str) -> bool:
        """A variable or configuration key with a set-point for the first EVSE."""
        try:
            return self._vendor_power(self.evses[1], float(value))
        except ValueError:
            return False

    def _vendor_power(self, evse: EvseState, value: float) -> bool:
        if evse.transaction is None:
            return False
        evse.held_power_w = self.vendor.power_w(value)
        self.wake()
        self.step()
        return True

    # the world around it

    def measure_grid(self, *, voltage_v: float | None = None, frequency_hz: float | None = None) -> None:
        """The grid at the connection changes."""
        if voltage_v is not None:
            self.grid = replace(self.grid, voltage_v=voltage_v)
        if frequency_hz is not None:
            self.grid = replace(self.grid, frequency_hz=frequency_hz)
            for evse in self.evses.values():
                evse.surroundings.frequency_hz = frequency_hz
        self.wake()

    def measure_load(self, upstream_w: float) -> None:
        """The house's meter, + is consumption: one reading for local load balancing."""
        for evse in self.evses.values():
            evse.surroundings.upstream_w = upstream_w
        self.wake()


def vendor_pattern(template: str) -> re.Pattern[str]:
    """The template of a vendor message read backwards."""
    pattern = re.escape(template)
    for name, shape in (("value", r"-?[0-9.]+"), ("seconds", "[0-9]+"), ("evse", "[0-9]+"), ("transaction", ".*")):
        pattern = pattern.replace(re.escape(f"${name}"), f"(?P<{name}>{shape})", 1)
    return re.compile(pattern)
