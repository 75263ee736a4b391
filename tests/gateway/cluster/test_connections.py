"""Connections of stations at one instance, and at the holder: epochs, fence, waiting messages, lost instances."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from emulators.runtime.clock import VirtualClock
from emulators.runtime.transports import MemoryTextWire, text_wire_pair
from gateway.cluster.connections import MAX_OWNING, MAX_WAITING, OWNED_WITHIN_S, SiteConnections
from gateway.cluster.cut_off import CUT_OFF_S, CutOff
from gateway.cluster.fence import Refusal
from gateway.cluster.io import Absent, ClusterError, Record
from gateway.cluster.lease import Timing
from gateway.cluster.messages import Attach, Beat, Close, Down, Gone, Links, Message, Resync, Up
from gateway.cluster.remote import ABSENT_AFTER_S, CHANGES_AT_MOST, DIFFERS_AT_MOST, RemoteStations
from protocols.ports import TextWire

pytestmark = pytest.mark.virtual_time
TIMING = Timing.of(5.0)


class Owners:
    """Records of owners in memory; each write has the next revision."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.revision = 0
        self.away = False
        self.write_s = 0.0
        self.writing = self.most_writing = 0

    async def put(self, key: str, value: bytes) -> int:
        if self.away:
            raise ClusterError("NATS did not answer")
        self.writing += 1
        self.most_writing = max(self.writing, self.most_writing)
        if self.write_s:
            await asyncio.sleep(self.write_s)
        self.writing -= 1
        self.revision += 1
        self.records[key] = Record(key, value, self.revision)
        return self.revision

    async def delete(self, key: str, last: int) -> None:
        if key in self.records and self.records[key].revision == last:
            del self.records[key]


@dataclass
class Site:
    """An instance with connections and a holder, whose messages arrive at once."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    owners: Owners = field(default_factory=Owners)
    sent: list[Message] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)  # received by the holder
    wires: list[TextWire] = field(default_factory=list)  # served by the holder
    term: int = 7
    acts: bool = True
    absent: bool = False

    def __post_init__(self) -> None:
        self.connections = SiteConnections("s", "gw1/run", self, self.owners, TIMING, self.clock)
        self.stations = RemoteStations("s", self, self.send, self._serve, self.clock)

    # lease of the holder

    def may_act(self) -> bool:
        return self.acts

    def proof(self, instance: str) -> float | None:
        return self.clock.now()

    # messages

    def send(self, to: str, message: Message) -> None:
        self.sent.append(message)
        match message:
            case Down() | Close():
                self.connections.deliver(message)
            case Resync():
                self.connections.links()
            case Up():
                self.stations.up(message)
            case Gone():
                self.stations.gone(message)
            case Beat():
                self.stations.beat(message)
            case Links():
                self.stations.links(message)

    async def request(self, to: str, message: Message, within_s: float = 2.0) -> Message:
        if self.absent:
            raise Absent(to)
        assert isinstance(message, Attach)
        return self.stations.attach(message)

    async def _serve(self, wire: TextWire, attached: Attach) -> None:
        self.wires.append(wire)
        try:
            while (text := await wire.receive()) is not None:
                self.texts.append(text)
        finally:
            await wire.close()  # as `protocols.ocpp.io.Link` does, also when it is cancelled

    @asynccontextmanager
    async def connected(self, station: str = "CP1") -> AsyncIterator[MemoryTextWire]:
        """Connect a station; yields its end of the wire."""
        ours, theirs = text_wire_pair(station, "gateway", subprotocol="ocpp2.1")
        serving = asyncio.create_task(self.connections.serve(theirs, station, 0))
        await asyncio.sleep(1)
        try:
            yield ours
        finally:
            await ours.close()
            await asyncio.wait({serving})

    async def silent(self, seconds: float) -> list[str]:
        """Let time pass without regular messages; returns the instances that then count as absent."""
        absent = []
        for _ in range(round(seconds)):
            await asyncio.sleep(1)
            absent += self.stations.check_presence()
        return absent

    def down(self, text: str, *, term: int | None = None, proof: float | None = None, epoch: int | None = None) -> None:
        """Deliver a message of a holder."""
        one = self.connections.by_station["CP1"]
        proved = self.clock.now() if proof is None else proof
        message = Down(
            "s", self.term if term is None else term, proved, "CP1", one.epoch if epoch is None else epoch, text
        )
        self.connections.deliver(message)


async def test_messages_wait_for_a_holder_and_pass_in_order() -> None:
    site = Site()
    async with site.connected() as station:
        await station.send("one")
        await station.send("two")
        await asyncio.sleep(3)
        assert site.texts == []
        site.connections.held_by("gw2", 7)
        await asyncio.sleep(3)
        await station.send("three")
        await asyncio.sleep(1)
        assert site.texts == ["one", "two", "three"]
        await site.wires[0].send("answer")
        assert await station.receive() == "answer"
    assert site.owners.records == {}


async def test_a_station_with_too_many_waiting_messages_is_closed() -> None:
    site = Site()
    async with site.connected() as station:
        for number in range(MAX_WAITING + 1):
            await station.send(str(number))
        assert await station.receive() is None


async def test_messages_of_stale_holders_and_to_earlier_connections_are_refused() -> None:
    site = Site()
    site.connections.held_by("gw2", 7)
    async with site.connected() as station:
        now = site.clock.now()
        site.down("stale", term=6)
        site.down("not proved", proof=now - TIMING.valid_s)
        site.down("to another", epoch=0)
        site.down("good")
        assert await station.receive() == "good"
        refused = site.connections.refused
        assert refused == {Refusal.EARLIER_TERM: 1, Refusal.LEASE_NOT_PROVED: 1, Refusal.EARLIER_CONNECTION: 1}


async def test_a_message_that_waits_in_a_paused_instance_is_refused_when_it_continues() -> None:
    site = Site()
    site.connections.held_by("gw2", 7)
    async with site.connected() as station:
        proof = site.clock.now()
        await asyncio.sleep(TIMING.valid_s)
        site.down("late", proof=proof)
        site.down("good")
        assert await station.receive() == "good"


async def test_a_later_connection_replaces_an_earlier_one() -> None:
    site = Site()
    site.connections.held_by("gw2", 7)
    async with site.connected() as first, site.connected() as second:
        assert await first.receive() is None
        await second.send("here")
        await asyncio.sleep(1)
        assert site.texts == ["here"]
        late = Attach("s", "gw1", "CP1", 1, "ocpp2.1", 0, "peer", False)
        answer = site.stations.attach(late)
        assert answer.refusal
        site.stations.up(Up("s", "gw1", "CP1", 1, "from the earlier one"))
        await asyncio.sleep(1)
        assert site.texts == ["here"]


async def test_a_holder_without_its_lease_sends_nothing() -> None:
    site = Site()
    site.connections.held_by("gw2", 7)
    async with site.connected():
        site.acts = False
        with pytest.raises(ConnectionError):
            await site.wires[0].send("too late")
        assert not any(isinstance(one, Down) for one in site.sent)


async def test_connections_of_a_silent_instance_end_and_are_attached_again_when_it_is_back() -> None:
    site = Site()
    site.connections.held_by("gw2", 7)
    async with site.connected() as station:
        assert len(site.wires) == 1
        assert await site.silent(ABSENT_AFTER_S + 1) == ["gw1"]
        for _ in range(6):  # regular messages that count another number of connections
            site.connections.beat()
            await asyncio.sleep(1)
        await station.send("again")
        await asyncio.sleep(1)
        assert (len(site.wires), site.texts) == (2, ["again"])


async def test_a_holder_that_was_paused_does_not_take_its_own_pause_for_silence() -> None:
    site = Site()
    site.connections.held_by("gw2", 7)
    async with site.connected() as station:
        await site.silent(2)
        await asyncio.sleep(3 * ABSENT_AFTER_S)
        assert site.stations.check_presence() == []
        site.connections.beat()
        assert await site.silent(ABSENT_AFTER_S - 1) == []
        await station.send("still here")
        await asyncio.sleep(1)
        assert (len(site.wires), site.texts) == (1, ["still here"])
        assert await site.silent(2) == ["gw1"]


@pytest.mark.parametrize("lease_s", [2, 5, 10, 30, 60])
def test_two_lost_regular_messages_are_no_absence(lease_s: float) -> None:
    assert 2 * Timing.of(lease_s).beat_every_s < ABSENT_AFTER_S


async def test_a_new_holder_gets_the_connections_without_a_notice_to_the_station() -> None:
    site = Site()
    site.connections.held_by("gw2", 7)
    async with site.connected() as station:
        site.stations.close()
        site.stations = RemoteStations("s", site, site.send, site._serve, site.clock)
        site.term = 8
        await station.send("between")
        site.connections.held_by("gw3", 8)
        await asyncio.sleep(2)
        await station.send("after")
        await asyncio.sleep(1)
        assert site.texts[-1] == "after"
        attached = [one for one in site.sent if isinstance(one, Close)]
        assert attached == []
        await site.wires[-1].send("from the new one")
        assert await station.receive() == "from the new one"


@pytest.mark.parametrize(("answered", "again"), [(False, True), (True, False)])
async def test_a_call_without_an_answer_of_the_earlier_holder_goes_to_the_next_one(answered: bool, again: bool) -> None:
    """Else the station waits for its time-out with all that it has to report."""
    site = Site()
    site.connections.held_by("gw2", 7)
    call = '[2,"1","Heartbeat",{}]'
    async with site.connected() as station:
        await station.send(call)
        await asyncio.sleep(1)
        site.down('[2,"g","GetVariables",{}]')  # no answer
        await station.send('[3,"g",{}]')
        if answered:
            site.down('[3,"1",{}]')
        await asyncio.sleep(1)
        assert site.texts == [call, '[3,"g",{}]']
        site.texts.clear()
        site.connections.attach_all()  # to the same holder
        await asyncio.sleep(1)
        assert site.texts == []
        site.stations.close()
        site.stations = RemoteStations("s", site, site.send, site._serve, site.clock)
        site.term = 8
        site.connections.held_by("gw3", 8)
        await asyncio.sleep(2)
        assert site.texts == ([call] if again else [])


async def test_without_an_instance_that_answers_attachment_is_tried_again() -> None:
    site = Site(absent=True)
    site.connections.held_by("gw2", 7)
    async with site.connected() as station:
        await station.send("patient")
        await asyncio.sleep(5)
        site.absent = False
        await asyncio.sleep(2)
        assert site.texts == ["patient"]


async def test_a_connection_stays_while_its_owner_cannot_be_written_for_a_short_time() -> None:
    site = Site()
    site.connections.held_by("gw2", 7)
    site.owners.away = True
    async with site.connected() as station:
        await station.send("early")
        await asyncio.sleep(OWNED_WITHIN_S / 2)
        assert site.texts == []
        site.owners.away = False
        await asyncio.sleep(3)
        assert site.texts == ["early"]


async def test_a_connection_whose_owner_cannot_be_written_is_closed_in_the_end() -> None:
    site = Site()
    site.owners.away = True
    async with site.connected() as station:
        began = site.clock.now()
        assert await station.receive() is None
        assert site.clock.now() - began == pytest.approx(OWNED_WITHIN_S, abs=2.0)


async def test_of_a_wave_of_connections_some_owners_are_written_at_a_time() -> None:
    site = Site()
    site.connections.held_by("gw2", 7)
    site.owners.write_s = 0.1
    async with AsyncExitStack() as stack:
        for number in range(3 * MAX_OWNING):
            ours, theirs = text_wire_pair(f"CP{number}", "gateway", subprotocol="ocpp2.1")
            serving = asyncio.create_task(site.connections.serve(theirs, f"CP{number}", 0))
            stack.push_async_callback(asyncio.wait, {serving})
            stack.push_async_callback(ours.close)
        await asyncio.sleep(1)
        assert site.owners.most_writing == MAX_OWNING
        assert len(site.wires) == 3 * MAX_OWNING


class DeadWire(MemoryTextWire):
    """A connection that its station has left without a notice."""

    async def answers(self, within_s: float) -> bool:
        await asyncio.sleep(within_s)
        return False


@pytest.mark.parametrize("written_after_s", [0.1, 0.4, 1.5, OWNED_WITHIN_S - 1.0])  # the first connection, by NATS
@pytest.mark.parametrize("connected_after_s", [0.3, 1.2, 4.0, OWNED_WITHIN_S - 0.5])  # the second one
async def test_an_owner_that_is_written_late_does_not_displace_a_newer_connection(
    written_after_s: float, connected_after_s: float
) -> None:
    site = Site()
    site.connections.held_by("gw2", 7)

    class Late(Owners):
        async def put(self, key: str, value: bytes) -> int:
            await asyncio.sleep(written_after_s)
            return await site.owners.put(key, value)

    away = SiteConnections("s", "gw3/run", site, Late(), TIMING, site.clock)
    away.held_by("gw2", 7)
    ours, theirs = text_wire_pair("CP1", "gateway", subprotocol="ocpp2.1")
    theirs.__class__ = DeadWire
    dead = asyncio.create_task(away.serve(theirs, "CP1", 0))
    await asyncio.sleep(connected_after_s)
    async with site.connected() as station:
        await asyncio.sleep(2 * OWNED_WITHIN_S)
        await station.send("here")
        await asyncio.sleep(1)
        assert site.texts == ["here"]
    await ours.close()
    await dead


async def test_a_station_that_answers_keeps_a_connection_whose_owner_is_written_late() -> None:
    site = Site()
    site.connections.held_by("gw2", 7)
    site.owners.write_s = 3.0
    async with site.connected() as station:
        await station.send("here")
        await asyncio.sleep(5)
        assert site.texts == ["here"]


async def test_a_connection_that_opens_while_others_are_drained_is_closed_as_well() -> None:
    site = Site()
    site.connections.held_by("gw2", 7)
    known = site.connections.by_station
    async with site.connected(), site.connected("CP2"):
        wires = [one.wire for one in known.values()]
        draining = asyncio.create_task(site.connections.drain(per_s=1e-4))
        async with site.connected("CP3"):
            wires.append(known["CP3"].wire)
            await draining
            await asyncio.sleep(1)
            assert [wire.close_code for wire in wires if isinstance(wire, MemoryTextWire)] == [1012, 1012, 1012]


async def test_an_instance_without_nats_for_long_closes_its_stations_and_no_more_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They would stay at an instance where nothing reaches them, although another one has NATS."""
    monkeypatch.setattr("random.uniform", lambda low, high: (low + high) / 2)  # 10 s between two stations
    site, connected = Site(), [True]
    site.connections.held_by("gw2", 7)
    known = site.connections.by_station
    cut_off = CutOff(lambda: connected[0], site.clock)
    leaving = asyncio.create_task(cut_off.close([site.connections], per_s=0.1))
    async with site.connected(), site.connected("CP2"), site.connected("CP3"):
        wires = [one.wire for one in known.values() if isinstance(one.wire, MemoryTextWire)]
        await asyncio.sleep(2 * CUT_OFF_S)
        connected[0] = False
        await asyncio.sleep(CUT_OFF_S - 2)
        connected[0] = True
        await asyncio.sleep(2)
        connected[0] = False
        await asyncio.sleep(CUT_OFF_S - 2)
        assert [one.close_code for one in wires] == [None, None, None]
        states = [cut_off.lasts]
        await asyncio.sleep(4)
        states.append(cut_off.lasts)
        assert [one.close_code for one in wires].count(1012) == 1  # spread over time
        connected[0] = True
        await asyncio.sleep(2 * CUT_OFF_S)
        assert [one.close_code for one in wires].count(None) >= 1
        states.append(cut_off.lasts)
        connected[0] = False
        await asyncio.sleep(2 * CUT_OFF_S)
        assert [one.close_code for one in wires] == [1012, 1012, 1012]
        assert states == [False, True, False]
    leaving.cancel()


@pytest.mark.parametrize(("away", "code"), [(False, 1012), (True, 1013)])
async def test_a_connection_whose_owner_is_just_being_written_is_drained_as_well(away: bool, code: int) -> None:
    site = Site()
    site.owners.write_s, site.owners.away = 1.5, away
    _, wire = text_wire_pair("CP1", "gateway", subprotocol="ocpp2.1")
    serving = asyncio.create_task(site.connections.serve(wire, "CP1", 0))
    await asyncio.sleep(1)
    began = site.clock.now()
    await site.connections.drain(per_s=50)
    await asyncio.wait({serving}, timeout=1)
    assert wire.close_code == code
    assert site.clock.now() - began < 3  # also without NATS


async def test_connections_that_change_all_the_time_are_not_attached_again() -> None:
    """In a storm the count of an instance differs from that of the holder by those that are just being attached."""
    site = Site()
    site.connections.held_by("gw2", 7)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(site.connected("CP0"))
        for number in range(1, 15):
            site.stations.attach(Attach("s", "gw1", f"CP{number}", 100 + number, "ocpp2.1", 0, "peer", False))
            site.connections.beat()
            await asyncio.sleep(1)
        assert not [one for one in site.sent if isinstance(one, Resync)]
        for _ in range(DIFFERS_AT_MOST + 1):  # nothing changes any more
            site.connections.beat()
        assert [type(one) for one in site.sent if isinstance(one, Resync | Links)] == [Resync, Links]


async def test_connections_that_are_just_being_attached_again_are_not_requested_once_more() -> None:
    """An instance that was requested to attaches all its connections again; many of them take some seconds."""
    site = Site()
    site.connections.held_by("gw2", 7)
    known = [Attach("s", "gw1", f"CP{number}", 100 + number, "ocpp2.1", 0, "peer", False) for number in range(1, 15)]
    async with site.connected("CP0"):
        for one in known:
            site.stations.attach(one)
        for one in known:
            site.stations.attach(one)
            site.connections.beat()
        assert not [one for one in site.sent if isinstance(one, Resync)]


async def test_a_difference_is_corrected_although_connections_change_all_the_time() -> None:
    site = Site()
    site.connections.held_by("gw2", 7)
    async with site.connected("CP0"):
        for number in range(CHANGES_AT_MOST + 1):
            site.stations.attach(Attach("s", "gw1", "CP1", 100 + number, "ocpp2.1", 0, "peer", False))
            site.connections.beat()
        assert [type(one) for one in site.sent if isinstance(one, Resync | Links)] == [Resync, Links]
