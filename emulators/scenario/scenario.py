"""The scenario file: TOML, checked strictly, with a JSON Schema drawn from these models.

It says what there is (site, chargers, cars), what happens (visits, grid events, commands, faults) and what must be
true at the end. Its tables are in `parts.py`, how it is run is in `emulators/world`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, Field, ValidationError, model_validator

from emulators.scenario import source_lines, validation
from emulators.scenario.durations import Seconds
from emulators.scenario.tables import (
    Bound,
    CarPart,
    ChaosPart,
    ChargerPart,
    CommandPart,
    FaultPart,
    GatewayPart,
    GridPart,
    InputPart,
    SitePart,
    Strict,
    TownPart,
)

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MOST_SLIPS = 20  # told at once


class ScenarioError(ValueError):
    """A scenario that cannot be run; says which file, which key and what is wrong."""


class Scenario(Strict):
    """A whole scenario."""

    name: str = Field(min_length=1, max_length=80)
    description: str = ""
    seed: int = 1
    start: datetime = Field(description="with its zone")
    duration: Seconds
    step: Seconds = Field(1.0, description="of the site's balance")
    tick: Seconds = Field(1.0, description="between two looks of a station at its profiles and meters")
    loop: Seconds = Field(1.0, description="between two charge-loop requests of the cars")
    telemetry: Seconds = Field(10.0, description="between two telemetry messages of an EVSE")
    sample: Seconds = Field(60.0, description="between two points of the report's plots")
    gateway: GatewayPart = Field(default_factory=lambda: GatewayPart.model_validate({}))
    site: SitePart
    grid: GridPart = Field(default_factory=lambda: GridPart.model_validate({}))
    charger: list[ChargerPart] = Field(default_factory=list)
    car: list[CarPart] = Field(default_factory=list)
    command: list[CommandPart] = Field(default_factory=list)
    input: list[InputPart] = Field(default_factory=list)
    fault: list[FaultPart] = Field(default_factory=list)
    chaos: ChaosPart | None = None
    town: TownPart | None = Field(None, description="other sites, and cars lent from one to another")
    expect: dict[str, Bound] = Field(default_factory=dict, description="figures of the result and their bounds")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.start.tzinfo is None:
            raise ValueError("start must say its time zone, such as 2026-01-15T17:00:00+09:00")
        if not 0 < self.duration <= 31 * 86400:
            raise ValueError("duration must lie between a second and 31 days")
        for name, value in (
            ("step", self.step),
            ("tick", self.tick),
            ("loop", self.loop),
            ("telemetry", self.telemetry),
            ("sample", self.sample),
        ):
            most = 5.0 if name == "step" else 3600.0  # slower, the gateway would take its inputs for stale
            if not 0.05 <= value <= most:
                raise ValueError(f"{name} must lie between 0.05 s and {most:g} s")
        evses = set(self.evses())
        if len(evses) != len(self.evses()):
            raise ValueError("two chargers have the same id")
        named: set[str] = set()
        for car, evse in self._places():
            if evse is None:
                raise ValueError(f"car {car}: there are {len(evses)} EVSEs, too few for all the cars from there on")
            if evse not in evses:
                raise ValueError(f"car {car}: there is no EVSE {evse}; there are {', '.join(sorted(evses)[:8])}")
            if car in named:
                raise ValueError(f"two cars are called {car}")
            named.add(car)
        for command in self.command:
            if command.target != "site" and command.target not in evses:
                raise ValueError(f"command at {command.at:g} s: there is no EVSE {command.target}")
        return self

    def evses(self) -> list[str]:
        """The names of all EVSEs, in order."""
        return [f"{id_}-{n + 1}" for part in self.charger for id_ in part.ids() for n in range(part.evses)]

    def cars(self) -> list[tuple[str, str]]:
        """Each car and the EVSE it goes to."""
        return [(name, place) for name, place in self._places() if place is not None]

    def _places(self) -> list[tuple[str, str | None]]:
        evses, found = self.evses(), []
        for part in self.car:
            after = evses[evses.index(part.evse) + 1 :] if part.evse in evses else []
            places = [part.evse, *after]
            found += [(name, places[n] if n < len(places) else None) for n, name in enumerate(part.names())]
        return found


def shipped() -> list[str]:
    """The scenarios that come with the package."""
    folder = files("emulators.scenario")
    return sorted(str(entry.name)[:-5] for entry in folder.iterdir() if str(entry.name).endswith(".toml"))


def load(scenario: str | Path) -> Scenario:
    """A shipped scenario by name, or a file by path; ScenarioError says what is wrong with it.

    A car's own profile is looked for beside the file, then from where we are.
    """
    path = Path(scenario)
    if str(scenario) in shipped():
        return parse(
            files("emulators.scenario").joinpath(f"{scenario}.toml").read_text(encoding="utf-8"), str(scenario)
        )
    try:
        return parse(path.read_text(encoding="utf-8"), str(path), path.parent)
    except OSError as error:
        known = ", ".join(shipped())
        raise ScenarioError(f"{path}: {error.strerror or error}; shipped scenarios are {known}") from error
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{path}: not UTF-8 text") from error


def parse(text: str, origin: str, folder: Path | None = None) -> Scenario:
    """The scenario that a text describes; `origin` is named in errors, `folder` is where its profiles may lie."""
    try:
        return check(tomllib.loads(text), origin, folder, source_lines.lines(text))
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{origin}: not TOML: {error}") from error


def check(
    table: dict[str, Any],
    origin: str,
    folder: Path | None = None,
    lines: Mapping[source_lines.Place, int] = MappingProxyType({}),
) -> Scenario:
    """The scenario that a table already read describes; ScenarioError has a line for each thing that is wrong."""
    try:
        plan = Scenario.model_validate(table)
    except ValidationError as error:
        wrong = [validation.Slip(one["loc"], _said(one)) for one in error.errors(include_url=False)]
        raise ScenarioError(_complaint(wrong, origin, lines)) from error
    for car in plan.car:
        if folder is not None and car.profile.endswith(".toml") and (folder / car.profile).exists():
            car.profile = str(folder / car.profile)
    if slips := validation.slips(plan):
        raise ScenarioError(_complaint(slips, origin, lines))
    return plan


def _complaint(slips: Sequence[validation.Slip], origin: str, lines: Mapping[source_lines.Place, int]) -> str:
    found = []
    for slip in slips[:MOST_SLIPS]:
        line = source_lines.line_of(lines, slip.place)
        key = ".".join(str(part) for part in slip.place)
        found.append(f"{origin}{f':{line}' if line else ''}: {f'{key}: ' if key else ''}{slip.text}")
    if len(slips) > MOST_SLIPS:
        found.append(f"{origin}: and {len(slips) - MOST_SLIPS} more")
    return "\n".join(found)


def _said(error: ErrorDetails) -> str:
    """What pydantic found, for a person who wrote the file and never saw the models."""
    if error["type"] == "missing":
        return "is missing"
    if error["type"] != "extra_forbidden":
        return error["msg"].removeprefix("Value error, ")
    near = get_close_matches(str(error["loc"][-1]), sorted(_keys() - {str(error["loc"][-1])}), n=1)
    return "there is no such key" + (f"; did you mean {near[0]}?" if near else "")


def _keys() -> set[str]:
    tables: list[type[BaseModel]] = [*Strict.__subclasses__(), Scenario]
    return {name for table in tables for name in table.model_fields}


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the file; shipped as `scenario.schema.json` beside this module, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Scenario.model_json_schema()}
