"""Components that the command path, the energy service and the vehicle lending service are wired from."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.authority.meter_model import MeterModel
from gateway.control.control_state import EvseRegistry
from gateway.control.publisher import EventPublisher
from gateway.control.settings import ServiceSettings
from gateway.control.site_decision import SiteDecision
from gateway.model.site import Inputs, Site
from gateway.store.journal import Journal
from protocols.ports import Clock


@dataclass(frozen=True, slots=True)
class ControlComponents:
    """One set per gateway; for composition only: a component takes those that it uses."""

    site: Site
    registry: EvseRegistry
    decision: SiteDecision
    meter: MeterModel
    publisher: EventPublisher

    @classmethod
    def create(cls, settings: ServiceSettings, clock: Clock, journal: Journal) -> ControlComponents:
        """Return the components of a site that has not been reported anything yet."""
        inputs = Inputs(dict(settings.stale_after_s), stale_at_most_s=settings.stale_at_most_s)
        site = Site(settings.policy, inputs, mode=settings.policy.mode)
        registry = EvseRegistry(settings)
        publisher = EventPublisher(settings.gateway_id, journal, clock)
        meter = MeterModel(settings.meter_delay_s)
        return cls(site, registry, SiteDecision(site, registry, meter, clock), meter, publisher)
