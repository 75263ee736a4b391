"""A real NATS server with TLS and users: what is accepted, and the reasons of what is refused."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import nkeys  # type: ignore[import-untyped]
import pytest

from gateway.cli import doctor
from gateway.cli.findings import Finding, Verdict
from gateway.cli.operator_actions import ToolError, verify_stopped
from gateway.cluster import io
from gateway.cluster.io import ClusterBus, ClusterError
from gateway.cluster.messages import Barrier, Done, Message
from gateway.cluster.node import INSTANCES, LEASES, OWNERS
from gateway.cluster.settings import ClusterSettings
from gateway.config import ConfigError, from_table
from gateway.config.verification import verify
from tests.gateway.cluster.nats_accounts import Accounts
from tests.gateway.cluster.rig import Nats
from tests.gateway.csms.test_security import Authority
from tests.gateway.mqtt.facility import free_port
from tests.peers import ROOT

USER, PASSWORD = "v2x", "a-password"


@contextmanager
def server(folder: Path, *arguments: str, jetstream: bool = True) -> Iterator[Nats]:
    one = Nats(free_port(), folder / "data", list(arguments))
    one.start(jetstream)
    try:
        yield one
    finally:
        one.kill()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Nats]:
    """A server with TLS that requires a user and a client certificate."""
    certificate, key = authority.issue("localhost")
    arguments = ("--tlsverify", "--tlscert", str(certificate), "--tlskey", str(key), "--tlscacert", str(authority.file))
    with server(tmp_path_factory.mktemp("nats"), *arguments, "--user", USER, "--pass", PASSWORD) as running:
        yield running


@pytest.fixture
def settings(secured: Nats, authority: Authority) -> ClusterSettings:
    certificate, key = authority.folder / "localhost.pem", authority.folder / "localhost.key"
    url = f"tls://{USER}:{PASSWORD}@localhost:{secured.port}"
    return ClusterSettings((url,), "gw1", ca=authority.file, cert=certificate, key=key)


async def refusal(settings: ClusterSettings, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(io, "CONNECT_WITHIN_S", 0.7)
    with pytest.raises(ClusterError) as caught:
        async with ClusterBus(settings).connect() as bus:
            await bus.verify()
    return str(caught.value)


async def test_tls_with_user_and_password(
    settings: ClusterSettings, secured: Nats, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with ClusterBus(settings).connect() as bus:
        assert await bus.verify() >= (2, 11)
        assert await (await bus.records("some")).update("one", b"1", 0)
    await refusal(replace(settings, servers=(f"tls://{USER}:wrong@localhost:{secured.port}",)), monkeypatch)
    assert [one.getMessage() for one in caplog.records if one.name == "asyncio"] == []


async def test_what_is_wrong_is_named(
    settings: ClusterSettings, secured: Nats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = secured.port
    wrong_password = replace(settings, servers=(f"tls://{USER}:wrong@localhost:{port}",))
    found = await refusal(wrong_password, monkeypatch)
    assert found == "NATS cannot be used: the server refuses the user, or its password or credentials"
    assert PASSWORD not in found

    other_name = replace(settings, servers=(f"tls://{USER}:{PASSWORD}@127.0.0.1:{port}",))
    assert "its certificate is not for this name" in await refusal(other_name, monkeypatch)

    wrong_ca = replace(settings, ca=Authority(tmp_path).file)
    assert "the certificate of the server is not signed by cluster.ca" in await refusal(wrong_ca, monkeypatch)

    no_ca = replace(settings, ca=None, cert=None, key=None)
    assert "is not signed by an authority of the system (cluster.ca)" in await refusal(no_ca, monkeypatch)

    no_certificate = replace(settings, cert=None, key=None)
    assert "requires a client certificate" in await refusal(no_certificate, monkeypatch)


async def test_a_server_without_tls_is_not_used_in_its_place(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server(tmp_path) as plain:
        found = await refusal(
            ClusterSettings((f"tls://localhost:{plain.port}",), "gw1", ca=authority.file), monkeypatch
        )
    assert found == "NATS cannot be used: the server offers no TLS, and tls:// or cluster.ca requires it"


async def test_a_server_without_jetstream_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(tmp_path, jetstream=False) as plain:
        found = await refusal(ClusterSettings((plain.url,), "gw1"), monkeypatch)
    assert found == "NATS has no JetStream for this user: start it with -js, or enable JetStream for the account"


async def test_a_credentials_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = Accounts()
    good = accounts.credentials(tmp_path / "good.creds")
    foreign = Accounts().credentials(tmp_path / "foreign.creds")
    with server(tmp_path, "-c", str(accounts.configuration(tmp_path))) as running:
        settings = ClusterSettings((running.url,), "gw1", credentials_file=good)
        async with ClusterBus(settings).connect() as bus:
            assert await bus.verify() >= (2, 11)
        refused = await refusal(replace(settings, credentials_file=foreign), monkeypatch)
        assert "the server refuses the user" in refused
        assert "the server refuses the user" in await refusal(replace(settings, credentials_file=None), monkeypatch)


def content_of_an_nkey(path: Path) -> tuple[str, str]:
    """Return the token line and the seed line of a credentials file."""
    lines = path.read_text().splitlines()
    return lines[1], lines[5]


@pytest.mark.parametrize(
    "wrong", ["", "not credentials\n", "{token}\n", "-----BEGIN USER NKEY SEED-----\n{seed}\n", "{seed}{seed}\n"]
)
def test_another_content_of_the_credentials_file_is_named(tmp_path: Path, wrong: str) -> None:
    token, seed = content_of_an_nkey(Accounts().credentials(tmp_path / "good.creds"))
    file = tmp_path / "wrong.creds"
    file.write_text(wrong.format(token=token, seed=seed))
    cluster = {"servers": ["nats://localhost"], "instance": "gw1", "credentials_file": str(file)}
    table = {"cluster": cluster, "admin": {"token_file": str(tmp_path / "token")}, "ocpp": {"security_profile": 0}}
    (tmp_path / "token").write_text("a-token-of-the-cluster\n")
    (tmp_path / "token").chmod(0o600)
    config = from_table({**table, "store": {"url": "postgresql://v2x@db/v2x"}}, tmp_path)
    with pytest.raises(ConfigError, match=r"^cluster.credentials_file: .* has neither the credentials of a user"):
        verify(config)


async def test_the_seed_of_an_nkey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = []
    for name in ("good", "foreign"):
        _, seed = content_of_an_nkey(Accounts().credentials(tmp_path / f"{name}.creds"))
        (tmp_path / f"{name}.nk").write_text(f"{seed}\n")
        seeds.append(seed)
    user = nkeys.from_seed(bytearray(seeds[0].encode())).public_key.decode()
    (tmp_path / "nats.conf").write_text(f"authorization {{ users = [ {{ nkey: {user} }} ] }}\n")
    with server(tmp_path, "-c", str(tmp_path / "nats.conf")) as running:
        settings = ClusterSettings((running.url,), "gw1", credentials_file=tmp_path / "good.nk")
        async with ClusterBus(settings).connect() as bus:
            assert await bus.verify() >= (2, 11)
        foreign = replace(settings, credentials_file=tmp_path / "foreign.nk")
        assert "the server refuses the user" in await refusal(foreign, monkeypatch)


async def test_the_rights_that_the_documentation_names_are_enough(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Among them is the one to answer the flow control of NATS: without it no list of more than 2 MB is complete."""
    stated = re.search(r"publish ((?:`.*?)+); subscribe (.*?)\.\s", (ROOT / "docs/scale.md").read_text(), re.DOTALL)
    assert stated is not None
    publish, subscribe = (json.dumps(re.findall(r"`([^`]+)`", one)) for one in stated.groups())
    rights = f"permissions: {{ publish: {publish}, subscribe: {subscribe} }}"
    user = f"{{ user: {USER}, password: {PASSWORD}, {rights} }}"
    (tmp_path / "nats.conf").write_text(f"authorization {{ users = [ {user} ] }}\n")

    async def handle(message: Message) -> Message:
        return Done(message.site)

    with server(tmp_path, "-c", str(tmp_path / "nats.conf")) as running:
        settings = ClusterSettings((f"nats://{USER}:{PASSWORD}@127.0.0.1:{running.port}",), "gw1")
        async with ClusterBus(settings, handle).connect() as bus:
            for kind in (LEASES, OWNERS, INSTANCES):
                records = await bus.records(kind)
                await asyncio.gather(*(records.put(f"{number}", b"x" * 600_000) for number in range(6)))
                assert len(await records.all()) == 6
            assert await bus.request("gw1", Barrier("s", 1)) == Done("s")
            bus.broadcast(Barrier("s", 1))
            await bus.flushed()
    assert [one.getMessage() for one in caplog.records if "permissions" in one.getMessage()] == []


async def test_a_database_is_not_migrated_where_nats_refuses_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Instances with another user may run."""
    monkeypatch.setattr(io, "CONNECT_WITHIN_S", 0.7)
    with server(tmp_path, "--user", USER, "--pass", PASSWORD) as running:
        cluster = {"servers": [f"nats://{USER}:wrong@127.0.0.1:{running.port}"], "instance": "gw1"}
        store = {"url": "postgresql://v2x@127.0.0.1/v2x"}
        config = from_table({"cluster": cluster, "store": store, "ocpp": {"security_profile": 0}})
        with pytest.raises(ToolError, match=r"^whether instances of the cluster run is not known: .* refuses the user"):
            await verify_stopped(config)
    await verify_stopped(config)  # without NATS no instance controls a site


async def test_a_user_that_is_refused_for_a_time_is_connected_again(tmp_path: Path) -> None:
    file = tmp_path / "nats.conf"

    def password(text: str) -> None:
        file.write_text(f"authorization {{ user: {USER}, password: {text} }}\n")

    async def until(connected: bool) -> None:
        async with asyncio.timeout(20):
            while bus.connected is not connected:  # noqa: ASYNC110 - nats-py has no event for it
                await asyncio.sleep(0.02)

    password(PASSWORD)
    with server(tmp_path, "-c", str(file)) as running:
        url = f"nats://{USER}:{PASSWORD}@127.0.0.1:{running.port}"
        async with ClusterBus(ClusterSettings((url,), "gw1")).connect() as bus:
            records = await bus.records("some")
            password("another")
            running.signal(signal.SIGHUP)  # it reads its file, and ends the connections of other users
            await until(False)
            password(PASSWORD)
            running.signal(signal.SIGHUP)
            await until(True)
            assert await records.update("one", b"1", 0)


async def test_doctor_connects_as_an_instance_does(
    settings: ClusterSettings, secured: Nats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(io, "CONNECT_WITHIN_S", 0.7)
    table = {
        "mqtt": {"url": f"mqtt://127.0.0.1:{free_port()}"},
        "store": {"url": f"postgresql://v2x@127.0.0.1:{free_port()}/v2x"},
        "ocpp": {"listen": f"127.0.0.1:{free_port()}", "security_profile": 0},
    }
    cluster = {"instance": "gw1", "ca": str(settings.ca), "cert": str(settings.cert), "key": str(settings.key)}

    async def found(check: str, server: str) -> Finding:
        section = {**cluster, "servers": [server]}
        findings = await doctor.examine(from_table({**table, "cluster": section}, tmp_path))
        return next(one for one in findings if one.check == check)

    good = await found("cluster", settings.servers[0])
    assert (good.verdict, good.text.endswith("with JetStream answers, and accepts the user")) == (Verdict.OK, True)
    wrong = await found("cluster", f"tls://{USER}:wrong@localhost:{secured.port}")
    assert (wrong.verdict, wrong.remedy) == (
        Verdict.FAILED, "correct cluster.credentials_file, or user and password in cluster.servers",
    )  # fmt: skip
    absent = await found("cluster", f"tls://localhost:{free_port()}")
    assert (absent.verdict, absent.remedy) == (
        Verdict.FAILED, "start NATS, or correct host and port of cluster.servers",
    )  # fmt: skip
    store = await found("store", settings.servers[0])
    assert (store.verdict, bool(store.remedy)) == (Verdict.FAILED, True)


def test_the_version_of_the_program_is_one_that_is_accepted() -> None:
    from tests.gateway.cluster.rig import nats_program

    printed = subprocess.run([nats_program(), "-v"], check=True, capture_output=True, text=True).stdout
    assert io.is_recent(tuple(int(one) for one in printed.rpartition("v")[2].split(".")[:2]))
    assert not io.is_recent((2, 9))
