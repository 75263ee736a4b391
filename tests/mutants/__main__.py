"""`make mutants`: test the tests of what decides a power with mutants, small changes of the code that mutmut makes.

The mutants are made in a copy; the working tree does not change. A mutant that no test detects survives; each one is
listed in `survivors.toml` with the reason. The run fails when a survivor is not listed, when a listed one does not
survive, when the list is longer than 3 % of all mutants, or when a mutant could not be tested (error). `--listed` runs
only the mutants in the list, which takes a minute. An interrupted run keeps its outcomes in `.mutants`, and the next
run continues with the mutants that have none; outcomes of a file are dropped when the file or its tests change.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from tests.mutants.generate import Mutant, mutate

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SURVIVORS = HERE / "survivors.toml"
OUTCOMES = ROOT / ".mutants"
AT_MOST = 0.03  # of all mutants may survive


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("paths", nargs="*", help="parts of the paths to mutate; all targets without")
    parser.add_argument("--listed", action="store_true", help="only the mutants in survivors.toml")
    parser.add_argument("--jobs", type=int, default=2, help="mutants under test at the same time (2)")
    chosen = parser.parse_args()
    targets: dict[str, list[str]] = tomllib.loads((HERE / "targets.toml").read_text())
    if chosen.paths:
        targets = {path: tests for path, tests in targets.items() if any(part in path for part in chosen.paths)}
    with tempfile.TemporaryDirectory(prefix="v2x-mutants-") as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__", "node_modules"))
        mutants, texts = [], Counter[str]()
        for path in targets:
            mutated = mutate(path, (ROOT / path).read_text())
            (copy / path).write_text(mutated.code)
            mutants += mutated.mutants
            texts[path] = mutated.texts
        if chosen.listed:
            listed: dict[str, dict[str, str]] = tomllib.loads(SURVIVORS.read_text())
            mutants = [one for one in mutants if one.name in listed.get(one.path, {})]
        print(f"{len(mutants)} mutants in {len(targets)} files ({texts.total()} left out)", flush=True)
        digests = {path: _digest(path, tests) for path, tests in targets.items()}
        outcomes = _outcomes(mutants, digests)
        left = [one for one in mutants if one.key not in outcomes]
        if len(left) < len(mutants):
            print(f"{len(mutants) - len(left)} have an outcome of an interrupted run", flush=True)
        if left:
            OUTCOMES.mkdir(exist_ok=True)
            targets = {path: targets[path] for path in sorted({one.path for one in left})}
            job = Path(folder) / "job.json"
            job.write_text(
                json.dumps(
                    {
                        "targets": targets,
                        "digests": digests,
                        "jobs": chosen.jobs,
                        "mutants": [asdict(one) for one in left],
                    }
                )
            )
            environment = os.environ | {
                "HYPOTHESIS_PROFILE": "mutants",
                "V2X_SOAK": "1",
                "PYTHONDONTWRITEBYTECODE": "1",
            }
            command = [sys.executable, "-m", "tests.mutants.run", str(job), str(OUTCOMES)]
            code = subprocess.run(command, cwd=copy, env=environment, check=False).returncode
            if code:
                print("Interrupted, or a test fails without a mutant; the next run continues here.")
                return code
            outcomes = _outcomes(mutants, digests)
    for digest in digests.values():
        (OUTCOMES / f"{digest}.jsonl").unlink(missing_ok=True)
    return _report(mutants, outcomes, whole=not chosen.paths and not chosen.listed)


def _digest(path: str, tests: list[str]) -> str:
    """Return a digest of a source file and its tests."""
    digest = hashlib.sha256((ROOT / path).read_bytes())
    for one in tests:
        for file in sorted((ROOT / one).rglob("*.py")) if (ROOT / one).is_dir() else [ROOT / one]:
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _outcomes(mutants: list[Mutant], digests: dict[str, str]) -> dict[str, str]:
    """Return the kept outcomes by the mutant's key."""
    found: dict[tuple[str, str], str] = {}
    for path, digest in digests.items():
        file = OUTCOMES / f"{digest}.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        found |= {(path, name): outcome for name, outcome in map(json.loads, lines)}
    return {one.key: found[one.path, one.name] for one in mutants if (one.path, one.name) in found}


def _report(mutants: list[Mutant], outcomes: dict[str, str], whole: bool) -> int:
    per_file: dict[str, Counter[str]] = {one.path: Counter() for one in mutants}
    for one in mutants:
        per_file[one.path][outcomes[one.key]] += 1
    total = sum(per_file.values(), Counter[str]())
    print(f"\n{'mutants':>8} {'killed':>8} {'timed out':>10} {'survived':>9} {'error':>6}")
    for path, counts in [*per_file.items(), ("total", total)]:
        row = f"{counts.total():>8} {counts['killed']:>8} {counts['timed out']:>10} {counts['survived']:>9}"
        print(f"{row} {counts['error']:>6}  {path}")
    detected = total["killed"] + total["timed out"]
    print(f"{100 * detected / total.total():.1f} % killed or timed out")
    listed: dict[str, dict[str, str]] = tomllib.loads(SURVIVORS.read_text())
    survived = {(one.path, one.name) for one in mutants if outcomes[one.key] == "survived"}
    known = {(path, name) for path, names in listed.items() if whole or path in per_file for name in names}
    _print_names("Survived, and not listed in survivors.toml:", survived - known)
    _print_names("Listed in survivors.toml, and did not survive:", known - survived)
    too_many = whole and len(survived) > AT_MOST * total.total()
    if too_many:
        print(f"\n{len(survived)} survived: more than {100 * AT_MOST:.0f} % of all.")
    return int(survived != known or too_many or total["error"] > 0)


def _print_names(title: str, names: set[tuple[str, str]]) -> None:
    path_before = ""
    for number, (path, name) in enumerate(sorted(names)):
        if number == 0:
            print(f"\n{title}")
        if path != path_before:
            print(f'["{path}"]')
            path_before = path
        print(f'{json.dumps(name, ensure_ascii=False)} = ""')


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Interrupted. The next run continues here.")
