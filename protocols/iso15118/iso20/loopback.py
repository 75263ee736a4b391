"""A session between the two engines in memory, with every byte encoded and decoded, for the benchmark.

No I/O and no clock.
"""

from __future__ import annotations

from protocols.iso15118.iso20 import events, orders
from protocols.iso15118.iso20.evcc import Evcc
from protocols.iso15118.iso20.evcc_session import EvccSettings
from protocols.iso15118.iso20.limits import Limits
from protocols.iso15118.iso20.secc import Secc
from protocols.iso15118.iso20.secc_session import Evse, SeccSettings, Verdict
from protocols.iso15118.iso20.services import ControlMode, ServiceId, offer
from protocols.iso15118.iso20.setpoint import EnergyRequests

VOLTAGE_V = 400.0
LIMITS = Limits(
    max_charge_w=20_000,
    max_discharge_w=10_000,
    max_charge_a=50,
    max_discharge_a=50,
    max_voltage_v=420,
    min_voltage_v=200,
)
NEEDS = EnergyRequests(target_wh=0, maximum_wh=10_000, minimum_wh=-30_000, maximum_v2x_wh=8_000, minimum_v2x_wh=-25_000)


def session(service: ServiceId, control: ControlMode, loops: int) -> int:
    """Run a session of `loops` charge loops and return their number. Raises RuntimeError unless it ends regularly."""
    settings = EvccSettings(evccid="LOOPBACK", services=(service,), controls=(control,), loop_interval=0.0)
    direction = -1.0 if service in (ServiceId.DC_BPT, ServiceId.AC_BPT) else 1.0
    evse = Evse(
        setpoint_w=direction * 5_000.0,
        authorization=Verdict.YES,
        schedules=(),
        insulation=Verdict.YES,
        voltage_v=VOLTAGE_V,
        current_a=direction * 12.5,
    )
    ev = Evcc(settings, _car(0), 0.0, epoch=1.7e9)
    secc = Secc(SeccSettings(offers=(offer(service),), dc=LIMITS, ac=LIMITS), 0.0, epoch=1.7e9, evse=evse)
    now, ended = 0.0, None
    while not ev.ended:
        now = max(now, ev.deadline() or now)
        ev.expire(now)
        secc.receive(ev.data_to_send(), now)
        for event in ev.receive(secc.data_to_send(), now):
            if isinstance(event, events.SessionEnded):
                ended = event
        if ev.session.loops >= loops:
            ev.command(orders.Stop(), now)
        elif ev.session.loops:
            ev.command(_car(ev.session.loops), now)
    if ended is None or not ended.ok:
        raise RuntimeError(f"the loopback session failed after {ev.session.loops} loops: {ended}")
    return ev.session.loops


def _car(loop: int) -> orders.CarState:
    """Return an EV state whose values change from loop to loop."""
    return orders.CarState(limits=LIMITS, needs=NEEDS, voltage_v=VOLTAGE_V + loop % 7)
