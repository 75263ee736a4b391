"""Laws of the island state machine: no source forms an island before the switch is confirmed open, and no power
flows in between.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.energy.reason import Decided
from gateway.energy.resilience.grid_watch import GridLimits, GridReading, GridWatch
from gateway.energy.resilience.island import Island
from gateway.energy.resilience.phase import FORMING, ZERO, IslandInputs, IslandSettings, Orders, Phase, Source
from gateway.model.energy_state import GridStatus
from tests.rounds import rounds

VOLTS, HERTZ = 202.0, 50.0
CAR = Source("CP1-1", 20_000, 6000)
PACK = Source("storage", 10_000, 10_000, storage=True)
WELL = GridReading(True, VOLTS, HERTZ, 4000.0)
GONE = GridReading(False, 0.0, 0.0, 0.0)


@dataclass
class Bench:
    """The state machine with a main switch that follows its orders, one second a step."""

    island: Island = field(default_factory=Island)
    now: float = 0.0
    open: bool = False
    sources: list[Source] = field(default_factory=lambda: [CAR, PACK])
    events: list[Decided] = field(default_factory=list)
    orders: Orders = field(default_factory=lambda: Orders(Phase.ON_GRID))
    stuck: bool = False
    phases: list[Phase] = field(default_factory=list)

    def run(self, seconds: int, seen: GridReading, silent_switch: bool = False, **more: object) -> Bench:
        for _ in range(seconds):
            self.now += 1.0
            if self.orders.switch and not self.stuck:
                self.open = self.orders.switch == "open"
            proof = None if silent_switch else self.open
            shown = GridReading(seen.present, seen.voltage_v, seen.frequency_hz, seen.power_w, not self.open)
            self.events += self.island.grid.update(shown, self.now)
            look = IslandInputs(self.now, proof, 0.0 if self.open else seen.power_w, self.sources, **more)  # type: ignore[arg-type]
            self.orders, events = self.island.step(look)
            self.events += events
            if not self.phases or self.phases[-1] is not self.orders.phase:
                self.phases.append(self.orders.phase)
        return self

    def codes(self) -> list[str]:
        return [event.code for event in self.events]

    def phase(self) -> Phase:
        return self.orders.phase

    def forming(self) -> str | None:
        return self.orders.forming


def test_an_outage_night_from_the_first_disturbance_to_grid_return() -> None:
    bench = Bench().run(60, WELL).run(3600, GONE)
    assert bench.phase() is Phase.ISLAND
    assert bench.forming() == "storage"
    bench.run(299, WELL)
    assert bench.phase() is Phase.ISLAND
    bench.run(2, WELL)
    assert bench.forming() is None
    bench.run(150, WELL)
    assert 0.3 < bench.orders.share < 0.7
    bench.run(200, WELL)
    assert bench.phase() is Phase.ON_GRID
    assert bench.phases == [
        Phase.ON_GRID, Phase.SUSPECT, Phase.OPENING, Phase.STARTING, Phase.ISLAND, Phase.CLOSING, Phase.RETURNING,
        Phase.ON_GRID,
    ]  # fmt: skip
    assert all(event.text.endswith(".") for event in bench.events)


seen_strategy = st.sampled_from(
    [
        WELL,
        GONE,
        GridReading(),
        GridReading(True, 150.0, 50.0),
        GridReading(True, 0.0, 0.0),
        GridReading(False, VOLTS, HERTZ, 4000.0),
        GridReading(True, VOLTS, 46.0),
        GridReading(None, None, None, 0.0),
        GridReading(False),
    ]
)
steps = st.lists(
    st.tuples(
        seen_strategy,
        st.sampled_from([True, False, None]),
        st.sampled_from([None, 0.0, 50.0, 5000.0]),
        st.lists(st.sampled_from([CAR, PACK, Source("empty", 0.0, 6000)]), max_size=3),
        st.sampled_from([None, None, True, False]),
        st.sampled_from([None, None, True, False]),
        st.booleans(),
        st.sampled_from([None, "CP1-1", "storage", "nobody"]),
        st.sampled_from([0.5, 1.0, 30.0, 400.0]),
    ),
    max_size=60,
)


@given(steps, st.booleans(), st.booleans(), st.booleans())
@settings(max_examples=rounds(80, 400))
def test_the_interlock_holds_in_any_sequence(shown: list[tuple], soft: bool, parallel: bool, capable: bool) -> None:  # type: ignore[type-arg]
    """Grid-forming begins only with position feedback in the same step and ends on contrary evidence; the switch is
    never ordered closed onto a grid that is not healthy; in between no power flows."""
    island = Island(IslandSettings(capable=capable, soft_transfer=soft, parallel_forming=parallel))
    now, forming_before = 0.0, None
    for seen, proof, through_w, sources, formed, backup, emergency, hand_to, gap in shown:
        now += gap
        island.grid.update(seen, now)
        orders, events = island.step(
            IslandInputs(now, proof, through_w, sources, formed, backup, emergency and gap < 1, hand_to)
        )
        if orders.forming is not None and forming_before is None:
            assert proof is True
            assert through_w is None or abs(through_w) <= 300
        if orders.forming is not None:
            assert orders.phase in FORMING
            assert proof is not False
            assert not (proof is True and through_w == 5000.0)
            assert not (emergency and gap < 1)
            assert orders.forming != "empty"
        if orders.switch == "closed":
            assert island.grid.status is not GridStatus.LOST
        if island.grid.status in (GridStatus.LOST, GridStatus.SUSPECT) and orders.forming is None:
            assert orders.phase in ZERO
        assert all(event.code and event.text for event in events)
        forming_before = orders.forming


def test_no_grid_forming_without_confirmed_open_position_and_an_alert() -> None:
    bench = Bench(stuck=True).run(10, WELL).run(120, GONE)
    assert bench.phase() is Phase.OPENING
    assert bench.orders.phase in ZERO
    assert bench.codes().count("main_switch_not_proven") == 1


def test_missing_position_feedback_does_not_end_supply_but_a_reported_closing_does() -> None:
    bench = Bench().run(10, WELL).run(60, GONE)
    bench.run(600, GridReading(), silent_switch=True)
    assert bench.phase() is Phase.ISLAND
    bench.stuck, bench.open = True, False
    bench.run(1, GONE)
    assert bench.forming() is None
    assert "interlock_tripped" in bench.codes()


def test_a_false_position_feedback_of_the_switch_is_detected_in_time() -> None:
    """It reports open while power flows through it: its feedback is not used in the outage."""
    bench = Bench()
    for _ in range(10):
        bench.now += 1
        bench.island.grid.update(WELL, bench.now)
        _, events = bench.island.step(IslandInputs(bench.now, True, 4000.0, [CAR]))
        bench.events += events
    assert "switch_proof_contradicted" in bench.codes()
    bench.open, bench.stuck = True, True
    bench.run(60, GONE)
    assert bench.forming() is None


def test_a_short_brown_out_is_ridden_through_and_a_long_one_is_a_grid_loss() -> None:
    bench = Bench().run(10, WELL).run(5, GridReading(True, 150.0, 50.0))
    assert bench.orders.phase in ZERO
    bench.run(5, WELL)
    assert bench.phase() is Phase.ON_GRID
    bench.run(20, GridReading(True, 150.0, 50.0))
    assert bench.phase() is Phase.ISLAND


def test_a_flapping_grid_waits_longer_each_time() -> None:
    bench = Bench().run(10, WELL)
    for _ in range(4):
        bench.run(60, GONE).run(200, WELL)
    assert bench.phase() is Phase.ISLAND
    assert bench.island.grid.reconnect_s(bench.now) == 2400
    assert bench.codes().count("grid_flapping") == 3
    bench.run(2100, WELL)
    assert bench.phase() is Phase.ISLAND
    bench.run(400, WELL)
    assert bench.phase() is not Phase.ISLAND


@pytest.mark.parametrize(
    ("seen", "lost"),
    [
        (GridReading(False, VOLTS, HERTZ, 4000.0), False),  # the facility is wrong: voltage and power are there
        (GridReading(True, 0.0, 0.0, 0.0), True),  # the facility is wrong: the voltage is gone
        (GridReading(True, None, None, 0.0), False),  # powers alone do not outvote the facility
        (GridReading(True, None, None, 5000.0), False),
        (GridReading(), False),  # silence is not an outage
    ],
)
def test_one_wrong_loss_of_mains_source_is_not_followed(seen: GridReading, lost: bool) -> None:
    watch = GridWatch(GridLimits())
    for second in range(30):
        watch.update(WELL if second < 5 else seen, float(second))
    assert (watch.status is GridStatus.LOST) is lost


def test_a_failed_source_is_not_used_and_the_next_one_starts() -> None:
    bench = Bench().run(10, WELL).run(5, GONE, formed=False)
    assert bench.forming() == "storage"
    bench.run(40, GONE, formed=False)
    assert bench.forming() == "CP1-1"
    assert "black_start_failed" in bench.codes()


def test_the_only_source_is_tried_again_soon_after_a_failed_start() -> None:
    bench = Bench(sources=[CAR]).run(60, WELL).run(20, GONE, formed=False)
    assert bench.forming() == "CP1-1"
    bench.run(20, GONE, formed=False)
    assert "black_start_failed" in bench.codes()
    bench.run(15, GONE, formed=False)
    assert bench.forming() == "CP1-1"
    bench.run(10, GONE, formed=True)
    assert bench.phase() is Phase.ISLAND


def test_a_vehicle_in_the_place_of_one_that_left_forms_the_island_at_once() -> None:
    bench = Bench(sources=[CAR]).run(60, WELL).run(30, GONE)
    assert bench.phase() is Phase.ISLAND
    bench.sources = []
    bench.run(20, GONE)
    assert bench.forming() is None
    bench.sources = [CAR]
    bench.run(5, GONE)
    assert bench.forming() == "CP1-1"


def test_a_vehicle_that_left_is_not_preferred_when_it_returns() -> None:
    other = Source("CP2-1", 5_000, 6000)
    bench = Bench(sources=[CAR, other]).run(60, WELL).run(30, GONE)
    bench.sources = [other]
    bench.run(20, GONE)
    bench.sources = [CAR, other]
    bench.run(60, GONE)
    assert bench.forming() == "CP2-1"


def test_an_empty_source_hands_over_and_the_last_one_ends_the_island() -> None:
    bench = Bench().run(10, WELL).run(60, GONE)
    bench.sources = [CAR, Source("storage", 0.0, 0.0, storage=True)]
    bench.run(10, GONE)
    assert (bench.phase(), bench.forming()) == (Phase.ISLAND, "CP1-1")
    bench.sources = []
    bench.run(10, GONE)
    assert bench.phase() is Phase.DARK
    assert "no_source" in bench.codes()


def test_a_soft_transfer_leaves_no_gap_in_supply() -> None:
    bench = Bench(Island(IslandSettings(soft_transfer=True))).run(10, WELL).run(60, GONE)
    at = len(bench.phases)
    bench.run(700, WELL)
    assert bench.phases[at:] == [Phase.SYNCHRONISING, Phase.RETURNING, Phase.ON_GRID]


@pytest.mark.parametrize("seen", [GONE, GridReading(True, 150.0, HERTZ, 4000.0), GridReading(True, 0.0, 0.0, 0.0)])
def test_a_grid_that_fails_when_the_switch_closes_stops_the_source_and_opens_it_again(seen: GridReading) -> None:
    bench = Bench(Island(IslandSettings(soft_transfer=True))).run(10, WELL).run(60, GONE)
    while bench.phase() is not Phase.SYNCHRONISING:
        bench.run(1, WELL)
    bench.run(1, seen)  # the switch has closed
    assert (bench.phase(), bench.forming(), bench.orders.switch) == (Phase.OPENING, None, "open")
    bench.run(30, seen)
    assert bench.phase() is Phase.ISLAND


def test_a_commanded_island_lasts_until_its_order_ends() -> None:
    bench = Bench().run(400, WELL).run(1, WELL, backup=True).run(900, WELL)
    assert bench.phase() is Phase.ISLAND
    bench.run(1, WELL, backup=False).run(60, WELL)
    assert bench.phase() is Phase.RETURNING


def test_the_emergency_stop_ends_supply_and_its_end_brings_it_back() -> None:
    bench = Bench().run(10, WELL).run(60, GONE).run(5, GONE, emergency=True)
    assert bench.phase() is Phase.DARK
    assert bench.orders.phase in ZERO
    bench.run(10, GONE)
    assert bench.phase() is Phase.ISLAND


def test_a_site_without_a_switch_waits() -> None:
    bench = Bench(Island(IslandSettings(capable=False))).run(10, WELL).run(60, GONE)
    assert bench.phase() is Phase.WAITING
    assert bench.orders.phase in ZERO
    bench.run(310, WELL)
    assert bench.phase() is Phase.RETURNING


def test_an_island_of_an_unknown_source_is_supplied_until_the_reconnect_delay_has_passed() -> None:
    bench = Bench(sources=[]).run(60, WELL).run(60, GONE, formed=True)
    assert bench.phase() is Phase.DARK
    bench.run(299, WELL, formed=True)
    assert "closing_main_switch" not in bench.codes()
    bench.run(2, WELL, formed=True)
    assert "closing_main_switch" in bench.codes()


def test_a_site_without_supply_is_reconnected_soon() -> None:
    bench = Bench(sources=[]).run(60, WELL).run(60, GONE, formed=False).run(22, WELL, formed=False)
    assert "closing_main_switch" in bench.codes()
