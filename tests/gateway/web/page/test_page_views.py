"""Views and commands over HTTP: what they show, the life of a command, the stream, and their size."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import pytest

from gateway.model.command import Channel
from gateway.model.result import Status
from gateway.web.page import stream
from gateway.web.page.stream import Streams
from tests.gateway.web.page.running_page import RunningPage, running_page

MAX_BYTES = 300_000


def hidden(text: str) -> dict[str, str]:
    """Return the hidden fields of the last form of a page that is no stop form."""
    form = text[text.rindex("<form", 0, text.index("</main>")) :]
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form.split("</form>")[0]))


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


async def test_a_discharge_from_preview_to_result(tmp_path: Path) -> None:
    async with running_page(tmp_path) as page:
        page.evse()
        form = await page.page("/command?evse=CP1-1")
        assert "Command to CP1-1" in form
        given = {**hidden(form), "verb": "discharge", "power_kw": "5,5", "minutes": "30"}
        answer = await page.http.post("/command/preview", data=given)
        assert answer.status_code == 200, answer.text
        assert "Discharge CP1-1 now" in answer.text
        assert "discharging 5.5 kW" in answer.text
        assert not await commands(page)  # a preview is no command
        answer = await page.http.post("/command", data=hidden(answer.text))
        assert answer.status_code == 303
        (name,) = await commands(page)
        assert answer.headers["Location"] == f"/command/{name}"
        first, _ = await page.gateway.service.result(name)
        assert first is not None
        assert (first.status, first.effective_w, first.source) == (Status.ACCEPTED, -5500.0, "page")
        stored = await page.gateway.journal.store.find_command(name)
        assert stored is not None
        assert stored.channel == Channel.API.value
        assert "Granted as requested." in await page.page(f"/command/{name}")

        answer = await page.http.post("/stop", data={"csrf": await page.csrf(), "evse": "CP1-1"})
        stopped = await page.page(answer.headers["Location"])
        assert "Stop, CP1-1: achieved" in stopped or "Stop, CP1-1: accepted" in stopped


async def commands(page: RunningPage) -> set[str]:
    return {one.command for one in await page.gateway.service.entries() if one.command is not None}


@pytest.mark.parametrize(
    "wrong",
    [{"power_kw": ""}, {"power_kw": "nan"}, {"power_kw": "-1"}, {"minutes": "90"}, {"verb": "release"}, {"minutes": ""}],
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
        page.gateway.service.report(metered_below_floor(page))
        answer = await page.http.post("/command/preview", data=given, headers={"Accept-Language": "ja"})
        assert "放電下限に達しています。" in answer.text
        assert "CP1-1の放電を開始" not in answer.text  # nothing to confirm
        assert (await page.http.post("/command/preview", data={**given, "evse": "nobody"})).status_code == 404


def metered_below_floor(page: RunningPage):  # type: ignore[no-untyped-def]
    from gateway.model.event import Metered

    return Metered("CP1-1", page.gateway.clock.now(), page.gateway.clock.wall(), power_w=0.0, soc_pct=20.0)


async def test_a_thousand_evses(tmp_path: Path) -> None:
    """Every view is bounded, whatever part of the list is asked for."""
    async with running_page(tmp_path) as page:
        for number in range(1000):
            page.evse(f"S{number:04}-1", vehicle=f"car {number}")
        for path in ("/now", "/now?part=20", "/now?part=999999999", "/outage", "/stations", "/health", "/messages"):
            assert len(await page.page(path)) < MAX_BYTES, path
        assert (await page.page("/now?part=20")).count("<article") == 50
        assert "Page 1 of 20, 1000 in total" in await page.page("/now?part=x")


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
    with pytest.raises(Exception):  # noqa: B017
        await open_until_the_end
    

async def test_clients_share_what_is_rendered_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """100 clients of one view cost one rendering per interval; one that does not read costs nothing more."""
    clock, rendered = [0.0], [0]
    streams = Streams(lambda: clock[0])
    monkeypatch.setattr(stream, "INTERVAL_S", 0.01)

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
    clock[0] = 2.005
    assert await anext(clients[1]) == "data: state 3\n\n"  # was slow: the state in between is left out
    streams.close()
    for one in clients:
        await one.aclose()
    assert streams.number == 0


async def test_a_stream_ends_with_its_session() -> None:
    streams, allowed = Streams(lambda: 0.0), [True]

    async def render() -> str:
        return "a\nb"

    events = streams.events("now", render, lambda: allowed[0])
    assert await anext(events) == "data: a\ndata: b\n\n"
    allowed[0] = False
    with pytest.raises(StopAsyncIteration):
        await anext(events)
