"""Reports that a station sends in parts after it has accepted a request: GetBaseReport, GetDERControl."""

from __future__ import annotations

import asyncio

from gateway.csms.station import Station
from protocols.ocpp.enums import v21
from protocols.ocpp.events import Answered, Priority
from protocols.ocpp.schema import Payload

REPORT_TIMEOUT_S = 30.0  # from one part to the next
MOST_PARTS = 1_000
ACCEPTED = v21.GenericDeviceModelStatusEnumType.accepted  # GetDERControl has the same name


class NotReported(Exception):
    """The station did not accept the request, or did not send all parts; the text is its status."""


async def collect(station: Station, action: str, payload: Payload) -> list[Payload]:
    """Send a request for a report and return all parts in the order of receipt. Raises NotReported."""
    parts: asyncio.Queue[Payload] = asyncio.Queue(MOST_PARTS)
    number = station.next_request_id()
    station.reports[number] = parts
    clock = station.context.clock
    try:
        reply = await station.call(action, payload | {"requestId": number}, priority=Priority.NORMAL)
        if not isinstance(reply, Answered) or reply.violation is not None:
            raise NotReported(f"no valid response to {action}")
        status = reply.payload["status"]
        if status != ACCEPTED:
            raise NotReported(status)
        found: list[Payload] = []
        while not found or (found[-1].get("tbc", False) and len(found) < MOST_PARTS):
            async with clock.timeout_at(clock.now() + REPORT_TIMEOUT_S):
                found.append(await parts.get())
        return found
    except TimeoutError:
        raise NotReported(f"the report is not complete after {REPORT_TIMEOUT_S:.0f} s without a part") from None
    finally:
        del station.reports[number]


def received(station: Station, payload: Payload) -> None:
    """Pass a part to the request that waits for it."""
    pending = station.reports.get(payload["requestId"])
    if pending is not None and not pending.full():
        pending.put_nowait(payload)
