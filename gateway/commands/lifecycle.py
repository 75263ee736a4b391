"""How commands end: the final result, judged by the meter or forced by what happened, and the way to 0 W.

A final result is durable before it is told, unless the journal fails. A command ends once; what it leaves behind at its
EVSEs is a ramp, not a jump.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.commands.active_command import ActiveCommand, Allocation, Stage
from gateway.control.board import Board
from gateway.control.control_state import EvseControlState, Ramp
from gateway.model.journal import CommandEnded, Entry, Phase, ResultGiven, Step
from gateway.model.reason import Code, Reason, because
from gateway.model.result import Measured, Result, Share, Status
from gateway.model.state import Happened
from gateway.store.ports import StoreError


class CommandLifecycle:
    """Settles commands and takes them out of force."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self.shared_again: Callable[[EvseControlState | None], None] = lambda _left: (
            None
        )  # set by the group: others may carry it

    # the final result -----------------------------------------------------------------------------------------------

    def settle(self, holding: ActiveCommand, status: Status, reason: Reason, *, ended: bool) -> None:
        """Give the final result, once. `ended` says whether the command also stops acting."""
        board = self._board
        wall = board.clock.wall()
        records: list[Entry | ResultGiven | CommandEnded] = []
        result: Result | None = None
        if not holding.settled:
            holding.settled = True
            result = self._final(holding, status, reason, wall)
            data = {"status": status.value, "reason": reason.model_dump(mode="json"), "effective_w": result.effective_w}
            if result.measured is not None:
                data["measured"] = result.measured.model_dump(mode="json")
            records.append(Entry(wall, Step.RESULT, reason.code.value, holding.id, holding.evse, data))
            records.append(ResultGiven(holding.id, Phase.FINAL, result.model_dump_json(), wall))
        if ended:
            records.append(Entry(wall, Step.ENDED, reason.code.value, holding.id, holding.evse))
            records.append(CommandEnded(holding.id, wall))
        if result is None:
            board.journal.later(*records)
        else:
            board.background(self._keep_and_tell(holding, result, records))

    async def _keep_and_tell(
        self, holding: ActiveCommand, result: Result, records: list[Entry | ResultGiven | CommandEnded]
    ) -> None:
        try:
            await self._board.journal.keep_or_later(*records)
        except StoreError:
            self._board.journal.later(*records)
        self._board.ids.update(holding.id, result.model_dump_json())
        self._board.tell(result, holding.reply, Phase.FINAL)

    def _final(self, holding: ActiveCommand, status: Status, reason: Reason, wall: float) -> Result:
        board = self._board
        places = [board.places[evse] for evse in holding.parts if evse in board.places]
        effective_w = sum(part.confirmed_w or 0.0 for part in holding.parts.values())
        shares = None
        measured = None
        binding = None
        if holding.evse is None:
            shares = tuple(self._share(place, holding.parts[place.name]) for place in places)
            powers = [place.evse.power_w for place in places if place.evse.power_w is not None]
            measured = Measured(power_w=sum(powers) if powers else None, at=wall)
        elif places:
            evse = places[0].evse
            measured = Measured(
                power_w=evse.power_w,
                soc_pct=evse.soc_pct,
                energy_charged_wh=evse.charged.total_wh,
                energy_discharged_wh=evse.discharged.total_wh,
                at=evse.metered_wall,
            )
            binding = places[0].decision.binding.value if places[0].decision else None
        return Result(
            id=holding.id,
            verb=holding.verb.value,
            evse=holding.evse,
            status=status,
            reason=reason,
            requested_w=holding.asks(wall) if holding.parts else None,
            effective_w=effective_w if holding.parts else None,
            binding=binding,
            lease_until=holding.lease_wall,
            measured=measured,
            shares=shares,
            source=holding.body.source,
            session=places[0].evse.session if places and holding.evse is not None else None,
            gateway=board.settings.gateway_id,
            ts=wall,
        )

    def _share(self, place: EvseControlState, part: Allocation) -> Share:
        decision = place.decision
        if part.failure is not None:
            status, reason = Status.FAILED, part.failure
        elif part.stage is Stage.SEEN:
            status, reason = Status.ACHIEVED, because(Code.SEEN_ON_METER, "The meter shows what was granted.")
        else:
            status, reason = Status.ACCEPTED, because(Code.GRANTED, "Granted, and not seen on the meter yet.")
        return Share(
            evse=place.name,
            effective_w=part.confirmed_w if part.confirmed_w is not None else place.effective_w,
            binding=decision.binding.value if decision else "idle",
            status=status,
            reason=reason,
            measured_w=part.measured_w,
        )

    # judged by the meter --------------------------------------------------------------------------------------------

    def judge(self, place: EvseControlState) -> None:
        """Compare a fresh reading of the meter with what the station confirmed."""
        part, holding, evse = place.part, place.holding, place.evse
        if part is None or holding is None or part.stage is not Stage.CONFIRMED:
            return
        if part.confirmed_at is None or evse.metered_at is None or evse.metered_at < part.confirmed_at:
            return
        part.measured_w = evse.power_w
        confirmed_w = part.confirmed_w or 0.0
        if evse.power_w is None or abs(evse.power_w - confirmed_w) > self._board.settings.tolerance(confirmed_w):
            part.doubted_w = evse.power_w
            return
        part.stage = Stage.SEEN
        self._board.note(
            Step.METERED,
            "meter",
            holding.id,
            place.name,
            power_w=evse.power_w,
            confirmed_w=confirmed_w,
            soc_pct=evse.soc_pct,
        )
        self._settle_if_seen(holding)

    def _settle_if_seen(self, holding: ActiveCommand) -> None:
        parts = holding.parts.values()
        if holding.settled or any(part.stage in (Stage.BOUND, Stage.CONFIRMED) for part in parts):
            return
        if holding.waits(self._board.clock.wall()):
            return
        failed = [part for part in parts if part.stage is Stage.FAILED]
        if failed:
            names = ", ".join(part.evse for part in failed)
            reason = because(Code.PARTLY, f"Achieved without {names}, which failed.")
        else:
            reason = because(Code.SEEN_ON_METER, "The meter shows what was granted.")
        self.settle(holding, Status.ACHIEVED, reason, ended=False)

    # ends -----------------------------------------------------------------------------------------------------------

    def end(self, holding: ActiveCommand, status: Status, reason: Reason, *, ramp: bool = True) -> None:
        """Take a command out of force; its final result, if it has none yet, is `status` with `reason`."""
        board = self._board
        had_power = any(abs(part.confirmed_w or 0.0) > 0 for part in holding.parts.values())
        unsettled = not holding.settled
        self.settle(holding, status, reason, ended=True)
        for evse in list(holding.parts):
            place = board.places.get(evse)
            if place is not None and place.holding is holding:
                self._vacate(place, ramp=ramp)
        if board.site_holding is holding:
            board.site_holding = None
            board.changed(None)
        if board.site_holding is not None:
            self.shared_again(None)  # an EVSE has become free
        if reason.code is not Code.SUPERSEDED and (had_power or not unsettled):
            event = Happened.LEASE_ENDED if reason.code not in (Code.RELEASED,) else Happened.RELEASED
            board.happened(event, holding.evse, reason, command=holding.id)

    def leave(self, place: EvseControlState, reason: Reason, *, failed: bool) -> None:
        """Take one EVSE out of the command in force there; with its last EVSE the command ends."""
        holding, part = place.holding, place.part
        if holding is None or part is None:
            return
        if holding.evse is not None or len([p for p in holding.parts.values() if p.stage is not Stage.FAILED]) <= 1:
            part.stage, part.failure = Stage.FAILED, reason
            self.end(holding, Status.FAILED if failed else Status.SUPERSEDED, reason)
            return
        if failed:
            part.stage, part.failure, part.power_w, part.confirmed_w = Stage.FAILED, reason, 0.0, 0.0
            self._board.note(Step.RESULT, reason.code.value, holding.id, place.name, status="failed", text=reason.text)
        else:
            del holding.parts[place.name]
        self._vacate(place, ramp=True)
        self.shared_again(place)
        self._settle_if_seen(holding)

    def _vacate(self, place: EvseControlState, *, ramp: bool) -> None:
        place.holding = None
        if ramp and place.sent_w:
            place.ramp = Ramp(place.sent_w, self._board.clock.now())
        place.wake.set()
        self._board.changed(place.name)
