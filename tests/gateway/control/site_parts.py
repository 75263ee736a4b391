"""A site's decision with its registry, its meter and a clock that is set: nothing runs, and nothing waits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from emulators.runtime.clock import START, RealClock, VirtualClock
from gateway.authority.meter_model import MeterModel
from gateway.control.control_state import ActiveCommand, EvseControlState, EvseRegistry
from gateway.control.settings import ServiceSettings
from gateway.control.site_decision import SiteDecision
from gateway.model.command import SITE_VERBS, Body, Channel, Verb
from gateway.model.event import PowerLimits, VehicleNeeds
from gateway.model.site import AnyInput, InputKind, Inputs, Site, SitePolicy

STATION = PowerLimits(11_000.0, 10_000.0)
VEHICLE = VehicleNeeds(PowerLimits(9000.0, 8000.0), True, "DC_BPT", soc_pct=60.0, battery_capacity_wh=50_000.0)


class SetClock(RealClock):
    """A clock that shows what is set."""

    def __init__(self, now: float = 100.0) -> None:
        super().__init__()
        self.at = now

    def now(self) -> float:
        return self.at

    def wall(self) -> float:
        return START + self.at


class ReadMeter(MeterModel):
    """A model of the meter that records its readings."""

    def __init__(self) -> None:
        super().__init__()
        self.readings: list[tuple[object, ...]] = []

    def metered(self, *reading: Any, **more: Any) -> None:
        self.readings.append(reading)
        super().metered(*reading, **more)


@dataclass
class SiteParts:
    """One site; `evse` adds an EVSE with a vehicle in session."""

    policy: SitePolicy = field(default_factory=lambda: SitePolicy("home"))
    clock: SetClock | VirtualClock = field(default_factory=SetClock)
    meter: ReadMeter = field(default_factory=ReadMeter)

    def __post_init__(self) -> None:
        self.site = Site(self.policy, Inputs())
        self.registry = EvseRegistry(ServiceSettings(self.policy))
        self.decision = SiteDecision(self.site, self.registry, self.meter, self.clock)

    def evse(self, name: str = "CP1-1", *, sent_w: float | None = None, **attributes: Any) -> EvseControlState:
        """Add an EVSE; `attributes` are those of its control state, else of its EVSE."""
        state = self.registry.ensure(name)
        evse = state.evse
        evse.connected, evse.session, evse.limits, evse.can_discharge = True, "tx", STATION, True
        evse.needs, evse.soc_pct = VEHICLE, VEHICLE.soc_pct
        state.setpoint.sent_w = sent_w
        for attribute, value in attributes.items():
            setattr(state if hasattr(state, attribute) else evse, attribute, value)
        return state

    def at(self, now: float) -> None:
        """Set the clock."""
        assert isinstance(self.clock, SetClock)
        self.clock.at = now

    def put(self, kind: InputKind, value: AnyInput) -> None:
        """Receive an input now."""
        self.site.inputs.put(kind, value, self.clock.now(), self.clock.wall())


def a_body(verb: Verb, **body: Any) -> Body:
    """Return the body of a command."""
    return SITE_VERBS[verb].model_validate({"id": "c", **body})


def a_command(
    verb: Verb = Verb.DISCHARGE, evse: str | None = "CP1-1", *, lease_until: float | None = 130.0, **body: Any
) -> ActiveCommand:
    """Return a command in force, without allocations."""
    made = a_body(verb, **body)
    return ActiveCommand(made.id, evse, verb, made, Channel.MQTT, lease_until)
