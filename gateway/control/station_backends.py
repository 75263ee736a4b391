"""Station backends (CSMS, drivers) as one `Stations`: each call goes to the backend that reaches the EVSE."""

from __future__ import annotations

from gateway.model.station import Answer, Formers, Outcome, Stations


class StationBackends:
    """All backends of one gateway."""

    def __init__(self) -> None:
        self._backends: list[Stations] = []

    def add(self, backend: Stations) -> None:
        """Add a backend."""
        self._backends.append(backend)

    def reaches(self, evse: str) -> bool:
        """Return whether any backend reaches the EVSE now."""
        return any(backend.reaches(evse) for backend in self._backends)

    async def set_power(self, evse: str, power_w: float, valid_for_s: float) -> Outcome:
        """See `Stations`."""
        backend = self._of(evse)
        return await backend.set_power(evse, power_w, valid_for_s) if backend else _unreachable(evse)

    async def reconcile(self, evse: str) -> float | None:
        """See `Stations`."""
        backend = self._of(evse)
        return await backend.reconcile(evse) if backend else None

    async def form(self, evse: str, forms: bool) -> Outcome:
        """See `Formers`; refused where the backend has no such order."""
        backend = self._of(evse)
        if backend is None:
            return _unreachable(evse)
        if not isinstance(backend, Formers):
            return Outcome(Answer.REFUSED, "NoForming", f"The link to {evse} has no order for grid-forming.")
        return await backend.form(evse, forms)

    def _of(self, evse: str) -> Stations | None:
        return next((backend for backend in self._backends if backend.reaches(evse)), None)


def _unreachable(evse: str) -> Outcome:
    return Outcome(Answer.UNKNOWN, "NotConnected", f"{evse} is not connected")
