"""A site in physics: every step it balances loads, sun, storage, cars and grid, on the grid and in an island.

The site's own protections act here as metal does: trip on loss of the grid, interlock of the main switch, black start
by a forming source, shedding on overload, reconnection. No message and no policy of the gateway: `facility.py` speaks
for it. Power of loads and sun ≥ 0; of cars and storage + into the battery; of the grid + is import.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from math import ceil
from typing import Literal

from emulators.charger.hardware.power_stage import Contactors, Fault, PowerStage
from emulators.site.demand_meter import DemandMeter
from emulators.site.grid import Grid, InterfaceProtection, Supply
from emulators.site.load import Loads
from emulators.site.protected_board import ProtectedBoard
from emulators.site.pv import Pv
from emulators.site.storage import Storage
from emulators.site.switch import Position, TransferSwitch
from emulators.site.tier_keeping import TierKeeper

FINE_S = 0.5  # between two looks at the switchgear while it works
DEAD_PU = 0.5


class State(StrEnum):
    """How the site is fed."""

    GRID = "grid"
    DARK = "dark"
    ISLAND = "island"


@dataclass(frozen=True, slots=True)
class SiteSpec:
    """The site's own installation."""

    backup: bool = True  # has a transfer switch; opens it when the grid is lost, or by order
    switch_after_s: float = 1.0  # of an outage, before the switch is ordered open
    black_start_s: float = 5.0  # from the switch proven open to a voltage
    follow_after_s: float = 5.0  # of island voltage, before following converters join
    overload_s: float = 1.0  # a forming source carries too much this long, then a tier is shed
    restore_s: float = 60.0  # of headroom, before a tier is restored
    island_floor_pct: float = 10.0  # a forming car or storage goes no lower
    tier_floors: tuple[tuple[int, float], ...] = ()  # (priority, SoC): below that SoC only tiers up to it are kept
    utc_offset_s: float = 9 * 3600.0


@dataclass(frozen=True, slots=True)
class Balance:
    """One step of the site, W."""

    state: State
    grid_w: float
    load_w: float  # served
    wanted_w: float  # of all tiers, shed ones too
    pv_w: float
    storage_w: float
    cars_w: float
    frequency_hz: float
    voltage_v: float


@dataclass(slots=True)
class Site:
    """Everything behind one point of connection. `cars` are the power stages of its EVSEs, by EVSE."""

    loads: Loads
    pv: list[Pv] = field(default_factory=list)
    storage: list[Storage] = field(default_factory=list)
    grid: Grid = field(default_factory=Grid)
    cars: dict[str, PowerStage] = field(default_factory=dict)
    spec: SiteSpec = field(default_factory=SiteSpec)
    meter: DemandMeter = field(default_factory=DemandMeter)
    switch: TransferSwitch = field(default_factory=TransferSwitch)
    protection: InterfaceProtection = field(default_factory=InterfaceProtection)
    report: Callable[[str, str], None] = lambda what, why: None
    state: State = State.GRID
    balance: Balance | None = None
    import_wh: float = 0.0
    export_wh: float = 0.0
    pv_wh: float = 0.0
    dark_s: float = 0.0
    fed_dead_grid_wh: float = 0.0  # must stay 0: energy pushed into a grid that is down, after the protection's time
    board: ProtectedBoard | None = None  # of the critical tiers, where the site has one
    switch_order: Literal["open", "closed"] | None = None  # a controller's; None leaves the switch to the site
    unproven_orders: int = 0  # must stay 0: a converter was told to form while the main switch was not proven open
    transfer_gap_s: float = 0.0  # without a voltage at critical tiers, while the site changed its source
    tiers: TierKeeper = field(init=False)
    _lost_at: float | None = None
    _formed_at: float | None = None
    _proven_at: float | None = None
    _dark_at: float | None = None  # since when it is dark after it lost the grid
    _tripped: bool = False
    _told: set[str] = field(default_factory=set)  # EVSEs that stand under an order to form

    def __post_init__(self) -> None:
        spec = self.spec
        self.tiers = TierKeeper(
            self.loads, lambda what, why: self.report(what, why), spec.tier_floors, spec.overload_s, spec.restore_s
        )

    @property
    def keep_priority(self) -> int | None:
        """A controller's wish: only tiers up to this priority."""
        return self.tiers.keep_priority

    @keep_priority.setter
    def keep_priority(self, priority: int | None) -> None:
        self.tiers.keep_priority = priority

    def stages(self) -> list[PowerStage]:
        """Every converter of the site, cars first."""
        return [*self.cars.values(), *(storage.stage for storage in self.storage)]

    def step(self, now: float, wall: float, seconds: float) -> Balance:
        """Let the time from `now - seconds` to `now` pass and balance the site as it is at its end.

        While switchgear is at work it is looked at more often, so that a transfer takes no longer in a coarse world.
        """
        pieces = max(1, ceil(seconds / FINE_S)) if self._changing(now) else 1
        part = seconds / pieces
        for left in range(pieces - 1, -1, -1):
            balance = self._step(now - left * part, wall - left * part, part)
        return balance

    def _changing(self, now: float) -> bool:
        ordered = self.switch_order == "open" and self.state is State.GRID
        return self.state is State.DARK or ordered or (self.state is State.GRID and not self._alive(self.grid.at(now)))

    def _alive(self, supply: Supply) -> bool:
        """Whether the grid can feed anything: below half its voltage contactors drop out."""
        return supply.present and supply.voltage_v >= DEAD_PU * self.grid.nominal_v

    def _step(self, now: float, wall: float, seconds: float) -> Balance:
        supply = self.grid.at(now)
        self._protect(supply, now)
        self._switch(supply, now)
        self._look_at_orders()
        load_w = self.loads.at(wall, self.spec.utc_offset_s)
        wanted_w = sum(tier.demand_w for tier in self.loads.tiers)
        pv_w = sum(array.at(wall) for array in self.pv)
        if self.state is State.ISLAND and self._formed_at != now:
            balance = self._island(now, load_w, wanted_w, pv_w, seconds)
        elif self.state is State.GRID and self._alive(supply) and self.switch.conducts:
            balance = self._on_grid(now, supply, load_w, wanted_w, pv_w)
        else:
            balance = self._dark(now, wanted_w, supply, seconds)
        self.meter.add(balance.grid_w, wall - seconds, seconds)
        hours = seconds / 3600
        if balance.grid_w >= 0:
            self.import_wh += balance.grid_w * hours
        else:
            self.export_wh -= balance.grid_w * hours
        self.pv_wh += balance.pv_w * hours
        self._count_loads(balance, now, seconds)
        self.balance = balance
        return balance

    def _count_loads(self, balance: Balance, now: float, seconds: float) -> None:
        carried = self.board is not None and self.board.carrying
        dark = balance.state is State.DARK
        transferring = dark and not carried and self._dark_at is not None and now - self._dark_at < self.transfer_s
        if transferring:
            self.transfer_gap_s += seconds
        self.loads.served(seconds, not dark, critical=dark and carried, transferring=transferring)

    @property
    def transfer_s(self) -> float:
        """From the loss of the grid to an island at the latest, where a source is there: what the switchgear takes."""
        spec, switch = self.spec, self.switch
        if not spec.backup:
            return 0.0
        return spec.switch_after_s + switch.open_s + switch.prove_s + spec.black_start_s + 2 * FINE_S

    # On the grid

    def _on_grid(self, now: float, supply: Supply, load_w: float, wanted_w: float, pv_w: float) -> Balance:
        cars_w = sum(stage.reading(now).ac_power_w for stage in self.cars.values())
        storage_w = sum(storage.power_w(now) for storage in self.storage)
        grid_w = load_w + cars_w + storage_w - pv_w
        self._energised(now)
        for storage in self.storage:
            storage.follow(grid_w, now)
        return Balance(
            State.GRID, grid_w, load_w, wanted_w, pv_w, storage_w, cars_w, supply.frequency_hz, supply.voltage_v
        )

    def _energised(self, now: float) -> None:
        """There is a voltage: no transfer is going on, and the board needs no storage of its own."""
        self._dark_at = None
        if self.board is not None:
            self.board.release(now)

    def _dark(self, now: float, wanted_w: float, supply: Supply, seconds: float) -> Balance:
        critical_w = self.loads.critical_w
        carried = self.board is not None and self.board.carry(critical_w, self.spec.island_floor_pct, now, seconds)
        apart = self._carried()
        powers = [stage.reading(now).ac_power_w for stage in self.stages() if id(stage) not in apart]
        fed = -sum(power for power in powers if power < 0)
        down = not self._alive(supply) and self.switch.conducts
        if fed > 1.0 and down and self._lost_at is not None and now - self._lost_at > self.protection.islanding_s + 1:
            self.fed_dead_grid_wh += fed * seconds / 3600
        self.dark_s += seconds
        load_w = critical_w if carried else 0.0
        return Balance(State.DARK, 0.0, load_w, wanted_w, 0.0, -load_w, 0.0, 0.0, 0.0)

    def _carried(self) -> set[int]:
        """The converters that carry the board of the critical tiers now, apart from the rest of the site."""
        board = self.board
        return {id(stage) for stage in board.stages()} if board is not None and board.carrying else set()

    # Protection and switch

    def _protect(self, supply: Supply, now: float) -> None:
        tripped = self.protection.watch(supply, now)
        if tripped is not None:
            self.report("protection", f"{tripped} tripped")
        blocked = self.protection.tripped is not None and self.state is not State.ISLAND
        if blocked != self._tripped:
            self._tripped = blocked
            apart = self._carried()
            for stage in self.stages():
                if not blocked:
                    stage.reset(Fault.GRID, now)
                elif id(stage) not in apart:
                    stage.trip(Fault.GRID, now)
            if not blocked and self.state is State.GRID:
                self.report("protection", "reconnected")
        on_grid = self.state is not State.ISLAND and self._alive(supply) and self.switch.conducts
        for stage in self.stages():
            present = on_grid if self.state is not State.ISLAND else self._joined(now)
            if stage.grid_present != present and stage.island_w is None:
                stage.grid_present = present

    def _joined(self, now: float) -> bool:
        return self._formed_at is not None and now - self._formed_at >= self.spec.follow_after_s

    def _switch(self, supply: Supply, now: float) -> None:
        self.switch.advance(now)
        alive, wanted_open = self._alive(supply), self.switch_order == "open" and self.spec.backup
        if not alive and self._lost_at is None:
            self._lost_at = now
            self.report("grid", "lost")
        elif alive and self._lost_at is not None and self.state is not State.ISLAND:
            self._lost_at = None
            self.report("grid", "back")
        if wanted_open:
            self.switch.open(now)
        if self.state is State.GRID and (not alive or self.switch.proven_open):
            self.state, self._dark_at = State.DARK, now
            self.report("site", "dark")
        if self.state is State.DARK:
            self._from_dark(alive, wanted_open, now)
        elif self.state is State.ISLAND and alive and self.protection.tripped is None and not wanted_open:
            self._rejoin(now)

    def _from_dark(self, alive: bool, wanted_open: bool, now: float) -> None:
        if alive and not wanted_open:
            self._proven_at = None
            self.switch.close(now)
            if self.switch.position is Position.CLOSED:
                self.state = State.GRID
                self.report("site", "fed by the grid")
            return
        if not self.spec.backup:
            return
        if self._lost_at is not None and now - self._lost_at >= self.spec.switch_after_s:
            self.switch.open(now)
        if not self.switch.proven_open:
            self._proven_at = None
            return
        if self._proven_at is None:
            self._proven_at = now
            self.report("switch", "proven open")
        if now - self._proven_at >= self.spec.black_start_s and self._formers():
            self.state, self._formed_at = State.ISLAND, now
            for stage in self.stages():
                stage.reset(Fault.GRID, now)
            self._tripped = False
            self.report("site", "island formed")

    def _rejoin(self, now: float) -> None:
        """The grid has been healthy for the reconnect time: close in step with it, then let every order count again."""
        self.switch.close(now)
        if self.switch.position is not Position.CLOSED:
            return
        for stage in self.stages():
            stage.form(None, now)
            stage.grid_present = True
        self.state, self._formed_at, self._lost_at, self._proven_at = State.GRID, None, None, None
        self.tiers.restore_all()
        self.report("site", "back on the grid")

    # The island

    def _look_at_orders(self) -> None:
        """The metal's own interlock holds whatever is ordered; that the order came too early is not forgotten."""
        told = {evse for evse, stage in self.cars.items() if stage.grid_forming_ordered}
        for evse in sorted(told - self._told):
            if self.switch.conducts:
                self.unproven_orders += 1
                self.report("interlock", f"{evse} was told to form while the main switch was not proven open")
        self._told = told

    def _formers(self) -> list[PowerStage]:
        """Converters that can carry the island now, by what they have left."""
        able = []
        spare = {id(storage.stage) for storage in self.storage if storage.policy == "standby"}  # not for the whole site
        for stage in self.stages():
            battery = stage.battery
            ready = (
                stage.spec.forming
                and id(stage) not in spare
                and stage.grid_forming_ordered is not False
                and stage.contactors is not Contactors.OPEN
                and not stage.faults - {Fault.GRID}
            )
            if ready and battery is not None and battery.soc_pct > self.spec.island_floor_pct:
                able.append(stage)
        return able

    def _island(self, now: float, load_w: float, wanted_w: float, pv_w: float, seconds: float) -> Balance:
        formers = self._formers()
        forming = {id(stage) for stage in formers}
        self._energised(now - seconds)
        for stage in self.stages():
            if stage.island_w is not None and id(stage) not in forming:
                stage.form(None, now)
                stage.grid_present = False
        following = [stage for stage in self.stages() if id(stage) not in forming]
        others_w = sum(stage.reading(now).ac_power_w for stage in following)
        able = sum(stage.deliverable_w for stage in formers)
        room = sum(stage.absorbable_w for stage in formers)
        residual = load_w + others_w - pv_w
        if not formers or (residual > able and self.tiers.overload(now)):
            return self._collapse(now, wanted_w, formers, seconds)
        if residual < -room:  # more sun than the island can take
            curtailed = min(pv_w, -room - residual)
            pv_w -= curtailed
            residual += curtailed
            for array in self.pv:
                array.curtailed_wh += curtailed / len(self.pv) * seconds / 3600
        capacity = able if residual > 0 else room
        for stage in formers:
            share = (stage.deliverable_w if residual > 0 else stage.absorbable_w) / capacity if capacity > 0 else 0.0
            stage.form(-min(residual, able) * share, now - seconds)
        if residual <= able:
            self.tiers.relieved()
        else:
            load_w -= residual - able  # the voltage sags until a tier is shed
        self.tiers.keep(now, able, residual, self.island_soc_pct())
        cars_w = sum(stage.reading(now).ac_power_w for stage in self.cars.values())
        storage_w = sum(storage.power_w(now) for storage in self.storage)
        droop = 0.5 * residual / able if able > 0 else 0.0
        hertz = self.grid.nominal_hz - max(-0.5, min(0.5, droop))
        return Balance(State.ISLAND, 0.0, load_w, wanted_w, pv_w, storage_w, cars_w, hertz, self.grid.nominal_v)

    def _collapse(self, now: float, wanted_w: float, formers: list[PowerStage], seconds: float) -> Balance:
        for stage in self.stages():
            if stage.island_w is not None:
                stage.form(None, now)
            stage.grid_present = False
        self.state, self._formed_at, self._proven_at = State.DARK, None, now
        self.tiers.relieved()
        self.report("site", "island collapsed: overload" if formers else "island collapsed: no source left")
        return self._dark(now, wanted_w, self.grid.at(now), seconds)

    def island_soc_pct(self) -> float:
        """Mean charge of what could carry an island, 0 when nothing could."""
        formers = self._formers()
        return sum(stage.battery.soc_pct for stage in formers if stage.battery) / len(formers) if formers else 0.0
