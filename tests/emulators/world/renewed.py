"""Comparison of transcripts in which renewals of set-points were left out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from emulators.runtime.transcript import Line


def without_renewals(lines: Iterable[Line]) -> list[Line]:
    """Return the lines by time and channel, without the renewals of set-points, their answers, and the ids of messages.

    A renewal is an UpdateDynamicSchedule of the power that was ordered before.
    """
    return sorted(_kept(lines), key=lambda line: (line.at, line.channel))


def _kept(lines: Iterable[Line]) -> Iterator[Line]:
    powers: dict[str, object] = {}  # ordered last, by channel
    renewals: dict[tuple[str, str], str] = {}  # that are not answered, with their senders
    for line in lines:
        message = _message(line)
        if message is None:
            yield line
            continue
        key = line.channel, str(message[1])
        if message[0] == 2:
            power, before = _ordered(message[2], message[3]), powers.get(line.channel)
            if power is not None:
                powers[line.channel] = power
                if power == before and message[2] == "UpdateDynamicSchedule":
                    renewals[key] = line.sender
                    continue
        elif renewals.get(key, line.sender) != line.sender:
            del renewals[key]
            continue
        message[1] = ""
        yield Line(line.at, line.channel, line.sender, json.dumps(message))


def _message(line: Line) -> list[Any] | None:
    try:
        found = json.loads(line.text) if line.channel.startswith("ocpp:") else None
    except ValueError:
        return None
    return found if isinstance(found, list) else None


def _ordered(action: str, body: Any) -> object:
    """Return profile and power of an order, None for another message."""
    if action == "UpdateDynamicSchedule":
        return body["chargingProfileId"], body["scheduleUpdate"]
    if action != "SetChargingProfile" or "chargingProfile" not in body:
        return None
    profile = body["chargingProfile"]
    period = profile["chargingSchedule"][0]["chargingSchedulePeriod"][0]
    return profile["id"], {name: period[name] for name in ("limit", "setpoint") if name in period}
