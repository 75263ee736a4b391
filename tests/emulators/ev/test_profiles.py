"""Vehicle profiles: shipped ones match their sources, invalid ones are rejected."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulators.ev.car import CCS_63, Car
from emulators.ev.profile import SHIPPED, ProfileError, load, names, parse

USABLE_WH = {
    "ccs-63": 63_000,
    "leaf-24": 22_200,
    "leaf-40": 39_000,
    "leaf-62": 59_000,
    "ariya-66": 63_000,
    "outlander-20": 20_000,
    "id-77": 77_000,
    "lfp-50": 50_000,
    "odd-ccs": 40_000,
}


def test_every_shipped_profile_has_a_test() -> None:
    assert set(names()) == set(USABLE_WH)


@pytest.mark.parametrize("name", sorted(USABLE_WH))
def test_a_profile_has_the_energy_of_its_name(name: str) -> None:
    spec = load(name)
    assert spec.name == name
    assert spec.source
    assert spec.pack.usable_wh == pytest.approx(USABLE_WH[name], rel=0.03)
    car = Car(spec, 60)
    assert spec.min_voltage_v < car.voltage_v < spec.max_voltage_v
    assert spec.pack.series * spec.pack.chemistry.max_v <= spec.max_voltage_v
    assert car.limits().max_discharge_w > 0
    assert car.limits().max_charge_w > 0


@pytest.mark.parametrize("name", sorted(USABLE_WH))
def test_a_shipped_profile_passes_the_strict_check_unchanged(name: str) -> None:
    """Shipped profiles are not checked at run time, so they are checked here: same figures, types and defaults."""
    assert repr(load(name)) == repr(load(SHIPPED / f"{name}.toml"))


def test_the_generic_profile_equals_the_default_of_the_code() -> None:
    spec = load("ccs-63")
    for field in ("max_charge_w", "max_discharge_w", "max_discharge_a", "v2x_min_soc_pct", "services", "protocols"):
        assert getattr(spec, field) == getattr(CCS_63, field)
    assert spec.pack.capacity_ah == CCS_63.pack.capacity_ah


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("max_charge_w = 100000", "max_charge_kw = 100"), "max_charge_w"),
        (("capacity_ah = 186", "capacity_ah = -1"), "pack.capacity_ah"),
        (('protocols = ["iso20"]', 'protocols = ["iso21"]'), "protocols.0"),
        (("min_voltage_v = 270", "min_voltage_v = 270\nv2x_min_soc_pct = 5"), "must rise"),
        (("[pack]", "[pack"), "not TOML"),
    ],
)
def test_an_invalid_profile_names_the_file_and_the_key(change: tuple[str, str], complaint: str, tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "emulators/ev/profiles/ccs-63.toml").read_text()
    assert change[0] in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(*change))
    with pytest.raises(ProfileError, match=complaint) as raised:
        load(path)
    assert "mine.toml" in str(raised.value)


def test_unknown_profiles_are_rejected() -> None:
    with pytest.raises(ProfileError, match="shipped: "):
        load("tesla")
    with pytest.raises(ProfileError, match=r"nowhere\.toml"):
        load("nowhere.toml")
    with pytest.raises(ProfileError, match="required"):
        parse("", "empty")
