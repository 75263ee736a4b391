"""A pair of engines of ISO 15118-2 or DIN 70121 with an ideal charger, on the pair of `engine_pair.py`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from protocols.iso15118.din.dialect import DIN
from protocols.iso15118.iso2.dialect import AC_MODES, DC_MODES, ISO2, Dialect
from protocols.iso15118.iso2.evcc import Evcc
from protocols.iso15118.iso2.evcc_session import EvccSettings
from protocols.iso15118.iso2.secc import Secc
from protocols.iso15118.iso2.secc_session import SeccSettings
from protocols.iso15118.iso2.states import State, Step
from protocols.iso15118.iso20 import events, orders
from protocols.iso15118.iso20.secc_session import Evse, Verdict
from tests.protocols.iso15118.engine_pair import AC_LIMITS, DC_LIMITS, EPOCH, EV_AC, Pair, car_state

DIALECTS = {"din": DIN, "iso2": ISO2}


class OldPair(Pair):
    """The ideal charger of a pair follows the EV's current, and reports the AC power that the EV takes."""

    ev: Any
    secc: Any

    def _be_a_charger(self, event: events.Event) -> None:
        if isinstance(event, events.ChargeLoopRequested):
            self.target_w = event.target.power_w
            if event.car.target_voltage_v is not None:
                self.current_a = self.target_w / self.voltage_v if self.voltage_v else 0.0
            self.tell()
        elif isinstance(event, events.PowerStopped) and self.secc.session.power_on:
            self.tell()
        else:
            super()._be_a_charger(event)


def secc_settings(**changes: Any) -> SeccSettings:
    base: dict[str, Any] = {
        "dc_modes": DC_MODES[:3],
        "ac_modes": AC_MODES,
        "dc": DC_LIMITS,
        "ac": AC_LIMITS,
        "evse_id": "DE8AAE00001",
    }
    return SeccSettings(**(base | changes))


def old_pair(
    dialect: Dialect = ISO2,
    *,
    ac: str = "",
    setpoint_w: float | None = None,
    soc_pct: float = 50.0,
    secc: dict[str, Any] | None = None,
    ev: dict[str, Any] | None = None,
    secc_arguments: dict[str, Any] | None = None,
    evse: dict[str, Any] | None = None,
) -> OldPair:
    """Return a pair; `ac`: the energy transfer mode of an AC session."""
    state = car_state(soc_pct, capacity_wh=63_000.0)
    if ac:
        state = replace(state, limits=EV_AC)
    changes = {"modes": (ac,)} | (ev or {}) if ac else ev or {}
    charger: Any = Secc(
        secc_settings(**(secc or {})),
        0.0,
        epoch=EPOCH,
        dialects=(dialect,),
        evse=Evse(setpoint_w=setpoint_w, **(evse or {})),
        **(secc_arguments or {}),
    )
    car: Any = Evcc(EvccSettings(**changes), state, 0.0, dialects=(dialect,))
    return OldPair(car, charger, soc_pct=soc_pct)


def in_loop(pair: Any) -> bool:
    return pair.secc.state is State.CHARGE_LOOP and pair.ev.step is Step.CHARGE_LOOP


def in_state(state: State) -> Any:
    return lambda pair: pair.secc.state is state


def in_step(step: Step) -> Any:
    return lambda pair: pair.ev.step is step


def after_loops(count: int) -> Any:
    return lambda pair: pair.ev.session.loops >= count


def stop(pair: Pair, **values: Any) -> None:
    """Order the end of the session and run to it."""
    pair.ev.command(orders.Stop(**values), pair.now)
    pair.run()


def authorize(pair: Pair, verdict: Verdict) -> None:
    pair.secc.command(orders.Authorize(verdict), pair.now)
