"""What all parts of the core share: places, site, time, journal, listeners; and the decision for a place.

Nothing here waits. The one decision everybody uses (`decide`) is assembled here from the pure rooms `negotiation` and
`energy`, so that an answer to a command and the set-point sent later come from the same function.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from gateway.authority.layers import Asked, Situation, layers
from gateway.authority.priority import Bound, Decision, Layer, decide
from gateway.authority.site_limits import Base, base_power, site_bounds
from gateway.authority.soc_floors import floor_reached, floors
from gateway.commands.active_command import ActiveCommand
from gateway.commands.idempotency import IdempotencyCache
from gateway.control.control_state import EvseControlState
from gateway.control.settings import ServiceSettings
from gateway.model.event import VehicleNeeds
from gateway.model.evse import Evse
from gateway.model.journal import Entry, Phase, ReplyTo, Step
from gateway.model.reason import Code, Reason
from gateway.model.result import Result
from gateway.model.site import AnyInput, InputKind, Inputs, Site
from gateway.model.state import EventMessage, Happened
from gateway.model.station import Stations
from gateway.model.subscriber import Subscriber
from gateway.store.journal import Journal
from protocols.ports import Clock

EVSE_NUMBER = re.compile(r"[1-9][0-9]{0,2}")


@dataclass(frozen=True, slots=True)
class Shared:
    """The site without its cars, and the least and the most that each EVSE may be taking, W; of one moment."""

    base: Base
    spans: dict[str, tuple[float, float]]
    low_w: float = field(init=False)
    high_w: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "low_w", sum(low for low, _ in self.spans.values()))
        object.__setattr__(self, "high_w", sum(high for _, high in self.spans.values()))

    def beside(self, evse: str) -> tuple[float, float]:
        """(least, most) of all the others together."""
        own = self.spans.get(evse)
        if own is None:
            return self.low_w, self.high_w
        if len(self.spans) == 1:
            return 0.0, 0.0
        return self.low_w - own[0], self.high_w - own[1]


class Board:
    """The core's state and its short steps."""

    def __init__(self, settings: ServiceSettings, clock: Clock, stations: Stations, journal: Journal) -> None:
        self.settings = settings
        self.clock = clock
        self.stations = stations
        self.journal = journal
        self.site = Site(settings.policy, Inputs(dict(settings.stale_after_s)), mode=settings.policy.mode)
        self.places: dict[str, EvseControlState] = {}
        self.site_holding: ActiveCommand | None = None
        self.standing: dict[tuple[str | None, str], str] = {}  # (evse or site, verb) -> the command that last set it
        self.listeners: list[Subscriber] = []
        self.negotiated: dict[tuple[str, str], VehicleNeeds] = {}  # of an earlier life, by EVSE and session
        self.ids = IdempotencyCache(settings.known_ids)
        self._background: set[asyncio.Task[None]] = set()
        self.energy: Callable[[], dict[str, Any] | None] | None = None  # the energy part of the site's state
        self.hears: dict[InputKind, Callable[[AnyInput], None]] = {}  # who wants each message of a kind, not the last
        self.spawn_place: Callable[[EvseControlState], None] = lambda _place: (
            None
        )  # set by the core: begins to govern it
        self.news = asyncio.Event()  # what the energy controller decides from is not what it was

    # places ---------------------------------------------------------------------------------------------------------

    def place(self, evse: str, station: str | None = None) -> EvseControlState:
        """The place of an EVSE, made when it is first heard of."""
        found = self.places.get(evse)
        if found is None:
            found = self.places[evse] = EvseControlState(
                Evse(
                    evse,
                    station or evse.rpartition("-")[0],
                    assumed_capacity_wh=self.settings.policy.assumed_capacity_wh,
                )
            )
            self.spawn_place(found)
        return found

    def known(self, evse: str) -> EvseControlState | None:
        """The place, if this EVSE was heard of.

        Of a configured station that has not told of its EVSEs yet any may exist: then a place that nobody keeps.
        """
        if evse in self.places:
            return self.places[evse]
        station, _, number = evse.rpartition("-")
        if station not in self.settings.stations or EVSE_NUMBER.fullmatch(number) is None:
            return None
        if any(place.evse.station == station and place.evse.limits is not None for place in self.places.values()):
            return None
        return EvseControlState(Evse(evse, station))

    def wake_all(self) -> None:
        """Let every governor look again."""
        self.news.set()
        for place in self.places.values():
            place.wake.set()

    def wake_busy(self) -> None:
        """Let those look again whose decision can be another: without station or session it is 0 W, whatever else."""
        self.news.set()
        for place in self.places.values():
            if not place.idle:
                place.wake.set()

    # decisions ------------------------------------------------------------------------------------------------------

    def cars_w(self) -> float:
        """What all EVSEs take now: as measured since they were last told something else, else as told."""
        now = self.clock.now()
        return sum(place.believed_w(now) for place in self.places.values() if place.counts)

    @property
    def limited(self) -> bool:
        """Whether the site's connection has any limit, so that what one EVSE takes matters to the others."""
        policy = self.site.policy
        return not (policy.import_limit_w is policy.export_limit_w is self.site.peak_limit_w is None)

    def base(self) -> Base:
        """The site's power without its cars."""
        return base_power(self.site, self.cars_w(), self.clock.now())

    def site_bounds(self, place: EvseControlState, shared: Shared | None = None) -> tuple[Bound, ...]:
        """What the connection leaves for one place."""
        if not self.limited:
            return ()
        return self._bounds_beside(place, shared or self.shared())

    def shared(self) -> Shared:
        """What all decisions of this very moment have in common: one walk over the places serves them all."""
        spans = {place.name: place.span() for place in self.places.values() if place.counts}
        return Shared(self.base(), spans)

    def _bounds_beside(self, place: EvseControlState, shared: Shared) -> tuple[Bound, ...]:
        low_w, high_w = shared.beside(place.name)
        return tuple(site_bounds(self.site, shared.base, high_w, low_w))

    def situation(
        self, place: EvseControlState, asked: Asked | None, *, with_site: bool = True, shared: Shared | None = None
    ) -> Situation:
        """Everything that decides about a place now, if `asked` were in force."""
        found = floors(place.evse, self.site, place.reserve, asked.min_soc_pct if asked else None)
        floor_pct = found[0].pct if found else 0.0
        hysteresis_pct = self.site.policy.floor_hysteresis_pct
        return Situation(
            evse=place.evse,
            site=self.site,
            now=self.clock.now(),
            wall=self.clock.wall(),
            site_bounds=self.site_bounds(place, shared) if with_site else (),
            asked=asked,
            reserve=place.reserve,
            floor_reached=floor_reached(place.floor_reached, place.evse.soc_pct, floor_pct, hysteresis_pct),
            optimiser=place.optimiser or self._idle_bound(),
            extra=place.extra,
        )

    def decide(self, place: EvseControlState, asked: Asked | None, shared: Shared | None = None) -> Decision:
        """The power, who bound it and why. `shared`: of this moment, where many are decided at once."""
        return decide(*layers(self.situation(place, asked, shared=shared)))

    def asked(self, place: EvseControlState) -> Asked | None:
        """What is in force at a place."""
        part, holding = place.part, place.holding
        if part is None or holding is None:
            return None
        return Asked(part.power_w, holding.id, holding.body.min_soc_pct)

    def floor_pct(self, place: EvseControlState) -> float:
        """The highest floor in force."""
        holding = place.holding
        found = floors(place.evse, self.site, place.reserve, holding.body.min_soc_pct if holding else None)
        return found[0].pct if found else 0.0

    def update_floor(self, place: EvseControlState) -> bool:
        """Move the floor's hysteresis on; True when the floor has just been reached."""
        before = place.floor_reached
        hysteresis = self.site.policy.floor_hysteresis_pct
        place.floor_reached = floor_reached(before, place.evse.soc_pct, self.floor_pct(place), hysteresis)
        return place.floor_reached and not before

    def _idle_bound(self) -> Bound | None:
        power_w = self.site.policy.idle_power_w
        if power_w <= 0:
            return None
        text = f"Nobody commands; the site lets cars charge with {power_w:.0f} W."
        return Bound(Layer.OPTIMISER, power_w, power_w, Code.IDLE, text)

    # telling --------------------------------------------------------------------------------------------------------

    def changed(self, evse: str | None) -> None:
        """Something about an EVSE or the site is not what it was."""
        self.news.set()
        self.moved(evse)

    def moved(self, evse: str | None) -> None:
        """The same, where it is only what the gateway itself has decided: no news for who decides."""
        for listener in self.listeners:
            listener.changed(evse)

    def stirred(self, evse: str | None) -> None:
        """What is measured at an EVSE or the site has moved on; nothing in a state that anybody acts on at once."""
        for listener in self.listeners:
            listener.stirred(evse)

    def tell(self, result: Result, reply: ReplyTo | None, phase: Phase | None) -> None:
        """Send an answer."""
        for listener in self.listeners:
            listener.result(result, reply, phase)

    def happened(
        self,
        event: Happened,
        evse: str | None,
        reason: Reason | None = None,
        text: str = "",
        command: str | None = None,
        session: str | None = None,
        **kept: Any,
    ) -> None:
        """Tell an event and journal it; `kept` stands in the journal only."""
        wall = self.clock.wall()
        message = EventMessage(
            event=event,
            evse=evse,
            reason=reason,
            text=text[:1000],
            command=command,
            session=session,
            gateway=self.settings.gateway_id,
            ts=wall,
        )
        data: dict[str, Any] = {"text": text[:1000]} if text else {}
        if reason is not None:
            data["reason"] = reason.model_dump(mode="json")
        if session is not None:
            data["session"] = session
        data |= kept
        self.journal.later(Entry(wall, Step.EVENT, event.value, command, evse, data))
        for listener in self.listeners:
            listener.event(message)

    def decided(self, code: str, text: str, evse: str | None, subject: str, figures: dict[str, float]) -> None:
        """Tell what the site's energy controller has decided, and journal it."""
        wall = self.clock.wall()
        message = EventMessage(
            event=Happened.DECIDED,
            evse=evse,
            text=text[:1000],
            code=code,
            subject=subject or None,
            figures=figures or None,
            gateway=self.settings.gateway_id,
            ts=wall,
        )
        data: dict[str, Any] = {"text": text[:1000], "code": code, "subject": subject, **figures}
        self.journal.later(Entry(wall, Step.EVENT, Happened.DECIDED.value, None, evse, data))
        for listener in self.listeners:
            listener.event(message)

    def note(self, step: Step, cause: str, command: str | None, evse: str | None, **data: Any) -> None:
        """Write a step of a command's life behind."""
        self.journal.later(Entry(self.clock.wall(), step, cause, command, evse, data))

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a short piece of work that nobody waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def settle_background(self) -> None:
        """Until what runs in the background is done."""
        while self._background:
            await asyncio.gather(*self._background, return_exceptions=True)
