"""A whole gateway in a process of its own, to be killed from outside: its OCPP port, its store, no broker."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gateway.app import gateway
from gateway.config import from_table
from gateway.event_loop import make_loop

STATIONS = ("A16", "B16", "A201", "A21")


@dataclass(frozen=True)
class ProcessConfig:
    """Configuration of the process."""

    database: str
    port: int


def main(settings: ProcessConfig) -> None:
    """The entry of the process."""
    with asyncio.Runner(loop_factory=make_loop) as runner:  # as the product does
        runner.run(_run(settings))


async def _run(settings: ProcessConfig) -> None:
    config = from_table(
        {
            "mqtt": {"url": "mqtt://127.0.0.1:9"},  # no server listens there
            "store": {"url": settings.database},
            "ocpp": {
                "listen": f"127.0.0.1:{settings.port}",
                "security_profile": 0,
                "unknown_tokens": "accept",
                "inventory": False,
            },
            "stations": [{"id": name} for name in STATIONS],
        }
    )
    async with gateway(config):
        await asyncio.get_running_loop().create_future()
