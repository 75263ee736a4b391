"""A car that sends any request to a SECC of ISO 15118-2 or DIN 70121, and the requests of an ordinary session."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from protocols.iso15118 import app_protocol
from protocols.iso15118.iso2.dialect import ISO2, Dialect
from protocols.iso15118.iso2.evcc_requests import build
from protocols.iso15118.iso2.evcc_session import EvccContext, EvccSettings, EvSession
from protocols.iso15118.iso2.secc import Secc
from protocols.iso15118.iso2.secc_session import charging
from protocols.iso15118.iso2.states import Step
from protocols.iso15118.iso20 import events, orders
from protocols.iso15118.iso20.limits import Limits
from protocols.iso15118.iso20.secc_session import Evse, Verdict
from protocols.v2gtp import Framer
from tests.protocols.iso15118.engine_pair import EV_AC, EV_DC, car_state
from tests.protocols.iso15118.iso2.iso2_pair import secc_settings

EV_LIMITS: dict[bool, Limits] = {True: EV_DC, False: EV_AC}
PATH = (
    Step.SESSION_SETUP,
    Step.SERVICE_DISCOVERY,
    Step.PAYMENT_SELECTION,
    Step.AUTHORIZATION,
    Step.CHARGE_PARAMETERS,
    Step.CABLE_CHECK,
    Step.PRE_CHARGE,
    Step.POWER_START,
    Step.CHARGE_LOOP,
    Step.POWER_STOP,
    Step.SESSION_STOP,
)


class RawCar:
    """A SECC after the handshake, with a charger that is ready, and the car's side of its connection."""

    def __init__(
        self,
        dialect: Dialect = ISO2,
        *,
        ac: str = "",
        evse: dict[str, Any] | None = None,
        paused: Any = None,
        **changes: Any,
    ) -> None:
        self.dialect, self.now = dialect, 0.0
        state: dict[str, Any] = {
            "setpoint_w": None,
            "authorization": Verdict.YES,
            "insulation": Verdict.YES,
            "schedules": (),
            "voltage_v": 400.0,
        }
        self.secc = Secc(
            secc_settings(**changes), 0.0, dialects=(dialect,), evse=Evse(**(state | (evse or {}))), paused=paused
        )
        self.events: list[events.Event] = []
        self.session_id = b"\x00"
        self.mode = ac or "DC_extended"
        self._framer = Framer()
        self.events += self.secc.receive(app_protocol.encode(app_protocol.request([dialect.protocol])), 0.0)
        self.secc.data_to_send()

    def request(self, step: Step, **changes: Any) -> Any:
        """Return the request that an ordinary car sends in a step, with changed fields."""
        session = EvSession(mode=self.mode, choice=charging(not self.mode.startswith("AC")), evse_limits=EV_DC)
        context = EvccContext(
            dialect=self.dialect,
            settings=EvccSettings(),
            car=replace(car_state(50.0), limits=EV_LIMITS[session.agreed.is_dc]),
            step=step,
            now=self.now,
        )
        return replace(build(session, context), **changes)

    def send(self, message: Any, session_id: bytes | None = None) -> Any:
        """Send a message; return the response, None without one."""
        sent = self.session_id if session_id is None else session_id
        return self.send_bytes(self.dialect.encode(sent, message))

    def send_bytes(self, data: bytes) -> Any:
        self.events += self.secc.receive(data, self.now)
        frames = self._framer.feed(self.secc.data_to_send())
        if not frames:
            return None
        self.session_id, response = self.dialect.decode(frames[-1].payload)
        return response

    def step(self, step: Step, **changes: Any) -> Any:
        return self.send(self.request(step, **changes))

    def go(self, until: Step) -> None:
        """Run the ordinary sequence up to, and without, the request of a step."""
        for step in PATH[: PATH.index(until)]:
            if self.mode.startswith("AC") and step in (Step.CABLE_CHECK, Step.PRE_CHARGE):
                continue
            response = self.step(step)
            assert response is not None, step
            assert response.ResponseCode.startswith("OK"), (step, response)

    def order(self, order: orders.SeccOrder) -> None:
        self.secc.command(order, self.now)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.events += self.secc.expire(self.now)

    def seen(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def ended(self) -> bool:
        return self.secc.ended

    def quantity(self, value: float, unit: str) -> Any:
        return self.dialect.quantity(value, unit)
