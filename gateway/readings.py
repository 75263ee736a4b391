"""Measurements of EVSEs and of the site, as metrics and a HEMS read them: plain values, nothing is decided."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.control.control_state import EvseControlState
from gateway.model.command import SiteMode
from gateway.model.site import Grid, Pv, Storage


@dataclass(frozen=True, slots=True)
class EvseReading:
    """Measurements of one EVSE and the decision for it; None where not reported."""

    evse: str
    connected: bool
    effective_w: float
    power_w: float | None
    soc_pct: float | None
    charged_wh: float | None
    discharged_wh: float | None
    voltage_v: float | None
    current_a: float | None


@dataclass(frozen=True, slots=True)
class SiteReading:
    """Mode of a site and the fresh inputs of its meters, None where there is none. `exports`: it may export."""

    mode: SiteMode
    islanded: bool
    exports: bool
    grid: Grid | None
    pv: Pv | None
    storage: Storage | None


def reading(state: EvseControlState) -> EvseReading:
    """Return the measurements of one EVSE."""
    evse = state.evse
    return EvseReading(
        evse=state.name,
        connected=evse.connected,
        effective_w=state.effective_w,
        power_w=evse.power_w,
        soc_pct=evse.soc_pct,
        charged_wh=evse.charged.total_wh,
        discharged_wh=evse.discharged.total_wh,
        voltage_v=evse.voltage_v,
        current_a=evse.current_a,
    )
