"""Reads `gateway.toml` and the environment. `ConfigError` reports mistakes with file, key and remedy, one per line."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from gateway.config import sites
from gateway.config.settings import DRIVERS, Config, ConfigError, Section
from gateway.config.sites import Table
from gateway.model.site import STALE_AFTER_S, InputKind


def load(path: Path | str) -> Config:
    """Return the configuration of a file and the environment; ConfigError with one line per mistake."""
    path = Path(path)
    return from_table(_read(path), path.resolve().parent, str(path))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; name the configuration with -c FILE") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path} is not a configuration: its lists or tables are nested too deeply") from None


def from_table(table: Table, base: Path | None = None, where: str = "the configuration") -> Config:
    """Return the configuration of a table already read; relative paths are relative to `base`."""
    unknown = _unknown_in_environment(os.environ)
    if unknown:
        raise ConfigError("\n".join(unknown))
    config = _built(table, where)
    resolved = _resolved(config, base) if base is not None else config
    return resolved.with_sites(_sites(config, table, base or Path())) if config.cluster.sites else resolved


def _sites(config: Config, table: Table, base: Path) -> list[Config]:
    """Return the configurations of the sites; ConfigError with the mistakes of all of their files."""
    found: dict[str, Config] = {}
    mistakes: list[str] = []
    for path in sites.files(config.cluster.sites, base):
        try:
            own = _read(path)
            site = _built(sites.merged(table, own, str(path)), str(path))
        except ConfigError as error:
            mistakes.append(str(error))
        else:
            found[str(path)] = _resolved(site, base, own, path.resolve().parent)
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    sites.verify(found)
    return list(found.values())


def _built(table: Table, where: str) -> Config:
    try:
        return Config(**table)
    except ValidationError as error:
        raise ConfigError("\n".join(_sentences(error, where))) from None
    except ValueError as error:  # an environment variable that is not JSON where JSON is due
        named = re.search(r'field "(\w+)"', str(error))
        about = f"V2X_{named[1].upper()} must be JSON" if named else str(error)
        raise ConfigError(f"environment: {about}") from None


def read_secret(path: Path, key: str) -> str:
    """Return the single line of a secret's file; ConfigError if there is none."""
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ConfigError(f"{key}: {path} cannot be read: {reason}") from None
    if not text or "\n" in text:
        raise ConfigError(f"{key}: {path} must hold the secret on one line")
    return text


def stale_after(config: Config) -> dict[InputKind, float]:
    """Return the age from which each input is stale, in s."""
    return {**STALE_AFTER_S, **config.site.stale_after_s}


def _sentences(error: ValidationError, where: str) -> list[str]:
    found = []
    for detail in error.errors(include_url=False, include_context=False):
        key = ".".join(str(part) for part in _without_choices(detail["loc"]))
        text = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "extra_forbidden":
            known = _known_keys(detail["loc"])
            text = f"is not a key of the gateway{_known_text(str(detail['loc'][-1]), known)}"
        elif detail["type"] == "missing":
            text = "is missing"
        found.append(f"{where}: {key}: {text}" if key else f"{where}: {text}")
    return found


def _known_text(key: str, known: list[str]) -> str:
    if not known:
        return ""
    similar = get_close_matches(key, known, n=1)
    return f"; known here are {', '.join(known)}" + (f"; did you mean {similar[0]}?" if similar else "")


def _known_keys(loc: tuple[int | str, ...]) -> list[str]:
    model: Any = Config
    if len(loc) > 3 and _is_driver(loc, 2):
        model, loc = DRIVERS[str(loc[0])][str(loc[2])], loc[3:]
    for part in loc[:-1]:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        annotation = field.annotation if field else None
        model = annotation if isinstance(annotation, type) else getattr(annotation, "__args__", (None,))[0]
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return []
    return list(model.model_fields)


def _is_driver(loc: tuple[int | str, ...], number: int) -> bool:
    """Return whether a part of the place of an error is the driver that chose the table of an entry, and no key."""
    return number == 2 and loc[number] in DRIVERS.get(str(loc[0]), {})


def _without_choices(loc: tuple[int | str, ...]) -> list[int | str]:
    return [part for number, part in enumerate(loc) if part != "literal['all']" and not _is_driver(loc, number)]


def _unknown_in_environment(environment: Mapping[str, str]) -> list[str]:
    found = []
    for name in environment:
        if not name.upper().startswith("V2X_"):
            continue
        if "__" not in name:
            meant = next((one for one in Config.model_fields if name[4:].lower().startswith(one + "_")), None)
            if meant is not None:
                key = name[5 + len(meant) :].upper()
                found.append(f"environment: {name}: did you mean V2X_{meant.upper()}__{key}, with two underscores?")
            continue
        section = name[4:].split("__", 1)[0].lower()
        if section not in Config.model_fields:
            found.append(
                f"environment: {name}: there is no section {section}; known are {', '.join(Config.model_fields)}"
            )
    return found


def _resolved(config: Config, base: Path, own: Table | None = None, beside: Path | None = None) -> Config:
    """Return the configuration with relative paths resolved against the folder of their file.

    That is `base`, and `beside` for the keys of `own`, the table of a site.
    """
    changed: dict[str, Any] = {}
    for name in Config.model_fields:
        value, given = getattr(config, name), (own or {}).get(name, {})
        if isinstance(value, Section):
            changed[name] = _resolve_section(value, base, given, beside)
        elif isinstance(value, list):
            folder = beside if given and beside is not None else base
            changed[name] = [_resolve_section(one, folder) for one in value]
    url = config.store.url
    if url.startswith("sqlite:///") and not url.startswith("sqlite:////") and url != "sqlite:///:memory:":
        changed["store"] = config.store.model_copy(update={"url": f"sqlite:///{base / url.removeprefix('sqlite:///')}"})
    return config.model_copy(update=changed).in_folder(base)


def _resolve_section(section: Section, base: Path, own: Table | None = None, beside: Path | None = None) -> Section:
    folders = {name: beside for name in own or {} if beside is not None}
    paths = {name: folders.get(name, base) / value for name, value in section if isinstance(value, Path)}
    return section.model_copy(update=paths) if paths else section
