"""EVSEs that a gateway hosts, from their settings; the board of each is made when it starts to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from gateway.drivers.board.ports import Board
from gateway.model.event import Report
from protocols.ports import Clock

if TYPE_CHECKING:
    from gateway.drivers.secc.evse import SeccEvse
    from gateway.drivers.secc.settings import SeccEvseSettings


def secc_evses(
    evses: Sequence[SeccEvseSettings],
    boards: Mapping[str, Callable[[Clock], Board]],
    report: Report,
    clock: Clock,
    *,
    listen: bool = True,
) -> list[SeccEvse]:
    """Return the EVSEs; `boards` makes the hardware of some by EVSE, instead of their configured drivers.

    `listen`: vehicles connect over sockets; without it only by `SeccEvse.serve`.
    """
    if not evses:
        return []
    from gateway.drivers.board import registry  # on demand: the engines of ISO 15118 take time to import
    from gateway.drivers.secc.evse import SeccEvse

    found = []
    for configured in evses:
        one = configured if listen else replace(configured, interface=None, address=None, slac=False)
        made = boards.get(one.id) or partial(registry.build, one.board, one.board_settings)
        found.append(SeccEvse(one, partial(made, clock), report, clock))
    return found
