"""The link over aiomqtt: a connection that is given up is closed."""

from __future__ import annotations

import asyncio

import pytest

from gateway.mqtt.client import BrokerLink, MqttBus, MqttVersion


@pytest.mark.parametrize("version", [MqttVersion.AUTO, MqttVersion.V5, MqttVersion.V311])
async def test_a_broker_that_never_answers_keeps_no_connection(version: str) -> None:
    asked, closed = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        asked.set()
        while await reader.read(1000):
            pass
        closed.set()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        opening = asyncio.create_task(MqttBus(BrokerLink(f"mqtt://127.0.0.1:{port}", "g"), None, version).__aenter__())
        await asked.wait()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        async with asyncio.timeout(30):
            await closed.wait()
