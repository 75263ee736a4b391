"""Access to the admin API over real sockets: token, Host and Origin, content type, sizes, slow clients, guessing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import stat
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.app import Gateway, Parts, gateway
from gateway.config import ConfigError, from_table
from gateway.config.admin_token import FILE_NAME
from gateway.config.lint import notes
from gateway.model import foreign_text
from gateway.observability.rated_log import RatedLog
from gateway.store.store import MemoryStore
from gateway.web import guard, server
from tests.gateway.web.running_gateway import TOKEN, running_gateway

COMMAND = {"verb": "discharge", "id": "c1", "power_w": 9000, "lease_s": 3600}
PATH = "/admin/v1/evses/CP1-1/commands"
GENERATED_LENGTH = 43
FOREIGN: list[tuple[dict[str, str], int]] = [  # headers of requests that a page of another site makes
    ({"Host": "evil.example:9001"}, 421),
    ({"Host": "localhost.evil.example"}, 421),
    ({"Host": "127.0.0.1.evil.example"}, 421),
    ({"Origin": "http://evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": "http://127.0.0.1:1"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Content-Type": "text/plain"}, 415),
    ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    ({"Content-Type": "multipart/form-data; boundary=a"}, 415),
    ({"Content-Type": ""}, 415),
]
AMBIGUOUS = [
    b'{"verb":"stop","id":"a","id":"b"}',
    b'{"verb":"stop","id":"a","verb":"discharge"}',
    b'{"verb":"stop","id":"a","x":{"y":1,"y":2}}',
    b'{"verb":"stop","id":"a","x":[{"\\u0079":1,"y":2}]}',
    b'{"verb":"stop","id":"a","x":NaN}',
    b'{"verb":"stop","id":"a","x":' + b"[" * 5000 + b"]" * 5000 + b"}",
    b'{"verb":"stop","id":"\xff"}',
    b'{"verb":"stop","id":"\\ud800"}',
    b"{",
]


@asynccontextmanager
async def started(folder: Path, **admin: Any) -> AsyncIterator[tuple[Gateway, httpx.AsyncClient]]:
    """Run a gateway with the `[admin]` table that a small site has, and a client without token."""
    config = from_table(
        {
            "mqtt": {"url": "mqtt://127.0.0.1:9"},
            "store": {"url": "memory:"},
            "ocpp": {"listen": "127.0.0.1:0", "security_profile": 0},
            "stations": [{"id": "CP1"}],
            "admin": {"listen": "127.0.0.1:0", **admin},
        },
        folder,
    )
    async with asyncio.timeout(60), gateway(config, Parts(store=MemoryStore())) as running:
        base = f"http://127.0.0.1:{running.admin_port}"
        async with httpx.AsyncClient(base_url=base, timeout=30, trust_env=False) as http:
            yield running, http


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def raw(port: int, sent: bytes, within_s: float = 10.0) -> bytes:
    """Send bytes and return all that comes back until the connection closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        async with asyncio.timeout(within_s):
            with contextlib.suppress(ConnectionError):
                writer.write(sent)
                await writer.drain()
                answer = await reader.read()
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    return answer


async def test_a_token_is_required_by_default(tmp_path: Path) -> None:
    async with started(tmp_path) as (_, http):
        file = tmp_path / FILE_NAME
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        token = file.read_text().strip()
        assert len(token) == GENERATED_LENGTH
        for path in (
            "/admin/v1/health",
            "/admin/v1/stations",
            "/metrics",
            "/openapi.json",
            "/admin/v1/blue-switch",
            "/x",
        ):
            answer = await http.get(path)
            assert answer.status_code == 401, path
            assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert (await http.post(PATH, json=COMMAND)).status_code == 401
        for path in ("/admin/v1/health", "/metrics", "/openapi.json"):
            assert (await http.get(path, headers=bearer(token))).status_code == 200, path
    async with started(tmp_path) as (_, http):  # a second start keeps the token
        assert (await http.get("/admin/v1/health", headers=bearer(token))).status_code == 200


async def test_the_token_can_be_switched_off_on_loopback_only(tmp_path: Path) -> None:
    async with started(tmp_path, token=False) as (running, http):
        assert (await http.get("/admin/v1/health")).status_code == 200
        assert not (tmp_path / FILE_NAME).exists()
        assert any(one.startswith("admin.token: ") for one in notes(running.config))
    for admin, text in (
        ({"listen": "0.0.0.0:80", "token": False}, "needs a token"),
        ({"listen": "127.0.0.1:80", "token": False, "token_file": "t"}, "token_file"),
    ):
        with pytest.raises(ConfigError, match=text):
            from_table({"admin": admin})


@pytest.mark.parametrize("token", [True, False])
async def test_no_web_page_commands_a_car(token: bool, tmp_path: Path) -> None:
    async with started(tmp_path, token=token) as (running, http):
        given = bearer((tmp_path / FILE_NAME).read_text().strip()) if token else {}
        for headers, status in FOREIGN:
            sent = {**given, "Content-Type": "application/json", **headers}
            answer = await http.post(PATH, content=json.dumps(COMMAND), headers=sent)
            assert answer.status_code == status, headers
            assert (await running.service.result("c1"))[0] is None
            if "Content-Type" in headers:
                continue
            for method, path in (("GET", "/stations"), ("DELETE", "/stations/CP1"), ("OPTIONS", "/stations/CP1")):
                refused = await http.request(method, "/admin/v1" + path, headers={**given, **headers})
                assert refused.status_code == status, headers
                assert not any(name.startswith("access-control") for name in refused.headers)
        same = {**given, "Origin": str(http.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
        assert (await http.post(PATH, json=COMMAND, headers=same)).status_code == 200


async def test_hosts_that_are_served(tmp_path: Path) -> None:
    async with started(tmp_path, token=False, hosts=["GW.example"]) as (_, http):
        for host in ("localhost", "LOCALHOST:80", "127.0.0.1", "[::1]:9001", "10.1.2.3:1", "gw.example:7"):
            assert (await http.get("/admin/v1/health", headers={"Host": host})).status_code == 200, host


async def test_a_body_is_not_read_before_authentication(tmp_path: Path) -> None:
    """The answer comes while the body is still outstanding, and what follows is not kept."""
    async with started(tmp_path) as (running, _):
        assert running.admin_port is not None
        head = f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", running.admin_port)
        writer.write((head + "Content-Length: 1000000000\r\n\r\n{").encode())
        async with asyncio.timeout(5):
            assert (await reader.readline()).startswith(b"HTTP/1.1 401")
        tracemalloc.start()
        chunked = (head + "Transfer-Encoding: chunked\r\n\r\n").encode()
        sent = await asyncio.gather(*(flood(running.admin_port, chunked, 400) for _ in range(4)))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 16_000_000  # of up to 105 MB
        assert max(sent) < 400  # and is not received for ever
        writer.close()


async def flood(port: int, head: bytes, chunks: int) -> int:
    """Send a request with a body without end; return how many of its chunks were sent."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < chunks:
            writer.write(b"%x\r\n" % 65_536 + b'"' * 65_536 + b"\r\n")
            await writer.drain()
            sent += 1
    writer.close()
    return sent


async def test_bodies_are_bounded_on_every_route(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as running:
        body = json.dumps({"status": "x" * guard.MAX_BODY}).encode()

        async def pieces() -> AsyncIterator[bytes]:
            for at in range(0, len(body), 10_000):
                yield body[at : at + 10_000]

        routes = (
            ("POST", "/evses/CP1-1/commands"),
            ("PUT", "/stations/CP2"),
            ("POST", "/stations/CP1/call"),
            ("PUT", "/tokens/x"),
            ("GET", "/stations"),
            ("DELETE", "/stations/CP1"),
        )
        for method, path in routes:
            for content in (pieces(), body):
                answer = await running.http.request(
                    method, path, content=content, headers={"Content-Type": "application/json"}
                )
                assert answer.status_code == 413, path
        assert (await running.http.get("/health")).status_code == 200


async def test_all_bodies_together_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MAX_BODIES", 200_000)
    async with running_gateway(tmp_path) as running:
        assert running.gateway.admin_port is not None
        head = f"PUT /admin/v1/tokens/x HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
        head += "Content-Type: application/json\r\nContent-Length: 150000\r\n\r\n"
        _, first = await asyncio.open_connection("127.0.0.1", running.gateway.admin_port)
        first.write(head.encode() + b" " * 149_000)
        await first.drain()
        await asyncio.sleep(0.5)
        body = {"status": "Accepted", "type": "x" * 100_000}
        refused = await running.http.put("/tokens/y", json=body)
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) >= 1
        first.close()
        await asyncio.sleep(0.3)
        assert (await running.http.put("/tokens/y", json=body)).status_code == 422  # read again, and too long


async def test_ambiguous_json_is_refused(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as running:
        for body in AMBIGUOUS:
            for path in ("/evses/CP1-1/commands", "/stations/CP1/call", "/stations/CP1/reset"):
                answer = await running.http.post(path, content=body, headers={"Content-Type": "application/json"})
                assert answer.status_code == 400, body
        assert {row["step"] for row in await running.get("/journal")} == {"event"}  # no command, no call


async def test_an_invalid_member_is_shown_without_control_characters(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as running:
        body = json.dumps({"status": ["\x9b2J\u202e"], "\x9b\u202e": 1}, ensure_ascii=False).encode()
        answer = await running.http.put("/tokens/x", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 422
        assert b"\\u202e" in answer.content
        assert foreign_text.line(answer.text) == answer.text


async def test_no_control_character_in_a_path(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as running:
        for name in ("a%00b", "a%0Ab", "a%1Bb", "a%7Fb", "a%C2%9Bb", "a%EF%BF%BFb", "a%E2%80%AEb"):
            for path in (f"/evses/{name}/commands", f"/tokens/{name}", f"/stations/{name}"):
                assert (await running.http.get(path)).status_code == 400, path


async def test_no_control_character_and_no_endless_number_in_a_query(tmp_path: Path) -> None:
    """PostgreSQL refuses a text with NUL."""
    async with running_gateway(tmp_path) as running:
        for query in ("evse=a%00b", "evse=%1b[2J", "evse=%E2%80%AE"):
            assert (await running.http.get(f"/journal?{query}")).status_code == 400, query
        for query in ("since=nan", "since=inf"):
            assert (await running.http.get(f"/journal?{query}")).status_code == 422, query
        assert (await running.http.get("/journal?evse=a+b%20c&since=1.5")).status_code == 200


async def test_a_header_that_is_verified_comes_once(tmp_path: Path) -> None:
    verified = ("Origin: http://127.0.0.1", "Sec-Fetch-Site: none", "Content-Type: a/b", "Authorization: Bearer x")
    async with started(tmp_path, token=False) as (running, _):
        assert running.admin_port is not None
        for repeated in verified:
            head = f"GET /admin/v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{repeated}\r\n"
            assert (await raw(running.admin_port, (head + "\r\n").encode())).startswith(b"HTTP/1.1 200"), repeated
            twice = await raw(running.admin_port, (head + repeated + "\r\n\r\n").encode())
            assert twice.startswith(b"HTTP/1.1 400"), repeated


async def test_guessing_is_slowed_down_and_reported(tmp_path: Path) -> None:
    """A weak token: the address is locked out for a time that grows. A security event names address and path."""
    async with running_gateway(tmp_path) as running:
        async with httpx.AsyncClient(base_url=str(running.http.base_url), trust_env=False) as guesser:
            answers = [await guesser.get("/stations", headers=bearer(f"guess{n}")) for n in range(30)]
        statuses = [one.status_code for one in answers]
        assert statuses[0] == 401
        assert statuses[-1] == 429
        assert statuses == sorted(statuses)
        assert int(answers[-1].headers["Retry-After"]) >= 1
        locked = await running.http.get("/health")  # this token has fewer than 32 characters
        assert locked.status_code == 429
        await asyncio.sleep(float(locked.headers["Retry-After"]) + 0.2)
        assert (await running.http.get("/health")).status_code == 200
        events = [row for row in await running.get("/journal") if row["cause"] == "security"]
        assert events
        assert len(events) < 10
        assert "127.0.0.1" in events[-1]["data"]["text"]
        assert "/admin/v1/stations" in events[-1]["data"]["text"]


async def test_the_holder_of_a_strong_token_is_never_locked_out(tmp_path: Path) -> None:
    async with started(tmp_path) as (_, http):
        token = (tmp_path / FILE_NAME).read_text().strip()
        for number in range(30):
            last = await http.get("/admin/v1/health", headers=bearer(f"guess{number}"))
        assert last.status_code == 429
        assert (await http.get("/admin/v1/health", headers=bearer(token))).status_code == 200


async def test_slow_clients_are_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CHECKED_EVERY_S", 0.5)
    monkeypatch.setattr(guard, "BODY_WITHIN_S", 0.2)
    async with started(tmp_path, token=False) as (running, _):
        assert running.admin_port is not None
        head = f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n".encode()
        for sent in (b"", b"GET /", head, head + b"Content-Length: 10\r\n\r\n{"):
            answer = await raw(running.admin_port, sent)
            assert not answer or answer.startswith((b"HTTP/1.1 408", b"HTTP/1.1 400"))

        reader, writer = await asyncio.open_connection("127.0.0.1", running.admin_port)
        writer.write(head + b"Content-Length: 1000\r\n\r\n")
        line = asyncio.create_task(reader.readline())
        async with asyncio.timeout(10):
            while not line.done():  # one byte after another
                writer.write(b" ")
                await asyncio.wait([line], timeout=0.02)
        assert line.result().startswith(b"HTTP/1.1 408")
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_half_sent_requests_log_little(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with started(tmp_path, token=False) as (running, http):
        head = f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n".encode()
        for number in range(150):
            _, writer = await asyncio.open_connection("127.0.0.1", running.admin_port)
            writer.write(head + b"Content-Length: 10\r\n\r\n{" if number % 2 else b"\x00nonsense\x1b[31m\r\n\r\n")
            await writer.drain()
            writer.close()
        assert (await http.get("/admin/v1/health")).status_code == 200
    assert "Traceback" not in caplog.text
    rated = RatedLog(lambda: 0.0)  # of the log's handler
    assert len([one for one in caplog.records if one.name.startswith("uvicorn") and rated.filter(one)]) < 20


async def test_connections_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 20)
    async with started(tmp_path, token=False) as (running, http):
        idle = [await asyncio.open_connection("127.0.0.1", running.admin_port) for _ in range(40)]
        assert (await http.get("/admin/v1/health")).status_code == 200
        closed = 0
        for reader, writer in idle:
            with contextlib.suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(0.05):
                    closed += await reader.read() == b""
            writer.close()
        assert closed >= 20
