"""Security profiles 0 to 3 over real sockets: passwords, TLS, client certificates, connection limits, new keys."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from emulators.runtime.clock import RealClock
from gateway.config import ConfigError, from_table
from gateway.config.mapping import csms_settings
from gateway.csms import passwords, raw_call_effects, revocation, websocket_server
from gateway.csms.admin import Admin
from gateway.csms.csms import Csms
from gateway.csms.errors import NotFound
from gateway.csms.settings import CsmsSettings, StationSettings, UnknownStations
from gateway.model.station import Answer
from gateway.rate_limit import TokenBucket
from protocols.ocpp.schema import Version
from tests.emulators.charger.station_rig import Rig
from tests.interop.ocpp_sockets import station, until

PASSWORD = "0123456789abcdef"


@asynccontextmanager
async def serving(**about: Any) -> AsyncIterator[tuple[Csms, int]]:
    about.setdefault("stations", (StationSettings("CP1", passwords.hash_password(PASSWORD)),))
    made = Csms(CsmsSettings(port=0, **about), lambda _: None, RealClock())
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(made.serve(port.set_result))
    try:
        yield made, await port
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


async def knock(port: int, path: str = "/ocpp/CP1", **about: Any) -> int:
    """Return the HTTP status of a handshake."""
    about.setdefault("subprotocols", ["ocpp2.1"])
    try:
        async with connect(f"ws://127.0.0.1:{port}{path}", **about):
            return 101
    except InvalidStatus as error:
        return error.response.status_code


async def test_profile_1_requires_the_stations_password() -> None:
    async with serving(security_profile=1) as (_, port):
        assert await knock(port) == 401
        assert await knock(port, additional_headers=basic("CP1", "wrong")) == 401
        assert await knock(port, additional_headers=basic("CP2", PASSWORD)) == 401
        assert await knock(port, additional_headers={"Authorization": "Basic !!!"}) == 401
        assert await knock(port, additional_headers={"Authorization": "Bearer x"}) == 401
        assert await knock(port, additional_headers=basic("CP1", PASSWORD)) == 101
        assert await knock(port, additional_headers=basic("CP1", PASSWORD)) == 101  # from memory
        assert await knock(port, additional_headers=basic("CP1", "wrong")) == 401


async def test_a_station_with_a_password_is_authenticated_in_profile_0_too() -> None:
    async with serving() as (_, port):
        assert await knock(port) == 401
        assert await knock(port, additional_headers=basic("CP1", PASSWORD)) == 101


async def test_unknown_stations_and_invalid_paths_are_rejected() -> None:
    async with serving(stations=(StationSettings("CP1"), StationSettings("a|b"))) as (_, port):
        for path in (
            "/ocpp/CP2",
            "/ocpp/",
            "/ocpp",
            "/",
            "/other/CP1",
            "/ocpp/CP1/x",
            "/ocpp/a%20b",
            "/ocpp/" + "x" * 49,
        ):
            assert await knock(port, path) == 404, path
        assert await knock(port) == 101
        assert await knock(port, "/ocpp/a%7Cb") == 101


async def test_the_number_of_stations_is_bounded() -> None:
    async with (
        serving(stations=(), unknown_stations=UnknownStations.ACCEPT, max_unknown=2) as (csms, port),
        connect(f"ws://127.0.0.1:{port}/ocpp/A", subprotocols=["ocpp2.1"]),  # type: ignore[list-item]
        connect(f"ws://127.0.0.1:{port}/ocpp/B", subprotocols=["ocpp1.6"]),  # type: ignore[list-item]
    ):
        await until(lambda: len(csms.stations) == 2)
        assert await knock(port, "/ocpp/C") == 503
        assert await knock(port, "/ocpp/A") == 101


async def test_handshakes_are_bounded() -> None:
    async with serving(stations=(StationSettings("CP1"),), max_handshakes_per_s=2.0) as (_, port):
        statuses = [await knock(port) for _ in range(30)]
        assert statuses[0] == 101
        assert 503 in statuses
        strangers = [await knock(port, f"/ocpp/X{number}") for number in range(8)]
        assert strangers[0] == 404
        assert 503 in strangers


@pytest.mark.parametrize("offered", [["ocpp1.6", "ocpp2.1"], ["ocpp9.9", "ocpp2.0.1"], ["ocpp2.1"]])
async def test_the_first_common_subprotocol_of_the_station_is_selected(offered: list[str]) -> None:
    async with serving(stations=(StationSettings("CP1"),)) as (_, port):
        socket = await connect(f"ws://127.0.0.1:{port}/ocpp/CP1", subprotocols=offered)  # type: ignore[arg-type]
        assert socket.subprotocol == next(p for p in offered if p in set(Version))
        await socket.close()


async def test_no_common_version_completes_the_handshake_and_closes() -> None:
    async with serving(stations=(StationSettings("CP1"),)) as (_, port):
        for offered in (["ocpp1.5"], None):
            async with connect(f"ws://127.0.0.1:{port}/ocpp/CP1", subprotocols=offered) as socket:  # type: ignore[arg-type]
                assert socket.subprotocol is None
                await socket.wait_closed()
                assert socket.close_code == 1002


# TLS


class Authority:
    """A certificate authority of the test, with files of its certificates."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign("tests", self.key, None)
        self.file = folder / "ca.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(self, name: str, key: ec.EllipticCurvePrivateKey, issuer: x509.Certificate | None) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if issuer is None else issuer.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        )
        if issuer is None:
            usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
            builder = builder.add_extension(usage, critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        signer = self.key
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        return builder.sign(signer, hashes.SHA256())

    def issue(self, name: str) -> tuple[Path, Path]:
        """Issue a leaf; return the files of certificate and key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate, private = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        signed = self._sign(name, key, self.certificate)
        certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        plain = serialization.NoEncryption()
        private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
        return certificate, private

    def revocation_list(self, *revoked: Path, days: int = 1) -> bytes:
        """Return a list of certificates, valid for so many days from yesterday on."""
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now - dt.timedelta(days=2))
            .next_update(now + dt.timedelta(days=days))
        )
        for file in revoked:
            number = x509.load_pem_x509_certificate(file.read_bytes()).serial_number
            entry = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(now).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize("profile", [2, 3])
async def test_the_emulated_station_over_tls(profile: int, tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    server_cert, server_key = ca.issue("localhost")
    station_cert, station_key = ca.issue("CP1")

    about = {"security_profile": profile, "tls_cert": server_cert, "tls_key": server_key, "tls_ca": ca.file}
    async with serving(**about) as (csms, port):
        url = f"wss://localhost:{port}/ocpp"
        about = {"password": PASSWORD} if profile == 2 else {"cert": station_cert, "key": station_key}
        async with station(url, id="CP1", ca=ca.file, **about) as made:
            await until(lambda: made.station.online)
            assert csms.stations["CP1"].security_profile == profile
            await until(lambda: csms.stations["CP1"].accepted)


async def test_profile_3_requires_the_stations_certificate(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    ca, other = Authority(tmp_path), Authority(tmp_path / "x")
    server_cert, server_key = ca.issue("localhost")

    about = {"security_profile": 3, "tls_cert": server_cert, "tls_key": server_key, "tls_ca": ca.file}
    async with serving(**about) as (_, port):

        async def with_certificate(files: tuple[Path, Path] | None) -> int:
            context = ssl.create_default_context(cafile=str(ca.file))
            if files is not None:
                context.load_cert_chain(*files)
            try:
                async with connect(
                    f"wss://localhost:{port}/ocpp/CP1",
                    ssl=context,
                    subprotocols=["ocpp2.1"],  # type: ignore[list-item]
                ) as socket:
                    await socket.ping()
                    return 101
            except InvalidStatus as error:
                return error.response.status_code
            except (ssl.SSLError, OSError, EOFError):
                return 0
            except Exception as error:
                if type(error).__name__ in ("InvalidMessage", "ConnectionClosedError"):
                    return 0
                raise

        assert await with_certificate(ca.issue("CP1")) == 101
        assert await with_certificate(ca.issue("CP2")) == 403
        assert await with_certificate(None) == 0
        assert await with_certificate(other.issue("CP1")) == 0


async def test_a_revoked_certificate_is_refused_and_its_connection_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the list at the start and after a change of its file; a list that cannot be used changes nothing."""
    monkeypatch.setattr(revocation, "READ_EVERY_S", 0.05)
    ca, stations = Authority(tmp_path), ("CP1", "CP2", "CP3")
    server_cert, server_key = ca.issue("localhost")
    files = {name: ca.issue(name) for name in stations}
    listed = tmp_path / "revoked.pem"
    listed.write_bytes(ca.revocation_list(files["CP3"][0]))
    about = {"security_profile": 3, "tls_cert": server_cert, "tls_key": server_key, "tls_ca": ca.file}
    registered = tuple(StationSettings(name) for name in stations)

    async with serving(**about, tls_crl=listed, stations=registered) as (_, port):

        def connection(name: str) -> connect:
            context = ssl.create_default_context(cafile=str(ca.file))
            context.load_cert_chain(*files[name])
            url = f"wss://localhost:{port}/ocpp/{name}"
            return connect(url, ssl=context, subprotocols=[Subprotocol("ocpp2.1")], proxy=None)

        async def refused(name: str) -> bool:
            try:
                async with connection(name):
                    return False
            except InvalidStatus as error:
                answer = error.response
                return answer.status_code == 403 and b"certificate of this station is revoked" in answer.body

        assert await refused("CP3")
        async with connection("CP1") as first, connection("CP2") as second:
            listed.write_bytes(ca.revocation_list(files["CP1"][0], files["CP3"][0]))
            async with asyncio.timeout(10):
                await first.wait_closed()
            assert (first.close_code, first.close_reason) == (1008, "the certificate of this station is revoked")
            assert await refused("CP1")
            listed.write_bytes(b"nonsense")
            await asyncio.sleep(0.2)
            assert await refused("CP1")
            listed.unlink()
            await asyncio.sleep(0.2)
            assert await refused("CP1")
            listed.write_bytes(ca.revocation_list(files["CP3"][0], days=-1))  # out of date: it still counts
            await asyncio.sleep(0.2)
            assert not await refused("CP1")
            assert await refused("CP3")
            await (await second.ping())
            assert not await refused("CP2")


def test_revocation_lists_are_verified_with_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    ca, other = Authority(tmp_path), Authority(tmp_path / "x")
    certificate, key = ca.issue("localhost")
    listed = tmp_path / "revoked.pem"
    ocpp = {"security_profile": 3, "tls_cert": certificate, "tls_key": key, "tls_ca": ca.file, "tls_crl": listed}
    for content, text in (
        (None, "No such file"),
        (b"nonsense", "has no certificate revocation list"),
        (other.revocation_list(certificate), "is not signed by an authority"),
        (ca.revocation_list(), None),
    ):
        if content is not None:
            listed.write_bytes(content)
        config = from_table({"ocpp": ocpp})
        if text is None:
            assert csms_settings(config).tls_crl == listed
            continue
        with pytest.raises(ConfigError, match=f"ocpp.tls_crl: .*{text}"):
            csms_settings(config)


@pytest.mark.parametrize("version", list(Version))
async def test_a_station_migrates_to_a_higher_security_profile_and_not_back(version: Version, tmp_path: Path) -> None:
    """A05; 1.6 security whitepaper, 2.7: after a connection with the higher profile the lower one is rejected."""
    ca = Authority(tmp_path)
    server_cert, server_key = ca.issue("localhost")
    mine = ca.issue("CP1")

    about: dict[str, Any] = {
        "security_profile": 1,
        "tls_cert": server_cert,
        "tls_key": server_key,
        "tls_ca": ca.file,
        "tls_address": ("127.0.0.1", 0),
        "stations": (StationSettings("CP1", passwords.hash_password(PASSWORD)),),
        "inventory": False,
    }
    csms = Csms(CsmsSettings(port=0, **about), lambda _: None, RealClock())
    ports: list[int] = []
    listening = asyncio.Event()

    def ready(port: int) -> None:
        ports.append(port)
        listening.set()

    serving = asyncio.create_task(csms.serve(ready, ports.append))
    await listening.wait()
    tls, plain = ports

    async def comes_in(profile: int) -> int:
        context = None
        if profile > 1:
            context = ssl.create_default_context(cafile=str(ca.file))
        if profile == 3 and context is not None:
            context.load_cert_chain(*mine)
        url = f"ws://127.0.0.1:{plain}/ocpp/CP1" if profile == 1 else f"wss://localhost:{tls}/ocpp/CP1"
        basic = base64.b64encode(f"CP1:{PASSWORD}".encode()).decode()
        headers = {} if profile == 3 else {"Authorization": f"Basic {basic}"}
        try:
            async with connect(
                url, ssl=context, additional_headers=headers, subprotocols=[Subprotocol(version.value)], proxy=None
            ) as socket:
                await socket.ping()
                return 101
        except InvalidStatus as error:
            return error.response.status_code

    def accept_profile(profile: int) -> None:
        if version is Version.V16:
            body = {"key": "SecurityProfile", "value": str(profile)}
            raw_call_effects.apply(csms.stations["CP1"], "ChangeConfiguration", body, {"status": "Accepted"})
            return
        data = {"securityProfile": profile, "ocppCsmsUrl": "wss://x"}
        body_2 = {"configurationSlot": 2, "connectionData": data}
        raw_call_effects.apply(csms.stations["CP1"], "SetNetworkProfile", body_2, {"status": "Accepted"})

    try:
        assert await comes_in(1) == 101
        assert await comes_in(2) == 101  # a higher profile than required is accepted and changes nothing
        assert await comes_in(1) == 101
        assert await comes_in(3) == 401
        for profile in (2, 3):
            accept_profile(profile)
            assert await comes_in(profile - 1) == 101  # it has not got there yet
            assert await comes_in(profile) == 101
            assert await comes_in(profile - 1) == 403
            assert csms.stations["CP1"].settings.security_profile == profile
        accept_profile(1)  # the profile is never lowered
        assert await comes_in(3) == 101
        assert await comes_in(1) == 403
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def test_every_mandatory_cipher_suite_is_offered(tmp_path: Path) -> None:
    """A00.FR.318, A00.FR.421."""
    certificate, key = Authority(tmp_path).issue("localhost")
    offered = {one["name"] for one in websocket_server.server_context(certificate, key, None, 2).get_ciphers()}
    assert {
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
    } <= offered
    assert not any("NULL" in name or "CBC" in name or "RC4" in name for name in offered)


# passwords


def test_a_password_is_kept_as_a_hash() -> None:
    kept = passwords.hash_password(PASSWORD)
    assert PASSWORD not in kept
    assert passwords.hash_password(PASSWORD) != kept
    assert passwords.verify(PASSWORD, kept)
    assert not passwords.verify(PASSWORD + "x", kept)
    for broken in ("", "plain", "scrypt$zz$zz", "scrypt$00"):
        assert not passwords.verify(PASSWORD, broken)
    assert 16 <= len(passwords.new_password()) <= 40


@pytest.mark.parametrize("key", ["ff00ff00" * 4, "FF00FF00" * 4, "6162636465666768" * 2])
async def test_a_password_of_bytes_is_read_as_the_key_that_was_written_down(key: str) -> None:
    """A key whose bytes are valid text is compared as a key."""
    header = "Basic " + base64.b64encode(b"CP1:" + bytes.fromhex(key)).decode()
    given = passwords.basic_credentials(header)
    assert given == ("CP1", bytes.fromhex(key))

    async def right(password: bytes) -> bool:
        csms = Csms(CsmsSettings(stations=(StationSettings("CP1", passwords.hash_password(key)),)), print, RealClock())
        return await csms.credentials.verify(csms.stations["CP1"], password)

    assert await right(given[1])
    assert await right(key.encode())
    assert not await right(given[1] + b"x")


@pytest.mark.virtual_time
@pytest.mark.parametrize("version", list(Version))
async def test_a_password_is_renewed_over_ocpp(version: Version) -> None:
    async with Rig(version) as rig:
        operations = Admin(rig.csms).operations
        assert (await operations.renew_password("CP1"))["answer"] == Answer.APPLIED
        kept = rig.csms.stations["CP1"].settings.password_hash
        if version is Version.V16:
            sent = rig.calls("ChangeConfiguration")[-1]["value"]
        else:
            sent = rig.calls("SetVariables")[-1]["setVariableData"][0]["attributeValue"]
        assert kept is not None
        assert passwords.verify(sent, kept)
        with pytest.raises(NotFound):
            await operations.renew_password("CP9")


def test_a_bucket_lets_through_its_rate() -> None:
    bucket = TokenBucket(rate=2.0, burst=3.0)
    assert [bucket.take(10.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(11.0) for _ in range(3)] == [True, True, False]
