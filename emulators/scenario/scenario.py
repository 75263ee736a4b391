"""Scenario model: one scenario file (TOML) as a strictly validated pydantic model, and its JSON Schema.

A scenario describes the installation (site, chargers, cars), its timeline (visits, grid events, commands, faults) and
the expected figures. The tables are in `tables.py`; files are read in `loading.py` and executed by `emulators/world`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from pydantic import Field, model_validator

from emulators.faults.injection_file import LinkInjectPart
from emulators.scenario.durations import Seconds
from emulators.scenario.tables import (
    Bound,
    CarPart,
    ChaosPart,
    ChargerPart,
    CommandPart,
    EmsPart,
    FaultPart,
    GatewayPart,
    GridPart,
    InputPart,
    MultiSitePart,
    SitePart,
    Strict,
)


class ScenarioError(ValueError):
    """Invalid scenario; the message names file, line and key."""


class Scenario(Strict):
    """A scenario."""

    name: str = Field(min_length=1, max_length=80)
    description: str = ""
    seed: int = 1
    start: datetime = Field(description="with time zone")
    duration: Seconds
    step: Seconds = Field(1.0, description="time step of the site's power balance")
    tick: Seconds = Field(1.0, description="between two updates of a station's charging profiles and meters")
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
    ems: list[EmsPart] = Field(default_factory=list)
    fault: list[FaultPart] = Field(default_factory=list)
    inject: list[LinkInjectPart] = Field(
        default_factory=list, description="deviations in messages between EV and SECC, as in `v2x ev --inject`"
    )
    chaos: ChaosPart | None = None
    town: MultiSitePart | None = Field(None, description="other sites, and vehicles deployed between them")
    expect: dict[str, Bound] = Field(default_factory=dict, description="bounds of figures of the result")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.start.tzinfo is None:
            raise ValueError("start needs a time zone, such as 2026-01-15T17:00:00+09:00")
        if not 0 < self.duration <= 31 * 86400:
            raise ValueError("duration must be more than 0 s and at most 31 days")
        for name in ("step", "tick", "loop", "telemetry", "sample"):
            most = 5.0 if name == "step" else 3600.0  # slower, the inputs of the gateway would become stale
            if not 0.05 <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be between 0.05 s and {most:g} s")
        evses = set(self.evses())
        if len(evses) != len(self.evses()):
            raise ValueError("two chargers have the same id")
        named: set[str] = set()
        for car, evse in self._assignments():
            if evse is None:
                raise ValueError(f"car {car}: the {len(evses)} EVSEs are too few for the cars from there on")
            if evse not in evses:
                raise ValueError(f"car {car}: unknown EVSE {evse}; known: {', '.join(sorted(evses)[:8])}")
            if car in named:
                raise ValueError(f"two cars have the name {car}")
            named.add(car)
        for command in self.command:
            if command.target != "site" and command.target not in evses:
                raise ValueError(f"command at {command.at:g} s: unknown EVSE {command.target}")
        return self

    def evses(self) -> list[str]:
        """Return the names of all EVSEs, in order."""
        return [name for part in self.charger for name in part.evse_names()]

    def cars(self) -> list[tuple[str, str]]:
        """Return each car and the EVSE that it uses."""
        return [(name, evse) for name, evse in self._assignments() if evse is not None]

    def _assignments(self) -> list[tuple[str, str | None]]:
        evses, found = self.evses(), []
        for part in self.car:
            after = evses[evses.index(part.evse) + 1 :] if part.evse in evses else []
            usable = [part.evse, *after]
            found += [(name, usable[n] if n < len(usable) else None) for n, name in enumerate(part.names())]
        return found


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of scenario files; shipped for editors as `scenario.schema.json`."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Scenario.model_json_schema()}
