"""Laws of the engine: arbitrary datagrams, and requests under loss, duplication, delay and spoofed senders."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.echonet.engine import MOST_COUNTED, MOST_WAITING, Node, NodeSettings
from protocols.echonet.events import Request, RequestAnswered, RequestFailed
from protocols.echonet.frames import CONTROLLER, NODE_PROFILE, Eoj, Esv, Frame, Property
from protocols.echonet.requests import MOST_NODES, RequestSettings
from protocols.errors import LocalProtocolError
from tests.protocols.echonet.bench import BOX, HEMS, OTHER, V2H, VALUES, Network, Values, v2h
from tests.rounds import rounds

TRIES, WITHIN = 3, 2.0
objects = st.sampled_from([V2H, Eoj(2, 0x7E, 0), NODE_PROFILE, CONTROLLER, Eoj(1, 0x30)])
properties = st.lists(
    st.builds(Property, st.sampled_from([*VALUES, 0x9D, 0x9F, 0xD5, 0xD6, 0xF0]), st.binary(max_size=20)), max_size=6
).map(tuple)
frames = st.builds(Frame, st.integers(0, 5), objects, objects, st.sampled_from(Esv), properties, st.just(()))
datagrams = st.one_of(st.binary(max_size=60), frames.map(Frame.encode))


@settings(max_examples=rounds(15, 40))
@given(st.lists(st.tuples(datagrams, st.sampled_from([BOX, HEMS, OTHER]), st.integers(0, 4)), max_size=20))
def test_no_datagram_raises_or_makes_the_node_grow(received: list[tuple[bytes, str, int]]) -> None:
    node, now = Node([v2h(Values(VALUES))], NodeSettings(watch_every_s=None)), 0.0
    for data, sender, seconds in received:
        node.receive(data, sender, now)
        with suppress(LocalProtocolError):
            node.command(Request(BOX, V2H, Esv.GET, (Property(0xDA),)), now)
        now += seconds
        node.expire(now)
        sent = node.data_to_send()
        assert len(sent) <= MOST_WAITING + MOST_NODES
        for one in sent:
            assert len(one.data) <= 2 * len(data) + 1500
            assert Frame.decode(one.data).encode() == one.data
    assert len(node.ignored) <= MOST_COUNTED


@settings(max_examples=rounds(15, 40))
@given(
    seed=st.integers(0, 10**6),
    loss=st.sampled_from([0.0, 0.2, 0.6, 1.0]),
    duplication=st.sampled_from([0.0, 0.5]),
    delay_s=st.sampled_from([0.01, 1.0, 3.0]),
    powers=st.lists(st.integers(0, 6000), min_size=1, max_size=6),
    spoofed=st.booleans(),
)
def test_every_request_ends_once_and_in_order(
    seed: int, loss: float, duplication: float, delay_s: float, powers: list[int], spoofed: bool
) -> None:
    plant = Values(VALUES)
    hems = Node(settings=NodeSettings(RequestSettings(WITHIN, TRIES)))
    network = Network({BOX: Node([v2h(plant)]), HEMS: hems}, seed, loss, duplication, delay_s)
    orders = [Request(BOX, V2H, Esv.SETC, (Property(0xEC, one.to_bytes(4, "big")),)) for one in powers]
    network.order(HEMS, *orders)
    while network.now < len(orders) * TRIES * WITHIN + 1:
        if spoofed:  # an attacker who does not see the traffic answers with every likely transaction
            for tid in range(1, 12):
                answer = Frame(tid, V2H, CONTROLLER, Esv.SET_RES, (Property(0xEC),))
                network.inject(answer.encode(), OTHER, HEMS)
        network.run(1.0)
    ended = [event for _, _, event in network.events if isinstance(event, RequestAnswered | RequestFailed)]
    assert [one.request for one in ended] == orders
    assert all(not one.refused for one in ended if isinstance(one, RequestAnswered))
    if loss == 0 and delay_s < 1:
        assert all(isinstance(one, RequestAnswered) for one in ended)
        assert plant.values[0xEC] == powers[-1]
    if loss == 1:
        assert all(isinstance(one, RequestFailed) for one in ended)
        assert plant.values[0xEC] == VALUES[0xEC]


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.floats(0, 0.5), st.sampled_from([0.01, 0.5]))
def test_an_answered_set_was_applied(seed: int, loss: float, delay_s: float) -> None:
    plant = Values(VALUES)
    network = Network({BOX: Node([v2h(plant)]), HEMS: Node()}, seed, loss, 0.3, delay_s)
    network.order(HEMS, Request(BOX, V2H, Esv.SETC, (Property(0xEC, (4321).to_bytes(4, "big")),)))
    network.run(20)
    for one in network.of(HEMS, RequestAnswered):
        assert (one.refused, plant.values[0xEC]) == (frozenset(), 4321)
