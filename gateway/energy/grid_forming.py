"""Orders to EVSEs to form the voltage of an island, and to the source before to follow a grid again.

An order to form is sent only while the main switch is confirmed open at that very moment (position feedback). The next
source is ordered when the one before it has confirmed that it follows. A vehicle whose station has no such order is
left to its hardware, which the state shows. What is refused or not answered is sent again while it still holds.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

from gateway.control.control_state import EvseRegistry
from gateway.control.publisher import EventPublisher
from gateway.energy.resilience.phase import BY_HAND
from gateway.model.energy_state import FormingBy, GridFormingState
from gateway.model.station import Answer, GridFormingStations, Outcome, OutcomeCode, ReachableStations
from protocols.ports import Clock

AGAIN_S = 10.0
UNABLE_S = 300.0  # an EVSE that did not accept the order to form is not chosen again before
GAPLESS_S = 30.0  # where two may form for a moment: for how long the one before continues until the next has confirmed


class GridFormingService:
    """Grid-forming service of one site; `state` is its part of the site's state, None while no EVSE forms."""

    def __init__(
        self,
        registry: EvseRegistry,
        publisher: EventPublisher,
        clock: Clock,
        stations: ReachableStations | None,
        able: Sequence[str] = (),
        parallel: bool = False,
    ) -> None:
        """`able`: EVSEs that may be forming since an earlier run. `parallel`: two may form at once for a moment."""
        self._registry = registry
        self._publisher = publisher
        self._clock = clock
        self._stations = stations
        self._parallel = parallel
        self._unverified = dict.fromkeys(able)  # in the order of the configuration, in which they are ordered to follow
        self._confirmed: dict[str, bool] = {}  # by EVSE: whether it forms, as ordered and confirmed
        self._wanted: str | None = None
        self._wanted_at = 0.0
        self._tried_at: dict[str, float] = {}
        self._failures: dict[str, tuple[int, float]] = {}  # by EVSE: how often in a row, and when last
        self._sending: set[asyncio.Task[None]] = set()
        self.state: GridFormingState | None = None

    def step(self, forming: str | None, confirmed_open: bool, sure: bool = True) -> None:
        """Order what is due, each second. `forming`: source that should form; one that is no EVSE gets no order.

        Until it is `sure` that no island continues from an earlier run, no EVSE is ordered to follow: it would end it.
        """
        evse = forming if forming in self._registry else None
        if evse != self._wanted:
            self._wanted, self._wanted_at = evse, self._clock.now()
            self._tried_at.clear()
            self._set_state(evse, FormingBy.HARDWARE, "No order has been sent yet.")
        if self._stations is None:
            return
        for name in self._forming_now():
            if not self._reached(name):
                del self._confirmed[name]  # it may return in another state: it is ordered anew then
                self._unverified[name] = None
        if not self._continues(evse):
            others = [*self._forming_now(), *(self._unverified if sure else ())]
            for name in others:
                if name != evse and self._reached(name):
                    self._order(name, False)
        if evse is not None and self._confirmed.get(evse) is not True:
            if not confirmed_open:
                self._wait(evse, "The main switch is not confirmed open now, so no order to form is sent.")
            elif before := self._before(evse):
                self._wait(evse, f"{before} has not confirmed the order to follow yet: two must not form at once.")
            else:
                self._order(evse, True)

    def unable(self) -> frozenset[str]:
        """Return the EVSEs that did not accept the order to form: one refusal, or two orders without an answer."""
        now = self._clock.now()
        return frozenset(evse for evse, (count, at) in self._failures.items() if count > 1 and now - at < UNABLE_S)

    async def end(self) -> None:
        """Stop with the gateway. An island continues: no EVSE is ordered to follow."""
        for task in list(self._sending):
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)

    def _forming_now(self) -> list[str]:
        return [name for name, forms in self._confirmed.items() if forms]

    def _continues(self, evse: str | None) -> bool:
        """Return whether those before continue to form for now, so that there is no gap in the voltage."""
        if not self._parallel or evse is None or self._confirmed.get(evse) is True:
            return False
        by_hardware = self._tried_at.get(evse) == math.inf
        return not by_hardware and self._clock.now() - self._wanted_at < GAPLESS_S

    def _before(self, evse: str) -> str | None:
        """Return an EVSE that is reached, may be forming and has not confirmed to follow."""
        if self._parallel:
            return None
        others = [*self._forming_now(), *self._unverified]
        return next((one for one in others if one != evse and self._reached(one)), None)

    def _wait(self, evse: str, reason: str) -> None:
        if self.state is not None:
            self._set_state(evse, self.state.by, reason)

    def _set_state(self, evse: str | None, by: FormingBy, reason: str) -> None:
        self.state = None if evse is None else GridFormingState(evse=evse, by=by, reason=reason)

    def _reached(self, evse: str) -> bool:
        return evse in self._registry and self._stations is not None and self._stations.reaches(evse)

    def _order(self, evse: str, forms: bool) -> None:
        now = self._clock.now()
        if now - self._tried_at.get(evse, -AGAIN_S) < AGAIN_S:
            return
        self._tried_at[evse] = now
        task = asyncio.get_running_loop().create_task(self._send(evse, forms), name=f"form {evse}")
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, evse: str, forms: bool) -> None:
        stations: object = self._stations
        if isinstance(stations, GridFormingStations):
            outcome = await stations.form(evse, forms)
        else:
            text = f"The link to {evse} has no order for grid-forming."
            outcome = Outcome(Answer.REFUSED, OutcomeCode.NO_FORMING, text)
        if not forms and outcome.answer is not Answer.UNKNOWN:
            self._unverified.pop(evse, None)  # it has answered: one that was not forming need not accept
        if outcome.answer is Answer.APPLIED:
            self._apply(evse, forms)
        elif outcome.code == OutcomeCode.NO_FORMING:
            self._tried_at[evse] = math.inf  # there is nothing to send again
        elif forms:
            count = 2 if outcome.answer is Answer.REFUSED else self._failures.get(evse, (0, 0.0))[0] + 1
            self._failures[evse] = count, self._clock.now()
            cause = f"{outcome.code} {outcome.text}".strip()
            text = f"{evse} did not accept the order to form the island: {cause}."
            self._publisher.decided("forming_not_taken", text, evse, evse, {})
        if forms and evse == self._wanted:
            self._show(evse, outcome)

    def _apply(self, evse: str, forms: bool) -> None:
        self._confirmed[evse] = forms
        self._unverified.pop(evse, None)
        self._failures.pop(evse, None)
        if forms and self._wanted != evse:
            self._tried_at.pop(evse, None)  # no longer wanted: it is ordered to follow in the next step
        if forms:
            text = f"{evse} forms the island, as ordered."
            self._publisher.decided("forming_ordered", text, evse, evse, {})
        else:
            text = f"{evse} was ordered to follow a grid again."
            self._publisher.decided("following_ordered", text, evse, evse, {})

    def _show(self, evse: str, outcome: Outcome) -> None:
        if outcome.answer is Answer.APPLIED:
            self._set_state(evse, FormingBy.ORDER, "The station accepted the order to form.")
        elif outcome.code == OutcomeCode.NO_FORMING:
            state = self._registry.get(evse)
            uncontrolled = state is not None and not state.evse.can_discharge
            self._set_state(evse, FormingBy.HARDWARE, f"{outcome.text} {BY_HAND}" if uncontrolled else outcome.text)
        else:
            cause = f"{outcome.code} {outcome.text}".strip()
            self._set_state(evse, FormingBy.NOBODY, f"The station did not accept the order to form: {cause}")
        self._publisher.changed(None)
