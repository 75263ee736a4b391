"""Set-points in the unit and sign of each kind of station, and what excludes one, without a connection."""

from __future__ import annotations

import math
from typing import Any

import pytest

from gateway.clock import SystemClock
from gateway.csms.charging_profile import Unit, allow_units, in_unit, present_at, rate_unit, volt_phases
from gateway.csms.csms import Csms
from gateway.csms.registration import Boot, Status
from gateway.csms.setpoint import (
    fallback_limit_w,
    refusal,
    schedule_update,
    update_of,
)
from gateway.csms.settings import CsmsSettings, StationSettings
from gateway.csms.station import Station
from gateway.model.event import OperationMode
from gateway.model.station import Answer
from protocols.ocpp.schema import Version
from protocols.ocpp.vendor import Setpoint, VendorProfile

CENTRAL, CHARGING = OperationMode.CENTRAL_SETPOINT, OperationMode.CHARGING_ONLY


def station(**setpoint: Any) -> Station:
    """Return a registered station that has not connected, with a vendor profile of this set-point."""
    settings = CsmsSettings(stations=(StationSettings("CP1"),), fallback_limit_w=1400.0)
    one = Csms(settings, print, SystemClock()).stations["CP1"]
    one.version, one.boot = Version.V16, Boot(Status.accepted)
    one.vendor = VendorProfile(name="test", ocpp=("1.6",), setpoint=Setpoint(**setpoint))
    one.evse(1)
    return one


LIMIT: dict[str, Any] = {"channel": "limit"}
AMPERES: dict[str, Any] = {"channel": "limit", "unit": "A", "voltage_v": 200.0, "phases": 2}


# what excludes a set-point --------------------------------------------------------------------------------------------


def test_a_set_point_is_not_sent_to_a_station_that_is_not_connected() -> None:
    one = station()
    refused = refusal(one, one.evses[1], 0.0, 15.0)
    assert refused is not None
    assert (refused.answer, refused.code) == (Answer.UNKNOWN, "NotConnected")
    assert refused.text == "CP1 is not connected"


# units ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("units", "unit"),
    [
        ("Current,Power", Unit.w),
        ("Current", Unit.a),
        ("Power", Unit.w),
        ("A", Unit.a),
        ("W", Unit.w),
        ("A, W", Unit.w),
        (" a ", Unit.a),
        ("current", Unit.a),
        ("power", Unit.w),
        ("w", Unit.w),
        ("VA", None),
        ("", None),
    ],
)
def test_the_units_that_a_station_reports(units: str, unit: Unit | None) -> None:
    one = station()
    allow_units(one, units)
    assert one.rate_unit == unit
    assert rate_unit(one) is (unit or Unit.w)


def test_the_vendor_profile_decides_about_the_unit() -> None:
    assert rate_unit(station(**AMPERES)) is Unit.a
    assert rate_unit(station(channel="variable", unit="A", key="K")) is Unit.w
    assert rate_unit(station(**LIMIT)) is Unit.w
    one = station(**AMPERES)
    one.rate_unit = Unit.w
    assert rate_unit(one) is Unit.a


@pytest.mark.parametrize(
    ("setpoint", "voltage_v", "volts"),
    [
        (LIMIT, None, 690.0),
        (LIMIT, 200.0, 600.0),
        (LIMIT | {"voltage_v": 100.0}, None, 300.0),
        (AMPERES, 230.0, 400.0),
    ],
)
def test_voltage_times_phases(setpoint: dict[str, Any], voltage_v: float | None, volts: float) -> None:
    one = station(**setpoint)
    one.evses[1].meter.voltage_v = voltage_v
    assert volt_phases(one, one.evses[1]) == volts


@pytest.mark.parametrize(
    ("setpoint", "reported", "power_w", "expected"),
    [
        ({}, None, -5000.04, (Unit.w, -5000.0)),
        ({}, None, 5000.06, (Unit.w, 5000.1)),
        (LIMIT, None, -5000.04, (Unit.w, -5000.0)),
        (LIMIT | {"sign": 1}, None, -5000.0, (Unit.w, 5000.0)),
        ({}, None, -0.04, (Unit.w, 0.0)),
        ({"sign": 1}, None, -5000.0, (Unit.w, -5000.0)),  # no channel for a signed power
        (LIMIT | {"decimals": 0}, None, 5000.4, (Unit.w, 5000.0)),
        (LIMIT, Unit.w, 6900.0, (Unit.w, 6900.0)),
        (LIMIT, Unit.a, 6900.0, (Unit.a, 10.0)),
        (LIMIT, Unit.a, -6900.0, (Unit.a, -10.0)),
        (LIMIT, Unit.a, 6968.9, (Unit.a, 10.0)),  # never more than the power
        (LIMIT, Unit.a, -6968.9, (Unit.a, -10.0)),
        (LIMIT, Unit.a, 6969.0, (Unit.a, 10.1)),
        (LIMIT, Unit.a, 690.0, (Unit.a, 1.0)),
        (LIMIT, Unit.a, 69.0, (Unit.a, 0.1)),
        (LIMIT, Unit.a, 0.0, (Unit.a, 0.0)),
        (LIMIT, Unit.a, 1.0, (Unit.a, 0.0)),
        (LIMIT, Unit.a, -1.0, (Unit.a, 0.0)),
        (LIMIT | {"sign": 1}, Unit.a, -6900.0, (Unit.a, 10.0)),
        (LIMIT | {"sign": 1}, Unit.a, 6900.0, (Unit.a, -10.0)),
        (LIMIT | {"sign": 1}, Unit.a, 0.0, (Unit.a, 0.0)),
        ({"sign": 1}, Unit.a, 6900.0, (Unit.a, -10.0)),
        (AMPERES, None, 4000.0, (Unit.a, 10.0)),
        (AMPERES, None, -4010.0, (Unit.a, -10.0)),
        (AMPERES, None, 4030.0, (Unit.a, 10.1)),  # as its vendor profile rounds
        (AMPERES | {"sign": 1}, None, -4000.0, (Unit.a, 10.0)),
    ],
)
def test_a_power_in_the_unit_and_sign_of_the_station(
    setpoint: dict[str, Any], reported: Unit | None, power_w: float, expected: tuple[Unit, float]
) -> None:
    one = station(**setpoint)
    one.rate_unit = reported
    unit, value = in_unit(one, one.evses[1], power_w)
    assert unit is expected[0]
    assert value == pytest.approx(expected[1], abs=1e-9)
    assert str(value) != "-0.0"


def test_the_power_of_three_phases_of_the_measured_voltage() -> None:
    one = station(**LIMIT)
    one.rate_unit, one.evses[1].meter.voltage_v = Unit.a, 200.0
    assert in_unit(one, one.evses[1], 6000.0) == (Unit.a, 10.0)


@pytest.mark.parametrize("power_w", [-5000.04, 5000.06, 0.0, -0.04])
def test_an_update_names_limit_or_set_point(power_w: float) -> None:
    value = round(power_w, 1) + 0.0
    assert str(schedule_update(CENTRAL, power_w)) == str({"setpoint": value})
    assert str(schedule_update(CHARGING, power_w)) == str({"limit": value})
    one = station()
    assert update_of(one, one.evses[1], CENTRAL, power_w) == {"setpoint": value}
    one.rate_unit = Unit.a
    assert update_of(one, one.evses[1], CHARGING, 6900.0) == {"limit": 10.0}


def test_the_fallback_limit_is_the_stations_own_or_that_of_all() -> None:
    one = station()
    assert fallback_limit_w(one) == 1400.0
    one.settings = StationSettings("CP1", fallback_limit_w=0.0)
    assert fallback_limit_w(one) == 0.0


@pytest.mark.parametrize(
    ("skew_s", "corrected"),
    [(None, False), (0.0, False), (1.9, False), (-1.9, False), (2.1, True), (-2.1, True), (90.0, True)],
)
def test_the_present_time_by_the_station(skew_s: float | None, corrected: bool) -> None:
    one = station()
    clock = one.context.clock
    if skew_s is not None:
        one.clock.observe(clock.wall() + skew_s, clock.now())
    found = present_at(one) - clock.wall()
    assert found == pytest.approx(skew_s if corrected and skew_s is not None else 0.0, abs=0.05)
    assert math.isfinite(found)
