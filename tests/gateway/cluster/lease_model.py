"""Explicit-state model of the lease of one site: the engines of two or three instances, the store of the record, and a
network that delays, loses and reorders messages.

Each instance is a candidate for the lease and has connections of stations. The search visits every state that some
order of deliveries, ticks, pauses, crashes and losses reaches within a horizon. Two reductions keep it small, because
the fence is monotonic in the proof: time stamps arrive at once (a delayed one is an older one), and of all effects that
a holder may have sent in a term to an instance only that with the newest proof is kept, which may arrive at any time
from then on. So an effect after a pause between the decision and the sending is covered, too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from gateway.cluster.fence import Fence
from gateway.cluster.lease import LeaseRecord, SiteLease, Timing, Write

TIMING = Timing(lease_s=3, valid_s=2, renew_every_s=1)


class Violated(Exception):
    """An invariant does not hold; the message has the steps that lead there."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One gateway. A paused one neither receives nor decides; a crashed one never does again."""

    lease: SiteLease
    paused: bool = False
    crashed: bool = False

    @property
    def runs(self) -> bool:
        return not self.paused and not self.crashed


@dataclass(frozen=True, slots=True)
class Sent:
    """A write on its way to the store."""

    by: int
    write: Write


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer of the store on its way to an instance that was paused; `record` is None where the write succeeded."""

    to: int
    write: Write
    revision: int
    record: LeaseRecord | None


Message: TypeAlias = Sent | Answered
Effects: TypeAlias = frozenset[tuple[int, int, float]]  # receiver, term, newest proof


@dataclass(frozen=True, slots=True)
class World:
    """One state."""

    now: int
    instances: tuple[Instance, ...]
    record: LeaseRecord
    revision: int
    messages: frozenset[Message]
    effects: Effects
    pauses: int
    crashes: int
    losses: int
    releases: int
    late_answers: int

    @property
    def term(self) -> int:
        return self.record.term or self.revision


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of a search."""

    instances: int = 2
    horizon: int = 6
    pauses: int = 1
    crashes: int = 1
    losses: int = 1
    releases: int = 1
    late_answers: int = 0  # which a running instance receives later
    barrier: bool = True  # a release waits until the holder's effects have arrived
    compare: bool = True  # the store compares revisions
    most_states: int = 1_000_000


def name(number: int) -> str:
    return f"gw{number}"


def first_world(bounds: Bounds) -> World:
    """Return the state in which instance 0 has just acquired the lease, and all have read the record."""
    first = SiteLease(name(0), TIMING)
    for other in range(bounds.instances):
        first = first.stamped(name(other), 0, 0)
    first = first.observed(None, 0, 0)
    write = first.next_write(0)
    assert write is not None
    instances = [Instance(first.sent(write).written(1, 0))]
    for number in range(1, bounds.instances):
        instances.append(Instance(SiteLease(name(number), TIMING).observed(LeaseRecord(name(0)), 1, 0)))
    limits = (bounds.pauses, bounds.crashes, bounds.losses, bounds.releases, bounds.late_answers)
    return World(0, tuple(instances), LeaseRecord(name(0)), 1, frozenset(), frozenset(), *limits)


def _with(world: World, number: int, lease: SiteLease) -> World:
    return _put(world, number, replace(world.instances[number], lease=lease))


def _put(world: World, number: int, instance: Instance) -> World:
    instances = list(world.instances)
    instances[number] = instance
    return replace(world, instances=tuple(instances))


def settle(world: World) -> World:
    """Let every instance that runs receive time stamps, give up an expired lease, send what is due, and act."""
    running = [number for number, one in enumerate(world.instances) if one.runs]
    for number in running:
        lease = world.instances[number].lease
        for other in running:
            lease = lease.stamped(name(other), world.now, world.now)
        lease = lease.expired(world.now)
        write = lease.next_write(world.now)
        if write is not None:
            lease = lease.sent(write)
            world = replace(world, messages=world.messages | {Sent(number, write)})
        world = _act(_with(world, number, lease), lease)
    return replace(world, effects=frozenset(one for one in world.effects if world.now < one[2] + 2 * TIMING.lease_s))


def _act(world: World, lease: SiteLease) -> World:
    """Send effects to all instances where the lease permits it."""
    if lease.held is None or not lease.may_act(world.now):
        return world
    newest = {(to, term): proof for to, term, proof in world.effects}
    for to in range(len(world.instances)):
        proof = lease.proof(name(to), world.now)
        if proof is not None:
            if Fence(TIMING.valid_s).admit(lease.held.term, proof, world.now)[1] is not None:
                raise Violated(f"an effect of term {lease.held.term} to {to} is refused though the lease is held")
            newest[to, lease.held.term] = max(proof, newest.get((to, lease.held.term), proof))
    return replace(world, effects=frozenset((to, term, proof) for (to, term), proof in newest.items()))


def check(world: World) -> None:
    """Raise Violated where two instances may act, or where an effect of another than the present term is admitted."""
    acting = {number: one.lease.held.term for number, one in enumerate(world.instances) if _acts(one, world.now)
              and one.lease.held is not None}  # fmt: skip
    for number, term in acting.items():
        if term != world.term:
            raise Violated(f"instance {number} may act in term {term}, the store has {world.term}")
    for to, term, proof in world.effects:
        one = world.instances[to]
        if term != world.term and one.runs and Fence(TIMING.valid_s).admit(term, proof, world.now)[1] is None:
            raise Violated(f"an effect of term {term} is admitted by {to}, the store has {world.term}")


def _acts(one: Instance, now: float) -> bool:
    return one.runs and one.lease.may_act(now)


def deliver(world: World, message: Message, bounds: Bounds) -> World | None:
    """Return the state after a message has arrived, None where its receiver does not run."""
    world = replace(world, messages=world.messages - {message})
    if isinstance(message, Sent):
        return _store(world, message, bounds)
    one = world.instances[message.to]
    if not one.runs:
        return None
    if one.lease.pending != message.write:  # no longer waited for
        return world
    if message.record is None:
        return _with(world, message.to, one.lease.written(message.revision, world.now))
    return _with(world, message.to, one.lease.refused(message.record, message.revision, world.now))


def _store(world: World, sent: Sent, bounds: Bounds, late: bool = False) -> World | None:
    """Apply a write in the store. Its sender has the answer at once if it runs, except for some late answers."""
    write = sent.write
    if bounds.compare and write.last != world.revision:
        answer = Answered(sent.by, write, world.revision, world.record)
    else:
        answer = Answered(sent.by, write, world.revision + 1, None)
        world = replace(world, record=write.record, revision=world.revision + 1)
    if world.instances[sent.by].runs and not late:
        return deliver(world, answer, bounds)
    return replace(world, messages=world.messages | {answer})


def _notified(world: World, number: int) -> World:
    lease = world.instances[number].lease
    return _with(world, number, lease.observed(world.record, world.revision, world.now))


def _steps(world: World, bounds: Bounds) -> Iterator[tuple[str, World]]:
    """Yield every next state, with the name of the step."""
    for message in world.messages:
        after = deliver(world, message, bounds)
        if after is not None:
            yield f"deliver {message}", after
        if world.late_answers and isinstance(message, Sent):
            without = replace(world, messages=world.messages - {message}, late_answers=world.late_answers - 1)
            stored = _store(without, message, bounds, late=True)
            if stored is not None:
                yield f"deliver {message}, answer later", stored
    if world.now < bounds.horizon:
        yield f"tick to {world.now + 1}", replace(world, now=world.now + 1)
    for number, one in enumerate(world.instances):
        if one.paused:
            yield f"continue {number}", _put(world, number, replace(one, paused=False))
        elif not one.crashed:
            yield from _steps_of(world, bounds, number, one)


def _steps_of(world: World, bounds: Bounds, number: int, one: Instance) -> Iterator[tuple[str, World]]:
    lease = one.lease
    if lease.seen is not None and lease.seen.revision < world.revision:
        yield f"notify {number}", _notified(world, number)
    if world.pauses:
        paused = replace(world, pauses=world.pauses - 1)
        yield f"pause {number}", _put(paused, number, replace(one, paused=True))
    if world.crashes:
        crashed = replace(world, crashes=world.crashes - 1)
        yield f"crash {number}", _put(crashed, number, replace(one, crashed=True))
    if world.losses and lease.pending is not None:  # the write may still arrive
        late = replace(world, losses=world.losses - 1)
        yield f"time-out of {number}", _with(late, number, lease.unanswered())
    write = lease.release(world.now)
    if world.releases and write is not None:
        released = _with(world, number, lease.sent(write).wants(False))
        effects = (
            world.effects if not bounds.barrier else frozenset(e for e in world.effects if e[1] != write.record.term)
        )
        messages = world.messages | {Sent(number, write)}
        yield f"release {number}", replace(released, messages=messages, effects=effects, releases=world.releases - 1)


def search(bounds: Bounds) -> set[World]:
    """Return all states that can be reached; raises Violated with the steps to one in which an invariant fails."""
    start = settle(first_world(bounds))
    came: dict[World, tuple[World, str] | None] = {start: None}
    waiting = deque([start])
    while waiting:
        world = waiting.popleft()
        try:
            check(world)
        except Violated as violated:
            steps: list[str] = []
            where: World = world
            while (before := came[where]) is not None:
                where, step = before
                steps.append(step)
            raise Violated(f"{violated}\n" + "\n".join(reversed(steps))) from None
        for step, after in _steps(world, bounds):
            reached = settle(after)
            if reached not in came:
                came[reached] = world, step
                waiting.append(reached)
        assert len(came) < bounds.most_states
    return set(came)


def fair_end(world: World, ticks: int, bounds: Bounds) -> World:
    """Return the state after some ticks in which everything arrives and nobody is paused any more."""
    for number, one in enumerate(world.instances):
        world = _put(world, number, replace(one, paused=False, lease=one.lease.wants(True)))
    world = settle(world)
    for _ in range(ticks):
        for message in sorted(world.messages, key=repr):
            world = settle(deliver(world, message, bounds) or world)
        for number, one in enumerate(world.instances):
            if one.runs:
                world = _notified(world, number)
        world = settle(replace(settle(world), now=world.now + 1))
    return world


def acting(world: World) -> list[int]:
    """Return the instances that run and may act."""
    return [number for number, one in enumerate(world.instances) if _acts(one, world.now)]
