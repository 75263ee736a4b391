"""Decoding of Ethernet frames with a management message of HomePlug.

A frame that is too short, too long, fragmented or unknown raises `SlacFrameError`; by V2G3-A09-47 it is ignored and
never answered.
"""

from __future__ import annotations

from protocols.slac import messages, vendor
from protocols.slac.frames import ETHERTYPE, LONGEST_FRAME, Frame, Message, SlacFrameError

_ETHERNET_SIZE = 14
_HIGHEST_MMV = 2
MESSAGES: tuple[type[Message], ...] = (
    messages.SlacParmReq,
    messages.SlacParmCnf,
    messages.StartAttenCharInd,
    messages.MnbcSoundInd,
    messages.AttenProfileInd,
    messages.AttenCharInd,
    messages.AttenCharRsp,
    messages.SlacMatchReq,
    messages.SlacMatchCnf,
    messages.ValidateReq,
    messages.ValidateCnf,
    messages.AmpMapReq,
    messages.AmpMapCnf,
    messages.SetKeyReq,
    messages.SetKeyCnf,
    messages.GetKeyReq,
    messages.GetKeyCnf,
    vendor.SoftwareVersionReq,
    vendor.SoftwareVersionCnf,
    vendor.ResetReq,
    vendor.ResetCnf,
    vendor.NetworkInfoReq,
    vendor.AttributesReq,
    vendor.AttributesCnf,
    vendor.LinkStatusReq,
    vendor.LinkStatusCnf,
    vendor.AttenuationInd,
    vendor.LumissilVersionReq,
    vendor.LumissilVersionCnf,
    vendor.LumissilResetReq,
    vendor.LumissilLinkReq,
    vendor.LumissilLinkCnf,
)
_BY_TYPE = {cls.mmtype: cls for cls in MESSAGES}


def decode(data: bytes) -> Frame:
    """Decode an Ethernet frame. Raises SlacFrameError."""
    if not _ETHERNET_SIZE + 3 <= len(data) <= LONGEST_FRAME:
        raise SlacFrameError(f"a frame of {len(data)} bytes")
    if int.from_bytes(data[12:14], "big") != ETHERTYPE:
        raise SlacFrameError("not a HomePlug frame")
    mmv, mmtype = data[14], int.from_bytes(data[15:17], "little")
    if mmv > _HIGHEST_MMV:
        raise SlacFrameError(f"unknown version {mmv} of the message header")
    start = 17 if mmv == 0 else 19
    if mmv and (len(data) < start or data[17]):
        raise SlacFrameError("a fragmented message")
    cls = _BY_TYPE.get(mmtype)
    if cls is None:
        raise SlacFrameError(f"unknown message {mmtype:#06x}")
    try:
        return Frame(data[:6], data[6:12], cls.unpack(data[start:]))
    except SlacFrameError as reason:
        raise SlacFrameError(f"message {mmtype:#06x}: {reason}") from None
