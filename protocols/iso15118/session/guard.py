"""Current that an EV accepts from a charger, with the tolerance of a measurement."""

from __future__ import annotations

from dataclasses import dataclass

from protocols.iso15118.iso20.limits import Limits

SLACK_A = 2.0  # tolerated measuring error
SLACK = 1.05


def permitted_current(limits: Limits, voltage_v: float) -> tuple[float, float]:
    """Return the lowest and the highest current, signed, at a battery voltage."""
    voltage = max(voltage_v, 1.0)
    high = min(limits.max_charge_a, limits.max_charge_w / voltage) * SLACK + SLACK_A
    low = -(min(limits.max_discharge_a, limits.max_discharge_w / voltage) * SLACK + SLACK_A)
    return low, high


@dataclass(frozen=True, slots=True)
class Verdict:
    """Since when the current is outside what the EV permits, and the reason for which the EV ends the session."""

    outside_since: float | None = None
    refusal: str | None = None


WITHIN = Verdict()


def judge(
    current_a: float,
    limits: Limits,
    voltage_v: float,
    *,
    discharges: bool,
    since: float | None,
    now: float,
    for_s: float,
) -> Verdict:
    """Judge a measured current: beyond the limits it may be for some seconds, reverse without agreement not at all."""
    low, high = permitted_current(limits if discharges else limits.charge_only(), voltage_v)
    if low <= current_a <= high:
        return WITHIN
    if current_a < low and not discharges:
        return Verdict(now, f"the charger discharges with {-current_a:.1f} A, which was not negotiated")
    since = now if since is None else since
    if now - since < for_s:
        return Verdict(since)
    return Verdict(since, f"{current_a:.1f} A, the EV permits {low:.1f} to {high:.1f} A")
