"""Embedded MQTT broker, for the demo and for simulations over sockets: amqtt, which supports MQTT 3.1.1.

Production sites run Mosquitto, EMQX or NATS; this one persists nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from typing import Any

START_WITHIN = 20.0  # s of real time


class EmbeddedBroker:
    """An amqtt broker on loopback while its context is entered; with `port` 0 the system chooses one."""

    def __init__(self, port: int = 0) -> None:
        try:
            from amqtt.broker import Broker
        except ImportError:
            raise RuntimeError(
                "the embedded broker needs the extra `broker`: pip install 'v2x-gateway[broker]'"
            ) from None
        logging.getLogger("amqtt").setLevel(logging.ERROR)  # it logs each connection, which the gateway does as well
        logging.getLogger("transitions").setLevel(logging.ERROR)
        self._broker: Any = Broker(
            {
                "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}", "max_connections": 100}},
                "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
                "timeout_disconnect_delay": 0,
            }
        )
        # amqtt leaves the socket of a client open that has not been connected when the broker ends
        self._serve_client = self._broker.stream_connected
        self._broker.stream_connected = self._client
        self.port = port

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str) -> None:
        try:
            await self._serve_client(reader, writer, listener_name)
        finally:
            writer.close()

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    async def __aenter__(self) -> EmbeddedBroker:
        await self._broker.start()
        listener = next(iter(self._broker._servers.values()))
        self.port = int(listener.instance.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        async with asyncio.timeout(5):
            await self._broker.shutdown()


class BrokerThread:
    """The embedded broker on the loop of its own thread: its keep-alives run in real time at any virtual speed."""

    def __init__(self) -> None:
        self.port = 0
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failed: BaseException | None = None

    async def __aenter__(self) -> BrokerThread:
        self._thread.start()
        ready = await asyncio.get_running_loop().run_in_executor(None, self._ready.wait, START_WITHIN)
        if self._failed is not None or not ready:
            raise RuntimeError(f"the embedded broker did not start: {self._failed or 'no response'}")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed already
                self._loop.call_soon_threadsafe(self._stop.set)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join, START_WITHIN)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._failed = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with EmbeddedBroker() as broker:
            self.port = broker.port
            self._ready.set()
            await self._stop.wait()
