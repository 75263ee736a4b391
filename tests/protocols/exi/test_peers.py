"""Full lists in the deviating forms of known peers: decoded by a retry, encoded on request."""

from __future__ import annotations

import functools

import pytest

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.exi.codec import Codec
from protocols.exi.encoder import Encoder
from protocols.exi.schema import PeerGrammar, Schema
from protocols.iso15118.codecs import BY_NAME, DIN, ISO2, ISO2_FRAGMENT, ISO20_COMMON
from protocols.iso15118.iso2.types import EMAID
from protocols.iso15118.iso20.common import (
    Service,
    ServiceDiscoveryReq,
    ServiceDiscoveryRes,
    ServiceIDList,
    ServiceList,
)
from protocols.iso15118.iso20.types import MessageHeader, ResponseCode
from protocols.iso15118.peers import JOSEV, LIBCBV2G, PEERS
from tests.protocols.exi.vectors import vectors

HEADER = MessageHeader(SessionID=bytes(8), TimeStamp=0)
EIGHT_SERVICES = ServiceDiscoveryRes(
    Header=HEADER,
    ResponseCode=ResponseCode.OK,
    ServiceRenegotiationSupported=False,
    EnergyTransferServiceList=ServiceList(Service=tuple(Service(ServiceID=i, FreeService=True) for i in range(8))),
)
SIXTEEN_IDS = ServiceDiscoveryReq(Header=HEADER, SupportedServiceIDs=ServiceIDList(ServiceID=tuple(range(16))))


@functools.cache
def encoder_of(codec: Codec, ways: PeerGrammar) -> Encoder:
    """Return an encoder with the grammars that a peer encodes with."""
    return Encoder(Schema(codec.name, codec.schema.modules, ways.writes))


def as_written_by(codec: Codec, ways: PeerGrammar, message: object) -> bytes:
    """Return a document encoded with the grammars that a peer encodes with."""
    encoder = encoder_of(codec, ways)
    index = [member.cls for member in codec.schema.roots].index(type(message))
    bits = f"10000000{index:0{codec.root_width}b}" + encoder.function(type(message))(message)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


FULL = [
    vector
    for name in ("hard-iso2", "hard-iso20_common", "hard-din")
    for vector in vectors(name)
    if vector["reason"] in ("exact-maxOccurs", "unbounded-as-bounded", "array-limit")
]


@pytest.mark.parametrize("peer", PEERS)
def test_every_full_list_is_read_in_a_peers_form(peer: str) -> None:
    different = 0
    for vector in FULL:
        codec = BY_NAME[vector["schema"]]
        _, message = codec.from_plain(vector["json"])
        written = as_written_by(codec, PEERS[peer], message)
        different += written.hex() != vector["exi"]
        assert codec.decode(written) == message, vector["id"]
    assert different > 5


def test_the_last_bits_of_eight_services() -> None:
    right = ISO20_COMMON.encode(EIGHT_SERVICES)
    wrong = as_written_by(ISO20_COMMON, PEERS[LIBCBV2G], EIGHT_SERVICES)
    assert wrong != right
    assert ISO20_COMMON.decode(wrong) == ISO20_COMMON.decode(right) == EIGHT_SERVICES
    with pytest.raises(RemoteProtocolError):
        ISO20_COMMON.decode(wrong, lenient=False)


def test_complex_items_are_sent_to_libcbv2g_as_it_reads_them_and_simple_ones_as_it_writes_them() -> None:
    assert ISO20_COMMON.encode(EIGHT_SERVICES, peer=LIBCBV2G) == ISO20_COMMON.encode(EIGHT_SERVICES)
    assert ISO20_COMMON.encode(SIXTEEN_IDS, peer=LIBCBV2G) == as_written_by(ISO20_COMMON, PEERS[LIBCBV2G], SIXTEEN_IDS)
    assert ISO20_COMMON.encode(SIXTEEN_IDS, peer=LIBCBV2G) != ISO20_COMMON.encode(SIXTEEN_IDS)
    assert ISO20_COMMON.encode(SIXTEEN_IDS, peer=JOSEV) == ISO20_COMMON.encode(SIXTEEN_IDS)


def test_lists_that_are_not_full_are_the_same_for_all() -> None:
    message = ServiceDiscoveryReq(Header=HEADER, SupportedServiceIDs=ServiceIDList(ServiceID=tuple(range(15))))
    assert {ISO20_COMMON.encode(message, peer=peer) for peer in (None, *PEERS)} == {ISO20_COMMON.encode(message)}


def test_too_many_items_are_too_many_in_any_form() -> None:
    services = "00".join(["00000000010" + "00" + "1" + "00"] * 9)
    index = [member.cls for member in ISO20_COMMON.schema.roots].index(ServiceDiscoveryRes)
    header = Encoder(ISO20_COMMON.schema).function(MessageHeader)(HEADER)
    bits = f"10000000{index:06b}0{header}000000000" + "0000" + f"0{services}01" + "010"
    bits += "0" * (-len(bits) % 8)
    with pytest.raises(RemoteProtocolError):
        ISO20_COMMON.decode(int(bits, 2).to_bytes(len(bits) // 8, "big"))


def test_the_emaid_fragment_of_both_worlds() -> None:
    emaid = EMAID(Id="id1", value="F7WUh7khGreu8K")
    relaxed, ordinary = ISO2_FRAGMENT.encode(emaid), ISO2_FRAGMENT.encode(emaid, peer=LIBCBV2G)
    assert relaxed.hex() == "80ec0202b4b218c004118dd5d55a0ddada11dc995d4e12fd3d00"
    assert ordinary != relaxed
    assert ISO2_FRAGMENT.decode(relaxed) == ISO2_FRAGMENT.decode(ordinary) == emaid
    assert ISO2_FRAGMENT.encode(emaid, peer=JOSEV) == relaxed


def test_the_emaid_without_attributes_is_plain_text() -> None:
    for peer in (None, *PEERS):
        written = ISO2_FRAGMENT.encode("F7WUh7khGreu8K", element="eMAID", peer=peer)
        if peer != LIBCBV2G:
            assert ISO2_FRAGMENT.decode_element(written, lenient=False) == ("eMAID", "F7WUh7khGreu8K")
    with pytest.raises(LocalProtocolError, match="eMAID: has 5 characters, at least 14 are needed"):
        ISO2_FRAGMENT.encode("short", element="eMAID")


def test_an_unknown_peer_is_named() -> None:
    with pytest.raises(LocalProtocolError, match="no grammar of peer 'nobody' for iso20"):
        ISO20_COMMON.encode(SIXTEEN_IDS, peer="nobody")


def test_din_payment_options_of_libcbv2g() -> None:
    found = [v for v in vectors("hard-din") if v["reason"] == "unbounded-as-bounded"]
    assert found
    for vector in found:
        _, message = DIN.from_plain(vector["json"])
        if len(message.Body.BodyElement.PaymentOptions.PaymentOption) == 2:
            wrong = as_written_by(DIN, PEERS[LIBCBV2G], message)
            assert wrong.hex() != vector["exi"]
            assert DIN.decode(wrong) == message
    assert ISO2.schema.unroll is not PEERS[LIBCBV2G].writes
