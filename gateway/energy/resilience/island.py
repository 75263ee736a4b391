"""The island state machine: from the first flicker to the grid's return.

    ON_GRID -> SUSPECT -> OPENING -> DARK -> STARTING -> ISLAND -> (SYNCHRONISING | CLOSING) -> RETURNING -> ON_GRID

In every phase but ON_GRID, ISLAND, SYNCHRONISING and RETURNING nothing is taken from or given to any car. Forming
begins only through the interlock. Who forms is chosen by what can still be given; one that fails is left alone for a
while. A site that has no main switch to open or nobody to form waits in WAITING until the grid has been well long
enough.

Where it ends supply: the interlock, an emergency stop, no source above its floor. A lost broker, lease or gateway is
none of these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.energy.reason import Decided
from gateway.energy.resilience.grid_watch import Grid, GridWatch
from gateway.energy.resilience.interlock import Interlock
from gateway.energy.resilience.phase import FORMING, ZERO, IslandSettings, Look, Orders, Phase, Source


@dataclass(slots=True)
class Island:
    """The machine. `step` is called at least each second with a fresh look; it never raises for what it is shown."""

    settings: IslandSettings = field(default_factory=IslandSettings)
    grid: GridWatch = field(default_factory=GridWatch)
    interlock: Interlock = field(default_factory=Interlock)
    phase: Phase = Phase.ON_GRID
    forming: str | None = None
    formed_before: str | None = None  # in an earlier life of the gateway: the running island is its
    sure: bool = False  # nobody but `forming` can be forming from an earlier life, as far as can be known
    _waits_until: float | None = None
    _begun: bool = False  # the main switch has been seen closed: an open one later was not found so at the start
    _entered: float = 0.0
    _failed: dict[str, float] = field(default_factory=dict)
    _late: bool = False  # the switch has been complained about in this phase
    _no_sync_before: float = -1e9
    _commanded: bool = False
    _events: list[Decided] = field(default_factory=list)

    def step(self, look: Look) -> tuple[Orders, list[Decided]]:
        """One step after `grid.look`: the orders that hold now, and what happened."""
        self._events = self.interlock.look(look.switch_open, look.through_w, look.now)
        self._command(look)
        for _ in range(len(Phase)):  # a step may pass through several phases, but never round and round
            before = self.phase
            if look.emergency and self.phase in FORMING:
                self._go(Phase.DARK, look.now, "emergency_stop", "The emergency stop ends the island.")
            else:
                _STEPS[self.phase](self, look)
            if self.phase is before:
                break
        if self.phase not in FORMING:
            self.forming = None
        self.interlock.forming = self.forming is not None
        if self._waits_until is None:
            self._waits_until = look.now + self.settings.return_within_s
        self.sure = self.sure or self.forming is not None or self._begun or look.now >= self._waits_until
        return self._orders(look), self._events

    def _orders(self, look: Look) -> Orders:
        share = 1.0
        if self.phase is Phase.RETURNING and self.settings.ramp_s > 0:
            share = min(1.0, (look.now - self._entered) / self.settings.ramp_s)
        switch = {
            Phase.OPENING: "open",
            Phase.DARK: "open",
            Phase.STARTING: "open",
            Phase.ISLAND: "open",
            Phase.SYNCHRONISING: "closed",
            Phase.CLOSING: "closed",
            Phase.RETURNING: "closed",
        }.get(self.phase, "")
        return Orders(
            self.phase,
            switch,
            self.forming,
            zero=self.phase in ZERO,
            share=share,
            loads_off=self.phase is Phase.STARTING,
            synchronise=self.phase is Phase.SYNCHRONISING,
        )

    def _go(self, phase: Phase, now: float, code: str, text: str) -> None:
        self.phase, self._entered, self._late = phase, now, False
        self._events.append(Decided(now, code, text, figures=()))

    def _tell(self, now: float, code: str, text: str, subject: str = "") -> None:
        self._events.append(Decided(now, code, text, subject))

    def _command(self, look: Look) -> None:
        if look.backup is True:
            self._commanded = True
        elif look.backup is False:
            self._commanded = False

    # one method per phase

    def _on_grid(self, look: Look) -> None:
        self._begun = self._begun or look.switch_open is False
        if (self.grid.verdict is not Grid.HEALTHY or not self._begun) and self._adopt(look):
            return
        if self._begun and self.grid.verdict is Grid.HEALTHY:
            self.formed_before = None
        if self.grid.verdict is Grid.LOST:
            self._leave(look, "The grid is lost")
        elif self.grid.verdict is Grid.SUSPECT:
            self._go(Phase.SUSPECT, look.now, "holding_zero", f"All power is held at zero: {self.grid.why}.")
        elif self._commanded and self.settings.capable:
            self._go(
                Phase.OPENING, look.now, "opening_main_switch", "Island operation was commanded: the main switch opens."
            )

    def _adopt(self, look: Look) -> bool:
        """A gateway that comes (back) into a running island takes it over as it is: the light was not asked for."""
        if not self.settings.capable or not self.interlock.may_start or look.formed is not True or look.emergency:
            return False
        if self._awaits(look):
            return False
        source = self._choose(look, self.formed_before)
        if source is None:
            return False
        self.forming, self.formed_before = source.name, None
        text = f"The switch is open and there is a voltage: the island goes on, and {source.name} counts as its source."
        self._go(Phase.ISLAND, look.now, "island_adopted", text)
        return True

    def _awaits(self, look: Look) -> bool:
        """Whether a running island's source of an earlier life is still on its way back: nobody else begins then."""
        if self.formed_before is None or look.formed is not True:
            return False
        here = any(one.name == self.formed_before for one in look.sources)
        return not here and (self._waits_until is None or look.now < self._waits_until)

    def _suspect(self, look: Look) -> None:
        if self.grid.verdict is Grid.LOST:
            self._leave(look, "The grid is lost")
        elif self.grid.verdict is Grid.HEALTHY:
            self._go(Phase.ON_GRID, look.now, "zero_released", "The grid is well, power may flow again.")

    def _leave(self, look: Look, why: str) -> None:
        if self.settings.capable:
            self._go(Phase.OPENING, look.now, "opening_main_switch", f"{why}: the main switch has to open first.")
        else:
            self._go(Phase.WAITING, look.now, "waiting_for_grid", f"{why}, and this site cannot form an island.")

    def _waiting(self, look: Look) -> None:
        if self.grid.may_reconnect(look.now):
            self._go(
                Phase.RETURNING,
                look.now,
                "returning",
                "The grid has been well for long enough: power comes back slowly.",
            )

    def _opening(self, look: Look) -> None:
        if self.interlock.may_start:
            self._go(Phase.DARK, look.now, "main_switch_open", "The main switch is proven open.")
        elif self.grid.verdict is Grid.HEALTHY and not self._commanded:
            self._go(
                Phase.CLOSING, look.now, "closing_main_switch", "The grid came back before the main switch was open."
            )
        elif not self._late and look.now - self._entered >= self.settings.open_within_s:
            self._late = True
            said = {None: "says nothing", False: "says that it is closed", True: "is not believed"}[
                self.interlock.proven
            ]
            text = f"The main switch {said}; nothing may form a voltage before it is proven open. Open it by hand."
            self._tell(look.now, "main_switch_not_proven", text)

    def _dark(self, look: Look) -> None:
        if not self.interlock.may_start:
            self._go(Phase.OPENING, look.now, "proof_lost", "The proof that the main switch is open is gone.")
            return
        well_s = self.grid.healthy_s(look.now)
        if not self._commanded and (
            self.grid.may_reconnect(look.now)
            or (self.grid.verdict is Grid.HEALTHY and well_s >= self.settings.dark_reconnect_s)
        ):
            self._go(Phase.CLOSING, look.now, "closing_main_switch", f"The grid has been well for {well_s:.0f} s.")
            return
        if look.emergency:
            return
        if self._awaits(look) or (look.formed is True and self._adopt(look)):
            return
        source = self._choose(look, self.formed_before)
        if source is not None:
            self.forming, self.formed_before = source.name, None
            text = f"{source.name} begins to form the island, with {source.usable_wh / 1000:.1f} kWh above its floor."
            self._go(Phase.STARTING, look.now, "black_start", text)
        elif not self._late:
            self._late = True
            self._tell(
                look.now, "no_source", "Nobody can form a voltage: no car or storage is above its floor and able to."
            )

    def _choose(self, look: Look, first: str | None = None) -> Source | None:
        """The source to form: `first`, whom the rotation wants, the storage (it stays), else the fullest car."""
        able = [
            one
            for one in look.sources
            if one.usable_wh > 0
            and one.max_discharge_w > 0
            and look.now - self._failed.get(one.name, -1e9) >= self.settings.retry_source_s
        ]
        wanted = [one for one in able if one.name == (first or look.hand_to)]
        return max(wanted or able, key=lambda one: (one.storage, one.usable_wh, one.name), default=None)

    def _starting(self, look: Look) -> None:
        if self._interlocked(look):
            return
        alive = any(one.name == self.forming for one in look.sources)
        waited_s = look.now - self._entered
        if alive and (look.formed is True or (look.formed is None and waited_s >= self.settings.settle_s)):
            self._go(Phase.ISLAND, look.now, "island_formed", f"{self.forming} carries the island.")
        elif not alive or waited_s >= self.settings.start_within_s:
            self._failed[self.forming or ""] = look.now
            why = "did not form a voltage in time" if alive else "is gone"
            self._go(Phase.DARK, look.now, "black_start_failed", f"{self.forming} {why}.")
            self.forming = None

    def _interlocked(self, look: Look) -> bool:
        if self.interlock.proven is False and self.grid.verdict is Grid.HEALTHY and not self._commanded:
            text = "The switchgear has gone back to the grid by itself: the grid carries the site."
            self._go(Phase.RETURNING, look.now, "main_switch_closed", text)
            self.forming = None
            return True
        if why := self.interlock.must_end:
            self._go(Phase.OPENING, look.now, "interlock_tripped", f"{self.forming} stops at once: {why}.")
            self.forming = None
            return True
        return False

    def _island(self, look: Look) -> None:
        if self._interlocked(look):
            return
        source = next((one for one in look.sources if one.name == self.forming), None)
        if source is None or source.usable_wh <= 0 or source.max_discharge_w <= 0:
            why = "is gone" if source is None else "has come to its floor"
            if source is None:
                self._failed[self.forming or ""] = look.now
            self._hand_over(look, f"{self.forming} {why}")
        elif look.hand_to is not None and look.hand_to != self.forming:
            if any(one.name == look.hand_to and one.usable_wh > 0 for one in look.sources):
                self._hand_over(look, f"{self.forming} hands over")
        elif not self._commanded and self.grid.may_reconnect(look.now) and look.now >= self._no_sync_before:
            well_s = self.grid.healthy_s(look.now)
            if self.settings.soft_transfer:
                text = f"The grid has been well for {well_s:.0f} s: the island follows it and the switch closes."
                self._go(Phase.SYNCHRONISING, look.now, "synchronising", text)
            else:
                text = f"The grid has been well for {well_s:.0f} s: the sources stop, then the switch closes."
                self._go(Phase.CLOSING, look.now, "closing_main_switch", text)

    def _hand_over(self, look: Look, why: str) -> None:
        others = [one for one in look.sources if one.name != self.forming]
        following = self._choose(Look(look.now, sources=others, hand_to=look.hand_to))
        if following is None:
            self._go(Phase.DARK, look.now, "island_ended", f"{why}, and nobody else can form a voltage.")
            self.forming = None
        else:
            self.forming = following.name
            parallel = self.settings.parallel_forming
            how = "without a gap" if parallel else "after a short dark"
            phase = Phase.ISLAND if parallel else Phase.STARTING
            self._go(phase, look.now, "island_handed_over", f"{why}; {following.name} takes over {how}.")

    def _synchronising(self, look: Look) -> None:
        if self.grid.verdict is not Grid.HEALTHY:
            self._go(Phase.ISLAND, look.now, "transfer_called_off", "The grid is not well: the island goes on.")
        elif self.interlock.proven is False:
            self._go(
                Phase.RETURNING, look.now, "main_switch_closed", "The main switch is closed: the grid carries the site."
            )
        elif not any(one.name == self.forming for one in look.sources):
            self._go(Phase.CLOSING, look.now, "closing_main_switch", f"{self.forming} is gone: the switch closes dark.")
        elif look.now - self._entered >= self.settings.synchronise_within_s:
            self._no_sync_before = look.now + self.settings.synchronise_within_s
            self._go(
                Phase.ISLAND, look.now, "transfer_called_off", "The switch did not close in time: the island goes on."
            )

    def _closing(self, look: Look) -> None:
        if self.grid.verdict is Grid.LOST or self._commanded:
            why = "The grid is lost again" if self.grid.verdict is Grid.LOST else "Island operation was commanded"
            self._leave(look, why)
        elif self.interlock.proven is False and self.grid.may_reconnect(look.now):
            self._go(
                Phase.RETURNING, look.now, "main_switch_closed", "The main switch is closed: the grid carries the site."
            )
        elif (
            not self._late
            and self.interlock.proven is not False
            and look.now - self._entered >= self.settings.close_within_s
        ):
            self._late = True
            self._tell(
                look.now, "main_switch_not_closed", "The main switch does not say that it is closed. Look at it."
            )

    def _returning(self, look: Look) -> None:
        if self.grid.verdict is Grid.LOST:
            self._leave(look, "The grid is lost again")
        elif self.grid.verdict is Grid.SUSPECT:
            self._go(Phase.SUSPECT, look.now, "holding_zero", f"All power is held at zero: {self.grid.why}.")
        elif look.now - self._entered >= self.settings.ramp_s:
            self._go(Phase.ON_GRID, look.now, "on_grid", "The site is back on the grid.")


_STEPS: dict[Phase, Callable[[Island, Look], None]] = {
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
