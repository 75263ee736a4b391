"""Access to the page: roles, sessions, CSRF tokens, and the guard in front of every route.

On loopback without a proxy everyone is an operator; elsewhere a token is exchanged for a session cookie.
"""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.web import guard
from gateway.web.guard import Access, Guard, Refused

COOKIE = "__Host-v2x-session"  # the prefix makes browsers require Secure and the path /
OPEN_PATHS = ("/login", "/assets/", "/language/")
LOGIN = "/login"
MAX_SESSIONS = 1000
IDLE_S = 12 * 3600.0
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer a form is sent with the origin null
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
HSTS = "max-age=31536000"


class Role(StrEnum):
    """Viewers read, operators command, too."""

    VIEWER = "viewer"
    OPERATOR = "operator"


@dataclass(slots=True)
class Session:
    """One login. `csrf` is in every form of its pages."""

    role: Role
    csrf: str
    used: float = 0.0  # monotonic time

    @property
    def commands(self) -> bool:
        """Return whether it may command."""
        return self.role is Role.OPERATOR


class Sessions:
    """The `MAX_SESSIONS` sessions used last; one ends after `IDLE_S` without a request."""

    def __init__(self, tokens: dict[Role, str] | None, now: Callable[[], float], forms: str | None = None) -> None:
        """`tokens` None: no login is required. `forms` is then the CSRF token, which outlives this process."""
        self._tokens, self._now = tokens, now
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self.local = Session(Role.OPERATOR, forms or secrets.token_urlsafe(32)) if tokens is None else None

    def login(self, token: str) -> str | None:
        """Return the id of a new session, None if the token is that of no role."""
        for role, expected in (self._tokens or {}).items():
            if hmac.compare_digest(token.encode(), expected.encode()):
                name = secrets.token_urlsafe(32)
                self._sessions[name] = Session(role, secrets.token_urlsafe(32), self._now())
                while len(self._sessions) > MAX_SESSIONS:
                    self._sessions.popitem(last=False)
                return name
        return None

    def strong(self, token: str) -> bool:
        """Return whether a token is too long to be guessed."""
        return len(token) >= guard.UNGUESSABLE

    def find(self, headers: Headers) -> Session | None:
        """Return the session of a request, and note that it is used."""
        if self.local is not None:
            return self.local
        name = session_id(headers)
        session = self._sessions.get(name)
        if session is None:
            return None
        if self._now() - session.used > IDLE_S:
            del self._sessions[name]
            return None
        session.used = self._now()
        self._sessions.move_to_end(name)
        return session

    def holds(self, session: Session) -> bool:
        """Return whether a session has not ended."""
        return session is self.local or session in self._sessions.values()

    def end(self, headers: Headers) -> None:
        """End the session of a request."""
        self._sessions.pop(session_id(headers), None)


def session_id(headers: Headers) -> str:
    """Return the session id in the cookies of a request, "" without one."""
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return cookie.value if cookie is not None else ""


class PageGuard(Guard):
    """Guard of the page: forms instead of JSON, sessions instead of a bearer token."""

    content_type = "application/x-www-form-urlencoded"
    key = "web.hosts"

    def __init__(
        self,
        app: ASGIApp,
        hosts: frozenset[str],
        sessions: Sessions,
        report: Callable[[str], None],
        now: Callable[[], float],
    ) -> None:
        super().__init__(app, Access(None, hosts), report, now)
        self._page_sessions = sessions

    def _check_origin(self, headers: Headers, scope: Scope) -> None:
        """Let links of other sites open a page, which is a navigation that changes nothing."""
        opened = scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate"
        if opened and headers.get("sec-fetch-dest") == "document" and "origin" not in headers:
            return
        super()._check_origin(headers, scope)

    def _authenticate(self, headers: Headers, scope: Scope) -> None:
        session = self._page_sessions.find(headers)
        scope.setdefault("state", {})["session"] = session
        if session is not None or scope["path"].startswith(OPEN_PATHS):
            return
        if scope["method"] == "GET" and scope["path"] != "/stream":
            raise Refused(303, "login is required", Location=LOGIN)
        raise Refused(401, "login is required")

    def _verify(self, content: bytes) -> None:
        """Refuse a form that is not text."""
        try:
            content.decode("ascii")
        except UnicodeDecodeError:
            raise Refused(400, "the body is not a form") from None


class SecurityHeaders:
    """Adds headers to every response; `tls`: browsers come over TLS only."""

    def __init__(self, app: ASGIApp, tls: bool) -> None:
        self._app, self._tls = app, tls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Implement ASGI."""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if self._tls:
                    headers["Strict-Transport-Security"] = HSTS
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, answer)
