"""One site at one instance: its lease, the control of it while this instance is the holder, and its connections.

`start` runs the control of a site (`gateway.cluster.control`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import Counter
from collections.abc import Iterable

import msgspec

from gateway.cluster.connections import Instance, Owners, SiteConnections
from gateway.cluster.control import End, SiteControl, Start
from gateway.cluster.fence import Refusal
from gateway.cluster.http import HttpForwarding, HttpServing
from gateway.cluster.io import ClusterError, Record, WrongRevision
from gateway.cluster.keys import key_of
from gateway.cluster.lease import LeaseRecord, Observed, Purpose, SiteLease, Timing, Write
from gateway.cluster.lease_thread import Leases
from gateway.cluster.messages import (
    Attach,
    Barrier,
    Beat,
    Done,
    Failed,
    Gone,
    Hello,
    HttpEnded,
    HttpRequest,
    Links,
    Message,
    Noticed,
    Up,
)
from gateway.cluster.remote import RemoteStations
from protocols.ports import Clock

log = logging.getLogger("v2x.cluster")

CHECKED_EVERY_S = 0.25
READY_WITHIN_S = 8.0  # of a control that is starting
FAILED_PAUSE_S = 5.0  # after a control that could not start, before this instance tries again
BARRIER_WITHIN_S = 2.0
PROVED_EVERY_S = 0.01
STOP_WITHIN_S = 3.0
TAKEN_WITHIN_S = 3.0  # a site that was handed over


class SiteNode:
    """One site at one instance."""

    def __init__(
        self, site: str, instance: Instance, leases: Leases, owners: Owners, timing: Timing, start: Start, clock: Clock
    ) -> None:
        self.site, self.instance, self._bus, self._leases, self._clock = site, instance.name, instance, leases, clock
        self._start, self._free_since = start, float("inf")
        self.run = f"{self.instance}/{secrets.token_hex(4)}"
        self.lease = SiteLease(self.run, timing)
        self.connections = SiteConnections(site, self.run, instance, owners, timing, clock)
        self.forwarding = {name: HttpForwarding(name, site, self.instance, instance) for name in ("admin", "page")}
        self._serving = HttpServing(instance)
        self._runs: dict[str, str] = {}  # of instances, by name
        self.stations: RemoteStations | None = None
        self.control: SiteControl | None = None
        self._control: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._ending = asyncio.Event()
        self._how = End.LOST
        self._wake = asyncio.Event()
        self._write: asyncio.Task[None] | None = None
        self._pause_until = self.failed_at = float("-inf")
        self._acting_term = 0
        self.takeovers = 0
        self.failure = ""

    # `gateway.cluster.remote.Lease`

    @property
    def term(self) -> int:
        """Term in which this instance controls the site."""
        return self._acting_term

    def may_act(self) -> bool:
        """Return whether this instance may control the site now, in the term in which its control was started."""
        held = self.lease.held
        return held is not None and held.term == self._acting_term and self.lease.may_act(self._clock.now())

    def proof(self, instance: str) -> float | None:
        """Return the proof of the lease to the present run of an instance, None while effects have to wait for one."""
        run = self.run if instance == self.instance else self._runs.get(instance, "")
        return self.lease.proof(run, self._clock.now())

    @property
    def holder(self) -> str | None:
        """Instance that holds the lease, as far as is known."""
        seen = self.lease.seen
        return _instance(seen) if seen is not None and seen.record.holder else None

    async def ready(self) -> dict[str, str]:
        """Return what is wrong, by check; empty for what is in order."""
        return {"site": "" if self.connections.holder is not None else f"no instance controls {self.site}"}

    @property
    def holds(self) -> bool:
        """True where this instance has the lease, or is acquiring it."""
        pending = self.lease.pending
        return self.lease.held is not None or (pending is not None and pending.purpose is Purpose.ACQUIRE)

    def refused(self) -> Counter[Refusal]:
        """Return the number of refused messages, by reason: those of holders, and those to this holder."""
        return self.connections.refused + (self.stations.refused if self.stations is not None else Counter())

    # running

    async def hold(self) -> None:
        """Acquire and renew the lease, and run the control of the site while it is held; until cancelled."""
        try:
            while True:
                self._step(self._clock.now())
                with contextlib.suppress(TimeoutError):
                    async with self._clock.timeout_at(self._clock.now() + CHECKED_EVERY_S):
                        await self._wake.wait()
                self._wake.clear()
        finally:
            await self._stop_control(End.LOST)
            self.connections.close()

    def _step(self, now: float) -> None:
        before = self.lease.held
        self.lease = self.lease.expired(now)
        if before is not None and self.lease.held is None:
            log.warning("%s: the lease of term %d has run out", self.site, before.term)
        self._follow()
        self.lease = self.lease.stamped(self.run, now, now)  # no message shows this instance its own time
        if self._write is None and (self.lease.held is not None or self._may_acquire(now)):
            write = self.lease.next_write(now)
            if write is not None:
                self.lease = self.lease.sent(write)
                self._write = asyncio.get_running_loop().create_task(self._written(write), name=f"lease {self.site}")

    def _may_acquire(self, now: float) -> bool:
        if not self.lease.free(now):
            self._free_since = float("inf")
            return False
        self._free_since = min(now, self._free_since)
        return now >= max(self._pause_until, self._free_since + self._bus.wait_s(self.site, self.holder or ""))

    def _follow(self) -> None:
        """Start or end the control of the site as the lease requires."""
        held = self.lease.held
        if self._control is None:
            if held is not None and self.lease.may_act(self._clock.now()) and not self._ending.is_set():
                self._acting_term = held.term
                self._ready.clear()
                task = self._control = asyncio.get_running_loop().create_task(self._run(), name=f"site {self.site}")
                task.add_done_callback(self._ended)
        elif (held is None or held.term != self._acting_term) and not self._ending.is_set():
            self._how = End.LOST
            self._ending.set()

    async def _written(self, write: Write) -> None:
        """Perform one write of the lease, and note its outcome."""
        key, value, clock = key_of(self.site), msgspec.json.encode(write.record), self._clock
        try:
            revision = await self._leases.update(key, value, write.last)
            self.lease = self.lease.written(revision, clock.now())
            if self.stations is not None:
                self.stations.renewed()
            if write.purpose is Purpose.ACQUIRE:
                log.info("%s: this instance is the holder, in term %d", self.site, revision)
        except WrongRevision:
            try:
                record = await self._leases.get(key)
                found, revision = (None, 0) if record is None else (_record(record.value), record.revision)
                self.lease = self.lease.refused(found, revision, clock.now())
            except ClusterError:
                self.lease = self.lease.unanswered()
            await clock.sleep(CHECKED_EVERY_S)
        except ClusterError as error:
            log.info("%s: the lease is not written: %s", self.site, error)
            self.lease = self.lease.unanswered()
            await clock.sleep(CHECKED_EVERY_S)  # it may fail at once
        finally:
            self._write = None
            self._wake.set()

    def observed(self, record: Record | None) -> None:
        """Note the record of the lease as read or notified."""
        if record is None:
            self.lease = self.lease.observed(None, 0, self._clock.now())
        elif record.value is not None:
            self.lease = self.lease.observed(_record(record.value), record.revision, self._clock.now())
        seen = self.lease.seen
        if seen is not None:
            self._held_by(seen)
        self._wake.set()

    def _held_by(self, seen: Observed) -> None:
        holder = self.holder
        for forwarding in self.forwarding.values():
            forwarding.forward_to(holder)
        if holder is not None:
            self.connections.held_by(holder, seen.term)

    # the control

    async def _run(self) -> None:
        """Run the control of the site in the present term."""
        term, stations = self._acting_term, None
        try:
            async with self._start(self) as control:
                stations = RemoteStations(self.site, self, self._bus.send, control.serve, self._clock)
                self.control, self.stations = control, stations
                for name, app in control.apps.items():
                    self.forwarding[name].serve(app)
                self.takeovers += 1
                self._ready.set()
                self._bus.broadcast(Hello(self.site, self.instance, term))
                await self._ending.wait()
                control.end(self._how)
                if self._how is not End.STOPPED:  # then power still has to go to 0 W
                    stations.close()
        finally:
            if stations is not None:
                stations.close()
            self._ready.clear()
            self.control = self.stations = None
            for forwarding in self.forwarding.values():
                forwarding.serve(None)
            self._serving.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._control = None
        error = None if task.cancelled() else task.exception()
        if error is not None:
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            self.failure = str(error)
            log.error("%s: the control of the site ended: %s; another instance may take it over", self.site, error)
        if error is not None or not self._ending.is_set():
            self.failed_at = self._clock.now()
            self._pause_until = self.failed_at + FAILED_PAUSE_S
            self.lease = self.lease.abandoned()
        if self._how is End.LOST:
            self._ending.clear()
        self._wake.set()

    async def _stop_control(self, how: End) -> None:
        if self._control is None:
            return
        control, self._how = self._control, how
        self._ending.set()
        _, late = await asyncio.wait({control}, timeout=STOP_WITHIN_S if how is End.LOST else None)
        for task in late:
            task.cancel()
            await asyncio.wait({task})

    async def hand_over(self, others: bool) -> None:
        """End the control and free the lease, for another instance; without `others` power goes to 0 W first.

        The lease is freed when all effects have arrived; an instance that does not confirm it lets the lease run out.
        """
        self.lease = self.lease.wants(False)
        stations = self.stations
        instances = stations.instances() if stations is not None else []
        await self._stop_control(End.HANDED_OVER if others else End.STOPPED)
        confirmed = await self._reach(instances)
        if not confirmed:
            log.info("%s: the lease runs out by itself: an instance did not confirm the hand-over", self.site)
        while self._write is not None:
            await asyncio.wait({self._write})
        write = self.lease.release(self._clock.now())
        if not confirmed:
            self.lease = self.lease.abandoned()
        elif write is not None:
            self.lease = self.lease.sent(write)
            await self._written(write)
        self._ending.clear()
        self._wake.set()

    async def give(self) -> None:
        """Hand the site over to another instance; this one takes it back where none does."""
        if self.stations is None or not await self._reach(self.stations.instances()):
            return
        await self.hand_over(others=True)
        deadline = self._clock.now() + TAKEN_WITHIN_S
        while self._clock.now() < deadline and self.holder in (None, self.instance):
            await self._clock.sleep(CHECKED_EVERY_S)
        self.lease = self.lease.wants(True)

    async def _reach(self, instances: Iterable[str]) -> bool:
        """Return whether instances answer: one that does not would not confirm a hand-over."""
        try:
            for name in instances:
                await self._bus.request(name, Barrier(self.site, self._acting_term), BARRIER_WITHIN_S)
        except ClusterError:
            return False
        return True

    # messages of other instances

    def take(self, message: Message) -> bool:
        """Process a message to the holder that has no answer; False for a request."""
        match message:
            case Up():
                if self.stations is not None and self.may_act():
                    self.stations.up(message)
            case Attach() | Barrier() | HttpRequest():
                return False
            case Hello():
                self._hello(message)
            case HttpEnded():
                self._serving.ended(message)
            case _:
                self._pass(message)
        return True

    async def handle(self, message: Message) -> Message | None:
        """Process a request to the holder, and return its answer."""
        match message:
            case Attach():
                return await self._attach(message)
            case Barrier():
                return Done(self.site)
            case HttpRequest():
                app = self.control.apps.get(message.app) if self.control is not None and self._serves() else None
                if app is None:
                    return Failed(self.site, f"instance {self.instance} does not serve this at present")
                return self._serving.serve(app, message)
        return None

    def _hello(self, message: Hello) -> None:
        for forwarding in self.forwarding.values():
            forwarding.forward_to(message.instance)
        self.connections.held_by(message.instance, message.term)

    async def _attach(self, message: Attach) -> Message:
        if self.lease.held is None:
            return Failed(self.site, f"instance {self.instance} is not the holder")
        try:
            async with self._clock.timeout_at(self._clock.now() + READY_WITHIN_S):
                await self._ready.wait()
                while self.proof(message.instance) is None:  # without it what is sent to its stations is refused
                    await self._clock.sleep(PROVED_EVERY_S)
        except TimeoutError:
            return Failed(self.site, "the control of the site is starting")
        if self.stations is None or not self._serves() or not self.may_act():
            return Failed(self.site, f"instance {self.instance} is not the holder")
        return self.stations.attach(message)

    def _serves(self) -> bool:
        """Return whether what reaches the control has an effect: none has while it ends for another holder."""
        return self.stations is not None and not self.stations.closed

    def _pass(self, message: Message) -> None:
        """Pass a message to the stations or the control of a holder; without the lease it has no effect."""
        if isinstance(message, Beat):
            self._stamped(message)
        stations = self.stations
        if stations is None or not self.may_act():
            return
        match message:
            case Gone():
                stations.gone(message)
            case Beat():
                stations.beat(message)
            case Links():
                stations.links(message)
            case Noticed() if self.control is not None:
                self.control.noticed(message)

    def _stamped(self, beat: Beat) -> None:
        before, self._runs[beat.instance] = self._runs.get(beat.instance), beat.run
        if before is not None and before != beat.run:
            self.lease = self.lease.departed(before)
        self.lease = self.lease.stamped(beat.run, beat.stamp, self._clock.now())
        if self.lease.urgent:
            self._wake.set()

    def check_presence(self) -> None:
        """Remove instances that are silent."""
        if self.stations is not None:
            for name in self.stations.check_presence():
                self.lease = self.lease.departed(self._runs.pop(name, ""))


def _record(value: bytes | None) -> LeaseRecord:
    try:
        return msgspec.json.decode(value or b"{}", type=LeaseRecord)
    except msgspec.MsgspecError:
        return LeaseRecord("", 0)


def _instance(seen: Observed) -> str:
    return seen.record.holder.rpartition("/")[0]
