"""Actions of a tester at a station apart from OCPP: plug a vehicle in, present a token, switch it off and on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Protocol

from emulators.conformance.case import Inconclusive, NotApplicable

ORDERS = ("plug", "unplug", "present", "power_cycle", "external", "grid", "reset")
ORDER_WITHIN = 120.0  # s for a command of the laboratory


class Environment(Protocol):
    """Means of the laboratory. Every method may raise NotApplicable or Inconclusive."""

    async def plug(self, evse: int) -> None:
        """Connect a vehicle."""

    async def unplug(self, evse: int) -> None:
        """Disconnect the vehicle."""

    async def present(self, evse: int, token: str) -> None:
        """Present a token at the reader."""

    async def power_cycle(self) -> None:
        """Switch the station off and on."""

    async def external(
        self,
        evse: int,
        *,
        setpoint_w: float | None = None,
        limit_w: float | None = None,
        duration_s: float | None = None,
    ) -> None:
        """Set the set-point or the limit of the external control system, W; it lapses after `duration_s`."""

    async def external_schedule(self, evse: int, quantity: str, watts: Mapping[int, float]) -> None:
        """Set a schedule of the external control system from now: `limit` or `setpoint`, W by start in s."""

    async def grid(self, *, frequency_hz: float | None = None, load_w: float | None = None) -> None:
        """Set the frequency of the grid, or the reading of the upstream meter."""

    async def reset(self) -> None:
        """Remove external values, and set the grid to its nominal values."""


class Commands:
    """Orders by commands of the laboratory, with EVSE and TOKEN in their environment.

    Without a command for `plug` a vehicle counts as connected where `connected` is set.
    """

    def __init__(self, commands: Mapping[str, str], *, connected: bool = False) -> None:
        self._commands, self._connected = dict(commands), connected

    async def plug(self, evse: int) -> None:
        """Connect a vehicle."""
        if "plug" not in self._commands and self._connected:
            return
        await self._run("plug", EVSE=str(evse))

    async def unplug(self, evse: int) -> None:
        """Disconnect the vehicle."""
        await self._run("unplug", EVSE=str(evse))

    async def present(self, evse: int, token: str) -> None:
        """Present a token at the reader."""
        await self._run("present", EVSE=str(evse), TOKEN=token)

    async def power_cycle(self) -> None:
        """Switch the station off and on."""
        await self._run("power_cycle")

    async def external(
        self,
        evse: int,
        *,
        setpoint_w: float | None = None,
        limit_w: float | None = None,
        duration_s: float | None = None,
    ) -> None:
        """Set the set-point or the limit of the external control system."""
        await self._run(
            "external", EVSE=str(evse), **_texts(SETPOINT_W=setpoint_w, LIMIT_W=limit_w, DURATION_S=duration_s)
        )

    async def external_schedule(self, evse: int, quantity: str, watts: Mapping[int, float]) -> None:
        """Set a schedule of the external control system, as QUANTITY and SCHEDULE (`0:3000,60:1000`)."""
        schedule = ",".join(f"{start}:{value:g}" for start, value in watts.items())
        await self._run("external", EVSE=str(evse), QUANTITY=quantity, SCHEDULE=schedule)

    async def grid(self, *, frequency_hz: float | None = None, load_w: float | None = None) -> None:
        """Set the frequency of the grid, or the reading of the upstream meter."""
        await self._run("grid", **_texts(FREQUENCY_HZ=frequency_hz, LOAD_W=load_w))

    async def reset(self) -> None:
        """Remove external values, and set the grid to its nominal values."""
        await self._run("reset")

    async def _run(self, order: str, **values: str) -> None:
        await run_command(order, self._commands.get(order), values)


async def run_command(order: str, command: str | None, values: Mapping[str, str]) -> None:
    """Run a command of the laboratory with values in its environment.

    Raises NotApplicable without one, Inconclusive where it fails.
    """
    if command is None:
        raise NotApplicable(f"no command for {order!r} is configured")
    process = await asyncio.create_subprocess_shell(command, env={**os.environ, **values})
    try:
        async with asyncio.timeout(ORDER_WITHIN):
            status = await process.wait()
    except TimeoutError:
        process.kill()
        raise Inconclusive(f"the command for {order!r} did not end within {ORDER_WITHIN:g} s") from None
    if status:
        raise Inconclusive(f"the command for {order!r} ended with status {status}")


def _texts(**values: float | None) -> dict[str, str]:
    return {name: f"{value:g}" for name, value in values.items() if value is not None}
