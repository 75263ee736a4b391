"""State file of a run: what has begun and what has a result, so that a run can be resumed.

JSON lines, appended and written through before the next case: first the run, then `begun` and `result` for each case.
A resumed run repeats inconclusive cases, whose device may have been away. A case that was begun twice without a result
is not run again.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import TextIO

from emulators.conformance.case import Verdict
from emulators.conformance.result import CaseResult, from_json, to_json
from protocols import private_file
from protocols.json_values import items, members

STATE = "state.jsonl"
ATTEMPTS = 2


class StateError(ValueError):
    """State file of another run, or unreadable."""


class RunState:
    """State of one run in a directory. `results` are those that a resumed run keeps."""

    def __init__(self, path: Path, results: dict[str, CaseResult], begun: Counter[str]) -> None:
        self.results = results
        self._begun = begun  # without a result, by case
        self._out: TextIO = path.open("a", encoding="utf-8") if path.exists() else private_file.create(path)

    @classmethod
    def start(cls, directory: Path, role: str, target: str, cases: list[str]) -> RunState:
        """Return the state of a new run; an earlier one in the directory is replaced. Raises OSError."""
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / STATE
        path.unlink(missing_ok=True)
        state = cls(path, {}, Counter())
        state._write({"role": role, "target": target, "cases": cases})
        return state

    @classmethod
    def resume(cls, directory: Path, role: str, target: str, cases: list[str]) -> RunState:
        """Return the state of a run of the same cases, without inconclusive results. Raises StateError, OSError."""
        path = directory / STATE
        if not path.exists():
            raise StateError(f"{path}: there is no run to resume")
        results: dict[str, CaseResult] = {}
        begun: Counter[str] = Counter()
        lines = path.read_text("utf-8").splitlines()
        header = _parsed(lines[0]) if lines else {}
        given = {"role": role, "target": target, "cases": cases}
        for key, value in given.items():
            if header.get(key) != value:
                stated = header.get(key)
                shown = f"{len(items(stated))} other cases" if key == "cases" else repr(stated)
                raise StateError(f"{path}: the interrupted run is of {key} {shown}; start again without --resume")
        for line in lines[1:]:
            entry = _parsed(line)
            if "begun" in entry:
                begun[str(entry["begun"])] += 1
            elif "result" in entry:
                result = from_json(entry["result"])
                results[result.id] = result
                begun[result.id] -= 1
        results = {case: one for case, one in results.items() if one.verdict is not Verdict.INCONCLUSIVE}
        return cls(path, results, begun)

    def exhausted(self, case: str) -> bool:
        """Return True if the run has ended during this case, which has begun again, as often as it is attempted."""
        return self._begun[case] > ATTEMPTS

    def begin(self, case: str) -> None:
        """Record that a case begins."""
        self._begun[case] += 1
        self._write({"begun": case})

    def finish(self, result: CaseResult) -> None:
        """Record the result of a case that has begun."""
        self.results[result.id] = result
        self._begun[result.id] -= 1
        self._write({"result": to_json(result)})

    def close(self) -> None:
        """Close the file."""
        self._out.close()

    def _write(self, entry: dict[str, object]) -> None:
        self._out.write(json.dumps(entry, ensure_ascii=False) + "\n")
        self._out.flush()
        os.fsync(self._out.fileno())


def _parsed(line: str) -> dict[str, object]:
    """Return one entry; {} for a line that was cut by the end of the run."""
    try:
        return members(json.loads(line))
    except ValueError:
        return {}
