"""Sockets of stations have their turn a few at a time, so that others do not wait for all of them."""

from __future__ import annotations

import asyncio
import os
import selectors
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from gateway.csms.settings import StationSettings
from gateway.event_loop import PAUSE_S, STATIONS_PER_TURN, GatewayLoop, TurnsSelector
from gateway.listener_limits import ACCEPTED_PER_TURN, listen
from tests.gateway.csms.test_security import serving

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
MOST, STATIONS = 3, 8


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    """Sockets that can be read."""
    with ExitStack() as stack:
        made = []
        for _ in range(STATIONS + 2):
            ours, peer = (stack.enter_context(closing(one)) for one in socket.socketpair())
            peer.send(b"12")
            made.append(ours)
        yield made


@pytest.fixture
def selector() -> Iterator[TurnsSelector]:
    with closing(TurnsSelector(MOST)) as made:
        yield made


def test_a_turn_has_a_few_stations_in_rotation_and_all_others(
    sockets: list[socket.socket], selector: TurnsSelector
) -> None:
    stations, others = sockets[:STATIONS], sockets[STATIONS:]
    for one in sockets:
        selector.register(one.fileno(), READ, one)
    for one in stations:
        selector.take_turns(one.fileno())
    turns = [[key.data for key, _ in selector.select(0)] for _ in range(STATIONS)]
    assert all(set(others) <= set(turn) and len(turn) == MOST + len(others) for turn in turns)
    assert Counter(one for turn in turns for one in turn if one in stations) == dict.fromkeys(stations, MOST)
    for one in sockets:
        one.recv(2)
    assert selector.select(0) == []


def test_a_socket_takes_turns_until_it_is_forgotten(sockets: list[socket.socket], selector: TurnsSelector) -> None:
    for one in sockets:
        selector.take_turns(one.fileno())  # before it is registered, as a new connection
        selector.register(one.fileno(), READ)
    for one in sockets:
        selector.unregister(one.fileno())  # as where it is not read for a time
        selector.register(one.fileno(), READ)
    assert len(selector.select(0)) == MOST
    for one in sockets:
        selector.forget_turns(one.fileno())
    assert len(selector.select(0)) == len(sockets)


@given(st.lists(st.tuples(st.sampled_from(["register", "modify", "unregister", "turns", "forget"]), st.integers(1, 3))))
def test_a_socket_has_the_same_keys_and_events_whether_it_takes_turns_or_not(steps: list[tuple[str, int]]) -> None:
    pair = socket.socketpair()
    with closing(pair[0]) as ours, closing(pair[1]) as peer, closing(TurnsSelector()) as selector:
        plain = selectors.EpollSelector()
        peer.send(b"1")
        for number, (step, events) in enumerate(steps):
            if step == "turns":
                selector.take_turns(ours.fileno())
            elif step == "forget":
                selector.forget_turns(ours.fileno())
            else:
                outcomes = [outcome(one, step, ours.fileno(), events, number) for one in (plain, selector)]
                assert outcomes[0] == outcomes[1]
            assert selector.select(0) == plain.select(0)
            assert dict(selector.get_map()) == dict(plain.get_map())
            assert len(selector.get_map()) == len(plain.get_map())
            for one in (ours, ours.fileno()):
                assert selector.get_map().get(one) == plain.get_map().get(one)
        plain.close()


def outcome(of: selectors.BaseSelector, step: str, descriptor: int, events: int, data: int) -> object:
    try:
        if step == "register":
            return of.register(descriptor, events, data)
        return of.modify(descriptor, events, data) if step == "modify" else of.unregister(descriptor)
    except KeyError:
        return KeyError


def test_stations_that_send_a_few_messages_gather_for_a_moment(sockets: list[socket.socket]) -> None:
    at = [0.0]
    with closing(TurnsSelector(MOST, lambda: at[0])) as selector:
        few, other = sockets[: MOST - 1], sockets[-1]
        for one in few:
            selector.take_turns(one.fileno())
            selector.register(one.fileno(), READ)
        assert len(selector.select(1.0)) == len(few)
        assert selector.select(PAUSE_S / 2) == []
        selector.register(other.fileno(), READ)
        assert [key.fd for key, _ in selector.select(1.0)] == [other.fileno()]  # which does not wait for them
        assert len(selector.select(0)) == len(sockets[: MOST - 1]) + 1  # nor does a turn that other work has begun
        other.recv(2)
        at[0] += PAUSE_S
        assert len(selector.select(1.0)) == len(few)


def test_one_message_now_and_then_and_full_turns_are_followed_by_no_pause(sockets: list[socket.socket]) -> None:
    at = [0.0]
    with closing(TurnsSelector(MOST, lambda: at[0])) as selector:
        for one in sockets[:MOST]:
            selector.take_turns(one.fileno())
            selector.register(one.fileno(), READ)
        for _ in range(2):
            assert len(selector.select(1.0)) == MOST  # more may wait
        for one in sockets[1:MOST]:
            one.recv(2)
        for _ in range(3):
            at[0] += PAUSE_S / 2
            assert len(selector.select(1.0)) == 1
        assert len(selector.select(1.0)) == 1  # soon after the one before
        assert selector.select(PAUSE_S / 2) == []
        assert len(selector.select(1.0)) == 1  # the pause ends in it


def test_a_closed_connection_is_read_to_its_end(selector: TurnsSelector) -> None:
    ours, peer = socket.socketpair()
    with closing(ours):
        selector.take_turns(ours.fileno())
        selector.register(ours.fileno(), READ)
        peer.close()
        assert [events for _, events in selector.select(0)] == [READ]
        descriptor = ours.fileno()
    selector.unregister(descriptor)  # its socket is closed already
    assert selector.select(0) == []


@pytest.fixture
def reused(selector: TurnsSelector) -> Iterator[tuple[int, socket.socket]]:
    """A descriptor that is registered for a socket which was closed, and now that of another; with its peer."""
    (before, its_peer), (after, peer) = socket.socketpair(), socket.socketpair()
    descriptor = before.detach()
    selector.register(descriptor, READ)
    os.dup2(after.fileno(), descriptor)
    with closing(its_peer), closing(after), closing(peer):
        yield descriptor, peer
        os.close(descriptor)


def test_the_next_socket_with_the_descriptor_of_one_that_was_not_unregistered_takes_turns(
    selector: TurnsSelector, reused: tuple[int, socket.socket]
) -> None:
    descriptor, peer = reused
    selector.take_turns(descriptor)
    peer.send(b"1")
    assert [key.fd for key, _ in selector.select(0)] == [descriptor]


def test_the_next_socket_with_the_descriptor_of_one_that_was_not_unregistered_is_registered_after_an_error(
    selector: TurnsSelector, reused: tuple[int, socket.socket]
) -> None:
    descriptor, peer = reused
    with pytest.raises(FileNotFoundError):
        selector.modify(descriptor, READ | WRITE)
    selector.register(descriptor, READ)
    peer.send(b"1")
    assert [key.fd for key, _ in selector.select(0)] == [descriptor]


def test_connections_of_stations_take_turns_until_they_end() -> None:
    async def connections(loop: GatewayLoop) -> None:
        stations = tuple(StationSettings(f"CP{number}") for number in range(2 * STATIONS_PER_TURN))
        async with serving(stations=stations) as (_, port), asyncio.timeout(20):
            address = f"ws://127.0.0.1:{port}/ocpp/"
            protocols = [Subprotocol("ocpp2.1")]
            opened = await asyncio.gather(*(connect(address + one.id, subprotocols=protocols) for one in stations))
            assert len(loop.in_turns) == len(stations)
            await asyncio.gather(*(one.close() for one in opened))
        assert not loop.in_turns

    with asyncio.Runner(loop_factory=GatewayLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, GatewayLoop)
        runner.run(connections(loop))


def test_a_turn_accepts_a_few_connections() -> None:
    with closing(listen("127.0.0.1", 0)) as listening, ExitStack() as stack:
        for _ in range(2 * ACCEPTED_PER_TURN):
            stack.enter_context(closing(socket.create_connection(listening.getsockname())))
        for _ in range(2):
            for _ in range(ACCEPTED_PER_TURN):
                stack.enter_context(closing(listening.accept()[0]))
            with pytest.raises(BlockingIOError):
                listening.accept()


def test_a_turn_with_fewer_connections_leaves_the_next_one_as_many_as_before() -> None:
    with closing(listen("127.0.0.1", 0)) as listening, ExitStack() as stack:
        for number in (ACCEPTED_PER_TURN - 1, ACCEPTED_PER_TURN):
            for _ in range(number):
                stack.enter_context(closing(socket.create_connection(listening.getsockname())))
            for _ in range(number):
                stack.enter_context(closing(listening.accept()[0]))
            with pytest.raises(BlockingIOError):
                listening.accept()
