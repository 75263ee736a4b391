"""Adaptation of recorded messages to a live session: session ids and times; everything else stays as recorded."""

from __future__ import annotations

import copy

from protocols.exi.lenient import relaxed
from protocols.iso15118.codecs import BY_NAME
from protocols.iso15118.dialogue import Seen
from protocols.json_values import first_member, members

TIMES = frozenset({"TimeStamp", "TimeAnchor", "MeterTimestamp", "EVSETimeStamp", "DateTimeNow", "TMeter"})
SESSION_ID = "SessionID"
EARLIEST = 1_000_000_000  # Unix times below are no times of a day


class Adaptation:
    """Session ids of the live peer by recorded id, and the time that passed since the recording."""

    def __init__(self) -> None:
        self.ids: dict[str, str] = {}

    def payload(self, seen: Seen, now: float) -> bytes:
        """Return the payload of a recorded message for the live session; of an unreadable one as recorded."""
        if not seen.plain:
            return seen.payload
        plain = copy.deepcopy(seen.plain)
        self._adapt(plain, self._shift(plain, now), now)
        if plain == seen.plain:
            return seen.payload
        codec = BY_NAME[seen.schema]
        spare = _spare(seen)
        name, message = relaxed(codec).from_plain(plain)
        return relaxed(codec).encode(message, element=name) + spare

    def _shift(self, plain: dict[str, object], now: float) -> int | None:
        """Return the seconds since the recording by the header of -20; None if the message has no such time."""
        recorded = members(members(first_member(plain)[1]).get("Header")).get("TimeStamp")
        return None if not isinstance(recorded, int) else round(now) - recorded

    def _adapt(self, plain: object, shift: int | None, now: float) -> None:
        if isinstance(plain, list):
            for item in plain:
                self._adapt(item, shift, now)
        if not isinstance(plain, dict):
            return
        for name, value in plain.items():
            if name == SESSION_ID:
                plain[name] = self.ids.get(str(value).upper(), value)
            elif name in TIMES and isinstance(value, int) and value >= EARLIEST:
                plain[name] = round(now) if shift is None else value + shift
            else:
                self._adapt(value, shift, now)


def _spare(seen: Seen) -> bytes:
    """Return the bytes after the EXI of a recorded message."""
    wide = relaxed(BY_NAME[seen.schema])
    wide.decode_element(seen.payload)
    return seen.payload[(wide.end_bit + 7) // 8 :]
