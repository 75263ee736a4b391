"""Log lines of one source are rated, and those that are left out are counted."""

from __future__ import annotations

import asyncio
import io
import logging

import pytest

from gateway.observability import log
from gateway.observability.rated_log import RatedLog
from gateway.web import server

SOURCE = logging.getLogger("v2x.csms")


def record(text: str, *values: object, name: str = "v2x.csms", error: Exception | None = None) -> logging.LogRecord:
    about = None if error is None else (type(error), error, None)
    return logging.LogRecord(name, logging.WARNING, "", 0, text, values, about)


def test_a_source_writes_ten_lines_and_then_their_number() -> None:
    now = 0.0
    rated = RatedLog(lambda: now)
    passed = [rated.filter(record("%s: bad message %d", "CP1", number)) for number in range(1000)]
    assert sum(passed) == 10
    assert rated.filter(record("%s: bad message %d", "CP2", 1))
    now = 10.5
    later = record("%s: bad message %d", "CP1", 1000)
    assert rated.filter(later)
    assert "CP1: bad message 1000" in later.getMessage()


def test_what_was_left_out_is_counted() -> None:
    now = 0.0
    rated = RatedLog(lambda: now)
    for _ in range(30):
        rated.filter(record("%s failed", "CP1"))
    now = 20.0
    later = record("%s failed", "CP1")
    assert rated.filter(later)
    assert later.getMessage() == "CP1 failed (20 similar ones were not logged)"


def test_many_sources_with_tracebacks_write_few_of_them() -> None:
    rated = RatedLog(lambda: 0.0)
    records = [record("%s failed", f"10.0.0.{number}:1", error=ValueError("x")) for number in range(5000)]
    passed = [one for one in records if rated.filter(one)]
    assert len(passed) <= 200
    assert sum(one.exc_info is not None for one in passed) <= 10


def test_lines_of_events_are_not_rated() -> None:
    rated = RatedLog(lambda: 0.0)
    assert all(rated.filter(record("%s", "accepted", name="v2x.event")) for _ in range(100))


async def test_lines_of_the_admin_server_are_counted_once(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        raise AssertionError("no request is complete")

    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(server.serve(app, "127.0.0.1", 0, ready=ready.set_result))
    now = 0.0
    rated = RatedLog(lambda: now)
    caplog.handler.addFilter(rated)
    try:
        port = await ready
        for number in range(31):
            now = 0.0 if number < 30 else 20.0
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"X\r\n\r\n")
            assert b" 400 " in await reader.readline()
            writer.close()
    finally:
        caplog.handler.removeFilter(rated)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
    lines = [one.getMessage() for one in caplog.records if one.name == "uvicorn.error"]
    assert len(lines) == 11
    assert lines[-1].endswith("(20 similar ones were not logged)")


def test_the_log_of_the_gateway_is_rated() -> None:
    before, stream = logging.getLogger().handlers[:], io.StringIO()
    try:
        log.configure("info", "console", stream)
        for number in range(5000):
            SOURCE.warning("%s: %s", "CP1", f"bad message {number}")
    finally:
        logging.getLogger().handlers[:] = before
    assert len(stream.getvalue()) < 2000
