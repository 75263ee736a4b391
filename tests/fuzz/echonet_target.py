"""Fuzz target of ECHONET Lite: python tests/fuzz/echonet_target.py [libFuzzer options] [CORPUS]

An input is a sequence of datagrams, each with a byte for its length (0 lets a second pass) and one for its sender, for
a node that is an emulated V2H box and a controller. Whatever it receives, it raises nothing, sends only valid frames of
a bounded length, keeps bounded numbers of nodes and counters, and its box keeps within its ratings.
"""

from __future__ import annotations

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["protocols.echonet", "emulators.charger.echonet"]):
    from emulators.charger.echonet.box import V2hBox, box_object
    from protocols.echonet.engine import MOST_COUNTED, MOST_WAITING, Node
    from protocols.echonet.events import Announce, Discover, Request
    from protocols.echonet.frames import CONTROLLER, Esv, Frame, Property
    from protocols.echonet.requests import MOST_NODES
    from protocols.errors import LocalProtocolError

from emulators.battery.pack import Pack

MOST_STEPS = 64
LONGEST = 3000  # bytes of an answer to 255 bytes


def check(data: bytes) -> None:
    """Run one sequence."""
    box, now, position = V2hBox(), 0.0, 0
    box.connect(Pack(), now)
    node = Node([box_object(box)])
    node.command(Announce(), now)
    node.command(Discover(), now)
    for _ in range(MOST_STEPS):
        if position + 2 > len(data):
            break
        size, sender = data[position], f"192.0.2.{data[position + 1] & 3}"
        if size:
            node.receive(data[position + 2 : position + 2 + size], sender, now)
        else:
            now += 1.0
            node.expire(now)
            with contextlib.suppress(LocalProtocolError):
                node.command(Request(sender, CONTROLLER, Esv.GET, (Property(0x80),)), now)
        position += 2 + size
        verify(node, box, now)


def verify(node: Node, box: V2hBox, now: float) -> None:
    """Check what must hold after each step."""
    sent = node.data_to_send()
    if len(sent) > MOST_WAITING + MOST_NODES:
        raise AssertionError(f"{len(sent)} datagrams")
    for one in sent:
        if len(one.data) > LONGEST or Frame.decode(one.data).encode() != one.data:
            raise AssertionError(f"sent {one}")
    if len(node.ignored) > MOST_COUNTED:
        raise AssertionError("counters without bound")
    spec, reading = box.stage.spec, box.stage.reading(now)
    if not -spec.max_discharge_w - 1 <= reading.ac_power_w <= spec.max_charge_w + 1:
        raise AssertionError(f"{reading.ac_power_w} W")


def main() -> None:
    """Run libFuzzer."""
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
