"""Vehicles with their quirks: starting values, times and behaviour beside the specification.

The figures of `leaf-24` and `leaf-40` are read from logs of sessions, those of `leaf-62` from a log with a charger
before 1.0. What no source states is taken from the nearest model and marked "assumed". `strict` follows the
specification.
"""

from __future__ import annotations

from dataclasses import replace

from protocols.chademo.frames import Automaker, Vehicle202
from protocols.chademo.layout import Message
from protocols.frozen import frozen


@frozen(kw_only=True)
class VehicleProfile:
    """Properties of a vehicle model, as its frames and times show them."""

    name: str
    source: str
    protocol: int = 2
    target_voltage_v: int = 410
    max_voltage_v: int = 435
    min_voltage_v: int = 0  # 100.2
    min_discharge_v: int = 250
    min_charge_a: int = 0
    capacity_wh: int = 22_200
    first_capacity_wh: int = 24_000  # stated until values have settled
    max_time_min: int = 60
    rate_constant: int = 100
    first_rate_constant: int = 240  # before a charger was seen
    old_rate_constant: int = 255  # with a charger before 1.0
    min_level_pct: int = 30
    max_level_pct: int = 80
    levels_as_energy: bool = False
    first_min_level: int = 0xFF
    discharge: bool = True  # 102.5.7
    bit_5_6: bool = False  # 102.5.6
    reports_open_at_once: bool = False  # 102.5.3 = 1 in the first frame
    extension: bool = False  # 0x110
    sequence: int | None = None  # 0x201
    extras: tuple[Message, ...] = ()
    first_soc_raw: tuple[int, int] | None = (3, 1)  # before and after a charger was seen, until values have settled
    # times, s
    levels_after: float = 0.7  # first frame of the charger to stable levels
    settled_after: float = 2.1  # the same to capacity and state of charge
    time_after: float = 2.9  # the same to charging times
    permitted_after: float = 3.9  # first frame to permission
    close_after: float = 1.0  # d2 to closed contactors
    request_after: float = 1.7  # closed contactors to the first request
    discharge_after: float = 0.4  # first request to the first discharge limit
    stop_after: float = 0.2  # 109.5.5 to the end of the permission
    open_after: float = 2.0  # end of power to open contactors
    weld_check: float = 0.9  # open contactors to 102.5.3 = 1
    idle_end: float | None = 360.0  # without current to the end of the session
    ramp_a_per_s: float = 20.0
    # checks
    deviation_a: float = 20.0  # or `deviation_part` of the request, whichever is more
    deviation_part: float = 0.1
    discharge_excess_a: float = 10.0  # beyond 200.0
    always_requests_a: int = 0  # requests so much even where charging is not allowed
    spacing: float = 0.01  # between two frames of a cycle


_ZE1 = (Automaker(code=1, content=0x0600_0002), Vehicle202(content=0x010101))

LEAF_24 = VehicleProfile(
    name="leaf-24",
    source="log of a V2H session of a 24 kWh LEAF (ZE0)",
    levels_as_energy=True,
    bit_5_6=True,
    reports_open_at_once=True,
)
LEAF_40 = VehicleProfile(
    name="leaf-40",
    source="log of a charging session of a 40 kWh LEAF (ZE1)",
    min_charge_a=6,
    capacity_wh=35_400,
    first_capacity_wh=50_000,
    max_time_min=80,
    min_level_pct=10,
    max_level_pct=100,
    first_min_level=26,
    extension=True,
    sequence=2,
    extras=_ZE1,
    levels_after=0.1,
    settled_after=0.6,
    time_after=2.4,
    permitted_after=3.4,
    close_after=0.7,
    stop_after=0.25,
    open_after=1.1,
    weld_check=0.95,
)
PROFILES: dict[str, VehicleProfile] = {
    one.name: one
    for one in (
        LEAF_24,
        replace(
            LEAF_24,
            name="leaf-30",
            source="assumed: as leaf-24, capacity in proportion",
            capacity_wh=28_000,
            first_capacity_wh=30_000,
        ),
        LEAF_40,
        replace(
            LEAF_40,
            name="leaf-62",
            source="log of a charging session with a charger before 1.0; capacity and levels assumed as leaf-40",
            capacity_wh=54_900,
            first_capacity_wh=77_500,
        ),
        replace(
            LEAF_24,
            name="e-nv200",
            source="first status byte and 100.2 = 1 V of an issue log; the rest assumed as leaf-24",
            min_voltage_v=1,
        ),
        replace(
            LEAF_24,
            name="outlander",
            source="comments of an open charger; values assumed: 12 kWh, levels as leaf-24",
            target_voltage_v=350,
            max_voltage_v=360,
            min_discharge_v=220,
            capacity_wh=12_000,
            first_capacity_wh=12_000,
            idle_end=None,
            bit_5_6=False,
        ),
        VehicleProfile(
            name="strict",
            source="the rules of CHAdeMO 2.0 and of V2H guideline 2.0 without quirks",
            protocol=3,
            capacity_wh=40_000,
            first_capacity_wh=40_000,
            first_rate_constant=100,
            first_soc_raw=None,
            min_level_pct=10,
            max_level_pct=100,
            extension=True,
            sequence=2,
            reports_open_at_once=True,
            idle_end=None,
            spacing=0.0,
        ),
    )
}
