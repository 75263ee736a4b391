"""A host and its modem on an interface: two of them in memory with their pilots, and `v2x slac` on a veth pair."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from emulators.ev.slac_lines import LINES
from emulators.powerline.modem import MODEM_PROFILES, EmulatedModem
from emulators.powerline.program import emulated_modem
from emulators.powerline.real_interface import EvPilotEnd, EvsePilotEnd, OnLine
from protocols.iec61851 import PilotState, PlugIn, Unplug
from protocols.slac.ev import EvSlac
from protocols.slac.events import Matched, PilotChanged, StartMatching
from protocols.slac.evse import EvseSlac
from protocols.slac.plug import EvPlug, EvsePlug
from protocols.slac.settings import EvseSettings, EvseState, EvSettings
from tests.emulators.powerline.simulated_cables import ev_mac, evse_mac
from tests.interop.veth_link import EV, SE, veth_link

V2X = (sys.executable, "-m", "gateway.cli", "slac")


class Cable:
    """Two engines on one line."""

    def __init__(self) -> None:
        chance = random.Random(1)
        self.evse = EvsePlug(EvseSettings(evse_mac(1)), 0.0, entropy=chance.randbytes)
        self.ev = EvPlug(EvSettings(ev_mac(1)), 0.0, entropy=chance.randbytes)
        self.ends = [
            OnLine(self.evse, emulated_modem(evse_mac(1), MODEM_PROFILES["qca7000"]), 8, EvsePilotEnd(self.evse)),
            OnLine(self.ev, emulated_modem(ev_mac(1), MODEM_PROFILES["qca7005"]), 8, EvPilotEnd(self.ev)),
        ]
        self.now = 0.0
        self.events: list[object] = []
        self.cut = False

    def run(self, seconds: float, when: Callable[[], bool] = lambda: False) -> bool:
        until = self.now + seconds
        while not when():
            due = min(one for end in self.ends if (one := end.deadline()) is not None)
            if due > until:
                self.now = until
                return when()
            self.now = max(self.now, due)
            for end, other in (self.ends, self.ends[::-1]):
                self.events += end.expire(self.now)
                self._exchange(end, other)
        return True

    def _exchange(self, end: OnLine, other: OnLine) -> None:
        while frames := end.data_to_send():
            for data in frames:
                self.events += [] if self.cut else other.receive(data, self.now)
            end, other = other, end

    def matched(self) -> bool:
        return sum(isinstance(one, Matched) for one in self.events) == 2


def test_a_plug_over_a_line() -> None:
    cable = Cable()
    cable.run(3.0)
    assert cable.evse.pilot.state is PilotState.A
    cable.ev.command(PlugIn(), cable.now)
    assert cable.run(20.0, cable.matched)
    assert cable.evse.slac.modem.nmk == cable.ev.slac.modem.nmk
    assert [LINES[type(one)](one) for one in cable.events if type(one) in LINES]
    cable.ev.command(Unplug(), cable.now)
    cable.run(2.0)
    assert cable.evse.pilot.state is PilotState.A
    assert cable.evse.slac.state is EvseState.UNMATCHED


def test_a_process_that_is_gone_is_an_unplugged_vehicle() -> None:
    cable = Cable()
    cable.ev.command(PlugIn(), 0.0)
    assert cable.run(20.0, cable.matched)
    cable.cut = True
    cable.run(3.0)
    assert cable.evse.pilot.state is PilotState.A


@pytest.mark.parametrize("data", [b"", b"v2x pilot 1", b"\xff" * 14 + b"v2x pilot 1\xff", b"\xff" * 12 + b"\x88\xb5"])
def test_frames_that_are_none(data: bytes) -> None:
    cable = Cable()
    for end in cable.ends:
        end.receive(data, 0.0)
        end.modem.from_host(data, 0.0)


def test_other_traffic_passes_with_a_link_only() -> None:
    cable = Cable()
    packet = evse_mac(1) + ev_mac(1) + b"\x86\xdd" + bytes(46)

    def passes() -> bool:
        sender, receiver = cable.ends[1].modem, cable.ends[0].modem
        sender.from_host(packet, cable.now)
        for data in sender.line_frames():
            receiver.from_line(data, cable.now, 8)
        return packet in receiver.host_frames()

    assert not passes()
    cable.ev.command(PlugIn(), 0.0)
    assert cable.run(20.0, cable.matched)
    assert passes()


def test_a_foreign_modem_is_no_peer() -> None:
    modem = EmulatedModem(b"\x04\x65\x65\0\0\1")
    other = EmulatedModem(b"\x04\x65\x65\0\0\2")
    assert not modem.linked(1.0)
    modem.from_line(b"\xff" * 6 + other.mac + b"\x88\xb5" + b"v2x beacon 1" + bytes(14), 1.0, 8)
    assert not modem.linked(1.0)


def test_a_foreign_host_gets_a_modem() -> None:
    """An EVSE that addresses the modem at its own interface, at the other end of the line."""
    chance = random.Random(1)
    evse = EvseSlac(EvseSettings(evse_mac(1)), 0.0, entropy=chance.randbytes)
    evse.command(PilotChanged(PilotState.B), 0.0)
    ev = EvSlac(EvSettings(ev_mac(1)), 0.0, entropy=chance.randbytes)
    end = OnLine(ev, emulated_modem(ev_mac(1), MODEM_PROFILES["qca7000"]), 8)
    events: list[object] = []
    now, began = 0.0, False
    while now < 20.0 and sum(isinstance(one, Matched) for one in events) < 2:
        if now > 1.0 and not began:
            ev.command(StartMatching(), now)
            began = True
        for engine, other in ((evse, end), (end, evse), (evse, end)):
            events += engine.expire(now)
            for data in engine.data_to_send():
                events += other.receive(data, now)
        now += 0.005
    assert [type(one) for one in events if isinstance(one, Matched)] == [Matched, Matched]
    assert evse.modem.nmk == ev.modem.nmk


@pytest.mark.soak
@pytest.mark.timeout(120)
def test_a_neighbours_vehicle_on_a_bridge(tmp_path: Path) -> None:
    """Two bays on one line: each vehicle is received by both EVSEs and takes the one at its cable."""
    hosts = {"evse1": evse_mac(1), "evse2": evse_mac(2), "ev1": ev_mac(1), "ev2": ev_mac(2)}
    script = "ip link add br0 type bridge; ip link set br0 up;"
    for name, mac in hosts.items():
        script += f"ip link add {name} address {mac.hex(':')} type veth peer name {name}b;"
        script += f"ip link set {name}b master br0; ip link set {name} up; ip link set {name}b up;"
    with veth_link() as link:
        subprocess.run(link.command("sh", "-ec", script), check=True)
        running = {}
        for name in hosts:
            role, bay = name[:-1], name[-1]
            other = (ev_mac if role == "evse" else evse_mac)(3 - int(bay))
            options: tuple[str, ...] = ("--interface", name, "--role", role, "--modem", "emulated", "--stay-s", "1")
            options += ("--matchings", "1") if role == "evse" else ()
            near = ("--neighbour", f"{other.hex(':')}=40", "--json")
            running[name] = link.start(*V2X, *options, *near, log=tmp_path / f"{name}.log")
        try:
            assert [one.wait(60) for one in running.values()] == [0] * 4, [one.text() for one in running.values()]
        finally:
            for one in running.values():
                one.stop()
    for number in (1, 2):
        events = [json.loads(line) for line in running[f"ev{number}"].text().splitlines()]
        assert {one["evse"] for one in events if one["event"] == "Matched"} == {evse_mac(number).hex().upper()}


@pytest.mark.soak
@pytest.mark.timeout(90)
def test_both_roles_on_a_veth_pair(tmp_path: Path) -> None:
    with veth_link() as link:
        options = ("--modem", "emulated", "--stay-s", "0.3")
        evse = link.start(
            *V2X, *options, "--interface", SE, "--role", "evse", "--matchings", "1", log=tmp_path / "evse.log"
        )
        ev = link.start(*V2X, *options, "--interface", EV, "--role", "ev", "--json", log=tmp_path / "ev.log")
        try:
            assert ev.wait(60) == 0, ev.text() + evse.text()
            assert evse.wait(10) == 0, evse.text()
        finally:
            for running in (ev, evse):
                running.stop()
    events = [json.loads(line)["event"] for line in ev.text().splitlines()]
    assert events[0] == "Listening"
    assert {"EvseChosen", "KeySet", "Matched"} < set(events)
    assert events[-1] == "Summary"
    assert evse.text().splitlines()[-1] == "matched: 1"
