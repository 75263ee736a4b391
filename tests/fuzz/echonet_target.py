"""Fuzz target of ECHONET Lite: python tests/fuzz/echonet_target.py [libFuzzer options] [CORPUS]

An input is a sequence of datagrams, each with a byte for its length (0 lets a second pass) and one for its sender, for
a node that is an emulated V2H box with the other devices of its home, and a controller; its first byte chooses its
limits. Whatever it receives, it raises nothing, sends only valid frames of a bounded length, keeps bounded numbers of
nodes and counters, its box keeps within its ratings, and nodes that may not order set nothing.
"""

from __future__ import annotations

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["protocols.echonet", "emulators.charger.echonet", "emulators.echonet"]):
    from emulators.charger.echonet.box import V2hBox, box_object
    from emulators.echonet.run import BESIDE, BoxOptions, create_home
    from protocols.echonet.engine import MOST_COUNTED, MOST_WAITING, Node, NodeSettings
    from protocols.echonet.events import Announce, Discover, Event, PropertyWritten, Request
    from protocols.echonet.frames import CONTROLLER, Esv, Frame, Property
    from protocols.echonet.requests import MOST_NODES
    from protocols.errors import LocalProtocolError

from emulators.battery.pack import Pack

MOST_STEPS = 64
NOON = 1_780_282_800.0  # in Japan
CONTROLLING = "192.0.2.1"
LONGEST = 3000  # bytes of an answer to 255 bytes


def check(data: bytes) -> None:
    """Run one sequence."""
    box, now, position = V2hBox(), 0.0, 1
    box.connect(Pack(), now)
    home = create_home(BoxOptions(beside=tuple(BESIDE)), box, NOON)
    limited = bool(data) and data[0] & 1 == 1
    limits = NodeSettings(requests_per_s=20.0, controllers=frozenset({CONTROLLING})) if limited else NodeSettings()
    node = Node([box_object(box), *(make(home) for make in BESIDE.values())], limits)
    node.command(Announce(), now)
    node.command(Discover(), now)
    for _ in range(MOST_STEPS):
        if position + 2 > len(data):
            break
        size, sender = data[position], f"192.0.2.{data[position + 1] & 3}"
        if size:
            verify_writes(node.receive(data[position + 2 : position + 2 + size], sender, now), limited)
        else:
            now += 1.0
            node.expire(now)
            with contextlib.suppress(LocalProtocolError):
                node.command(Request(sender, CONTROLLER, Esv.GET, (Property(0x80),)), now)
        position += 2 + size
        verify(node, box, now)


def verify_writes(events: list[Event], limited: bool) -> None:
    """Check that only nodes that may order have set properties."""
    writers = {one.node for one in events if isinstance(one, PropertyWritten)}
    if limited and writers - {CONTROLLING}:
        raise AssertionError(f"set by {writers}")


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
