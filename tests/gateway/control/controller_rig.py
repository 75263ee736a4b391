"""One set-point controller at a plain station, stepped by the test; what it publishes and ends is recorded."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from emulators.runtime.clock import VirtualClock
from gateway.bench.plain_station import PlainEvse, PlainStations
from gateway.control.control_state import ActiveCommand, Allocation, EvseControlState
from gateway.control.negotiated_needs import VehicleNeedsPersistence
from gateway.control.publisher import EventPublisher
from gateway.control.setpoint_controller import SetpointController
from gateway.control.settings import ServiceSettings
from gateway.model.command import Verb
from gateway.model.journal import Kept, Record, Step
from gateway.model.reason import Reason
from gateway.model.result import Status
from gateway.model.site import SitePolicy
from gateway.model.state import EventMessage
from gateway.model.station import Outcome
from gateway.store.journal import Journal
from gateway.store.store import MemoryStore
from tests.gateway.commands.rig import Published
from tests.gateway.control.site_parts import SiteParts, a_command

Note = tuple[Step, str, str | None, str | None, dict[str, object]]


class NotingPublisher(EventPublisher):
    """A publisher that records the steps that it journals, too."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__("gw1", Journal(MemoryStore(), clock), clock)
        self.notes: list[Note] = []

    def note(self, step: Step, cause: str, command: str | None, evse: str | None, **data: object) -> None:
        self.notes.append((step, cause, command, evse, data))
        super().note(step, cause, command, evse, **data)


@dataclass
class Ends:
    """The end of commands: they are out of force, and how they ended is recorded."""

    state: EvseControlState
    ended: list[tuple[str, Status | None, Reason, bool | None]] = field(default_factory=list)

    def end(self, command: ActiveCommand, status: Status, reason: Reason) -> None:
        self.ended.append((command.id, status, reason, None))
        self.state.command = None

    def withdraw(self, state: EvseControlState, reason: Reason, *, failed: bool) -> None:
        assert state is self.state
        assert state.command is not None
        self.ended.append((state.command.id, None, reason, failed))
        state.command = None


class SlowStations(PlainStations):
    """Stations that answer after a while, or break."""

    answers_after_s = 0.0
    broken = False

    async def set_power(self, evse: str, power_w: float, valid_for_s: float) -> Outcome:
        if self.broken:
            raise RuntimeError("the backend is broken")
        if self.answers_after_s:
            await self._clock.sleep(self.answers_after_s)
        return await super().set_power(evse, power_w, valid_for_s)


class WrittenJournal(Journal):
    """A journal that remembers what is written later."""

    def __init__(self, store: MemoryStore, clock: VirtualClock) -> None:
        super().__init__(store, clock)
        self.written: list[object] = []

    def later(self, *records: Record) -> None:
        self.written += records
        super().later(*records)


class ControllerRig:
    """A controller of CP1-1, with other EVSEs beside it on demand; the time begins at 100 s."""

    def __init__(self, **policy: Any) -> None:
        self.clock = VirtualClock()
        self.parts = SiteParts(SitePolicy("home", **policy), self.clock)
        self.settings = ServiceSettings(self.parts.policy)
        self.stations = SlowStations(self.clock, lambda _: None)
        self.stations.connect("CP1", "CP1-1")
        self.subscriber = Published()
        self.publisher = NotingPublisher(self.clock)
        self.publisher.subscribe(self.subscriber)
        self.journal = WrittenJournal(MemoryStore(), self.clock)
        self.state = self.parts.evse("CP1-1")
        self.setpoint = self.state.setpoint
        self.ends = Ends(self.state)
        self.controller = SetpointController(
            self.state,
            self.parts.registry,
            self.parts.decision,
            self.publisher,
            self.ends,
            self.stations,
            VehicleNeedsPersistence(self.journal),
            self.clock,
            self.settings,
        )

    @classmethod
    async def begin(cls, **policy: Any) -> ControllerRig:
        """Return a rig 100 s after the beginning of the time."""
        rig = cls(**policy)
        await rig.clock.sleep(100.0)
        return rig

    @property
    def held(self) -> PlainEvse:
        """State of the station's EVSE."""
        return self.stations.evses["CP1-1"]

    @property
    def orders(self) -> list[tuple[float, float, float]]:
        """Orders that the station has received: time, power, validity."""
        return self.held.orders

    @property
    def ramps(self) -> bool:
        """True while the power is on a ramp."""
        return self.state.ramp is not None

    @property
    def published(self) -> Published:
        """Messages published up to now."""
        self.publisher.deliver()
        return self.subscriber

    @property
    def events(self) -> list[tuple[str, str | None, str | None, str | None]]:
        """Events so far: kind, EVSE, reason code, command."""
        return [_event(one) for one in self.published.events]

    def kept_needs(self) -> list[tuple[float, bool]]:
        """Return the records of the vehicle's needs so far: time, floor reached."""
        rows = [one for one in self.journal.written if isinstance(one, Kept)]
        return [(one.wall, json.loads(one.body).get("floor_reached", False)) for one in rows]

    def command(
        self, power_w: float = -5000.0, *, id: str = "c", lease_s: float | None = 30.0, **body: Any
    ) -> Allocation:
        """Put a command for a power in force."""
        verb = Verb.DISCHARGE if power_w < 0 else Verb.CHARGE
        until = None if lease_s is None else self.clock.now() + lease_s
        made = a_command(verb, id=id, lease_until=until, power_w=abs(power_w), **body)
        return self.state.assign(made, power_w, self.clock.now())

    def measured(self, power_w: float | None, age_s: float = 0.0) -> None:
        """Report a reading of the EVSE's meter."""
        self.state.evse.power_w = power_w
        self.state.evse.metered_at = None if power_w is None else self.clock.now() - age_s

    async def step(self, after_s: float = 0.0) -> float | None:
        """Run a step `after_s` later; return in how many seconds the next one is due."""
        if after_s:
            await self.clock.sleep(after_s)
        due = await self.controller.step()
        return None if due is None else due - self.clock.now()


def _event(one: EventMessage) -> tuple[str, str | None, str | None, str | None]:
    return one.event.value, one.evse, one.reason.code.value if one.reason is not None else None, one.command
