"""A real MQTT broker inside the process, for the demo and for sites without one: amqtt, which speaks MQTT 3.1.1.

Production sites run Mosquitto, EMQX or NATS; this one forgets everything when it stops.
"""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType
from typing import Any


class EmbeddedBroker:
    """An amqtt broker on loopback while its context is entered; `port` 0 lets the system choose one."""

    def __init__(self, port: int = 0) -> None:
        try:
            from amqtt.broker import Broker
        except ImportError:
            raise RuntimeError(
                "the embedded broker needs the extra `broker`: pip install 'v2x-gateway[broker]'"
            ) from None
        logging.getLogger("amqtt").setLevel(logging.ERROR)  # it reports each connection; the gateway does so itself
        logging.getLogger("transitions").setLevel(logging.ERROR)
        self._broker: Any = Broker(
            {
                "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}", "max_connections": 100}},
                "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
                "timeout_disconnect_delay": 0,
            }
        )
        self.port = port

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    async def __aenter__(self) -> EmbeddedBroker:
        await self._broker.start()
        listener = next(iter(self._broker._servers.values()))
        self.port = int(listener.instance.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async with asyncio.timeout(5):
            await self._broker.shutdown()
