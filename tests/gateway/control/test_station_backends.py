"""Orders to EVSEs of several packages: each goes to the package that reaches the EVSE."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from gateway.control.station_backends import StationBackends
from gateway.model.station import Answer, Outcome, OutcomeCode, setpoint_refusal, station_of


@dataclass
class Plain:
    """Backend without an order for grid-forming."""

    name: str
    powers: list[tuple[str, float]] = field(default_factory=list)

    def reaches(self, evse: str) -> bool:
        return self.name in evse

    async def set_power(self, evse: str, power_w: float, valid_for_s: float) -> Outcome:
        self.powers.append((evse, power_w))
        return Outcome(Answer.APPLIED)

    async def reconcile(self, evse: str) -> float | None:
        return self.powers[-1][1] if self.powers else None


@dataclass
class Forming(Plain):
    formed: list[tuple[str, bool]] = field(default_factory=list)

    async def form(self, evse: str, forms: bool) -> Outcome:
        self.formed.append((evse, forms))
        return Outcome(Answer.APPLIED)


async def test_an_order_reaches_the_package_of_its_evse_and_no_other() -> None:
    stations, bay = Forming("CP1"), Forming("BAY1")
    backends = StationBackends(stations, {"BAY1": bay})
    await backends.form("BAY1", True)
    assert (backends.of("BAY1"), backends.of("CP1-1")) == (bay, stations)
    assert (backends.reaches("BAY1"), backends.reaches("CP2-1")) == (True, False)
    assert (bay.formed, stations.formed) == ([("BAY1", True)], [])


async def test_a_backend_without_an_order_for_grid_forming_leaves_it_to_the_hardware() -> None:
    outcome = await StationBackends(Forming("CP1"), {"BAY1": Plain("BAY1")}).form("BAY1", True)
    assert (outcome.answer, outcome.code) == (Answer.REFUSED, OutcomeCode.NO_FORMING)


@pytest.mark.parametrize(
    ("evse", "station"),
    [("CP1-1", "CP1"), ("A-B-12", "A-B"), ("BAY1", "BAY1"), ("BAY-A", "BAY-A"), ("A-0", "A-0"), ("-1", "-1")],
)
def test_an_evse_without_a_number_is_its_own_station(evse: str, station: str) -> None:
    assert station_of(evse) == station


@pytest.mark.parametrize(
    ("power_w", "valid_for_s", "why_not", "bidirectional", "code"),
    [
        (float("nan"), 15.0, None, True, OutcomeCode.INVALID_ORDER),
        (0.0, 0.0, None, True, OutcomeCode.INVALID_ORDER),
        (-1.0, 15.0, "it has no inverter", True, OutcomeCode.CANNOT_DISCHARGE),
        (-1.0, 15.0, None, False, OutcomeCode.NOT_BIDIRECTIONAL),
        (-1.0, 15.0, None, None, None),
        (1.0, 15.0, "it has no inverter", False, None),
    ],
)
def test_what_no_evse_may_get_is_refused(
    power_w: float, valid_for_s: float, why_not: str | None, bidirectional: bool | None, code: str | None
) -> None:
    refused = setpoint_refusal(power_w, valid_for_s, why_not=why_not, bidirectional=bidirectional)
    assert (None if refused is None else refused.code) == code
