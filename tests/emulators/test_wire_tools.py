"""Trace, key log and capture of `v2x ev` and `v2x secc`."""

from __future__ import annotations

import asyncio
import socket
import stat
import struct
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from emulators.runtime.pcapng import CaptureFile
from emulators.runtime.recorded_socket import RecordedDatagrams
from gateway.cli.exi_capture import entries
from protocols.capture import SECRETS, payloads, read_capture
from protocols.iso15118 import pki
from protocols.v2gtp import PayloadType, frame
from tests.emulators.session_programs import one_session
from tests.peers import program


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki")
    pki.create(directory)
    return directory


async def test_a_trace_has_direction_time_and_fields_in_json_and_in_text() -> None:
    done = await one_session({"trace": True}, {"trace": True})
    assert (done.ev_status, done.secc_status) == (0, 0)
    sent = [line for line in done.ev if line["event"] == "MessageSent"]
    received = [line for line in done.ev if line["event"] == "MessageReceived"]
    assert sent[0]["name"] == "supportedAppProtocolReq"
    assert len(sent) == len(received) > 10
    assert all(0 <= line["since_request_s"] < 2 for line in received)
    assert not any("since_request_s" in line for line in sent)
    loop = next(line for line in received if line["name"] == "DC_ChargeLoopRes")
    assert loop["message"]["ResponseCode"] == "OK"
    theirs = [line["data"] for line in done.secc if line["event"] == "MessageReceived"]
    assert theirs == [line["data"] for line in sent]
    text = (await one_session({"trace": True, "json": False})).ev_text
    assert "-> SessionSetupReq {EVCCID: " in text
    assert " ms {ResponseCode: OK, " in next(line for line in text.splitlines() if line.startswith("<- DC_ChargeLoop"))


async def test_a_key_log_in_both_roles(certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "secc"))
    done = await one_session({"keylog": tmp_path / "ev"}, pki=certificates)
    assert done.ev_status == 0
    logs = [(tmp_path / name).read_text() for name in ("ev", "secc")]
    assert all("CLIENT_TRAFFIC_SECRET_0" in log for log in logs)
    assert sorted(logs[0].split()) == sorted(logs[1].split())
    assert stat.S_IMODE((tmp_path / "ev").stat().st_mode) == 0o600


async def test_a_capture_without_tls_reads_as_the_session(tmp_path: Path) -> None:
    done = await one_session({"pcap": tmp_path / "ev.pcapng", "trace": True}, {"pcap": tmp_path / "secc.pcapng"})
    traced = [line["data"] for line in done.ev if line["event"] in ("MessageSent", "MessageReceived")]
    for name in ("ev", "secc"):
        found = payloads(read_capture((tmp_path / f"{name}.pcapng").read_bytes()))
        assert [one.payload.hex().upper() for one in found if not one.note] == traced


async def test_a_capture_that_cannot_be_written_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from emulators.ev.run import EvOptions, run

    assert await run(EvOptions("[::1]:1", pcap=tmp_path / "no" / "x.pcapng")) == 2
    assert "x.pcapng: No such file or directory" in capsys.readouterr().err


OLDER: dict[str, Any] = {"protocols": "iso2", "service": "dc"}


@pytest.mark.parametrize("version", ["1.3", "1.2"])
async def test_a_capture_with_tls_decodes_with_its_secrets_or_a_key_log(
    version: str, certificates: Path, tmp_path: Path
) -> None:
    ev, log = tmp_path / "ev.pcapng", tmp_path / "log"
    older = version == "1.2"
    car = {"pcap": ev, "keylog": log, "trace": True} | (OLDER if older else {})
    done = await one_session(car, {"protocols": "iso2"} if older else {}, certificates, version)
    assert done.ev_status == 0, done.ev_text[-2000:]
    traced = [line["message"] for line in done.ev if line["event"] in ("MessageSent", "MessageReceived")]
    found = list(entries(ev))
    assert [one.seen.body for one in found if not one.seen.note] == traced
    bare = tmp_path / "bare.pcap"
    bare.write_bytes(without_secrets(ev.read_bytes()))
    assert [one.seen.body for one in entries(bare, keylog=log)] == [one.seen.body for one in found]
    notes = [one.seen.note for one in entries(bare)]
    assert len(notes) == 2
    assert all("this is TLS" in note and "key log" in note for note in notes)
    (tmp_path / "other").write_text(f"CLIENT_RANDOM {'00' * 32} {'00' * 48}\n")
    assert "the key log has no secrets of" in next(iter(entries(bare, keylog=tmp_path / "other"))).seen.note


def without_secrets(data: bytes) -> bytes:
    """Return a pcapng file without its blocks of secrets."""
    kept, position = b"", 0
    while position < len(data):
        kind, size = struct.unpack_from("<II", data, position)
        kept += data[position : position + size] if kind != SECRETS else b""
        position += size
    return kept


@pytest.mark.parametrize("version", ["1.3", "1.2"])
async def test_tshark_shows_the_decrypted_payload(version: str, certificates: Path, tmp_path: Path) -> None:
    tshark = program("tshark", "tshark")
    car, charger = (OLDER, {"protocols": "iso2"}) if version == "1.2" else ({}, {})
    ev, secc = {"pcap": tmp_path / "ev.pcapng", "trace": True}, {"pcap": tmp_path / "secc.pcapng"}
    done = await one_session(ev | car, secc | charger, certificates, version)
    assert done.ev_status == 0
    traced = [line for line in done.ev if line["event"] in ("MessageSent", "MessageReceived")]
    for name in ("ev", "secc"):
        arguments = [tshark, "-r", str(tmp_path / f"{name}.pcapng"), "-q", "-z", "follow,tls,raw,0"]
        shown = _output(arguments)
        lines = [line.strip() for line in shown.splitlines() if set(line.strip()) <= set("0123456789abcdef")]
        frames = "".join(lines)
        assert frames.startswith("01fe8001")
        assert all(line["data"].lower() in frames for line in traced)


def _output(arguments: list[str]) -> str:
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=True).stdout


async def test_a_capture_has_the_datagrams_of_sdp(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    capture = CaptureFile(tmp_path / "sdp.pcapng", time.time)
    peer = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    peer.bind(("::1", 0))
    peer.setblocking(False)
    sock = RecordedDatagrams(socket.AF_INET6, socket.SOCK_DGRAM, "::1", capture.record_datagram)
    sock.setblocking(False)
    sock.bind(("::1", 0))
    received = asyncio.Event()

    class Datagrams(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            received.set()

    transport, _ = await loop.create_datagram_endpoint(Datagrams, sock=sock)
    request = frame(PayloadType.SDP_REQUEST, b"\x10\x00")
    transport.sendto(request, peer.getsockname())
    data, sender = await loop.sock_recvfrom(peer, 100)
    assert data == request
    await loop.sock_sendto(peer, frame(PayloadType.SDP_RESPONSE, bytes(20)), sender)
    async with asyncio.timeout(5):
        await received.wait()
    transport.close()
    peer.close()
    capture.close()
    packets = [one.data for one in read_capture((tmp_path / "sdp.pcapng").read_bytes())]
    assert [packet[6] for packet in packets] == [17, 17]
    assert packets[0][48:] == request
    assert [struct.unpack_from("!H", packet, 40)[0] for packet in packets] == [sender[1], peer_port(packets[0])]


def peer_port(packet: bytes) -> int:
    return int.from_bytes(packet[42:44], "big")
