"""The networks of the rounds of faults transport nothing while they are cut, and everything afterwards."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.gateway.cluster.network import Namespaces, Network, Proxies, within
from tests.gateway.mqtt.facility import free_port
from tests.peers import absent

SERVER = """
import socket, sys
listening = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
while True:
    connection, _ = listening.accept()
    while data := connection.recv(100):
        connection.sendall(data)
"""


@asynccontextmanager
async def _echo(network: Network) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect part `a` to an echo at part `b`."""
    port = free_port()
    with within(network.namespace("b")):
        command = [sys.executable, "-c", SERVER, network.address("b"), str(port)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: ASYNC220 - in the namespace of this thread
    try:
        assert server.stdout is not None
        await asyncio.to_thread(server.stdout.readline)
        host, port = network.path("a", "b", port)
        await network.ready()
        with within(network.namespace("a")):
            connecting = asyncio.open_connection(host, port)
            reader, writer = await connecting
        yield reader, writer
        writer.close()
    finally:
        server.kill()
        server.communicate()
        await network.close()


@pytest.mark.parametrize("kind", ["proxies", pytest.param("namespaces", marks=pytest.mark.soak)])
async def test_what_is_sent_while_a_path_is_cut_arrives_afterwards(kind: str) -> None:
    if kind == "namespaces" and not Namespaces.possible():
        absent("network namespaces, links and rules of nftables need root")
    network: Network = Proxies() if kind == "proxies" else Namespaces(["a", "b"])
    async with _echo(network) as (reader, writer):
        for how in ("server", "pair", "client"):
            writer.write(b"before")
            assert await reader.readexactly(6) == b"before"
            if how == "pair":
                network.separate("a", ["b"])
            else:
                network.cut("b" if how == "server" else "a")
            writer.write(b"during")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await reader.readexactly(6)
            network.heal()
            async with asyncio.timeout(10):
                assert await reader.readexactly(6) == b"during"
