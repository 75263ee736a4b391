"""boofuzz as a charging station: handshakes, WebSocket frames and OCPP messages. Runs in the environment of boofuzz.

Arguments: port, seconds, seed. Prints the number of test cases that were sent.
"""

import random
import struct
import sys
import time

from boofuzz import (
    Block,
    Byte,
    Bytes,
    DWord,
    Group,
    Request,
    Session,
    Static,
    String,
    Target,
    TCPSocketConnection,
    Word,
)

PORT, SECONDS, SEED = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
AT_ONCE = 10  # test cases of one place
HANDSHAKE = (
    b"GET /ocpp/CP1 HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: ocpp2.1\r\n\r\n"
)


def frame(payload):
    """Return a text frame of a client; its mask is zero."""
    size = len(payload)
    if size < 126:
        length = struct.pack("!B", 0x80 | size)
    else:
        length = struct.pack("!BH", 0xFE, size) if size < 65536 else struct.pack("!BQ", 0xFF, size)
    return b"\x81" + length + bytes(4) + payload


def header(name):
    return (String(f"{name} name", name), Static(f"{name} colon", ": "))


def requests():
    """Return the fuzzed requests, each with the request that comes before it."""
    opening = Request(
        "handshake",
        children=(
            Group("method", ["GET", "POST", "OPTIONS"]),
            Static("space", " "),
            String("path", "/ocpp/CP1"),
            Static("version", " HTTP/1.1\r\n"),
            *header("Host"),
            String("host", "127.0.0.1"),
            Static("a", "\r\nUpgrade: "),
            String("upgrade", "websocket"),
            Static("b", "\r\nConnection: "),
            String("connection", "Upgrade"),
            Static("c", "\r\nSec-WebSocket-Key: "),
            String("key", "AAAAAAAAAAAAAAAAAAAAAA=="),
            Static("d", "\r\nSec-WebSocket-Version: "),
            String("number", "13"),
            Static("e", "\r\nSec-WebSocket-Protocol: "),
            String("protocol", "ocpp2.1"),
            Static("f", "\r\nAuthorization: Basic "),
            String("credentials", "Q1AxOng="),
            Static("end", "\r\n\r\n"),
        ),
    )
    frames = Request(
        "frame",
        children=(
            Byte("opcode", 0x81),
            Byte("length", 0xFE),
            Word("long length", 0x0102, endian=">"),
            DWord("mask", 0),
            Bytes("content", b'[2,"1","Heartbeat",{}]'),
        ),
    )
    call = Request(
        "call",
        children=Block(
            "text",
            children=(
                Static("open", "["),
                String("type", "2"),
                Static("1", ',"'),
                String("id", "1"),
                Static("2", '","'),
                String("action", "BootNotification"),
                Static("3", '",{"reason":"PowerUp","chargingStation":{"model":"'),
                String("model", "m"),
                Static("4", '","vendorName":"'),
                String("vendor", "v"),
                Static("5", '","firmwareVersion":'),
                String("firmware", '"1"'),
                Static("6", "}}]"),
            ),
            encoder=frame,
        ),
    )
    before = Request("before", children=Static("opening", HANDSHAKE))
    return [(opening, None), (frames, before), (call, before)]


def session(fuzzed, before, start, end):
    target = Target(connection=TCPSocketConnection("127.0.0.1", PORT, send_timeout=5, recv_timeout=0.02))
    made = Session(
        target=target,
        index_start=start,
        index_end=end,
        web_port=None,
        keep_web_open=False,
        fuzz_loggers=[],
        ignore_connection_reset=True,
        ignore_connection_aborted=True,
        restart_threshold=1_000_000,
        crash_threshold_request=1_000_000,
        crash_threshold_element=1_000_000,
    )
    if before is None:
        made.connect(fuzzed)
    else:
        made.connect(before)
        made.connect(before, fuzzed)
    return made


chance = random.Random(SEED)
until = time.monotonic() + SECONDS
sent = 0
while time.monotonic() < until:
    fuzzed, before = chance.choice(requests())
    cases = session(fuzzed, before, 1, None).num_mutations(max_depth=1)
    start = chance.randint(1, max(1, cases - AT_ONCE))
    session(fuzzed, before, start, start + AT_ONCE - 1).fuzz()
    sent += AT_ONCE
sys.stdout.write(str(sent))
