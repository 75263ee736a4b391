"""`v2x exi`: lines in, lines out, frames and captures."""

from __future__ import annotations

import base64
import functools
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cli.exi_capture import Selection, entries, transcript
from gateway.cli.exi_conversion import BadLine, decode_lines, encode_lines
from gateway.cli.exi_page import page
from protocols.capture import CaptureError, payloads, read_capture
from protocols.exi.lenient import relaxed
from protocols.iso15118.codecs import DIN, ISO2, ISO20_COMMON, ISO20_DC, SAP
from protocols.v2gtp import PayloadType, frame
from tests.protocols.exi.vectors import NAMES, vectors
from tests.rounds import rounds

LOOP = (
    "80340400810182028303840cdbfe1b606280fe16e3e04810c4130408500f820479"
    "c1c1041b8160800000400560102002801810012c020810e80704000002000648"
)


def one(lines: list[str], **options: Any) -> dict[str, Any]:
    """The only answer to the only line."""
    (answer,) = decode_lines(lines, **options)
    return dict(json.loads(answer))


# --------------------------------------------------------------------------------------------------------------- lines


@pytest.mark.parametrize("name", ["sap", "iso20_dc", "iso2_fragments", "hard-unicode"])
def test_the_vectors_as_lines(name: str) -> None:
    assert name in NAMES
    some = vectors(name)[:60]
    decoded = list(decode_lines(json.dumps({"schema": v["schema"], "exi": v["exi"], "id": v["id"]}) for v in some))
    assert [json.loads(line) for line in decoded] == [
        {"id": v["id"], "schema": v["schema"], "json": v["json"]} for v in some
    ]
    encoded = list(encode_lines(json.dumps({"schema": v["schema"], "json": v["json"]}) for v in some))
    assert [json.loads(line) for line in encoded] == [{"schema": v["schema"], "exi": v["exi"]} for v in some]


def test_an_invalid_line_gives_an_error_and_the_next_lines_are_read() -> None:
    good = json.dumps({"schema": "iso20-dc", "exi": LOOP})
    bad = [
        "{",
        "[1]",
        '{"schema": "iso20-dc"}',
        '{"schema": "iso99", "exi": "80"}',
        '{"schema": ["x"], "exi": "80"}',
        '{"schema": "iso20-dc", "exi": 80}',
        '{"schema": "iso20-dc", "exi": "8g"}',
        '{"schema": "iso20-dc", "exi": "8034"}',
        '{"exi": "80"}',
    ]
    answers = [json.loads(line) for line in decode_lines([good, *bad, "", good])]
    assert len(answers) == len(bad) + 2
    assert "json" in answers[0]
    assert "json" in answers[-1]
    assert all(answer["error"] for answer in answers[1:-1])
    wrong = ['{"schema": "iso20-dc"}', "80", '{"schema": "sap", "json": {"a": 1, "b": 2}}', '{"schema":"sap","json":7}']
    wrong += ['{"schema": "sap", "json": {"supportedAppProtocolRes": {"ResponseCode": "Maybe"}}}']
    wrong += ['{"schema": "sap", "json": {"supportedAppProtocolRes": {"SchemaID": 1}}}']
    wrong += ['{"schema": "sap", "json": {"supportedAppProtocolRes": {"X": 1}}}']
    assert all("error" in json.loads(line) for line in encode_lines(wrong))


def test_answers_can_always_be_printed() -> None:
    for line in decode_lines(['{"id": "\\ud800", "exi": "80"}', '{"schema": "\\udfff", "exi": "80"}', "\udc80"]):
        assert "error" in json.loads(line.encode())


def test_bare_hex_and_base64() -> None:
    assert one([LOOP], schema="iso20-dc") == one([json.dumps({"schema": "iso20-dc", "exi": LOOP})])
    text = base64.b64encode(bytes.fromhex(LOOP)).decode()
    assert one([text], schema="iso20-dc", as_base64=True)["json"] == one([LOOP], schema="iso20-dc")["json"]
    content = json.dumps(one([LOOP], schema="iso20-dc"))
    (answer,) = encode_lines([content], as_base64=True)
    assert json.loads(answer)["exi"] == text


def test_explained_for_programs_and_people() -> None:
    answer = one([LOOP], schema="iso20-dc", explained=True)
    assert answer["explained"][1]["text"].startswith("DC_ChargeLoopReq begins: number 13 of the 48 elements")
    *table, last = decode_lines([LOOP], schema="iso20-dc", explained=True, pretty=True)
    assert table[0].split()[:4] == ["0", "10000000", "header:", "EXI"]
    assert "DC_ChargeLoopReq" in json.loads(last)["json"]
    broken = one([LOOP[:40]], schema="iso20-dc", explained=True)
    assert "error" in broken
    assert broken["explained"][-1]["text"] == "fault: the message ends here"
    assert list(encode_lines([last], explained=True, pretty=True))[:-1] == table


@settings(max_examples=rounds(20, 60))
@given(st.lists(st.text(max_size=30) | st.sampled_from(["80", "{}", '{"schema":"sap","exi":"8000"}']), max_size=5))
def test_any_lines_give_as_many_answers(lines: list[str]) -> None:
    wanted = sum(bool(line.strip()) for line in lines)
    for answers in (decode_lines(lines), encode_lines(lines), decode_lines(lines, v2gtp=True)):
        assert len([json.loads(answer) for answer in answers]) == wanted


# -------------------------------------------------------------------------------------------------------------- frames


def first(name: str, message: str) -> bytes:
    """The bytes of some message."""
    return bytes.fromhex(next(v["exi"] for v in vectors(name) if message in json.dumps(v["json"])))


def handshake(namespace: str) -> list[bytes]:
    from protocols.iso15118.app_protocol_messages import (
        AppProtocol,
        ResponseCode,
        supportedAppProtocolReq,
        supportedAppProtocolRes,
    )

    protocol = AppProtocol(
        ProtocolNamespace=namespace, VersionNumberMajor=2, VersionNumberMinor=0, SchemaID=7, Priority=1
    )
    request = supportedAppProtocolReq(AppProtocol=(protocol,))
    response = supportedAppProtocolRes(ResponseCode=ResponseCode.OK_SuccessfulNegotiation, SchemaID=7)
    return [SAP.encode(request), SAP.encode(response)]


@pytest.mark.parametrize(
    ("namespace", "codec", "vector"),
    [
        ("urn:iso:15118:2:2013:MsgDef", ISO2, ("iso2", "SessionStopReq")),
        ("urn:din:70121:2012:MsgDef", DIN, ("din", "SessionStopReq")),
    ],
)
def test_the_payload_type_and_the_handshake_choose_the_schema(
    namespace: str, codec: Any, vector: tuple[str, str]
) -> None:
    message = first(*vector)
    frames = [frame(PayloadType.SUPPORTED_APP_PROTOCOL, data) for data in [*handshake(namespace), message]]
    answers = [json.loads(line) for line in decode_lines([f.hex() for f in frames], v2gtp=True)]
    assert [answer["schema"] for answer in answers] == ["sap", "sap", codec.name]
    alone = one([frames[-1].hex()], v2gtp=True)
    assert alone == answers[-1] == one([frames[-1].hex()], v2gtp=True, protocol=codec.name)
    (back,) = encode_lines([json.dumps(alone)], v2gtp=True)
    assert json.loads(back)["exi"] == frames[-1].hex()


def test_frames_of_iso_15118_20_and_others() -> None:
    assert one([frame(PayloadType.ISO20_DC, bytes.fromhex(LOOP)).hex()], v2gtp=True)["schema"] == "iso20-dc"
    assert "0x8006" in one([frame(0x8006, b"\x80").hex()], v2gtp=True)["error"]
    assert "0x1234" in one([frame(0x1234, b"\x80").hex()], v2gtp=True)["error"]
    assert "shorter than the V2GTP header" in one(["01fe"], v2gtp=True)["error"]
    assert one([b"GET / HTTP/1.1\r\n\r\n".hex()], v2gtp=True)["error"] == "this is HTTP"
    assert one(["02fd800100000001ff"], v2gtp=True)["error"] == "V2GTP version 0x02 instead of 0x01"
    with pytest.raises(BadLine, match="protocol 'iso3' is none of iso2, din"):
        list(decode_lines([LOOP], protocol="iso3"))


# ------------------------------------------------------------------------------------------------------------ captures


def tcp(source: int, target: int, sequence: int, data: bytes, flags: int = 0x18) -> bytes:
    """An Ethernet frame with IPv6 and TCP."""
    header = struct.pack("!HHIIBBHHH", source, target, sequence & 0xFFFFFFFF, 0, 5 << 4, flags, 1024, 0, 0)
    ends = bytes.fromhex("fe80" + "00" * 13 + "01"), bytes.fromhex("fe80" + "00" * 13 + "02")
    first, second = ends if source < target else ends[::-1]
    ip = struct.pack("!IHBB", 6 << 28, 20 + len(data), 6, 64) + first + second
    return bytes(12) + b"\x86\xdd" + ip + header + data


def pcap(packets: list[bytes], order: str = "<") -> bytes:
    head = struct.pack(f"{order}IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)
    rows = [struct.pack(f"{order}IIII", 100 + i, 500, len(p), len(p)) + p for i, p in enumerate(packets)]
    return head + b"".join(rows)


def pcapng(packets: list[bytes]) -> bytes:
    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)

    out = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)) + block(1, struct.pack("<HHI", 1, 0, 65_535))
    for i, packet in enumerate(packets):
        at = (100 + i) * 1_000_000
        out += block(6, struct.pack("<IIIII", 0, at >> 32, at & 0xFFFFFFFF, len(packet), len(packet)) + packet)
    return out


def session() -> list[bytes]:
    """The frames of a short conversation, both directions in turn."""
    content = [(PayloadType.SUPPORTED_APP_PROTOCOL, data) for data in handshake("urn:iso:std:iso:15118:-20:DC")]
    content += [
        (PayloadType.ISO20_COMMON, first("iso20_common", name)) for name in ("SessionSetupReq", "SessionSetupRes")
    ]
    return [frame(kind, data) for kind, data in [*content, (PayloadType.ISO20_DC, bytes.fromhex(LOOP))]]


def segments(frames: list[bytes], size: int) -> list[bytes]:
    """The frames as TCP segments of at most `size` bytes; odd ones come from the other side. Sequence numbers wrap."""
    out, at = [], [0xFFFFFFF0, 5]
    for turn, data in enumerate(frames):
        side = turn % 2
        ports = (50_000, 61_341) if side == 0 else (61_341, 50_000)
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            out.append(tcp(*ports, at[side], piece))
            at[side] += len(piece)
    return out


NAMES_SAID = [
    "supportedAppProtocolReq",
    "supportedAppProtocolRes",
    "SessionSetupReq",
    "SessionSetupRes",
    "DC_ChargeLoopReq",
]


@pytest.mark.parametrize("form", [pcap, pcapng, lambda packets: pcap(packets, ">")])
@pytest.mark.parametrize("size", [1, 7, 1400])
def test_a_capture_reads_as_a_transcript(tmp_path: Path, form: Any, size: int) -> None:
    file = tmp_path / "session.pcap"
    file.write_bytes(form(segments(session(), size)))
    entries = [json.loads(line) for line in transcript(file, as_json=True)]
    assert [next(iter(entry["json"])) for entry in entries] == NAMES_SAID
    assert entries[0]["from"] == "[fe80::1]:50000"
    lines = list(transcript(file))
    assert all(name in line for name, line in zip(NAMES_SAID, lines, strict=True))
    assert "EVPresentVoltage: 402.3" in lines[-1]
    assert len(list(transcript(file, explained=True))) > 100
    assert '"DC_ChargeLoopReq"' not in lines[-1]
    assert '"EVPresentVoltage"' in list(transcript(file, pretty=True))[-1]


def test_segments_out_of_order_and_repeated() -> None:
    packets = segments(session()[:1], 9)
    shuffled = [packets[0], packets[2], packets[1], packets[1], packets[0], *packets[4:], packets[3]]
    found = list(payloads(read_capture(pcap(shuffled))))
    assert [f.payload for f in found] == [session()[0][8:]]


def test_a_reopened_connection_begins_again() -> None:
    frames = session()[:1]
    packets = [tcp(50_000, 61_341, 9, b"", 0x02), tcp(50_000, 61_341, 10, frames[0])]
    packets += [tcp(50_000, 61_341, 99, b"", 0x02), tcp(50_000, 61_341, 100, frames[0])]
    assert len(list(payloads(read_capture(pcap(packets))))) == 2


def test_a_tls_stream_is_skipped_with_a_note(tmp_path: Path) -> None:
    file = tmp_path / "tls.pcap"
    file.write_bytes(pcap([tcp(50_000, 61_341, 0, b"\x16\x03\x01\x00\xf8hello"), tcp(50_000, 61_341, 10, b"\x16\x03")]))
    (line,) = transcript(file)
    assert "not V2GTP is skipped: this is TLS (a record with handshake)" in line


def test_an_unreadable_frame_is_a_line_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "bad.pcap"
    frames = [frame(PayloadType.ISO20_DC, b"\x80\xff"), frame(0x8006, b"\x80"), session()[-1]]
    file.write_bytes(pcap(segments([b"".join(frames)], 1400)))
    lines = list(transcript(file))
    assert ["can't be read" in line for line in lines] == [True, True, False]


def test_a_file_that_is_no_capture(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text("hello")
    with pytest.raises(CaptureError, match="neither a pcap nor a pcapng file"):
        list(transcript(file))


@functools.cache
def captures() -> list[bytes]:
    """Return the conversation in both formats."""
    packets = segments(session(), 50)
    return [pcap(packets), pcapng(packets)]


@settings(max_examples=rounds(25, 80))
@given(st.data())
def test_a_damaged_capture_ends_early_without_an_error(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from(captures()))
    changed = bytearray(whole[: data.draw(st.integers(24, len(whole)))])
    for _ in range(data.draw(st.integers(0, 4))):
        changed[data.draw(st.integers(4, len(changed) - 1))] = data.draw(st.integers(0, 255))
    list(payloads(read_capture(bytes(changed))))


def test_pairs_filters_and_findings(tmp_path: Path) -> None:
    file = tmp_path / "session.pcap"
    frames = session()
    frames[-1] = frame(PayloadType.ISO20_DC, bytes.fromhex(LOOP) + b"\0\0")
    file.write_bytes(pcap(segments(frames, 1400)))
    found = [json.loads(line) for line in transcript(file, as_json=True)]
    assert [entry.get("since_request_s") for entry in found] == [None, 1.0, None, 1.0, None]
    assert "2 spare bytes" in found[-1]["findings"][0]
    assert "after 1000.0 ms" in list(transcript(file))[1]
    only = list(entries(file, selection=Selection(messages=("SessionSetup",))))
    assert [entry.seen.name for entry in only] == ["SessionSetupReq", "SessionSetupRes"]
    one = list(entries(file, selection=Selection(session=only[1].seen.session_id)))
    assert {entry.seen.session_id for entry in one} == {only[1].seen.session_id}
    text = page("a <capture>", list(entries(file)))
    assert "a &lt;capture&gt;" in text
    assert text.count("<title>") == len(found) + 1
    assert "2 spare bytes after the message" in text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"GET / HTTP/1.1\r\n", "this is HTTP"),
        (b"SSH-2.0-OpenSSH", "this is SSH"),
        (b"\x80\x00\xf3\xab", "EXI without the V2GTP header"),
        (b"\x02\xfd\x80\x01\0\0\0\x01\x80", "V2GTP version 0x02 instead of 0x01"),
        (b"\x01\x01\x80\x01\0\0\0\x01\x80", "V2GTP inverse version 0x01 instead of 0xfe"),
        (frame(0x1234, b"x"), "payload type 0x1234, which no standard defines"),
        (
            frame(PayloadType.ISO20_AC, bytes.fromhex(LOOP)),
            "it would be DC_ChargeLoopReq of iso20-dc, payload type 0x8004",
        ),
    ],
)
def test_a_wrong_stream_is_named(data: bytes, words: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.pcap"
    file.write_bytes(pcap(segments([data], 1400)))
    (line,) = transcript(file)
    assert words in line


def test_slac_and_other_frames_are_noted(tmp_path: Path) -> None:
    ethernet = bytes.fromhex("00b052000001" + "001122334455")
    slac = ethernet + b"\x88\xe1\x01\x64\x60" + bytes(40)
    file = tmp_path / "slac.pcap"
    file.write_bytes(pcap([slac, ethernet + b"\x08\x06" + bytes(28), *segments(session()[:1], 1400)]))
    first, second, last = transcript(file)
    assert "00:11:22:33:44:55 -> 00:b0:52:00:00:01" in first
    assert "SLAC CM_SLAC_PARAM.REQ" in first
    assert "supportedAppProtocolReq" in second
    assert "1 ARP" in last


def test_lenient_decoding_lists_the_breached_facets(tmp_path: Path) -> None:
    name, message = SAP.from_plain(json.loads(next(decode_lines([session()[0][8:].hex()], schema="sap")))["json"])
    plain = SAP.to_plain(message, name)
    plain[name]["AppProtocol"][0]["Priority"] = 27  # type: ignore[index]
    wide = relaxed(SAP)
    data = wide.encode(wide.from_plain(plain)[1])
    assert "21" in one([data.hex()], schema="sap")["error"] or one([data.hex()], schema="sap")["error"]
    answer = one([data.hex()], schema="sap", lenient=True)
    assert answer["json"] == plain
    assert "27 is more than the maximum 20" in answer["breaches"][0]
    file = tmp_path / "x.pcap"
    file.write_bytes(pcap(segments([frame(PayloadType.SUPPORTED_APP_PROTOCOL, data)], 1400)))
    assert "can't be read" in next(transcript(file))
    assert "! supportedAppProtocolReq/AppProtocol[0]/Priority: 27" in next(transcript(file, lenient=True))


def test_the_codecs_of_the_sessions_agree_with_the_vectors() -> None:
    assert ISO20_DC.decode(bytes.fromhex(LOOP)).EVPresentVoltage.Value == 4023
    assert ISO20_COMMON.decode(first("iso20_common", "SessionSetupReq"))
