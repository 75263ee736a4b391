"""One port for TLS 1.2, TLS 1.3 and plain TCP: the ClientHello decides, over real sockets and real handshakes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import ssl
from pathlib import Path

import pytest

from protocols.iso15118 import io, pki
from protocols.iso15118.one_port import client_hello
from protocols.iso15118.one_port import io as one_port
from protocols.iso15118.tcp.io import TcpWire
from protocols.iso15118.tls import RefusedSecurity, TlsProfile, TlsVersion, client_context, server_contexts

INTEROP = TlsProfile.INTEROP
V2GTP = bytes.fromhex("01fe8001000000020000")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki")
    pki.create(directory)
    return directory


def hello(context: ssl.SSLContext) -> bytes:
    """Return the ClientHello that a context sends."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()


def in_records(data: bytes, size: int) -> bytes:
    """Return the ClientHello of one record in several."""
    content = data[5:]
    parts = [content[at : at + size] for at in range(0, len(content), size)]
    return b"".join(b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part for part in parts)


@pytest.mark.parametrize(
    ("version", "modern"),
    [(TlsVersion.TLS_1_2, False), (TlsVersion.TLS_1_3, True), (TlsVersion.REQUIRE, True), (TlsVersion.ALLOW, True)],
)
def test_the_client_hello_names_the_versions(directory: Path, version: TlsVersion, modern: bool) -> None:
    whole = hello(client_context(directory, version, INTEROP))
    assert client_hello.starts_tls(whole)
    assert client_hello.is_complete(whole)
    assert client_hello.offers_tls_1_3(whole) is modern
    divided = in_records(whole, 50)
    assert client_hello.is_complete(divided)
    assert client_hello.offers_tls_1_3(divided) is modern
    for cut in range(1, len(whole)):
        assert not client_hello.is_complete(whole[:cut])
        assert not (client_hello.offers_tls_1_3(whole[:cut]) and not modern)


def test_other_bytes_are_no_tls(directory: Path) -> None:
    assert not client_hello.starts_tls(V2GTP)
    assert client_hello.is_complete(V2GTP)
    assert not client_hello.is_complete(b"")
    assert not client_hello.offers_tls_1_3(b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00")  # no ClientHello
    assert not client_hello.offers_tls_1_3(b"\x16" * client_hello.LARGEST_HELLO)
    assert client_hello.is_complete(b"\x16" * client_hello.LARGEST_HELLO)
    required = server_contexts(directory, TlsVersion.REQUIRE, INTEROP)
    with pytest.raises(RefusedSecurity):
        required.choose(V2GTP)
    assert server_contexts(directory, TlsVersion.ALLOW, INTEROP).choose(V2GTP) is None


async def echo(wire: TcpWire) -> None:
    """Return the first bytes, with the TLS version before them."""
    data = await wire.read()
    if data:
        await wire.write(f"{wire.tls_version} {wire.peer_certificate is not None} ".encode() + data)


async def exchange(port: int, context: ssl.SSLContext | None) -> bytes:
    wire = await io.connect("::1", port, context)
    await wire.write(V2GTP)
    received = await wire.read()
    await wire.close()
    return received


async def test_every_car_gets_the_security_that_it_offers(directory: Path) -> None:
    listener = await io.listen(echo, "::1", 0, server_contexts(directory, TlsVersion.ALLOW, INTEROP))
    contexts = {one: client_context(directory, one, INTEROP) for one in TlsVersion if one is not TlsVersion.NONE}
    try:
        answers = await asyncio.gather(
            exchange(listener.port, contexts[TlsVersion.TLS_1_2]),
            exchange(listener.port, contexts[TlsVersion.TLS_1_3]),
            exchange(listener.port, contexts[TlsVersion.REQUIRE]),
            exchange(listener.port, None),
        )
    finally:
        await listener.close()
    assert list(answers) == [
        b"TLSv1.2 False " + V2GTP,  # ISO 15118-2: no certificate of the car is requested
        b"TLSv1.3 True " + V2GTP,
        b"TLSv1.3 True " + V2GTP,
        b"None False " + V2GTP,
    ]


async def test_a_port_that_requires_tls_closes_plain_connections(directory: Path) -> None:
    listener = await io.listen(echo, "::1", 0, server_contexts(directory, TlsVersion.REQUIRE, INTEROP))
    try:
        assert await exchange(listener.port, None) == b""
        answer = await exchange(listener.port, client_context(directory, TlsVersion.TLS_1_2, INTEROP))
    finally:
        await listener.close()
    assert answer.startswith(b"TLSv1.2")


async def test_a_slow_hello_and_silent_connections(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ClientHello in pieces is awaited; of many silent connections the oldest ones are closed; the others are plain
    after the time for the first bytes."""
    listener = await io.listen(echo, "::1", 0, server_contexts(directory, TlsVersion.ALLOW, INTEROP))
    try:
        silent = [await asyncio.open_connection("::1", listener.port) for _ in range(one_port.MAX_OPENING + 1)]
        assert await asyncio.wait_for(silent[0][0].read(), 5) == b""
        whole = hello(client_context(directory, TlsVersion.TLS_1_2, INTEROP))
        reader, writer = await asyncio.open_connection("::1", listener.port)
        for part in (whole[:3], whole[3:40], whole[40:]):
            writer.write(part)
            await asyncio.sleep(0.05)
        assert (await asyncio.wait_for(reader.read(5), 5))[:1] == b"\x16"
        monkeypatch.setattr(one_port, "HANDSHAKE_WITHIN", 0.1)
        late = await io.connect("::1", listener.port)
        await asyncio.sleep(0.3)
        await late.write(V2GTP)
        assert await late.read() == b"None False " + V2GTP
        await late.close()
        for _, one in [*silent, (reader, writer)]:
            one.close()
    finally:
        await listener.close()


async def test_an_occupied_port_is_reported(directory: Path) -> None:
    with socket.socket(socket.AF_INET6) as other:
        other.bind(("::1", 0))
        other.listen()
        with pytest.raises(OSError, match="in use"):
            await io.listen(echo, "::1", other.getsockname()[1], server_contexts(directory, TlsVersion.ALLOW, INTEROP))


async def test_a_lack_of_descriptors_is_survived(
    directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(one_port, "ACCEPT_AGAIN_S", 0.05)
    listener = await io.listen(echo, "::1", 0, server_contexts(directory, TlsVersion.ALLOW, INTEROP))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    connecting = socket.create_connection(("::1", listener.port))
    used, held = max(map(int, os.listdir("/proc/self/fd"))), list[int]()
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(used, soft), hard))
        with contextlib.suppress(OSError):
            while True:
                held.append(os.dup(0))
        await asyncio.sleep(0.2)
        assert "no connection accepted: [Errno 24] Too many open files" in caplog.text
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        connecting.sendall(V2GTP)
        connecting.settimeout(5)
        answer = await asyncio.get_running_loop().run_in_executor(None, connecting.recv, 100)
        assert answer == b"None False " + V2GTP
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for number in held:
            os.close(number)
        connecting.close()
        await listener.close()
