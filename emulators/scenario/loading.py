"""Loading of scenario files: reads and checks TOML, and reports every error with its line and key."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from emulators.faults.injection_file import LinkInjectPart
from emulators.runtime.toml_lines import Key, line_of, lines_of
from emulators.scenario import validation
from emulators.scenario.scenario import Scenario, ScenarioError
from emulators.scenario.tables import Strict

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MAX_ERRORS = 20  # in one message


def shipped() -> list[str]:
    """Return the names of the scenarios that come with the package."""
    folder = files("emulators.scenario")
    return sorted(str(entry.name)[:-5] for entry in folder.iterdir() if str(entry.name).endswith(".toml"))


def load(scenario: str | Path) -> Scenario:
    """Return a shipped scenario by name, or that of a file; ScenarioError if it is missing or invalid.

    The path of a car profile is relative to the scenario file, or else to the working directory.
    """
    path = Path(scenario)
    if str(scenario) in shipped():
        return parse(
            files("emulators.scenario").joinpath(f"{scenario}.toml").read_text(encoding="utf-8"), str(scenario)
        )
    try:
        return parse(path.read_text(encoding="utf-8"), str(path), path.parent)
    except OSError as error:
        names = ", ".join(shipped())
        raise ScenarioError(f"{path}: {error.strerror or error}; shipped scenarios: {names}") from error
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{path}: not UTF-8 text") from error


def parse(text: str, origin: str, folder: Path | None = None) -> Scenario:
    """Return the scenario of a TOML text; errors name `origin`, car profiles may be in `folder`."""
    try:
        return check(tomllib.loads(text), origin, folder, lines_of(text))
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{origin}: not TOML: {error}") from error


def check(
    table: dict[str, Any],
    origin: str,
    folder: Path | None = None,
    lines: Mapping[Key, int] = MappingProxyType({}),
) -> Scenario:
    """Return the scenario of a table; ScenarioError has a line for each error."""
    try:
        scenario = Scenario.model_validate(table)
    except ValidationError as error:
        errors = [validation.Problem(one["loc"], _message(one)) for one in error.errors(include_url=False)]
        raise ScenarioError(_report(errors, origin, lines)) from error
    for car in scenario.car:
        if folder is not None and car.profile.endswith(".toml") and (folder / car.profile).exists():
            car.profile = str(folder / car.profile)
    if problems := validation.problems(scenario):
        raise ScenarioError(_report(problems, origin, lines))
    return scenario


def _report(problems: Sequence[validation.Problem], origin: str, lines: Mapping[Key, int]) -> str:
    rows = []
    for problem in problems[:MAX_ERRORS]:
        line = line_of(lines, problem.key)
        key = ".".join(str(part) for part in problem.key)
        rows.append(f"{origin}{f':{line}' if line else ''}: {f'{key}: ' if key else ''}{problem.text}")
    if len(problems) > MAX_ERRORS:
        rows.append(f"{origin}: {len(problems) - MAX_ERRORS} more errors")
    return "\n".join(rows)


def _message(error: ErrorDetails) -> str:
    """Return pydantic's message for the author of a scenario."""
    if error["type"] == "missing":
        return "required key is missing"
    if error["type"] != "extra_forbidden":
        return error["msg"].removeprefix("Value error, ")
    key = str(error["loc"][-1])
    similar = get_close_matches(key, sorted(_keys() - {key}), n=1)
    return "unknown key" + (f"; did you mean {similar[0]}?" if similar else "")


def _keys() -> set[str]:
    tables: list[type[BaseModel]] = [*Strict.__subclasses__(), LinkInjectPart, Scenario]
    return {name for table in tables for name in table.model_fields}
