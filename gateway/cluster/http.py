"""Requests to the admin API and the page at any instance, served by the holder of the site.

A request travels whole, a response in parts, so that streams of events work. Where no holder is known the answer is
503 at once, with the reason.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as AsgiMessage

from gateway.cluster.connections import Bus
from gateway.cluster.io import ClusterError
from gateway.cluster.messages import MAX_BYTES, Done, Failed, HttpEnded, HttpPart, HttpRequest, Message

MAX_BODY = MAX_BYTES // 2
PART_BYTES = 64 * 1024
AGAIN_AFTER_S = 2  # a request that no holder has answered may be repeated; a hand-over takes about that time
QUIET_S = 60.0  # without a part of a response; an event stream sends a comment before


class HttpForwarding:
    """ASGI application of one listener at one instance: serves here, or at the holder of the site."""

    def __init__(self, app: str, site: str, instance: str, bus: Bus) -> None:
        self._app, self._site, self._instance, self._bus = app, site, instance, bus
        self._local: ASGIApp | None = None
        self._holder: str | None = None
        self._parts: dict[str, asyncio.Queue[HttpPart]] = {}
        self._moved = asyncio.Event()  # set when another instance is the holder

    def serve(self, app: ASGIApp | None) -> None:
        """Serve requests here by an application; None: this instance is not the holder."""
        self._local = app

    def forward_to(self, holder: str | None) -> None:
        """Forward requests to an instance where they are not served here; None: there is no holder.

        Responses of another holder end: it sends no more of them, and one that was killed would not end them.
        """
        if holder != self._holder:
            self._holder = holder
            self._moved.set()
            self._moved = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Implement ASGI."""
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        elif self._local is not None:
            await self._local(scope, receive, send)
        elif self._holder is None:
            await self._refuse(scope, send, f"no gateway of the cluster serves site {self._site} at present")
        else:
            await self._forward(scope, receive, send, self._holder)

    def part(self, message: HttpPart) -> None:
        """Take a part of a response."""
        queue = self._parts.get(message.request)
        if queue is not None:
            queue.put_nowait(message)

    async def _forward(self, scope: Scope, receive: Receive, send: Send, holder: str) -> None:
        body = await _body(receive)
        if body is None:
            return
        if len(body) > MAX_BODY:
            await self._refuse(scope, send, "the body of the request is too long", 413)
            return
        request = secrets.token_hex(8)
        client = scope.get("client") or ("", 0)
        message = HttpRequest(
            self._site,
            self._app,
            request,
            self._instance,
            scope["method"],
            scope["path"],
            scope.get("query_string", b""),
            [(bytes(key), bytes(value)) for key, value in scope["headers"]],
            body,
            str(client[0]),
        )
        parts: asyncio.Queue[HttpPart] = asyncio.Queue()
        self._parts[request] = parts
        moved, began = self._moved, False
        try:
            answer = await self._bus.request(holder, message)
            if not isinstance(answer, Done):
                await self._refuse(scope, send, answer.reason if isinstance(answer, Failed) else "no answer")
                return
            ending = [asyncio.create_task(_disconnected(receive)), asyncio.create_task(_is_set(moved))]
            streams = False
            try:
                while (part := await _next(parts, ending)) is not None:
                    if not began:
                        began, streams = True, _is_stream(part.headers)
                        start = {"type": "http.response.start", "status": part.status, "headers": part.headers}
                        await send(start)
                    await send({"type": "http.response.body", "body": part.body, "more_body": part.more})
                    if not part.more:
                        return
            finally:
                for one in ending:
                    one.cancel()
            self._bus.send(holder, HttpEnded(self._site, request))
            if not began:
                await self._refuse(scope, send, f"instance {holder} did not answer", 504)
            elif streams and moved.is_set():  # the client opens another one
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except ClusterError as error:
            await self._refuse(scope, send, str(error))
        finally:
            del self._parts[request]

    async def _refuse(self, scope: Scope, send: Send, reason: str, status: int = 503) -> None:
        await _refuse(scope, send, self._app == "page", reason, status)


class HttpServing:
    """Requests from other instances, served by the applications of this holder."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._running: dict[str, asyncio.Task[None]] = {}
        self._left: dict[str, asyncio.Event] = {}

    def serve(self, app: ASGIApp, message: HttpRequest) -> Message:
        """Start serving a request; the response follows in parts."""
        left = self._left[message.request] = asyncio.Event()
        task = asyncio.get_running_loop().create_task(self._run(app, message, left), name="forwarded request")
        self._running[message.request] = task
        task.add_done_callback(lambda _: self._ended(message.request))
        return Done(message.site)

    def ended(self, message: HttpEnded) -> None:
        """Note that a client has closed its connection."""
        left = self._left.get(message.request)
        if left is not None:
            left.set()

    def close(self) -> None:
        """End all requests."""
        for task in self._running.values():
            task.cancel()

    def _ended(self, request: str) -> None:
        self._running.pop(request, None)
        self._left.pop(request, None)

    async def _run(self, app: ASGIApp, message: HttpRequest, left: asyncio.Event) -> None:
        status, headers, given = 500, list[tuple[bytes, bytes]](), False

        def part(body: bytes, more: bool) -> None:
            self._bus.send(message.instance, HttpPart(message.site, message.request, status, headers, body, more))

        async def receive() -> AsgiMessage:
            nonlocal given
            if not given:
                given = True
                return {"type": "http.request", "body": message.body, "more_body": False}
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(event: AsgiMessage) -> None:
            nonlocal status, headers
            if event["type"] == "http.response.start":
                status = event["status"]
                headers = [(bytes(key), bytes(value)) for key, value in event.get("headers", [])]
            elif event["type"] == "http.response.body":
                body, more = event.get("body", b""), event.get("more_body", False)
                while len(body) > PART_BYTES:
                    part(body[:PART_BYTES], True)
                    body = body[PART_BYTES:]
                part(body, more)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": message.method,
            "scheme": "http",
            "path": message.path,
            "raw_path": message.path.encode(),
            "query_string": message.query,
            "root_path": "",
            "headers": message.headers,
            "client": (message.client, 0),
            "server": None,
        }
        await app(scope, receive, send)


async def _body(receive: Receive) -> bytes | None:
    """Return the body of a request, of one that is too long its beginning; None where the client has left."""
    body = bytearray()
    while len(body) <= MAX_BODY:
        event = await receive()
        if event["type"] != "http.request":
            return None
        body += event.get("body", b"")
        if not event.get("more_body", False):
            break
    return bytes(body)


async def _next(parts: asyncio.Queue[HttpPart], ending: Sequence[asyncio.Task[None]]) -> HttpPart | None:
    """Return the next part; None where there is none when one of `ending` is done, or for `QUIET_S`."""
    if parts.empty():
        taking = asyncio.create_task(parts.get())
        waited: list[asyncio.Task[HttpPart] | asyncio.Task[None]] = [taking, *ending]
        await asyncio.wait(waited, timeout=QUIET_S, return_when=asyncio.FIRST_COMPLETED)
        if taking.done():
            return taking.result()
        taking.cancel()
        return None
    return parts.get_nowait()


def _is_stream(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(key.lower() == b"content-type" and value.startswith(b"text/event-stream") for key, value in headers)


async def _is_set(event: asyncio.Event) -> None:
    await event.wait()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _refuse(scope: Scope, send: Send, page: bool, reason: str, status: int = 503) -> None:
    """Answer with a reason: as JSON, or to people at the page as text, where a page is loaded again by itself."""
    again, headers = page and scope["method"] == "GET" and status == 503, [(b"cache-control", b"no-store")]
    text = f"{reason}; this page is loaded again in {AGAIN_AFTER_S} s" if again else reason
    body = f"{text}\n".encode() if page else json.dumps({"detail": reason}).encode()
    headers.append((b"content-type", b"text/plain; charset=utf-8" if page else b"application/json"))
    if status == 503:
        headers.append((b"retry-after", str(AGAIN_AFTER_S).encode()))
    if again:
        headers.append((b"refresh", str(AGAIN_AFTER_S).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
