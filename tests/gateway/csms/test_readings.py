"""Readings as stations send them: divided, twice, late, with a wrong clock or value, without a transaction."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.plausibility import plausible
from gateway.csms.metering import by_time, readings
from gateway.csms.station_clock import LATE_S, StationClock
from gateway.model.event import Metered
from gateway.model.evse import Evse
from protocols.ocpp.schema import Version
from tests.gateway.csms.raw_station import Raw
from tests.virtual_time import virtual_examples

pytestmark = pytest.mark.virtual_time

IMPORT, EXPORT = "Power.Active.Import", "Power.Active.Export"
CHARGED, DISCHARGED = "Energy.Active.Import.Register", "Energy.Active.Export.Register"


def sample(measurand: str, value: object, **more: str) -> dict[str, Any]:
    return {"measurand": measurand, "value": str(value), **more}


def state(raw: Raw, name: str = "CP1-1") -> Evse:
    """Return the EVSE as the gateway folds the events."""
    evse = Evse(name, "CP1")
    for event in raw.events:
        if getattr(event, "evse", name) == name:
            evse.apply(plausible(event))
    return evse


async def values_16(
    raw: Raw, elements: list[list[dict[str, Any]]], at: float = 0.0, transaction: int | None = None
) -> None:
    body: dict[str, Any] = {
        "connectorId": 1,
        "meterValue": [{"timestamp": raw.time(at), "sampledValue": samples} for samples in elements],
    }
    await raw.ok("MeterValues", body if transaction is None else body | {"transactionId": transaction})


async def session_16(raw: Raw, offset: float = 0.0) -> int:
    """Boot and start a session; return the id of the transaction."""
    await raw.boot()
    await raw.ok("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Preparing"})
    begin = {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": raw.time(offset)}
    number: int = (await raw.ok("StartTransaction", begin))["transactionId"]
    await raw.ok("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Charging"})
    return number


SAMPLES = [
    sample(IMPORT, 2300, phase="L1", unit="W"),
    sample(IMPORT, 2310, phase="L2", unit="W"),
    sample(IMPORT, 2.29, phase="L3", unit="kW"),
    sample(EXPORT, 0, unit="W"),
    sample(CHARGED, 0.5, unit="kWh"),
    sample(DISCHARGED, 70, unit="Wh"),
    sample("SoC", 60, unit="Percent"),
    sample("Voltage", 231, phase="L1-N"),
    sample("Voltage", 229, phase="L2-N"),
    sample("Frequency", 50.1),
]
SPLITS = st.permutations(SAMPLES).flatmap(
    lambda order: st.lists(st.integers(0, 3), min_size=len(order), max_size=len(order)).map(
        lambda cuts: [(cut, one) for cut, one in zip(cuts, order, strict=True)]
    )
)


@given(SPLITS, st.booleans())
@virtual_examples
async def test_however_one_time_stamp_is_divided_it_is_one_reading(
    split: list[tuple[int, Any]], messages: bool
) -> None:
    async with Raw(Version.V16) as raw:
        number = await session_16(raw)
        elements = [[one for cut, one in split if cut == part] for part in range(4)]
        elements = [element for element in elements if element]
        for group in [[element] for element in elements] if messages else [elements]:
            await values_16(raw, group, transaction=number)
        evse = state(raw)
        assert evse.power_w == pytest.approx(6900)
        assert (evse.soc_pct, evse.voltage_v, evse.frequency_hz) == (60, 230, 50.1)
        assert (evse.charged.last_wh, evse.discharged.last_wh) == (500, 70)


FLOWS: list[tuple[dict[str, float], float]] = [
    ({IMPORT: -5000, EXPORT: 5000}, -5000),
    ({IMPORT: -5000, EXPORT: 4980}, -5000),
    ({IMPORT: -5000, EXPORT: 0}, -5000),
    ({IMPORT: 0, EXPORT: 5000}, -5000),
    ({IMPORT: 0, EXPORT: -5000}, -5000),
    ({IMPORT: -5000, EXPORT: -5000}, -5000),
    ({IMPORT: 3000, EXPORT: -3000}, 3000),
    ({IMPORT: 3000, EXPORT: 0}, 3000),
    ({IMPORT: 3000, EXPORT: 1000}, 2000),
    ({EXPORT: 5000}, -5000),
    ({IMPORT: -0.0}, 0.0),
    ({IMPORT: -0.0, EXPORT: -0.0}, 0.0),
]


@pytest.mark.parametrize(("flows", "expected"), FLOWS)
@pytest.mark.parametrize("turned", [False, True])
def test_a_flow_reported_both_ways_counts_once(flows: dict[str, float], expected: float, turned: bool) -> None:
    samples = [sample(name, value) for name, value in flows.items()]
    elements = [{"timestamp": "2026-01-01T00:00:00Z", "sampledValue": [one]} for one in samples]
    (found,) = readings(by_time(reversed(elements) if turned else elements), "CP1-1", 0.0)
    assert found.power_w == pytest.approx(expected)
    assert str(found.power_w) != "-0.0"


READ: list[tuple[list[dict[str, Any]], dict[str, float | None]]] = [
    ([sample(IMPORT, 0)] + [sample(IMPORT, 1600, phase=p) for p in ("L1", "L2", "L3")], {"power_w": 4800}),
    ([sample(IMPORT, -1600, phase=p) for p in ("L1", "L2", "L3")] + [sample(EXPORT, 4800)], {"power_w": -4800}),
    ([sample(IMPORT, 1000, phase="L1-N"), sample(IMPORT, 500, phase="L2-N")], {"power_w": 1500}),
    ([sample("Current.Import", 16), sample("Voltage", 230)], {"power_w": 3680}),
    ([sample("Current.Export", 10), sample("Voltage", 400)], {"power_w": -4000}),
    ([sample("Current.Import", -10), sample("Voltage", 400)], {"power_w": -4000}),
    ([sample("Current.Import", 16, phase=p) for p in ("L1", "L2", "L3")]
     + [sample("Voltage", 230, phase=f"{p}-N") for p in ("L1", "L2", "L3")], {"power_w": 11040}),
    ([sample("Current.Import", 10, phase=p) for p in ("L1", "L2")] + [sample("Voltage", 100)], {"power_w": 2000}),
    ([sample("Current.Import", 10, phase="L1"), sample("Voltage", 400, phase="L1-L2")], {"power_w": 2309.4}),
    ([sample("Current.Import", 16), sample("Voltage", 230), sample(IMPORT, 3500)], {"power_w": 3500}),
    ([sample("Current.Import", 16)], {"power_w": None, "current_a": 16}),
    ([sample("Current.Import", 10), sample("Voltage", 200), sample("Power.Factor", 0.9)], {"power_w": 1800}),
    ([sample("Voltage", 400, phase="L1-L2"), sample(IMPORT, 1)], {"voltage_v": 230.94}),
    ([sample(IMPORT, 3.4, unit="KW")], {"power_w": 3400}),
    ([{**sample(IMPORT, 34), "unitOfMeasure": {"unit": "W", "multiplier": "2"}}], {"power_w": 3400}),
    ([{**sample(IMPORT, 34), "unitOfMeasure": {"unit": "W", "multiplier": 2.0}}], {"power_w": 3400}),
    ([{**sample(IMPORT, 3.4), "unitOfMeasure": {"unit": "kW"}}], {"power_w": 3400}),
    ([sample("SoC", -1), sample(IMPORT, 5)], {"soc_pct": None, "power_w": 5}),
    ([sample("SoC", -0.0), sample(IMPORT, 5)], {"soc_pct": 0.0}),
    ([sample("Frequency", 0), sample(IMPORT, 5)], {"frequency_hz": None}),
    ([sample("Frequency", 6553.5), sample("Voltage", 65535), sample(IMPORT, 5)],
     {"frequency_hz": None, "voltage_v": None}),
    ([sample(IMPORT, "NaN"), sample(EXPORT, 700)], {"power_w": -700}),
    ([sample(IMPORT, 4294967295), sample(EXPORT, 700)], {"power_w": -700}),
    ([sample(CHARGED, 4294967295), sample(DISCHARGED, 700)], {"energy_charged_wh": None, "energy_discharged_wh": 700}),
]  # fmt: skip


@pytest.mark.parametrize(("samples", "expected"), READ)
def test_what_is_read(samples: list[dict[str, Any]], expected: dict[str, float | None]) -> None:
    for order in (samples, samples[::-1]):
        (found,) = readings(by_time([{"timestamp": "2026-01-01T00:00:00Z", "sampledValue": order}]), "CP1-1", 0.0)
        assert {name: getattr(found, name) for name in expected} == pytest.approx(expected, abs=0.05)


async def test_the_voltage_of_before_serves_currents_without_one() -> None:
    async with Raw(Version.V16) as raw:
        number = await session_16(raw)
        await values_16(raw, [[sample("Voltage", 200)]], transaction=number)
        await asyncio.sleep(10)
        await values_16(raw, [[sample("Current.Import", 10)]], transaction=number)
        assert state(raw).power_w == 2000


@pytest.mark.parametrize("reported_pct", [-1.0, -0.6, -100.0, 102.0, 255.0])
def test_an_impossible_state_of_charge_is_unknown(reported_pct: float) -> None:
    event = plausible(Metered("CP1-1", 0.0, soc_pct=reported_pct))
    assert isinstance(event, Metered)
    assert event.soc_pct is None


# late readings


@pytest.mark.parametrize("skew_s", [0.0, -3600.0, 86_400.0, -1.7e9])
@pytest.mark.parametrize("version", list(Version))
async def test_readings_of_before_change_registers_only(skew_s: float, version: Version) -> None:
    """The clock of the station may be off: what counts is what it had stamped before."""
    async with Raw(version) as raw:
        seq = count()
        number = 0
        if version is Version.V16:
            number = await session_16(raw, skew_s)
        else:
            await raw.boot()
            await raw.event("Started", next(seq), at=skew_s)

        async def send(power_w: float, soc_pct: float, out_wh: float, at: float) -> None:
            samples = [sample(EXPORT, -power_w), sample("SoC", soc_pct), sample(DISCHARGED, out_wh)]
            if version is Version.V16:
                await values_16(raw, [samples], at + skew_s, number)
            else:
                value = [{"timestamp": raw.time(at + skew_s), "sampledValue": [
                    one | {"value": float(one["value"])} for one in samples]}]  # fmt: skip
                await raw.event("Updated", next(seq), at=at + skew_s, meterValue=value)

        await send(0, 29.5, 5000, 0.0)
        for at in (-7200.0, -7190.0, -61.0, -10.0):
            await asyncio.sleep(1)
            await send(-4000, 80, 3000 - at / 100, at)
            evse = state(raw)
            assert (evse.power_w, evse.soc_pct, evse.discharged.total_wh) == (0, 29.5, 5000)
        await asyncio.sleep(8)
        await send(-1000, 29.2, 5001, 0.0)
        assert (state(raw).power_w, state(raw).soc_pct) == (-1000, 29.2)


async def test_a_queue_sent_after_a_reconnection_is_of_before_though_no_newer_reading_is_known() -> None:
    async with Raw(Version.V16) as raw:
        number = await session_16(raw)
        await asyncio.sleep(7200)
        await raw.ok("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Charging",
                                            "timestamp": raw.time()})  # fmt: skip
        for at in range(-7000, -100, 60):
            await values_16(raw, [[sample(IMPORT, -4000), sample("SoC", 80)]], at, number)
        assert (state(raw).power_w, state(raw).soc_pct) == (None, None)
        await values_16(raw, [[sample(IMPORT, -500), sample("SoC", 40)]], 0.0, number)
        assert (state(raw).power_w, state(raw).soc_pct) == (-500, 40)


async def test_an_event_with_a_lower_number_is_of_before() -> None:
    async with Raw() as raw:
        await raw.boot()
        await raw.event("Started", 0)
        stamp = raw.time()
        for seq, watts in ((5, 100.0), (3, 900.0), (4, 800.0)):
            value = [{"timestamp": stamp, "sampledValue": [{"value": watts, "measurand": IMPORT}]}]
            await raw.event("Updated", seq, meterValue=value)
        assert state(raw).power_w == 100.0


@pytest.mark.parametrize("step_s", [-3600.0, -120.0, 3600.0])
async def test_a_clock_that_is_set_does_not_blind_the_gateway(step_s: float) -> None:
    async with Raw(Version.V16) as raw:
        number = await session_16(raw)
        for index in range(20):
            await values_16(raw, [[sample(IMPORT, 1000 + index)]], step_s if index >= 5 else 0.0, number)
            await asyncio.sleep(10)
        assert state(raw).power_w == 1019


async def test_a_clock_that_stands_does_not_blind_the_gateway() -> None:
    async with Raw(Version.V16) as raw:
        number = await session_16(raw)
        begun = raw.clock.now()
        for index in range(20):
            await values_16(raw, [[sample(IMPORT, 1000 + index)]], begun - raw.clock.now(), number)
            await asyncio.sleep(10)
        assert state(raw).power_w == 1019


async def test_one_stamp_in_the_future_is_not_the_newest() -> None:
    async with Raw(Version.V16) as raw:
        number = await session_16(raw)
        await values_16(raw, [[sample(IMPORT, 1000)]], 0.0, number)
        await values_16(raw, [[sample(IMPORT, 1001)]], 9e8, number)
        await asyncio.sleep(10)
        await values_16(raw, [[sample(IMPORT, 1002)]], 0.0, number)
        assert state(raw).power_w == 1002


@given(st.lists(st.tuples(st.floats(0.1, 30), st.floats(0, 20)), min_size=1, max_size=60), st.floats(-2e9, 2e9))
def test_a_station_that_reports_within_seconds_is_never_late(steps: list[tuple[float, float]], skew_s: float) -> None:
    clock, now = StationClock(), 0.0
    for meter, (passed_s, latency_s) in enumerate(steps):
        now += passed_s
        assert not clock.late(now + skew_s - latency_s, now, meter)
    present = clock.now(now)
    assert present is not None
    assert -25 <= present - (now + skew_s) <= 1e-3
    assert clock.late(now + skew_s - LATE_S - 30, now)


def test_late_is_part_of_the_event() -> None:
    assert replace(Metered("CP1-1", 0.0), late=True).late
