"""Schedules, tariffs and charging profiles of ISO 15118-2 and DIN 70121: as values, and in whole sessions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from protocols.iso15118.din.dialect import DIN
from protocols.iso15118.iso2 import types
from protocols.iso15118.iso2.dialect import ISO2, Dialect
from protocols.iso15118.iso2.schedules import (
    LONGEST_S,
)
from protocols.iso15118.iso2.states import State, Step
from protocols.iso15118.iso2.tolerances import STRICT
from protocols.iso15118.iso20 import events, orders
from protocols.iso15118.iso20.prices import PriceBlock, PriceLevels, Prices
from protocols.iso15118.iso20.schedules import DAY, Block, ScheduleOffer, flat_offer
from protocols.iso15118.iso20.types import EVSENotification
from tests.protocols.iso15118.engine_pair import EPOCH
from tests.protocols.iso15118.iso2.iso2_pair import DIALECTS, OldPair, after_loops, in_loop, old_pair, stop
from tests.protocols.iso15118.iso2.raw_car import RawCar

GENERATIONS = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=list(DIALECTS))
DEAR = PriceBlock(duration_s=600, per_kwh=0.4, co2_g_per_kwh=200, renewable_pct=30)
CHEAP = PriceBlock(duration_s=600, per_kwh=0.1)
NIGHT = ScheduleOffer(
    tuple_id=1,
    anchor_s=int(EPOCH),
    charge=(Block(3_600, 8_000.0), Block(3_600, 4_000.0)),
    levels=PriceLevels(levels=2, entries=((3_600, 1), (3_600, 0))),
)


def offers(*given_: ScheduleOffer) -> dict[str, Any]:
    return {"evse": {"schedules": given_}}


class OfferingPair(OldPair):
    """A charger with own schedules; without one at the time it offers its full power."""

    offers: tuple[ScheduleOffer, ...] = ()

    def _be_a_charger(self, event: events.Event) -> None:
        if isinstance(event, events.NeedsStated):
            self.secc.command(orders.OfferSchedules(self.offers), self.now)
        else:
            super()._be_a_charger(event)


def offering(dialect: Dialect, *given_: ScheduleOffer, **arguments: Any) -> OfferingPair:
    made = old_pair(dialect, **arguments)
    pair = OfferingPair(made.ev, made.secc, soc_pct=made.soc_pct)
    pair.offers = given_
    return pair


def test_prices_are_stated_as_costs() -> None:
    prices = Prices(currency="EUR", blocks=(DEAR, CHEAP))
    offer = replace(NIGHT, charge=(Block(1_200, 9_000.0),), prices=prices)
    (stated,) = ISO2.schedules((offer,), EPOCH).SAScheduleTuple
    assert isinstance(stated, types.SAScheduleTuple)
    assert stated.SalesTariff is not None
    first, second = stated.SalesTariff.SalesTariffEntry
    assert [(str(one.costKind), one.amount) for one in first.ConsumptionCost[0].Cost] == [
        ("relativePricePercentage", 100),
        ("RenewableGenerationPercentage", 30),
        ("CarbonDioxideEmission", 200),
    ]
    assert (first.EPriceLevel, second.EPriceLevel) == (2, 1)


@GENERATIONS
def test_schedules_and_tariffs_survive_the_wire(dialect: Dialect) -> None:
    other = replace(NIGHT, tuple_id=2, charge=(Block(7_200, 3_000.0),))
    pair = offering(dialect, NIGHT, other)
    pair.run(in_loop)
    received = pair.ev_seen(events.SchedulesReceived)[0].offers
    assert [one.tuple_id for one in received] == [1, 2]
    for found, sent in zip(received, (NIGHT, other), strict=True):
        assert [one.power_w for one in found.charge] == [one.power_w for one in sent.charge]
        assert sum(one.duration_s for one in found.charge) == pytest.approx(7_200, abs=1)  # a second has begun
        assert found.levels is not None
        assert [level for _, level in found.levels.entries] == [1, 0]


@pytest.mark.parametrize("duration_s", [DAY + 1, 3 * DAY, 40 * DAY])
@GENERATIONS
def test_a_long_stay_is_covered_in_entries_of_a_day(dialect: Dialect, duration_s: int) -> None:
    """An entry lasts a day at most; before, the response could not be encoded and the session was lost."""
    car = RawCar(dialect, **offers(flat_offer(0, 5_000.0, None, duration_s=duration_s)))
    car.go(Step.CHARGE_PARAMETERS)
    (stated,) = car.step(Step.CHARGE_PARAMETERS).SASchedules.SAScheduleTuple
    last = stated.PMaxSchedule.PMaxScheduleEntry[-1].TimeInterval
    assert last.start + last.duration == min(duration_s, LONGEST_S)


def test_a_departure_in_some_days() -> None:
    car = RawCar()
    car.go(Step.CHARGE_PARAMETERS)
    stated = replace(car.request(Step.CHARGE_PARAMETERS).EVChargeParameter, DepartureTime=4_000_000_000)
    assert car.step(Step.CHARGE_PARAMETERS, EVChargeParameter=stated).ResponseCode == "OK"


@pytest.mark.parametrize("most", [1, 2, 5])
def test_no_more_entries_than_the_car_stores(most: int) -> None:
    blocks = tuple(Block(600, 1_000.0 * (index + 1)) for index in range(9))
    one = ScheduleOffer(tuple_id=1, anchor_s=0, charge=blocks)
    car = RawCar(**offers(one, replace(one, tuple_id=2), replace(one, tuple_id=3), replace(one, tuple_id=4)))
    car.go(Step.CHARGE_PARAMETERS)
    listed = car.step(Step.CHARGE_PARAMETERS, MaxEntriesSAScheduleTuple=most).SASchedules.SAScheduleTuple
    assert len(listed) == min(most, 3)
    entries = listed[0].PMaxSchedule.PMaxScheduleEntry
    assert len(entries) == most
    end = entries[-1].TimeInterval
    assert end.start + end.duration == 5_400


@pytest.mark.parametrize("ac", ["AC_three_phase_core", "AC_single_phase_core"])
def test_an_ac_car_follows_its_profile_over_time(ac: str) -> None:
    blocks = (Block(20, 3_000.0), Block(86_000, 2_000.0))
    pair = offering(ISO2, ScheduleOffer(tuple_id=5, anchor_s=int(EPOCH), charge=blocks), ac=ac)
    pair.run(in_loop)
    assert pair.secc.session.tuple_id == 5
    started = pair.seen(events.PowerStarted)[0].profile
    assert started is not None
    assert [round(one.power_w) for one in started.blocks] == [3_000, 2_000]
    assert pair.ev.planned_power(pair.now) == pytest.approx(3_000, rel=0.01)
    pair.run(lambda pair: pair.now > 30)
    assert pair.ev.planned_power(pair.now) == pytest.approx(2_000, rel=0.01)
    assert pair.ev_seen(events.ChargeLoopAnswered)[-1].station.target_power_w <= 2_000.0


@GENERATIONS
def test_the_schedule_limits_the_loop(dialect: Dialect) -> None:
    """The charger's limits in the loop are those of the selected schedule, whatever the car requests."""
    blocks = (Block(20, 9_000.0), Block(86_000, 3_000.0))
    pair = offering(dialect, ScheduleOffer(tuple_id=1, anchor_s=int(EPOCH), charge=blocks))
    pair.run(after_loops(3))
    assert pair.target_w == pytest.approx(9_000, rel=0.01)
    pair.run(lambda pair: pair.now > 25)
    assert pair.target_w == pytest.approx(3_000, rel=0.01)
    stop(pair)


@pytest.mark.parametrize("ac", ["", "AC_three_phase_core"])
def test_a_schedule_is_renegotiated_before_it_ends(ac: str) -> None:
    """V2G2-305."""
    short = flat_offer(int(EPOCH), 5_000.0, None, duration_s=80)
    pair = offering(ISO2, short, ac=ac)
    pair.run(in_loop)
    pair.offers = (flat_offer(int(EPOCH), 4_000.0, None),)
    pair.run(lambda pair: bool(pair.seen(events.Renegotiated)) and in_loop(pair))
    assert 15 < pair.now < 80
    assert pair.ev_seen(events.Notified)[0].notification is EVSENotification.ScheduleRenegotiation
    pair.run(lambda pair: pair.now > 100)
    assert pair.target_w == pytest.approx(4_000, rel=0.02)
    assert len(pair.seen(events.Renegotiated)) == 1


def test_din_has_no_renegotiation_and_the_last_limit_holds() -> None:
    pair = offering(DIN, flat_offer(int(EPOCH), 5_000.0, None, duration_s=30))
    pair.run(lambda pair: pair.now > 60)
    assert pair.secc.state is State.CHARGE_LOOP
    assert pair.target_w == pytest.approx(5_000, rel=0.01)


def test_a_profile_of_din_is_checked_too() -> None:
    """V2G-DC-399, 400."""
    t = DIN.types

    def profile(tuple_id: int, power_w: int) -> Any:
        entry = t.ProfileEntry(ChargingProfileEntryStart=0, ChargingProfileEntryMaxPower=power_w)
        return t.ChargingProfile(SAScheduleTupleID=tuple_id, ProfileEntry=(entry,))

    for tuple_id, power_w, code in (
        (1, 5_000, "OK"),
        (1, 6_000, "FAILED_ChargingProfileInvalid"),
        (1, -1, "FAILED_ChargingProfileInvalid"),
        (9, 5_000, "FAILED_TariffSelectionInvalid"),
    ):
        car = RawCar(DIN, tolerances=STRICT, **offers(flat_offer(0, 5_000.0, None)))
        car.go(Step.POWER_START)
        assert car.step(Step.POWER_START, ChargingProfile=profile(tuple_id, power_w)).ResponseCode == code
