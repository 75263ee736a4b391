"""Electrical installation of a scenario: loads, photovoltaics, storage, grid, switch and protection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from emulators.battery.pack import Pack, PackSpec
from emulators.battery.second_life import SecondLifePack
from emulators.charger.hardware.power_stage import PowerStage
from emulators.scenario.scenario import Scenario
from emulators.site.grid import Grid, GridEvent, InterfaceProtection, jeac_9701
from emulators.site.load import Loads
from emulators.site.protected_board import ProtectedBoard
from emulators.site.pv import Pv, PvSpec
from emulators.site.site import Site, SiteSpec
from emulators.site.storage import STORAGE_STAGE, Storage


def build_site(scenario: Scenario, seed: int, report: Callable[[str, str], None]) -> Site:
    """Return the site of a scenario, which reports its events (kind, text); the same for the same seed."""
    part, hz = scenario.site, float(scenario.grid.nominal_hz)
    events = [GridEvent(event.kind, event.at, event.duration, event.value) for event in scenario.grid.events]
    place = {"latitude": part.latitude, "longitude": part.longitude}
    arrays = [
        Pv(PvSpec(one.peak_w, one.tilt, one.azimuth, clearness=one.clearness, **place), f"{seed}-{n}")
        for n, one in enumerate(part.pv)
    ]
    stores = []
    for n, one in enumerate(part.storage):
        battery: Pack | SecondLifePack
        if one.kind == "second-life":
            battery = SecondLifePack(soc_start_pct=one.soc_pct, seed=seed + n, ambient_c=part.ambient_c)
        else:
            spec = PackSpec("storage", capacity_ah=one.capacity_wh / 334.0, source="a new pack of 96 NMC cells")
            battery = Pack(spec, one.soc_pct, temperature_c=part.ambient_c, ambient_c=part.ambient_c)
        stage_spec = replace(STORAGE_STAGE, max_charge_w=one.max_w, max_discharge_w=one.max_w, forming=one.forming)
        stage = PowerStage(stage_spec, step_s=scenario.step)
        stores.append(Storage(battery, stage, one.policy, one.floor_pct))
    behind = [store for store, one in zip(stores, part.storage, strict=True) if one.backs_critical]
    return Site(
        Loads.of(part.kind, part.scale, seed),
        arrays,
        stores,
        Grid(nominal_hz=hz, events=events, seed=seed),
        spec=SiteSpec(
            backup=part.backup,
            tier_floors=tuple((priority, floor) for priority, floor in part.tier_floors),
            utc_offset_s=part.utc_offset,
        ),
        protection=InterfaceProtection(relays=jeac_9701(hz)),
        report=report,
        board=ProtectedBoard(behind) if behind else None,
    )
