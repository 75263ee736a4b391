"""Tariffs and transaction costs computed by the station (OCPP 2.1 I07-I12)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.charger.station.tariffs.cost import Bill, Moment, applies, with_tax
from protocols.ocpp.events import Refused
from protocols.ocpp.schema import Version
from protocols.ocpp.times import stamp
from tests.emulators.charger.csms_rig import CsmsRig
from tests.requirements import requirement

pytestmark = pytest.mark.virtual_time

T0 = 1_768_435_200.0  # 2026-01-15T00:00:00Z, a Thursday
VAT = [{"type": "vat", "tax": 10.0}]


def tariff(name: str = "t1", **parts: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"tariffId": name, "currency": "EUR", **parts}
    return body if parts else body | {"energy": {"prices": [{"priceKwh": 0.25}], "taxRates": VAT}}


# laws

CLOCK = st.builds(lambda h, m: f"{h:02}:{m:02}", st.integers(0, 23), st.integers(0, 59))
CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "startTimeOfDay": CLOCK, "endTimeOfDay": CLOCK, "minEnergy": st.integers(0, 3000),
        "maxEnergy": st.integers(0, 3000), "minPower": st.integers(0, 9000), "maxTime": st.integers(0, 9000),
        "dayOfWeek": st.lists(st.sampled_from(["Thursday", "Friday"]), min_size=1, max_size=2, unique=True),
        "minIdleTime": st.integers(0, 1200),
    },
)  # fmt: skip
PRICES = st.lists(st.tuples(st.floats(0, 2), CONDITIONS), min_size=1, max_size=4)
STRETCHES = st.lists(
    st.tuples(st.integers(1, 1800), st.floats(0, 9000), st.booleans()), min_size=1, max_size=40
)  # seconds, W, whether it flows


@given(PRICES, PRICES, PRICES, STRETCHES)
def test_the_cost_is_the_sum_of_its_periods(
    energy: list[Any], charging: list[Any], idle: list[Any], stretches: list[tuple[int, float, bool]]
) -> None:
    """Compare with an independent computation of the conditions."""

    def part(prices: list[Any], name: str) -> dict[str, Any]:
        return {"prices": [{name: price, "conditions": conditions} for price, conditions in prices]}

    bill = Bill(
        tariff(energy=part(energy, "priceKwh"), chargingTime=part(charging, "priceMinute"),
               idleTime=part(idle, "priceMinute")), T0,
    )  # fmt: skip
    bill.begin(None)
    now, used, idle_run, money = T0, 0.0, 0.0, 0.0

    def price(prices: list[Any], watts: float) -> float:
        at = datetime.fromtimestamp(now, UTC)
        minutes = at.hour * 60 + at.minute
        for amount, c in prices:
            begin, end = (
                None if name not in c else int(c[name][:2]) * 60 + int(c[name][3:])
                for name in ("startTimeOfDay", "endTimeOfDay")
            )
            low, high = 0 if begin is None else begin, 1440 if end is None else end
            inside = low <= minutes < high if low <= high else not high <= minutes < low
            if (
                inside
                and c.get("minEnergy", 0) <= used < c.get("maxEnergy", 1e9)
                and watts >= c.get("minPower", 0)
                and now - T0 < c.get("maxTime", 1e9)
                and idle_run >= c.get("minIdleTime", 0)
                and f"{at:%A}" in c.get("dayOfWeek", [f"{at:%A}"])
            ):
                return float(amount)
        return 0.0

    for seconds, watts, flows in stretches:
        power = watts if flows else 0.0
        wh = power * seconds / 3600
        money += price(energy, power) * wh / 1000 + price(charging if flows else idle, power) * seconds / 60
        now, used, idle_run = now + seconds, used + wh, 0.0 if flows else idle_run + seconds
        bill.add(now, wh, power, 0.0, flows)
    details = bill.details(ended=True)
    assert details["totalCost"]["total"]["exclTax"] == pytest.approx(money, abs=1e-3)
    sums = [d for p in details["chargingPeriods"] for d in p.get("dimensions", [])]
    assert sum(d["volume"] for d in sums if d["type"] == "Energy") == pytest.approx(used, abs=0.1)
    assert details["totalUsage"]["chargingTime"] + details["totalUsage"]["idleTime"] == now - T0


@given(st.floats(0, 1000), st.lists(st.tuples(st.floats(0, 50), st.integers(0, 3)), max_size=5))
def test_taxes_stack(amount: float, rates: list[tuple[float, int]]) -> None:
    """I12.FR.13."""
    expected = amount
    for level in range(4):
        expected += expected * sum(tax for tax, at in rates if at == level) / 100
    found = with_tax(amount, [{"type": "x", "tax": tax, "stack": at} for tax, at in rates])
    assert found == pytest.approx(expected)


def test_bounds_of_conditions() -> None:
    noon = Moment(T0 + 12 * 3600)
    assert applies({"startTimeOfDay": "12:00"}, noon)
    assert not applies({"endTimeOfDay": "12:00"}, noon)
    assert applies({"startTimeOfDay": "22:00", "endTimeOfDay": "12:01"}, noon)  # over midnight
    assert applies({"validFromDate": "2026-01-15", "validToDate": "2026-01-16"}, noon)
    assert not applies({"validToDate": "2026-01-15"}, noon)
    assert not applies({"evseKind": "AC"}, noon)
    assert not applies({"paymentBrand": "any"}, noon)


@pytest.mark.parametrize(("wh", "kind", "total"), [(1000, "MinCost", 2.0), (20_000, "NormalCost", 5.0)])
def test_minimum_cost(wh: float, kind: str, total: float) -> None:
    """I12.FR.38."""
    bill = Bill(tariff(energy={"prices": [{"priceKwh": 0.25}]}, minCost={"exclTax": 2.0}), T0)
    bill.begin(None)
    bill.add(T0 + 60, wh, 5000.0, 0.0, True)
    cost = bill.details(ended=True)["totalCost"]
    assert (cost["typeOfCost"], cost["total"]["exclTax"]) == (kind, total)


def test_maximum_cost_stops_the_cost_and_not_the_usage() -> None:
    """I12.FR.39, .40."""
    bill = Bill(tariff(energy={"prices": [{"priceKwh": 1.0}]}, maxCost={"exclTax": 3.0}), T0)
    bill.begin(None)
    for minute in range(10):
        bill.add(T0 + 60 * (minute + 1), 1000.0, 5000.0, 0.0, True)
    found = bill.details(ended=True)
    assert (found["totalCost"]["typeOfCost"], found["totalCost"]["total"]["exclTax"]) == ("MaxCost", 3.0)
    assert found["totalUsage"]["energy"] == 10_000


def test_reservation_and_fixed_fee_are_charged_once() -> None:
    parts: dict[str, Any] = {
        "fixedFee": {"prices": [{"priceFixed": 2.5}]}, "reservationFixed": {"prices": [{"priceFixed": 1.0}]},
        "reservationTime": {"prices": [{"priceMinute": 0.1}]},
    }  # fmt: skip
    bill = Bill(tariff(**parts), T0)
    bill.begin(600.0)
    for minute in range(5):
        bill.add(T0 + 60 * (minute + 1), 100.0, 6000.0, 0.0, True)
    found = bill.details(ended=True)
    assert found["totalCost"]["fixed"]["exclTax"] == 2.5
    assert found["totalCost"]["reservationTime"]["exclTax"] == 1.0
    assert found["totalCost"]["total"]["exclTax"] == 4.5
    assert found["totalUsage"]["reservationTime"] == 600


# over the wire


def events(csms: CsmsRig, trigger: str) -> list[dict[str, Any]]:
    return [e for e in csms.calls("TransactionEvent") if e["triggerReason"] == trigger]


@requirement(
    "I07.FR.04", "I07.FR.06", "I07.FR.12", "I07.FR.14", "I07.FR.32", "I09.FR.01", "I12.FR.03", "I12.FR.09", "I12.FR.42"
)
async def test_a_transaction_uses_and_reports_the_default_tariff() -> None:
    """I07.FR.10-14, .32, I12.FR.01-04, .42."""
    async with CsmsRig(Version.V21) as csms:
        assert await csms.call("SetDefaultTariff", {"evseId": 0, "tariff": tariff()}) == {"status": "Accepted"}
        again = await csms.call("SetDefaultTariff", {"evseId": 1, "tariff": tariff()})
        assert again == {"status": "DuplicateTariffId"}
        unknown = await csms.call("SetDefaultTariff", {"evseId": 9, "tariff": tariff("t2")})
        assert unknown["status"] == "Rejected"
        assert (await csms.call("GetTariffs", {"evseId": 0}))["tariffAssignments"] == [
            {"tariffId": "t1", "tariffKind": "DefaultTariff", "evseIds": [1]}
        ]
        assert await csms.set("TariffCostCtrlr", "Interval", 60, "Cost") == "Accepted"
        await csms.charging()
        await csms.sleep(600)
        assert csms.calls("TransactionEvent")[0]["transactionInfo"]["tariffId"] == "t1"
        assert sum("tariffId" in e["transactionInfo"] for e in csms.calls("TransactionEvent")) == 1
        running = events(csms, "RunningCost")
        assert 9 <= len(running) <= 10
        costs = [e["costDetails"]["totalCost"]["total"]["inclTax"] for e in running]
        assert costs == sorted(costs)
        csms.station.unplug(1)
        await csms.sleep(2)
        end = csms.calls("TransactionEvent")[-1]
        cost = end["costDetails"]
        kwh = csms.evse().power_path.stage.meter.charged_wh / 1000
        assert kwh > 1
        assert cost["totalCost"]["energy"]["exclTax"] == pytest.approx(kwh * 0.25, abs=0.001)
        assert cost["totalCost"]["total"]["inclTax"] == pytest.approx(kwh * 0.275, abs=0.001)


@requirement("I07.FR.19", "I07.FR.20", "I07.FR.24", "I09.FR.03", "I10.FR.01", "I10.FR.06", "I10.FR.07")
async def test_a_tariff_replaces_the_previous_one_at_its_time() -> None:
    """I07.FR.19-24, I10."""
    async with CsmsRig(Version.V21) as csms:
        later = tariff("t2") | {"validFrom": stamp(csms.station.wall() + 600)}
        for one in (tariff("t1"), later):
            assert (await csms.call("SetDefaultTariff", {"evseId": 1, "tariff": one}))["status"] == "Accepted"
        await csms.charging()
        assert csms.calls("TransactionEvent")[0]["transactionInfo"]["tariffId"] == "t1"
        await csms.sleep(700)
        csms.station.unplug(1)
        await csms.sleep(1)
        periods = csms.calls("TransactionEvent")[-1]["costDetails"]["chargingPeriods"]
        assert {p["tariffId"] for p in periods} == {"t1"}  # I07.FR.24
        csms.received.clear()
        await csms.charging()
        assert csms.calls("TransactionEvent")[0]["transactionInfo"]["tariffId"] == "t2"
        cleared = await csms.call("ClearTariffs", {})
        assert cleared == {"clearTariffsResult": [{"tariffId": "t2", "status": "Accepted"}]}
        assert (await csms.call("GetTariffs", {"evseId": 0}))["tariffAssignments"][0]["tariffKind"] == "DriverTariff"
        csms.station.unplug(1)
        await csms.sleep(1)
        assert await csms.call("GetTariffs", {"evseId": 0}) == {"status": "NoTariff"}
        assert await csms.call("ClearTariffs", {}) == {"clearTariffsResult": [{"status": "NoTariff"}]}


@requirement("I08.FR.04", "I11.FR.04", "I11.FR.05", "I11.FR.07", "I11.FR.08", "I12.FR.04")
async def test_a_driver_tariff_has_precedence_and_can_change() -> None:
    """I08.FR.04, I11."""
    async with CsmsRig(Version.V21, id_token="04A1B2C3") as csms:
        await csms.call("SetDefaultTariff", {"evseId": 1, "tariff": tariff("t1")})
        csms.answers["Authorize"] = {"idTokenInfo": {"status": "Accepted"}, "tariff": tariff("mine")}
        await csms.charging()
        start = csms.calls("TransactionEvent")[0]["transactionInfo"]
        assert start["tariffId"] == "mine"
        change = {
            "transactionId": start["transactionId"],
            "tariff": tariff("new", energy={"prices": [{"priceKwh": 9}]}),
        }
        other = change | {"tariff": change["tariff"] | {"currency": "JPY"}}
        assert await csms.call("ChangeTransactionTariff", other) == {"status": "NoCurrencyChange"}
        gone = change | {"transactionId": "gone"}
        assert await csms.call("ChangeTransactionTariff", gone) == {"status": "TxNotFound"}
        await csms.sleep(300)
        assert await csms.call("ChangeTransactionTariff", change) == {"status": "Accepted"}
        await csms.sleep(300)
        assert events(csms, "TariffChanged")[0]["transactionInfo"]["tariffId"] == "new"
        csms.station.unplug(1)
        await csms.sleep(1)
        periods = csms.calls("TransactionEvent")[-1]["costDetails"]["chargingPeriods"]
        assert [p["tariffId"] for p in periods] == ["mine", "new"]


@requirement("I07.FR.01", "I07.FR.02")
async def test_a_station_without_cost_computation_answers_not_supported() -> None:
    """I07.FR.01, .02."""
    async with CsmsRig(Version.V21) as csms:
        many = tariff(energy={"prices": [{"priceKwh": 1.0}] * 51})
        assert await csms.call("SetDefaultTariff", {"evseId": 0, "tariff": many}) == {"status": "TooManyElements"}
        assert await csms.set("TariffCostCtrlr", "Enabled", "false", "Tariff") == "Accepted"
        reply = await csms.reply("SetDefaultTariff", {"evseId": 0, "tariff": tariff()})
        assert isinstance(reply, Refused)
        assert reply.code == "NotSupported"
