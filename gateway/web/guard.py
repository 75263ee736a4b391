"""Checks of a request before its route: host, origin, token, content type, size and JSON.

In this order, so that nothing of a body is read from a client without a token. A refused request has the same form as
an error of a route: an object with `detail`.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import math
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.failed_logins import FREE_ATTEMPTS, FailedLogins, network
from gateway.model.message import strict_json
from gateway.rate_limit import TokenBucket

MAX_BODY = 262_144  # bytes of one request
MAX_BODIES = 4_194_304  # bytes of all requests at a time
BODY_WITHIN_S = 10.0
EVENT_RATE_PER_S, EVENT_BURST = 0.1, 10.0
UNGUESSABLE = 32  # characters of a token whose holder is never locked out


@dataclass(frozen=True, slots=True)
class Access:
    """Accepted requests: from holders of the token (None: all), under these host names and every IP address."""

    token: str | None = None
    hosts: frozenset[str] = frozenset()


class Refused(Exception):
    """The request is answered with this status."""

    def __init__(self, status: int, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Guard:
    """ASGI application in front of another one; `report` receives security events, `now` is monotonic time."""

    content_type = "application/json"
    key = "admin.hosts"

    def __init__(self, app: ASGIApp, access: Access, report: Callable[[str], None], now: Callable[[], float]) -> None:
        self._app, self._access, self._report, self._now = app, access, report, now
        self._hosts = {host.casefold() for host in access.hosts} | {"localhost"}
        self._logins = FailedLogins()
        self._events = TokenBucket(EVENT_RATE_PER_S, EVENT_BURST)
        self._held = 0  # bytes of the bodies of all requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Implement ASGI."""
        if scope["type"] != "http":
            return
        body = _Body()
        try:
            headers = Headers(scope=scope)
            _check_repeated(headers)
            self._check_host(headers)
            self._check_origin(headers, scope)
            self._authenticate(headers, scope)
            if not (scope["path"] + unquote(scope["query_string"].decode("ascii", "replace"))).isprintable():
                raise Refused(400, "the path or the query has control characters")
            if _has_body(headers):
                self._check_type(headers)
                await self._read(body, headers, receive)
            await self._app(scope, body.replay(receive), send)
        except Refused as refused:
            answer = JSONResponse({"detail": refused.detail}, refused.status, refused.headers)
            await answer(scope, receive, send)
        except ClientDisconnect:
            return
        finally:
            self._held -= len(body.content)

    def _check_host(self, headers: Headers) -> None:
        """Refuse names that an attacker's DNS may resolve to this address; an IP address is none."""
        host = headers.get("host", "")
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            name = ""
        if name not in self._hosts and not _is_address(name):
            raise Refused(421, f"this host name is not served; list it in {self.key}")

    def _check_origin(self, headers: Headers, scope: Scope) -> None:
        """Refuse what a browser sends for a page of another origin."""
        origin = headers.get("origin")
        if origin is not None and _netloc(origin) != headers.get("host", "").casefold():
            raise Refused(403, "requests of other origins are not served")
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise Refused(403, "requests of other sites are not served")

    def _check_type(self, headers: Headers) -> None:
        if headers.get("content-type", "").partition(";")[0].strip().lower() != self.content_type:
            raise Refused(415, f"a body has the content type {self.content_type}")

    def _authenticate(self, headers: Headers, scope: Scope) -> None:
        token = self._access.token
        if token is None:
            return
        address, now = (scope.get("client") or ("unknown", 0))[0], self._now()
        scheme, _, given = headers.get("authorization", "").partition(" ")
        right = scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())
        wait_s = self._logins.locked_for(network(address), now)
        if wait_s and not (right and len(token) >= UNGUESSABLE):
            raise Refused(429, "too many failed logins from this address", Retry_After=str(math.ceil(wait_s)))
        if right:
            self._logins.succeeded(network(address))
            return
        if "authorization" in headers:
            number = self._logins.failed(network(address), now)
            if (number == 1 or number >= FREE_ATTEMPTS) and self._events.take(now):
                self._report(f"{number} failed logins to the admin API from {address}, at {scope['path'][:200]}")
        raise Refused(401, "this API requires a bearer token", WWW_Authenticate="Bearer")

    async def _read(self, body: _Body, headers: Headers, receive: Receive) -> None:
        """Read the body; Refused if it is too large, too slow or malformed."""
        if int(headers.get("content-length", "0")) > MAX_BODY:
            raise Refused(413, f"a body has at most {MAX_BODY} bytes")
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                more = True
                while more:
                    more = self._add(body, await receive())
        except TimeoutError:
            raise Refused(408, f"the body was not complete within {BODY_WITHIN_S:g} s", Connection="close") from None
        self._verify(bytes(body.content))

    def _verify(self, content: bytes) -> None:
        """Refuse a body that is not unambiguous JSON."""
        try:
            strict_json(content)
        except (ValueError, RecursionError) as error:
            raise Refused(400, f"the body is not JSON: {error}") from None

    def _add(self, body: _Body, message: Message) -> bool:
        """Add a part; return if more follow."""
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = message.get("body", b"")
        if len(body.content) + len(part) > MAX_BODY:
            raise Refused(413, f"a body has at most {MAX_BODY} bytes")
        if self._held + len(part) > MAX_BODIES:
            raise Refused(503, "too many requests have a body at this time", Retry_After="1")
        body.add(part)
        self._held += len(part)
        return bool(message.get("more_body", False))


class _Body:
    """Body of one request, which is passed on as one message."""

    def __init__(self) -> None:
        self.content = bytearray()

    def add(self, part: bytes) -> None:
        """Add a part."""
        self.content += part

    def replay(self, receive: Receive) -> Receive:
        """Return a receive channel with the body first; after it the client's disconnection."""
        passed = False

        async def received() -> Message:
            nonlocal passed
            if passed:
                return await receive()
            passed = True
            return {"type": "http.request", "body": bytes(self.content), "more_body": False}

        return received


def _check_repeated(headers: Headers) -> None:
    """Refuse a repeated header of those that are verified here: its readers could choose different ones."""
    for name in ("origin", "sec-fetch-site", "content-type", "authorization"):
        if len(headers.getlist(name)) > 1:
            raise Refused(400, f"the header {name} is repeated")


def _netloc(origin: str) -> str:
    """Return host and port of an origin, "" where it has none."""
    try:
        return urlsplit(origin).netloc.casefold()
    except ValueError:
        return ""


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
