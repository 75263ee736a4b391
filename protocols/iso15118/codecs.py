"""The EXI codecs of the charging standards, ready to use and compiled piece by piece when first used.

    from protocols.iso15118.codecs import ISO20_DC

Documents travel in V2GTP frames; fragments are what signatures hash. Importing this file imports no messages.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from protocols.exi.codec import Codec

_HERE = "protocols.iso15118"
_ISO20 = (f"{_HERE}.iso20.types", f"{_HERE}.xmldsig")


def _modules(*names: str) -> tuple[ModuleType, ...]:
    return tuple(import_module(name) for name in names)


SAP = Codec("sap", lambda: _modules(f"{_HERE}.app_protocol_messages"))
ISO20_COMMON = Codec("iso20", lambda: _modules(f"{_HERE}.iso20.common", *_ISO20))
ISO20_DC = Codec("iso20-dc", lambda: _modules(f"{_HERE}.iso20.dc", *_ISO20))
ISO20_AC = Codec("iso20-ac", lambda: _modules(f"{_HERE}.iso20.ac", *_ISO20))
ISO2 = Codec("iso2", lambda: _modules(f"{_HERE}.iso2.messages", f"{_HERE}.iso2.types", f"{_HERE}.xmldsig"))
DIN = Codec("din", lambda: _modules(f"{_HERE}.din.messages", f"{_HERE}.din.types", f"{_HERE}.xmldsig"))
