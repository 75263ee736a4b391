"""Times, tolerances and bounds of the control path, drawn from the configuration, with safe defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gateway.model.site import STALE_AFTER_S, STALE_AT_MOST_S, InputKind, SitePolicy
from gateway.model.topic_name import topic_fault

TOLERANCE_W, TOLERANCE_SHARE = 150.0, 0.05


class ReplyFault(Protocol):
    """Returns why the results of a client are not sent to a reply topic, None where they are."""

    def __call__(self, topic: str, *, client: str | None) -> str | None: ...


def usual_reply_fault(topic: str, *, client: str | None) -> str | None:
    """Reject topics that brokers refuse."""
    return topic_fault(topic)


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """`docs/configuration.md` describes each setting for operators."""

    policy: SitePolicy
    gateway_id: str = "gw1"
    stations: tuple[str, ...] = ()  # configured: their EVSEs are known even while they are offline
    evses: tuple[str, ...] = ()  # hosted by the gateway itself
    valid_for_s: float = 15.0  # validity of a set-point: a station falls back to 0 W this long after the last message
    set_within_s: float = 10.0  # for a station's answer
    retry_s: float = 2.0  # pause after an order that was not accepted
    reconnect_within_s: float = 10.0  # a leased command waits for its station to connect again; 0: it ends at once
    achieve_within_s: float = 60.0  # for the meter to show the power granted
    tolerance_w: float = TOLERANCE_W
    tolerance_share: float = TOLERANCE_SHARE
    evse_rate_per_s: float = 10.0
    source_rate_per_s: float = 50.0
    burst_s: float = 4.0  # a token bucket holds this much of its rate
    clock_skew_s: float = 5.0
    max_age_s: float = 30.0  # of a command that acts
    takes_over: bool = False  # the leased commands of another process stay in force
    known_ids: int = 100_000  # ids held in memory; older ones are read from the store
    command_days: float = 7.0
    journal_days: float = 730.0
    telemetry_days: float = 30.0  # 0 stores none
    telemetry_every_s: float = 10.0
    stale_after_s: dict[InputKind, float] = field(default_factory=lambda: dict(STALE_AFTER_S))
    stale_at_most_s: float = STALE_AT_MOST_S
    meter_delay_s: float = 0.0  # of the grid meter
    reply_fault: ReplyFault = usual_reply_fault
    shared_commands: bool = True  # accept MQTT commands on topics without a client
    max_priority: Mapping[str, int] = field(default_factory=dict)  # of the commands of a client

    def tolerance(self, power_w: float) -> float:
        """Return how far the meter may be from an achieved power, in W; at most half of it, so 0 W never counts."""
        allowed_w = max(self.tolerance_w, self.tolerance_share * abs(power_w))
        return min(allowed_w, abs(power_w) / 2) if power_w else allowed_w


RAMP_STEP_S = 0.5
# Usual time for station and vehicle to reach a set-point: a reading taken that long afterwards replaces the set-point
# as the present power. Until the longest one, `RESPONSE_S` of `authority/power_history.py`, a limit counts the power
# before as well as the set-point. (Energy management judges a vehicle as not following later than both, see
# `energy/tracking_supervision.py`.)
SETTLE_S = 3.0
LEASE_SLACK_S = 1.0  # a station's watchdog waits this long beyond the lease for the gateway's ramp to begin
