"""Each rejected connection is reported with id, address, path and reason; a flood of them is rated."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from emulators.runtime.clock import RealClock
from gateway.csms import passwords
from gateway.csms.admin import Admin
from gateway.csms.csms import Csms
from gateway.csms.errors import RequestRejected
from gateway.csms.handshakes import HandshakeReports
from gateway.csms.settings import CsmsSettings, StationSettings, UnknownStations
from gateway.model.event import Event, StationRejected
from tests.gateway.csms.test_security import PASSWORD, Authority, basic
from tests.interop.ocpp_sockets import until


@asynccontextmanager
async def serving(events: list[Event], **about: Any) -> AsyncIterator[int]:
    about.setdefault("stations", (StationSettings("CP1", passwords.hash_password(PASSWORD)),))
    made = Csms(CsmsSettings(port=0, **about), events.append, RealClock())
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(made.serve(port.set_result))
    try:
        yield await port
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def attempt(url: str, **about: Any) -> None:
    about.setdefault("subprotocols", ["ocpp2.1"])
    with suppress(InvalidHandshake, ConnectionClosed, OSError, EOFError):
        async with connect(url, proxy=None, **about) as connection:
            await asyncio.wait_for(connection.recv(), 2)


@pytest.mark.parametrize(
    ("path", "about", "reason"),
    [
        ("/elsewhere/CP1", {}, "no such path: stations connect to /ocpp/<station id> (HTTP 404)"),
        ("/ocpp/CP2", {}, "unknown id: this station is not registered here (HTTP 404)"),
        ("/ocpp/CP1", {}, "no password was sent (HTTP 401)"),
        ("/ocpp/CP1", {"additional_headers": basic("CP1", "wrong")}, "wrong password (HTTP 401)"),
        (
            "/ocpp/CP1",
            {"additional_headers": basic("CP2", PASSWORD)},
            "wrong user: it must be the station's id (HTTP 401)",
        ),
        (
            "/ocpp/CP1",
            {"additional_headers": basic("CP1", PASSWORD), "subprotocols": ["ocpp1.5"]},
            "no common subprotocol: it offers ocpp1.5, supported are ocpp1.6, ocpp2.0.1, ocpp2.1",
        ),
    ],
)
async def test_a_rejected_station_is_reported_with_the_reason(path: str, about: dict[str, Any], reason: str) -> None:
    events: list[Event] = []
    async with serving(events, security_profile=1) as port:
        await attempt(f"ws://127.0.0.1:{port}{path}", **about)
        await until(lambda: events != [])
    (event,) = [one for one in events if isinstance(one, StationRejected)]
    station = "" if path.startswith("/else") else path[-3:]
    assert (event.station, event.address, event.path, event.reason) == (station, "127.0.0.1", path, reason)


async def test_tls_at_a_port_without_tls_is_reported() -> None:
    events: list[Event] = []
    async with serving(events, security_profile=1) as port:
        await attempt(f"wss://127.0.0.1:{port}/ocpp/CP1")
        await until(lambda: events != [])
    (event,) = events
    assert isinstance(event, StationRejected)
    assert (event.address, event.reason) == ("127.0.0.1", "TLS (wss://) at a port without TLS: this port expects ws://")


async def test_a_station_without_tls_or_certificate_at_a_tls_port_is_reported(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    certificate, key = ca.issue("localhost")
    events: list[Event] = []
    about = {"tls_cert": certificate, "tls_key": key, "tls_ca": ca.file, "security_profile": 3}
    async with serving(events, **about) as port:
        await attempt(f"ws://127.0.0.1:{port}/ocpp/CP1")
        await until(lambda: len(events) == 1)
        context = ssl.create_default_context(cafile=str(ca.file))
        context.check_hostname = False
        await attempt(f"wss://127.0.0.1:{port}/ocpp/CP1", ssl=context)
        await until(lambda: len(events) == 2)
    reasons = [(one.address, one.reason) for one in events if isinstance(one, StationRejected)]
    assert reasons == [
        ("127.0.0.1", "not TLS: this port expects wss://"),
        ("127.0.0.1", "no client certificate was sent (security profile 3)"),
    ]


class Moment(RealClock):
    at = 0.0

    def now(self) -> float:
        return self.at


def test_a_flood_of_rejections_is_rated_and_counted() -> None:
    events: list[Event] = []
    clock = Moment()
    reports = HandshakeReports(events.append, clock)
    for number in range(5_000):
        reports.rejected(f"10.0.{number % 200}.1", "unknown id", f"CP{number}", "/ocpp/" + 5_000 * "x")
    assert len(events) == 100
    for _ in range(50):
        reports.rejected("10.0.0.1", "unknown id", "CP1")
    clock.at = 60.0
    reports.rejected("10.0.0.1", "unknown id", "CP1")
    last = events[-1]
    assert isinstance(last, StationRejected)
    assert "more were not reported" in last.reason
    assert all(isinstance(one, StationRejected) and len(one.path) <= 100 for one in events)


async def test_the_id_of_an_evse_that_the_gateway_hosts_is_no_station() -> None:
    events: list[Event] = []
    reserved = {"reserved": frozenset({"bay1"}), "unknown_stations": UnknownStations.ACCEPT}
    async with serving(events, security_profile=0, **reserved) as port:
        await attempt(f"ws://127.0.0.1:{port}/ocpp/Bay1")
        await until(lambda: events != [])
    (event,) = events
    assert isinstance(event, StationRejected)
    assert event.reason == "this id is that of an EVSE which the gateway hosts itself (HTTP 404)"
    made = Csms(CsmsSettings(reserved=frozenset({"bay1"})), events.append, RealClock())
    with pytest.raises(RequestRejected, match="BAY1 is an EVSE that the gateway hosts itself"):
        await Admin(made).put_station("BAY1", {})
