"""Views and commands over HTTP: what they show, the life of a command, the stream, and their size."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import re
import socket
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from gateway.clock import SystemClock
from gateway.control.settings import ServiceSettings
from gateway.csms.csms import Csms
from gateway.csms.settings import CsmsSettings
from gateway.model.command import Channel, Submission, Verb
from gateway.model.event import EvseDescribed, FaultRaised, Metered, PowerLimits, SessionStarted, StationConnected
from gateway.model.journal import Step
from gateway.model.site import SitePolicy
from gateway.service import GatewayService
from gateway.store.journal import Journal
from gateway.store.sql import SqlStore
from gateway.store.store import MemoryStore
from gateway.web import server
from gateway.web.page import stream, texts
from gateway.web.page.readouts import MESSAGES, VIEWS
from gateway.web.page.stream import Streams
from gateway.web.server import RequestTimeoutProtocol
from tests.gateway.web.page.charging_page import charging_page, hidden, served
from tests.gateway.web.page.running_page import running_page

MAX_BYTES = 300_000


async def test_now_shows_site_and_evse(tmp_path: Path) -> None:
    async with running_page(tmp_path) as page:
        assert "No EVSE has been reported yet." in await page.page("/now")
        page.evse()
        page.gateway.service.input("grid", b'{"ts": %f, "present": true, "power_w": 1500}' % time.time())
        text = await page.page("/now")
        for part in ("CP1-1", "leaf", "64 %", "30 %", "discharging 2.2 kW", "Grid → site: 1.5 kW imported"):
            assert part in text, part
        assert "Vehicles → site: discharging 2.2 kW" in text
        assert "Site → loads: 3.7 kW" in text


@pytest.mark.virtual_time
async def test_a_discharge_from_preview_to_its_outcome() -> None:
    """With an emulated station and vehicle, in virtual time."""
    async with charging_page() as page:
        http, service = page.http, page.service
        form = await page.text("/command?evse=CP1-1")
        assert "Command to CP1-1" in form
        given = {**hidden(form), "verb": "discharge", "power_kw": "5,0", "minutes": "5"}
        preview = (await http.post("/command/preview", data=given)).text
        assert "Discharge CP1-1 now" in preview
        assert "discharging 5.0 kW" in preview
        fields = hidden(preview)
        assert (await service.result(fields["id"]))[0] is None  # a preview is no command
        answer = await http.post("/command", data=fields)
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/command/{fields['id']}")
        again = await http.post("/command", data=fields)  # sent twice: acts once
        assert again.headers["Location"] == answer.headers["Location"]
        stored = await page.store.find_command(fields["id"])
        assert stored is not None
        assert (stored.channel, stored.source) == (Channel.API.value, "page")
        assert "not known yet" in await page.text(answer.headers["Location"])
        await page.rig.sleep(15)
        life = await page.text(answer.headers["Location"])
        assert "achieved: The meter shows the power." in life
        assert "discharging 5.0 kW" in life
        assert "set-point sent" in life
        assert "Discharge (page)" in await page.text("/now")
        assert "leaves" not in await page.text("/stations")
        for name in ("stations", "sessions", "messages"):
            assert "CP1" in await page.text(f"/{name}")
        stop = await http.post("/stop", data={"csrf": fields["csrf"], "evse": "CP1-1"})
        await page.rig.sleep(10)
        assert "Stop, CP1-1: achieved" in await page.text(stop.headers["Location"])
        assert "ended" in await page.text(answer.headers["Location"])


@pytest.mark.virtual_time
async def test_commands_of_page_and_mqtt_get_the_same_answers() -> None:
    """Granted, limited and refused ones: status, reason, binding and steps in the journal."""
    async with charging_page() as page:
        for power_w in (3000.0, 1e6):
            lives = []
            for channel in (Channel.MQTT, None):
                if channel is None:
                    answer = await page.command("discharge", f"{power_w / 1000:g}")
                    name = answer.headers["Location"].rpartition("/")[2]
                else:
                    name = f"mqtt-{power_w:g}"
                    body = {"id": name, "power_w": power_w, "lease_s": 900.0, "source": "page"}
                    await page.service.submit(Submission("CP1-1", Verb.DISCHARGE, json.dumps(body).encode(), channel))
                await page.rig.sleep(20)
                first, final = await page.service.result(name)
                assert first is not None
                assert final is not None
                steps = [
                    (one.step, one.cause)
                    for one in await page.service.entries(command=name)
                    if one.step is not Step.EVENT  # such as that the limiting layer has changed
                ]
                lives.append((first.status, first.reason, first.effective_w, first.binding, final.reason, steps[1:]))
                await page.service.submit(Submission("CP1-1", Verb.STOP, b"{}", Channel.LOCAL))
                await page.rig.sleep(20)
            assert lives[0] == lives[1]
        page.service.report(FaultRaised("CP1-1", page.rig.clock.now(), "GroundFailure"))
        body = {"id": "m", "power_w": 3000.0, "lease_s": 900.0, "source": "page"}
        sent = Submission("CP1-1", Verb.DISCHARGE, json.dumps(body).encode(), Channel.MQTT)
        refused = await page.service.submit(sent)
        csrf = hidden(await page.text("/command?evse=CP1-1"))
        fields = {**csrf, "id": "p", "verb": "discharge", "power_kw": "3", "minutes": "15"}
        answer = await page.http.post("/command", data=fields)
        assert answer.status_code == 409
        assert texts.table("en")["reason"][refused.reason.code.value] in answer.text


async def test_a_refusal_that_is_not_stored_is_shown(tmp_path: Path) -> None:
    """Such as one for the rate of commands."""
    slow = {"commands": {"evse_rate_per_s": 0.1, "source_rate_per_s": 0.1}}
    async with running_page(tmp_path, tables=slow) as page:
        page.evse()
        csrf = await page.csrf()
        fields = {"csrf": csrf, "evse": "CP1-1", "verb": "discharge", "power_kw": "3", "minutes": "15"}
        answers = [await page.http.post("/command", data={**fields, "id": f"c{n}"}) for n in range(4)]
        refused = next(one for one in answers if "Too many commands in a short time." in one.text)
        assert refused.status_code == 409
        assert "Discharge, CP1-1: refused" in refused.text


async def test_a_store_that_fails_hides_no_state_and_no_stop(tmp_path: Path) -> None:
    async with running_page(tmp_path, SqlStore(f"sqlite:///{tmp_path / 'v2x.db'}")) as page:
        page.evse()
        with contextlib.closing(sqlite3.connect(tmp_path / "v2x.db")) as database:
            database.executescript("DROP TABLE journal; DROP TABLE telemetry; DROP TABLE commands;")
        for name in VIEWS:
            await page.page(f"/{name}")
        assert "Stored values cannot be read" in await page.page("/plan")
        health = re.sub(r"<[^>]+>", " ", await page.page("/health"))
        assert re.search(r"Store +cannot be written", health)
        assert re.search(r"MQTT broker +not connected", health)
        answer = await page.http.post("/stop", data={"csrf": await page.csrf(), "evse": "CP1-1"})
        assert answer.status_code == 200
        assert "Stop, CP1-1: accepted" in answer.text
        assert "Stored values cannot be read" in (await page.http.get("/command/absent")).text


@pytest.mark.parametrize(
    "wrong",
    [
        {"power_kw": ""},
        {"power_kw": "nan"},
        {"power_kw": "-1"},
        {"minutes": "90"},
        {"verb": "release"},
        {"minutes": ""},
    ],
)
async def test_incomplete_commands_are_shown_again(wrong: dict[str, str], tmp_path: Path) -> None:
    async with running_page(tmp_path) as page:
        page.evse()
        given = {"csrf": await page.csrf(), "evse": "CP1-1", "verb": "charge", "power_kw": "5", "minutes": "30"}
        answer = await page.http.post("/command/preview", data={**given, **wrong})
        assert answer.status_code == 422
        assert "Enter a power above 0 kW" in answer.text


async def test_a_refusal_has_its_reason_in_words(tmp_path: Path) -> None:
    async with running_page(tmp_path) as page:
        page.evse()
        given = {"csrf": await page.csrf(), "evse": "CP1-1", "verb": "discharge", "power_kw": "5", "minutes": "30"}
        clock = page.gateway.clock
        page.gateway.service.report(FaultRaised("CP1-1", clock.now(), "GroundFailure"))
        answer = await page.http.post("/command/preview", data=given, headers={"Accept-Language": "ja"})
        assert "充電ステーションが異常を報告しています。" in answer.text
        assert "CP1-1の放電を開始" not in answer.text  # nothing to confirm
        assert (await page.http.post("/command/preview", data={**given, "evse": "nobody"})).status_code == 404


@pytest.mark.virtual_time
async def test_messages_by_station_action_and_kind() -> None:
    async with charging_page() as page:
        await page.rig.sleep(30)

        async def rows(query: str) -> list[str]:
            text = await page.text(f"/messages{query}")
            return re.findall(r"<tr><td>.*?</tr>", text)

        everything = await rows("")
        assert 20 < len(everything) <= MESSAGES
        assert all("StatusNotification" in one for one in await rows("?action=StatusNotification"))
        assert await rows("?station=cp1&action=StatusNotification") == await rows("?action=StatusNotification")
        assert await rows("?station=absent") == await rows("?kind=error") == []
        assert {"response" in one for one in await rows("?kind=result")} == {True}
        form = await page.text("/messages?station=CP1&kind=result")
        assert '<option value="result" selected>' in form
        assert "view=messages&amp;station=CP1&amp;kind=result" in form  # its stream has the same filters


@pytest.mark.virtual_time
async def test_stations_with_their_vehicles() -> None:
    async with charging_page() as page:
        text = await page.text("/stations?q=cp")
        assert re.search(r"<div>CP1-1: [^<]+, 80 %", text)
        assert "connected" in text
        assert "No station found." in await page.text("/stations?q=absent")


async def test_a_thousand_evses() -> None:
    """The size of a view does not grow with the EVSEs, and its work grows linearly at most."""
    calls: dict[int, dict[str, int]] = {}
    for number in (100, 1000):
        async with in_memory(number) as http:
            for path in ("/now", "/now?part=20", "/now?part=999999999", *(f"/{name}" for name in VIEWS)):
                answer = await http.get(path)
                assert answer.status_code == 200
                assert len(answer.content) < MAX_BYTES, path
            assert (await http.get("/now?part=2")).text.count("<article") == 50
            assert f"Page 1 of {number // 50}, {number} in total" in (await http.get("/now?part=x")).text
            calls[number] = {name: await calls_of(http, f"/{name}") for name in VIEWS}
    assert calls[1000]["now"] < 10 * calls[100]["now"]
    assert max(calls[1000].values()) < 250_000  # less than 100 ms at 0.4 µs each


@asynccontextmanager
async def in_memory(number: int) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the page of a service that has EVSEs and does not control them."""
    clock = SystemClock()
    csms = Csms(CsmsSettings(), lambda _: None, clock)
    service = GatewayService(ServiceSettings(SitePolicy("site")), clock, lambda _: csms, Journal(MemoryStore(), clock))
    for one in range(number):
        name, at = f"S{one:04}-1", clock.now()
        service.report(StationConnected(name[:5], at, "ocpp2.1"))
        service.report(EvseDescribed(name, name[:5], at, PowerLimits(11_000, 11_000), True))
        service.report(SessionStarted(name, at, "s1", f"car {one}"))
        service.report(Metered(name, at, clock.wall(), power_w=-2200.0, soc_pct=64.0))
    async with served(service, csms, clock) as http:
        yield http


async def calls_of(http: httpx.AsyncClient, path: str) -> int:
    """Return the number of Python calls of a request."""
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        await http.get(path)
    finally:
        sys.setprofile(before)
    return calls


async def test_the_stream_sends_the_latest_state_and_ends_with_the_gateway(tmp_path: Path) -> None:
    async with running_page(tmp_path) as page:
        page.evse()
        received = ""
        async with page.http.stream("GET", "/stream?view=now") as answer:
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            async for line in answer.aiter_lines():
                received += line + "\n"
                if received.count("data: <section") == 2 and "64 %" in received:
                    break
        assert "csrf" not in received
        assert (await page.http.get("/stream?view=absent")).status_code == 404
        open_until_the_end = asyncio.create_task(page.http.get("/stream?view=now"))
        await asyncio.sleep(0.3)
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 4.0
    with contextlib.suppress(httpx.HTTPError):
        await open_until_the_end


async def test_clients_share_what_is_rendered_and_are_bounded() -> None:
    """100 clients of one view cost one rendering per interval; one that does not read costs nothing more."""
    clock, rendered = [0.0], [0]
    streams = Streams(lambda: clock[0], 0.01)

    async def render() -> str:
        rendered[0] += 1
        return f"state {rendered[0]}"

    clients = [streams.events("now", render, lambda: True) for _ in range(stream.MAX_STREAMS)]
    assert {await anext(one) for one in clients} == {"data: state 1\n\n"}
    assert rendered[0] == 1
    assert streams.number == stream.MAX_STREAMS
    clock[0] = 1.0
    assert await anext(clients[0]) == "data: state 2\n\n"
    clock[0] = 2.0
    assert await anext(clients[0]) == "data: state 3\n\n"
    clock[0] = 2.0005
    assert await anext(clients[1]) == "data: state 3\n\n"  # was slow: the state in between is left out
    streams.close()
    for one in clients:
        await one.aclose()
    assert streams.number == 0


@pytest.mark.virtual_time(speed=600.0)
async def test_a_stream_of_a_fast_emulation_is_no_faster() -> None:
    streams, began, rendered = Streams(interval_s=0.05), time.monotonic(), 0

    async def render() -> str:
        nonlocal rendered
        rendered += 1
        return f"state {rendered}"

    async for _ in streams.events("now", render, lambda: time.monotonic() - began < 0.5):
        pass
    assert 2 <= rendered <= 12


async def test_a_stream_ends_with_its_session() -> None:
    streams, allowed = Streams(), [True]

    async def render() -> str:
        return "a\nb"

    events = streams.events("now", render, lambda: allowed[0])
    assert await anext(events) == "data: a\ndata: b\n\n"
    allowed[0] = False
    with pytest.raises(StopAsyncIteration):
        await anext(events)


async def test_a_client_that_does_not_read_holds_little_and_delays_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CHECKED_EVERY_S", 0.3)
    loop, state, ports = asyncio.get_running_loop(), [0], asyncio.Queue[int]()
    streams = Streams(interval_s=0.01)

    async def render() -> str:
        return f"state {state[0]} {'x' * 200_000}"

    async def respond(request: Request) -> StreamingResponse:
        return StreamingResponse(streams.events("now", render, lambda: True), media_type="text/event-stream")

    app = Starlette(routes=[Route("/", respond)])
    serving = asyncio.create_task(server.serve(app, "127.0.0.1", 0, ready=ports.put_nowait, stopping=streams.close))
    port, held = await ports.get(), 0
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.setblocking(False)
        await loop.sock_connect(slow, ("127.0.0.1", port))
        await loop.sock_sendall(slow, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1_000_000)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        clients: list[RequestTimeoutProtocol] = []
        while state[0] < 100:
            if (await reader.readline()).startswith(f"data: state {state[0]} ".encode()):  # the latest state
                state[0] += 1
                clients = clients or connections()
                held = max(held, *(one.transport.get_write_buffer_size() for one in clients))
        writer.close()
        assert 100_000 < held < 500_000  # one event and the buffer of the connection
        for _ in range(50):
            await asyncio.sleep(0.1)
            if not connections():
                break  # it was closed: nothing had been read since the last check
        assert not connections()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


def connections() -> list[RequestTimeoutProtocol]:
    """Return the open connections to the page."""
    found = (one for one in gc.get_objects() if isinstance(one, RequestTimeoutProtocol))
    return [one for one in found if not one.transport.is_closing()]
