"""Car profiles: files in TOML that say which pack, limits, protocols and quirks a model has, with where that is from.

Those shipped are in `profiles/`; a vendor keeps its own anywhere. Such a file is checked strictly (`profile_file.py`):
an unknown key, a wrong unit or an impossible order of floors is an error that names the file and the key.
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
    """A profile that cannot be used; says which file, which key and what to do."""


def names() -> list[str]:
    """The profiles shipped."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def load(profile: str | Path) -> CarSpec:
    """A shipped profile by name, or a file by path; ProfileError says what is wrong with it."""
    if isinstance(profile, Path) or profile.endswith(".toml"):
        path = Path(profile)
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ProfileError(f"{path}: {error.strerror or error}") from error
        return parse(text, str(path))
    if profile not in names():
        raise ProfileError(f"no car profile {profile!r}; shipped are {', '.join(names())}, or give the path of a file")
    return _spec(tomllib.loads((SHIPPED / f"{profile}.toml").read_text(encoding="utf-8")))


def parse(text: str, origin: str) -> CarSpec:
    """The spec that a profile's text describes, checked; `origin` is named in errors."""
    from emulators.ev.profile_file import checked  # pydantic, which a shipped car does without

    try:
        return _spec(checked(tomllib.loads(text)))
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{origin}: not TOML: {error}") from error
    except ValueError as error:
        raise ProfileError(f"{origin}: {error}") from error


def _spec(told: dict[str, Any]) -> CarSpec:
    """As the physics wants it; what the file leaves out is as `CarSpec`, `PackSpec` and `Quirks` have it."""
    pack = _figures(told["pack"])
    if "chemistry" in pack:
        pack["chemistry"] = CHEMISTRIES[pack["chemistry"]]
    if "charge_map" in pack:
        pack["charge_map"] = tuple((float(soc_pct), float(part)) for soc_pct, part in pack["charge_map"])
    return CarSpec(
        **_figures(told)
        | {
            "protocols": tuple(told["protocols"]),
            "services": tuple(told.get("services", ())),
            "pack": PackSpec(told["name"], **pack, source=told["source"]),
            "quirks": Quirks(**_figures(told.get("quirks", {}))),
        }
    )


def _figures(table: dict[str, Any]) -> dict[str, Any]:
    """A table with its whole numbers as floats, except those that count: TOML writes 400 V without a point."""
    return {key: float(value) if type(value) is int and key != "series" else value for key, value in table.items()}
