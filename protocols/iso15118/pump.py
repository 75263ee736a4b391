"""Pump: runs an engine over a byte stream, for both roles; independent of sockets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from protocols.ports import Clock, Wire


class Engine(Protocol):
    """The engine contract of both roles, as far as `pump` uses it."""

    @property
    def ended(self) -> bool: ...

    def receive(self, data: bytes, now: float) -> Sequence[object]: ...
    def expire(self, now: float) -> Sequence[object]: ...
    def data_to_send(self) -> bytes: ...
    def deadline(self) -> float | None: ...


async def pump(
    engine: Engine,
    wire: Wire,
    clock: Clock,
    report: Callable[[Sequence[object]], None],
    prepare: Callable[[float], None] | None = None,
) -> None:
    """Run `engine` over `wire` until it ends; then close the wire.

    `prepare(now)` is called before the engine receives bytes or time, so that its host can pass measurements.
    `report(events)` receives the events in order. A lost wire is the end of the stream for the engine.
    """
    try:
        while True:
            outgoing = engine.data_to_send()
            if outgoing:
                try:
                    await wire.write(outgoing)
                except ConnectionError:
                    report(engine.receive(b"", clock.now()))
            if engine.ended:
                return
            now = clock.now()
            deadline = engine.deadline()
            if deadline is not None and deadline <= now:
                if prepare is not None:
                    prepare(now)
                report(engine.expire(now))
                continue
            try:
                data = await _read(wire, clock, deadline)
            except TimeoutError:
                continue
            except ConnectionError:
                data = b""
            now = clock.now()
            if prepare is not None:
                prepare(now)
            report(engine.receive(data, now))
    finally:
        await wire.close()


async def _read(wire: Wire, clock: Clock, deadline: float | None) -> bytes:
    """Return the next bytes; raises TimeoutError at the deadline, unless they arrived while this process was busy."""
    try:
        async with clock.timeout_at(deadline):
            return await wire.read()
    except TimeoutError:
        if deadline is not None and clock.now() <= deadline:  # virtual time: never busy
            raise
        async with clock.timeout_at(clock.now()):
            return await wire.read()
