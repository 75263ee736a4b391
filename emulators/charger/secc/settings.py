"""Protocol settings of an emulated EVSE's SECC, derived from its power stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from emulators.charger.hardware.power_stage import PowerStage
from protocols.iso15118.iso20.limits import Limits
from protocols.iso15118.iso20.secc_session import SeccSettings
from protocols.iso15118.iso20.services import ControlMode, ServiceId, offer


def stage_settings(
    stage: PowerStage,
    *,
    evse_id: str = "ZZ00000",
    services: Sequence[ServiceId] = (ServiceId.DC_BPT, ServiceId.DC),
    controls: Sequence[ControlMode] = (ControlMode.DYNAMIC, ControlMode.SCHEDULED),
    loop_timeout: float | None = None,
    trace: bool = False,
) -> SeccSettings:
    """Return engine settings with the ratings of a power stage."""
    spec = stage.spec
    limits = Limits(max_charge_w=spec.max_charge_w, max_discharge_w=spec.max_discharge_w)
    dc = replace(
        limits,
        max_charge_a=spec.max_current_a,
        max_discharge_a=spec.max_current_a,
        max_voltage_v=spec.max_voltage_v,
        min_voltage_v=spec.min_voltage_v,
    )
    settings = SeccSettings(
        offers=tuple(offer(one, controls) for one in services),
        dc=dc,
        ac=limits,
        evse_id=evse_id,
        ramp_pct_per_min=100 * 60 * spec.ramp_w_per_s / max(spec.max_charge_w, spec.max_discharge_w, 1.0),
        trace=trace,
    )
    return settings if loop_timeout is None else replace(settings, loop_timeout=loop_timeout)
