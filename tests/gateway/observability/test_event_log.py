"""Output of the console of a gateway: one line for each event, and the members beside it in JSON."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from emulators.scenario.loading import parse
from emulators.world import simulate
from gateway.model.reason import Code, because
from gateway.model.state import EventMessage, Happened
from gateway.observability import log
from gateway.observability.event_log import EventLog

VISIT = """
name = "a visit"
start = 2026-01-15T17:00:00+09:00
duration = "150s"
[site]
kind = "home"
[[charger]]
id = "CP1"
[[car]]
name = "car"
evse = "CP1-1"
soc_pct = 70
visits = [{arrive = "2s", leave = "130s", target_pct = 30}]
[[command]]
at = "20s"
target = "CP1-1"
verb = "discharge"
power_w = 50000
lease_s = 15
hold = "30s"
[[command]]
at = "140s"
target = "CP1-1"
verb = "discharge"
power_w = 1000
lease_s = 15
[[fault]]
kind = "cut"
target = "ocpp:CP1"
at = "100s"
[grid]
events = [{kind = "outage", at = "60s", duration = "20s"}]
"""


@pytest.fixture
def restored() -> Iterator[None]:
    """Restore the root logger."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def console(format: str) -> list[str]:
    stream = io.StringIO()
    log.configure("info", format, stream)
    simulate(parse(VISIT, "test"), fast_forward=True)
    return stream.getvalue().splitlines()


@pytest.mark.usefixtures("restored")
def test_people_follow_a_visit_on_the_console() -> None:
    lines = [line for line in console("console") if "CP1-1" in line or "site: " in line]
    expected = [
        "CP1-1: station connected: ocpp2.1",
        "CP1-1: vehicle connected",
        "CP1-1: session started",
        "CP1-1: vehicle negotiated: DC_BPT",
        "discharge -50000 W from facility (id facility-000001): clamped -10000 W (limit: station)",
        "CP1-1: set-point -10000 W (limit: station)",
        "achieved, measured -9",
        "CP1-1: command ended: The lease was not renewed",
        "CP1-1: set-point 0 W",
        "site: grid lost: The input grid states that the grid is lost",
        "site: grid returned: The input grid states that the grid is present",
        "CP1-1: station lost",
        "CP1-1: vehicle disconnected",
    ]
    at = -1
    for words in expected:
        found = [number for number, line in enumerate(lines) if words in line]
        assert found, (words, lines)
        assert found[-1] > at, (words, lines)
        at = next(number for number in found if number > at)
    assert len([line for line in lines if "set-point" in line]) == 2


@pytest.mark.usefixtures("restored")
def test_programs_get_the_members_beside_the_text() -> None:
    found = [json.loads(line) for line in console("json")]
    refused = [one for one in found if one.get("status") == "refused"]
    assert [(one["verb"], one["reason"]["code"]) for one in refused] == [("discharge", "unplugged")]
    plugged = next(one for one in found if one.get("kind") == "plugged")
    assert plugged["evse"] == "CP1-1"
    assert plugged["level"] == "info"
    assert plugged["event"] == "CP1-1: vehicle connected"


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("format", ["console", "json"])
def test_every_kind_of_event_makes_one_line(format: str) -> None:
    stream = io.StringIO()
    log.configure("info", format, stream)
    events = EventLog()
    for kind in Happened:
        before = len(stream.getvalue().splitlines())
        reason = because(Code.FAULT, "a text\nof two lines")
        events.event(EventMessage(event=kind, evse="CP1-1", reason=reason, gateway="g", ts=0.0))
        lines = stream.getvalue().splitlines()[before:]
        assert len(lines) == (kind is not Happened.REFUSED), kind
        assert all("CP1-1" in line and "a text" in line for line in lines)
