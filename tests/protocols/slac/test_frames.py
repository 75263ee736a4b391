"""Frames of HomePlug: bytes of public captures, lengths, and what is not accepted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.slac import messages as m
from protocols.slac import vendor as v
from protocols.slac.codec import decode
from protocols.slac.evse_session import Session
from protocols.slac.frames import BROADCAST, Frame, Message, SlacFrameError, mac_text, parse_mac
from protocols.slac.keys import nid_of

IONIQ, ALPITRONIC = bytes.fromhex("e00ee1ffd3e2"), bytes.fromhex("52ad9207328b")
IONIQ_RUN = IONIQ + b"\0\0"
NMK, NID = bytes.fromhex("a39d255b5770c42f3837471f5b39823a"), bytes.fromhex("4ee9194d581702")
TESLA = bytes.fromhex("98ed5cdad998")


def hexadecimal(*parts: str | int | bytes) -> bytes:
    """Return bytes; an integer is a number of zeros."""
    return b"".join(
        bytes(one) if isinstance(one, int) else one if isinstance(one, bytes) else bytes.fromhex(one) for one in parts
    )


IONIQ_AT_ALPITRONIC: list[tuple[bytes, Frame]] = [
    (
        hexadecimal("ffffffffffffe00ee1ffd3e288e101646000000000e00ee1ffd3e20000", 31),
        Frame(BROADCAST, IONIQ, m.SlacParmReq(IONIQ_RUN)),
    ),
    (
        hexadecimal(
            "e00ee1ffd3e252ad9207328b88e10165600000ffffffffffff0a0601e00ee1ffd3e20000e00ee1ffd3e20000", 16
        ),
        Frame(IONIQ, ALPITRONIC, m.SlacParmCnf(IONIQ_RUN, IONIQ)),
    ),
    (
        hexadecimal(
            "ffffffffffffe00ee1ffd3e288e1017660000000", "00", 17, "09", "e00ee1ffd3e20000", 8, b"\xff" * 16
        ),
        Frame(BROADCAST, IONIQ, m.MnbcSoundInd(IONIQ_RUN, 9, b"\xff" * 16)),
    ),
    (
        hexadecimal(
            "e00ee1ffd3e252ad9207328b88e1017d60000000005600", 17, "e00ee1ffd3e2", 17, "52ad9207328b",
            "e00ee1ffd3e20000", 8, "4ee9194d581702", "00", "a39d255b5770c42f3837471f5b39823a",
        ),
        Frame(IONIQ, ALPITRONIC, m.SlacMatchCnf(IONIQ, ALPITRONIC, IONIQ_RUN, NID, NMK)),
    ),
    (
        hexadecimal(
            "00b052000001e00ee1ffd3e288e10108600000", "01", "00000000", "00000000", "04", "0000", "00", "00",
            "4ee9194d581702", "01", "a39d255b5770c42f3837471f5b39823a", "000000",
        ),
        Frame(v.QUALCOMM_MODEM, IONIQ, m.SetKeyReq(NID, NMK)),
    ),
    (
        hexadecimal(
            "e00ee1ffd3e2046565ffffff88e10109600000", "01", "13277e32", "00000000", "04", "0000", "ff", "00", 27
        ),
        Frame(IONIQ, bytes.fromhex("046565ffffff"), m.SetKeyCnf(1, bytes.fromhex("13277e32"))),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("data", "frame"), IONIQ_AT_ALPITRONIC)
def test_ioniq_at_alpitronic(data: bytes, frame: Frame) -> None:
    assert decode(data) == frame
    assert frame.encode() == data


def test_fields_of_a_model_y_at_pyplc() -> None:
    confirmed = m.SlacParmCnf(b"TESLA EV", TESLA)
    assert confirmed.pack().hex() == "ffffffffffff0a060198ed5cdad99800005445534c41204556"
    start = m.StartAttenCharInd(b"TESLA EV", TESLA)
    assert start.pack().hex() == "00000a060198ed5cdad9985445534c41204556"


def test_an_attenuation_profile_of_an_audi_q4() -> None:
    data = hexadecimal("ffffffffffff046565ffff0088e10186600000", "007dfa06bb7e", "3a", "00", "191e2122211b", 52)
    frame = decode(data)
    assert isinstance(frame.message, m.AttenProfileInd)
    assert (mac_text(frame.message.vehicle), frame.message.groups[:6].hex()) == ("00:7d:fa:06:bb:7e", "191e2122211b")
    assert frame.encode() == data


def test_averages_of_a_supercharger() -> None:
    session = Session(TESLA, b"TESLA EV", 0.0)
    sums = [156, 151, 154, 175, 143, 140, 211]
    session.sums[:7], session.profiles = sums, 10
    assert list(session.average(0)[:7]) == [15, 15, 15, 17, 14, 14, 21]
    sent = bytes.fromhex("0e0e0e110d0d14")
    assert {mean - one for mean, one in zip(session.average(0), sent, strict=False)} <= {0, 1}


@pytest.mark.parametrize(
    ("nmk", "nid"),
    [
        ("a39d255b5770c42f3837471f5b39823a", "4ee9194d581702"),
        ("9ed1f8a5b566e83dc4f1700e4a89afec", "b468ace9ff5603"),
        ("d84a239554e7980bb73263f505734afd", "d5925cb82e6808"),
        ("fee4b0fd4496cdd754d9688153154a14", "887137f1875d04"),
        ("a4162d08e77b3f97fea23511a2ee9838", "a0a98997e89d0e"),
        ("50d3e4933f855b7040784df815aa8db7", "b0f2e695666b03"),  # of the password HomePlugAV
        ("b59319d7e8157ba001b018669ccee30d", "026bcba5354e08"),  # of the password HomePlugAV0123
    ],
)
def test_nid_of_the_keys_of_chargers(nmk: str, nid: str) -> None:
    assert nid_of(bytes.fromhex(nmk)).hex() == nid


MAC, RUN = bytes(range(6)), bytes(range(8))
GROUPS = bytes(range(1, 59))
LENGTHS: list[tuple[Message, int, int]] = [
    (m.SlacParmReq(RUN), 0x6064, 60),
    (m.SlacParmCnf(RUN, MAC), 0x6065, 60),
    (m.StartAttenCharInd(RUN, MAC), 0x606A, 60),
    (m.AttenCharInd(MAC, RUN, 10, GROUPS), 0x606E, 129),
    (m.AttenCharRsp(MAC, RUN), 0x606F, 70),
    (m.MnbcSoundInd(RUN, 9, bytes(16)), 0x6076, 71),
    (m.ValidateReq(0), 0x6078, 60),
    (m.ValidateCnf(1, m.ValidationResult.SUCCESS), 0x6079, 60),
    (m.SlacMatchReq(MAC, MAC, RUN), 0x607C, 85),
    (m.SlacMatchCnf(MAC, MAC, RUN, NID, NMK), 0x607D, 109),
    (m.AttenProfileInd(MAC, GROUPS), 0x6086, 85),
    (m.AttenProfileInd(MAC, b""), 0x6086, 60),
    (m.SetKeyReq(NID, NMK), 0x6008, 60),
    (m.SetKeyCnf(1), 0x6009, 60),
    (m.GetKeyReq(NID), 0x600C, 60),
    (m.GetKeyCnf(0, NID, NMK), 0x600D, 60),
    (m.AmpMapReq(tuple(number % 16 for number in range(917))), 0x601C, 19 + 2 + 459),
    (m.AmpMapCnf(), 0x601D, 60),
    (v.SoftwareVersionReq(), 0xA000, 60),
    (v.SoftwareVersionCnf("MAC-QCA7420-1.4.0"), 0xA001, 60),
    (v.ResetReq(), 0xA01C, 60),
    (v.ResetCnf(), 0xA01D, 60),
    (v.NetworkInfoReq(), 0xA038, 60),
    (v.AttributesReq(), 0xA068, 60),
    (v.AttributesCnf("QCA7420", "MAC", (1, 4, 0, 20), mains_hz=50), 0xA069, 109),
    (v.LinkStatusReq(), 0xA0B8, 60),
    (v.LinkStatusCnf(True), 0xA0B9, 60),
    (v.AttenuationInd(MAC, GROUPS), 0xA14E, 94),
    (v.AttenuationInd(MAC, b""), 0xA14E, 60),
    (v.LumissilVersionReq(), 0xAC6C, 60),
    (v.LumissilVersionCnf((1, 2, 3, 4)), 0xAC6D, 60),
    (v.LumissilResetReq(), 0xAC70, 60),
    (v.LumissilLinkReq(), 0xAC9C, 60),
    (v.LumissilLinkCnf(True), 0xAC9D, 60),
]


@pytest.mark.parametrize(("message", "mmtype", "length"), LENGTHS, ids=lambda one: type(one).__name__)
def test_types_and_lengths_of_every_message(message: Message, mmtype: int, length: int) -> None:
    data = Frame(MAC, MAC, message).encode()
    assert (int.from_bytes(data[15:17], "little"), len(data)) == (mmtype, length)
    assert decode(data).message == message


def test_positions_of_the_fields_of_the_modem() -> None:
    link = Frame(MAC, MAC, v.LinkStatusCnf(True)).encode()
    assert (link[14], link[17:20], link[21]) == (0, v.QUALCOMM_OUI, 1)
    attenuation = Frame(MAC, MAC, v.AttenuationInd(MAC, GROUPS)).encode()
    assert (attenuation[20:26], attenuation[26], attenuation[28], attenuation[36:94]) == (MAC, 58, 0x10, GROUPS)


@pytest.mark.parametrize(("message", "mmtype", "length"), LENGTHS, ids=lambda one: type(one).__name__)
def test_no_truncated_frame_raises_anything_else(message: Message, mmtype: int, length: int) -> None:
    data = Frame(MAC, MAC, message).encode()
    for size in range(len(data)):
        try:
            decode(data[:size])
        except SlacFrameError:
            continue


def test_attributes_of_a_qca7420() -> None:
    names = b"QCA7420".ljust(16, b"\0") + b"MAC".ljust(16, b"\0")
    rest = "0100000004000000000000001400000000000000" + b"20171027CS".ljust(20, b"\0").hex() + "00" * 8
    data = hexadecimal(MAC, MAC, "88e10069a000b0520000022000000076 00", names, rest, 40)
    found = decode(data).message
    assert isinstance(found, v.AttributesCnf)
    assert (found.hardware, found.software, found.version) == ("QCA7420", "MAC", (1, 4, 0, 20))
    assert (found.build_date, found.release, found.cookie.hex()) == ("20171027", "CS", "02200000")


def test_a_qca7000_without_its_oui() -> None:
    data = bytearray(Frame(MAC, MAC, v.AttenuationInd(MAC, GROUPS)).encode())
    data[17:20] = bytes(3)
    assert decode(bytes(data)).message == v.AttenuationInd(MAC, GROUPS)


def test_keys_are_in_no_text() -> None:
    for message in (m.SlacMatchCnf(MAC, MAC, RUN, NID, NMK), m.SetKeyReq(NID, NMK), m.GetKeyCnf(0, NID, NMK)):
        assert repr(NMK) not in repr(message)


def broken(position: int, value: int, length: int = 129) -> bytes:
    data = bytearray(Frame(MAC, MAC, m.AttenCharInd(MAC, RUN, 10, GROUPS)).encode())
    data[position] = value
    return bytes(data[:length]).ljust(length, b"\0")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (broken(14, 3), "version"),
        (broken(17, 1), "fragment"),
        (broken(12, 0), "not a HomePlug"),
        (broken(15, 0x70), "unknown message"),
        (broken(70, 59), "59 groups"),
        (broken(70, 58, 100), "bytes of at least"),
        (broken(0, 0, 1519), "1519 bytes"),
        (b"", "0 bytes"),
        (Frame(MAC, MAC, m.AmpMapReq((1,) * 10)).encode()[:19] + b"\xff\xff" + bytes(39), "bytes of at least"),
    ],
)
def test_what_is_not_accepted(data: bytes, reason: str) -> None:
    with pytest.raises(SlacFrameError, match=reason):
        decode(data)


def test_amplitudes_are_nibbles() -> None:
    assert m.AmpMapReq((1, 2, 3)).pack() == bytes.fromhex("03002103")


@given(st.binary(max_size=1600))
def test_any_bytes_are_a_frame_or_refused(data: bytes) -> None:
    try:
        frame = decode(data)
    except SlacFrameError:
        return
    assert decode(frame.encode()) == frame


def test_mac_addresses_as_text() -> None:
    assert parse_mac("00:b0:52:00:00:01") == parse_mac("00-B0-52-00-00-01") == v.QUALCOMM_MODEM
    for text in ("", "00:b0:52:00:00", "emulated"):
        with pytest.raises(ValueError, match="not a MAC address"):
            parse_mac(text)
