"""Meter values of each version in one model: units, multipliers, phases, locations and signs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.csms.metering import by_time, readings
from gateway.model.event import Metered


def one(*samples: dict[str, Any], sign: int = 1, scale: float = 1.0) -> Metered:
    value = {"timestamp": "2026-01-01T00:00:00Z", "sampledValue": list(samples)}
    (found,) = readings(by_time([value]), "CP1-1", 5.0, sign, scale)
    return found


def late(
    value: object, measurand: str, unit: str | None = None, multiplier: int | None = None, **more: Any
) -> dict[str, Any]:
    about = {k: v for k, v in (("unit", unit), ("multiplier", multiplier)) if v is not None}
    return {"value": value, "measurand": measurand, **({"unitOfMeasure": about} if about else {}), **more}


@given(st.floats(0, 50_000), st.floats(0, 50_000))
def test_power_is_import_less_export(into: float, out: float) -> None:
    found = one(late(into, "Power.Active.Import"), late(out, "Power.Active.Export"))
    assert found.power_w == pytest.approx(into - out)


CASES: list[tuple[list[dict[str, Any]], dict[str, float | None]]] = [
    ([late(1.5, "Power.Active.Export", "kW")], {"power_w": -1500.0}),
    ([late(15, "Power.Active.Import", "W", 2)], {"power_w": 1500.0}),
    ([late(-1500, "Power.Active.Import")], {"power_w": -1500.0}),  # a negative import is a discharge
    ([late(-1500, "Power.Active.Export")], {"power_w": -1500.0}),  # and so is a negative export
    ([{"value": 12.0}], {"energy_charged_wh": 12.0}),  # no measurand: the import register
    ([late(1.2, "Energy.Active.Import.Register", "kWh")], {"energy_charged_wh": 1200.0}),
    ([late(7, "Energy.Active.Export.Register")], {"energy_discharged_wh": 7.0}),
    ([late(80, "SoC", "Percent"), late(50.01, "Frequency")], {"soc_pct": 80.0, "frequency_hz": 50.01}),
    ([late(81, "Display.PresentSOC")], {"soc_pct": 81.0}),
    ([late(100, "EnergyRequest.Minimum.V2X"), late(-5, "EnergyRequest.Maximum.V2X")],
     {"min_v2x_energy_wh": 100.0, "max_v2x_energy_wh": -5.0}),
    ([late(1000, "Power.Active.Import", phase=p) for p in ("L1", "L2", "L3")], {"power_w": 3000.0}),
    ([late(230 + n, "Voltage", phase=f"L{n}-N") for n in (1, 2, 3)], {"voltage_v": 232.0}),
    ([late(3000, "Power.Active.Import"), late(1000, "Power.Active.Import", phase="L1")], {"power_w": 3000.0}),
    ([late(9000, "Power.Active.Import", location="Inlet"), late(8800, "Power.Active.Import", location="Outlet")],
     {"power_w": 8800.0}),
    ([late(9000, "Power.Active.Import", location="Upstream")], {"power_w": None}),
    ([late(6, "Current.Import"), late(0, "Current.Export")], {"current_a": 6.0}),
    ([{"value": "1.5", "measurand": "Power.Active.Import", "unit": "kW"}], {"power_w": 1500.0}),  # 1.6
    ([{"value": "AB12", "format": "SignedData"}, {"value": "5"}], {"energy_charged_wh": 5.0}),
    ([{"value": "n/a", "measurand": "SoC"}, {"value": "5"}], {"energy_charged_wh": 5.0, "soc_pct": None}),
    ([{"value": "1e999", "measurand": "SoC"}, {"value": "5"}], {"soc_pct": None}),
]  # fmt: skip


@pytest.mark.parametrize(("samples", "expected"), CASES)
def test_each_driver_habit(samples: list[dict[str, Any]], expected: dict[str, float | None]) -> None:
    value = {"timestamp": "2026-01-01T00:00:00Z", "sampledValue": samples}
    found = readings(by_time([value]), "CP1-1", 5.0)
    got = found[0] if found else Metered("CP1-1", 5.0)
    assert {name: getattr(got, name) for name in expected} == expected


def test_a_vendors_sign_and_scale() -> None:
    assert one(late(-1500, "Power.Active.Import"), sign=-1).power_w == 1500.0
    assert one(late(1.5, "Power.Active.Import"), scale=1000.0).power_w == 1500.0


def test_the_oldest_is_settled_first_and_never_below_zero() -> None:
    values = [
        {"timestamp": f"2026-01-01T00:00:0{second}Z", "sampledValue": [{"value": second}]} for second in (3, 1, 2)
    ]
    assert [m.energy_charged_wh for m in readings(by_time(values), "CP1-1", 0.0)] == [1.0, 2.0, 3.0]
    assert readings(by_time([]), "CP1-1", 0.0) == []
    assert readings(by_time([{"timestamp": "x", "sampledValue": [late("x", "SoC")]}]), "CP1-1", 0.0) == []


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["value", "measurand", "phase", "location", "unit", "unitOfMeasure", "format"]),
            st.none() | st.text(max_size=5) | st.floats() | st.integers() | st.just({"unit": "kW", "multiplier": 3}),
        ),
        max_size=5,
    )
)
def test_no_sample_raises_an_exception(samples: list[dict[str, Any]]) -> None:
    samples = [s for s in samples if not isinstance(s.get("phase"), dict) and not isinstance(s.get("location"), dict)]
    for s in samples:
        for name in ("measurand", "unit"):
            if isinstance(s.get(name), dict):
                del s[name]
    for found in readings(by_time([{"timestamp": "x", "sampledValue": samples}]), "CP1-1", 0.0):
        assert found.power_w is None or found.power_w == found.power_w
