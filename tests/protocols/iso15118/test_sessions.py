"""Whole sessions between the two engines: every byte encoded and decoded, in any segmentation."""

from __future__ import annotations

import pytest

from protocols.iso15118.iso20 import events, orders
from protocols.iso15118.iso20.services import ControlMode, ServiceId
from tests.protocols.iso15118.engine_pair import EV_AC, car_state, loops, pair


@pytest.mark.parametrize("chunk", [0, 1, 7])
def test_a_dynamic_discharge_empties_the_battery(chunk: int) -> None:
    session = pair(setpoint_w=-5_000)
    session.run(until=loops(50), chunk=chunk)
    session.ev.command(orders.Stop(), session.now)
    session.run(chunk=chunk)
    assert session.ev_seen(events.SessionEnded)[-1].ok
    assert session.seen(events.SessionEnded)[-1].ok
    assert session.soc_pct < 80
    loop = session.ev_seen(events.ChargeLoopAnswered)[-1]
    assert loop.station.present_current_a == pytest.approx(-12.5)


@pytest.mark.parametrize("service", list(ServiceId))
@pytest.mark.parametrize("control", list(ControlMode))
@pytest.mark.parametrize("wish", [4_000, -4_000, 0])
def test_every_service_and_control_mode(service: ServiceId, control: ControlMode, wish: int) -> None:
    is_dc = service in (ServiceId.DC, ServiceId.DC_BPT)
    car = car_state() if is_dc else car_state(limits=EV_AC)
    session = pair(car=car, setpoint_w=wish, ev={"services": (service,), "controls": (control,)})
    session.run(until=loops(5))
    session.ev.command(orders.Stop(), session.now)
    session.run()
    assert session.ev_seen(events.SessionEnded)[-1].ok, session.ev_seen(events.SessionEnded)
    looped = session.seen(events.ChargeLoopRequested)[-1]
    assert looped.allowed.holds(looped.target.power_w)
    bidirectional = service in (ServiceId.AC_BPT, ServiceId.DC_BPT)
    if control is ControlMode.DYNAMIC:
        expected = wish if bidirectional or wish > 0 else 0
        assert looped.target.power_w == expected
    else:
        assert 0 <= looped.target.power_w <= max(wish, 0)
