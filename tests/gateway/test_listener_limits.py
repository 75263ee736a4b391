"""A flood of connections is turned away while descriptors are left; half a request does not stay for ever."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import socket

import pytest
from fastapi import FastAPI

from gateway.listener_limits import listen
from gateway.web import server


async def shut(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def next_descriptor() -> int:
    found = os.open(os.devnull, os.O_RDONLY)
    os.close(found)
    return found


async def test_connections_above_the_limit_are_closed_until_one_ends(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"hello\n")
            await reader.read()
        finally:  # the end of the loop may cancel it
            await shut(writer)

    listening = listen("127.0.0.1", 0)
    serving = await asyncio.start_server(greet, sock=listening)
    port = listening.getsockname()[1]
    listening.most = next_descriptor() + 20  # both ends of a connection are in this process
    async with serving:
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(30)]
        replies = [await reader.read(5) for reader, _ in opened]
        assert replies.count(b"hello") >= 5
        assert replies.count(b"") == listening.rejected >= 10
        for _, writer in opened:
            await shut(writer)
        await asyncio.sleep(0.05)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read(5) == b"hello"
        await shut(writer)
        await asyncio.sleep(0.05)
    assert len([one for one in caplog.records if "rejected" in one.message]) == 1
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]


async def test_connections_are_closed_while_the_process_has_no_descriptor_left() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shut(writer)

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    listening = listen("127.0.0.1", 0)
    async with await asyncio.start_server(greet, sock=listening):
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(socket.socket()) for _ in range(20)]
            stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
            resource.setrlimit(resource.RLIMIT_NOFILE, (next_descriptor(), hard))  # as many as are open
            for one in clients:
                one.setblocking(False)
                await asyncio.get_running_loop().sock_connect(one, listening.getsockname())
            for one in clients:
                async with asyncio.timeout(5):
                    assert await asyncio.get_running_loop().sock_recv(one, 1) == b""
        assert listening.rejected == 20  # each once: the loop does not try them again and again


def test_a_spare_descriptor_that_was_lost_is_replaced_when_one_is_free() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def limit(most: int) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))

    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(listen("127.0.0.1", 0))
        clients = [stack.enter_context(socket.create_connection(listening.getsockname(), 5)) for _ in range(2)]
        stack.callback(limit, soft)
        limit(listening.fileno() + 1)  # below the spare one, which cannot be opened again
        with pytest.raises(BlockingIOError):
            listening.accept()
        limit(soft)
        listening.accept()[0].close()
        limit(next_descriptor())
        with pytest.raises(BlockingIOError):
            listening.accept()
        limit(soft)
        assert clients[1].recv(1) == b""


@pytest.mark.parametrize(
    "sent", [b"", b"GET /x HTTP/1.1\r\nHost:", b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab"]
)
async def test_a_request_that_is_never_finished_is_closed(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CHECKED_EVERY_S", 0.05)
    app = FastAPI()

    @app.get("/x")
    async def answered() -> str:
        await asyncio.sleep(0.3)  # longer than two checks: who waits for an answer is not closed
        return "here"

    @app.post("/x")
    async def taken(body: dict[str, str]) -> str:
        return "here"

    ports: asyncio.Queue[int] = asyncio.Queue()
    task = asyncio.create_task(server.serve(app, "127.0.0.1", 0, ready=ports.put_nowait))
    port = await ports.get()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    await shut(writer)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert b"here" in await reader.read()
    await shut(writer)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
