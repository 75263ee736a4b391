"""Profiles of V2H boxes: times and properties of a product, of `profiles/*.toml` or of a file of the site."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

Epc = Annotated[str, StringConstraints(pattern=r"^[89A-Fa-f][0-9A-Fa-f]$")]
Seconds = Annotated[float, Field(gt=0, le=600, allow_inf_nan=False)]


class BadProfile(Exception):
    """A profile that cannot be used; the text names the file and the key."""


class BoxProfile(BaseModel):
    """Profile of one product. The comments of `profiles/generic.toml` describe the keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = "V2H box (ECHONET Lite)"
    source: str = ""
    answer_within_s: Annotated[float, Field(ge=0.5, le=30)] = 4.0
    poll_s: Seconds = 2.0
    idle_poll_s: Seconds = 10.0
    slow_poll_s: Seconds = 60.0
    silent_after_s: Seconds = 30.0
    pause_s: Annotated[float, Field(ge=0, le=10)] = 0.0
    most_properties: Annotated[int, Field(ge=1, le=64)] = 12
    confirm_vehicle: bool = True
    through_standby: bool = False
    ignored: tuple[Epc, ...] = ()
    power_step_w: Annotated[float, Field(gt=0, le=1000)] = 1.0

    @property
    def unused(self) -> frozenset[int]:
        """Properties that are not used."""
        return frozenset(int(one, 16) for one in self.ignored)


def names() -> list[str]:
    """Return the names of the profiles that ship."""
    return sorted(one.name.removesuffix(".toml") for one in files(__package__).joinpath("profiles").iterdir())


def load(name: str, folder: Path) -> BoxProfile:
    """Return a profile by its name, or of a TOML file relative to `folder`. Raises BadProfile."""
    if name.endswith(".toml"):
        try:
            text = (folder / name).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise BadProfile(f"{name} cannot be read: {reason}") from None
    elif name in names():
        text = files(__package__).joinpath("profiles", f"{name}.toml").read_text("utf-8")
    else:
        raise BadProfile(f"there is no profile {name!r}; known are {', '.join(names())}")
    try:
        return BoxProfile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise BadProfile(f"{name} is not TOML: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise BadProfile(f"{name}: {key}: {first['msg']}") from None
