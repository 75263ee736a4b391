"""Backends of EVSEs in several packages: charging stations, or the driver that reaches the EVSE.

The port is `gateway.model.station`: `csms` and `drivers` implement it, neither imports the other.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.model.station import Answer, GridFormingStations, Outcome, OutcomeCode, Stations


class StationBackends:
    """Backend of each EVSE, and `GridFormingStations` of the whole gateway for an island.

    `hosted`: backend by EVSE, which does not change; `others` has all others.
    """

    def __init__(self, others: Stations, hosted: Mapping[str, Stations]) -> None:
        self._others, self._hosted = others, hosted

    def of(self, evse: str) -> Stations:
        """Return the backend that an EVSE has for good."""
        return self._hosted.get(evse, self._others)

    def reaches(self, evse: str) -> bool:
        """Return whether the EVSE is reachable now."""
        return self.of(evse).reaches(evse)

    async def form(self, evse: str, forms: bool) -> Outcome:
        """Set to grid-forming or grid-following."""
        backend: object = self.of(evse)
        if isinstance(backend, GridFormingStations):
            return await backend.form(evse, forms)
        text = f"The link to {evse} has no order for grid-forming."
        return Outcome(Answer.REFUSED, OutcomeCode.NO_FORMING, text)
