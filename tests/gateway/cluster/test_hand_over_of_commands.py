"""MQTT commands of a site while its control changes the process, with Mosquitto: none is without a result."""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path

import pytest

from gateway.app import Ending, Parts, gateway
from gateway.config import from_table
from tests.gateway.mqtt.facility import Facility, facility, mosquitto

HAND_OVERS = 2
AT_THE_END, APART = 40, 20  # commands while a control ends, and while there is none
RESULT = "evse/CP1-1/result"


async def _send(client: Facility, numbers: itertools.count[int]) -> None:
    number = next(numbers)
    verb, power = ("stop", {}) if number % 5 == 0 else ("discharge", {"power_w": 1000})
    await client.send(f"evse/CP1-1/cmd/{verb}", {"id": f"c{number}", "issued_at": time.time()} | power)


@pytest.mark.peer
async def test_commands_between_two_holders_reach_the_next_one(tmp_path: Path) -> None:
    numbers = itertools.count()
    with mosquitto(tmp_path) as broker:
        config = from_table(
            {
                "site": {"id": "home"},
                "mqtt": {"url": broker.url, "gateway_id": "gw1"},
                "store": {"url": f"sqlite:///{tmp_path / 'v2x.db'}"},
                "ocpp": {"listen": "127.0.0.1:0"},
            }
        )
        async with facility(broker.port, root="v2x/1/home") as client, asyncio.timeout(60):
            for _ in range(HAND_OVERS):
                async with gateway(config, Parts(listen=False, takes_over=True)) as running:
                    await running.mqtt.connected.wait()
                    await _send(client, numbers)
                    running.mqtt.hand_over()
                    left = f"c{next(numbers)}"
                    await client.send("evse/CP1-1/cmd/stop", {"id": left, "issued_at": time.time()})
                    running.ending = Ending.HAND_OVER
                    during = asyncio.create_task(_often(client, numbers))
                assert left not in [body["id"] for topic, body, _ in client.received if topic == RESULT]
                await during
                for _ in range(APART):
                    await _send(client, numbers)
            async with gateway(config, Parts(listen=False, takes_over=True)):
                for number in range(next(numbers)):
                    await client.until(RESULT, id=f"c{number}")
            # one that had no acknowledgement at the end of a link may have another to the next holder
            results = [body for topic, body, _ in client.received if topic == RESULT]
            assert {body["status"] for body in results} == {"refused"}
            assert {body["reason"]["code"] for body in results} <= {"unknown_evse", "rate_limited"}


async def _often(client: Facility, numbers: itertools.count[int]) -> None:
    """Send commands one after the other while the control of the site ends."""
    for _ in range(AT_THE_END):
        await _send(client, numbers)
