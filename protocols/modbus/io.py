"""The connection of Modbus, client and server: TCP (MBAP), or RTU frames in a stream. The only file with pymodbus.

pymodbus encodes and decodes frames and messages; the stream is a `Wire`, so that both ends run over sockets and in
memory, in real and in virtual time.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TypeAlias

from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.framer.base import FramerBase
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadHoldingRegistersResponse,
    ReadInputRegistersRequest,
    ReadInputRegistersResponse,
    WriteMultipleRegistersRequest,
    WriteMultipleRegistersResponse,
    WriteSingleRegisterRequest,
    WriteSingleRegisterResponse,
)

from protocols.iso15118 import io as tcp
from protocols.modbus.messages import Answer, ExceptionCode, NoAnswer, Read, Refused, Request, Table, Words, Write
from protocols.ports import Clock, Wire
from protocols.serial.io import SerialLine

logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)  # it logs every broken frame; here they are answers

LONGEST_FRAME = 260  # bytes of MBAP; RTU has 256
UNANSWERED = 2  # requests in a row, after which a connection is made anew
_REQUESTS = {Table.HOLDING: ReadHoldingRegistersRequest, Table.INPUT: ReadInputRegistersRequest}
_UNREADABLE = (ModbusException, ValueError, IndexError, struct.error)

Open: TypeAlias = Callable[[], Awaitable[Wire]]
Handle: TypeAlias = Callable[[Request], Awaitable[Answer]]


class Framing(StrEnum):
    """Frames on the stream: Modbus TCP, or RTU as serial device servers pass it on."""

    TCP = "tcp"
    RTU = "rtu"

    def framer(self, *, server: bool) -> FramerBase:
        """Return the framer of one end."""
        return (FramerSocket if self is Framing.TCP else FramerRTU)(DecodePDU(server))


class ModbusClient:
    """One connection to a device: one request at a time. The connection is made with the first request."""

    def __init__(
        self, open_wire: Open, clock: Clock, framing: Framing = Framing.TCP, exchange: asyncio.Lock | None = None
    ) -> None:
        """`exchange`: of a line that several clients share, held for a request and its answer."""
        self._open, self._clock, self._framing = open_wire, clock, framing
        self._exchange = exchange or asyncio.Lock()
        self._framer = framing.framer(server=False)
        self._wire: Wire | None = None
        self._transaction = 0
        self._unanswered = 0  # requests in a row
        self._buffer = b""

    async def ask(self, request: Request, within_s: float) -> Answer:
        """Return the device's answer. Never raises for what the device or the network does."""
        async with self._exchange:
            return await self._within(request, within_s)

    async def _within(self, request: Request, within_s: float) -> Answer:
        try:
            async with self._clock.timeout_at(self._clock.now() + within_s):
                answer = await self._ask(request)
                self._unanswered = 0
                return answer
        except TimeoutError:
            partial, self._unanswered = bool(self._buffer), self._unanswered + 1
            if partial or self._unanswered >= UNANSWERED:  # one of both may be in the middle of a frame
                await self.close()
            return NoAnswer(f"no {'complete ' * partial}answer within {within_s:g} s")
        except OSError as error:
            await self.close()
            return NoAnswer(str(error) or "the connection has ended", closed=True)

    async def close(self) -> None:
        """End the connection; the next request makes a new one."""
        wire, self._wire, self._buffer = self._wire, None, b""
        if wire is not None:
            await wire.close()

    async def _ask(self, request: Request) -> Answer:
        if self._wire is None:
            self._wire, self._buffer = await self._open(), b""
        if self._framing is Framing.RTU:
            self._buffer = b""  # what arrives before the request is no answer to it
        self._transaction = self._transaction % 0xFFFF + 1
        await self._wire.write(self._framer.buildFrame(_request_pdu(request, self._transaction)))
        while True:
            data = await self._wire.read()
            if not data:
                await self.close()
                return NoAnswer("the device has closed the connection", closed=True)
            self._buffer += data
            answer = self._decode(request)
            if answer is not None:
                return answer

    def _decode(self, request: Request) -> Answer | None:
        """Return the answer in the bytes received, None while it is not complete. Late answers to earlier requests are
        left out."""
        while self._buffer:
            try:
                used, pdu = self._framer.handleFrame(self._buffer, 0, 0)
            except _UNREADABLE:
                self._buffer = b""
                return NoAnswer("a message that is no answer")
            broken = pdu is None and (used > 0 or len(self._buffer) > LONGEST_FRAME)
            self._buffer = b"" if broken or used >= len(self._buffer) else self._buffer[used:]
            if broken:
                return NoAnswer("a frame with a wrong checksum" if self._framing is Framing.RTU else "a broken frame")
            if pdu is None:
                return None
            if pdu.transaction_id not in (0, self._transaction):
                continue
            return _answer(request, pdu)
        return None


def _request_pdu(request: Request, transaction: int) -> ModbusPDU:
    if isinstance(request, Read):
        return _REQUESTS[request.table](
            dev_id=request.unit, transaction_id=transaction, address=request.address, count=request.count
        )
    kind = WriteSingleRegisterRequest if request.single else WriteMultipleRegistersRequest
    return kind(dev_id=request.unit, transaction_id=transaction, address=request.address, registers=list(request.words))


def _answer(request: Request, pdu: ModbusPDU) -> Answer:
    """Return what a response states, after comparing it with the request."""
    if pdu.dev_id != request.unit:
        return NoAnswer(f"an answer of unit {pdu.dev_id} instead of {request.unit}")
    if isinstance(pdu, ExceptionResponse):
        return Refused(pdu.exception_code)
    if isinstance(request, Read):
        words = tuple(pdu.registers)
        function = 3 if request.table is Table.HOLDING else 4
        if pdu.function_code != function:
            return NoAnswer(f"an answer with function {pdu.function_code} instead of {function}")
        if len(words) != request.count:
            return NoAnswer(f"an answer with {len(words)} registers instead of {request.count}")
        return Words(words)
    function = 6 if request.single else 16
    if pdu.function_code != function or pdu.address != request.address:
        return NoAnswer("an answer to another write")
    return Words()


# server ---------------------------------------------------------------------------------------------------------------


async def serve(wire: Wire, handle: Handle, framing: Framing = Framing.TCP) -> None:
    """Answer requests on a stream until it ends. `handle` returns `NoAnswer` for silence."""
    framer, buffer = framing.framer(server=True), b""
    while data := await wire.read():
        buffer += data
        while buffer:
            try:
                used, pdu = framer.handleFrame(buffer, 0, 0)
            except _UNREADABLE:
                buffer = b""
                break
            buffer = buffer[used:] if used else (b"" if len(buffer) > LONGEST_FRAME else buffer)
            if pdu is None:
                break
            response = await _respond(pdu, handle)
            if response is not None:
                response.dev_id, response.transaction_id = response.dev_id or pdu.dev_id, pdu.transaction_id
                try:
                    await wire.write(framer.buildFrame(response))
                except ConnectionError:
                    return


async def _respond(pdu: ModbusPDU, handle: Handle) -> ModbusPDU | None:
    request: Request
    match pdu:
        case WriteSingleRegisterRequest():
            request = Write(pdu.dev_id, pdu.address, tuple(pdu.registers), single=True)
        case WriteMultipleRegistersRequest():
            request = Write(pdu.dev_id, pdu.address, tuple(pdu.registers))
        case ReadInputRegistersRequest():
            request = Read(pdu.dev_id, Table.INPUT, pdu.address, pdu.count)
        case ReadHoldingRegistersRequest():
            request = Read(pdu.dev_id, Table.HOLDING, pdu.address, pdu.count)
        case _:
            return ExceptionResponse(pdu.function_code, ExceptionCode.ILLEGAL_FUNCTION, pdu.dev_id)
    answer = await handle(request)
    if isinstance(answer, NoAnswer):
        return None
    if isinstance(answer, Refused):
        return ExceptionResponse(pdu.function_code, answer.code, pdu.dev_id)
    if isinstance(request, Read):
        kind = ReadHoldingRegistersResponse if request.table is Table.HOLDING else ReadInputRegistersResponse
        return kind(registers=list(answer.words))
    if request.single:
        return WriteSingleRegisterResponse(address=request.address, registers=list(request.words))
    return WriteMultipleRegistersResponse(address=request.address, count=len(request.words))


# sockets --------------------------------------------------------------------------------------------------------------


def tcp_client(host: str, port: int, clock: Clock, framing: Framing = Framing.TCP) -> ModbusClient:
    """Return a client of the device at an address."""

    async def open_wire() -> Wire:
        return await tcp.connect(host, port)

    return ModbusClient(open_wire, clock, framing)


def serial_client(line: SerialLine, clock: Clock) -> ModbusClient:
    """Return a client of a device on a serial line."""
    return ModbusClient(line.open, clock, Framing.RTU, line.exchange)


async def listen(handle: Handle, host: str, port: int, framing: Framing = Framing.TCP) -> tcp.Listener:
    """Serve at an address, port 0: a free one. Raises OSError."""
    return await tcp.listen(lambda wire: serve(wire, handle, framing), host, port)
