"""Limits of the stationary storage: the weakest module sets the pack, and the converter is a limit of its own."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.authority.storage_limits import StorageLimits, pack_limits, storage_limits
from gateway.model.site import StorageModule


def module(**more: Any) -> StorageModule:
    """Module of 1000 Wh and 500 W, of which the resistance would allow 800 W."""
    base: dict[str, Any] = {"name": "M", "new_wh": 2000.0, "soh": 0.5, "voltage_v": 10.0, "resistance_ohm": 0.01}
    return StorageModule(**(base | more))


def pack(**more: Any) -> tuple[float, float, float | None]:
    """Limits of ten modules, of which one differs."""
    found = pack_limits([*[module(soc_pct=60.0, temperature_c=25.0) for _ in range(9)], module(**more)])
    return found.max_charge_w, found.max_discharge_w, found.capacity_wh


@pytest.mark.parametrize(
    ("more", "charge_w", "discharge_w", "capacity_wh"),
    [
        ({}, 5000, 5000, 10_000),
        ({"soh": 0.4}, 4000, 4000, 8000),
        ({"new_wh": 1000.0}, 2500, 2500, 5000),
        ({"resistance_ohm": 0.02}, 4000, 4000, 10_000),
        ({"voltage_v": 5.0}, 2000, 2000, 10_000),
        ({"soc_pct": 60.0}, 5000, 5000, 10_000),
        ({"soc_pct": 40.0}, 5000, 5000, 8000),
        ({"soc_pct": 90.0}, 5000, 5000, 7000),
        ({"temperature_c": 10.0}, 5000, 5000, 10_000),
        ({"temperature_c": 4.0}, 2000, 4000, 10_000),
        ({"temperature_c": 0.0}, 0, 5000 * 20 / 30, 10_000),
        ({"temperature_c": -30.0}, 0, 1000, 10_000),
        ({"temperature_c": 40.0}, 5000, 5000, 10_000),
        ({"temperature_c": 46.0}, 3000, 3000, 10_000),
        ({"temperature_c": 60.0}, 0, 0, 10_000),
    ],
)
def test_the_weakest_module_sets_the_pack(
    more: dict[str, Any], charge_w: float, discharge_w: float, capacity_wh: float
) -> None:
    assert pack(**more) == pytest.approx((charge_w, discharge_w, capacity_wh))


def test_a_pack_out_of_balance_from_end_to_end_keeps_a_hundredth_of_its_capacity() -> None:
    found = pack_limits([module(soc_pct=0.0), module(soc_pct=100.0)])
    assert found.capacity_wh == pytest.approx(20.0)


def test_without_temperatures_and_states_of_charge_power_and_capacity_are_those_of_the_modules() -> None:
    assert pack_limits([module(), module(soh=0.45)]) == StorageLimits(900.0, 900.0, 1800.0)


@pytest.mark.parametrize(
    ("converter", "modules", "expected"),
    [
        (StorageLimits(700.0, 600.0, 900.0), None, (700, 600, 900)),
        (StorageLimits(700.0, 600.0, None), None, (700, 600, None)),
        (StorageLimits(300.0, 200.0, 900.0), 1, (300, 200, 900)),
        (StorageLimits(700.0, 600.0, 1100.0), 1, (500, 500, 1000)),
        (StorageLimits(700.0, 600.0, None), 1, (500, 500, 1000)),
    ],
)
def test_converter_and_pack_limit_each_other(
    converter: StorageLimits, modules: int | None, expected: tuple[float, float, float | None]
) -> None:
    found = storage_limits(converter, None if modules is None else [module()])
    assert (found.max_charge_w, found.max_discharge_w, found.capacity_wh) == expected
