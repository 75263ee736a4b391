"""Admin API and page of several sites at one listener: paths, the cookie of the page, the list."""

from __future__ import annotations

import json

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.cluster.site_routes import PageRoutes, SiteRoutes
from gateway.web.guard import Access, Guard

HOLDERS: dict[str, str | None] = {"north": "gw1", "so@th": None}


def site(name: str) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = f"{name} {scope['method']} {scope['path']}?{scope['query_string'].decode()}".encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return app


def client_of(app: ASGIApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://gw")


def admin() -> httpx.AsyncClient:
    return client_of(SiteRoutes({name: site(name) for name in HOLDERS}, lambda: HOLDERS))


def page(*, lists: bool = True) -> httpx.AsyncClient:
    return client_of(PageRoutes({name: site(name) for name in HOLDERS}, lambda: HOLDERS, lists=lists))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/sites/north/admin/v1/stations?x=y", "north GET /admin/v1/stations?x=y"),
        ("/sites/so%40th/metrics", "so@th GET /metrics?"),
        ("/sites/north", "north GET /?"),
    ],
)
async def test_the_path_names_the_site(path: str, expected: str) -> None:
    assert (await admin().get(path)).text == expected


@pytest.mark.parametrize("path", ["/admin/v1/stations", "/sites/west/metrics", "/sitesnorth", "/"])
async def test_a_path_without_a_site_is_refused(path: str) -> None:
    answer = await admin().get(path)
    assert (answer.status_code, answer.json()["detail"]) == (404, "no such site; /sites lists them")


async def test_the_sites_and_their_holders_are_listed() -> None:
    assert (await admin().get("/sites")).json() == [
        {"site": "north", "holder": "gw1"},
        {"site": "so@th", "holder": None},
    ]


@pytest.mark.parametrize("path", ["/sites", "/sites/", "/sites/west/metrics", "/metrics"])
async def test_names_of_sites_are_not_shown_without_the_token(path: str) -> None:
    def protect(app: ASGIApp) -> ASGIApp:
        return Guard(app, Access("secret", frozenset({"gw"})), lambda text: None, lambda: 0.0)

    routes = SiteRoutes({name: site(name) for name in HOLDERS}, lambda: HOLDERS, protect)
    client = client_of(routes)
    assert (await client.get(path)).status_code == 401
    answer = await client.get(path, headers={"Authorization": "Bearer secret"})
    assert answer.status_code in (200, 404)
    assert (await client.get("/sites/north/health/ready")).text == "north GET /health/ready?"  # has its own guard


async def test_the_page_keeps_the_chosen_site() -> None:
    client = page()
    answer = await client.get("/now")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sites")
    assert '<a href="/sites/so%40th/">so@th</a>' in (await client.get("/sites")).text
    answer = await client.get("/sites/so%40th/now")
    assert (answer.status_code, answer.headers["location"]) == (303, "/now")
    assert (await client.get("/now?a=b")).text == "so@th GET /now?a=b"
    await client.get("/sites/north/")
    assert (await client.post("/command")).text == "north POST /command?"
    assert (await client.get("/sites/west/")).headers["location"] == "/sites"


async def test_a_path_leads_to_no_other_host() -> None:
    assert (await page().get("/sites/north//evil.example/")).headers["location"] == "/evil.example/"
    assert (await page().get("/sites/north/%5Cevil.example/")).headers["location"].startswith("/%5C")


async def test_names_of_sites_are_not_shown_where_a_login_is_required() -> None:
    client = page(lists=False)
    assert "north" not in (await client.get("/sites")).text
    assert (await client.get("/sites?site=so@th")).headers["location"] == "/sites/so%40th/"
    assert "location" not in (await client.get("/sites?site=west")).headers


async def test_the_list_is_json_of_the_admin_api_only() -> None:
    assert json.loads((await admin().get("/sites/")).text)
    assert (await page().get("/sites/")).headers["content-type"].startswith("text/html")
