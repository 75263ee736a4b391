"""Elements of 2.x messages: their number in one request (ItemsPerMessage), and reports in several messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from typing import TypeVar

from emulators.charger.station.context import StationContext
from emulators.charger.station.device_model.variables import ITEMS
from protocols.ocpp.errors import Refusal
from protocols.ocpp.schema import ErrorCode, Payload

T = TypeVar("T")


async def send_report(
    context: StationContext,
    action: str,
    request: int,
    member: str,
    content: Sequence[T],
    size: int,
    write: Callable[[T], object] | None = None,
) -> None:
    """Send the content of a report in messages of at most `size` elements (characters of a text), at least one message.

    `write` makes the elements of a message when it is sent, so that no more of them are in memory.
    """
    starts = range(0, len(content) or 1, size)
    for number, start in enumerate(starts):
        part = content[start : start + size]
        body: Payload = {
            "requestId": request,
            "generatedAt": context.timestamp(),
            "seqNo": number,
            member: part if write is None else [write(one) for one in part],
            "tbc": number < len(starts) - 1,
        }
        await context.call(action, body)


def check_items(elements: Sized) -> None:
    """Raise a Refusal for more elements than ItemsPerMessage allows."""
    if len(elements) > ITEMS:
        raise Refusal(ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION, f"at most {ITEMS} elements at once")
