"""Times at which set-points leave the holder of their site, and at which instances write them to sockets of stations.

`record` lets the process of an instance note them in a file, one line each that is written at once, so that a process
that is killed loses none of them. `read` returns what all instances noted.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

from gateway.cluster.connections import SiteConnections
from gateway.cluster.messages import Close, Down
from gateway.cluster.remote import RemoteWire
from protocols.ocpp.io import PushingConnection
from tests.gateway.cluster.judge import Sending

SETPOINT = r'\[2,"([^"]+)","(?:SetChargingProfile|UpdateDynamicSchedule)",'
IN_TEXT, IN_FRAME = re.compile(SETPOINT), re.compile(rb".{2,10}?" + SETPOINT.encode(), re.DOTALL)
BEGAN, LEAVES, WRITES, WRITTEN = "began", "leaves", "writes", "written"


def record(path: Path) -> None:
    """Let this process note the set-points that its control sends, and those that it writes.

    The line before a write has the earliest time of it, the line after it the latest: the process may be paused or
    killed in between. What the system has not taken at once has no second line.
    """
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    terms: dict[str, int] = {}  # by message id
    latest = 0
    down, deliver, send_data = RemoteWire._down, SiteConnections.deliver, PushingConnection.send_data

    def note(*line: object) -> None:
        os.write(file, json.dumps([*line, time.monotonic()]).encode() + b"\n")

    def noted_down(self: RemoteWire, text: str) -> None:
        found = IN_TEXT.match(text)
        if found is not None:
            note(LEAVES, found[1])
        down(self, text)

    def noted_deliver(self: SiteConnections, message: Down | Close) -> None:
        nonlocal latest
        if message.term > latest:
            latest = message.term
            note(BEGAN, latest)
        found = IN_TEXT.match(message.text) if isinstance(message, Down) else None
        if found is not None:
            terms[found[1]] = message.term
        deliver(self, message)

    def noted_send_data(self: PushingConnection) -> None:
        found = [one[1].decode() for one in map(IN_FRAME.match, self.protocol.writes) if one is not None]
        for call in found:
            note(WRITES, call, terms[call])
        send_data(self)
        if not self.transport.get_write_buffer_size():
            for call in found:
                note(WRITTEN, call)

    RemoteWire._down = noted_down  # type: ignore[method-assign]
    SiteConnections.deliver = noted_deliver  # type: ignore[method-assign]
    PushingConnection.send_data = noted_send_data  # type: ignore[method-assign, assignment]


def read(paths: Iterable[Path]) -> tuple[dict[str, Sending], dict[int, float]]:
    """Return the set-points that were written, by message id, and when the first message of each term was seen."""
    began: dict[int, float] = {}
    left: dict[str, float] = {}
    writes: dict[str, tuple[int, float]] = {}
    written: dict[str, float] = {}
    for path in paths:
        for line in path.read_text().splitlines():
            match json.loads(line):
                case [kind, term, at] if kind == BEGAN:
                    began[term] = min(at, began.get(term, at))
                case [kind, call, at] if kind == LEAVES:
                    left[call] = at
                case [kind, call, term, at] if kind == WRITES:
                    writes[call] = term, at
                case [kind, call, at] if kind == WRITTEN:
                    written[call] = at
    found = {call: Sending(term, left[call], at, written.get(call)) for call, (term, at) in writes.items()}
    return found, began
