"""Phases of the output of a board, and which order is possible in which of them (pure)."""

from __future__ import annotations

from enum import StrEnum

from gateway.drivers.board.orders import CheckCable, Deliver, Order, Precharge, SetLock
from gateway.drivers.board.ports import Board, PilotState


class Phase(StrEnum):
    """Phase of the output."""

    IDLE = "idle"  # off, contactors open
    CABLE_CHECK = "cable check"
    CHECKED = "checked"  # isolation test passed, off, contactors closed
    PRECHARGE = "precharge"
    DELIVERY = "delivery"
    STOPPING = "stopping"  # 0 A, off, then open
    FAULTED = "faulted"  # open, until the faults are cleared


CHARGING = frozenset({PilotState.READY, PilotState.READY_VENTILATED})
PLUGGED = CHARGING | {PilotState.CONNECTED}
ENERGISED = frozenset({Phase.CABLE_CHECK, Phase.CHECKED, Phase.PRECHARGE, Phase.DELIVERY})
ALLOWED: dict[type[Order], frozenset[Phase]] = {
    CheckCable: frozenset({Phase.IDLE}),
    Precharge: frozenset({Phase.CHECKED, Phase.PRECHARGE}),
    Deliver: frozenset({Phase.PRECHARGE, Phase.DELIVERY}),
}
ALLOWED_AC = frozenset({Phase.IDLE, Phase.DELIVERY})


def refusal(order: Order, phase: Phase, pilot: PilotState | None, board: Board, *, closed: bool) -> str | None:
    """Return why an order is not possible, or None. `closed`: the contactors are not confirmed open."""
    if isinstance(order, SetLock):
        if board.lock is None:
            return "this board has no lock"
        return "the contactors are closed" if closed and not order.locked else None
    allowed = ALLOWED.get(type(order))
    if allowed is None:
        return None
    if board.power is None or board.isolation is None:
        if not isinstance(order, Deliver):
            return "an AC board has no cable check and no precharge"
        allowed = ALLOWED_AC
    if phase not in allowed:
        return f"not in phase {phase}"
    required = CHARGING if isinstance(order, Deliver) else PLUGGED
    return None if pilot in required else f"pilot state {pilot or 'unknown'}"
