"""Vehicle profiles: TOML files with pack, limits, protocols and quirks of a model, and the source of the figures.

Shipped profiles are in `profiles/`; others may be anywhere and are checked strictly (`profile_file.py`): an unknown
key, a value out of range or a wrong order of SoC settings is an error that names file and key.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from emulators.battery.chemistry import CHEMISTRIES
from emulators.battery.pack import PackSpec
from emulators.ev.car import CarSpec, Quirks

SHIPPED = Path(__file__).with_name("profiles")


class ProfileError(ValueError):
    """Invalid profile; the message names file and key."""


def names() -> list[str]:
    """Return the names of the shipped profiles."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def load(profile: str | Path) -> CarSpec:
    """Return a shipped profile by name, or that of a file by path; ProfileError if it is missing or invalid."""
    if isinstance(profile, Path) or profile.endswith(".toml"):
        path = Path(profile)
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ProfileError(f"{path}: {error.strerror or error}") from error
        return parse(text, str(path))
    if profile not in names():
        raise ProfileError(
            f"unknown car profile {profile!r}; shipped: {', '.join(names())}; or the path of a .toml file"
        )
    return _spec(tomllib.loads((SHIPPED / f"{profile}.toml").read_text(encoding="utf-8")))


def parse(text: str, origin: str) -> CarSpec:
    """Return the checked profile of a TOML text; errors name `origin`."""
    from emulators.ev.profile_file import checked  # imports pydantic, not needed for shipped profiles

    try:
        return _spec(checked(tomllib.loads(text)))
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{origin}: not TOML: {error}") from error
    except ValueError as error:
        raise ProfileError(f"{origin}: {error}") from error


def _spec(profile: dict[str, Any]) -> CarSpec:
    """Return the model of a profile; missing keys take the defaults of `CarSpec`, `PackSpec` and `Quirks`."""
    pack = _floats(profile["pack"])
    if "chemistry" in pack:
        pack["chemistry"] = CHEMISTRIES[pack["chemistry"]]
    if "charge_map" in pack:
        pack["charge_map"] = tuple((float(soc_pct), float(part)) for soc_pct, part in pack["charge_map"])
    return CarSpec(
        **_floats(profile)
        | {
            "protocols": tuple(profile["protocols"]),
            "services": tuple(profile.get("services", ())),
            "pack": PackSpec(profile["name"], **pack, source=profile["source"]),
            "quirks": Quirks(**_floats(profile.get("quirks", {}))),
        }
    )


def _floats(table: dict[str, Any]) -> dict[str, Any]:
    """Return a table with integers as floats, except counts: TOML reads 400 V as an integer."""
    return {key: float(value) if type(value) is int and key != "series" else value for key, value in table.items()}
