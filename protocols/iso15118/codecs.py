"""The EXI codecs of the charging standards, compiled type by type on first use.

    from protocols.iso15118.codecs import ISO20_DC
    data = ISO20_DC.encode(message)
    message = ISO20_DC.decode(data)

Documents travel in V2GTP frames; fragments are the input of signature digests. SignedInfo is hashed in two ways in the
field: with the XML Signature schema alone (XMLDSIG_FRAGMENT; Josev, in both generations) or with the whole set
(libcbv2g, EVerest); a verifier tries both. Importing this module imports no messages.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import ModuleType

from protocols.exi.codec import Codec
from protocols.exi.fragment import FragmentCodec
from protocols.iso15118.peers import PEERS


def _set(*names: str) -> Callable[[], tuple[ModuleType, ...]]:
    return lambda: tuple(import_module(f"protocols.iso15118.{name}") for name in names)


_COMMON = _set("iso20.common", "iso20.common_schedules", "iso20.types", "xmldsig")
_DC = _set("iso20.dc", "iso20.types", "xmldsig")
_AC = _set("iso20.ac", "iso20.types", "xmldsig")
_ISO2 = _set("iso2.messages", "iso2.types", "iso2.codes", "xmldsig")

SAP = Codec("sap", _set("app_protocol_messages"), PEERS)
DIN = Codec("din", _set("din.messages", "din.types", "din.codes", "xmldsig"), PEERS)
ISO2 = Codec("iso2", _ISO2, PEERS)
ISO20_COMMON = Codec("iso20", _COMMON, PEERS)
ISO20_DC = Codec("iso20-dc", _DC, PEERS)
ISO20_AC = Codec("iso20-ac", _AC, PEERS)

ISO2_FRAGMENT = FragmentCodec("iso2-fragment", _ISO2, PEERS)
ISO20_COMMON_FRAGMENT = FragmentCodec("iso20-fragment", _COMMON, PEERS)
ISO20_DC_FRAGMENT = FragmentCodec("iso20-dc-fragment", _DC, PEERS)
ISO20_AC_FRAGMENT = FragmentCodec("iso20-ac-fragment", _AC, PEERS)
XMLDSIG_FRAGMENT = FragmentCodec("xmldsig-fragment", _set("xmldsig"), PEERS)

BY_NAME: dict[str, Codec] = {
    codec.name: codec
    for codec in (
        SAP,
        DIN,
        ISO2,
        ISO20_COMMON,
        ISO20_DC,
        ISO20_AC,
        ISO2_FRAGMENT,
        ISO20_COMMON_FRAGMENT,
        ISO20_DC_FRAGMENT,
        ISO20_AC_FRAGMENT,
        XMLDSIG_FRAGMENT,
    )
}
