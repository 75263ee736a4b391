"""How the core behaves: times, tolerances and bounds. Drawn from the configuration, with defaults that are safe."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.model.site import STALE_AFTER_S, InputKind, SitePolicy


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """See `docs/configuration.md` for what each means to an operator."""

    policy: SitePolicy
    gateway_id: str = "gw1"
    stations: tuple[str, ...] = ()  # configured: their EVSEs are known even while they are offline
    hold_s: float = 15.0  # a station falls to 0 W this long after the gateway's last word
    set_within_s: float = 10.0  # for a station's answer
    retry_s: float = 2.0  # after a station that did not answer
    achieve_within_s: float = 60.0  # for the meter to show what was granted
    tolerance_w: float = 150.0
    tolerance_share: float = 0.05
    evse_rate_per_s: float = 10.0
    source_rate_per_s: float = 50.0
    burst_s: float = 4.0  # a bucket holds this much of its rate
    clock_skew_s: float = 5.0
    known_ids: int = 100_000  # kept in memory; older ones are looked up
    command_days: float = 7.0
    journal_days: float = 730.0
    telemetry_days: float = 30.0  # 0 keeps none
    telemetry_every_s: float = 10.0
    stale_after_s: dict[InputKind, float] = field(default_factory=lambda: dict(STALE_AFTER_S))

    def tolerance(self, power_w: float) -> float:
        """How far the meter may be from a power that counts as reached, in W; half of it at most, so 0 W never does."""
        allowed_w = max(self.tolerance_w, self.tolerance_share * abs(power_w))
        return min(allowed_w, abs(power_w) / 2) if power_w else allowed_w


RAMP_STEP_S = 0.5
SETTLE_S = 3.0  # for a station and its car to do what they were told
LEASE_SLACK_S = 1.0  # the station's own dead-man waits this long for the gateway's ramp to begin
