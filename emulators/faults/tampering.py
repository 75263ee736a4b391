"""Tampering: the effect of a fault on the messages of a link: bytes of ISO 15118, texts of OCPP, MQTT deliveries.

Pure functions driven by a seed. Which link is tampered with, and when, is decided in `actions.py` and `injector.py`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from emulators.faults.fault import Fault
from emulators.runtime import memory_broker
from emulators.runtime.transports import M, Tamper
from protocols.ports import BusMessage

Tampering = Callable[[str, Any], Iterable[tuple[float, Any]]]  # of one kind of message each: bytes, text or BusMessage


def tamper_bytes(fault: Fault, seed: int | str) -> Tamper[bytes]:
    """Return the effect on chunks of a byte stream. The stream keeps its order; loss is that of a broken proxy."""
    draw = random.Random(f"{fault.kind}-{fault.target}-{fault.at}-{seed}")

    def tamper(_: str, data: bytes) -> list[tuple[float, bytes]]:
        deliveries = _deliveries(fault, draw, data)
        if deliveries is not None:
            return deliveries
        if fault.kind == "split":
            size = max(1, int(fault.value) or 1)
            return [(0.0, data[n : n + size]) for n in range(0, len(data), size)]
        corrupted = bytearray(data)
        index = draw.randrange(len(corrupted))
        corrupted[index] ^= 1 << draw.randrange(8)
        return [(0.0, bytes(corrupted))]

    return tamper


def _deliveries(fault: Fault, draw: random.Random, message: M) -> list[tuple[float, M]] | None:
    """Return the deliveries of a message that the fault spares, loses, delays or duplicates, else None."""
    if draw.random() >= fault.rate:
        return [(0.0, message)]
    if fault.kind == "loss":
        return []
    if fault.kind == "delay":
        return [(fault.value or draw.uniform(0.1, 1.0), message)]
    return [(0.0, message), (0.0, message)] if fault.kind == "duplicate" else None


def tamper_text(fault: Fault, seed: int | str) -> Tamper[str]:
    """Return the effect on WebSocket messages."""
    draw = random.Random(f"{fault.kind}-{fault.target}-{fault.at}-{seed}")
    delayed: dict[str, str] = {}

    def tamper(sender: str, text: str) -> list[tuple[float, str]]:
        if sender in delayed:
            return [(0.0, text), (0.0, delayed.pop(sender))]
        deliveries = _deliveries(fault, draw, text)
        if deliveries is not None:
            return deliveries
        if fault.kind == "reorder":
            delayed[sender] = text
            return []
        index = draw.randrange(max(1, len(text)))
        return [(0.0, text[:index] + chr(draw.randrange(32, 127)) + text[index + 1 :])]

    return tamper


def tamper_bus(fault: Fault, seed: int | str) -> memory_broker.Tamper:
    """Return the effect on deliveries of the broker. QoS 1 may arrive twice or late, but is never lost."""
    draw = random.Random(f"{fault.kind}-{fault.target}-{fault.at}-{seed}")

    def tamper(client: str, message: BusMessage) -> list[tuple[float, BusMessage]]:
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

    return tamper


def chain(tamperings: Sequence[Tampering]) -> Tampering | None:
    """Return the combined effect of several faults on one link: each message passes through all of them."""
    if not tamperings:
        return None
    if len(tamperings) == 1:
        return tamperings[0]

    def tamper(sender: str, message: Any) -> list[tuple[float, Any]]:
        deliveries = [(0.0, message)]
        for each in tamperings:
            deliveries = [(late + more, part) for late, whole in deliveries for more, part in each(sender, whole)]
        return deliveries

    return tamper
