"""Enumerations of the `ocpp` package by version: `v16`, `v201` and `v21`, each loaded on first use.

    from protocols.ocpp import enums

    await link.call(enums.v21.Action.set_charging_profile, {...})

Their members are strings (`StrEnum`), so they are valid in payloads and equal to the literals of the wire. The modules
are `ocpp.v16.enums` and so on, but `import ocpp.v21.enums` also imports all messages, `ChargePoint` and `jsonschema` of
the package: 270 ms of CPU time in a new process, against 30 ms for the enumerations alone (45 ms for 2.0.1). Therefore
this module loads the file without the package, under its ordinary name: a later import of the package shares the
classes. The payload dataclasses (`call`, `call_result`) are not offered: they cost that import, and 43 of the 555
property names of 2.1 do not survive their renaming.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ocpp.v16 import enums as v16
    from ocpp.v21 import enums as v21
    from ocpp.v201 import enums as v201

__all__ = ["v16", "v21", "v201"]


def __getattr__(name: str) -> ModuleType:
    """Load the enumerations of one version. Raises AttributeError for any other name."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = globals()[name] = _load(f"ocpp.{name}.enums")
    return module


def _load(full_name: str) -> ModuleType:
    """Return a module of the `ocpp` package, loaded without the packages that contain it."""
    if full_name in sys.modules:
        return sys.modules[full_name]
    package = importlib.util.find_spec("ocpp")
    if package is None or not package.submodule_search_locations:
        raise ImportError("the package `ocpp`, which contains the OCPP enumerations, is not installed")
    path = Path(package.submodule_search_locations[0]).joinpath(*full_name.split(".")[1:]).with_suffix(".py")
    spec = importlib.util.spec_from_file_location(full_name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded")
    module = sys.modules[full_name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[full_name]
        raise
    return module
