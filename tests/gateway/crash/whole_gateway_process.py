"""A whole gateway in a process of its own for the fault rounds: OCPP port, store, broker, and a clock that jumps."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass

from emulators.runtime.clock import SkewedClock
from gateway.app import Parts, gateway
from gateway.clock import SystemClock
from gateway.config import from_table
from gateway.event_loop import make_loop

JUMPS_S = (3600.0, -7200.0, 3600.0)  # of the wall clock, at each SIGUSR1


@dataclass(frozen=True)
class ProcessConfig:
    """Configuration of the process."""

    site: str
    broker: int
    database: str
    ocpp_port: int


def main(settings: ProcessConfig) -> None:
    """The entry of the process."""
    with asyncio.Runner(loop_factory=make_loop) as runner:  # as the product does
        runner.run(_run(settings))


async def _run(settings: ProcessConfig) -> None:
    config = from_table(
        {
            "site": {"id": settings.site, "ramp_w_per_s": 10_000},
            "mqtt": {"url": f"mqtt://127.0.0.1:{settings.broker}", "session_expiry_s": 60, "telemetry_s": 5},
            "store": {"url": settings.database},
            "ocpp": {"listen": f"127.0.0.1:{settings.ocpp_port}", "security_profile": 0},
            "stations": [{"id": "CP1"}],
        }
    )
    clock, jumps = SkewedClock(SystemClock()), list(JUMPS_S)

    def jump() -> None:
        if jumps:
            clock.offset_s += jumps.pop(0)

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, jump)
    async with gateway(config, Parts(clock=clock)):
        await asyncio.get_running_loop().create_future()
