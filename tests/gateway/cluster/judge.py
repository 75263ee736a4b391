"""Rules that hold in every order of events, by which the rounds of faults are judged.

Each round commands powers that no other round has, so that a set-point at a station names the command that it is of.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from gateway.model.message import parse_moment

FIRST = ("accepted", "clamped")
ID_FREE = {"rate_limited", "busy", "overloaded", "journal_unavailable", "gateway_stopped"}  # refusals that may repeat
STEP_W = 10.0  # between the powers of two rounds
SLACK_S = 3.0  # beyond a lease: ramp, whole seconds of the station
Result = dict[str, Any]


def power_of(round_number: int) -> float:
    """Return the discharge that a round commands."""
    return 1000.0 + STEP_W * round_number


@dataclass(frozen=True)
class Setpoint:
    """A set-point as a station received it. Monotonic time."""

    at: float
    power_w: float
    valid_for_s: float | None
    call: str = ""  # message id: of the connection at one holder, a dash, and a number
    lag_s: float = 0.0  # by which the process of the station ran late


@dataclass(frozen=True)
class Delay:
    """A time in which the paths of some stations, or they themselves, did not run. What arrives then is late."""

    stations: frozenset[str]
    begin: float
    end: float

    def covers(self, station: str, at: float) -> bool:
        """Return whether a set-point may be late; TCP repeats what was lost at intervals that double."""
        return station in self.stations and self.begin <= at <= self.end + (self.end - self.begin) + 1.0


@dataclass
class Evidence:
    """All that was sent and received in a run."""

    sent: dict[str, tuple[str, int]] = field(default_factory=dict)  # station and round, by command
    results: dict[str, list[Result]] = field(default_factory=dict)  # by command
    setpoints: dict[str, list[Setpoint]] = field(default_factory=dict)  # by station
    delays: list[Delay] = field(default_factory=list)
    offset: float = 0.0  # Unix time less monotonic time

    def complete(self, command: str) -> bool:
        """Return whether a command has its final result."""
        return any(one["status"] not in FIRST for one in self.results.get(command, []))


@dataclass
class Verdict:
    """Violations, by rule, and what else happened."""

    violations: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    setpoints: int = 0
    late: int = 0  # set-points that a cut path or a paused station delayed

    def add(self, rule: str, text: str) -> None:
        """Note a violation."""
        self.violations.append(f"{rule}: {text}")


def judge(evidence: Evidence) -> Verdict:
    """Return the verdict of a run."""
    verdict = Verdict()
    for command in evidence.sent:
        _results(verdict, command, evidence.results.get(command, []))
    for station, setpoints in evidence.setpoints.items():
        _owners(verdict, station, setpoints)
        _rounds(verdict, evidence, station, setpoints)
    return verdict


def _results(verdict: Verdict, command: str, results: list[Result]) -> None:
    """One first and one final result; a result that is repeated has the same content."""
    first, final, refusals = set(), set(), set()
    for one in results:
        verdict.reasons[f"{one['status']} {one['reason']['code']}"] += 1
        content = json.dumps(one, sort_keys=True)
        if one["status"] in FIRST:
            first.add(content)
        elif one["status"] == "refused" and one["reason"]["code"] in ID_FREE:
            refusals.add(content)
        else:
            final.add(content)
    statuses = {json.loads(one)["status"] for one in first | final | refusals}
    verdict.outcomes["/".join(sorted(statuses)) or "none"] += 1
    if not final and not refusals:
        verdict.add("lost result", f"{command} has no final result: {results}")
    elif len(first) > 1 or len(final) > 1:
        verdict.add("doubled effect", f"{command} has several results: {results}")
    elif final and not first and not refusals and not _without_first(*final):
        verdict.add("lost result", f"{command} has no first result: {results}")


def _without_first(final: str) -> bool:
    """Return whether a final result needs no first: a refusal, also one that was lost with a cut connection."""
    result = json.loads(final)
    return result["status"] == "refused" or result["reason"]["code"] in ID_FREE


def _owners(verdict: Verdict, station: str, setpoints: list[Setpoint]) -> None:
    """No message twice, and none of an earlier connection or holder after one of a later."""
    seen, ended, present = set(), set(), ""
    for one in setpoints:
        owner = one.call.rpartition("-")[0]
        if one.call in seen:
            verdict.add("doubled effect", f"{station} received message {one.call} twice")
        seen.add(one.call)
        if owner in ended:
            verdict.add("stale owner", f"{station} received {one.call} after a message of a later owner, {present}")
        if owner != present:
            ended.add(present)
            present = owner


def _rounds(verdict: Verdict, evidence: Evidence, station: str, setpoints: list[Setpoint]) -> None:
    """No power of an earlier round after that of a later, none without its command, none beyond its lease."""
    latest = 0
    commands = {number: command for command, (name, number) in evidence.sent.items() if name == station}
    for place, one in enumerate(setpoints):
        number = round((-one.power_w - power_of(0)) / STEP_W)
        if not one.power_w or abs(-one.power_w - power_of(number)) > 1e-6:
            continue  # none, or of a ramp
        if number < latest:
            text = (
                f"the power of round {number} after that of round {latest}: {setpoints[max(0, place - 4) : place + 2]}"
            )
            verdict.add("stale owner", f"{station}: {text}")
        latest = max(latest, number)
        results = evidence.results.get(commands.get(number, ""), [])
        untils = [parse_moment(each["lease_until"]) for each in results if each.get("lease_until")]
        if not untils:
            verdict.add("doubled effect", f"{station}: the power of round {number} without a grant: {results}")
            continue
        verdict.setpoints += 1
        late = any(delay.covers(station, one.at) for delay in evidence.delays)
        verdict.late += late
        valid_for_s = one.valid_for_s or 0.0
        until = max(untils) - evidence.offset + SLACK_S + one.lag_s + (valid_for_s if late else 0.0)
        if one.at + valid_for_s > until:
            text = f"the power of round {number} until {one.at + valid_for_s - until:.2f} s after the latest end"
            verdict.add("outlived lease", f"{station}: {text}, valid for {valid_for_s} s: {results}")
