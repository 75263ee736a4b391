"""Fuzz target of SLAC: python tests/fuzz/slac_target.py [libFuzzer options] [CORPUS]

An input is a sequence of frames for an EVSE and a vehicle, each with a length of one byte (0 lets time pass). Whatever
they receive, the engines raise nothing, stay bounded, move their deadline on, and give a key to one vehicle only.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator

import atheris

with atheris.instrument_imports(include=["protocols.slac"]):
    from protocols.iec61851 import PilotState
    from protocols.slac.codec import decode
    from protocols.slac.engine import MOST_WAITING
    from protocols.slac.ev import MOST_REPORTS, EvSlac
    from protocols.slac.events import PilotChanged, StartMatching
    from protocols.slac.evse import EvseSlac
    from protocols.slac.frames import Frame, SlacFrameError
    from protocols.slac.messages import SetKeyCnf, SlacMatchCnf
    from protocols.slac.settings import EvseSettings, EvSettings

EVSE, EV, MODEM = (bytes.fromhex(one) for one in ("020000000001", "020000000011", "00b052000001"))
PAUSES = (0.01, 0.05, 0.2, 0.4, 1.3, 13.0)
MOST_STEPS = 64


def steps(data: bytes) -> Iterator[bytes]:
    """Yield the frames of an input; b"" for a pause."""
    position = 0
    for _ in range(MOST_STEPS):
        if position >= len(data):
            return
        size = data[position]
        yield data[position + 1 : position + 1 + size]
        position += 1 + size


def collect(engine: EvSlac | EvseSlac, holders: dict[bytes, set[bytes]]) -> None:
    """Verify what an engine sends."""
    frames = engine.data_to_send()
    if len(frames) > MOST_WAITING:
        raise AssertionError("too many frames wait")
    for data in frames:
        message = decode(data).message
        if isinstance(message, SlacMatchCnf):
            holders.setdefault(message.nmk, set()).add(data[:6])
            if len(holders[message.nmk]) > 1:
                raise AssertionError("two vehicles have one key")


def check(data: bytes) -> None:
    """Check the properties for one input."""
    chance = random.Random(1)
    evse, ev = EvseSlac(EvseSettings(EVSE, max_sessions=2), 0.0, entropy=chance.randbytes), EvSlac(EvSettings(EV), 0.0)
    evse.receive(Frame(EVSE, MODEM, SetKeyCnf(1)).encode(), 0.0)
    evse.command(PilotChanged(PilotState.B), 0.0)
    ev.command(StartMatching(), 0.0)
    ev.run_id = bytes(8)
    now = 0.0
    holders: dict[bytes, set[bytes]] = {}
    for number, frame in enumerate(steps(data)):
        for engine in (evse, ev):
            if frame:
                engine.receive(frame, now)
            collect(engine, holders)
        if not frame:
            now += PAUSES[number % len(PAUSES)]
            for engine in (evse, ev):
                for _ in range(1000):
                    if (due := engine.deadline()) is None or due > now:
                        break
                    engine.expire(now)
                    collect(engine, holders)
                else:
                    raise AssertionError("the deadline does not move on")
        if len(evse.sessions) > 2 or len(ev.reports) > MOST_REPORTS:
            raise AssertionError("more sessions or reports than allowed")


def read(data: bytes) -> None:
    """Check one input as a single frame, too."""
    try:
        frame = decode(data)
    except SlacFrameError:
        check(data)
        return
    if decode(frame.encode()) != frame:
        raise AssertionError("what was written does not read the same")
    check(bytes((min(len(data), 255),)) + data[:255])


def main() -> None:
    """Run libFuzzer."""
    atheris.Setup(sys.argv, read)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
