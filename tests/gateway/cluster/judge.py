"""Rules that hold in every order of events, by which the rounds of faults are judged.

Each round commands powers that no other round has, so that a set-point at a station names the command that it is of.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from gateway.model.message import parse_moment

FIRST = ("accepted", "clamped")
ID_FREE = {"rate_limited", "busy", "overloaded", "journal_unavailable", "gateway_stopped"}  # refusals that may repeat
STEP_W = 10.0  # between the powers of two rounds
CLOCK_S = 0.1  # tolerance: the ends of leases are whole milliseconds of another clock
BEYOND_S = (
    2.0  # of a validity: ramp, which takes no time here, one second, and one that an order may wait at the holder
)
WAITED_S = 3.0  # the same of the effect of a power that waited between two instances while NATS was away
DELAYED_S = 1.0  # from a write to the receipt
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


@dataclass(frozen=True)
class Sending:
    """The write of a set-point to the socket of a station. Monotonic time."""

    term: int  # of the holder that the set-point is of
    left: float  # when the holder sent it to the instance that has the connection
    begun: float
    done: float | None = None  # None: the process was killed before it noted it, or the system had no room

    def latest(self, received: float) -> float:
        """Return the latest time at which it can have been written; its process may have been paused meanwhile."""
        return received if self.done is None else min(self.done, received)


@dataclass
class Evidence:
    """All that was sent and received in a run."""

    sent: dict[str, tuple[str, int]] = field(default_factory=dict)  # station and round, by command
    results: dict[str, list[Result]] = field(default_factory=dict)  # by command
    setpoints: dict[str, list[Setpoint]] = field(default_factory=dict)  # by station
    sendings: dict[str, Sending] = field(default_factory=dict)  # by message id
    began: dict[int, float] = field(default_factory=dict)  # when the first message of a term was seen
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
    late: int = 0  # set-points that waited in the network or in a paused station

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
    _terms(verdict, evidence)
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


def _terms(verdict: Verdict, evidence: Evidence) -> None:
    """Nothing is written for the holder of a term once a later holder has sent anything to any station."""
    received = {one.call: one.at for setpoints in evidence.setpoints.values() for one in setpoints}
    for call, one in evidence.sendings.items():
        later = min((at for term, at in evidence.began.items() if term > one.term), default=math.inf)
        at = one.latest(received[call]) if call in received else one.begun
        if at > later:
            text = f"{call} of term {one.term} was sent {at - later:.3f} s after the begin of a later term"
            verdict.add("stale owner", text)


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
        _lease(verdict, evidence.sendings.get(one.call), station, one, max(untils) - evidence.offset)


def _lease(verdict: Verdict, sending: Sending | None, station: str, one: Setpoint, until: float) -> None:
    """A holder sends a power within its lease, with a validity that ends soon after it.

    What waits between two instances may be written later, if its effect ends within `WAITED_S`. How long it then waits
    in the network or in the station is no matter of the gateway.
    """
    what = f"{station} received {one}, {sending}; the lease ended at {until:.3f}"
    if sending is None:
        verdict.add("doubled effect", f"no instance sent it: {what}")
        return
    sent = sending.latest(one.at)
    verdict.late += one.at - sent > DELAYED_S
    if one.valid_for_s is None:
        verdict.add("outlived lease", f"sent without an end: {what}")
    elif sending.left > until + CLOCK_S:
        verdict.add("outlived lease", f"sent {sending.left - until:.2f} s after its lease: {what}")
    elif sent > until + CLOCK_S and sent + one.valid_for_s > until + WAITED_S + CLOCK_S:
        verdict.add("outlived lease", f"written {sent - until:.2f} s after its lease: {what}")
    elif sending.left + one.valid_for_s > until + BEYOND_S + CLOCK_S:
        after_s = sending.left + one.valid_for_s - until
        verdict.add(
            "outlived lease", f"the holder sent it with a validity until {after_s:.2f} s after its lease: {what}"
        )
