"""Decryption of recorded TLS connections; the judge is OpenSSL."""

from __future__ import annotations

import random
import ssl
from contextlib import suppress
from pathlib import Path

import pytest

from protocols.iso15118 import pki
from protocols.tls_cipher import TlsError
from protocols.tls_decryption import RETRY, TlsConnection
from protocols.tls_key_log import KeyLog

NO_ENCRYPT_THEN_MAC = 1 << 19  # SSL_OP_NO_ENCRYPT_THEN_MAC of OpenSSL
SENT = {"client": [b"question", b"x" * 40_000, b""], "server": [b"answer", b"y" * 20_000, b"end"]}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki")
    pki.create(directory)
    return directory / "p256"


def contexts(home: Path, log: Path, suite: str, options: int) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    client, server = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    server.load_cert_chain(home / "secc.pem", home / "secc.key")
    for context in (client, server):
        if suite:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers(suite)
        context.options |= options
    client.keylog_filename = str(log)
    return client, server


def recorded(client: ssl.SSLContext, server: ssl.SSLContext) -> list[tuple[str, bytes]]:
    """Return the bytes of both sides of a connection in which they send `SENT`."""
    bios = {name: (ssl.MemoryBIO(), ssl.MemoryBIO()) for name in ("client", "server")}
    sides = {
        "client": client.wrap_bio(*bios["client"]),
        "server": server.wrap_bio(*bios["server"], server_side=True),
    }
    found: list[tuple[str, bytes]] = []

    def deliver(name: str) -> None:
        data = bios[name][1].read()
        if data:
            found.append((name, data))
            bios["server" if name == "client" else "client"][0].write(data)

    done: set[str] = set()
    while len(done) < 2:
        for name, side in sides.items():
            try:
                side.do_handshake()
                done.add(name)
            except ssl.SSLWantReadError:
                pass
            deliver(name)
    for texts in zip(*SENT.values(), strict=True):
        for (name, side), text in zip(sides.items(), texts, strict=True):
            side.write(text)
            deliver(name)
    return found


def decrypted(data: list[tuple[str, bytes]], keys: KeyLog, size: int = 1 << 20) -> dict[str, bytes]:
    connection, found = TlsConnection(keys), {"client": b"", "server": b""}
    for name, sent in data:
        for start in range(0, len(sent), size):
            found[name] += connection.feed(name, sent[start : start + size])
    return found


@pytest.mark.parametrize(
    ("suite", "options"),
    [
        ("", 0),
        ("ECDHE-ECDSA-AES128-SHA256", 0),
        ("ECDHE-ECDSA-AES128-SHA256", NO_ENCRYPT_THEN_MAC),
        ("ECDHE-ECDSA-AES256-SHA384", 0),
        ("ECDHE-ECDSA-AES128-SHA", 0),
        ("ECDHE-ECDSA-AES128-GCM-SHA256", 0),
        ("ECDHE-ECDSA-AES256-GCM-SHA384", 0),
        ("ECDHE-ECDSA-CHACHA20-POLY1305", 0),
    ],
)
def test_what_openssl_sends_is_decrypted(suite: str, options: int, certificates: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    data = recorded(*contexts(certificates, log, suite, options))
    expected = {name: b"".join(texts) for name, texts in SENT.items()}
    keys = KeyLog(log.read_text())
    assert decrypted(data, keys) == expected
    assert decrypted(data, keys, size=7) == expected


def test_a_handshake_with_a_retry_is_decrypted(certificates: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    client, server = contexts(certificates, log, "", 0)
    server.set_ecdh_curve("secp521r1")  # another group than the key share of the client
    data = recorded(client, server)
    assert b"".join(sent for _, sent in data).find(RETRY) > 0
    assert decrypted(data, KeyLog(log.read_text())) == {name: b"".join(texts) for name, texts in SENT.items()}


def test_what_cannot_be_decrypted_is_an_error(certificates: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    data = recorded(*contexts(certificates, log, "ECDHE-ECDSA-AES128-SHA256", 0))
    keys = KeyLog(log.read_text())
    with pytest.raises(TlsError, match="no secrets of client random"):
        decrypted(data, KeyLog())
    with pytest.raises(TlsError, match="no ClientHello"):
        decrypted(data[1:], keys)
    with pytest.raises(TlsError, match="begins after the handshake"):
        decrypted(data[-2:], keys)
    name, last = data[-1]
    with pytest.raises(TlsError, match="does not fit the secret"):
        decrypted([*data[:-1], (name, last[:-1] + bytes([last[-1] ^ 1]))], keys)
    with pytest.raises(TlsError, match="no TLS record"):
        decrypted([("client", b"GET / HTTP/1.1")], keys)


def test_a_key_log_ignores_what_is_none() -> None:
    keys = KeyLog("# comment\nCLIENT_RANDOM zz 00\nCLIENT_RANDOM 01\n\nCLIENT_RANDOM 0102 0304\n")
    assert dict(keys.secrets(b"\1\2")) == {"CLIENT_RANDOM": b"\3\4"}
    assert not keys.secrets(b"\3")
    assert not KeyLog("hello")


@pytest.mark.parametrize("suite", ["", "ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"])
def test_changed_bytes_give_no_other_error(suite: str, certificates: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    data = recorded(*contexts(certificates, log, suite, 0))
    keys, draw = KeyLog(log.read_text()), random.Random(16)
    for _ in range(300):
        changed = [(name, bytearray(sent)) for name, sent in data]
        for _ in range(draw.randrange(1, 4)):
            sent = draw.choice(changed)[1]
            sent[draw.randrange(min(len(sent), 300))] = draw.randrange(256)
        with suppress(TlsError):
            decrypted([(name, bytes(sent)) for name, sent in changed], keys)
