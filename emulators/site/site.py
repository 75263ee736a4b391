"""Electrical model of a site: power balance of loads, photovoltaics, storage, cars and grid, on grid and in an island.

The protection of the installation acts here: trip on loss of mains, interlock of the main switch, black start by a
grid-forming source, load shedding on overload, reconnection. It depends on no message of the gateway; `facility.py`
exchanges those. Power of loads and photovoltaics ≥ 0; of cars and storage + is charging; of the grid + is import.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import Literal

from emulators.charger.hardware.power_stage import Contactors, Fault, PowerStage
from emulators.site.balance import Balance, State
from emulators.site.demand_meter import DemandMeter
from emulators.site.grid import Grid, InterfaceProtection, Supply
from emulators.site.load import Loads
from emulators.site.load_shedding import LoadShedding
from emulators.site.protected_board import ProtectedBoard
from emulators.site.pv import Pv
from emulators.site.storage import Storage
from emulators.site.switch import Position, TransferSwitch

FINE_STEP_S = 0.5  # while switchgear is in motion
DEAD_PU = 0.5
STORAGE = "storage"  # name of the first storage as a source
RAISED = 1.03  # frequency, of the nominal one, where grid-forming sources cannot absorb the generation


@dataclass(frozen=True, slots=True)
class SiteSpec:
    """Electrical installation of the site."""

    backup: bool = True  # has a transfer switch, which opens on loss of the grid or on command
    switch_after_s: float = 1.0  # of an outage, before the switch is commanded to open
    black_start_s: float = 5.0  # from the switch confirmed open to an island voltage
    follow_after_s: float = 5.0  # of island voltage, before grid-following converters connect
    overload_s: float = 1.0  # of overload, before a tier is shed
    restore_s: float = 60.0  # of sufficient headroom, before a tier is restored
    island_floor_pct: float = 10.0  # minimum SoC of a grid-forming car or storage
    # (priority, SoC %): below that SoC only tiers up to the priority are supplied
    tier_floors: tuple[tuple[int, float], ...] = ()
    utc_offset_s: float = 9 * 3600.0


@dataclass(slots=True)
class Site:
    """Everything behind one point of connection. `cars` are the power stages of the EVSEs, by EVSE."""

    loads: Loads
    pv: list[Pv] = field(default_factory=list)
    storage: list[Storage] = field(default_factory=list)
    grid: Grid = field(default_factory=Grid)
    cars: dict[str, PowerStage] = field(default_factory=dict)
    spec: SiteSpec = field(default_factory=SiteSpec)
    meter: DemandMeter = field(default_factory=DemandMeter)
    switch: TransferSwitch = field(default_factory=TransferSwitch)
    protection: InterfaceProtection = field(default_factory=InterfaceProtection)
    report: Callable[[str, str], None] = lambda kind, text: None
    state: State = State.GRID
    balance: Balance | None = None
    import_wh: float = 0.0
    export_wh: float = 0.0
    pv_wh: float = 0.0
    de_energised_s: float = 0.0
    fed_dead_grid_wh: float = 0.0  # must stay 0: export into a failed grid after the trip time of the protection
    board: ProtectedBoard | None = None  # of the critical tiers, if the site has one
    switch_order: Literal["open", "closed"] | None = None  # of a controller; None: the site decides
    forming_order: str | None = None  # source that forms the voltage by its controller; None: all that can
    unconfirmed_orders: int = 0  # must stay 0: commands to form a voltage while the main switch was not confirmed open
    transfer_gap_s: float = 0.0  # time without voltage at critical tiers during transfers
    load_shedding: LoadShedding = field(init=False)
    _lost_at: float | None = None
    _formed_at: float | None = None
    _confirmed_at: float | None = None
    _de_energised_at: float | None = None  # start of the present transfer
    _tripped: bool = False
    _form_orders: set[str] = field(default_factory=set)  # EVSEs commanded to form a voltage

    def __post_init__(self) -> None:
        spec = self.spec
        self.load_shedding = LoadShedding(
            self.loads, lambda kind, text: self.report(kind, text), spec.tier_floors, spec.overload_s, spec.restore_s
        )

    def stages(self) -> list[PowerStage]:
        """Return every converter of the site, cars first."""
        return [*self.cars.values(), *(storage.stage for storage in self.storage)]

    def step(self, now: float, wall: float, seconds: float) -> Balance:
        """Advance from `now - seconds` to `now` and return the power balance at its end.

        While switchgear is in motion the step is divided, so that transfers take the same time with coarse steps.
        """
        pieces = max(1, ceil(seconds / FINE_STEP_S)) if self._transferring(now) else 1
        part = seconds / pieces
        for left in range(pieces - 1, -1, -1):
            balance = self._step(now - left * part, wall - left * part, part)
        return balance

    def _transferring(self, now: float) -> bool:
        ordered = self.switch_order == "open" and self.state is State.GRID
        return (
            self.state is State.DE_ENERGISED
            or ordered
            or (self.state is State.GRID and not self._energises(self.grid.at(now)))
        )

    def _energises(self, supply: Supply) -> bool:
        """Return whether the grid can supply the site: contactors drop out below half the nominal voltage."""
        return supply.present and supply.voltage_v >= DEAD_PU * self.grid.nominal_v

    def _step(self, now: float, wall: float, seconds: float) -> Balance:
        supply = self.grid.at(now)
        self._protect(supply, now)
        self._switch(supply, now)
        self._check_interlock()
        load_w = self.loads.update(wall, self.spec.utc_offset_s)
        demand_w = sum(tier.demand_w for tier in self.loads.tiers)
        pv_w = self._pv_w(wall, now, seconds)
        if self.state is State.ISLAND and self._formed_at != now:
            balance = self._island(now, load_w, demand_w, pv_w, seconds)
        elif self.state is State.GRID and self._energises(supply) and self.switch.conducts:
            balance = self._on_grid(now, supply, load_w, demand_w, pv_w)
        else:
            balance = self._de_energised(now, demand_w, supply, seconds)
        self.meter.add(balance.grid_w, wall - seconds, seconds)
        hours = seconds / 3600
        if balance.grid_w >= 0:
            self.import_wh += balance.grid_w * hours
        else:
            self.export_wh -= balance.grid_w * hours
        self.pv_wh += balance.pv_w * hours
        self._account_loads(balance, now, seconds)
        self.balance = balance
        return balance

    def _account_loads(self, balance: Balance, now: float, seconds: float) -> None:
        board_supplied = self.board is not None and self.board.supplying
        de_energised = balance.state is State.DE_ENERGISED
        transferring = (
            de_energised
            and not board_supplied
            and self._de_energised_at is not None
            and now - self._de_energised_at < self.transfer_s
        )
        if transferring:
            self.transfer_gap_s += seconds
        self.loads.account(
            seconds, not de_energised, critical=de_energised and board_supplied, transferring=transferring
        )

    @property
    def transfer_s(self) -> float:
        """Maximum time from the loss of the grid to an island, given a source: that of the switchgear."""
        spec, switch = self.spec, self.switch
        if not spec.backup:
            return 0.0
        return spec.switch_after_s + switch.open_s + switch.confirm_s + spec.black_start_s + 2 * FINE_STEP_S

    # Photovoltaics

    def _pv_w(self, wall: float, now: float, seconds: float) -> float:
        """Return the power of all arrays; what their limits and trips hold back is curtailed energy."""
        available_w = sum(array.at(wall) for array in self.pv)
        pv_w = sum(array.feeds(wall, now) for array in self.pv)
        if available_w > pv_w and self.state is not State.DE_ENERGISED:
            self._curtail(available_w - pv_w, seconds)
        return pv_w

    def _curtail(self, power_w: float, seconds: float) -> None:
        for array in self.pv:
            array.curtailed_wh += power_w / len(self.pv) * seconds / 3600

    def _trip_pv(self, excess_w: float, now: float) -> None:
        """Apply the frequency that an excess of generation leads to; inverters that it lasts too long for trip."""
        hertz = self.grid.nominal_hz * (RAISED if excess_w > 1.0 else 1.0)
        if sum(array.frequency(hertz, self.grid.nominal_hz, now) for array in self.pv):
            self.report("protection", "photovoltaics tripped by over-frequency")

    # On the grid

    def _on_grid(self, now: float, supply: Supply, load_w: float, demand_w: float, pv_w: float) -> Balance:
        cars_w = sum(stage.reading(now).ac_power_w for stage in self.cars.values())
        storage_w = sum(storage.power_w(now) for storage in self.storage)
        grid_w = load_w + cars_w + storage_w - pv_w
        self._energised(now)
        for storage in self.storage:
            storage.control(grid_w, now)
        return Balance(
            State.GRID, grid_w, load_w, demand_w, pv_w, storage_w, cars_w, supply.frequency_hz, supply.voltage_v
        )

    def _energised(self, now: float) -> None:
        """End a transfer: the site is energised, and the board needs no supply from its storage."""
        self._de_energised_at = None
        if self.board is not None:
            self.board.release(now)

    def _de_energised(self, now: float, demand_w: float, supply: Supply, seconds: float) -> Balance:
        self.load_shedding.apply_commands()
        critical_w = self.loads.critical_w
        board_supplied = self.board is not None and self.board.supply(
            critical_w, self.spec.island_floor_pct, now, seconds
        )
        separate = self._board_stages()
        powers = [stage.reading(now).ac_power_w for stage in self.stages() if id(stage) not in separate]
        fed = -sum(power for power in powers if power < 0)
        down = not self._energises(supply) and self.switch.conducts
        if fed > 1.0 and down and self._lost_at is not None and now - self._lost_at > self.protection.islanding_s + 1:
            self.fed_dead_grid_wh += fed * seconds / 3600
        self.de_energised_s += seconds
        load_w = critical_w if board_supplied else 0.0
        return Balance(State.DE_ENERGISED, 0.0, load_w, demand_w, 0.0, -load_w, 0.0, 0.0, 0.0)

    def _board_stages(self) -> set[int]:
        """Return the converters that supply the protected board now, separated from the rest of the site."""
        board = self.board
        return {id(stage) for stage in board.stages()} if board is not None and board.supplying else set()

    # Protection and switch

    def _protect(self, supply: Supply, now: float) -> None:
        tripped = self.protection.update(supply, now)
        if tripped is not None:
            self.report("protection", f"{tripped} tripped")
        blocked = self.protection.tripped is not None and self.state is not State.ISLAND
        if blocked != self._tripped:
            self._tripped = blocked
            separate = self._board_stages()
            for stage in self.stages():
                if not blocked:
                    stage.reset(Fault.GRID, now)
                elif id(stage) not in separate:
                    stage.trip(Fault.GRID, now)
            if not blocked and self.state is State.GRID:
                self.report("protection", "reconnected")
        if self.state is State.ISLAND:  # for converters that follow its voltage
            present = self._formed_at is not None and now - self._formed_at >= self.spec.follow_after_s
        else:
            present = self._energises(supply) and self.switch.conducts
        for stage in self.stages():
            if stage.grid_present != present and stage.island_w is None:
                stage.grid_present = present

    def _switch(self, supply: Supply, now: float) -> None:
        self.switch.advance(now)
        grid_ok, open_ordered = self._energises(supply), self.switch_order == "open" and self.spec.backup
        if not grid_ok and self._lost_at is None:
            self._lost_at = now
            self.report("grid", "lost")
        elif grid_ok and self._lost_at is not None and self.state is not State.ISLAND:
            self._lost_at = None
            self.report("grid", "back")
        if open_ordered:
            self.switch.open(now)
        if self.state is State.GRID and (not grid_ok or self.switch.confirmed_open):
            self.state, self._de_energised_at = State.DE_ENERGISED, now
            self.report("site", "dark")
        if self.state is State.DE_ENERGISED:
            self._energise(grid_ok, open_ordered, now)
        elif self.state is State.ISLAND and grid_ok and self.protection.tripped is None and not open_ordered:
            self._rejoin(now)

    def _energise(self, grid_ok: bool, open_ordered: bool, now: float) -> None:
        if grid_ok and not open_ordered:
            self._confirmed_at = None
            self.switch.close(now)
            if self.switch.position is Position.CLOSED:
                self.state = State.GRID
                self.report("site", "supplied by the grid")
            return
        if not self.spec.backup:
            return
        if self._lost_at is not None and now - self._lost_at >= self.spec.switch_after_s:
            self.switch.open(now)
        if not self.switch.confirmed_open:
            self._confirmed_at = None
            return
        if self._confirmed_at is None:
            self._confirmed_at = now
            self.report("switch", "confirmed open")
        if now - self._confirmed_at >= self.spec.black_start_s and self._forming_stages():
            self.state, self._formed_at = State.ISLAND, now
            for stage in self.stages():
                stage.reset(Fault.GRID, now)
            self._tripped = False
            self.report("site", "island formed")

    def _rejoin(self, now: float) -> None:
        """Reconnect after the grid was normal for the reconnection time: close the switch, end the island."""
        self.switch.close(now)
        if self.switch.position is not Position.CLOSED:
            return
        for stage in self.stages():
            stage.form(None, now)
            stage.grid_present = True
        self.state, self._formed_at, self._lost_at, self._confirmed_at = State.GRID, None, None, None
        self.load_shedding.restore_all()
        self.report("site", "back on the grid")

    # Island

    def _check_interlock(self) -> None:
        """Count commands to form a voltage that came too early; the interlock of the power stage blocks them."""
        ordered = {evse for evse, stage in self.cars.items() if stage.grid_forming_ordered}
        for evse in sorted(ordered - self._form_orders):
            if self.switch.conducts:
                self.unconfirmed_orders += 1
                self.report(
                    "interlock", f"{evse} was commanded to form a voltage before the main switch was confirmed open"
                )
        self._form_orders = ordered

    def _forming_stages(self) -> list[PowerStage]:
        """Return the converters that form the island now: all that can, or the one that the controller has chosen.

        Beside the chosen one a converter sees a voltage and follows it, unless it is ordered to form. Where the chosen
        one fails, the others start by themselves.
        """
        able = []
        reserved = {id(storage.stage) for storage in self.storage if storage.policy == "standby"}  # for the board
        for stage in self.stages():
            battery = stage.battery
            ready = (
                stage.spec.forming
                and id(stage) not in reserved
                and stage.grid_forming_ordered is not False
                and stage.contactors is not Contactors.OPEN
                and not stage.faults - {Fault.GRID}
            )
            if ready and battery is not None and battery.soc_pct > self.spec.island_floor_pct:
                able.append(stage)
        chosen = self._named(self.forming_order)
        if not any(stage is chosen for stage in able):
            return able
        return [stage for stage in able if stage is chosen or stage.grid_forming_ordered]

    def _named(self, source: str | None) -> PowerStage | None:
        if source == STORAGE:
            return self.storage[0].stage if self.storage else None
        return self.cars.get(source or "")

    def _island(self, now: float, load_w: float, demand_w: float, pv_w: float, seconds: float) -> Balance:
        forming_stages = self._forming_stages()
        forming = {id(stage) for stage in forming_stages}
        self._energised(now - seconds)
        for stage in self.stages():
            if stage.island_w is not None and id(stage) not in forming:
                stage.form(None, now)
                stage.grid_present = False
        for storage in self.storage:
            if id(storage.stage) not in forming:
                storage.rest(now)
        following = [stage for stage in self.stages() if id(stage) not in forming]
        others_w = sum(stage.reading(now).ac_power_w for stage in following)
        available_w = sum(stage.deliverable_w for stage in forming_stages)
        headroom_w = sum(stage.absorbable_w for stage in forming_stages)
        residual = load_w + others_w - pv_w
        if not forming_stages or (residual > available_w and self.load_shedding.overload(now)):
            return self._collapse(now, demand_w, forming_stages, seconds)
        excess_w = -headroom_w - residual
        if excess_w > 1.0:  # the grid-forming sources cannot absorb it: they raise the frequency
            curtailed = min(pv_w, excess_w)
            pv_w -= curtailed
            residual += curtailed
            self._curtail(curtailed, seconds)
        self._trip_pv(excess_w, now)
        capacity = available_w if residual > 0 else headroom_w
        for stage in forming_stages:
            share = (stage.deliverable_w if residual > 0 else stage.absorbable_w) / capacity if capacity > 0 else 0.0
            stage.form(-min(residual, available_w) * share, now - seconds)
        if residual <= available_w:
            self.load_shedding.clear_overload()
        else:
            load_w -= residual - available_w  # the voltage sags until a tier is shed
        self.load_shedding.update(now, available_w, residual, self.island_soc_pct())
        cars_w = sum(stage.reading(now).ac_power_w for stage in self.cars.values())
        storage_w = sum(storage.power_w(now) for storage in self.storage)
        droop = 0.5 * residual / available_w if available_w > 0 else 0.0
        hertz = self.grid.nominal_hz - max(-0.5, min(0.5, droop)) if excess_w <= 1.0 else RAISED * self.grid.nominal_hz
        return Balance(State.ISLAND, 0.0, load_w, demand_w, pv_w, storage_w, cars_w, hertz, self.grid.nominal_v)

    def _collapse(self, now: float, demand_w: float, forming_stages: list[PowerStage], seconds: float) -> Balance:
        for stage in self.stages():
            if stage.island_w is not None:
                stage.form(None, now)
            stage.grid_present = False
        self.state, self._formed_at, self._confirmed_at = State.DE_ENERGISED, None, now
        self.load_shedding.clear_overload()
        self.report("site", "island collapsed: overload" if forming_stages else "island collapsed: no source left")
        return self._de_energised(now, demand_w, self.grid.at(now), seconds)

    def island_soc_pct(self) -> float:
        """Return the mean SoC of the converters that can form an island, 0 without any."""
        socs = [stage.battery.soc_pct for stage in self._forming_stages() if stage.battery]
        return sum(socs) / len(socs) if socs else 0.0
