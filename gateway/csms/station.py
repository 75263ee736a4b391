"""One charging station over all its connections: what it said about itself, its EVSEs, and the link it has now.

What its messages mean is in `v16`, `v201` and `v21`; how power is ordered is in `setpoint`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from gateway.csms.context import Breach, Context, Heard
from gateway.csms.security import Bucket
from gateway.csms.settings import StationSettings
from gateway.csms.transactions import Transaction
from gateway.model.event import (
    EvseDescribed,
    FaultCleared,
    FaultRaised,
    Metered,
    ModeChanged,
    OperationMode,
    PlugChanged,
    PlugState,
    PowerLimits,
    SessionEnded,
    SessionStarted,
    StationConnected,
    StationLost,
    VehicleIdentified,
)
from gateway.model.station import evse_name
from protocols.errors import LocalProtocolError
from protocols.ocpp import rpc, vendor
from protocols.ocpp.io import Answered, Handler, Link, Lost, Refused, Reply, TimedOut
from protocols.ocpp.rpc import CallReceived, QueueFull, Refusal, Rpc, Violated
from protocols.ocpp.schema import ErrorCode, Payload, Version
from protocols.ocpp.vendor import Channel, VendorProfile
from protocols.ports import TextWire

log = logging.getLogger("v2x.csms")

_REPORTS = frozenset({"NotifyReport", "NotifyMonitoringReport"})  # what GetReport and the like bring
VARIABLES_KEPT = 2_000  # of one station's device model: what a session or a set-point may ask for
Handlers: TypeAlias = dict[str, Callable[["Station", Payload], Payload | Awaitable[Payload]]]
VariableName: TypeAlias = tuple[str, int, str, str]  # component, EVSE or 0, variable, instance


@dataclass(frozen=True, slots=True)
class Boot:
    """What the station said when it booted, and what it was told."""

    status: str  # Accepted | Pending | Rejected
    vendor: str = ""
    model: str = ""
    serial: str | None = None
    firmware: str | None = None
    reason: str | None = None
    at: float = 0.0  # Unix time


@dataclass(slots=True)
class Installed:
    """The set-point profile that the station holds."""

    profile: int
    transaction: str
    mode: OperationMode
    power_w: float
    hold_s: float | None


@dataclass(slots=True)
class Evse:
    """One EVSE of the station. In 1.6, a connector."""

    number: int
    name: str
    connectors: dict[int, str] = field(default_factory=dict)  # status in OCPP's words
    plug: PlugState | None = None
    fault: str | None = None
    mode: OperationMode | None = None
    limits: PowerLimits | None = None  # as last described
    can_discharge: bool = False
    why_not: str = ""
    bidirectional: bool | None = None  # what the vehicle asked for; None before it did
    installed: Installed | None = None
    safe: bool = False  # the stack-level-0 profile is there
    priority: bool = False  # the driver asked for priority charging
    order: asyncio.Lock = field(default_factory=asyncio.Lock)  # one order at a time, in the order they came
    let_go: asyncio.Task[None] | None = None  # stands in for the dead-man that the station lacks


class Station:
    """A station the gateway knows, connected or not."""

    def __init__(self, name: str, settings: StationSettings, context: Context, registered: bool) -> None:
        self.id, self.settings, self.context, self.registered = name, settings, context, registered
        self.version: Version | None = None
        self.link: Link | None = None
        self.security_profile = 0
        self.boot: Boot | None = None
        self.vendor: VendorProfile | None = None
        self.evses: dict[int, Evse] = {}
        self.variables: dict[VariableName, str] = {}
        self.limits: dict[VariableName, float] = {}  # maxLimit of a variable, from its characteristics
        self.reporting: int | None = None  # the request id of the inventory under way
        self.triggered: set[str] = set()  # what it was asked to say
        self.external: dict[int, tuple[float, float]] = {}  # limits another system set, by EVSE (0: all), magnitudes
        self.der_alarms: dict[str, str] = {}  # DER controls that bend the power now, with the grid's fault
        self.export_cap = 1.0  # share of the discharge power that LimitMaxDischarge leaves
        self.der_reports: dict[int, asyncio.Queue[Payload]] = {}  # who waits for ReportDERControl, by request
        self._handlers: Handlers = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._bucket = Bucket(context.settings.max_calls_per_s, context.settings.max_burst)
        self._requests = 0
        self._told = False  # the core has been told that it is connected

    # the connection

    @property
    def connected(self) -> bool:
        """Whether it has a link now."""
        return self.link is not None

    @property
    def accepted(self) -> bool:
        """Whether it may speak and be commanded."""
        return self.boot is not None and self.boot.status == "Accepted"

    def connect(self, wire: TextWire, version: Version, handlers: Handlers, security_profile: int) -> Link:
        """Take a new connection; the one before it must be closed by whoever takes this one."""
        settings = self.context.settings
        self.version, self._handlers, self.security_profile = version, handlers, security_profile
        engine = Rpc(
            version,
            handles=frozenset(handlers),
            answer_within=settings.answer_within_s,
            message_length=settings.max_message,
        )
        handle: Handler = self._handle
        self.link = Link(wire, engine, handle, self.context.clock, self._observe)
        for evse in self.evses.values():
            evse.installed, evse.safe = None, False  # what it holds now is not known
        self._told = False  # a connection that took over is a new one to the core, too
        if self.accepted:
            self.tell_connected()
            for evse in self.evses.values():
                if evse.can_discharge and self.ways.safe_profile:
                    self.make_safe(evse)
        return self.link

    def disconnect(self, link: Link, reason: str) -> None:
        """The link has ended; nothing happens if another one has taken its place."""
        if self.link is not link:
            return
        self.link = None
        for task in list(self._tasks):
            task.cancel()
        if self._told:
            self._told = False
            self.context.report(StationLost(self.id, self.context.clock.now(), reason))

    def tell_connected(self) -> None:
        """Tell the core, once for each connection."""
        if not self._told and self.version is not None:
            self._told = True
            boot = self.boot or Boot("Accepted")
            now = self.context.clock.now()
            self.context.report(StationConnected(self.id, now, self.version.value, boot.vendor, boot.model))

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the message at hand; it ends with the link."""
        task = asyncio.get_running_loop().create_task(self._guard(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            log.exception("%s: work beside a message failed", self.id)

    # messages

    async def call(self, action: str, payload: Payload, timeout: float | None = None) -> Reply:
        """Ask the station. What breaks the schema is not sent: that is Refused, with `InvalidOrder`. Never raises."""
        try:
            return await self.call_as_given(action, payload, timeout)
        except QueueFull as error:
            log.warning("%s: %s", self.id, error)
            return TimedOut()
        except LocalProtocolError as error:
            log.error("%s: not sent: %s", self.id, error)
            return Refused("InvalidOrder", str(error))

    async def call_as_given(self, action: str, payload: Payload, timeout: float | None = None) -> Reply:
        """Ask the station what a person wrote. Raises LocalProtocolError for what breaks the schema, or has no room."""
        if action in ("TriggerMessage", "ExtendedTriggerMessage"):
            self.triggered.add(str(payload.get("requestedMessage")))
        return Lost() if self.link is None else await self.link.call(action, payload, timeout)

    async def ask(self, action: str, payload: Payload) -> Payload | None:
        """Ask the station; its answer, or None where it gave none that can be used."""
        reply = await self.call(action, payload)
        if isinstance(reply, Answered) and reply.violation is None:
            return reply.payload
        log.info("%s: %s was not answered: %s", self.id, action, reply)
        return None

    def next_request(self) -> int:
        """A request id for reports."""
        self._requests += 1
        return self._requests

    def _handle(self, call: CallReceived) -> Payload | Awaitable[Payload]:
        context = self.context
        context.messages += 1
        if not self._bucket.take(context.clock.now()):
            raise Refusal(ErrorCode.GENERIC_ERROR, f"more than {context.settings.max_calls_per_s:g} messages a second")
        context.heard.append(Heard(context.clock.wall(), self.id, call.action, call.text))
        if call.action != "BootNotification" and not self.accepted:
            self._unaccepted(call)
        return self._handlers[call.action](self, call.payload)

    def _unaccepted(self, call: CallReceived) -> None:
        """What a station may say that has not been accepted by this process.

        One that never booted here was accepted by an earlier life of the gateway and does not boot again for a new
        connection (part 4, 5.4): if it is known it is taken as accepted, so that its session goes on. One that was told
        Pending or Rejected hears SecurityError but for what we asked of it (B01.FR.10, B02.FR.09, B03.FR.07).
        """
        if self.boot is None and (self.registered or self.context.settings.unknown_stations == "accept"):
            self.boot = Boot("Accepted", at=self.context.clock.wall())
            self.tell_connected()
            self.later(self._get_to_know())
            return
        if call.action in self.triggered or (call.action in _REPORTS and self.boot is not None):
            return
        if self.boot is None:
            self.later(self._ask_for_boot())
        raise Refusal(ErrorCode.SECURITY_ERROR, "this station is not accepted; send BootNotification first")

    async def _get_to_know(self) -> None:
        """Learn what a boot would have said: the vendor, if it is willing, and what its EVSEs can do."""
        from gateway.csms import v201  # which knows us

        await self._ask_for_boot()
        if self.version is not Version.V16 and self.context.settings.inventory and self.reporting is None:
            await v201.take_stock(self)

    async def _ask_for_boot(self) -> None:
        await self.ask("TriggerMessage", {"requestedMessage": "BootNotification"})

    def _observe(self, event: rpc.Event) -> None:
        if isinstance(event, Violated):
            context = self.context
            breach = Breach(context.clock.wall(), self.id, event.ours, event.action, event.code, event.text)
            context.breaches.append(breach)
            log.warning("%s: %s", self.id, breach)

    # what it says about itself

    def booted(self, boot: Boot) -> None:
        """It booted: everything it held in memory may be gone."""
        self.boot = boot
        name = self.settings.vendor_profile
        folder = self.context.settings.vendor_profiles
        assert self.version is not None
        try:
            known = None if name is None else vendor.find(name, folder)
        except vendor.BadProfile:
            log.exception("%s: its vendor profile cannot be read", self.id)
            known = None
        self.vendor = known or vendor.recognise(self.version, boot.vendor, boot.model)
        for evse in self.evses.values():
            evse.installed, evse.safe, evse.limits = None, False, None
        if boot.status == "Accepted":
            self.tell_connected()

    @property
    def ways(self) -> VendorProfile:
        """How this kind of station is spoken to."""
        if self.vendor is None:
            self.vendor = vendor.find(self.settings.vendor_profile or f"generic-{(self.version or Version.V21).number}")
        return self.vendor

    def evse(self, number: int) -> Evse:
        """The EVSE of that number; a number heard for the first time makes it known to the core."""
        known = self.evses.get(number)
        if known is None:
            known = self.evses[number] = Evse(number, evse_name(self.id, number))
        if known.limits is None and self._told:
            self.describe(known)
        return known

    def variable(self, component: str, variable: str, evse: int = 0, instance: str = "") -> str | None:
        """A value of the device model as last reported."""
        return self.variables.get((component, evse, variable, instance))

    def remember(self, name: VariableName, value: str, limit: float | None = None) -> None:
        """Keep a value of the device model, within bounds."""
        if len(self.variables) < VARIABLES_KEPT or name in self.variables:
            self.variables[name] = value
            if limit is not None:
                self.limits[name] = limit

    def describe(self, evse: Evse, limits: PowerLimits | None = None) -> None:
        """Tell the core what the EVSE's hardware can do: what was stated, else what was configured."""
        limits = limits or self._stated_limits(evse.number)
        can, why_not = self._can_discharge(evse, limits)
        if (limits, can, why_not) != (evse.limits, evse.can_discharge, evse.why_not):
            evse.limits, evse.can_discharge, evse.why_not = limits, can, why_not
            now = self.context.clock.now()
            self.context.report(EvseDescribed(evse.name, self.id, now, limits, can, why_not))
        if can and not evse.safe and self.link is not None and self.ways.safe_profile:
            self.make_safe(evse)

    def make_safe(self, evse: Evse) -> None:
        """Lay the safe profile beneath whatever comes, before a vehicle does: nothing means charging without limit."""
        from gateway.csms import charging_profile  # which knows us

        async def install() -> None:
            async with evse.order:
                await charging_profile.install_safe(self, evse)

        self.later(install())

    def _stated_limits(self, number: int) -> PowerLimits:
        charge = self.settings.max_charge_w
        discharge = self.settings.max_discharge_w
        if charge is None:
            charge = self.limits.get(("EVSE", number, "Power", ""), 0.0)
        if discharge is None:
            discharge = abs(self.limits.get(("EVSE", number, "DischargePower", ""), 0.0))
        for place in (0, number):
            low = self.external.get(place)
            if low is not None:
                charge, discharge = min(charge, low[0]), min(discharge, low[1])
        return PowerLimits(charge, discharge * self.export_cap)

    def _can_discharge(self, evse: Evse, limits: PowerLimits) -> tuple[bool, str]:
        say = self.ways.setpoint
        if say.channel is Channel.NONE:
            return False, say.why_not or f"the vendor profile {self.ways.name} says it cannot"
        if say.channel is Channel.STANDARD:
            modes = self.variable("V2XChargingCtrlr", "SupportedOperationModes", evse.number)
            enabled = self.variable("V2XChargingCtrlr", "Enabled", evse.number)
            if modes is None and self.settings.max_discharge_w is None:
                return False, "the station has not reported a V2XChargingCtrlr for this EVSE"
            if enabled is not None and enabled.lower() == "false":
                return False, "V2XChargingCtrlr.Enabled is false"
            if modes is not None and OperationMode.CENTRAL_SETPOINT not in modes.split(","):
                return False, f"CentralSetpoint is not among its operation modes ({modes})"
        if limits.max_discharge_w <= 0:
            return False, "the station states no discharge power, and none is configured (max_discharge_w)"
        return True, ""

    # what happens at its EVSEs

    def plug(self, evse: Evse, connector: int, status: str, state: PlugState) -> None:
        """A connector has a new status."""
        evse.connectors[connector] = status
        if state is not evse.plug:
            evse.plug = state
            self.context.report(PlugChanged(evse.name, self.context.clock.now(), state))

    def fault(self, evse: Evse, code: str | None, text: str = "") -> None:
        """A fault came, or with None went."""
        now = self.context.clock.now()
        if code == evse.fault:
            return
        if evse.fault is not None:
            self.context.report(FaultCleared(evse.name, now, evse.fault))
        evse.fault = code
        if code is not None:
            self.context.report(FaultRaised(evse.name, now, code, text))

    def began(self, transaction: Transaction, vehicle: str | None = None) -> None:
        """A transaction runs on its EVSE; one that ran there before has lost its end."""
        evse = self.evse(transaction.evse)
        before = self.context.transactions.activate(transaction)
        if before is not None:
            before.stopped_at, before.stop_reason, before.presumed = self.context.clock.wall(), "Other", True
            self._tell_end(before, "its end was lost: another transaction began on the EVSE")
        if not transaction.announced:
            transaction.announced = True
            if transaction.reservation is not None:
                self.context.reservations.ended(self.id, transaction.reservation, "USED")
            evse.installed, evse.bidirectional, evse.priority = None, None, False
            self.context.report(SessionStarted(evse.name, self.context.clock.now(), transaction.id, vehicle))

    def identified(self, evse: Evse, vehicle: str) -> None:
        """The vehicle's identity became known."""
        self.context.report(VehicleIdentified(evse.name, self.context.clock.now(), vehicle))

    def ended(self, transaction: Transaction, at: float, reason: str) -> None:
        """A transaction ended at `at` (Unix time)."""
        if transaction.active:
            transaction.stopped_at, transaction.stop_reason = at, reason
            self._tell_end(transaction, reason)

    def presume_ended(self, transaction: Transaction, reason: str) -> None:
        """Its end was lost, as far as we can see; if it speaks again, it runs."""
        if transaction.active:
            transaction.presumed = True
            self.ended(transaction, self.context.clock.wall(), reason)

    def _tell_end(self, transaction: Transaction, reason: str) -> None:
        evse = self.evse(transaction.evse)
        if transaction.announced:
            evse.installed, evse.bidirectional, evse.mode, evse.priority = None, None, None, False
            if evse.let_go is not None:
                evse.let_go.cancel()
                evse.let_go = None
            self.context.report(SessionEnded(evse.name, self.context.clock.now(), transaction.id, reason))

    def metered(self, metered: list[Metered], transaction: Transaction | None) -> None:
        """New readings, oldest first."""
        for reading in metered:
            if transaction is not None:
                if reading.energy_charged_wh is not None:
                    if transaction.meter_start_wh is None:
                        transaction.meter_start_wh = reading.energy_charged_wh
                    transaction.energy_charged_wh = reading.energy_charged_wh
                if reading.energy_discharged_wh is not None:
                    if transaction.meter_start_out_wh is None:
                        transaction.meter_start_out_wh = reading.energy_discharged_wh
                    transaction.energy_discharged_wh = reading.energy_discharged_wh
            self.context.report(reading)

    def mode(self, evse: Evse, mode: str) -> None:
        """The station says how it decides its power."""
        try:
            new = OperationMode(mode)
        except ValueError:
            return
        if new is not evse.mode:
            evse.mode = new
            self.context.report(ModeChanged(evse.name, self.context.clock.now(), new))
