"""Second-life pack, limited by its weakest module."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.battery.pack import Battery
from emulators.battery.second_life import SecondLifePack, SecondLifeSpec


def test_the_weakest_module_limits_charge_and_discharge() -> None:
    pack = SecondLifePack(seed=3)
    even = SecondLifePack(SecondLifeSpec(weak_module=None), seed=3)
    assert pack.usable_wh < 0.9 * even.usable_wh
    assert min(one.capacity_ah / one.spec.capacity_ah for one in pack.modules) == pytest.approx(0.55, abs=0.001)
    while pack.max_discharge_a() > 1:
        pack.flow(-10, 60)
    assert min(pack.modules, key=lambda one: one.soc_pct) is pack.modules[7]
    assert pack.soc_pct < 2
    strong = [module.soc_pct for n, module in enumerate(pack.modules) if n != 7]
    assert min(strong) > 4


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.lists(st.floats(-1, 1), min_size=1, max_size=12))
def test_the_energy_balance_closes_over_all_modules(seed: int, hours: list[float]) -> None:
    pack = SecondLifePack(seed=seed)
    battery: Battery = pack
    stored, moved = pack.stored_wh, 0.0
    for share in hours:
        amps = share * (battery.max_charge_a() if share > 0 else battery.max_discharge_a())
        moved += battery.flow(amps, 1800)
    assert moved == pytest.approx(pack.stored_wh - stored + pack.loss_wh, abs=0.05)
    assert 0 <= battery.soc_pct <= 100


def test_the_seed_determines_the_pack() -> None:
    one, same, other = SecondLifePack(seed=1), SecondLifePack(seed=1), SecondLifePack(seed=2)
    assert [m.capacity_ah for m in one.modules] == [m.capacity_ah for m in same.modules]
    assert [m.capacity_ah for m in one.modules] != [m.capacity_ah for m in other.modules]


def test_balancing_equalises_the_modules_with_losses() -> None:
    pack = SecondLifePack(seed=5)
    spread = max(m.charge for m in pack.modules) - min(m.charge for m in pack.modules)
    stored = pack.stored_wh
    pack.balance(14 * 86400)
    after = max(m.charge for m in pack.modules) - min(m.charge for m in pack.modules)
    assert after < 0.2 * spread
    assert pack.stored_wh < stored
    assert pack.loss_wh == pytest.approx(stored - pack.stored_wh)


def test_the_requested_power_is_delivered() -> None:
    pack = SecondLifePack(seed=5)
    amps = pack.current_for(-4000)
    assert (pack.rest_v + amps * pack.resistance_ohm) * amps == pytest.approx(-4000)
