"""Wire that makes a mutant of a sound device: it stands between the device and its connection."""

from __future__ import annotations

import asyncio
import contextlib
from copy import deepcopy

from emulators.conformance.ocpp.frames import CALL, ERROR, RESULT, Frame, read
from emulators.conformance.ocpp.mutants import INVENTED, Context, Mutant
from protocols.ports import Clock, TextWire


class MutantWire:
    """The device's end of a connection with a mutant in between."""

    def __init__(self, wire: TextWire, mutant: Mutant, clock: Clock) -> None:
        self._wire, self._mutant, self._clock = wire, deepcopy(mutant), clock
        self._tester_calls: dict[str, Context] = {}
        self._own_calls: dict[str, Context] = {}
        self._pending: asyncio.Queue[str | None] = asyncio.Queue()
        self._reader: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def peer(self) -> str:
        """Name of the peer."""
        return self._wire.peer

    @property
    def subprotocol(self) -> str:
        """The negotiated subprotocol."""
        return self._wire.subprotocol

    async def receive(self) -> str | None:
        """Return the next message that the device receives."""
        if self._reader is None:
            self._reader = asyncio.get_running_loop().create_task(self._read())
        return await self._pending.get()

    async def _read(self) -> None:
        while (text := await self._wire.receive()) is not None:
            frame = read(text)
            if frame is None:
                self._pending.put_nowait(text)
                continue
            if frame.kind in (RESULT, ERROR) and frame.id.startswith(INVENTED):
                continue
            about = self._about(frame)
            passed = self._mutant.incoming(frame, about)
            if passed is not None:
                self._pending.put_nowait(passed.encoded())
                continue
            for other in self._mutant.instead(frame, about):
                with contextlib.suppress(ConnectionError):
                    await self._wire.send(other.encoded())
        self._pending.put_nowait(None)

    def _about(self, frame: Frame) -> Context:
        if frame.kind == CALL:
            about = self._tester_calls[frame.id] = Context(frame.action, frame.payload)
            return about
        return self._own_calls.get(frame.id, Context(""))

    async def send(self, text: str) -> None:
        """Send a message of the device as the mutant alters it."""
        frame = read(text)
        if frame is None:
            await self._wire.send(text)
            return
        if frame.kind == CALL:
            about = self._own_calls[frame.id] = Context(frame.action, frame.payload)
        else:
            about = self._tester_calls.get(frame.id, Context(""))
        own = self._mutant.to_itself(frame)
        if own is not None:
            self._pending.put_nowait(own.encoded())
        for delay, other in self._mutant.outgoing(frame, about):
            if delay:
                task = asyncio.get_running_loop().create_task(self._late(delay, other.encoded()))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            else:
                await self._wire.send(other.encoded())

    async def _late(self, delay: float, text: str) -> None:
        await self._clock.sleep(delay)
        with contextlib.suppress(ConnectionError):
            await self._wire.send(text)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection."""
        for task in self._tasks:
            task.cancel()
        await self._wire.close(code, reason)
