"""One charging station over all its connections: what it said about itself, its EVSEs, and the link it has now.

What its messages mean is in `v16`, `v201` and `v21`, what happens at its EVSEs in `happenings`, whether it is taken in
in `registration`, how power is ordered in `setpoint`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeAlias

from gateway.csms import registration
from gateway.csms.context import Breach, Context, Heard
from gateway.csms.event_stream_registry import Streams
from gateway.csms.evse import Evse
from gateway.csms.registration import Boot
from gateway.csms.security import Bucket
from gateway.csms.settings import StationSettings
from gateway.model.event import StationConnected, StationLost
from gateway.model.station import evse_name
from protocols.errors import LocalProtocolError
from protocols.ocpp import rpc, vendor
from protocols.ocpp.link import Answered, Handler, Link, Lost, Refused, Reply, TimedOut
from protocols.ocpp.rpc import CallReceived, QueueFull, Refusal, Rpc, SendReceived, Violated
from protocols.ocpp.schema import ErrorCode, Payload, Version
from protocols.ocpp.vendor import VendorProfile
from protocols.ports import TextWire

log = logging.getLogger("v2x.csms")

MOST_EVSES, LARGEST_EVSE = 128, 999  # of one station: each is an entry in the broker, the page and the core's rounds
VARIABLES_KEPT = 2_000  # of one station's device model: what a session or a set-point may ask for
RESUME_AFTER_S = 5.0  # one that boots says so within this time; one that says nothing goes on where it was
Handlers: TypeAlias = dict[str, Callable[["Station", Payload], Payload | Awaitable[Payload]]]
VariableName: TypeAlias = tuple[str, int, str, str]  # component, EVSE or 0, variable, instance


class Station:
    """A station the gateway knows, connected or not."""

    def __init__(self, name: str, settings: StationSettings, context: Context, registered: bool) -> None:
        self.id, self.settings, self.context, self.registered = name, settings, context, registered
        self.configured: str | None = None  # the password hash of the configuration, where it has the station
        self.version: Version | None = None
        self.link: Link | None = None
        self.security_profile = 0
        self.boot: Boot | None = None
        self.vendor: VendorProfile | None = None
        self.evses: dict[int, Evse] = {}
        self.variables: dict[VariableName, str] = {}
        self.limits: dict[VariableName, float] = {}  # maxLimit of a variable, from its characteristics
        self.upkeep: dict[str, Any] = {}  # last told of firmware, log, network profiles and lists, by what it is
        self.reporting: int | None = None  # the request id of the inventory under way
        self.external: dict[int, tuple[float, float]] = {}  # limits another system set, by EVSE (0: all), magnitudes
        self.der_alarms: dict[str, str] = {}  # DER controls that bend the power now, with the grid's fault
        self.export_cap = 1.0  # share of the discharge power that LimitMaxDischarge leaves
        self.der_reports: dict[int, asyncio.Queue[Payload]] = {}  # who waits for ReportDERControl, by request
        self.streams = Streams()
        self._asked_for: set[str] = set()  # actions it was asked to send while it is not accepted
        self._handlers: Handlers = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._bucket = Bucket(context.settings.max_calls_per_s, context.settings.max_burst)
        self._requests = max(0, int(context.clock.wall()) - 1_577_836_800)  # not those of before a restart
        self._told = False  # the core has been told that it is connected
        self._met = False  # what a boot tells is known to this process

    # the connection

    @property
    def connected(self) -> bool:
        """Whether it has a link now."""
        return self.link is not None

    @property
    def accepted(self) -> bool:
        """Whether it may speak."""
        return self.boot is not None and self.boot.status == registration.ACCEPTED

    @property
    def ready(self) -> bool:
        """Whether it may be commanded: it is connected, accepted, and not about to boot."""
        return self.link is not None and self.accepted and self._told

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
        self.link = Link(wire, engine, handle, self.context.clock, self._observe, self._sent)
        for evse in self.evses.values():
            evse.forget_profiles()
        self._told = False  # a connection that took over is a new one to the core, too
        if self.accepted:
            self.later(self._resume_if_silent())
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

    async def _resume_if_silent(self) -> None:
        await self.context.clock.sleep(RESUME_AFTER_S)
        self._resume()

    def _resume(self) -> None:
        """It goes on without booting: it lost its connection, or the gateway was restarted (part 4, 5.4)."""
        if self._told or not self.accepted or self.link is None:
            return
        self.tell_connected()
        for evse in self.evses.values():
            self.describe(evse)
        if not self._met:
            self._met = True
            self.later(self._get_to_know())

    def tell_connected(self) -> None:
        """Tell the core, once for each connection; and of transactions that an earlier life of the gateway knew."""
        from gateway.csms import evse_events, local_list  # which know us

        if self._told or self.version is None:
            return
        self._told = True
        boot = self.boot or Boot(registration.ACCEPTED)
        now = self.context.clock.now()
        self.context.report(StationConnected(self.id, now, self.version.value, boot.vendor, boot.model))
        for transaction in self.context.transactions.active_of(self.id):
            if not transaction.announced:
                evse_events.began(self, transaction)
        if self.context.settings.local_list:
            self.later(local_list.sync(self))

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
        why = registration.forbidden(self.boot, action)
        if why is not None:
            return Refused("NotAccepted", why)
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
        brought = registration.brought_by(action, str(payload.get("requestedMessage")))
        if brought is not None:
            self._asked_for.add(brought)
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
        if not self._told and call.action != "BootNotification":
            if self.accepted:
                self._resume()
            else:
                self._unaccepted(call)
        return self._handlers[call.action](self, call.payload)

    def _sent(self, event: SendReceived) -> None:
        """A message without an answer: what would be refused is dropped, and an operator sees that it was."""
        context = self.context
        context.messages += 1
        why = None if self.accepted else "the station is not accepted"
        if why is None and not self._bucket.take(context.clock.now()):
            why = f"more than {context.settings.max_calls_per_s:g} messages a second"
        if why is not None:
            self._observe(Violated(False, event.action, ErrorCode.SECURITY_ERROR, f"dropped: {why}", event.id))
            return
        context.heard.append(Heard(context.clock.wall(), self.id, event.action, event.text))
        self._resume()
        try:
            self._handlers[event.action](self, event.payload)
        except Refusal as refusal:
            log.warning("%s: %s was dropped: %s", self.id, event.action, refusal.description)

    def _unaccepted(self, call: CallReceived) -> None:
        """What a station may say that has not been accepted by this process.

        One that never booted here was accepted by an earlier life of the gateway and does not boot again for a new
        connection (part 4, 5.4): if it is known it is taken as accepted, so that its session goes on. One that was told
        Pending hears SecurityError but for what we asked of it (B01.FR.10, B02.FR.09), one that was told Rejected for
        everything (B03.FR.07).
        """
        status = registration.status_of(self.settings, self.registered, self.context)
        if self.boot is None and status == registration.ACCEPTED:
            self.boot = Boot(status, at=self.context.clock.wall())
            self.ask_for_boot()
            self._resume()
            return
        rejected = self.boot is not None and self.boot.status == registration.REJECTED
        if call.action in self._asked_for and not rejected:
            return
        if self.boot is None:
            self.ask_for_boot()
        raise Refusal(ErrorCode.SECURITY_ERROR, "this station is not accepted; send BootNotification first")

    async def _get_to_know(self) -> None:
        """Learn what a boot would have brought: what its EVSEs can do."""
        from gateway.csms import device_model  # which knows us

        if self.version is not Version.V16 and self.context.settings.inventory and self.reporting is None:
            await device_model.take_stock(self)

    def ask_for_boot(self) -> None:
        """Let it boot, to learn what it is and to tell it what it is taken for."""

        async def ask() -> None:
            await self.ask("TriggerMessage", {"requestedMessage": "BootNotification"})

        self.later(ask())

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
        self.vendor = None
        self.streams.booted()
        self._asked_for.clear()
        for evse in self.evses.values():
            evse.forget_profiles()
            evse.limits = None
        if self.accepted:
            self._met = True
            self.tell_connected()
        elif self._told and self.link is not None:  # it was accepted before
            self._told = False
            self.context.report(StationLost(self.id, self.context.clock.now(), f"it was told {boot.status}"))
        self.save()

    @property
    def ways(self) -> VendorProfile:
        """How this kind of station is spoken to: its own profile, or one that fits what it said when it booted."""
        if self.vendor is None:
            version, folder = self.version or Version.V21, self.context.settings.vendor_profiles
            boot, name = self.boot or Boot(""), self.settings.vendor_profile
            try:
                self.vendor = vendor.find(name, folder) if name else None
                self.vendor = self.vendor or vendor.recognise(version, boot.vendor, boot.model, folder)
            except vendor.BadProfile:  # its file changed after the start
                log.exception("%s: its vendor profile cannot be read", self.id)
                self.vendor = vendor.recognise(version, boot.vendor, boot.model)
        return self.vendor

    def expect_security_profile(self, profile: int) -> None:
        """It was told to come in with another security profile (A05). Only a higher one binds, once it was used."""
        own = self.settings.security_profile
        now = self.context.settings.security_profile if own is None else own
        self.settings = replace(self.settings, next_security_profile=profile if profile > now else None)
        self.save()

    def save(self) -> None:
        """What of it outlives the process is written down. One that nobody registered is met anew."""
        from gateway.csms import restore  # which knows us

        if self.registered:
            self.context.ledger.later(restore.record(self))

    def evse(self, number: int) -> Evse:
        """The EVSE of that number; the core is told of one heard of for the first time. Refusal for one too many."""
        known = self.evses.get(number)
        if known is None:
            if not 1 <= number <= LARGEST_EVSE or len(self.evses) >= MOST_EVSES:
                text = (
                    f"EVSE {number} is not taken: a station has up to {MOST_EVSES} here, numbered up to {LARGEST_EVSE}"
                )
                raise Refusal(ErrorCode.PROPERTY_CONSTRAINT_VIOLATION, text)
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

    def describe(self, evse: Evse) -> None:
        """Tell the core what the EVSE can do, where that changed."""
        from gateway.csms import capabilities  # which knows us

        capabilities.describe(self, evse)
