"""Beginning and end of a client of aiomqtt, so that none leaves a socket, a task or an error behind."""

from __future__ import annotations

import asyncio

import aiomqtt
import paho.mqtt.client as paho

from gateway.mqtt.outgoing import ANSWER_WITHIN_S


async def open_client(client: aiomqtt.Client) -> None:
    """Connect within `ANSWER_WITHIN_S`; a connection without an answer is closed, which aiomqtt does not do."""
    for one in (client._connected, client._disconnected):
        one.add_done_callback(_retrieve_error)
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await client.__aenter__()
    except BaseException:
        _abandon(client)
        raise
    client._disconnected.add_done_callback(_retrieve_error)  # another one where the broker closed the link at once


def _retrieve_error(future: asyncio.Future[None]) -> None:
    """Retrieve the error of a link that may be closed for another reason: asyncio logs one that nobody retrieves."""
    if not future.cancelled():
        future.exception()


async def close_client(client: aiomqtt.Client) -> None:
    """Disconnect within `ANSWER_WITHIN_S`; one that does not read gets no DISCONNECT."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await client.__aexit__(None, None, None)
    finally:
        _abandon(client)


def _abandon(client: aiomqtt.Client) -> None:
    """Close the socket of a client that is not used again, and end its reader and its periodic task."""
    inner = paho_client(client)
    left, loop = inner.socket(), asyncio.get_running_loop()
    if left is None:
        return

    def close() -> None:
        if left.fileno() < 0:  # closed by aiomqtt meanwhile
            return
        loop.remove_reader(left)
        loop.remove_writer(left)
        client._on_socket_close(inner, None, left)
        left.close()

    loop.call_soon(close)  # after what aiomqtt has scheduled for this socket


def paho_client(client: aiomqtt.Client) -> paho.Client:
    """Return the paho client inside an aiomqtt client, for manual acknowledgements (`manual_ack_set`, `ack`).

    aiomqtt 2.5 has no interface for them, and `_client` is private: pyproject.toml pins aiomqtt below 2.6. Before the
    pin is raised, check the attribute and run tests/interop/test_mosquitto.py, which covers redelivery.
    """
    return client._client
