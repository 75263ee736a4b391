"""Facility client over a real broker: plain aiomqtt, by the contract only."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.peers import program

ROOT = "v2x/1/home"


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Mosquitto:
    """A Mosquitto process."""

    port: int
    folder: Path
    options: str = "allow_anonymous true\n"
    process: subprocess.Popen[bytes] | None = field(default=None)
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        return f"mqtt://{self.host}:{self.port}"

    def start(self) -> None:
        """Start it and wait until it listens."""
        config = self.folder / "mosquitto.conf"
        config.write_text(f"listener {self.port} {self.host}\nset_tcp_nodelay true\nuser root\n{self.options}")
        self.process = subprocess.Popen(
            [program("mosquitto", "mosquitto"), "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), 0.2):
                return
            time.sleep(0.02)
        raise AssertionError("mosquitto does not listen")

    def stop(self) -> None:
        """Kill it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None


def leaky_peer(test: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a test of peers that leave sockets open: amqtt its transports, paho one after a failed handshake."""
    collected: Callable[..., Any] = pytest.mark.usefixtures("collected_garbage")(test)
    marked: Callable[..., Any] = pytest.mark.filterwarnings("ignore::ResourceWarning")(collected)
    return marked


@contextmanager
def mosquitto(folder: Path, options: str = "allow_anonymous true\n", host: str = "127.0.0.1") -> Iterator[Mosquitto]:
    """Run a Mosquitto."""
    broker = Mosquitto(free_port(), folder, options, host=host)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@dataclass
class Facility:
    """Sends commands and receives everything under the root."""

    client: aiomqtt.Client
    five: bool
    root: str = ROOT
    received: list[tuple[str, Any, bool]] = field(default_factory=list)
    raw: list[aiomqtt.Message] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        """Receive until cancelled."""
        async for message in self.client.messages:
            self.raw.append(message)
            payload = message.payload if isinstance(message.payload, bytes) else b""
            try:
                body = json.loads(payload) if payload else None
            except ValueError:
                body = payload
            self.received.append((str(message.topic).removeprefix(self.root + "/"), body, bool(message.retain)))
            self._news.set()

    async def until(self, topic: str, within_s: float = 30.0, **wanted: Any) -> Any:
        """Wait for the first message on a topic with these members."""
        async with asyncio.timeout(within_s):
            while True:
                for received_topic, body, _ in self.received:
                    if (
                        received_topic == topic
                        and isinstance(body, dict)
                        and all(body.get(k) == v for k, v in wanted.items())
                    ):
                        return body
                self._news.clear()
                await self._news.wait()

    async def send(self, topic: str, body: Any, *, retain: bool = False, response: str | None = None) -> None:
        """Publish on a topic under the root."""
        properties = None
        if response is not None and self.five:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.ResponseTopic = response
            properties.CorrelationData = b"\x00\x01correlation"
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        await self.client.publish(f"{self.root}/{topic}", payload, qos=1, retain=retain, properties=properties)


@asynccontextmanager
async def facility(port: int, five: bool = True, root: str = ROOT, **options: Any) -> AsyncIterator[Facility]:
    """Run a connected facility."""
    protocol = aiomqtt.ProtocolVersion.V5 if five else aiomqtt.ProtocolVersion.V311
    nodelay = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    async with aiomqtt.Client("127.0.0.1", port, protocol=protocol, socket_options=nodelay, **options) as client:
        one = Facility(client, five, root)
        await client.subscribe(f"{root}/#", qos=1)
        await client.subscribe("facility/#", qos=1)
        listening = asyncio.create_task(one.listen())
        try:
            yield one
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
