"""The agreement file (TOML): agreements, vehicles, places and ways of one municipality.

    [[agreement]]           # see agreement.py; keys with defaults by `kind`
    [[car]]                 # vehicle, capacity_wh, base, and what differs from the defaults
    [[place]]               # name, latitude, longitude; `charge_w` and `bays` where vehicles can charge in an outage
    [[way]]                 # from, to, km, minutes, where the estimate is wrong

Errors name the file and the key (`BlueSwitchError`).
"""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gateway.blue_switch.agreement import OBSOLETE_KEYS, Agreement, Name, Percent
from gateway.blue_switch.coordinator import Coordinator
from gateway.blue_switch.locations import Atlas, Way
from gateway.blue_switch.registry import ProvidedVehicle, VehicleRegistry
from gateway.blue_switch.trips import ChargePlace

log = logging.getLogger("v2x")

MAX_BYTES = 4_000_000


class BlueSwitchError(ValueError):
    """The file is invalid; the text names the key and what is wrong."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CarTable(_Table):
    """A vehicle of an agreement."""

    vehicle: Name
    base: Name
    capacity_wh: Annotated[float, Field(gt=0, le=1e6)]
    soc_pct: Percent = 80.0
    wh_per_km: Annotated[float, Field(gt=0, le=2000)] = 160.0
    power_w: Annotated[float, Field(gt=0, le=1e6)] = 6000.0
    charge_w: Annotated[float, Field(gt=0, le=1e6)] = 6000.0
    connector: Name = "chademo"


class PlaceTable(_Table):
    """A place."""

    name: Name
    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]
    charge_w: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    bays: Annotated[int, Field(ge=0, le=1000)] = 4


class WayTable(_Table):
    """A way, valid in both directions."""

    start: Name = Field(alias="from")
    end: Name = Field(alias="to")
    km: Annotated[float, Field(ge=0, le=2000)]
    minutes: Annotated[float, Field(ge=0, le=2880)]


class BlueSwitchFile(_Table):
    """The whole file."""

    agreement: tuple[Agreement, ...] = Field(min_length=1, max_length=500)
    car: tuple[CarTable, ...] = Field(min_length=1, max_length=5000)
    place: tuple[PlaceTable, ...] = Field(min_length=1, max_length=1000)
    way: tuple[WayTable, ...] = Field(default=(), max_length=10_000)
    speed_kmh: Annotated[float, Field(gt=0, le=120)] = 30.0

    @model_validator(mode="after")
    def _fits(self) -> BlueSwitchFile:
        places = {one.name for one in self.place}
        cars = {one.vehicle for one in self.car}
        for car in self.car:
            if car.base not in places:
                raise ValueError(f"car {car.vehicle}: its base {car.base} is not among the places")
        claimed: dict[str, str] = {}
        for one in self.agreement:
            for vehicle in one.cars:
                if vehicle not in cars:
                    raise ValueError(f"agreement {one.id}: the car {vehicle} is not in the file")
                if vehicle in claimed:
                    raise ValueError(f"the car {vehicle} stands in two agreements: {claimed[vehicle]} and {one.id}")
                claimed[vehicle] = one.id
            for site in one.sites:
                if site not in places:
                    raise ValueError(f"agreement {one.id}: the site {site} is not among the places")
        return self


def parse(text: str, origin: str, leads: bool = True) -> Coordinator:
    """Return a coordinator from the text of a file; `origin` is named in errors and warnings."""
    try:
        table = tomllib.loads(text)
        made = BlueSwitchFile.model_validate(table)
    except tomllib.TOMLDecodeError as error:
        raise BlueSwitchError(f"{origin}: not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        text = first["msg"].removeprefix("Value error, ")
        raise BlueSwitchError(f"{origin}: {key + ': ' if key else ''}{text}") from error
    _warn_of_obsolete_keys(table["agreement"], origin)
    atlas = Atlas(
        {one.name: (one.latitude, one.longitude) for one in made.place},
        {(one.start, one.end): Way(one.km, one.minutes * 60) for one in made.way},
        made.speed_kmh,
    )
    of = {vehicle: one for one in made.agreement for vehicle in one.cars}
    cars = [
        ProvidedVehicle(agreement=of[car.vehicle], place=car.base, **car.model_dump())
        for car in made.car
        if car.vehicle in of
    ]
    charging = [ChargePlace(one.name, one.charge_w, one.bays) for one in made.place if one.charge_w > 0]
    return Coordinator(VehicleRegistry.of(cars), atlas, charging, leads)


def _warn_of_obsolete_keys(agreements: Iterable[Mapping[str, object]], origin: str) -> None:
    for agreement in agreements:
        for key in sorted(OBSOLETE_KEYS & set(agreement)):
            log.warning("%s: agreement %s: the key %s has no effect; remove it", origin, agreement["id"], key)


def load(path: Path, leads: bool = True) -> Coordinator:
    """Return a coordinator from a file; BlueSwitchError if it is invalid."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BlueSwitchError(f"{path}: larger than {MAX_BYTES} bytes")
        return parse(path.read_text(encoding="utf-8"), str(path), leads)
    except OSError as error:
        raise BlueSwitchError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BlueSwitchError(f"{path}: not UTF-8 text") from error
