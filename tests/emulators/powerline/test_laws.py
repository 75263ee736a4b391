"""Laws of matching on a disturbed line: loss, repetition, delay and reordering by chance, and neighbours."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.powerline.medium import Powerline, random_disturbance
from protocols.slac.behaviour import EV_PROFILES, EVSE_PROFILES
from protocols.slac.codec import decode
from protocols.slac.events import MatchConfirmed, Matched
from protocols.slac.messages import SlacMatchCnf
from protocols.slac.settings import EvseState, EvState, EvValidation
from tests.emulators.powerline.simulated_cables import matched, site
from tests.rounds import rounds

SEEDS = st.integers(0, 2**32)
NAMES = st.sampled_from([name for name in EVSE_PROFILES if name not in ("pyplc", "strict")])


def key_holders(line: Powerline) -> dict[bytes, set[bytes]]:
    """Return the vehicles that a confirmation gave each key to."""
    holders: dict[bytes, set[bytes]] = defaultdict(set)
    for _, _, data in line.frames:
        if data[15:17] == b"\x7d\x60":
            message = decode(data).message
            assert isinstance(message, SlacMatchCnf)
            holders[message.nmk].add(message.vehicle)
    return holders


@settings(max_examples=rounds(15, 500), deadline=None)
@given(SEEDS, st.floats(0, 0.2), st.floats(0, 0.3), st.floats(0, 0.03), st.sampled_from(sorted(EV_PROFILES)), NAMES)
def test_a_disturbed_line_matches_in_the_end(
    seed: int, loss: float, copies: float, delay_s: float, ev: str, evse: str
) -> None:
    disturbance = random_disturbance(seed, loss=loss, copies=copies, delay_s=delay_s)
    line, (cable,) = site(seed=seed, disturbance=disturbance, ev=ev, evse=evse)
    cable.plug_in()
    assert line.run(900.0, lambda: matched(cable))
    assert all(len(vehicles) == 1 for vehicles in key_holders(line).values())


@settings(max_examples=rounds(10, 300), deadline=None)
@given(
    SEEDS,
    st.lists(st.integers(3, 25), min_size=3, max_size=3),
    st.integers(4, 40),
    st.floats(0, 0.5),
    st.lists(st.floats(0, 2), min_size=3, max_size=3),
)
def test_the_right_charger_wins_by_attenuation(
    seed: int, cable_db: list[int], beyond_db: int, loss: float, pauses: list[float]
) -> None:
    """Sounds are lost, other frames arrive: each vehicle takes the charger at its cable, whenever it is plugged in."""
    disturbance = random_disturbance(seed, loss=loss, sounds_only=True)
    line, cables = site(3, seed=seed, disturbance=disturbance, cable_db=cable_db, cross_db=max(cable_db) + beyond_db)
    for cable, pause in zip(cables, pauses, strict=True):
        line.run(line.now + pause)
        cable.plug_in()
    assert line.run(300.0, lambda: all(map(matched, cables)))
    for cable in cables:
        chosen = [one for _, one in cable.ev_station.events if isinstance(one, MatchConfirmed)]
        assert {one.evse for one in chosen} == {cable.evse.slac.host}
    holders = key_holders(line)
    assert sorted(vehicle for vehicles in holders.values() for vehicle in vehicles) == [
        cable.ev.slac.host for cable in cables
    ]


@settings(max_examples=rounds(10, 300), deadline=None)
@given(SEEDS, st.floats(0, 0.25), st.integers(5, 30), st.integers(5, 30))
def test_with_a_validation_no_vehicle_takes_the_charger_of_a_silent_neighbour(
    seed: int, loss: float, cable_db: int, cross_db: int
) -> None:
    disturbance = random_disturbance(seed, loss=loss, copies=0.1, delay_s=0.01)
    line, cables = site(
        2,
        seed=seed,
        disturbance=disturbance,
        cable_db=(cable_db,),
        cross_db=cross_db,
        validation=EvValidation.ALWAYS,
        silent={2},
    )
    for cable in cables:
        cable.plug_in()
    line.run(900.0, lambda: bool(cables[0].ev_station.reported(Matched)))
    found = [one for _, one in cables[0].ev_station.events if isinstance(one, Matched)]
    assert {one.evse for one in found} <= {cables[0].evse.slac.host}


PLUGS = st.lists(st.tuples(st.integers(0, 2), st.floats(0, 6)), min_size=3, max_size=8)


@settings(max_examples=rounds(5, 300), deadline=None)
@given(SEEDS, PLUGS, st.floats(0, 0.3), st.floats(0, 0.5), st.floats(0, 0.3), st.integers(0, 60))
def test_never_two_vehicles_with_one_key(
    seed: int, plugs: list[tuple[int, float]], loss: float, copies: float, delay_s: float, cross_db: int
) -> None:
    """Plugs are inserted and removed at any time, on any line: each key goes to one vehicle."""
    disturbance = random_disturbance(seed, loss=loss, copies=copies, delay_s=delay_s)
    line, cables = site(3, seed=seed, disturbance=disturbance, cross_db=cross_db)
    inserted: set[int] = set()
    for number, pause in plugs:
        if number in inserted:
            cables[number].unplug()
        else:
            cables[number].plug_in()
        inserted ^= {number}
        line.run(line.now + pause)
    line.run(line.now + 15.0)
    assert all(len(vehicles) == 1 for vehicles in key_holders(line).values())
    joined = [cable for cable in cables if cable.ev.slac.state is EvState.MATCHED]
    keys = [cable.ev.slac.modem.nmk for cable in joined]
    assert len(set(keys)) == len(keys)
    for cable in cables:
        evse = cable.evse.slac
        assert len(evse.sessions) <= evse.settings.max_sessions
        if evse.state is EvseState.MATCHED:
            assert evse.peer in key_holders(line)[evse.modem.nmk]
