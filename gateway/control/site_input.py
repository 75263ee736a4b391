"""Inputs of the facility: validated, stored in the site with their age; changes of their freshness are published."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping

from pydantic import ValidationError

from gateway.authority.site_limits import metered
from gateway.control.control_state import EvseRegistry
from gateway.control.last_grid import LastGridPersistence
from gateway.control.publisher import EventPublisher
from gateway.control.site_decision import SiteDecision
from gateway.model.command import complaint
from gateway.model.grid_report import GridReport
from gateway.model.message import strict_json
from gateway.model.reason import Code, Reason, because
from gateway.model.site import INPUTS, AnyInput, Freshness, Grid, InputKind, Site, switching_part
from gateway.model.state import Happened
from protocols.ports import Clock

MAX_BYTES = 65_536
LONGEST_PAUSE_S = 10.0  # between two checks of freshness: the gateway enters inputs of its own as well

InputHandlers = Mapping[InputKind, Callable[[AnyInput], None]]


class SiteInputs:
    """Inputs of one site. `handlers` get every message of a kind, and not only the last one."""

    def __init__(
        self,
        site: Site,
        registry: EvseRegistry,
        decision: SiteDecision,
        publisher: EventPublisher,
        clock: Clock,
        clock_skew_s: float,
        handlers: InputHandlers,
        last_grid: LastGridPersistence,
    ) -> None:
        self._site = site
        self._registry = registry
        self._decision = decision
        self._publisher = publisher
        self._clock = clock
        self._clock_skew_s = clock_skew_s
        self._handlers = handlers
        self._last_grid = last_grid
        self._freshness: dict[InputKind, Freshness] = {}
        self._next_check = 0.0
        self._sooner = asyncio.Event()  # an input becomes stale before the next check

    async def run(self) -> None:
        """Publish which inputs have become stale, until cancelled."""
        clock, inputs = self._clock, self._site.inputs
        while True:
            self.check_freshness()
            now = clock.now()
            self._next_check = min(now + LONGEST_PAUSE_S, inputs.next_change(now) or now + LONGEST_PAUSE_S)
            self._sooner.clear()
            with contextlib.suppress(TimeoutError):
                async with clock.timeout_at(self._next_check):
                    await self._sooner.wait()

    def receive(self, kind: str, payload: bytes) -> Reason | None:
        """Store an input; return the reason where it is refused."""
        value = self._read(kind, payload)
        if isinstance(value, Reason):
            return value
        site, wall, now, name = self._site, self._clock.wall(), self._clock.now(), InputKind(kind)
        held, grid_before = site.inputs.readings.get(name), site.last_grid
        site.inputs.put(name, value, now, wall)
        if site.inputs.readings[name].until < self._next_check:
            self._sooner.set()
        if name is InputKind.GRID:
            self._decision.grid_metered()
        if isinstance(value, Grid) and site.inputs.readings[name].value is value:
            self._keep_grid(value, wall)
            self._publish_grid(grid_before)
        if name in self._handlers:
            self._handlers[name](value)
        self.check_freshness()
        changed = switching_part(value) != switching_part(held.value if held is not None else None)
        changed = changed or _dead(site.last_grid) is not _dead(grid_before)
        if changed:
            self._publisher.changed(None)
        else:
            self._publisher.inputs_changed.set()
            self._publisher.measured(None)
        if changed:
            self._registry.wake_active()
        elif self._decision.limited and (name is InputKind.GRID or not metered(site, now)):
            self._registry.wake(self._decision.outdated())  # what a limit leaves is another
        return None

    def _keep_grid(self, grid: Grid, wall: float) -> None:
        self._site.grid_meter.learn(grid.voltage_v, grid.power_w)
        if (report := self._site.last_grid) is not None:
            self._last_grid.keep(report, wall)

    def _publish_grid(self, before: GridReport | None) -> None:
        """Publish that the grid is lost or has returned, as the facility reports or measures it."""
        report = self._site.last_grid
        if report is None or report.present is (before is None or before.present):
            return
        happened = Happened.GRID_RETURNED if report.present else Happened.GRID_LOST
        measured = " by its measured voltage" * report.dead
        text = f"The input grid states that the grid is {'present' if report.present else 'lost'}{measured}."
        self._publisher.happened(happened, None, text=text)

    def _read(self, kind: str, payload: bytes) -> AnyInput | Reason:
        if kind not in InputKind.__members__.values():
            known = ", ".join(InputKind)
            return because(Code.BAD_INPUT, f"There is no input {kind[:64]!r}; known are {known}.")
        if len(payload) > MAX_BYTES:
            return because(Code.TOO_LARGE, f"The input {kind} has {len(payload)} bytes; {MAX_BYTES} are allowed.")
        try:
            value = INPUTS[InputKind(kind)].model_validate_json(payload)
            strict_json(payload)
        except ValidationError as error:
            return because(Code.BAD_INPUT, f"Input {kind}: {complaint(error)}.")
        except ValueError as error:
            return because(Code.BAD_INPUT, f"Input {kind} is ambiguous: {error}.")
        ahead_s = value.ts - self._clock.wall()
        if ahead_s > self._clock_skew_s:
            text = f"Input {kind} is stamped {ahead_s:.1f} s ahead of the gateway's clock; check both clocks."
            return because(Code.CLOCK_SKEW, text)
        return value

    def check_freshness(self) -> None:
        """Publish which inputs have become stale or fresh."""
        found, before = self._site.inputs.each_freshness(self._clock.now()), self._freshness
        if found == before:
            return
        self._freshness = found
        for kind, freshness in found.items():
            if freshness is before.get(kind, Freshness.NEVER):
                continue
            if freshness is Freshness.STALE:
                reason = because(Code.INPUT_STALE, f"The input {kind.value} is stale.")
                self._publisher.happened(Happened.INPUT_STALE, None, reason)
            else:
                self._publisher.happened(Happened.INPUT_FRESH, None, text=f"The input {kind.value} is there.")
            self._publisher.changed(None)
            self._registry.wake_active()


def _dead(report: GridReport | None) -> bool:
    return report is not None and report.dead
