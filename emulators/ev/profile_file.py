"""Validation of vehicle profile files.

Separate from `profile.py` because importing pydantic takes longer than the start of a vehicle: shipped profiles are
checked by the tests, only other files are checked here.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=False, allow_inf_nan=False)


class PackFile(_Strict):
    """`[pack]`: the battery, fresh, at 25 °C."""

    chemistry: Literal["NMC", "LFP", "LMO"] = "NMC"
    series: int = Field(96, ge=1, le=400, description="cells in series")
    capacity_ah: float = Field(gt=0, le=2000)
    resistance_ohm: float = Field(gt=0, le=5)
    usable_low: float = Field(0.03, ge=0, lt=1, description="charge fraction displayed as 0 %")
    usable_high: float = Field(0.97, gt=0, le=1, description="charge fraction displayed as 100 %")
    max_charge_a: float = Field(gt=0)
    max_discharge_a: float = Field(gt=0)
    max_charge_w: float = Field(gt=0)
    max_discharge_w: float = Field(gt=0)
    charge_map: list[tuple[float, float]] = Field(
        default_factory=list, description="points of displayed SoC % and fraction of the charge limits"
    )
    heat_j_per_k: float = Field(300_000.0, gt=0)
    cooling_w_per_k: float = Field(12.0, gt=0)
    self_discharge_pct_month: float = Field(1.5, ge=0, le=50)


class QuirksFile(_Strict):
    """`[quirks]`: deviations of this model from the standard."""

    negative_discharge_limits: bool = False
    late_frames_s: float = Field(0.0, ge=0, le=120)
    ends_session_at_pct: float | None = Field(None, ge=0, le=100)
    no_discharge_below_c: float | None = Field(None, ge=-40, le=60)
    renegotiates_every_s: float | None = Field(None, gt=0)
    silent_after_s: float | None = Field(None, ge=0)
    frozen_soc: bool = False
    ignores_stop: bool = False


class ProfileFile(_Strict):
    """A vehicle profile."""

    name: str = Field(min_length=1, max_length=64)
    source: str = Field(min_length=1, description="source of the figures, and which are estimates")
    evcc_id: str = Field("WMIV1234567890ABCDEX", min_length=1, max_length=255)
    connector: Literal["ccs1", "ccs2", "chademo", "type2"] = "ccs2"
    protocols: list[Literal["iso20", "iso2", "din", "chademo", "basic"]] = Field(min_length=1)
    services: list[Literal["dc", "dc_bpt", "ac", "ac_bpt"]] = Field(default_factory=list)
    max_charge_w: float = Field(gt=0)
    max_discharge_w: float = Field(ge=0, description="0: no discharge")
    max_charge_a: float = Field(gt=0)
    max_discharge_a: float = Field(ge=0)
    min_charge_w: float = Field(300.0, ge=0)
    min_discharge_w: float = Field(300.0, ge=0)
    min_voltage_v: float = Field(gt=0)
    max_voltage_v: float = Field(gt=0)
    target_soc_pct: float = Field(80.0, ge=0, le=100)
    min_soc_pct: float = Field(20.0, ge=0, le=100)
    max_soc_pct: float = Field(100.0, ge=0, le=100)
    v2x_min_soc_pct: float = Field(25.0, ge=0, le=100)
    v2x_max_soc_pct: float = Field(95.0, ge=0, le=100)
    aux_w: float = Field(150.0, ge=0)
    loop_s: float = Field(0.25, gt=0, le=60)
    pack: PackFile
    quirks: QuirksFile = QuirksFile.model_validate({})


def checked(profile: dict[str, Any]) -> dict[str, Any]:
    """Return a profile with the types and defaults of the models; ValueError names the first invalid key."""
    try:
        return ProfileFile.model_validate(profile).model_dump()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{key}: {first['msg']}") from error
