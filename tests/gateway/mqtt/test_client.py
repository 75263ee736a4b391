"""The link over aiomqtt: a connection that is given up is closed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from functools import partial

import pytest

from gateway.mqtt.client import BrokerLink, MqttBus, MqttVersion
from gateway.mqtt.outgoing import write_soon


@pytest.mark.parametrize("version", [MqttVersion.AUTO, MqttVersion.V5, MqttVersion.V311])
async def test_a_broker_that_never_answers_keeps_no_connection(version: str) -> None:
    asked, closed = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(1)
            asked.set()
            while await reader.read(1000):
                pass
        finally:  # the end of the loop may cancel it before
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


async def test_a_broker_that_repeats_its_acceptance_of_a_connection_makes_no_write_longer() -> None:
    accepted, message = b"\x20\x03\x00\x00\x00", b"\x30\x05\x00\x01a\x00x"
    closed = asyncio.Event()

    async def broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(1000)
            writer.write(20 * accepted + message)
            while await reader.read(1000):
                pass
        finally:
            closed.set()
            writer.close()

    async with await asyncio.start_server(broker, "127.0.0.1", 0) as server, asyncio.timeout(30):
        port = server.sockets[0].getsockname()[1]
        async with MqttBus(BrokerLink(f"mqtt://127.0.0.1:{port}", "g"), None, MqttVersion.V5) as bus:
            async for received in bus.messages():
                assert received.payload == b"x"
                break
            writing = vars(bus._client)["_client"].on_socket_register_write
            assert writing.func is write_soon
            assert not isinstance(writing.args[0], partial)
        await closed.wait()


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_link_that_is_closed_after_its_broker_ended_it_logs_no_error(at_once: bool) -> None:
    errors, loop = list[dict[str, object]](), asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: errors.append(context))
    opened = asyncio.Event()

    async def broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            await reader.read(1000)
            writer.write(b"\x20\x03\x00\x00\x00")
            if not at_once:
                await opened.wait()

    async with await asyncio.start_server(broker, "127.0.0.1", 0) as server, asyncio.timeout(30):
        port = server.sockets[0].getsockname()[1]
        async with MqttBus(BrokerLink(f"mqtt://127.0.0.1:{port}", "g"), None, MqttVersion.V5) as bus:
            opened.set()
            client = vars(bus._client)
            while client["_client"].socket() is not None:  # noqa: ASYNC110 - a wait for its end would retrieve the error
                await asyncio.sleep(0)
            await asyncio.wait({client["_misc_task"]})  # it refers to the client
        del bus, client
        gc.collect()
    assert errors == []
