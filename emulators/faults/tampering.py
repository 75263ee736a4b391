"""What a fault does to the pieces that cross a link: bytes of a car, messages of a station, deliveries of the broker.

Pure functions drawn by a seed; which link they are put on, and when, is decided in `faults.py`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from protocols.ports import BusMessage

if TYPE_CHECKING:
    from emulators.faults.injector import Fault

Tampering = Callable[[str, Any], Iterable[tuple[float, Any]]]
STACKED = ("loss", "delay", "reorder", "duplicate", "split", "corruption")
ONLY: dict[str, tuple[str, ...]] = {  # where a kind means something: a stream has no order to lose, a message no bytes
    "split": ("iso15118:",),
    "reorder": ("ocpp:", "mqtt"),
    "half-open": ("ocpp:", "iso15118:"),
    "cut": ("ocpp:", "iso15118:", "mqtt:"),
}


def tamper_bytes(fault: Fault, seed: int | str) -> Callable[[str, bytes], Iterable[tuple[float, bytes]]]:
    """How a fault treats pieces of a byte stream. A stream keeps its order: loss here is what a broken proxy does."""
    draw = random.Random(f"{fault.kind}-{fault.target}-{fault.at}-{seed}")

    def hit(_: str, data: bytes) -> list[tuple[float, bytes]]:
        if draw.random() >= fault.rate:
            return [(0.0, data)]
        if fault.kind == "loss":
            return []
        if fault.kind == "delay":
            return [(fault.value or draw.uniform(0.1, 1.0), data)]
        if fault.kind == "duplicate":
            return [(0.0, data), (0.0, data)]
        if fault.kind == "split":
            size = max(1, int(fault.value) or 1)
            return [(0.0, data[n : n + size]) for n in range(0, len(data), size)]
        broken = bytearray(data)
        place = draw.randrange(len(broken))
        broken[place] ^= 1 << draw.randrange(8)
        return [(0.0, bytes(broken))]

    return hit


def tamper_text(fault: Fault, seed: int | str) -> Callable[[str, str], Iterable[tuple[float, str]]]:
    """How a fault treats messages of a WebSocket."""
    draw = random.Random(f"{fault.kind}-{fault.target}-{fault.at}-{seed}")
    held: dict[str, str] = {}

    def hit(sender: str, text: str) -> list[tuple[float, str]]:
        if sender in held:
            return [(0.0, text), (0.0, held.pop(sender))]
        if draw.random() >= fault.rate:
            return [(0.0, text)]
        if fault.kind == "loss":
            return []
        if fault.kind == "delay":
            return [(fault.value or draw.uniform(0.1, 1.0), text)]
        if fault.kind == "duplicate":
            return [(0.0, text), (0.0, text)]
        if fault.kind == "reorder":
            held[sender] = text
            return []
        place = draw.randrange(max(1, len(text)))
        return [(0.0, text[:place] + chr(draw.randrange(32, 127)) + text[place + 1 :])]

    return hit


def tamper_bus(fault: Fault, seed: int | str) -> Callable[[str, BusMessage], Iterable[tuple[float, BusMessage]]]:
    """How a fault treats deliveries of the broker. QoS 1 may come twice or late, never not at all."""
    draw = random.Random(f"{fault.kind}-{fault.target}-{fault.at}-{seed}")

    def hit(client: str, message: BusMessage) -> list[tuple[float, BusMessage]]:
        if (fault.target not in ("", "mqtt", f"mqtt:{client}")) or draw.random() >= fault.rate:
            return [(0.0, message)]
        if fault.kind == "loss":
            return [] if message.qos == 0 else [(0.0, message)]
        if fault.kind in ("delay", "reorder"):
            return [(fault.value or draw.uniform(0.1, 2.0), message)]
        if fault.kind == "duplicate":
            return [(0.0, message), (0.0, message)]
        payload = bytearray(message.payload or b"\0")
        payload[draw.randrange(len(payload))] ^= 1 << draw.randrange(8)
        return [(0.0, replace(message, payload=bytes(payload)))]

    return hit


def chained(tampers: Sequence[tuple[Fault, Tampering]]) -> Tampering | None:
    """Several faults on one link: each piece goes through all of them."""
    if not tampers:
        return None
    if len(tampers) == 1:
        return tampers[0][1]

    def hit(sender: str, piece: Any) -> list[tuple[float, Any]]:
        found = [(0.0, piece)]
        for _, one in tampers:
            found = [(late + more, part) for late, whole in found for more, part in one(sender, whole)]
        return found

    return hit
