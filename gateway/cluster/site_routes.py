"""Admin API and page of several sites at one listener.

`/sites/<site>/...` is `...` of that site. The page, whose links begin at the root, keeps the site in a cookie, which
that path sets. `/sites` lists the sites; without a site the answer is 404, and at the page the list.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from html import escape
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, quote, unquote

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

PREFIX = "/sites"
COOKIE = "v2x-site"


Protect = Callable[[ASGIApp], ASGIApp]  # the guard of the admin API in front of what is answered here


class SiteRoutes:
    """ASGI application in front of those of the sites. `holders` returns the holder of each, None without one."""

    def __init__(
        self,
        sites: Mapping[str, ASGIApp],
        holders: Callable[[], dict[str, str | None]],
        protect: Protect = lambda app: app,
    ) -> None:
        self._sites, self._holders, self._own = sites, holders, protect(self._answer_itself)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Implement ASGI."""
        if scope["type"] != "http":
            await next(iter(self._sites.values()))(scope, receive, send)
            return
        found = _split(scope)
        app = self._sites.get(found[0]) if found is not None else None
        if found is None or app is None:
            await self._own(scope, receive, send)
        else:
            await self._forward(app, *found, scope, receive, send)

    async def _answer_itself(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in (PREFIX, f"{PREFIX}/"):
            await self._list(scope, send)
        else:
            await self._elsewhere(scope, receive, send)

    async def _list(self, scope: Scope, send: Send) -> None:
        sites = [{"site": site, "holder": holder} for site, holder in sorted(self._holders().items())]
        await _answer(send, 200, json.dumps(sites).encode())

    async def _elsewhere(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _answer(send, 404, json.dumps({"detail": f"no such site; {PREFIX} lists them"}).encode())

    async def _forward(self, app: ASGIApp, site: str, rest: str, scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "path": rest, "raw_path": quote(rest).encode()}, receive, send)


class PageRoutes(SiteRoutes):
    """The same for the page. `lists`: the names of the sites are shown to everyone."""

    def __init__(
        self, sites: Mapping[str, ASGIApp], holders: Callable[[], dict[str, str | None]], *, lists: bool
    ) -> None:
        super().__init__(sites, holders)
        self._lists = lists

    async def _list(self, scope: Scope, send: Send) -> None:
        wanted = parse_qs(scope.get("query_string", b"").decode("ascii", "replace")).get("site", [""])[0]
        if wanted in self._sites:
            await _answer(send, 303, b"", (b"location", _path(wanted).encode()))
            return
        if self._lists:
            links = "".join(
                f'<li><a href="{PREFIX}/{quote(site, safe="")}/">{escape(site)}</a></li>'
                for site in sorted(self._sites)
            )
            choice = f"<ul>{links}</ul>"
        else:
            choice = (
                f'<form action="{PREFIX}"><label>Site <input name="site" autofocus></label> <button>OK</button></form>'
            )
        head = '<!doctype html><meta charset="utf-8"><title>Sites</title><h1>Sites</h1>'
        await _answer(send, 200, f"{head}{choice}".encode(), (b"content-type", b"text/html; charset=utf-8"))

    async def _elsewhere(self, scope: Scope, receive: Receive, send: Send) -> None:
        site = None if scope["path"].startswith(f"{PREFIX}/") else _chosen(Headers(scope=scope))
        app = None if site is None else self._sites.get(site)
        if app is None:
            await _answer(send, 303, b"", (b"location", PREFIX.encode()))
        else:
            await app(scope, receive, send)

    async def _forward(self, app: ASGIApp, site: str, rest: str, scope: Scope, receive: Receive, send: Send) -> None:
        cookie = f"{COOKIE}={quote(site, safe='')}; Path=/; HttpOnly; SameSite=Lax"
        location = quote("/" + rest.lstrip("/"))
        await _answer(send, 303, b"", (b"location", location.encode()), (b"set-cookie", cookie.encode()))


def _path(site: str) -> str:
    return f"{PREFIX}/{quote(site, safe='')}/"


def _split(scope: Scope) -> tuple[str, str] | None:
    """Return the site and the rest of the path, None for a path without a site."""
    prefix, path = f"{PREFIX}/", scope["path"]
    if not path.startswith(prefix):
        return None
    site, _, rest = path.removeprefix(prefix).partition("/")
    return site, f"/{rest}"


def _chosen(headers: Headers) -> str | None:
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return None if cookie is None else unquote(cookie.value)


async def _answer(send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    given = dict(headers)
    given.setdefault(b"content-type", b"application/json")
    given.setdefault(b"cache-control", b"no-store")
    await send({"type": "http.response.start", "status": status, "headers": list(given.items())})
    await send({"type": "http.response.body", "body": body})
