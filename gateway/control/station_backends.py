"""Orders to EVSEs of several packages: each goes to the one that reaches the EVSE, charging stations or a driver.

The port is `gateway.model.station`: `csms` and `drivers` implement it, neither imports the other.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.model.station import Answer, GridFormingStations, Outcome, OutcomeCode, Stations


class StationBackends:
    """`Stations` and `GridFormingStations` of the whole gateway. `hosted`: backend by EVSE; `others` has all others."""

    def __init__(self, others: Stations, hosted: Mapping[str, Stations]) -> None:
        self._others, self._hosted = others, hosted

    def _of(self, evse: str) -> Stations:
        return self._hosted.get(evse, self._others)

    def reaches(self, evse: str) -> bool:
        """Return whether the EVSE is reachable now."""
        return self._of(evse).reaches(evse)

    async def set_power(self, evse: str, power_w: float, valid_for_s: float) -> Outcome:
        """Apply a set-point for `valid_for_s`."""
        return await self._of(evse).set_power(evse, power_w, valid_for_s)

    async def reconcile(self, evse: str) -> float | None:
        """Return the set-point that the EVSE holds."""
        return await self._of(evse).reconcile(evse)

    async def form(self, evse: str, forms: bool) -> Outcome:
        """Set to grid-forming or grid-following."""
        backend: object = self._of(evse)
        if isinstance(backend, GridFormingStations):
            return await backend.form(evse, forms)
        text = f"The link to {evse} has no order for grid-forming."
        return Outcome(Answer.REFUSED, OutcomeCode.NO_FORMING, text)
