"""Access to the page over real sockets: login, roles, CSRF, hosts, origins, headers, foreign text."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.config import ConfigError, from_table
from gateway.web.page.access import COOKIE
from gateway.web.page.readouts import VIEWS
from tests.gateway.csms.test_security import Authority
from tests.gateway.web.page.running_page import OPERATOR, VIEWER, RunningPage, running_page, with_login

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def login(page: RunningPage, token: str) -> dict[str, str]:
    answer = await page.http.post("/login", data={"token": token})
    assert answer.status_code == 303, answer.text
    cookie = answer.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"))
    page.http.cookies.clear()
    return {"Cookie": cookie.split(";")[0]}


@pytest.mark.parametrize(
    ("web", "text"),
    [
        ({"listen": "0.0.0.0:9002"}, "needs cert and key"),
        ({"listen": "0.0.0.0:9002", "behind_proxy": True}, "operator_token_file"),
        ({"listen": "127.0.0.1:9002", "viewer_token_file": "t"}, "no effect"),
        ({"listen": "127.0.0.1:9002", "cert": "c"}, "belong together"),
        ({"listen": "127.0.0.1:9000"}, "port 9000 is that of ocpp.listen"),
        ({"listen": "127.0.0.1:9002", "languages": ["fr"]}, "languages"),
    ],
)
def test_settings_that_are_refused(web: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        from_table({"web": web})


async def test_loopback_needs_no_login_and_every_answer_has_the_headers(tmp_path: Path) -> None:
    async with running_page(tmp_path) as page:
        page.evse()
        for name in VIEWS:
            text = await page.page(f"/{name}")
            assert not re.search(r"<script(?![^>]* src=)|<style|\son[a-z]+=|\sstyle=|javascript:|https?://", text), name
        for path, status in (("/now", 200), ("/assets/page.css", 200), ("/absent", 404), ("/assets/..%2f", 404)):
            answer = await page.http.get(path)
            assert answer.status_code == status
            policy = answer.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
            assert "unsafe" not in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "Strict-Transport-Security" not in answer.headers


async def test_settings_are_shown_without_credentials(tmp_path: Path) -> None:
    async with running_page(tmp_path, **with_login()) as page:
        text = await page.page("/settings", **await login(page, VIEWER))
        assert "site.import_limit_w" in text
        assert "user:secret" not in text
        assert OPERATOR not in text


async def test_login_roles_and_logout(tmp_path: Path) -> None:
    async with running_page(tmp_path, **with_login()) as page:
        page.evse()
        for name in VIEWS:
            answer = await page.http.get(f"/{name}")
            assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
        assert (await page.http.get("/stream?view=now")).status_code == 401
        assert (await page.http.post("/stop", data={"csrf": ""})).status_code == 401
        assert (await page.http.post("/login", data={"token": "wrong"})).status_code == 401

        viewer, operator = await login(page, VIEWER), await login(page, OPERATOR)
        assert 'action="/stop"' not in await page.page("/now", **viewer)
        answer = await page.http.get("/now", headers=operator)
        assert 'action="/stop"' in answer.text
        assert "Strict-Transport-Security" in answer.headers
        theirs = await page.csrf("/now", **viewer)
        assert (await page.http.post("/stop", data={"csrf": theirs}, headers=viewer)).status_code == 403
        assert (await page.http.post("/stop", data={"csrf": theirs}, headers=operator)).status_code == 403
        assert (await page.http.get("/command?evse=CP1-1", headers=viewer)).status_code == 403
        mine = await page.csrf("/now", **operator)
        assert (await page.http.post("/stop", data={"csrf": mine}, headers=operator)).status_code == 303
        assert (await page.http.post("/logout", data={"csrf": mine}, headers=operator)).status_code == 303
        assert (await page.http.get("/now", headers=operator)).status_code == 303
        assert (await page.http.get("/now", headers={"Cookie": f"{COOKIE}=forged"})).status_code == 303


async def test_elsewhere_than_on_loopback_the_page_is_served_with_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("page")
    web: dict[str, Any] = {"listen": "0.0.0.0:0", "cert": str(cert), "key": str(key), "operator_token_file": "operator"}
    async with running_page(tmp_path, **web) as page:
        base = f"https://localhost:{page.gateway.web_port}"
        trusted = ssl.create_default_context(cafile=authority.file)
        async with httpx.AsyncClient(base_url=base, verify=trusted, trust_env=False) as http:
            answer = await http.get("/now")
            assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
            assert answer.headers["Strict-Transport-Security"].startswith("max-age=")
            assert (await http.post("/login", data={"token": OPERATOR})).status_code == 303
            assert (await http.get("/now")).status_code == 200
        with pytest.raises(httpx.HTTPError):
            await page.http.get("/now")  # without TLS


async def test_guessing_a_token_is_slowed_down(tmp_path: Path) -> None:
    async with running_page(tmp_path, **with_login()) as page:
        statuses = [(await page.http.post("/login", data={"token": f"g{n}"})).status_code for n in range(15)]
        assert statuses[0] == 401
        assert statuses[-1] == 429
        await login(page, OPERATOR)  # too long to be guessed: its holder is never locked out
        await page.gateway.journal.flush()
        assert any("failed logins to the page" in str(one.data) for one in await page.gateway.service.entries())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "application/json"}, 415),
    ],
)
async def test_no_other_page_commands(headers: dict[str, str], status: int, tmp_path: Path) -> None:
    async with running_page(tmp_path) as page:
        content = f"csrf={await page.csrf()}"
        answer = await page.http.post("/stop", content=content, headers={**FORM, **headers})
        assert answer.status_code == status
        assert not [one for one in await page.gateway.service.entries() if one.command is not None]
        same = {**FORM, "Origin": page.url, "Sec-Fetch-Site": "same-origin"}
        assert (await page.http.post("/stop", content=content, headers=same)).status_code == 303


async def test_a_form_without_its_csrf_token_is_refused(tmp_path: Path) -> None:
    async with running_page(tmp_path) as page:
        for data in ({}, {"csrf": ""}, {"csrf": "x"}):
            assert (await page.http.post("/stop", data=data)).status_code in (403, 415)
        too_many = {f"f{n}": "x" for n in range(50)}
        assert (await page.http.post("/stop", data=too_many)).status_code == 400
        assert (await page.http.post("/stop", content=b"\xff", headers=FORM)).status_code == 400


async def test_an_open_page_commands_after_a_restart_or_at_the_next_holder_of_the_site(tmp_path: Path) -> None:
    """Its live values go on by themselves, so *Stop all vehicles* on it has to act, too."""
    (tmp_path / "admin").write_text("t" * 32)
    (tmp_path / "admin").chmod(0o600)
    admin = {"admin": {"listen": "127.0.0.1:0", "token_file": "admin"}}
    async with running_page(tmp_path, tables=admin) as page:
        opened = await page.csrf()
    async with running_page(tmp_path, tables=admin) as page:
        assert (await page.http.post("/stop", data={"csrf": opened})).status_code == 303
    other: dict[str, Any] = {**admin, "site": {"id": "shelter-2", "import_limit_w": 50_000}}
    async with running_page(tmp_path, tables=other) as page:  # which a cookie has chosen meanwhile
        assert (await page.http.post("/stop", data={"csrf": opened})).status_code == 403
    (tmp_path / "admin").write_text("t" * 31)
    async with running_page(tmp_path, tables=admin) as page:
        assert (await page.http.post("/stop", data={"csrf": opened})).status_code == 403
        weak = await page.csrf()
    async with running_page(tmp_path, tables=admin) as page:  # nothing is derived from a token that can be guessed
        assert (await page.http.post("/stop", data={"csrf": weak})).status_code == 403


async def test_links_of_other_sites_open_a_page(tmp_path: Path) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    async with running_page(tmp_path) as page:
        assert (await page.http.get("/now", headers=link)).status_code == 200
        assert (await page.http.get("/now", headers={**link, "Sec-Fetch-Dest": "iframe"})).status_code == 403


async def test_foreign_text_is_escaped(tmp_path: Path) -> None:
    async with running_page(tmp_path) as page:
        page.evse(vehicle="<script>alert(1)</script>\u202e\n")
        text = await page.page("/now")
        assert "<script>alert" not in text
        assert "\u202e" not in text
        assert "&lt;script&gt;" in text
        text = await page.page("/stations?q=%22%3E%3Cscript%3E")
        assert '"><script>' not in text


async def test_the_language_follows_the_browser_and_the_choice(tmp_path: Path) -> None:
    async with running_page(tmp_path) as page:
        assert '<html lang="ja">' in await page.page("/now", **{"Accept-Language": "fr, ja-JP;q=0.8, en;q=0.5"})
        answer = await page.http.get("/language/de", headers={"Referer": f"{page.url}/health?x=1"})
        assert answer.headers["Location"] == "/health?x=1"
        assert '<html lang="de">' in await page.page("/now")
        answer = await page.http.get("/language/de", headers={"Referer": "https://evil.example//evil.example"})
        assert answer.headers["Location"] == "/now"
