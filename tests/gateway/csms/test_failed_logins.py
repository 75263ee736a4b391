"""Guessing of passwords over real sockets: what it costs the guesser, and what the real station notices of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.csms import handshake_limits, passwords
from gateway.csms.settings import StationSettings
from gateway.failed_logins import FREE_ATTEMPTS
from gateway.model.event import SecurityNoticed
from protocols.ocpp.schema import Version
from tests.gateway.csms.raw_station import Raw
from tests.gateway.csms.test_security import PASSWORD, basic, knock, serving
from tests.gateway.web.running_gateway import running_gateway

GUESSER: dict[str, Any] = {"local_addr": ("127.0.0.2", 0)}


async def attempts(port: int, number: int, name: str = "CP1", **about: Any) -> list[int]:
    return [
        await knock(port, f"/ocpp/{name}", additional_headers=basic(name, f"guess {one}"), **about)
        for one in range(number)
    ]


async def test_guessing_locks_out_the_id_at_the_address_of_the_guesser_only() -> None:
    stations = tuple(StationSettings(name, passwords.hash_password(PASSWORD)) for name in ("CP1", "CP2"))
    async with serving(security_profile=1, stations=stations) as (_, port):
        assert await attempts(port, FREE_ATTEMPTS + 5, **GUESSER) == [401] * FREE_ATTEMPTS + [429] * 5
        assert await knock(port, additional_headers=basic("CP1", PASSWORD), **GUESSER) == 429
        assert await knock(port, additional_headers=basic("CP1", PASSWORD)) == 101
        assert await knock(port, "/ocpp/CP2", additional_headers=basic("CP2", PASSWORD), **GUESSER) == 101


async def test_a_station_that_was_connected_is_not_locked_out_by_a_guesser_at_its_own_address() -> None:
    async with serving(security_profile=1) as (_, port):
        assert await knock(port, additional_headers=basic("CP1", PASSWORD)) == 101
        assert (await attempts(port, FREE_ATTEMPTS + 2))[-1] == 429
        assert await knock(port, additional_headers=basic("CP1", PASSWORD)) == 101


async def test_an_address_that_guesses_for_many_ids_is_locked_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake_limits, "ADDRESS_ATTEMPTS", 20)
    stations = tuple(StationSettings(f"CP{number}", password=PASSWORD) for number in range(30))
    async with serving(security_profile=1, stations=stations) as (_, port):
        answers = [(await attempts(port, 1, f"CP{number}", **GUESSER))[0] for number in range(30)]
        assert answers == [401] * 20 + [429] * 10
        assert await knock(port, "/ocpp/CP7", additional_headers=basic("CP7", PASSWORD)) == 101


async def test_a_known_station_connects_while_strangers_use_up_their_rate() -> None:
    async with serving(max_handshakes_per_s=4.0, security_profile=1) as (_, port):
        assert 503 in [await knock(port, f"/ocpp/X{number}") for number in range(12)]
        assert [await knock(port, additional_headers=basic("CP1", PASSWORD)) for _ in range(5)] == [101] * 5


@pytest.mark.parametrize("version", list(Version))
async def test_failed_logins_and_reported_security_events_are_journalled_published_and_shown(
    version: Version, tmp_path: Path
) -> None:
    async with running_gateway(tmp_path) as running:
        assert await attempts(running.ocpp, 1, **GUESSER) == [401]
        station = await running.station(version)
        event = {"type": "TamperDetectionActivated", "timestamp": "2026-11-29T08:00:00Z", "techInfo": "lid\nopen"}
        assert await station.ok("SecurityEventNotification", event) == {}
        reported, failed = await running.get("/security-events", station="cp1")
        assert reported["type"] == "TamperDetectionActivated"
        assert reported["text"].startswith("CP1 reports the security event TamperDetectionActivated of 2026-11-29")
        assert (failed["type"], failed["station"], failed["address"]) == ("FailedLogin", "CP1", "127.0.0.2")
        assert failed["text"] == "1 failed logins as CP1 from 127.0.0.2"

        entries: list[Any] = []
        for _ in range(50):
            entries = [one for one in await running.get("/journal") if one["data"].get("station") == "CP1"]
            if len(entries) >= 2:
                break
        assert {one["data"]["kind"] for one in entries} == {"FailedLogin", "TamperDetectionActivated"}


@pytest.mark.virtual_time
async def test_a_station_that_reports_security_events_without_end_is_rated() -> None:
    async with Raw() as raw:
        await raw.boot()
        event = {"type": "MemoryExhaustion", "timestamp": raw.time()}
        for _ in range(100):
            await raw.ok("SecurityEventNotification", event)
        assert len(raw.of(SecurityNoticed)) == 20
        assert len(raw.csms.context.security.recent) == 100
        await raw.clock.sleep(20)
        await raw.ok("SecurityEventNotification", event)
        assert raw.of(SecurityNoticed)[-1].text.endswith("(80 more were not reported)")
