"""Values of a wallbox as events: connector, session, faults, limits, and a state of charge without its faults."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.drivers.modbus.session import WallboxSession
from gateway.drivers.modbus.soc import SocFilter
from gateway.model import event as model
from gateway.model.event import PlugState
from protocols.modbus.register import Meaning
from protocols.modbus.register_map import Glitches, shipped


def values(state: str, **more: Any) -> dict[Meaning, float | str]:
    return {Meaning.STATE: state, Meaning.POWER_W: 0.0, **{Meaning(name): value for name, value in more.items()}}


def kinds(found: list[model.Event]) -> list[str]:
    return [type(one).__name__ for one in found]


def test_a_session_from_the_plug_to_its_removal() -> None:
    session = WallboxSession("BAY", shipped("quasar-1"), most_discharge_w=5000.0)
    first = session.connected(values("available"), 1.0, 1000.0)
    assert kinds(first) == ["EvseDescribed", "StationConnected", "EvseDescribed", "PlugChanged", "Metered"]
    described = first[0]
    assert isinstance(described, model.EvseDescribed)
    assert (described.limits.max_charge_w, described.limits.max_discharge_w) == (7400.0, 5000.0)
    assert described.can_discharge
    assert kinds(session.read(values("occupied"), 2.0, 1001.0)) == ["PlugChanged", "Metered"]
    ready = session.read(values("ready", soc_pct=0.0), 3.0, 1002.0)
    assert kinds(ready) == ["SessionStarted", "NeedsStated", "Metered"]
    assert isinstance(ready[-1], model.Metered)
    assert ready[-1].soc_pct is None  # the product reads 0 while idle
    running = session.read(values("discharging", soc_pct=61.0, power_w=-3000.0), 4.0, 1003.0)
    assert kinds(running) == ["Metered"]
    assert isinstance(running[0], model.Metered)
    assert (running[0].soc_pct, running[0].power_w) == (61.0, -3000.0)
    gone = session.read(values("available"), 5.0, 1004.0)
    assert kinds(gone) == ["PlugChanged", "SessionEnded", "Metered"]
    assert session.session is None


def test_energy_of_a_product_without_registers_is_the_integral_of_its_power() -> None:
    session = WallboxSession("BAY", shipped("quasar-1"))
    session.connected(values("ready"), 0.0, 1000.0)
    for second in range(1, 3601):
        power_w = -3600.0 if second <= 1800 else 7200.0
        found = session.read(values("charging", soc_pct=60.0, power_w=power_w), float(second), 1000.0 + second)
    metered = found[-1]
    assert isinstance(metered, model.Metered)
    assert metered.energy_discharged_wh == pytest.approx(1800, abs=1.0)
    assert metered.energy_charged_wh == pytest.approx(3600, abs=1.5)
    session.silent("no answer", 3601.0)
    late = session.connected(values("charging", soc_pct=60.0, power_w=7200.0), 5000.0, 6000.0)[-1]
    assert isinstance(late, model.Metered)
    assert late.energy_charged_wh == metered.energy_charged_wh  # what flowed meanwhile is not known
    counted = WallboxSession("BAY", shipped("ambibox"))
    read = counted.connected(values("charging", connected=1.0, energy_charged_wh=500.0), 1.0, 1001.0)[-1]
    assert isinstance(read, model.Metered)
    assert (read.energy_charged_wh, read.energy_discharged_wh) == (500.0, None)


def test_a_silent_device_continues_its_session() -> None:
    session = WallboxSession("BAY", shipped("quasar-1"))
    session.connected(values("ready"), 1.0, 1000.0)
    name = session.session
    assert kinds(session.silent("no answer", 2.0)) == ["FaultRaised", "StationLost"]
    again = session.connected(values("ready"), 3.0, 1002.0)
    assert kinds(again)[:4] == ["EvseDescribed", "StationConnected", "FaultCleared", "SessionStarted"]
    assert session.session == name
    plugs = [one.state for one in again if isinstance(one, model.PlugChanged)]
    assert plugs == [PlugState.OCCUPIED]


def test_faults_appear_and_disappear() -> None:
    session = WallboxSession("BAY", shipped("ambibox"))
    session.connected(values("ready", connected=1.0, replug=0.0), 1.0, 1000.0)
    found = session.read(values("fault", connected=1.0, replug=1.0), 2.0, 1001.0)
    raised = {one.code for one in found if isinstance(one, model.FaultRaised)}
    assert raised == {"VendorError", "ReplugRequired"}
    assert [one.state for one in found if isinstance(one, model.PlugChanged)] == [PlugState.FAULTED]
    found = session.read(values("ready", connected=1.0, replug=0.0), 3.0, 1002.0)
    assert {one.code for one in found if isinstance(one, model.FaultCleared)} == {"VendorError", "ReplugRequired"}
    quasar = WallboxSession("BAY", shipped("quasar-1"))
    quasar.connected(values("ready"), 1.0, 1000.0)
    error = quasar.read(values("ready", fault="error_2 17"), 2.0, 1001.0)
    assert [one.text for one in error if isinstance(one, model.FaultRaised)] == ["error_2 17"]


def test_a_product_that_discharges_only_while_it_does() -> None:
    session = WallboxSession("BAY", shipped("sigenergy-evdc"))
    found = session.connected(values("charging", max_charge_w=25_000.0, max_discharge_w=25_000.0), 1.0, 1000.0)
    described = [one for one in found if isinstance(one, model.EvseDescribed)][-1]
    assert not described.can_discharge
    assert "in the inverter" in described.why_not
    found = session.read(values("discharging", max_charge_w=25_000.0, max_discharge_w=25_000.0), 2.0, 1001.0)
    described = [one for one in found if isinstance(one, model.EvseDescribed)][-1]
    assert described.can_discharge
    assert described.limits.max_discharge_w == 25_000.0


def test_no_vehicle_is_no_session_whatever_the_state_register_keeps() -> None:
    session = WallboxSession("BAY", shipped("ambibox"))
    found = session.connected(values("charging", connected=0.0), 1.0, 1000.0)
    assert session.session is None
    assert [one.state for one in found if isinstance(one, model.PlugChanged)] == [PlugState.AVAILABLE]


def test_glitches_of_the_state_of_charge() -> None:
    soc = SocFilter(Glitches(soc_zero_when_idle=True, soc_outliers_pct=1))
    assert soc.read(0.0, running=False) is None
    assert soc.read(1.0, running=True) is None  # may be the outlier
    assert soc.read(61.0, running=True) == 61.0
    assert soc.read(1.0, running=True) is None
    assert soc.read(61.0, running=True) == 61.0
    assert soc.read(0.0, running=False) is None
    assert soc.read(130.0, running=True) is None
    assert [soc.read(3.0, running=True) for _ in range(3)] == [None, None, 3.0]  # really so: three times in a row
    soc.reset()
    assert soc.read(80.0, running=True) == 80.0
    plain = SocFilter(Glitches())
    assert [plain.read(0.0, running=True) for _ in range(3)] == [None, None, 0.0]  # an empty battery in the end
