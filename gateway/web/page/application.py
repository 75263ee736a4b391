"""Routes of the page. Commands take the path of every other command; their results are read from the store."""

from __future__ import annotations

import hmac
import json
import math
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from gateway.failed_logins import FREE_ATTEMPTS, FailedLogins, network
from gateway.model import foreign_text
from gateway.model.command import LONGEST_LEASE_S, SHORTEST_LEASE_S, Channel, Submission, Verb
from gateway.model.result import Status
from gateway.web.guard import Refused
from gateway.web.page.access import COOKIE, Session, Sessions
from gateway.web.page.readouts import LIVE, VIEWS, Query, Sources, life
from gateway.web.page.sessions import detail, samples_csv, sessions_csv
from gateway.web.page.stream import MAX_STREAMS, Streams
from gateway.web.page.texts import NAMES, Texts, choose

FOLDER = Path(__file__).parent
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
ASSETS = {one.name: one for one in sorted((FOLDER / "assets").iterdir()) if one.suffix in TYPES}
LANGUAGE_COOKIE = "v2x-language"
SOURCE = "page"
MINUTES = (5, 15, 30, 60)
VERBS = (Verb.DISCHARGE, Verb.CHARGE)
MAX_FIELDS = 20
MOST_ROWS = 10_000  # of the list of sessions as CSV


class Page:
    """The application and its streams."""

    def __init__(
        self,
        sources: Sources,
        sessions: Sessions,
        languages: list[str],
        report: Callable[[str], None],
        now: Callable[[], float],
    ) -> None:
        """`report` receives security events; `now` is monotonic time."""
        self._sources, self._sessions, self._languages = sources, sessions, languages
        self._report, self._now = report, now
        self._logins = FailedLogins()
        self.streams = Streams()
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_visible,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        get, post = ["GET"], ["POST"]
        self.app = Starlette(
            routes=[
                Route("/", self._start, methods=get),
                Route("/assets/{name}", self._asset, methods=get),
                Route("/language/{name}", self._language, methods=get),
                Route("/login", self._login_form, methods=get),
                Route("/login", self._login, methods=post),
                Route("/logout", self._logout, methods=post),
                Route("/stream", self._stream, methods=get),
                Route("/command", self._command_form, methods=get),
                Route("/command", self._command, methods=post),
                Route("/command/preview", self._preview, methods=post),
                Route("/command/{id}", self._command_life, methods=get),
                Route("/stop", self._stop, methods=post),
                Route("/sessions.csv", self._sessions_csv, methods=get),
                Route("/session.csv", self._session_csv, methods=get),
                *(Route(f"/{name}", self._view, methods=get, name=name) for name in VIEWS),
            ],
            exception_handlers={Refused: _refused},
        )
        self.app.router.redirect_slashes = False

    # pages ----------------------------------------------------------------------------------------------------------

    async def _start(self, request: Request) -> Response:
        return RedirectResponse("/now", 303)

    async def _asset(self, request: Request) -> Response:
        file = ASSETS.get(request.path_params["name"])
        if file is None:
            return HTMLResponse("", 404)
        return FileResponse(file, media_type=TYPES[file.suffix], headers={"Cache-Control": "max-age=3600"})

    async def _language(self, request: Request) -> Response:
        name = request.path_params["name"]
        answer = RedirectResponse(_local_path(request.headers.get("referer", "")), 303)
        if name in self._languages:
            answer.set_cookie(LANGUAGE_COOKIE, name, max_age=31_536_000, httponly=True, samesite="strict")
        return answer

    async def _view(self, request: Request) -> Response:
        name = request.url.path.strip("/")
        query = dict(request.query_params)
        values = await VIEWS[name](self._sources, query, self._texts(request))
        content = self._render(request, f"{name}.html", **values)
        status = 404 if values.get("detail", True) is None and "ref" in query else 200
        before = self._render(request, "messages_form.html", **values) if name == "messages" else ""
        live = query if name in LIVE else None
        return self._page(request, name, content, live, status, before, charts=bool(values.get("charts")))

    async def _command_life(self, request: Request) -> Response:
        query = {"id": request.path_params["id"]}
        values = await LIVE["command"](self._sources, query, self._texts(request))
        content = self._render(request, "command.html", **values)
        return self._page(request, "command", content, query, 404 if values["first"] is None else 200)

    async def _stream(self, request: Request) -> Response:
        query = dict(request.query_params)
        name = query.pop("view", "")
        if name not in LIVE:
            return HTMLResponse("", 404)
        if self.streams.number >= MAX_STREAMS:
            return HTMLResponse("", 503, {"Retry-After": "10"})
        session = _session(request)
        key = (name, session.role, self._texts(request).language, *sorted(query.items()))

        async def render() -> str:
            return await self._fragment(request, name, query)

        events = self.streams.events(key, render, lambda: self._sessions.holds(session))
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)

    async def _fragment(self, request: Request, name: str, query: Query) -> str:
        return self._render(request, f"{name}.html", **await LIVE[name](self._sources, query, self._texts(request)))

    def _page(
        self,
        request: Request,
        name: str,
        content: str,
        live: Query | None = None,
        status: int = 200,
        before: str = "",
        charts: bool = False,
    ) -> HTMLResponse:
        """Return a page; `live`: its content follows the stream of that query, what is `before` it stays."""
        stream = f"/stream?{urlencode({'view': name, **live})}" if live is not None else None
        values = {
            "view": name,
            "content": Markup(content),
            "before": Markup(before),
            "stream": stream,
            "charts": charts,
            "site_of_several": self._site_of_several(),
        }
        return HTMLResponse(self._render(request, "page.html", **values), status)

    def _site_of_several(self) -> str:
        """Return the name of the site where the cluster serves others, too; otherwise ""."""
        cluster = self._sources.cluster
        return self._sources.service.site_state().site if cluster is not None and len(cluster()["sites"]) > 1 else ""

    async def _sessions_csv(self, request: Request) -> Response:
        rows = self._sources.stations.transactions(None, None, None, MOST_ROWS)
        return _csv("sessions.csv", sessions_csv(rows))

    async def _session_csv(self, request: Request) -> Response:
        ref = request.query_params.get("ref", "")[:200]
        found = await detail(self._sources.service, self._sources.stations, ref, self._sources.wall())
        if found is None or found.samples is None:
            raise Refused(404 if found is None else 503, "the power curve of this session is not available")
        return _csv("session.csv", samples_csv(found.samples))

    def _render(self, request: Request, template: str, **values: object) -> str:
        session: Session | None = request.state.session
        return self._templates.get_template(template).render(
            t=self._texts(request),
            session=session,
            csrf=session.csrf if session is not None else "",
            views=list(VIEWS),
            languages={name: NAMES[name] for name in self._languages},
            login=self._sessions.local is None,
            **values,
        )

    def _texts(self, request: Request) -> Texts:
        accepted, cookie = request.headers.get("accept-language", ""), request.cookies.get(LANGUAGE_COOKIE)
        return Texts(choose(accepted, cookie, self._languages))

    # login ----------------------------------------------------------------------------------------------------------

    async def _login_form(self, request: Request) -> Response:
        if request.state.session is not None:
            return RedirectResponse("/now", 303)
        return self._page(request, "login", self._render(request, "login.html", failed=False, wait_s=0))

    async def _login(self, request: Request) -> Response:
        if self._sessions.local is not None:
            return RedirectResponse("/now", 303)
        address, now = request.client.host if request.client else "unknown", self._now()
        token = (await _form(request)).get("token", "").strip()
        name = self._sessions.login(token)
        wait_s = self._logins.locked_for(network(address), now)
        if wait_s and not (name is not None and self._sessions.strong(token)):
            content = self._render(request, "login.html", failed=True, wait_s=math.ceil(wait_s))
            return self._page(request, "login", content, status=429)
        if name is None:
            number = self._logins.failed(network(address), now)
            if number == 1 or number >= FREE_ATTEMPTS:
                self._report(f"{number} failed logins to the page from {address}")
            return self._page(request, "login", self._render(request, "login.html", failed=True, wait_s=0), status=401)
        self._logins.succeeded(network(address))
        answer = RedirectResponse("/now", 303)
        answer.set_cookie(COOKIE, name, path="/", secure=True, httponly=True, samesite="strict")
        return answer

    async def _logout(self, request: Request) -> Response:
        await self._checked_form(request, operator=False)
        self._sessions.end(Headers(scope=request.scope))
        answer = RedirectResponse("/login" if self._sessions.local is None else "/now", 303)
        answer.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")
        return answer

    # commands -------------------------------------------------------------------------------------------------------

    async def _command_form(self, request: Request) -> Response:
        _operator(request)
        evse = request.query_params.get("evse", "")
        state = self._sources.service.state(evse)
        if state is None:
            return self._page(request, "command", self._render(request, "missing.html"), status=404)
        content = self._render(request, "command_form.html", evse=state, verbs=VERBS, minutes=MINUTES, error=False)
        return self._page(request, "command", content)

    async def _preview(self, request: Request) -> Response:
        form = await self._checked_form(request)
        evse = form.get("evse", "")
        state = self._sources.service.state(evse)
        if state is None:
            return self._page(request, "command", self._render(request, "missing.html"), status=404)
        submission = _submission(form, str(uuid.uuid4()))
        if submission is None:
            shown = {"evse": state, "verbs": VERBS, "minutes": MINUTES, "error": True}
            return self._page(request, "command", self._render(request, "command_form.html", **shown), status=422)
        decision = self._sources.service.preview(submission)
        content = self._render(
            request,
            "command_preview.html",
            evse=state,
            decision=decision,
            verb=submission.verb,
            id=json.loads(submission.payload)["id"],
            minutes=form["minutes"],
            power_kw=form["power_kw"],
        )
        return self._page(request, "command", content)

    async def _command(self, request: Request) -> Response:
        form = await self._checked_form(request)
        submission = _submission(form, form.get("id", ""))
        if submission is None or not form.get("id"):
            raise Refused(422, "the command is incomplete")
        return await self._submit(request, submission)

    async def _stop(self, request: Request) -> Response:
        form = await self._checked_form(request)
        body = {"id": str(uuid.uuid4()), "source": SOURCE}
        evse = form.get("evse") or None
        return await self._submit(request, Submission(evse, Verb.STOP, json.dumps(body).encode(), Channel.API))

    async def _submit(self, request: Request, submission: Submission) -> Response:
        """Submit a command and open its life; what is not in the journal, such as many a refusal, is shown at once."""
        service = self._sources.service
        result = await service.submit(submission)
        refused, unwritten = result.status is Status.REFUSED, service.journal_trouble() is not None
        if not refused and not unwritten:
            return RedirectResponse(f"/command/{result.id}", 303)
        values = life(result.id, result, None, None if unwritten else [], self._sources.wall())
        content = self._render(request, "command.html", **values)
        return self._page(request, "command", content, status=409 if refused else 200)

    async def _checked_form(self, request: Request, operator: bool = True) -> Mapping[str, str]:
        """Return a form; Refused without the CSRF token of its session, or for a viewer."""
        form = await _form(request)
        if not hmac.compare_digest(form.get("csrf", "").encode(), _session(request).csrf.encode()):
            raise Refused(403, "the form is not one of this session; load the page again")
        if operator:
            _operator(request)
        return form


def _submission(form: Mapping[str, str], name: str) -> Submission | None:
    """Return the command of a form, None if it has no valid power or duration."""
    try:
        power_w = float(form.get("power_kw", "").replace(",", ".")) * 1000
        lease_s = float(form.get("minutes", "")) * 60
    except ValueError:
        return None
    verb = form.get("verb", "")
    valid = verb in VERBS and math.isfinite(power_w) and power_w > 0 and SHORTEST_LEASE_S <= lease_s <= LONGEST_LEASE_S
    if not valid or not form.get("evse"):
        return None
    body = {"id": name, "power_w": power_w, "lease_s": lease_s, "source": SOURCE}
    return Submission(form["evse"], verb, json.dumps(body).encode(), Channel.API)


def _csv(name: str, text: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text, headers=headers, media_type="text/csv; charset=utf-8")


async def _form(request: Request) -> dict[str, str]:
    try:
        fields = parse_qs((await request.body()).decode(), max_num_fields=MAX_FIELDS)
    except ValueError:
        raise Refused(400, "the form has too many fields") from None
    return {name: values[-1] for name, values in fields.items()}


def _session(request: Request) -> Session:
    session: Session | None = request.state.session
    if session is None:
        raise Refused(401, "login is required")
    return session


def _operator(request: Request) -> None:
    if not _session(request).commands:
        raise Refused(403, "viewers do not command")


async def _refused(request: Request, refused: Exception) -> Response:
    assert isinstance(refused, Refused)
    return Response(refused.detail, refused.status, refused.headers, "text/plain")


def _local_path(referer: str) -> str:
    """Return path and query of the page that a request came from."""
    try:
        parts = urlsplit(referer)
    except ValueError:
        return "/now"
    name = parts.path.strip("/")
    if name not in VIEWS and name != "login":
        return "/now"
    return f"/{name}?{parts.query}" if parts.query else f"/{name}"


def _visible(value: object) -> object:
    """Return a value as it is shown: characters of foreign text that are not visible are escaped."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return foreign_text.line(value)
    return value
