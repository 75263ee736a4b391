"""The island state machine: from the loss of mains to the return of the grid.

    ON_GRID -> SUSPECT -> OPENING -> DARK -> STARTING -> ISLAND -> (SYNCHRONISING | CLOSING) -> RETURNING -> ON_GRID

In every phase but ON_GRID, ISLAND, SYNCHRONISING and RETURNING all EVSEs are at 0 W. Grid-forming begins only through
the interlock. The grid-forming source is selected by its usable energy; others are preferred for a while to one that
has failed. A site without a main switch or a source waits in WAITING until the grid has been healthy for the reconnect
delay.

Supply of an island ends only by the interlock, an emergency stop, or without any source above its floor; the loss of
the broker, of a lease or of the gateway does not end it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.authority.island_limits import return_share
from gateway.authority.layers import HELD
from gateway.energy.reason import Decided, EnergyCode
from gateway.energy.resilience.grid_watch import GridWatch
from gateway.energy.resilience.interlock import Interlock
from gateway.energy.resilience.phase import (
    CLOSED_SWITCH,
    FORMING,
    OPEN_SWITCH,
    IslandInputs,
    IslandSettings,
    Orders,
    Phase,
    Source,
    adopted,
    no_source,
)
from gateway.model.energy_state import GridStatus

START_AGAIN_S = 12.0  # for a start after a collapse
SHORTEST_PAUSE_S = 10.0  # after a start that failed
RETURNS = "The grid has been healthy for the reconnect delay: power returns by a ramp."


@dataclass(slots=True)
class Island:
    """The state machine. `step` is called at least each second; no inputs make it raise."""

    settings: IslandSettings = field(default_factory=IslandSettings)
    grid: GridWatch = field(default_factory=GridWatch)
    interlock: Interlock = field(default_factory=Interlock)
    phase: Phase = Phase.ON_GRID
    forming: str | None = None
    ramp_from: float | None = None  # begin of the ramp after an outage, also of one before a restart
    formed_before: str | None = None  # before a restart: the source of a running island
    sure: bool = False  # no other source than `forming` can be grid-forming since before a restart, as far as known
    _lost_before: bool = False  # the grid was lost when an earlier run ended: the reconnect delay has still to pass
    _reported: bool = False  # the facility has reported grid or main switch since the start
    _adopted: bool = False  # `forming` was adopted before anything was reported, and has not been seen to be able yet
    _waits_until: float | None = None  # from the first report on
    _begun: bool = False  # the main switch has reported closed since the start
    _now: float = 0.0
    _entered: float = 0.0
    _not_before: dict[str, float] = field(default_factory=dict)  # by source: of a next attempt
    _preferred_from: dict[str, float] = field(default_factory=dict)  # by source: others are preferred before
    _late: bool = False  # a delay has been reported in this phase
    _no_sync_before: float = -1e9
    _commanded: bool = False
    _events: list[Decided] = field(default_factory=list)

    def restore(self, formed_before: str | None) -> None:
        """Restore the source of an island that ran before a restart; before the first step."""
        self.formed_before = formed_before

    def restore_loss(self) -> None:
        """Continue a loss of the grid from before a restart."""
        self.grid.restore_loss()
        self._lost_before = True

    def step(self, inputs: IslandInputs) -> tuple[Orders, list[Decided]]:
        """Return the orders of one step, after `grid.update`, and what has changed."""
        self._now = inputs.now
        self._events = self.interlock.update(inputs.switch_open, inputs.through_w, inputs.now)
        if inputs.reported and not self._reported:
            self._reported, self._waits_until = True, inputs.now + self.settings.return_within_s
        self._commanded = self._commanded if inputs.backup is None else inputs.backup
        for _ in range(len(Phase)):  # a step may pass through several phases, but not endlessly
            before = self.phase
            if inputs.emergency and self.phase in FORMING:
                self._go(Phase.DARK, "emergency_stop", "The emergency stop ends the island.")
            else:
                _STEPS[self.phase](self, inputs)
            if self.phase is before:
                break
        if self.phase not in FORMING:
            self.forming = None
        waited = self._waits_until is not None and inputs.now >= self._waits_until
        self.sure = self.sure or (self._reported and (self.forming is not None or self._begun or waited))
        return self._orders(inputs), self._events

    @property
    def unreported(self) -> bool:
        """True in an island that was adopted after a restart while too little is known: it stays as it is."""
        return self.phase is Phase.ISLAND and (self._adopted or not self._reported)

    @property
    def supplied_by_grid(self) -> bool:
        """Return whether the grid supplies the site."""
        if self.grid.status is not GridStatus.HEALTHY or self.interlock.open is True:
            return False
        return self.phase is Phase.ON_GRID or (self.phase is Phase.RETURNING and self.interlock.open is False)

    def _orders(self, inputs: IslandInputs) -> Orders:
        if self.phase is Phase.RETURNING:
            self.ramp_from, self._lost_before = self._entered, False
        elif self.phase not in (Phase.ON_GRID, Phase.SUSPECT):
            self.ramp_from = None
        share = 1.0 if self.ramp_from is None else return_share(inputs.now - self.ramp_from, self.settings.ramp_s)
        switch = "closed" if self.phase in CLOSED_SWITCH else ""
        if self.phase in OPEN_SWITCH and (inputs.reported or self._commanded):  # else it may have reconnected since
            switch = "open"
        return Orders(self.phase, switch, self.forming, share)

    def _go(self, phase: Phase, code: EnergyCode, text: str) -> None:
        self.phase, self._entered, self._late = phase, self._now, False
        self._report(code, text)

    def _report(self, code: EnergyCode, text: str) -> None:
        self._events.append(Decided(self._now, code, text))

    # one method per phase

    def _on_grid(self, inputs: IslandInputs) -> None:
        self._begun = self._begun or inputs.switch_open is False
        if not self._reported and self._adopt_unreported(inputs):
            return
        if (self.grid.status is not GridStatus.HEALTHY or not self._begun) and self._adopt(inputs):
            return
        if self._begun and self.grid.status is GridStatus.HEALTHY:
            self.formed_before = None
        if self.grid.status is GridStatus.LOST and self._reported and not self._lost_before:
            self._leave(inputs, "The grid is lost")
        elif self.grid.status in (GridStatus.SUSPECT, GridStatus.LOST) or self._lost_before:
            self._go(Phase.SUSPECT, "holding_zero", f"All power is held at zero: {self.grid.why}.")
        elif self._commanded and self.settings.capable:
            self._go(Phase.OPENING, "opening_main_switch", "Island operation is commanded: the main switch opens.")

    def _adopt_unreported(self, inputs: IslandInputs) -> bool:
        """Continue with the grid-forming source from before a restart while the facility reports nothing."""
        if not self.settings.capable or self.formed_before is None or inputs.emergency:
            return False
        self.forming, self.formed_before, self._adopted = self.formed_before, None, True
        text = f"{self.forming} formed an island before the restart, and nothing has been reported since: it continues."
        self._go(Phase.ISLAND, "island_adopted", text)
        return True

    def _adopt(self, inputs: IslandInputs) -> bool:
        """Adopt a running island after a (re)start without interrupting its supply; return whether it was adopted."""
        if not self.settings.capable or not self.interlock.may_start or inputs.formed is not True or inputs.emergency:
            return False
        if self._awaits(inputs):
            return False
        source = self._choose(inputs, self.formed_before) or self._choose(inputs, waiting=True)
        if source is None:
            return False
        self.forming, self.formed_before = source.name, None
        self._go(Phase.ISLAND, "island_adopted", adopted(source))
        return True

    def _awaits(self, inputs: IslandInputs) -> bool:
        """Return whether the grid-forming source from before a restart is still expected: no other one starts then."""
        if self.formed_before is None or inputs.formed is not True:
            return False
        here = any(one.name == self.formed_before for one in inputs.sources)
        return not here and (self._waits_until is None or inputs.now < self._waits_until)

    def _suspect(self, inputs: IslandInputs) -> None:
        if self.grid.status is GridStatus.LOST:
            if self._reported:  # a loss from before a restart moves no switch: the grid may have returned meanwhile
                self._lost_before = False
                self._leave(inputs, "The grid is lost")
        elif self.grid.status is GridStatus.HEALTHY and self._lost_before:
            if self._commanded and self.settings.capable:
                self._lost_before = False
                self._leave(inputs, "Island operation is commanded")
            elif self.grid.may_reconnect(inputs.now):
                self._go(Phase.RETURNING, "returning", RETURNS)
        elif self.grid.status is GridStatus.HEALTHY:
            self._go(Phase.ON_GRID, "zero_released", "The grid is healthy, power may flow again.")

    def _leave(self, inputs: IslandInputs, why: str) -> None:
        if self.settings.capable:
            self._go(Phase.OPENING, "opening_main_switch", f"{why}: the main switch has to open first.")
        else:
            self._go(Phase.WAITING, "waiting_for_grid", f"{why}, and this site cannot form an island.")

    def _waiting(self, inputs: IslandInputs) -> None:
        if self.grid.may_reconnect(inputs.now):
            self._go(Phase.RETURNING, "returning", RETURNS)

    def _opening(self, inputs: IslandInputs) -> None:
        if self.interlock.may_start:
            self._go(Phase.DARK, "main_switch_open", "The main switch is confirmed open.")
        elif self.grid.status is GridStatus.HEALTHY and not self._commanded:
            self._go(Phase.CLOSING, "closing_main_switch", "The grid returned before the main switch was open.")
        elif not self._late and inputs.now - self._entered >= self.settings.open_within_s:
            self._late = True
            position = {None: "reports nothing", False: "reports closed", True: "contradicts the meter"}
            text = f"The main switch {position[self.interlock.open]}; no source may form an island before it is"
            text += " confirmed open. Open it by hand."
            self._report("main_switch_not_proven", text)

    def _dark(self, inputs: IslandInputs) -> None:
        if not self.interlock.may_start:
            self._go(Phase.OPENING, "proof_lost", "The main switch is no longer confirmed open.")
            return
        healthy_s = self.grid.healthy_s(inputs.now)
        healthy, unsupplied = self.grid.status is GridStatus.HEALTHY, inputs.formed is not True
        soon = healthy and unsupplied and healthy_s >= self.settings.unsupplied_reconnect_s
        if not self._commanded and (soon or self.grid.may_reconnect(inputs.now)):
            self._go(Phase.CLOSING, "closing_main_switch", f"The grid has been healthy for {healthy_s:.0f} s.")
            return
        if inputs.emergency:
            if inputs.held and not self._late:
                self._late = True
                self._report("awaiting_command", f"Nothing is supplied after the emergency stop. {HELD}")
            return
        if self._awaits(inputs) or (inputs.formed is True and self._adopt(inputs)):
            return
        source = self._choose(inputs, self.formed_before)
        if source is not None:
            self.forming, self.formed_before = source.name, None
            text = f"{source.name} starts to form the island, with {source.usable_wh / 1000:.1f} kWh above its floor."
            self._go(Phase.STARTING, "black_start", text)
        elif not self._late and inputs.now > self._entered and self._choose(inputs, waiting=True) is None:
            self._late = True  # not at once: from the loss of the grid on the reserve is used, with the next step
            self._report("no_source", no_source(inputs.sources))

    def _choose(self, inputs: IslandInputs, first: str | None = None, *, waiting: bool = False) -> Source | None:
        """Return the source to form the island: `first`, the rotation's, the storage, else the fullest vehicle.

        One that supplies the island by itself comes first. `waiting`: also one whose next attempt is due later.
        """
        able = [
            one
            for one in inputs.sources
            if one.able and (one.supplies_island or waiting or inputs.now >= self._not_before.get(one.name, 0.0))
        ]
        supplying = [one for one in able if one.supplies_island]
        selected = [one for one in able if one.name == (first or inputs.hand_to)]
        return max(supplying or selected or able, key=lambda one: self._rank(one, inputs.now), default=None)

    def _rank(self, one: Source, now: float) -> tuple[bool, bool, float, str]:
        return now >= self._preferred_from.get(one.name, 0.0), one.storage, one.usable_wh, one.name

    def _starting(self, inputs: IslandInputs) -> None:
        if self._interlocked(inputs):
            return
        present = any(one.name == self.forming for one in inputs.sources)
        waited_s = inputs.now - self._entered
        if present and (inputs.formed is True or (inputs.formed is None and waited_s >= self.settings.settle_s)):
            self._go(Phase.ISLAND, "island_formed", f"{self.forming} supplies the island.")
        elif not present or waited_s >= (START_AGAIN_S if inputs.collapsed else self.settings.start_within_s):
            self._failed(inputs, max(inputs.pause_s, SHORTEST_PAUSE_S) if inputs.collapsed else SHORTEST_PAUSE_S)
            why = "did not form the island in time" if present else "is gone"
            self._go(Phase.DARK, "black_start_failed", f"{self.forming} {why}.")
            self.forming = None

    def _interlocked(self, inputs: IslandInputs) -> bool:
        if self.interlock.open is False and self.grid.status is GridStatus.HEALTHY and not self._commanded:
            text = "The switchgear has reconnected by itself: the grid supplies the site."
            self._go(Phase.RETURNING, "main_switch_closed", text)
            self.forming = None
            return True
        if why := self.interlock.must_end:
            self._go(Phase.OPENING, "interlock_tripped", f"{self.forming} stops at once: {why}.")
            self.forming = None
            return True
        return False

    def _island(self, inputs: IslandInputs) -> None:
        if self._interlocked(inputs):
            return
        source = next((one for one in inputs.sources if one.name == self.forming), None)
        able = source is not None and source.able
        self._adopted = self._adopted and not able
        if self._adopted and self._may_appear(source, inputs.now):
            return
        self._adopted = False
        if source is not None and able and inputs.collapsed:
            self._collapse(inputs)
        elif source is None or not able:
            why = "is gone" if source is None else "has reached its floor"
            if source is None:
                self._failed(inputs, 0.0)
            self._hand_over(inputs, f"{self.forming} {why}")
        elif inputs.hand_to is not None and inputs.hand_to != self.forming:
            if not source.supplies_island and any(one.name == inputs.hand_to and one.able for one in inputs.sources):
                self._hand_over(inputs, f"{self.forming} hands over")
        elif not self._commanded and self.grid.may_reconnect(inputs.now) and inputs.now >= self._no_sync_before:
            healthy_s = self.grid.healthy_s(inputs.now)
            if self.settings.soft_transfer:
                text = (
                    f"The grid has been healthy for {healthy_s:.0f} s: the island synchronises and the switch closes."
                )
                self._go(Phase.SYNCHRONISING, "synchronising", text)
            else:
                text = f"The grid has been healthy for {healthy_s:.0f} s: the sources stop, then the switch closes."
                self._go(Phase.CLOSING, "closing_main_switch", text)

    def _failed(self, inputs: IslandInputs, pause_s: float) -> None:
        """Prefer other sources to the grid-forming one for a while; alone it is tried again after the pause."""
        name, now = self.forming or "", inputs.now
        self._not_before[name] = now + min(pause_s, self.settings.retry_source_s)
        self._preferred_from[name] = now if inputs.collapsed else now + self.settings.retry_source_s

    def _collapse(self, inputs: IslandInputs) -> None:
        """Start again after a collapse: at once with less load, after repeated ones with a pause."""
        name = self.forming or ""
        text = f"{name} no longer supplies the island: its voltage is gone."
        if inputs.pause_s <= 0:
            self._go(Phase.STARTING, "source_lost", f"{text} It starts again with less load.")
            return
        self._not_before[name] = inputs.now + inputs.pause_s
        self.forming = None
        text += f" The next attempt with it follows in {inputs.pause_s:.0f} s."
        self._go(Phase.DARK, "source_lost", text)

    def _may_appear(self, source: Source | None, now: float) -> bool:
        """Return whether the adopted source may still turn out to be able: station and vehicle report late."""
        if source is not None and source.reported and source.usable_wh <= 0:
            return False  # it has reached its floor
        return self._waits_until is None or now < self._waits_until

    def _hand_over(self, inputs: IslandInputs, why: str) -> None:
        others = [one for one in inputs.sources if one.name != self.forming]
        following = self._choose(IslandInputs(inputs.now, sources=others, hand_to=inputs.hand_to))
        if following is None:
            self._go(Phase.DARK, "island_ended", f"{why}, and no other source can form the island.")
            self.forming = None
        else:
            self.forming = following.name
            parallel = self.settings.parallel_forming
            how = "without a gap" if parallel else "after a short interruption"
            phase = Phase.ISLAND if parallel else Phase.STARTING
            self._go(phase, "island_handed_over", f"{why}; {following.name} takes over {how}.")

    def _synchronising(self, inputs: IslandInputs) -> None:
        if self.grid.status is not GridStatus.HEALTHY:
            self._go(Phase.ISLAND, "transfer_called_off", "The grid is not healthy: the island continues.")
        elif self.interlock.open is False:
            self._go(Phase.RETURNING, "main_switch_closed", "The main switch is closed: the grid supplies the site.")
        elif not any(one.name == self.forming for one in inputs.sources):
            self._go(Phase.CLOSING, "closing_main_switch", f"{self.forming} is gone: the switch closes without load.")
        elif inputs.collapsed:
            self.forming = None
            text = "The voltage of the island is gone: the switch closes without load."
            self._go(Phase.CLOSING, "source_lost", text)
        elif inputs.now - self._entered >= self.settings.synchronise_within_s:
            self._no_sync_before = inputs.now + self.settings.synchronise_within_s
            self._go(Phase.ISLAND, "transfer_called_off", "The switch did not close in time: the island continues.")

    def _closing(self, inputs: IslandInputs) -> None:
        late = inputs.now - self._entered >= self.settings.close_within_s
        if self.grid.status is GridStatus.LOST or self._commanded:
            why = "The grid is lost again" if self.grid.status is GridStatus.LOST else "Island operation is commanded"
            self._leave(inputs, why)
        elif self.interlock.open is False and self.grid.may_reconnect(inputs.now):
            self._go(Phase.RETURNING, "main_switch_closed", "The main switch is closed: the grid supplies the site.")
        elif late and not self._late and self.interlock.open is not False:
            self._late = True
            self._report("main_switch_not_closed", "The main switch does not report closed. Check it.")

    def _returning(self, inputs: IslandInputs) -> None:
        if self.grid.status is GridStatus.LOST:
            self._leave(inputs, "The grid is lost again")
        elif self.grid.status is GridStatus.SUSPECT:
            self._go(Phase.SUSPECT, "holding_zero", f"All power is held at zero: {self.grid.why}.")
        elif inputs.now - self._entered >= self.settings.ramp_s:
            self._go(Phase.ON_GRID, "on_grid", "The site is back on the grid.")


_STEPS: dict[Phase, Callable[[Island, IslandInputs], None]] = {
    Phase.ON_GRID: Island._on_grid,
    Phase.SUSPECT: Island._suspect,
    Phase.WAITING: Island._waiting,
    Phase.OPENING: Island._opening,
    Phase.DARK: Island._dark,
    Phase.STARTING: Island._starting,
    Phase.ISLAND: Island._island,
    Phase.SYNCHRONISING: Island._synchronising,
    Phase.CLOSING: Island._closing,
    Phase.RETURNING: Island._returning,
}
