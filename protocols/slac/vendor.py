"""Messages between a host and its own modem, by vendor: version, reset, link status, members of the network.

Qualcomm (QCA7000, 7005, 7006, 7420) and Lumissil (CG5317) use version 0 of the message header; of Lumissil it is not
certain. Sources: open-plc-utils and EVerest.
"""

from __future__ import annotations

import struct
from enum import StrEnum
from typing import ClassVar

from protocols.frozen import frozen
from protocols.slac.frames import Message, SlacFrameError, need
from protocols.slac.messages import GROUPS

QUALCOMM_OUI, LUMISSIL_OUI = bytes.fromhex("00b052"), bytes.fromhex("0016e8")
QUALCOMM_MODEM = bytes.fromhex("00b052000001")  # address to which every Qualcomm modem answers its own host
NO_OUI = bytes(3)  # some QCA7000 send it instead of their own in VS_ATTENUATION_CHARACTERISTICS.IND
LUMISSIL_HEADER = 19  # bytes after the OUI
ATTRIBUTES_SIZE = 118  # that modems state; the fields known here are fewer
_LINK_UP = 1


class ModemVendor(StrEnum):
    """Whose messages a modem understands; `NONE`: only those of HomePlug."""

    QUALCOMM = "qualcomm"
    LUMISSIL = "lumissil"
    NONE = "none"


def _after(body: bytes, oui: bytes, size: int) -> bytes:
    if need(body, 3) != oui:
        raise SlacFrameError(f"the vendor {body[:3].hex()} instead of {oui.hex()}")
    need(body[3:], size)
    return body[3:]


class _QualcommRequest:
    """A request of a host without parameters."""

    mmtype: ClassVar[int] = 0
    mmv: ClassVar[int] = 0

    def pack(self) -> bytes:
        return QUALCOMM_OUI


@frozen
class SoftwareVersionReq(_QualcommRequest):
    """VS_SW_VER.REQ: which modem is there?"""

    mmtype: ClassVar[int] = 0xA000

    @classmethod
    def unpack(cls, body: bytes) -> SoftwareVersionReq:
        _after(body, QUALCOMM_OUI, 0)
        return cls()


@frozen
class SoftwareVersionCnf:
    """VS_SW_VER.CNF: status, device and version text."""

    mmtype: ClassVar[int] = 0xA001
    mmv: ClassVar[int] = 0
    version: str
    device: int = 0
    status: int = 0

    def pack(self) -> bytes:
        text = self.version.encode("latin-1", "replace")[:64]
        return QUALCOMM_OUI + bytes((self.status, self.device, len(text))) + text

    @classmethod
    def unpack(cls, body: bytes) -> SoftwareVersionCnf:
        data = _after(body, QUALCOMM_OUI, 3)
        text = need(data, 3 + min(data[2], 64))[3:]
        return cls(text.rstrip(b"\0").decode("latin-1"), data[1], data[0])


@frozen
class ResetReq(_QualcommRequest):
    """VS_RS_DEV.REQ: the modem restarts."""

    mmtype: ClassVar[int] = 0xA01C

    @classmethod
    def unpack(cls, body: bytes) -> ResetReq:
        _after(body, QUALCOMM_OUI, 0)
        return cls()


@frozen
class ResetCnf:
    """VS_RS_DEV.CNF."""

    mmtype: ClassVar[int] = 0xA01D
    mmv: ClassVar[int] = 0
    status: int = 0

    def pack(self) -> bytes:
        return QUALCOMM_OUI + bytes((self.status,))

    @classmethod
    def unpack(cls, body: bytes) -> ResetCnf:
        return cls(_after(body, QUALCOMM_OUI, 1)[0])


@frozen
class NetworkInfoReq(_QualcommRequest):
    """VS_NW_INFO.REQ: members of the network; with fragment fields in captures."""

    mmtype: ClassVar[int] = 0xA038
    mmv: ClassVar[int] = 1

    @classmethod
    def unpack(cls, body: bytes) -> NetworkInfoReq:
        _after(body, QUALCOMM_OUI, 0)
        return cls()


@frozen
class AttributesReq:
    """VS_OP_ATTRIBUTES.REQ: hardware and software names."""

    mmtype: ClassVar[int] = 0xA068
    mmv: ClassVar[int] = 0
    cookie: bytes = bytes(4)
    report: int = 0

    def pack(self) -> bytes:
        return QUALCOMM_OUI + self.cookie + bytes((self.report,))

    @classmethod
    def unpack(cls, body: bytes) -> AttributesReq:
        data = _after(body, QUALCOMM_OUI, 5)
        return cls(data[:4], data[4])


@frozen
class AttributesCnf:
    """VS_OP_ATTRIBUTES.CNF, binary: names and version of the modem, frequency of the mains (0: not detected)."""

    mmtype: ClassVar[int] = 0xA069
    mmv: ClassVar[int] = 0
    _LAYOUT: ClassVar[struct.Struct] = struct.Struct("<H4sBH16s16sIIII4x8s12s2xB5x")
    hardware: str
    software: str
    version: tuple[int, int, int, int]  # major, minor, parameters, build
    cookie: bytes = bytes(4)
    mains_hz: int = 0
    build_date: str = ""
    release: str = ""
    status: int = 0

    def pack(self) -> bytes:
        mains = {50: 1, 60: 2}.get(self.mains_hz, 0)
        names = (self.hardware.encode("latin-1", "replace"), self.software.encode("latin-1", "replace"))
        build = (self.build_date.encode("latin-1", "replace"), self.release.encode("latin-1", "replace"))
        head = (self.status, self.cookie, 0, ATTRIBUTES_SIZE)
        return QUALCOMM_OUI + self._LAYOUT.pack(*head, *names, *self.version, *build, mains)

    @classmethod
    def unpack(cls, body: bytes) -> AttributesCnf:
        data = _after(body, QUALCOMM_OUI, cls._LAYOUT.size)
        status, cookie, report, _, *rest = cls._LAYOUT.unpack(data[: cls._LAYOUT.size])
        if report != 0:
            raise SlacFrameError(f"a report of type {report}")
        hardware, software, major, minor, parameters, build, date, release, mains = rest
        texts = [one.rstrip(b"\0").decode("latin-1") for one in (hardware, software, date, release)]
        version = (major, minor, parameters, build)
        return cls(texts[0], texts[1], version, cookie, (0, 50, 60, 0)[mains & 3], texts[2], texts[3], status)


@frozen
class LinkStatusReq(_QualcommRequest):
    """VS_PL_LINK_STATUS.REQ."""

    mmtype: ClassVar[int] = 0xA0B8

    @classmethod
    def unpack(cls, body: bytes) -> LinkStatusReq:
        _after(body, QUALCOMM_OUI, 0)
        return cls()


@frozen
class LinkStatusCnf:
    """VS_PL_LINK_STATUS.CNF: the modem has a link to another one of its network."""

    mmtype: ClassVar[int] = 0xA0B9
    mmv: ClassVar[int] = 0
    up: bool

    def pack(self) -> bytes:
        return QUALCOMM_OUI + bytes((0, self.up))

    @classmethod
    def unpack(cls, body: bytes) -> LinkStatusCnf:
        return cls(_after(body, QUALCOMM_OUI, 2)[1] == _LINK_UP)


@frozen
class AttenuationInd:
    """VS_ATTENUATION_CHARACTERISTICS.IND: as CM_ATTEN_PROFILE.IND, from any Qualcomm modem that received the sound."""

    mmtype: ClassVar[int] = 0xA14E
    mmv: ClassVar[int] = 0
    vehicle: bytes
    groups: bytes

    def pack(self) -> bytes:
        return QUALCOMM_OUI + self.vehicle + bytes((len(self.groups), 0, 0x10)) + bytes(7) + self.groups

    @classmethod
    def unpack(cls, body: bytes) -> AttenuationInd:
        oui = NO_OUI if body.startswith(NO_OUI) else QUALCOMM_OUI
        data = _after(body, oui, 9)
        count = data[6]
        if count > GROUPS:
            raise SlacFrameError(f"{count} groups of at most {GROUPS}")
        return cls(data[:6], need(data, 16 + count)[16:] if count else b"")


class _LumissilMessage:
    """A message of a Lumissil modem: OUI, header, contents."""

    mmtype: ClassVar[int] = 0
    mmv: ClassVar[int] = 0

    def pack(self) -> bytes:
        return LUMISSIL_OUI + bytes(LUMISSIL_HEADER)


@frozen
class LumissilVersionReq(_LumissilMessage):
    """Version of a Lumissil modem."""

    mmtype: ClassVar[int] = 0xAC6C

    @classmethod
    def unpack(cls, body: bytes) -> LumissilVersionReq:
        _after(body, LUMISSIL_OUI, 0)
        return cls()


@frozen
class LumissilVersionCnf:
    """Version of a Lumissil modem: major, minor, patch, build."""

    mmtype: ClassVar[int] = 0xAC6D
    mmv: ClassVar[int] = 0
    _LAYOUT: ClassVar[struct.Struct] = struct.Struct("<HHHH2x")
    version: tuple[int, int, int, int]

    def pack(self) -> bytes:
        return LUMISSIL_OUI + bytes(LUMISSIL_HEADER) + self._LAYOUT.pack(*self.version)

    @classmethod
    def unpack(cls, body: bytes) -> LumissilVersionCnf:
        data = _after(body, LUMISSIL_OUI, LUMISSIL_HEADER + cls._LAYOUT.size)[LUMISSIL_HEADER:]
        major, minor, patch, build = cls._LAYOUT.unpack(data[: cls._LAYOUT.size])
        return cls((major, minor, patch, build))


@frozen
class LumissilResetReq(_LumissilMessage):
    """Restart of a Lumissil modem, which it does not confirm; mode 0 is the normal one."""

    mmtype: ClassVar[int] = 0xAC70

    def pack(self) -> bytes:
        return LUMISSIL_OUI + bytes(LUMISSIL_HEADER + 1)

    @classmethod
    def unpack(cls, body: bytes) -> LumissilResetReq:
        _after(body, LUMISSIL_OUI, 0)
        return cls()


@frozen
class LumissilLinkReq(_LumissilMessage):
    """Link status of a Lumissil modem."""

    mmtype: ClassVar[int] = 0xAC9C

    @classmethod
    def unpack(cls, body: bytes) -> LumissilLinkReq:
        _after(body, LUMISSIL_OUI, 0)
        return cls()


@frozen
class LumissilLinkCnf:
    """Answer to `LumissilLinkReq`: 1 is up."""

    mmtype: ClassVar[int] = 0xAC9D
    mmv: ClassVar[int] = 0
    up: bool

    def pack(self) -> bytes:
        return LUMISSIL_OUI + bytes(LUMISSIL_HEADER) + bytes((self.up,))

    @classmethod
    def unpack(cls, body: bytes) -> LumissilLinkCnf:
        return cls(_after(body, LUMISSIL_OUI, LUMISSIL_HEADER + 1)[LUMISSIL_HEADER] == _LINK_UP)


LINK_REQUEST: dict[ModemVendor, Message] = {
    ModemVendor.QUALCOMM: LinkStatusReq(),
    ModemVendor.LUMISSIL: LumissilLinkReq(),
}
RESET_REQUEST: dict[ModemVendor, Message] = {
    ModemVendor.QUALCOMM: ResetReq(),
    ModemVendor.LUMISSIL: LumissilResetReq(),
}
VERSION_REQUEST: dict[ModemVendor, Message] = {
    ModemVendor.QUALCOMM: SoftwareVersionReq(),
    ModemVendor.LUMISSIL: LumissilVersionReq(),
}
