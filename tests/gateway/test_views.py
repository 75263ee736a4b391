"""States that the gateway publishes, and what they cost."""

from __future__ import annotations

import pytest

from gateway.control.control_state import SiteControlState
from gateway.model.site import SitePolicy
from gateway.views import StateViews
from tests.gateway.control.site_parts import SiteParts
from tests.gateway.csms.test_many_stations import counted


def views_of(evses: int, policy: SitePolicy) -> tuple[StateViews, SiteParts]:
    parts = SiteParts(policy)
    for number in range(evses):
        parts.evse(f"CP{number}-1", sent_w=1000.0, power_w=1000.0)
    state = SiteControlState()
    return StateViews("gw1", parts.site, parts.registry, state, parts.decision, parts.clock, None), parts


def calls_per_state(evses: int, policy: SitePolicy) -> int:
    """Return the calls of functions for the state of one of several EVSEs."""
    views, parts = views_of(evses, policy)
    calls, state = list[int](), next(iter(parts.registry))
    for _ in range(5):  # the first ones fill caches
        with counted(calls):
            views.evse_state(state)
    return min(calls)


def test_a_state_costs_no_more_with_more_evses_where_they_share_no_limit() -> None:
    policy = SitePolicy("home")
    assert calls_per_state(200, policy) == calls_per_state(2, policy)


def test_a_state_passes_once_over_the_evses_that_share_a_limit() -> None:
    policy = SitePolicy("home", import_limit_w=50_000.0)
    passes = list[int]()
    for evses in (2, 202):
        _, parts = views_of(evses, policy)
        with counted(passes):
            parts.decision.shared()
    more = calls_per_state(202, policy) - calls_per_state(2, policy)
    assert more == pytest.approx(passes[1] - passes[0], rel=0.05)


def test_a_limit_that_evses_share_is_in_the_state() -> None:
    views, parts = views_of(3, SitePolicy("home", import_limit_w=5000.0))
    states = views.evse_states(parts.registry)
    assert states == [views.evse_state(state) for state in parts.registry]
    unlimited, others = views_of(3, SitePolicy("home"))
    assert unlimited.evse_states(others.registry)[0].available.max_charge_w > states[0].available.max_charge_w
