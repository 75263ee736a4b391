"""Both engines over emulated modems in memory: vehicles, chargers, modems of the field, failures and recovery."""

from __future__ import annotations

import pytest

from emulators.powerline.medium import random_disturbance
from protocols.iec61851 import (
    DIGITAL,
    OfferCurrent,
    OutputChanged,
    OutputKind,
    PilotOutput,
    PilotState,
    RequestEnergy,
    RetriesExhausted,
)
from protocols.slac.behaviour import EV_PROFILES, EVSE_PROFILES
from protocols.slac.events import (
    EvseChosen,
    KeySet,
    LinkLost,
    Matched,
    MatchingFailed,
    NoMatchingRequest,
    Pause,
    Resume,
    SendAmplitudeMap,
    ValidationEnded,
)
from protocols.slac.settings import EvseState, EvState, EvValidation, Validation
from tests.docs.pages import all_blocks
from tests.emulators.powerline.simulated_cables import evse_mac, matched, site

ERROR = PilotOutput(OutputKind.F)


@pytest.mark.parametrize("evse", [name for name in EVSE_PROFILES if name != "pyplc"])
@pytest.mark.parametrize("ev", EV_PROFILES)
def test_every_vehicle_at_every_charger(ev: str, evse: str) -> None:
    line, (cable,) = site(ev=ev, evse=evse)
    cable.plug_in()
    assert line.run(120.0, lambda: matched(cable))
    assert cable.evse.slac.modem.nmk == cable.ev.slac.modem.nmk


@pytest.mark.parametrize("modem", ["qca7000", "qca7005", "cg5317", "slow"])
def test_every_modem(modem: str) -> None:
    line, (cable,) = site(evse_modem=modem, ev_modem=modem)
    cable.plug_in()
    assert line.run(60.0, lambda: matched(cable))


def test_a_modem_without_profiles_is_no_modem_of_an_evse() -> None:
    line, (cable,) = site(evse_modem="ar7420")
    cable.plug_in()
    assert not line.run(60.0, lambda: matched(cable))
    line, (cable,) = site(evse_modem="ar7420", evse="pyplc")  # but on a bench with one vehicle
    cable.plug_in()
    assert line.run(60.0, lambda: matched(cable))
    line, (cable,) = site(ev_modem="ar7420")
    cable.plug_in()
    assert line.run(60.0, lambda: matched(cable))


def test_a_neighbours_vehicle_takes_its_own_charger() -> None:
    line, cables = site(3, cable_db=(8, 22, 15), cross_db=35)
    for cable in cables:
        cable.plug_in()
    assert line.run(60.0, lambda: all(map(matched, cables)))
    assert len({cable.evse.slac.modem.nmk for cable in cables}) == 3
    (chosen,) = cables[0].ev_station.reported(EvseChosen)
    assert isinstance(chosen, EvseChosen)
    assert (chosen.evse, chosen.candidates) == (evse_mac(1), 3)


def test_a_validation_separates_two_bays_that_are_as_close() -> None:
    """The attenuation names the charger of a vehicle without SLAC; the control pilot does not."""
    for policy, right in ((EvValidation.NEVER, False), (EvValidation.ALWAYS, True), (EvValidation.AMBIGUOUS, True)):
        line, cables = site(2, cable_db=(11,), cross_db=9, validation=policy, silent={2})
        for cable in cables:
            cable.plug_in()
        assert line.run(30.0, lambda: bool(cables[0].ev_station.reported(Matched)))  # noqa: B023
        assert matched(cables[0]) is right
        ended = [one.ok for _, one in cables[0].ev_station.events if isinstance(one, ValidationEnded)]
        assert ended == ([False, True] if right else [])


def test_an_evse_that_requires_no_validation() -> None:
    line, (cable,) = site(validation=EvValidation.ALWAYS, validated=Validation.NOT_REQUIRED)
    cable.plug_in()
    assert line.run(30.0, lambda: matched(cable))


def test_lost_sounds_are_tolerated() -> None:
    line, (cable,) = site(disturbance=random_disturbance(3, loss=0.5, sounds_only=True))
    cable.plug_in()
    assert line.run(30.0, lambda: matched(cable))


def test_the_whole_life_of_a_plug() -> None:
    line, (cable,) = site()
    for _ in range(3):
        key = cable.evse.slac.modem.nmk
        cable.plug_in()
        begin = line.now
        assert line.run(begin + 20.0, lambda: matched(cable) and cable.evse.slac.state is EvseState.MATCHED)
        line.run(line.now + 30.0)
        cable.unplug()
        line.run(line.now + 5.0)
        assert cable.evse.slac.state is EvseState.UNMATCHED
        assert cable.ev.slac.state is EvState.UNMATCHED
        assert cable.evse.slac.modem.nmk != key
        cable.evse_station.events.clear()
        cable.ev_station.events.clear()


def test_no_vehicle_that_speaks_slac_is_retried_and_left_at_x1() -> None:
    line, (cable,) = site(silent={1})
    cable.plug_in()
    line.run(line.now + 600.0)
    assert len(cable.evse_station.reported(NoMatchingRequest)) >= 3
    assert len(cable.evse_station.reported(RetriesExhausted)) == 1
    assert cable.evse.output.kind is OutputKind.X1


def test_the_example_of_the_documentation() -> None:
    (block,) = [one for one in all_blocks("python") if one.page.name == "slac.md"]
    exec(compile(block.code, str(block), "exec"), {})


def test_a_vehicle_without_slac_charges_by_the_duty_cycle() -> None:
    line, (cable,) = site(silent={1})
    cable.evse.basic_a = 16.0
    cable.plug_in()
    cable.ev.pilot.command(RequestEnergy(), line.now)
    line.run(line.now + 200.0)
    assert cable.evse.pilot.state is PilotState.C
    assert cable.ev.pilot.current_limit_a == pytest.approx(16.0, abs=0.01)
    cable.unplug()
    line.run(line.now + 1.0)
    cable.plug_in()
    line.run(line.now + 1.0)
    assert cable.evse.output == DIGITAL  # the next vehicle may have SLAC


def test_the_next_vehicle_waits_for_the_next_key() -> None:
    line, (cable,) = site(ev="tesla", evse_modem="slow")
    cable.plug_in()
    assert line.run(30.0, lambda: matched(cable))
    cable.unplug()
    line.run(line.now + 0.05)
    cable.plug_in()
    for station in line.stations:
        station.events.clear()
    assert line.run(line.now + 20.0, lambda: matched(cable))
    assert not cable.ev_station.reported(MatchingFailed)


def test_a_lost_link_leads_to_a_new_matching() -> None:
    line, (cable,) = site()
    cable.plug_in()
    assert line.run(20.0, lambda: matched(cable))
    line.disturbance = lambda _: ()
    assert line.run(line.now + 20.0, lambda: bool(cable.evse_station.reported(LinkLost)))
    line.disturbance = lambda _: (0.0,)
    cable.evse_station.events.clear()
    cable.ev_station.events.clear()
    assert line.run(line.now + 60.0, lambda: matched(cable))
    outputs = [one.output for _, one in cable.evse_station.events if isinstance(one, OutputChanged)]
    assert outputs[-2:] == [ERROR, DIGITAL]


def test_a_pause_and_its_end() -> None:
    line, (cable,) = site()
    cable.plug_in()
    assert line.run(20.0, lambda: matched(cable))
    for plug in (cable.evse, cable.ev):
        plug.command(Pause(), line.now)
    line.disturbance = lambda _: ()  # the vehicle's modem is in sleep mode
    line.run(line.now + 600.0)
    line.disturbance = lambda _: (0.0,)
    line.run(line.now + 2.0)
    for plug in (cable.evse, cable.ev):
        plug.command(Resume(), line.now)
    line.run(line.now + 60.0)
    assert cable.evse.slac.state is EvseState.MATCHED
    assert cable.ev.slac.state is EvState.MATCHED
    assert not cable.evse_station.reported(LinkLost)


def test_amplitude_maps_both_ways() -> None:
    line, (cable,) = site()
    cable.plug_in()
    assert line.run(20.0, lambda: matched(cable))
    for plug in (cable.evse, cable.ev):
        plug.command(SendAmplitudeMap((2,) * 917), line.now)
    line.run(line.now + 1.0)
    for station in (cable.evse_station, cable.ev_station):
        assert [type(one).__name__ for _, one in station.events][-2:] == [
            "AmplitudeMapReceived",
            "AmplitudeMapAnswered",
        ]


def test_a_nominal_duty_cycle_of_a_vehicle_that_matched_comes_after_x1() -> None:
    line, (cable,) = site()
    cable.plug_in()
    assert line.run(20.0, lambda: matched(cable))
    cable.evse_station.events.clear()
    cable.evse_station.events.extend((line.now, one) for one in cable.evse.command(OfferCurrent(16), line.now))
    line.run(line.now + 10.0)
    outputs = [one.output.kind for _, one in cable.evse_station.events if isinstance(one, OutputChanged)]
    assert outputs == [OutputKind.X1, OutputKind.PWM]


def test_the_key_is_set_before_a_vehicle_gets_its_five_percent() -> None:
    """A Tesla starts within milliseconds of 5 %."""
    line, (cable,) = site(ev="tesla", evse_modem="slow")
    cable.plug_in()
    assert line.run(20.0, lambda: matched(cable))
    key = next(at for at, one in cable.evse_station.events if isinstance(one, KeySet))
    pwm = next(at for at, one in cable.evse_station.events if isinstance(one, OutputChanged))
    assert pwm >= key + 1.0
    assert not cable.ev_station.reported(MatchingFailed)
    assert cable.ev_station.reported(Matched)
