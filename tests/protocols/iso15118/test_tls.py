"""TLS contexts of both roles, handshakes in memory: versions, certificates on both sides, rejected peers.

One connection is closed while its peer does not read.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from protocols.errors import LocalProtocolError
from protocols.iso15118 import pki, subject
from protocols.iso15118.io import connect, listen
from protocols.iso15118.tcp.io import TcpWire
from protocols.iso15118.tls import (
    SUITES_1_3,
    TlsProfile,
    TlsSetupError,
    TlsVersion,
    client_context,
    openssl_configuration,
    server_context,
)

TLS_1_2, TLS_1_3 = TlsVersion.TLS_1_2, TlsVersion.TLS_1_3


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki")
    pki.create(directory)
    return directory


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Perform the handshake and one message each way. Raises ssl.SSLError if one side rejects the other."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    car = client.wrap_bio(to_client, to_server)
    charger = server.wrap_bio(to_server, to_client, server_side=True)
    waiting = {car, charger}
    for _ in range(20):
        for end in list(waiting):
            try:
                end.do_handshake()
                waiting.discard(end)
            except ssl.SSLWantReadError:
                continue
        if not waiting:
            break
    assert not waiting
    car.write(b"request")
    assert charger.read() == b"request"
    charger.write(b"response")
    assert car.read() == b"response"
    return car, charger


@pytest.mark.parametrize("profile", list(TlsProfile))
def test_mutual_tls_1_3(directory: Path, profile: TlsProfile) -> None:
    car, charger = shake_hands(client_context(directory, TLS_1_3, profile), server_context(directory, TLS_1_3, profile))
    assert car.version() == charger.version() == "TLSv1.3"
    vehicle, secc = charger.getpeercert(binary_form=True), car.getpeercert(binary_form=True)
    assert vehicle is not None
    assert secc is not None
    assert subject.common_name(vehicle) == pki.EVCCID
    assert subject.domain_component(secc) == "CPO"
    size = {TlsProfile.STRICT: 521, TlsProfile.INTEROP: 256}[profile]
    assert x509.load_der_x509_certificate(vehicle).public_key().key_size == size  # type: ignore[union-attr]


def test_tls_1_2_requests_no_certificate_of_the_car(directory: Path) -> None:
    car, charger = shake_hands(client_context(directory, TLS_1_2), server_context(directory, TLS_1_2))
    assert car.version() == "TLSv1.2"
    assert charger.getpeercert(binary_form=True) is None
    assert car.cipher()[0] == "ECDHE-ECDSA-AES128-SHA256"  # type: ignore[index]


@pytest.mark.parametrize(("car", "charger"), [(TLS_1_2, TLS_1_3), (TLS_1_3, TLS_1_2)])
def test_there_is_no_common_version(directory: Path, car: TlsVersion, charger: TlsVersion) -> None:
    with pytest.raises(ssl.SSLError):
        shake_hands(client_context(directory, car), server_context(directory, charger))


def test_unknown_certificates_are_rejected_on_both_sides(directory: Path, tmp_path: Path) -> None:
    pki.create_set(tmp_path / "p521", "p521")
    with pytest.raises(ssl.SSLError):
        shake_hands(client_context(tmp_path), server_context(directory))
    with pytest.raises(ssl.SSLError):
        shake_hands(client_context(directory), server_context(tmp_path))


def test_a_car_without_a_certificate_is_rejected(directory: Path) -> None:
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.check_hostname = False
    bare.load_verify_locations(directory / "p521" / "v2g_root.pem")
    with pytest.raises(ssl.SSLError):
        shake_hands(bare, server_context(directory))


def test_an_expired_certificate_is_rejected(directory: Path, tmp_path: Path) -> None:
    pki.create_set(tmp_path / "p521", "p521", now=dt.datetime.now(dt.UTC) - dt.timedelta(days=400))
    with pytest.raises(ssl.SSLError, match="expired"):
        shake_hands(client_context(tmp_path), server_context(tmp_path))


def test_a_strict_charger_takes_no_other_curve(directory: Path) -> None:
    car = client_context(directory, TLS_1_3, TlsProfile.STRICT)
    car.set_ecdh_curve("prime256v1")
    with pytest.raises(ssl.SSLError):
        shake_hands(car, server_context(directory, TLS_1_3, TlsProfile.STRICT))


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(TlsSetupError, match=r"secc\.pem is missing"):
        server_context(tmp_path)
    with pytest.raises(TlsSetupError, match=r"v2g_root\.pem"):
        client_context(tmp_path)
    with pytest.raises(LocalProtocolError):
        server_context(tmp_path, TlsVersion.NONE)


def test_a_key_that_does_not_fit_is_named(directory: Path, tmp_path: Path) -> None:
    pki.create_set(tmp_path / "p521", "p521")
    (tmp_path / "p521" / "secc.key").write_bytes((directory / "p521" / "secc.key").read_bytes())
    with pytest.raises(TlsSetupError, match=r"secc\.pem and secc\.key"):
        server_context(tmp_path)


def test_keys_are_readable_by_their_owner_only(directory: Path) -> None:
    for path in directory.rglob("*.key"):
        assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["secc", "vehicle", "contract", "cps", "oem_provisioning"])
@pytest.mark.parametrize("curve", list(pki.CURVES))
def test_chains_lead_to_their_roots(directory: Path, curve: str, name: str) -> None:
    certificates = x509.load_pem_x509_certificates((directory / curve / f"{name}.pem").read_bytes())
    assert 2 <= len(certificates) <= 3
    issuers = {"secc": "v2g", "cps": "v2g", "vehicle": "oem", "oem_provisioning": "oem", "contract": "mo"}
    root = x509.load_pem_x509_certificate((directory / curve / f"{issuers[name]}_root.pem").read_bytes())
    for certificate, issuer in zip(certificates, [*certificates[1:], root], strict=True):
        certificate.verify_directly_issued_by(issuer)


@pytest.mark.parametrize("profile", list(TlsProfile))
def test_the_configuration_names_suites_groups_and_signatures(profile: TlsProfile) -> None:
    text = openssl_configuration(profile)
    assert f"Ciphersuites = {SUITES_1_3}\n" in text
    assert ("P-256" in text) is (profile is TlsProfile.INTEROP)


async def test_a_connection_is_closed_twice_while_its_peer_does_not_read(directory: Path) -> None:
    errors: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    closing, sent = asyncio.Event(), [bytes(8 << 20), bytes(1 << 20)]

    async def serve(wire: TcpWire) -> None:
        wire.push_to(lambda data: None)
        assert [wire.send(one) for one in sent] == [True, False]
        closing.set()
        await asyncio.gather(wire.close(), wire.close())

    server = await listen(serve, "127.0.0.1", 0, server_context(directory, TLS_1_3))
    wire = await connect("127.0.0.1", server.port, client_context(directory, TLS_1_3))
    await closing.wait()
    received = 0
    while data := await wire.read():
        received += len(data)
    await wire.close()
    await server.close()
    assert (received, errors) == (sum(map(len, sent)), [])
