"""Tells the EVSE that the island machine has chosen to form the voltage, and the one before it to follow again.

Only while the main switch is proven open at that very moment: a proof that is gone, or a switch that was caught lying,
and nothing is said. The next source is told when the one before it has taken the order to follow. A car whose station
knows no such order is left to its hardware, which the state says. What is refused or not answered is said again while
it still holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from gateway.core.board import Board
from gateway.model.station import Answer, Formers, Outcome

AGAIN_S = 10.0
BY_HARDWARE = "NoForming"


class Former:
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
        self._telling: set[asyncio.Task[None]] = set()
        self.state: dict[str, Any] | None = None

    def step(self, forming: str | None, proven: bool) -> None:
        """`forming` is who should form now (not an EVSE: nobody of ours), `proven` that the main switch is open."""
        evse = forming if forming in self._board.places else None
        if evse != self._wanted:
            self._wanted = evse
            self._tried_at.clear()
            self.state = None if evse is None else {"evse": evse, "by": "hardware", "reason": "Not asked yet."}
        if self._rooms is None:
            return
        for name in [one for one, forms in self._told.items() if forms and one != evse]:
            self._tell(name, False)
        for name in [one for one in self._unsure if one != evse and self._reached(one)]:
            self._unsure.discard(name)
            self._tell(name, False)
        if evse is not None and self._told.get(evse) is not True:
            if not proven:
                self._wait("The main switch is not proven open now, so it is not told to form.")
            elif before := self._before(evse):
                self._wait(f"{before} has not taken the order to follow yet: two voltages must not meet.")
            else:
                self._tell(evse, True)

    def _before(self, evse: str) -> str | None:
        """Who was told to form, has not taken it back, and could still be forming: one that is out of reach is gone."""
        if self._parallel:
            return None
        return next((one for one, forms in self._told.items() if forms and one != evse and self._reached(one)), None)

    def _wait(self, why: str) -> None:
        if self.state is not None:
            self.state["reason"] = why

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
        if outcome.answer is Answer.APPLIED:
            self._told[evse] = forms
            if forms and self._wanted != evse:
                self._tried_at.pop(evse, None)  # it is not wanted any more: it follows with the next step
            code, text = ("forming_ordered", f"{evse} forms the island, as it was told.") if forms else (
                "following_ordered", f"{evse} was told to follow a grid again.")  # fmt: skip
            self._board.decided(code, text, evse, evse, {})
        elif outcome.code == BY_HARDWARE:
            self._tried_at[evse] = float("inf")  # there is nothing to say again
        elif forms:
            text = (
                f"{evse} was told to form the island and did not take it: {outcome.code} {outcome.text}".strip() + "."
            )
            self._board.decided("forming_not_taken", text, evse, evse, {})
        self._show(evse, forms, outcome)

    def _show(self, evse: str, forms: bool, outcome: Outcome) -> None:
        if not forms or evse != self._wanted:
            return
        if outcome.answer is Answer.APPLIED:
            self.state = {"evse": evse, "by": "order", "reason": "The station took the order to form."}
        elif outcome.code == BY_HARDWARE:
            self.state = {"evse": evse, "by": "hardware", "reason": outcome.text}
        else:
            text = f"The station did not take the order to form: {outcome.code} {outcome.text}".strip()
            self.state = {"evse": evse, "by": "nobody", "reason": text}
        self._board.changed(None)

    async def end(self) -> None:
        """The gateway stops. An island goes on: nobody is told to follow."""
        for task in list(self._telling):
            task.cancel()
        await asyncio.gather(*self._telling, return_exceptions=True)
