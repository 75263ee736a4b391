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
    from gateway.drivers.chademo.evse import ChademoEvse
    from gateway.drivers.chademo.settings import ChademoEvseSettings
    from gateway.drivers.secc.evse import SeccEvse
    from gateway.drivers.secc.settings import SeccEvseSettings
    from protocols.dc_modules.bus import CanBus


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


def chademo_evses(
    evses: Sequence[ChademoEvseSettings],
    boards: Mapping[str, Callable[[Clock], Board]],
    buses: Mapping[str, Callable[[], CanBus]],
    report: Report,
    clock: Clock,
) -> list[ChademoEvse]:
    """Return the EVSEs; `boards` and `buses` make the hardware and open the CAN bus of some by EVSE, instead of what is
    configured."""
    if not evses:
        return []
    from gateway.drivers.board import registry  # on demand, as above
    from gateway.drivers.chademo.evse import ChademoEvse

    found = []
    for one in evses:
        made = boards.get(one.id) or partial(registry.build, one.board, one.board_settings)
        opened = buses.get(one.id) or partial(_open_bus, one.can)
        found.append(ChademoEvse(one, partial(made, clock), opened, report, clock))
    return found


def _open_bus(channel: str) -> CanBus:
    from protocols.dc_modules.io import open_bus  # python-can is an extra

    return open_bus(channel)
