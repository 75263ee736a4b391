"""Orders of a HEMS for one EVSE: mode, method and power as written, and the command that follows from them.

A HEMS writes mode and power in any order, so a command that gives power waits SETTLE_S for the rest; standby does not
wait. Its lease ends `lease_s` after the last request of any kind by the HEMS that ordered, and renews until then.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from gateway.hems.settings import HemsSettings
from gateway.hems.snapshot import Snapshots
from gateway.model.command import LEASED, MAX_POWER_W, SHORTEST_LEASE_S, Channel, SiteMode, Submission, Verb
from gateway.model.foreign_text import line
from gateway.model.result import Status
from gateway.service import GatewayService
from protocols.echonet.values import Value
from protocols.ports import Clock

log = logging.getLogger("v2x.hems")

MODE, CHARGE_METHOD, DISCHARGE_METHOD, SIGNED_POWER = 0xDA, 0xDC, 0xDD, 0xE0
CHARGE_POWER, DISCHARGE_POWER, CHARGE_CURRENT, DISCHARGE_CURRENT = 0xEB, 0xEC, 0xED, 0xEE
SETTLE_S = 0.3  # for the other properties of an order
NO_COMMAND = "the gateway has no command for this mode with the present method and power"
CHECKS = 8  # of the HEMS's activity in a lease
POWER, CURRENT, V2G = "designatedElectricPower", "designatedElectricCurrent", "v2G"
_MOST = {CHARGE_METHOD: "maximumChargingElectricPower", DISCHARGE_METHOD: "maximumDischargingElectricPower"}
_STOPPED = ("standby", "idle")
SETTABLE = frozenset(
    {MODE, CHARGE_METHOD, DISCHARGE_METHOD, SIGNED_POWER, CHARGE_POWER, DISCHARGE_POWER, CHARGE_CURRENT,
     DISCHARGE_CURRENT}
)  # fmt: skip


@dataclass(slots=True)
class Order:
    """An order in force, or on its way: `command` is None until the gateway has answered."""

    mode: str
    sender: str = ""
    command: str | None = None
    before: str | None = None  # command in force when it was given; a newer one of others ends the order
    leased: bool = False
    at: float = 0.0  # when it was submitted
    due: float | None = None  # when it has to be submitted, or its renewal is due

    @property
    def stops(self) -> bool:
        """True where its command takes power away, and so waits for no other one."""
        return self.mode in _STOPPED


class EvseOrders:
    """Settings that a HEMS has written, its order and the command of it. `refused` counts orders by reason code."""

    def __init__(
        self,
        evse: str,
        service: GatewayService,
        snapshots: Snapshots,
        settings: HemsSettings,
        clock: Clock,
        last_request: Callable[[str], float | None],
    ) -> None:
        self._evse, self._service, self._snapshots = evse, service, snapshots
        self._settings, self._clock, self._last_request = settings, clock, last_request
        self._values: dict[int, Value] = {CHARGE_METHOD: POWER, DISCHARGE_METHOD: POWER, SIGNED_POWER: 0}
        self._order: Order | None = None
        self._last_command: str | None = None  # of this HEMS interface
        self._changed = {stops: asyncio.Event() for stops in (False, True)}
        self._sequence = 0
        self._written = MODE
        self._refusals: dict[int, str] = {}
        self.refused: Counter[str] = Counter()

    # properties -----------------------------------------------------------------------------------------------------

    def read(self, epc: int, now: float) -> Value | None:
        """Return a value that a HEMS can set; an unset power is the highest one."""
        if epc == MODE:
            return self.mode(now)
        if epc in self._values:
            return self._values[epc]
        rated = {CHARGE_POWER: self._snapshots.at(now).max_charge_w, DISCHARGE_POWER: self._rated_discharge_w(now)}
        power_w = rated.get(epc)
        return None if power_w is None else round(power_w)

    def mode(self, now: float) -> str:
        """Return the mode that was ordered while it is in force, else that of the command in force or of the site."""
        order, one = self._in_force(now), self._snapshots.at(now)
        if order is not None:
            return order.mode
        command = one.state.command
        if command is None:
            return "standby" if one.site.mode is SiteMode.MANUAL else "automatic"
        match command.verb:
            case Verb.DISCHARGE | Verb.CHARGE:
                return command.verb
            case Verb.SETPOINT if command.requested_w:
                return "charge" if command.requested_w > 0 else "discharge"
            case Verb.SCHEDULE:
                return "other"
        return "standby"

    def write(self, epc: int, value: Value, now: float) -> bool:
        """Apply what a HEMS writes; False where the gateway would refuse the command."""
        self._written = epc
        self._snapshots.expire()
        if epc == MODE:
            return self._enter(str(value), now)
        if epc in _MOST and value not in (POWER, CURRENT, V2G, _MOST[epc]):
            return self._refuse("method", "the gateway has no command for this method")
        order, before = self._in_force(now), dict(self._values)
        command = None if order is None else self._command(order.mode, now)
        self._values[epc] = value
        if order is None or self._command(order.mode, now) == command:
            return True
        if not self._granted(order.mode, now):
            self._values = before
            return False
        self._submit_at(order, now, SETTLE_S)
        return True

    def ordered_by(self, sender: str) -> None:
        """Note which node has written last."""
        if self._order is not None:
            self._order.sender = sender

    # orders ---------------------------------------------------------------------------------------------------------

    def _in_force(self, now: float) -> Order | None:
        """Return the order while its command is in force or on its way."""
        order = self._order
        if order is None or order.command is None:
            return order
        if self._command_in_force(now) == order.command:
            return order
        self._order = None
        return None

    def _enter(self, mode: str, now: float) -> bool:
        if not self._granted(mode, now):
            return False
        order = self._in_force(now)
        if order is None or order.mode != mode:
            verb = self._command(mode, now)
            self._order = order = Order(mode)
            self._submit_at(order, now, SETTLE_S if verb is not None and verb[0] in LEASED else 0.0)
        return True

    def _submit_at(self, order: Order, now: float, settle_s: float) -> None:
        order.command, order.before, order.due = None, self._command_in_force(now), now + settle_s
        self._changed[order.stops].set()

    def _command_in_force(self, now: float) -> str | None:
        command = self._snapshots.at(now).state.command
        return None if command is None else command.id

    def _granted(self, mode: str, now: float) -> bool:
        command = self._command(mode, now)
        if command is None:
            return self._refuse("mode", NO_COMMAND)
        self._snapshots.expire()
        decision = self._service.preview(self._submission(*command, self._settings.lease_s, ""))
        return decision.status is not Status.REFUSED or self._refuse(decision.reason.code.value, decision.reason.text)

    def _refuse(self, code: str, text: str) -> bool:
        self.refused[code] += 1
        self._refusals[self._written] = text
        return False

    def take_refusal(self, epc: int) -> str | None:
        """Return why a property was not set, once."""
        return self._refusals.pop(epc, None)

    def _command(self, mode: str, now: float) -> tuple[Verb, float | None] | None:
        """Return verb and power of a mode with the present settings, None where the gateway has no command for it."""
        power_w: float | None
        match mode:
            case _ if mode in _STOPPED:
                return Verb.STOP, None
            case "preparation":
                return Verb.SETPOINT, 0.0
            case "automatic":
                manual = self._snapshots.at(now).site.mode is SiteMode.MANUAL
                return None if manual else (Verb.RELEASE, None)
            case "charge":
                power_w = self._power(CHARGE_METHOD, CHARGE_POWER, CHARGE_CURRENT, now)
                return None if power_w is None else (Verb.CHARGE, power_w)
            case "discharge":
                power_w = self._power(DISCHARGE_METHOD, DISCHARGE_POWER, DISCHARGE_CURRENT, now)
                return None if power_w is None else (Verb.DISCHARGE, power_w)
            case "chargingDischarging" if V2G in (self._values[CHARGE_METHOD], self._values[DISCHARGE_METHOD]):
                return Verb.SETPOINT, self._number(SIGNED_POWER, now)
        return None

    def _power(self, method: int, power: int, current: int, now: float) -> float | None:
        """Return the magnitude that a method orders."""
        match self._values[method]:
            case str(name) if name == POWER:
                return self._number(power, now)
            case str(name) if name == CURRENT:
                ampere, voltage_v = self._number(current, now), self._snapshots.at(now).voltage_v
                return None if ampere is None or voltage_v is None else ampere * voltage_v
            case str(name) if name == V2G:
                signed_w = self._number(SIGNED_POWER, now) or 0.0
                return max(0.0, signed_w if method == CHARGE_METHOD else -signed_w)
        one = self._snapshots.at(now)
        return one.max_charge_w if method == CHARGE_METHOD else self._rated_discharge_w(now)

    def _rated_discharge_w(self, now: float) -> float | None:
        one = self._snapshots.at(now)
        return one.max_discharge_w if one.state.can_discharge else None

    def _number(self, epc: int, now: float) -> float | None:
        value = self.read(epc, now)
        return min(float(value), MAX_POWER_W) if isinstance(value, int | float) else None

    def _submission(self, verb: Verb, power_w: float | None, lease_s: float, sender: str) -> Submission:
        self._sequence += 1
        body: dict[str, object] = {
            "id": f"hems-{self._evse}-{self._clock.wall() * 1000:.0f}-{self._sequence}",
            "source": f"hems {sender}".strip()[:64],
            "priority": self._settings.priority,
        }
        if verb in LEASED:
            body |= {"power_w": power_w, "lease_s": lease_s}
        return Submission(self._evse, verb, json.dumps(body).encode(), Channel.LOCAL)

    # running --------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Submit orders that are due and renew their leases, until cancelled. Stops do not wait for others."""
        async with asyncio.TaskGroup() as tasks:
            for stops, changed in self._changed.items():
                tasks.create_task(self._run(changed, stops), name=f"hems {self._evse}")

    async def _run(self, changed: asyncio.Event, stops: bool) -> None:
        while True:
            changed.clear()
            order, now = self._order, self._clock.now()
            due = order.due if order is not None and order.stops is stops else None
            if order is not None and due is not None and due <= now:
                await self._step(order, now)
                continue
            with suppress(TimeoutError):
                async with self._clock.timeout_at(due):
                    await changed.wait()

    async def _step(self, order: Order, now: float) -> None:
        lease_s, order.due = self._settings.lease_s, None
        self._snapshots.expire()
        found = self._command_in_force(now)
        if order.command is None and not order.stops and found not in (order.before, self._last_command):
            self._drop(order, "superseded")
            return
        if order.command is not None:
            if self._in_force(now) is not order:
                return
            last = self._last_request(order.sender)
            if last is None or last <= order.at:
                order.due = now + lease_s / CHECKS
                return
            lease_s = max(SHORTEST_LEASE_S, lease_s - (now - last))
        await self._submit(order, now, lease_s)

    async def _submit(self, order: Order, now: float, lease_s: float) -> None:
        command = self._command(order.mode, now)
        if command is None:
            self._drop(order, "mode")
            return
        order.leased, order.at, order.command = command[0] in LEASED, now, None
        result = await self._service.submit(self._submission(*command, lease_s, order.sender))
        self._snapshots.expire()
        if result.status is Status.REFUSED:
            log.warning("%s: %s of HEMS %s refused: %s", self._evse, order.mode, line(order.sender), result.reason.text)
            self._drop(order, result.reason.code.value)
            return
        self._last_command = result.id
        if order.due is None:
            order.command = result.id
            order.due = self._clock.now() + lease_s / CHECKS * 2 if order.leased else None

    def _drop(self, order: Order, code: str) -> None:
        """End an order that was accepted and gets no command, unless it was changed meanwhile."""
        self.refused[code] += 1
        if self._order is order and order.due is None:
            self._order = None
