"""One task with a set-point controller for every EVSE."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.control.control_state import EvseControlState, EvseRegistry
from gateway.control.setpoint_controller import SetpointController


class SetpointSupervisor:
    """Runs one set-point controller for every EVSE of the registry."""

    def __init__(self, registry: EvseRegistry, controller: Callable[[EvseControlState], SetpointController]) -> None:
        self._registry = registry
        self._controller = controller
        self._running: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Start a controller for each EVSE that is created, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                state = await self._registry.next_created()
                running = tasks.create_task(self._controller(state).run(), name=f"set-point {state.name}")
                self._running[state.name] = running

    def stop(self, evse: str) -> None:
        """Stop the controller of an EVSE that is removed."""
        running = self._running.pop(evse, None)
        if running is not None:
            running.cancel()
