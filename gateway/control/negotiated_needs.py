"""Stored needs of vehicles: a station reports them once a session, which continues after a restart.

One record per EVSE with a session, removed when the session ends. Only what lasts is kept: the state of charge and the
energy requests of then are no statement about now. With it stands whether the SoC floor was reached: its hysteresis
does not begin anew with a restart.
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

KIND = "vehicle_needs"
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


class VehicleNeedsPersistence:
    """Persistence of what vehicles have negotiated."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._written: dict[str, NeedsRow] = {}
        self._restored: dict[str, NeedsRow] = {}

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
            if one.kind != KIND:
                continue
            try:
                row = msgspec.json.decode(one.body, type=NeedsRow)
            except msgspec.DecodeError:
                log.warning("the record of the vehicle at %s cannot be read and is left out", one.key)
                continue
            self._written[one.key] = self._restored[one.key] = row

    def _write(self, evse: str, row: NeedsRow, wall: float) -> None:
        if self._written.get(evse) != row:
            self._written[evse] = row
            self._journal.later(Kept(KIND, evse, msgspec.json.encode(row).decode(), wall))


def _row(session: str, needs: VehicleNeeds, floor_reached: bool) -> NeedsRow:
    """Return the row of what lasts."""
    lasting = {name: value for name, value in asdict(needs).items() if name in NeedsRow.__struct_fields__}
    return msgspec.convert({**lasting, "session": session, "floor_reached": floor_reached}, NeedsRow)
