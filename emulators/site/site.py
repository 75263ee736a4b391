"""A site in physics: every step it balances loads, sun, storage, cars and grid, on the grid and in an island.

The site's own protections act here as metal does: trip on loss of the grid, interlock of the main switch, black start
by a forming source, shedding on overload, reconnection. No message and no policy of the gateway: `facility.py` speaks
for it. Power of loads and sun ≥ 0; of cars and storage + into the battery; of the grid + is import.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from emulators.charger.power_stage import Contactors, Fault, PowerStage
from emulators.site.demand_meter import DemandMeter
from emulators.site.grid import Grid, InterfaceProtection, Supply
from emulators.site.load import Loads, Tier
from emulators.site.pv import Pv
from emulators.site.storage import Storage
from emulators.site.switch import Position, TransferSwitch


class State(StrEnum):
    """How the site is fed."""

    GRID = "grid"
    DARK = "dark"
    ISLAND = "island"


@dataclass(frozen=True, slots=True)
class SiteSpec:
    """The site's own installation."""

    backup: bool = True  # has a transfer switch and opens it when the grid is lost
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
    keep_priority: int | None = None  # a controller's wish: only tiers up to this priority
    _lost_at: float | None = None
    _formed_at: float | None = None
    _proven_at: float | None = None
    _overloaded_at: float | None = None
    _headroom_at: float | None = None
    _tripped: bool = False

    def stages(self) -> list[PowerStage]:
        """Every converter of the site, cars first."""
        return [*self.cars.values(), *(storage.stage for storage in self.storage)]

    def step(self, now: float, wall: float, seconds: float) -> Balance:
        """Let the time from `now - seconds` to `now` pass and balance the site as it is at its end."""
        supply = self.grid.at(now)
        self._protect(supply, now)
        self._switch(supply, now)
        load_w = self.loads.at(wall, self.spec.utc_offset_s)
        wanted_w = sum(tier.demand_w for tier in self.loads.tiers)
        pv_w = sum(array.at(wall) for array in self.pv)
        if self.state is State.ISLAND and self._formed_at != now:
            balance = self._island(now, load_w, wanted_w, pv_w, seconds)
        elif self.state is State.GRID and supply.present and self.switch.conducts:
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
        self.loads.served(seconds, balance.state is not State.DARK)
        self.balance = balance
        return balance

    # On the grid

    def _on_grid(self, now: float, supply: Supply, load_w: float, wanted_w: float, pv_w: float) -> Balance:
        cars_w = sum(stage.reading(now).ac_power_w for stage in self.cars.values())
        storage_w = sum(storage.power_w(now) for storage in self.storage)
        grid_w = load_w + cars_w + storage_w - pv_w
        for storage in self.storage:
            storage.follow(grid_w, now)
        return Balance(
            State.GRID, grid_w, load_w, wanted_w, pv_w, storage_w, cars_w, supply.frequency_hz, supply.voltage_v
        )

    def _dark(self, now: float, wanted_w: float, supply: Supply, seconds: float) -> Balance:
        powers = [stage.reading(now).ac_power_w for stage in self.stages()]
        fed = -sum(power for power in powers if power < 0)
        down = not supply.present and self.switch.conducts
        if fed > 1.0 and down and self._lost_at is not None and now - self._lost_at > self.protection.islanding_s + 1:
            self.fed_dead_grid_wh += fed * seconds / 3600
        self.dark_s += seconds
        return Balance(State.DARK, 0.0, 0.0, wanted_w, 0.0, 0.0, 0.0, 0.0, 0.0)

    # Protection and switch

    def _protect(self, supply: Supply, now: float) -> None:
        tripped = self.protection.watch(supply, now)
        if tripped is not None:
            self.report("protection", f"{tripped} tripped")
        blocked = self.protection.tripped is not None and self.state is not State.ISLAND
        if blocked != self._tripped:
            self._tripped = blocked
            for stage in self.stages():
                if blocked:
                    stage.trip(Fault.GRID, now)
                else:
                    stage.reset(Fault.GRID, now)
            if not blocked and self.state is State.GRID:
                self.report("protection", "reconnected")
        for stage in self.stages():
            present = supply.present if self.state is not State.ISLAND else self._joined(now)
            if stage.grid_present != present and stage.island_w is None:
                stage.grid_present = present

    def _joined(self, now: float) -> bool:
        return self._formed_at is not None and now - self._formed_at >= self.spec.follow_after_s

    def _switch(self, supply: Supply, now: float) -> None:
        self.switch.advance(now)
        if not supply.present and self._lost_at is None:
            self._lost_at = now
            self.report("grid", "lost")
        elif supply.present and self._lost_at is not None and self.state is not State.ISLAND:
            self._lost_at = None
            self.report("grid", "back")
        if self.state is State.GRID and not supply.present:
            self.state = State.DARK
            self.report("site", "dark")
        if self.state is State.DARK:
            self._from_dark(supply, now)
        elif self.state is State.ISLAND and supply.present and self.protection.tripped is None:
            self._rejoin(now)

    def _from_dark(self, supply: Supply, now: float) -> None:
        if supply.present:
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
            self.state = State.ISLAND
            self._formed_at = now
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
        for tier in self.loads.tiers:
            tier.connected, tier.shed_by = True, ""
        self.report("site", "back on the grid")

    # The island

    def _formers(self) -> list[PowerStage]:
        """Converters that can carry the island now, by what they have left."""
        able = []
        for stage in self.stages():
            battery = stage.battery
            ready = stage.spec.forming and stage.contactors is not Contactors.OPEN and not stage.faults - {Fault.GRID}
            if ready and battery is not None and battery.soc_pct > self.spec.island_floor_pct:
                able.append(stage)
        return able

    def _island(self, now: float, load_w: float, wanted_w: float, pv_w: float, seconds: float) -> Balance:
        formers = self._formers()
        for stage in self.stages():
            if stage.island_w is not None and stage not in formers:
                stage.form(None, now)
                stage.grid_present = False
        following = [stage for stage in self.stages() if stage not in formers]
        others_w = sum(stage.reading(now).ac_power_w for stage in following)
        able = sum(_give(stage) for stage in formers)
        room = sum(_take(stage) for stage in formers)
        residual = load_w + others_w - pv_w
        if not formers or (residual > able and self._overload(now, load_w)):
            return self._collapse(now, wanted_w, formers)
        if residual < -room:  # more sun than the island can take
            curtailed = min(pv_w, -room - residual)
            pv_w -= curtailed
            residual += curtailed
            for array in self.pv:
                array.curtailed_wh += curtailed / len(self.pv) * seconds / 3600
        capacity = able if residual > 0 else room
        for stage in formers:
            share = (_give(stage) if residual > 0 else _take(stage)) / capacity if capacity > 0 else 0.0
            stage.form(-min(residual, able) * share, now - seconds)
        if residual <= able:
            self._overloaded_at = None
        else:
            load_w -= residual - able  # the voltage sags until a tier is shed
        self._tiers(now, able, residual)
        cars_w = sum(stage.reading(now).ac_power_w for stage in self.cars.values())
        storage_w = sum(storage.power_w(now) for storage in self.storage)
        droop = 0.5 * residual / able if able > 0 else 0.0
        hertz = self.grid.nominal_hz - max(-0.5, min(0.5, droop))
        return Balance(State.ISLAND, 0.0, load_w, wanted_w, pv_w, storage_w, cars_w, hertz, self.grid.nominal_v)

    def _overload(self, now: float, load_w: float) -> bool:
        """More than the island can give: shed the least important tier; True when nothing is left to shed."""
        if self._overloaded_at is None:
            self._overloaded_at = now
        if now - self._overloaded_at < self.spec.overload_s:
            return False
        connected = [tier for tier in self.loads.tiers if tier.connected]
        worst = max((tier.spec.priority for tier in connected), default=0)
        if not connected or worst <= min(tier.spec.priority for tier in self.loads.tiers):
            return True
        self._shed(worst - 1, "overload")
        self._overloaded_at = now
        return False

    def _collapse(self, now: float, wanted_w: float, formers: list[PowerStage]) -> Balance:
        for stage in self.stages():
            if stage.island_w is not None:
                stage.form(None, now)
            stage.grid_present = False
        self.state, self._formed_at, self._proven_at, self._overloaded_at = State.DARK, None, now, None
        self.report("site", "island collapsed: overload" if formers else "island collapsed: no source left")
        return Balance(State.DARK, 0.0, 0.0, wanted_w, 0.0, 0.0, 0.0, 0.0, 0.0)

    def _tiers(self, now: float, able: float, residual: float) -> None:
        """Keep as many tiers as charge and power carry; restore one at a time."""
        worst = max((tier.spec.priority for tier in self.loads.tiers), default=0)
        keep = worst if self.keep_priority is None else self.keep_priority
        soc = self.island_soc_pct()
        for priority, floor in self.spec.tier_floors:
            if soc < floor:
                keep = min(keep, priority)
        if any(tier.connected and tier.spec.priority > keep for tier in self.loads.tiers):
            self._shed(keep, f"{soc:.0f} % left" if self.keep_priority is None else "ordered")
            return
        waiting = [tier for tier in self.loads.tiers if not tier.connected and tier.spec.priority <= keep]
        if not waiting:
            self._headroom_at = None
            return
        first = min(waiting, key=lambda tier: tier.spec.priority)
        if able - residual < 1.3 * first.demand_w:
            self._headroom_at = None
        elif self._headroom_at is None:
            self._headroom_at = now
        elif now - self._headroom_at >= self.spec.restore_s:
            self._headroom_at = None
            self._restore(first)

    def _shed(self, priority: int, reason: str) -> None:
        for tier in self.loads.tiers:
            if tier.connected and tier.spec.priority > priority:
                tier.connected, tier.shed_by = False, reason
                self.report("shed", f"{tier.spec.name}: {reason}")

    def _restore(self, tier: Tier) -> None:
        tier.connected, tier.shed_by = True, ""
        self.report("restored", tier.spec.name)

    def island_soc_pct(self) -> float:
        """Mean charge of what could carry an island, 0 when nothing could."""
        formers = self._formers()
        return sum(stage.battery.soc_pct for stage in formers if stage.battery) / len(formers) if formers else 0.0


def _give(stage: PowerStage) -> float:
    """What a forming stage can deliver now, W at the AC side."""
    battery = stage.battery
    if battery is None:
        return 0.0
    amps = min(battery.max_discharge_a(), stage.spec.max_current_a, stage.bounds.max_discharge_a)
    return max(0.0, min(stage.spec.max_discharge_w, amps * battery.voltage_v * 0.93 - stage.spec.standby_w))


def _take(stage: PowerStage) -> float:
    """What a forming stage can absorb now."""
    battery = stage.battery
    if battery is None or battery.soc_pct >= 99.0:
        return 0.0
    amps = min(battery.max_charge_a(), stage.spec.max_current_a, stage.bounds.max_charge_a)
    return max(0.0, min(stage.spec.max_charge_w, amps * battery.voltage_v))
