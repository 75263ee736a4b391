"""Rounds of faults beside the tests: many of them, or one that failed once more.

python -m tests.gateway.cluster.soak --stations 1000 --seed 3 --rounds 7
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from tests.gateway.cluster.chaos import Report, Size, network_of, perform
from tests.gateway.cluster.light_station import Times
from tests.gateway.cluster.plan import round_of


def size_of(stations: int) -> Size:
    """Return the size of a long run."""
    times = Times(meter_every_s=2.0, heartbeat_s=max(30.0, stations / 25), answer_within_s=15.0)
    return Size(stations, groups=2 if stations <= 1000 else 4, within_s=max(600.0, stations / 5), times=times)


def text(report: Report, stations: int) -> str:
    """Return the result for people."""
    verdict = report.verdict
    lines = [f"VIOLATION {one}" for one in verdict.violations]
    lines += [f"{number:6} {reason}" for reason, number in verdict.reasons.most_common()]
    lines += [f"{number:6} {fault}" for fault, number in sorted(report.faults.items())]
    recovered = report.recovered_s or [float("nan")]
    median, most = statistics.median(recovered), max(recovered)
    lines.append(f"started in {report.started_s:.0f} s; recovered in {median:.1f} s (median), {most:.1f} s at most")
    lines.append(f"{dict(verdict.outcomes)}; {verdict.setpoints} set-points, {verdict.late} of them delayed")
    rounds = sum(report.faults.values())
    return "\n".join([*lines, f"{rounds} rounds with {stations} stations: {len(verdict.violations)} violations"])


def main() -> int:
    """Run rounds and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", default="1-20", help="7, or 1-20")
    parser.add_argument("--lease", type=float, default=10.0, help="longer on a machine that other work shares, in s")
    parser.add_argument("--folder", help="an empty one, which is kept with its logs")
    chosen = parser.parse_args()
    first, _, last = chosen.rounds.partition("-")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    size = replace(size_of(chosen.stations), lease_s=chosen.lease, command_lease_s=2 * chosen.lease)
    rounds = [round_of(chosen.seed, one, size.lease_s) for one in range(int(first), int(last or first) + 1)]
    with contextlib.ExitStack() as stack:
        folder = chosen.folder or stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos"))
        report = asyncio.run(perform(Path(folder), size, rounds, network_of(size)))
    sys.stdout.write(text(report, size.stations) + "\n")
    return 1 if report.verdict.violations else 0


if __name__ == "__main__":
    raise SystemExit(main())
