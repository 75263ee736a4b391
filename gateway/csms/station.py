"""State of one charging station across its connections, and the calls in both directions.

Its messages are processed by `v16`, `v201` and `v21`, events of its EVSEs by `evse_events`, its acceptance by
`registration`, its connection by `lifecycle`, its set-points by `setpoint`.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Protocol, TypeAlias

from gateway.csms import registration
from gateway.csms.background_tasks import BackgroundTasks
from gateway.csms.context import Context
from gateway.csms.event_stream_registry import Streams
from gateway.csms.evse import DER_CONTROL, Evse, Faults
from gateway.csms.pending_settings import settings_in
from gateway.csms.registration import Boot, Status, Trigger
from gateway.csms.reported_variables import ReportedVariables
from gateway.csms.settings import StationSettings
from gateway.csms.station_clock import StationClock
from gateway.csms.station_records import ConfiguredPassword, DerState
from gateway.csms.station_vendor import vendor_profile_of
from gateway.csms.transactions import EPOCH_2020
from gateway.model.event import RebootRequired
from gateway.model.station import OutcomeCode, evse_name
from gateway.rate_limit import TokenBucket
from protocols.errors import LocalProtocolError
from protocols.ocpp import events
from protocols.ocpp.enums import v16, v21
from protocols.ocpp.errors import QueueFull, Refusal
from protocols.ocpp.events import Answered, CallReceived, Priority, Refused, Reply
from protocols.ocpp.io import Link
from protocols.ocpp.rpc import Rpc
from protocols.ocpp.schema import ErrorCode, Payload, Version
from protocols.ocpp.times import parse
from protocols.ocpp.times import stamp as time_stamp
from protocols.ocpp.vendor import VendorProfile
from protocols.ports import TextWire

log = logging.getLogger("v2x.csms")

MOST_EVSES, LARGEST_EVSE = 128, 999  # per station: each one costs MQTT topics, a view and work in every control cycle
RESUME_AFTER_S = 5.0  # a station that reboots sends BootNotification within this time; otherwise it continues
HOUSEKEEPING_TIMEOUT_S = 10.0
OPERATOR_QUIET_S = 5.0  # housekeeping waits for so long after an operator's call
LONG_ACTIONS = (v16.Action.stop_transaction, v21.Action.transaction_event, v21.Action.meter_values)  # values of hours
STOPS = (v16.Action.remote_stop_transaction, v21.Action.request_stop_transaction)
Handler: TypeAlias = Callable[["Station", Payload], Payload | Awaitable[Payload]]
Handlers: TypeAlias = dict[str, Handler]
Maintenance: TypeAlias = dict[str, Payload]  # last status of firmware, log, network profiles and lists


class Lifecycle(Protocol):
    """Effects outside the station's state; `lifecycle` implements it."""

    def connected(self, station: Station, version: Version) -> None: ...
    def disconnected(self, station: Station, reason: str) -> None: ...
    def resumed(self, station: Station) -> None: ...
    def evse_changed(self, station: Station, evse: Evse) -> None: ...
    def changed(self, station: Station) -> None: ...


class Station(BackgroundTasks, ReportedVariables):
    """A station, connected or not."""

    def __init__(
        self, name: str, settings: StationSettings, context: Context, lifecycle: Lifecycle, registered: bool
    ) -> None:
        super().__init__(name)
        self.id, self.settings, self.context, self.registered = name, settings, context, registered
        self._lifecycle = lifecycle
        self._observe = partial(context.observe, name)
        self.configured = ConfiguredPassword(settings.password)
        self.version: Version | None = None
        self.link: Link | None = None
        self.security_profile = 0
        self.boot: Boot | None = None
        self.vendor: VendorProfile | None = None
        self.evses: dict[int, Evse] = {}
        self.maintenance: Maintenance = {}
        self.external_limits: dict[int, tuple[float, float]] = {}  # of other systems, by EVSE (0: all), magnitudes in W
        self.faults: Faults = {}  # of the whole station; see `faults`
        self.der = DerState()
        self.reports: dict[int, asyncio.Queue[Payload]] = {}  # parts of reports that are waited for, by request id
        self.streams = Streams()
        self.clock = StationClock()
        self._requested_actions: set[str] = set()  # permitted to it while it is not accepted
        self.handlers: Handlers = {}
        self._rate = TokenBucket(context.settings.max_calls_per_s, context.settings.max_burst)
        self._request_ids = count(max(0, int(context.clock.wall()) - EPOCH_2020) + 1)  # beyond those before a restart
        self.changes: dict[tuple[str, str], list[float]] = {}  # engine times of settings that were changed
        self.reboot_required: list[str] = []  # settings that take effect with the next boot
        self._quiet_until = -math.inf  # engine time
        self._housekeeping = asyncio.Lock()
        self.disconnected_at = context.clock.now()
        self._too_fast, self._too_many = False, f"more than {context.settings.max_calls_per_s:g} messages a second"
        self._reported = False  # its connection has been reported to the gateway
        self._booted = False  # it has booted in the lifetime of this process

    # the connection

    @property
    def connected(self) -> bool:
        """True while it has a connection."""
        return self.link is not None

    @property
    def accepted(self) -> bool:
        """True after an accepted BootNotification."""
        return self.boot is not None and self.boot.status == Status.accepted

    @property
    def ready(self) -> bool:
        """True if it can be commanded: it is connected, accepted, and not about to boot."""
        return self.link is not None and self.accepted and self._reported

    def connect(
        self, wire: TextWire, version: Version, handlers: Handlers, security_profile: int, *, resumes: bool = False
    ) -> Link:
        """Use a new connection; the caller runs its link and closes the one before it.

        `resumes`: another process has served it so far, so that its station does not boot.
        """
        settings = self.context.settings
        self.version, self.handlers, self.security_profile = version, handlers, security_profile
        within_s, length = settings.answer_within_s, settings.max_message
        longer: dict[str, int] = dict.fromkeys(LONG_ACTIONS, settings.max_transaction_message)
        engine = Rpc(version, handles=handlers, answer_within=within_s, message_length=length, longer=longer)
        engine.lenient = settings.lenient or self.vendor_profile.messages.lenient
        sent = partial(self.context.log.sent, self.id)
        self.link = Link(wire, engine, self._handle, self.context.clock, self._observe, self._send_received, sent)
        for evse in self.evses.values():
            evse.reset_profiles()
        self._reported = False  # a connection that replaces another one is reported again
        if self.accepted and resumes:
            self._resume()
        elif self.accepted:
            self.spawn(self._resume_without_messages())
        return self.link

    def disconnect(self, link: Link, reason: str) -> None:
        """Process the end of a link, unless a newer one has replaced it."""
        if self.link is not link:
            return
        self.link = None
        self.disconnected_at = self.context.clock.now()
        self.cancel_tasks()
        if self._reported:
            self._reported = False
            self._lifecycle.disconnected(self, reason)

    async def _resume_without_messages(self) -> None:
        await self.context.clock.sleep(RESUME_AFTER_S)
        self._resume()

    def _resume(self) -> None:
        """Continue without a BootNotification, after a lost connection or a restart of the gateway (part 4, 5.4)."""
        if self._reported or not self.accepted or self.link is None:
            return
        self._report_connection()
        self.describe_all()
        if not self._booted:
            self._booted = True
            self._lifecycle.resumed(self)

    def _report_connection(self) -> None:
        if not self._reported and self.version is not None:
            self._reported = True
            self._lifecycle.connected(self, self.version)

    # messages

    async def call(
        self, action: str, payload: Payload, timeout: float | None = None, priority: Priority = Priority.NORMAL
    ) -> Reply:
        """Send a call and return its reply. A payload that breaks the schema is not sent: the reply is `Refused` with
        code InvalidOrder. Never raises."""
        reason = None if self.accepted else registration.forbidden(self.boot, action)
        if reason is not None:
            return Refused(OutcomeCode.NOT_ACCEPTED, reason)
        try:
            return await self.call_unchecked(action, payload, timeout, priority)
        except QueueFull as error:
            log.warning("%s: %s", self.id, error)
            return events.TimedOut()
        except LocalProtocolError as error:
            log.error("%s: not sent: %s", self.id, error)
            return Refused(OutcomeCode.INVALID_ORDER, str(error))

    async def call_unchecked(
        self, action: str, payload: Payload, timeout: float | None = None, priority: Priority = Priority.NORMAL
    ) -> Reply:
        """Send a call of an operator. Raises LocalProtocolError if it breaks the schema or the queue is full."""
        if not self.accepted:
            caused = registration.action_caused_by(action, str(payload.get("requestedMessage")))
            if caused is not None:
                self._requested_actions.add(caused)
        if action in STOPS:
            priority = Priority.URGENT
        reply = events.Lost() if self.link is None else await self.link.call(action, payload, timeout, priority)
        if isinstance(reply, Answered) and reply.violation is None:
            self._note_reboot_required(settings_in(action, payload, reply.payload))
        return reply

    def _note_reboot_required(self, settings: list[str]) -> None:
        if new := [name for name in settings if name not in self.reboot_required]:
            self.reboot_required += new
            log.warning("%s: %s take effect when the station is reset (RebootRequired)", self.id, ", ".join(new))
            self.context.report(RebootRequired(self.id, self.context.clock.now(), tuple(self.reboot_required)))
            self.save()

    def defer_housekeeping(self, until: float) -> None:
        """Send no request of the gateway's own before an engine time, while an operator works."""
        self._quiet_until = until

    async def request(self, action: str, payload: Payload) -> Payload | None:
        """Send a call that others overtake; return the payload of its response, None without a valid one in time."""
        async with self._housekeeping:  # one at a time, so that none is queued when an operator calls
            while (wait_s := self._quiet_until - self.context.clock.now()) > 0:
                await self.context.clock.sleep(wait_s)
            return await self.query(action, payload, Priority.HOUSEKEEPING)

    async def query(self, action: str, payload: Payload, priority: Priority = Priority.NORMAL) -> Payload | None:
        """Send a call; return the payload of its response, None without a valid one in time."""
        reply = await self.call(action, payload, HOUSEKEEPING_TIMEOUT_S, priority)
        if isinstance(reply, Answered) and reply.violation is None:
            return reply.payload
        log.info("%s: no valid response to %s: %s", self.id, action, reply)
        return None

    def next_request_id(self) -> int:
        """Return a new request id for reports."""
        return next(self._request_ids)

    def _handle(self, call: CallReceived) -> Payload | Awaitable[Payload]:
        context = self.context
        context.messages += 1
        if not self._rate.take(context.clock.now()):
            refusal = Refusal(ErrorCode.GENERIC_ERROR, self._too_many)
            if not self._too_fast:  # once, not for every message of a flood
                self._observe(events.Violated(False, call.action, refusal.reason, refusal.description, call.id))
            self._too_fast = True
            raise refusal
        self._too_fast = False
        context.log.received(self.id, call.action, call.text)
        if not self._reported and call.action != v21.Action.boot_notification:
            if self.accepted:
                self._resume()
            else:
                self._check_permitted(call)
        if (stamp := parse(call.payload.get("timestamp", call.payload.get("generatedAt")))) is not None:
            self.clock.observe(stamp, context.clock.now())
        try:
            return self.handlers[call.action](self, call.payload)
        except Refusal as refusal:
            self._observe(events.Violated(False, call.action, refusal.reason, refusal.description, call.id))
            raise

    def _send_received(self, event: events.SendReceived) -> None:
        """Process a message without a response: instead of a rejection it is dropped and recorded as a violation."""
        context = self.context
        context.messages += 1
        reason = None if self.accepted else "the station is not accepted"
        if reason := reason or (None if self._rate.take(context.clock.now()) else self._too_many):
            text = f"dropped: {reason}"
            self._observe(events.Violated(False, event.action, ErrorCode.SECURITY_ERROR, text, event.id))
            return
        context.log.received(self.id, event.action, event.text)
        self._resume()
        try:
            self.handlers[event.action](self, event.payload)
        except Refusal as refusal:
            log.warning("%s: %s was dropped: %s", self.id, event.action, refusal.description)

    def _check_permitted(self, call: CallReceived) -> None:
        """Raise Refusal for a call that a station must not send before it is accepted by this process.

        A registered station that never booted here was accepted before the gateway restarted and does not boot again
        for a new connection (part 4, 5.4): it is treated as accepted, so that its session continues. A Pending station
        gets SecurityError except for messages that the gateway requested (B01.FR.10, B02.FR.09), a Rejected one for
        every message (B03.FR.07).
        """
        status = registration.status_of(self.settings, self.registered, self.context.unknown_stations)
        if self.boot is None and status == Status.accepted:
            self.boot = Boot(status, at=self.context.clock.wall())
            self.trigger_boot()
            self._resume()
            return
        rejected = self.boot is not None and self.boot.status == Status.rejected
        if call.action in self._requested_actions and not rejected:
            return
        if self.boot is None:
            self.trigger_boot()
        raise Refusal(ErrorCode.SECURITY_ERROR, "this station is not accepted; send BootNotification first")

    def trigger_boot(self) -> None:
        """Trigger a BootNotification: it has the station's data, and its response the present status."""
        self.spawn(self.request(v21.Action.trigger_message, {"requestedMessage": Trigger.boot_notification}))

    # state reported by the station

    def booted(self, boot: Boot) -> None:
        """Process a BootNotification: the station may have lost everything it held in memory."""
        self.boot = boot
        self.reboot_required, self.vendor = [], None
        if self.link is not None:
            self.link.engine.lenient = self.context.settings.lenient or self.vendor_profile.messages.lenient
        self.streams.booted()
        self.der.alarms.clear()  # the station reports those that are active after the boot
        self.faults = {source: fault for source, fault in self.faults.items() if source[0] != DER_CONTROL}
        self.rate_unit = None
        self._requested_actions.clear()
        for evse in self.evses.values():
            evse.reset_profiles()
            evse.limits = None
        if self.accepted:
            self._booted = True
            self._report_connection()
            self.describe_all()  # so that the fallback profile is the first call after the boot
        elif self._reported and self.link is not None:  # accepted before
            self._reported = False
            self._lifecycle.disconnected(self, f"its BootNotification was answered {boot.status}")
        self.save()

    @property
    def vendor_profile(self) -> VendorProfile:
        """The vendor profile: the configured one, or the one that matches the BootNotification."""
        if self.vendor is None:
            folder, boot = self.context.settings.vendor_profiles, self.boot or Boot("")
            self.vendor = vendor_profile_of(self.settings, self.version or Version.V21, boot, folder)
        return self.vendor

    @property
    def required_security_profile(self) -> int:
        """The security profile of its settings, else that of all stations."""
        own = self.settings.security_profile
        return self.context.settings.security_profile if own is None else own

    def configure(self, settings: StationSettings) -> None:
        """Apply changed settings."""
        self.settings = settings

    def promote_security_profile(self, level: int) -> None:
        """Require the security profile that was set at the station from its first use on (A05)."""
        pending = self.settings.next_security_profile
        if pending is not None and level >= pending:
            self.settings = replace(self.settings, security_profile=pending, next_security_profile=None)
            self.save()

    def expect_security_profile(self, profile: int) -> None:
        """Record the security profile set at the station (A05); a higher one binds from its first use on."""
        pending = profile if profile > self.required_security_profile else None
        self.settings = replace(self.settings, next_security_profile=pending)
        self.save()

    def record_maintenance(self, subject: str, status: Payload) -> None:
        """Store the last status of firmware, logs, diagnostics or another subject, which is shown to operators."""
        self.maintenance[subject] = {**status, "at": time_stamp(self.context.clock.wall())}
        self.save()

    def restore(self, version: Version | None, boot: Boot | None, maintenance: Maintenance, reboot: list[str]) -> None:
        """Continue with the state of a stored record."""
        self.version, self.boot, self.maintenance, self.reboot_required = version, boot, maintenance, reboot

    def copy_state(self, other: Station) -> None:
        """Take the state of another record of this station, all but its settings."""
        self.configured, self.boot, self.version, self.evses = other.configured, other.boot, other.version, other.evses
        self.maintenance, self.faults, self.reboot_required = other.maintenance, other.faults, other.reboot_required

    def save(self) -> None:
        """Store what of the station must survive a restart."""
        self._lifecycle.changed(self)

    def evse(self, number: int) -> Evse:
        """Return the EVSE with a number, a new one if it is unknown. Raises Refusal beyond the limits."""
        known = self.evses.get(number)
        if known is None:
            if not 1 <= number <= LARGEST_EVSE or len(self.evses) >= MOST_EVSES:
                text = f"EVSE {number} is rejected: at most {MOST_EVSES} per station, numbered up to {LARGEST_EVSE}"
                raise Refusal(ErrorCode.PROPERTY_CONSTRAINT_VIOLATION, text)
            known = self.evses[number] = Evse(number, evse_name(self.id, number))
        if known.limits is None and self._reported:
            self.describe(known)
        return known

    def describe(self, evse: Evse) -> None:
        """Report the capabilities of an EVSE where they changed."""
        self._lifecycle.evse_changed(self, evse)

    def describe_all(self) -> None:
        """Report the capabilities of all EVSEs where they changed."""
        for evse in self.evses.values():
            self.describe(evse)
