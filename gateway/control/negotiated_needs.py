"""Stored needs of vehicles: a station reports them once a session, which continues after a restart.

One record per EVSE with a session, removed when the session ends. Only what lasts is kept: the state of charge and the
energy requests of then are no statement about now. With it stands whether the SoC floor was reached: its hysteresis
does not begin anew with a restart.

Where another process may take the site over at any moment, the state of charge is stored as well, beside it: without it
the leased discharge that stays in force would end at the SoC floor until the station reports again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import msgspec

from gateway.control.control_state import EvseControlState
from gateway.model.event import VehicleNeeds
from gateway.model.journal import Forgotten, Kept
from gateway.store.journal import Journal

log = logging.getLogger("v2x")

KIND, SOC_KIND = "vehicle_needs", "vehicle_soc"
SOC_STEP_PCT = 0.2  # change from which the state of charge is written again
SOC_EVERY_S, SOC_VALID_S = 30.0, 60.0  # and at the next report after that time; how long it is a statement about now
_Watts = Annotated[float, msgspec.Meta(ge=0, le=1e9)]


class LimitsRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Power limits of the vehicle, magnitudes in W."""

    max_charge_w: _Watts
    max_discharge_w: _Watts
    min_charge_w: _Watts = 0.0
    min_discharge_w: _Watts = 0.0


class NeedsRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits and service that the vehicle in a session negotiated."""

    session: str
    limits: LimitsRow
    bidirectional: bool
    energy_transfer: str
    control_mode: str
    target_soc_pct: float | None = None
    departure: float | None = None
    battery_capacity_wh: float | None = None
    floor_reached: bool = False


class SocRow(msgspec.Struct, frozen=True):
    """State of charge of the vehicle in a session; `at` is Unix time."""

    session: str
    soc_pct: Annotated[float, msgspec.Meta(ge=0, le=100)]
    at: float


class VehicleNeedsPersistence:
    """Persistence of what vehicles have negotiated. `takes_over`: and of their states of charge."""

    def __init__(self, journal: Journal, *, takes_over: bool = False) -> None:
        self._journal, self._takes_over = journal, takes_over
        self._written: dict[str, NeedsRow] = {}
        self._restored: dict[str, NeedsRow] = {}
        self._soc: dict[str, SocRow] = {}

    def keep(self, state: EvseControlState, wall: float) -> None:
        """Write what the vehicle in session has negotiated; nothing without a session or before it has negotiated."""
        evse = state.evse
        if evse.session is None or evse.needs is None:
            return
        self._write(evse.name, _row(evse.session, evse.needs, state.floor_reached), wall)

    def forget(self, evse: str) -> None:
        """Remove the record of a session that has ended."""
        self._restored.pop(evse, None)
        if self._written.pop(evse, None) is not None:
            self._journal.later(Forgotten(KIND, evse))
        if self._soc.pop(evse, None) is not None:
            self._journal.later(Forgotten(SOC_KIND, evse))

    def keep_soc(self, state: EvseControlState, wall: float) -> None:
        """Write the state of charge of the vehicle in session where it has changed, or was written long ago."""
        session, soc_pct = state.evse.session, state.evse.soc_pct
        if not self._takes_over or session is None or soc_pct is None:
            return
        last = self._soc.get(state.name)
        if last is None or last.session != session or _moved(last, soc_pct, wall):
            row = self._soc[state.name] = SocRow(session, soc_pct, wall)
            self._journal.later(Kept(SOC_KIND, state.name, msgspec.json.encode(row).decode(), wall))

    def soc(self, evse: str, session: str, wall: float) -> float | None:
        """Return the state of charge that the process before has written a moment ago, None without one."""
        row = self._soc.get(evse)
        recent = row is not None and row.session == session and abs(wall - row.at) <= SOC_VALID_S
        return row.soc_pct if row is not None and recent else None

    def take(self, evse: str, session: str) -> tuple[VehicleNeeds, bool] | None:
        """Return what was negotiated in this session before the restart, once; the record of another is removed.

        With it: whether the SoC floor was reached.
        """
        if (written := self._written.get(evse)) is not None and written.session != session:
            self.forget(evse)
        row = self._restored.pop(evse, None)
        if row is None:
            return None
        lasting = msgspec.to_builtins(row)
        del lasting["session"]
        return msgspec.convert(lasting, VehicleNeeds), lasting.pop("floor_reached")

    def restore(self, kept: Sequence[Kept]) -> None:
        """Read the records of an earlier run. One that cannot be read is left out."""
        for one in kept:
            try:
                if one.kind == KIND:
                    self._written[one.key] = self._restored[one.key] = msgspec.json.decode(one.body, type=NeedsRow)
                elif one.kind == SOC_KIND:
                    self._soc[one.key] = msgspec.json.decode(one.body, type=SocRow)
            except msgspec.DecodeError:
                log.warning("the record of the vehicle at %s cannot be read and is left out", one.key)

    def _write(self, evse: str, row: NeedsRow, wall: float) -> None:
        if self._written.get(evse) != row:
            self._written[evse] = row
            self._journal.later(Kept(KIND, evse, msgspec.json.encode(row).decode(), wall))


def _moved(last: SocRow, soc_pct: float, wall: float) -> bool:
    return abs(soc_pct - last.soc_pct) >= SOC_STEP_PCT or abs(wall - last.at) >= SOC_EVERY_S


def _row(session: str, needs: VehicleNeeds, floor_reached: bool) -> NeedsRow:
    """Return the row of what lasts."""
    lasting = {name: value for name, value in asdict(needs).items() if name in NeedsRow.__struct_fields__}
    return msgspec.convert({**lasting, "session": session, "floor_reached": floor_reached}, NeedsRow)
