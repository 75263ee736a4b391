"""Requests at one instance that another one serves: bodies, streams, clients that leave, no holder."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest

from gateway.cluster.http import AGAIN_AFTER_S, HttpForwarding, HttpServing
from gateway.cluster.io import Absent
from gateway.cluster.messages import HttpEnded, HttpPart, HttpRequest, Message

Event = MutableMapping[str, Any]


class Pair:
    """Two instances whose messages arrive at once: `a` has the client, `b` is the holder."""

    def __init__(self, app: Callable[..., Awaitable[None]] | None, listener: str = "admin") -> None:
        self._app = app
        self.forwarding = HttpForwarding(listener, "s", "a", self)
        self.serving = HttpServing(self)
        self.ended = asyncio.Event()

    def send(self, to: str, message: Message) -> None:
        if isinstance(message, HttpPart):
            self.forwarding.part(message)
        elif isinstance(message, HttpEnded):
            self.serving.ended(message)
            self.ended.set()

    async def request(self, to: str, message: Message, within_s: float = 2.0) -> Message:
        assert isinstance(message, HttpRequest)
        if self._app is None:
            raise Absent(f"instance {to} is not connected")
        return self.serving.serve(self._app, message)

    async def get(self, body: bytes = b"", leaves: asyncio.Event | None = None, method: str = "POST") -> list[Event]:
        """Return what the client receives for a request."""
        events: list[Event] = []
        given = False

        async def receive() -> Event:
            nonlocal given
            if not given:
                given = True
                return {"type": "http.request", "body": body}
            await (leaves or asyncio.Event()).wait()
            return {"type": "http.disconnect"}

        async def send(event: Event) -> None:
            events.append(event)

        scope = {"type": "http", "method": method, "path": "/x", "headers": [(b"a", b"b")], "client": ("192.0.2.1", 5)}
        await self.forwarding(scope, receive, send)
        return events


async def echo(scope: Event, receive: Callable[[], Awaitable[Event]], send: Callable[[Event], Awaitable[None]]) -> None:
    body = (await receive())["body"]
    about = f"{scope['method']} {scope['path']} {scope['client'][0]} {scope['headers']}".encode()
    await send({"type": "http.response.start", "status": 201, "headers": [(b"c", b"d")]})
    await send({"type": "http.response.body", "body": about, "more_body": True})
    await send({"type": "http.response.body", "body": body})


async def stream(
    scope: Event, receive: Callable[[], Awaitable[Event]], send: Callable[[Event], Awaitable[None]]
) -> None:
    await receive()
    kind = [(b"content-type", b"text/event-stream; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": kind})
    await send({"type": "http.response.body", "body": b"first", "more_body": True})
    assert (await receive())["type"] == "http.disconnect"


async def test_a_request_is_served_by_the_holder() -> None:
    pair = Pair(echo)
    pair.forwarding.forward_to("b")
    start, first, *rest = await pair.get(b"x" * 200_000)
    assert (start["status"], start["headers"]) == (201, [(b"c", b"d")])
    assert first["body"].startswith(b"POST /x 192.0.2.1")
    assert b"".join(one["body"] for one in rest) == b"x" * 200_000
    assert rest[-1]["more_body"] is False


async def test_a_stream_ends_when_the_client_leaves() -> None:
    pair, leaves = Pair(stream), asyncio.Event()
    pair.forwarding.forward_to("b")
    getting = asyncio.create_task(pair.get(leaves=leaves))
    await asyncio.sleep(0.05)
    leaves.set()
    events = await getting
    assert [one.get("body") for one in events] == [None, b"first"]
    assert pair.ended.is_set()


@pytest.mark.parametrize("holder", ["a", "c", None])
async def test_a_stream_of_an_earlier_holder_ends_so_that_the_client_opens_another(holder: str | None) -> None:
    """A holder that was killed ends none: without this the page would go on to show its values for a minute."""
    pair = Pair(stream)
    pair.forwarding.forward_to("b")
    getting = asyncio.create_task(pair.get())
    await asyncio.sleep(0.05)
    pair.forwarding.forward_to("b")
    await asyncio.sleep(0.05)
    assert not getting.done()
    pair.forwarding.forward_to(holder)
    events = await asyncio.wait_for(getting, 1)
    assert [one.get("body") for one in events] == [None, b"first", b""]
    assert events[-1]["more_body"] is False
    assert pair.ended.is_set()


async def silent(
    scope: Event, receive: Callable[[], Awaitable[Event]], send: Callable[[Event], Awaitable[None]]
) -> None:
    await asyncio.Event().wait()


async def test_a_request_that_an_earlier_holder_has_not_answered_is_refused_when_the_next_one_is_known() -> None:
    pair = Pair(silent)
    pair.forwarding.forward_to("b")
    getting = asyncio.create_task(pair.get())
    await asyncio.sleep(0.05)
    pair.forwarding.forward_to("c")
    start, body = await asyncio.wait_for(getting, 1)
    assert (start["status"], b"instance b did not answer" in body["body"]) == (504, True)
    pair.serving.close()


async def test_without_a_holder_the_answer_is_503_with_the_reason() -> None:
    pair = Pair(None)
    start, body = await pair.get()
    assert (start["status"], b"no gateway of the cluster serves site s" in body["body"]) == (503, True)
    pair.forwarding.forward_to("b")
    start, body = await pair.get()
    assert (start["status"], b"instance b is not connected" in body["body"]) == (503, True)
    start, body = await pair.get(b"x" * 500_000)
    assert start["status"] == 413


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_person_at_the_page_reads_the_reason_and_a_page_is_loaded_again(method: str) -> None:
    """A browser repeats no form by itself: it would be a command."""
    pair = Pair(None, "page")
    pair.forwarding.forward_to("b")
    start, body = await pair.get(method=method)
    headers = dict(start["headers"])
    assert (start["status"], headers[b"content-type"]) == (503, b"text/plain; charset=utf-8")
    assert body["body"].startswith(b"instance b is not connected")
    assert (b"refresh" in headers) is (method == "GET")
    assert headers[b"retry-after"] == str(AGAIN_AFTER_S).encode()


async def test_the_holder_serves_its_own_requests_directly() -> None:
    pair = Pair(None)
    pair.forwarding.serve(echo)
    start, *_ = await pair.get(b"y")
    assert start["status"] == 201
