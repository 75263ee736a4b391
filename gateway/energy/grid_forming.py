"""Tells the EVSE that the island machine has chosen to form the voltage, and the one before it to follow again.

Only while the main switch is proven open at that very moment: a proof that is gone, or a switch that was caught lying,
and nothing is said. The next source is told when the one before it has taken the order to follow. A car whose station
knows no such order is left to its hardware, which the state says. What is refused or not answered is said again while
it still holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gateway.control.board import Board
from gateway.model.energy_state import GridFormingState
from gateway.model.station import Answer, Formers, Outcome

AGAIN_S = 10.0
UNABLE_S = 300.0  # who did not take the order to form is not chosen again before
GAPLESS_S = 30.0  # where two may form for a moment, the one before goes on until the next has taken over, or so long
BY_HARDWARE = "NoForming"


class GridFormingService:
    """One site's. `step` each second; `state` is what the site's state says about it, None while nobody forms."""

    def __init__(self, board: Board, rooms: Formers | None, able: Sequence[str] = (), parallel: bool = False) -> None:
        """`able`: EVSEs that could be forming from an earlier life. `parallel`: two may form at once for a moment."""
        self._parallel = parallel
        self._board = board
        self._rooms = rooms
        self._unsure = set(able)
        self._told: dict[str, bool] = {}  # by EVSE: what it was told and took
        self._wanted: str | None = None
        self._tried_at: dict[str, float] = {}
        self._wanted_at = 0.0
        self._refused: dict[str, tuple[int, float]] = {}  # how often in a row, and when last
        self._telling: set[asyncio.Task[None]] = set()
        self.state: GridFormingState | None = None

    def step(self, forming: str | None, proven: bool, sure: bool = True) -> None:
        """`forming` is who should form now (not an EVSE: nobody of ours), `proven` that the main switch is open.

        Until it is `sure` that no island runs from an earlier life, nobody is told to follow: that would end it.
        """
        evse = forming if forming in self._board.places else None
        if evse != self._wanted:
            self._wanted, self._wanted_at = evse, self._board.clock.now()
            self._tried_at.clear()
            self.state = None
            if evse is not None:
                self.state = GridFormingState(evse=evse, by="hardware", reason="Not asked yet.")
        if self._rooms is None:
            return
        for name in [one for one, forms in self._told.items() if forms and not self._reached(one)]:
            del self._told[name]  # it may come back as another: it is told anew then
            self._unsure.add(name)
        if not self._goes_on(evse):
            for name in [one for one, forms in self._told.items() if forms and one != evse]:
                self._tell(name, False)
            for name in [one for one in self._unsure if sure and one != evse and self._reached(one)]:
                self._tell(name, False)
        if evse is not None and self._told.get(evse) is not True:
            if not proven:
                self._wait("The main switch is not proven open now, so it is not told to form.")
            elif before := self._before(evse):
                self._wait(f"{before} has not taken the order to follow yet: two voltages must not meet.")
            else:
                self._tell(evse, True)

    def unable(self) -> frozenset[str]:
        """EVSEs that were told to form and would not: one refusal is enough, of silences it takes two."""
        now = self._board.clock.now()
        return frozenset(evse for evse, (count, at) in self._refused.items() if count > 1 and now - at < UNABLE_S)

    def _goes_on(self, evse: str | None) -> bool:
        """Whether those before go on forming for now, so that the voltage is handed over without a gap."""
        if not self._parallel or evse is None or self._told.get(evse) is True:
            return False
        by_hardware = self._tried_at.get(evse) == float("inf")
        return not by_hardware and self._board.clock.now() - self._wanted_at < GAPLESS_S

    def _before(self, evse: str) -> str | None:
        """Who may be forming and has not taken the order to follow; one that is out of reach is gone."""
        if self._parallel:
            return None
        sure = [one for one, forms in self._told.items() if forms]
        return next((one for one in [*sure, *self._unsure] if one != evse and self._reached(one)), None)

    def _wait(self, why: str) -> None:
        if self.state is not None:
            self.state = self.state.model_copy(update={"reason": why})

    def _reached(self, evse: str) -> bool:
        return evse in self._board.places and self._board.stations.reaches(evse)

    def _tell(self, evse: str, forms: bool) -> None:
        now = self._board.clock.now()
        if now - self._tried_at.get(evse, -AGAIN_S) < AGAIN_S:
            return
        self._tried_at[evse] = now
        task = asyncio.get_running_loop().create_task(self._say(evse, forms), name=f"form {evse}")
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _say(self, evse: str, forms: bool) -> None:
        assert self._rooms is not None
        outcome = await self._rooms.form(evse, forms)
        if not forms and outcome.answer is not Answer.UNKNOWN:
            self._unsure.discard(evse)  # it has answered: one that was not forming need not take it
        if outcome.answer is Answer.APPLIED:
            self._told[evse] = forms
            self._unsure.discard(evse)
            self._refused.pop(evse, None)
            if forms and self._wanted != evse:
                self._tried_at.pop(evse, None)  # it is not wanted any more: it follows with the next step
            code, text = ("forming_ordered", f"{evse} forms the island, as it was told.") if forms else (
                "following_ordered", f"{evse} was told to follow a grid again.")  # fmt: skip
            self._board.decided(code, text, evse, evse, {})
        elif outcome.code == BY_HARDWARE:
            self._tried_at[evse] = float("inf")  # there is nothing to say again
        elif forms:
            count = 2 if outcome.answer is Answer.REFUSED else self._refused.get(evse, (0, 0.0))[0] + 1
            self._refused[evse] = count, self._board.clock.now()
            text = (
                f"{evse} was told to form the island and did not take it: {outcome.code} {outcome.text}".strip() + "."
            )
            self._board.decided("forming_not_taken", text, evse, evse, {})
        self._show(evse, forms, outcome)

    def _show(self, evse: str, forms: bool, outcome: Outcome) -> None:
        if not forms or evse != self._wanted:
            return
        if outcome.answer is Answer.APPLIED:
            self.state = GridFormingState(evse=evse, by="order", reason="The station took the order to form.")
        elif outcome.code == BY_HARDWARE:
            self.state = GridFormingState(evse=evse, by="hardware", reason=outcome.text)
        else:
            text = f"The station did not take the order to form: {outcome.code} {outcome.text}".strip()
            self.state = GridFormingState(evse=evse, by="nobody", reason=text)
        self._board.changed(None)

    async def end(self) -> None:
        """The gateway stops. An island goes on: nobody is told to follow."""
        for task in list(self._telling):
            task.cancel()
        await asyncio.gather(*self._telling, return_exceptions=True)
