"""Engine of a node: every service, answers of own objects, announcements, discovery, requests."""

from __future__ import annotations

import pytest

from protocols.echonet.engine import LONGEST_ANSWER, MOST_COUNTED, MOST_WAITING, Node, NodeSettings
from protocols.echonet.events import (
    Announce,
    DatagramIgnored,
    Discover,
    NodeFound,
    Notify,
    ObjectDescribed,
    PropertiesNotified,
    PropertyWritten,
    Request,
    RequestAnswered,
    RequestFailed,
    WriteRefused,
)
from protocols.echonet.frames import CONTROLLER, NODE_PROFILE, Eoj, Esv, Frame, Property, decode_map
from protocols.echonet.objects import LocalObject, version
from protocols.echonet.requests import MOST_NODES, MOST_QUEUED, RequestSettings
from protocols.errors import LocalProtocolError
from tests.protocols.echonet.bench import BOX, HEMS, OTHER, V2H, VALUES, Network, Values, v2h

POWER, MODE, METHOD, STATE = 0xEC, 0xDA, 0xDD, 0xC7
POWER_3KW, DISCHARGE = Property(POWER, (3000).to_bytes(4, "big")), Property(MODE, b"\x43")


def device(plant: Values | None = None) -> Node:
    return Node([v2h(plant or Values(VALUES))])


def ask(node: Node, frame: Frame, sender: str = HEMS) -> list[tuple[str | None, Frame]]:
    """Return the answers of a node to a frame."""
    node.data_to_send()
    node.receive(frame.encode(), sender, 0.0)
    return [(one.destination, Frame.decode(one.data)) for one in node.data_to_send()]


def frame(esv: Esv, *properties: Property, eoj: Eoj = V2H, read: tuple[Property, ...] = ()) -> Frame:
    return Frame(7, CONTROLLER, eoj, esv, properties, read)


def test_get_of_several_properties() -> None:
    [(destination, answer)] = ask(device(), frame(Esv.GET, Property(MODE), Property(0xE4)))
    assert destination == HEMS
    assert answer == Frame(7, V2H, CONTROLLER, Esv.GET_RES, (Property(MODE, b"\x44"), Property(0xE4, b"\x50")))


def test_get_of_a_property_without_value_answers_the_others() -> None:
    out_of_range = Values({**VALUES, 0xE2: 10**9})
    [(_, answer)] = ask(device(out_of_range), frame(Esv.GET, Property(MODE), Property(0xE2), Property(0xCD)))
    assert answer.esv is Esv.GET_SNA
    assert answer.properties == (Property(MODE, b"\x44"), Property(0xE2), Property(0xCD))


def test_set_with_answer_announces_what_has_changed() -> None:
    plant = Values(VALUES)
    (to_hems, answer), (to_all, notice) = ask(device(plant), frame(Esv.SETC, POWER_3KW, DISCHARGE))
    assert (to_hems, answer.esv, answer.properties) == (HEMS, Esv.SET_RES, (Property(POWER), Property(MODE)))
    assert (to_all, notice.esv, notice.destination) == (None, Esv.INF, NODE_PROFILE)
    assert notice.properties == (DISCHARGE,)
    assert (plant.values[POWER], plant.values[MODE]) == (3000, "discharge")


@pytest.mark.parametrize(
    "wrong",
    [Property(MODE, b"\x99"), Property(MODE, b""), Property(0xE4, b"\x10"), Property(0xD7, b"\0"),
     Property(POWER, b"\xff" * 4)],
    ids=["unknown code", "empty", "read only", "not present", "out of range"],
)  # fmt: skip
def test_a_refused_set_keeps_its_value_in_the_answer(wrong: Property) -> None:
    plant = Values(VALUES)
    answers = ask(device(plant), frame(Esv.SETC, POWER_3KW, wrong))
    assert [(one.esv, one.properties) for _, one in answers] == [(Esv.SETC_SNA, (Property(POWER), wrong))]
    assert ask(device(plant), frame(Esv.SETI, POWER_3KW, wrong))[0][1].esv is Esv.SETI_SNA
    assert plant.values[MODE] == "standby"


def test_a_plant_may_refuse() -> None:
    node = device(Values(VALUES, frozenset({MODE})))
    events = node.receive(frame(Esv.SETC, DISCHARGE).encode(), HEMS, 0.0)
    assert events == [WriteRefused(HEMS, V2H, MODE)]


def test_set_without_answer_is_silent() -> None:
    plant = Values(VALUES)
    assert ask(device(plant), frame(Esv.SETI, POWER_3KW)) == []
    assert plant.values[POWER] == 3000


def test_setget_writes_first_and_reads_then() -> None:
    answers = ask(device(), frame(Esv.SETGET, POWER_3KW, read=(Property(POWER), Property(0xE4))))
    assert answers[0][1].esv is Esv.SETGET_RES
    assert (answers[0][1].properties, answers[0][1].read) == ((Property(POWER),), (POWER_3KW, Property(0xE4, b"\x50")))
    refused = ask(device(), frame(Esv.SETGET, Property(0xE4, b"\1"), read=(Property(0xE2), Property(POWER))))
    assert refused[0][1].esv is Esv.SETGET_SNA
    assert (refused[0][1].properties, refused[0][1].read[0]) == ((Property(0xE4, b"\1"),), Property(0xE2))


def test_a_requested_announcement_goes_to_all_and_its_refusal_to_the_sender() -> None:
    assert [(to, one.esv) for to, one in ask(device(), frame(Esv.INF_REQ, Property(MODE)))] == [(None, Esv.INF)]
    assert [(to, one.esv) for to, one in ask(device(), frame(Esv.INF_REQ, Property(0xE2)))] == [(HEMS, Esv.INF_SNA)]


def test_a_notification_that_needs_an_answer_gets_it() -> None:
    node = Node()
    notice = Frame(9, V2H, CONTROLLER, Esv.INFC, (DISCHARGE,))
    events = node.receive(notice.encode(), BOX, 0.0)
    assert events == [PropertiesNotified(BOX, V2H, (DISCHARGE,))]
    [answer] = node.data_to_send()
    assert Frame.decode(answer.data) == Frame(9, CONTROLLER, V2H, Esv.INFC_RES, (Property(MODE),))


def test_instance_0_addresses_all_instances_of_a_class() -> None:
    second = Eoj(2, 0x7E, 2)
    node = Node([v2h(Values(VALUES)), v2h(Values(VALUES), second)])
    answers = ask(node, frame(Esv.GET, Property(MODE), eoj=Eoj(2, 0x7E, 0)))
    assert [one.source for _, one in answers] == [V2H, second]


def test_property_maps_and_node_profile() -> None:
    hidden = LocalObject(
        Eoj(2, 0x7D), Values({0xDA: "auto", 0xD7: "reset", 0xEB: 5}), {0xDA, 0xD7, 0xEB}, settable={0xDA}
    )
    node = Node([v2h(Values(VALUES)), hidden])
    [(_, maps)] = ask(node, frame(Esv.GET, Property(0x9F), Property(0x9E), Property(0x9D)))
    get, put, inf = (decode_map(one.data) for one in maps.properties)
    assert get == set(VALUES) - {0xCD} | {0x9D, 0x9E, 0x9F}
    assert put == {0x80, 0x81, 0xCD, 0xDA, 0xDC, 0xDD, 0xEB, 0xEC}
    assert inf == {0x80, 0x81, 0x88, 0xC7, 0xDA, 0xDC, 0xDD, 0xE1}
    [(_, maps)] = ask(node, frame(Esv.GET, Property(0x9F), Property(0x9E), eoj=Eoj(2, 0x7D)))
    assert [decode_map(one.data) for one in maps.properties] == [{0x9D, 0x9E, 0x9F, 0xDA, 0xEB}, {0xDA}]
    [(_, profile)] = ask(node, frame(Esv.GET, *map(Property, (0xD3, 0xD4, 0xD6, 0xD7)), eoj=NODE_PROFILE))
    assert [one.data.hex() for one in profile.properties] == ["000002", "0003", "02027e01027d01", "02027d027e"]


def test_an_answer_has_a_bounded_length() -> None:
    long = LocalObject(V2H, Values({0x86: bytes(255)}), {0x86}, release="R")
    [(_, answer)] = ask(Node([long]), frame(Esv.GET, *[Property(0x86)] * 255))
    assert answer.esv is Esv.GET_SNA
    assert len(answer.encode()) < LONGEST_ANSWER + 14
    assert len(answer.properties) == 255


def test_wrong_datagrams_are_counted_and_not_answered() -> None:
    node = device()
    unknown = frame(Esv.GET, Property(0x80), eoj=Eoj(1, 0x30)).encode()
    stray = Frame(7, V2H, CONTROLLER, Esv.GET_RES, (DISCHARGE,)).encode()
    for data in (b"", b"\x10\x81\0\1", unknown, stray):
        events = node.receive(data, OTHER, 0.0)
        assert isinstance(events[0], DatagramIgnored), events
    assert node.data_to_send() == []
    assert sum(node.ignored.values()) == 4
    assert len(node.ignored) <= MOST_COUNTED


def test_a_flood_leaves_a_bounded_number_of_answers() -> None:
    node = device()
    for _ in range(MOST_WAITING + 50):
        node.receive(frame(Esv.GET, Property(MODE)).encode(), HEMS, 0.0)
    assert len(node.data_to_send()) == MOST_WAITING


def test_a_device_announces_itself_and_its_changes() -> None:
    plant = Values(VALUES)
    network = Network({BOX: device(plant), HEMS: Node()})
    network.order(BOX, Announce())
    network.run(3)
    assert network.of(HEMS, NodeFound) == [NodeFound(BOX, (V2H,))]
    plant.values[STATE] = "notConnected"
    network.run(1.5)
    plant.values[0xE4] = 10  # is not announced
    network.run(3)
    assert network.of(HEMS, PropertiesNotified)[1:] == [PropertiesNotified(BOX, V2H, (Property(STATE, b"\x30"),))]


def test_discovery_describes_every_object() -> None:
    network = Network({BOX: device(), HEMS: Node(), OTHER: Node([v2h(Values(VALUES), Eoj(2, 0x7E, 3))])})
    network.order(HEMS, Discover())
    network.run(2)
    assert {one.node for one in network.of(HEMS, NodeFound)} == {BOX, OTHER}
    described = {one.node: one for one in network.of(HEMS, ObjectDescribed)}
    assert described[BOX].eoj == V2H
    assert described[BOX].release == "Q"
    assert (MODE in described[BOX].get, 0xE4 in described[BOX].set, MODE in described[BOX].inf) == (True, False, True)
    assert described[OTHER].eoj.instance == 3
    network.order(HEMS, Discover())
    network.run(2)
    assert len(network.of(HEMS, NodeFound)) == 2


def test_discovery_is_repeated() -> None:
    hems = Node(settings=NodeSettings(discover_every_s=60))
    network = Network({HEMS: hems})
    network.order(HEMS, Discover())
    network.nodes[BOX] = device()
    network.run(61)
    assert network.of(HEMS, NodeFound) == [NodeFound(BOX, (V2H,))]


def request(*properties: Property, esv: Esv = Esv.GET, read: tuple[Property, ...] = ()) -> Request:
    return Request(BOX, V2H, esv, properties, read)


@pytest.mark.parametrize(
    ("order", "esv", "refused"),
    [
        (request(Property(MODE)), Esv.GET_RES, set()),
        (request(Property(MODE), Property(0xE2)), Esv.GET_SNA, {0xE2}),
        (request(POWER_3KW, esv=Esv.SETC), Esv.SET_RES, set()),
        (request(POWER_3KW, Property(MODE, b"\x99"), esv=Esv.SETC), Esv.SETC_SNA, {MODE}),
        (request(Property(MODE, b"\x99"), esv=Esv.SETI), Esv.SETI_SNA, {MODE}),
        (request(POWER_3KW, esv=Esv.SETI), None, set()),
        (request(POWER_3KW, esv=Esv.SETGET, read=(Property(POWER),)), Esv.SETGET_RES, set()),
        (request(POWER_3KW, esv=Esv.SETGET, read=(Property(0xE2),)), Esv.SETGET_SNA, {0xE2}),
        (request(Property(MODE), esv=Esv.INF_REQ), Esv.INF, set()),
        (request(Property(0xE2), esv=Esv.INF_REQ), Esv.INF_SNA, {0xE2}),
        (request(DISCHARGE, esv=Esv.INFC), Esv.INFC_RES, set()),
    ],
)  # fmt: skip
def test_every_request_and_its_answer(order: Request, esv: Esv | None, refused: set[int]) -> None:
    network = Network({BOX: device(), HEMS: Node()})
    network.order(HEMS, order)
    network.run(10)
    [answered] = network.of(HEMS, RequestAnswered)
    assert answered.request is order
    assert (answered.answer.esv if answered.answer else None) == esv
    assert answered.refused == refused
    assert network.of(HEMS, DatagramIgnored) == []


def test_one_request_at_a_time_to_each_node() -> None:
    network = Network({HEMS: Node(settings=NodeSettings(RequestSettings(2.0, 2)))})
    network.order(
        HEMS, request(Property(MODE)), request(Property(METHOD)), Request(OTHER, V2H, Esv.GET, (Property(MODE),))
    )
    assert [(when, to) for when, _, to, _ in network.sent] == [(0, BOX), (0, OTHER)]
    network.run(20)
    assert [when for when, _, to, _ in network.sent if to == BOX] == [0, 2, 4, 6]
    failed = network.of(HEMS, RequestFailed)
    assert [one.request.properties[0].epc for one in failed if one.request.node == BOX] == [MODE, METHOD]
    assert failed[0].reason == "no answer to 2 requests within 2 s each"


def test_an_answer_of_another_node_or_to_an_earlier_request_has_no_effect() -> None:
    network = Network({HEMS: Node(), BOX: Node(), OTHER: Node()}, loss=1.0)
    network.order(HEMS, request(Property(MODE)))
    tid = Frame.decode(network.sent[0][3]).tid
    answer = Frame(tid, V2H, CONTROLLER, Esv.GET_RES, (DISCHARGE,))
    late = Frame(tid - 1, V2H, CONTROLLER, Esv.GET_RES, (DISCHARGE,))
    foreign = Frame(tid, Eoj(2, 0x7D), CONTROLLER, Esv.GET_RES, (DISCHARGE,))
    wrong = Frame(tid, V2H, CONTROLLER, Esv.SET_RES, (Property(MODE),))
    for data, sender in ((answer, OTHER), (late, BOX), (foreign, BOX), (wrong, BOX)):
        assert isinstance(network.inject(data.encode(), sender, HEMS)[0], DatagramIgnored)
    assert isinstance(network.inject(answer.encode(), BOX, HEMS)[0], RequestAnswered)
    assert isinstance(network.inject(answer.encode(), BOX, HEMS)[0], DatagramIgnored)


def test_a_request_with_a_time_and_a_number_of_tries_of_its_own() -> None:
    node = Node(settings=NodeSettings(RequestSettings(3.0, 3)))
    order = Request(BOX, V2H, Esv.GET, (Property(MODE),), within_s=8.0, tries=1)
    node.command(order, 0.0)
    node.command(Request(BOX, V2H, Esv.GET, (Property(POWER),)), 0.0)
    assert node.deadline() == 8.0
    [failed] = node.expire(8.0)
    assert isinstance(failed, RequestFailed)
    assert (failed.request, failed.reason) == (order, "no answer to 1 request within 8 s")
    assert node.deadline() == 11.0, "the next one has the settings of the node"


def test_what_cannot_be_ordered() -> None:
    node = Node()
    with pytest.raises(LocalProtocolError, match="is no request"):
        node.command(request(esv=Esv.GET_RES), 0.0)
    with pytest.raises(LocalProtocolError, match="has no object"):
        node.command(Notify(V2H, (MODE,)), 0.0)
    with pytest.raises(LocalProtocolError, match="one list"):
        node.command(request(read=(Property(MODE),)), 0.0)
    for _ in range(MOST_QUEUED + 1):
        node.command(request(Property(MODE)), 0.0)
    with pytest.raises(LocalProtocolError, match="wait already"):
        node.command(request(Property(MODE)), 0.0)
    with pytest.raises(LocalProtocolError, match="no property F1"):
        LocalObject(V2H, Values({0xF1: 1}), {0xF1})
    with pytest.raises(LocalProtocolError, match="different objects"):
        Node([v2h(Values(VALUES)), v2h(Values(VALUES))])


def test_nodes_that_never_answer_do_not_fill_the_table() -> None:
    node = Node()
    for number in range(MOST_NODES + 20):
        notice = Frame(1, NODE_PROFILE, NODE_PROFILE, Esv.INF, (Property(0xD5, b"\1\x02\x7e\1"),))
        events = node.receive(notice.encode(), f"192.0.{number >> 8}.{number & 255}", 0.0)
        assert any(isinstance(one, NodeFound) for one in events)
    node.command(request(Property(MODE)), 0.0)
    assert len(node.data_to_send()) == MOST_NODES + 21


def test_a_wrong_list_of_instances_is_counted() -> None:
    node = Node()
    notice = Frame(1, NODE_PROFILE, NODE_PROFILE, Esv.INF, (Property(0xD5, b"\5\x02\x7e\1"),))
    events = node.receive(notice.encode(), BOX, 0.0)
    assert isinstance(events[1], DatagramIgnored)


def test_a_write_is_an_event_of_the_device() -> None:
    node = device()
    events = node.receive(frame(Esv.SETC, DISCHARGE).encode(), HEMS, 0.0)
    assert events == [PropertyWritten(HEMS, V2H, MODE, "discharge")]


def test_the_release_is_that_of_property_82() -> None:
    assert version("N") == bytes.fromhex("00004E00")
