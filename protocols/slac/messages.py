"""Messages of SLAC (ISO 15118-3 Annex A) and of the keys of a modem, each with its layout.

Fields are in the order of their use; `_LAYOUT` is that of the wire. Lengths that a message declares are verified before
anything is indexed by them.
"""

from __future__ import annotations

import struct
from dataclasses import field
from enum import IntEnum
from typing import ClassVar

from protocols.frozen import frozen
from protocols.slac.frames import (
    BROADCAST,
    NO_ID,
    SlacFrameError,
    need,
)

SLAC_APPLICATION, NO_SECURITY = 0, 0
GROUPS = 58  # carrier groups of an attenuation profile
MATCH_REQ_LENGTH, MATCH_CNF_LENGTH = 0x3E, 0x56
NMK_KEY_TYPE = 1
KEY_PROTOCOL = 4  # PID of a key exchange by a host
TAKEN_BY_MODEM, TAKEN_BY_TEXT = 1, 0  # results of CM_SET_KEY.CNF: what modems send, and what the text of HomePlug has


class ValidationResult(IntEnum):
    """Result codes of CM_VALIDATE."""

    NOT_READY = 0
    READY = 1
    SUCCESS = 2
    FAILURE = 3
    NOT_REQUIRED = 4


@frozen
class SlacParmReq:
    """CM_SLAC_PARM.REQ: a vehicle starts to match."""

    mmtype: ClassVar[int] = 0x6064
    mmv: ClassVar[int] = 1
    _LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BB8s")
    run_id: bytes
    application: int = SLAC_APPLICATION
    security: int = NO_SECURITY

    def pack(self) -> bytes:
        return self._LAYOUT.pack(self.application, self.security, self.run_id)

    @classmethod
    def unpack(cls, body: bytes) -> SlacParmReq:
        application, security, run_id = cls._LAYOUT.unpack(need(body, cls._LAYOUT.size))
        return cls(run_id, application, security)


@frozen
class SlacParmCnf:
    """CM_SLAC_PARM.CNF: number of sounds, and the time for them in units of 100 ms."""

    mmtype: ClassVar[int] = 0x6065
    mmv: ClassVar[int] = 1
    _LAYOUT: ClassVar[struct.Struct] = struct.Struct("<6sBBB6sBB8s")
    run_id: bytes
    forwarding_station: bytes
    sounds: int = 10
    time_out: int = 6
    response_type: int = 1
    sound_target: bytes = BROADCAST
    application: int = SLAC_APPLICATION
    security: int = NO_SECURITY

    def pack(self) -> bytes:
        head = (self.sound_target, self.sounds, self.time_out, self.response_type, self.forwarding_station)
        return self._LAYOUT.pack(*head, self.application, self.security, self.run_id)

    @classmethod
    def unpack(cls, body: bytes) -> SlacParmCnf:
        target, sounds, time_out, response, station, *rest = cls._LAYOUT.unpack(need(body, cls._LAYOUT.size))
        application, security, run_id = rest
        return cls(run_id, station, sounds, time_out, response, target, application, security)


@frozen
class StartAttenCharInd:
    """CM_START_ATTEN_CHAR.IND: the sounds follow."""

    mmtype: ClassVar[int] = 0x606A
    mmv: ClassVar[int] = 1
    _LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BBBBB6s8s")
    run_id: bytes
    forwarding_station: bytes
    sounds: int = 10
    time_out: int = 6
    response_type: int = 1
    application: int = SLAC_APPLICATION
    security: int = NO_SECURITY

    def pack(self) -> bytes:
        head = (self.application, self.security, self.sounds, self.time_out, self.response_type)
        return self._LAYOUT.pack(*head, self.forwarding_station, self.run_id)

    @classmethod
    def unpack(cls, body: bytes) -> StartAttenCharInd:
        application, security, sounds, *rest = cls._LAYOUT.unpack(need(body, cls._LAYOUT.size))
        time_out, response, station, run_id = rest
        return cls(run_id, station, sounds, time_out, response, application, security)


@frozen
class MnbcSoundInd:
    """CM_MNBC_SOUND.IND: one sound; `remaining` counts down to 0."""

    mmtype: ClassVar[int] = 0x6076
    mmv: ClassVar[int] = 1
    _LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BB17sB8s8x16s")
    run_id: bytes
    remaining: int
    random: bytes
    sender_id: bytes = NO_ID
    application: int = SLAC_APPLICATION
    security: int = NO_SECURITY

    def pack(self) -> bytes:
        head = (self.application, self.security, self.sender_id, self.remaining)
        return self._LAYOUT.pack(*head, self.run_id, self.random)

    @classmethod
    def unpack(cls, body: bytes) -> MnbcSoundInd:
        application, security, sender, remaining, run_id, random = cls._LAYOUT.unpack(need(body, cls._LAYOUT.size))
        return cls(run_id, remaining, random, sender, application, security)


@frozen
class AttenProfileInd:
    """CM_ATTEN_PROFILE.IND: attenuation of one sound, dB per group, from the modem to its host; AR7420 sends none."""

    mmtype: ClassVar[int] = 0x6086
    mmv: ClassVar[int] = 1
    vehicle: bytes
    groups: bytes

    def pack(self) -> bytes:
        return self.vehicle + bytes((len(self.groups), 0)) + self.groups

    @classmethod
    def unpack(cls, body: bytes) -> AttenProfileInd:
        count = need(body, 8)[6]
        return cls(body[:6], _groups(body, count, 8))


@frozen
class AttenCharInd:
    """CM_ATTEN_CHAR.IND: attenuation that an EVSE measured, the mean of each group over `sounds`."""

    mmtype: ClassVar[int] = 0x606E
    mmv: ClassVar[int] = 1
    _LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BB6s8s17s17sBB")
    vehicle: bytes
    run_id: bytes
    sounds: int
    groups: bytes
    source_id: bytes = NO_ID
    responder_id: bytes = NO_ID
    application: int = SLAC_APPLICATION
    security: int = NO_SECURITY

    def pack(self) -> bytes:
        head = (self.application, self.security, self.vehicle, self.run_id, self.source_id, self.responder_id)
        return self._LAYOUT.pack(*head, self.sounds, len(self.groups)) + self.groups

    @classmethod
    def unpack(cls, body: bytes) -> AttenCharInd:
        size = cls._LAYOUT.size
        application, security, vehicle, run_id, source, responder, sounds, count = cls._LAYOUT.unpack(need(body, size))
        groups = _groups(body, count, size)
        return cls(vehicle, run_id, sounds, groups, source, responder, application, security)


@frozen
class AttenCharRsp:
    """CM_ATTEN_CHAR.RSP: the vehicle has received the attenuation."""

    mmtype: ClassVar[int] = 0x606F
    mmv: ClassVar[int] = 1
    _LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BB6s8s17s17sB")
    vehicle: bytes
    run_id: bytes
    result: int = 0
    source_id: bytes = NO_ID
    responder_id: bytes = NO_ID
    application: int = SLAC_APPLICATION
    security: int = NO_SECURITY

    def pack(self) -> bytes:
        head = (self.application, self.security, self.vehicle, self.run_id, self.source_id, self.responder_id)
        return self._LAYOUT.pack(*head, self.result)

    @classmethod
    def unpack(cls, body: bytes) -> AttenCharRsp:
        size = cls._LAYOUT.size
        application, security, vehicle, run_id, source, responder, result = cls._LAYOUT.unpack(need(body, size))
        return cls(vehicle, run_id, result, source, responder, application, security)


_MATCH = struct.Struct("<BBH17s6s17s6s8s8x")
_MATCH_CNF = struct.Struct("<BBH17s6s17s6s8s8x7sx16s")


@frozen
class SlacMatchReq:
    """CM_SLAC_MATCH.REQ: the vehicle has chosen this EVSE. Addresses are those of the hosts."""

    mmtype: ClassVar[int] = 0x607C
    mmv: ClassVar[int] = 1
    vehicle: bytes
    evse: bytes
    run_id: bytes
    vehicle_id: bytes = NO_ID
    evse_id: bytes = NO_ID
    length: int = MATCH_REQ_LENGTH
    application: int = SLAC_APPLICATION
    security: int = NO_SECURITY

    def pack(self) -> bytes:
        head = (self.application, self.security, self.length, self.vehicle_id, self.vehicle)
        return _MATCH.pack(*head, self.evse_id, self.evse, self.run_id)

    @classmethod
    def unpack(cls, body: bytes) -> SlacMatchReq:
        application, security, length, *rest = _MATCH.unpack(need(body, _MATCH.size))
        vehicle_id, vehicle, evse_id, evse, run_id = rest
        return cls(vehicle, evse, run_id, vehicle_id, evse_id, length, application, security)


@frozen
class SlacMatchCnf:
    """CM_SLAC_MATCH.CNF: the key of the network, to the vehicle that is matched."""

    mmtype: ClassVar[int] = 0x607D
    mmv: ClassVar[int] = 1
    vehicle: bytes
    evse: bytes
    run_id: bytes
    nid: bytes
    nmk: bytes = field(repr=False)
    vehicle_id: bytes = NO_ID
    evse_id: bytes = NO_ID
    length: int = MATCH_CNF_LENGTH
    application: int = SLAC_APPLICATION
    security: int = NO_SECURITY

    def pack(self) -> bytes:
        head = (self.application, self.security, self.length, self.vehicle_id, self.vehicle)
        return _MATCH_CNF.pack(*head, self.evse_id, self.evse, self.run_id, self.nid, self.nmk)

    @classmethod
    def unpack(cls, body: bytes) -> SlacMatchCnf:
        application, security, length, *rest = _MATCH_CNF.unpack(need(body, _MATCH_CNF.size))
        vehicle_id, vehicle, evse_id, evse, run_id, nid, nmk = rest
        return cls(vehicle, evse, run_id, nid, nmk, vehicle_id, evse_id, length, application, security)


@frozen
class ValidateReq:
    """CM_VALIDATE.REQ: by toggles of the control pilot the EVSE recognises its vehicle. `timer` 0 is the first step."""

    mmtype: ClassVar[int] = 0x6078
    mmv: ClassVar[int] = 1
    timer: int
    result: int = ValidationResult.READY
    signal: int = 0  # toggles in S2

    def pack(self) -> bytes:
        return bytes((self.signal, self.timer, self.result))

    @classmethod
    def unpack(cls, body: bytes) -> ValidateReq:
        signal, timer, result = need(body, 3)
        return cls(timer, result, signal)


@frozen
class ValidateCnf:
    """CM_VALIDATE.CNF: the number of toggles that the EVSE counted."""

    mmtype: ClassVar[int] = 0x6079
    mmv: ClassVar[int] = 1
    toggles: int
    result: int
    signal: int = 0

    def pack(self) -> bytes:
        return bytes((self.signal, self.toggles, self.result))

    @classmethod
    def unpack(cls, body: bytes) -> ValidateCnf:
        signal, toggles, result = need(body, 3)
        return cls(toggles, result, signal)


@frozen
class AmpMapReq:
    """CM_AMP_MAP.REQ: reduction of the sending amplitude, one value of 4 bits for each carrier."""

    mmtype: ClassVar[int] = 0x601C
    mmv: ClassVar[int] = 1
    carriers: tuple[int, ...]

    def pack(self) -> bytes:
        even = (*self.carriers, 0) if len(self.carriers) % 2 else self.carriers
        pairs = zip(even[::2], even[1::2], strict=True)
        return len(self.carriers).to_bytes(2, "little") + bytes(low | high << 4 for low, high in pairs)

    @classmethod
    def unpack(cls, body: bytes) -> AmpMapReq:
        count = int.from_bytes(need(body, 2), "little")
        data = need(body, 2 + (count + 1) // 2)[2:]
        values = [value for pair in data for value in (pair & 0xF, pair >> 4)]
        return cls(tuple(values[:count]))


@frozen
class AmpMapCnf:
    """CM_AMP_MAP.CNF: 0 is success."""

    mmtype: ClassVar[int] = 0x601D
    mmv: ClassVar[int] = 1
    result: int = 0

    def pack(self) -> bytes:
        return bytes((self.result,))

    @classmethod
    def unpack(cls, body: bytes) -> AmpMapCnf:
        return cls(need(body, 1)[0])


@frozen
class SetKeyReq:
    """CM_SET_KEY.REQ: a host gives its modem the key of a network."""

    mmtype: ClassVar[int] = 0x6008
    mmv: ClassVar[int] = 1
    _LAYOUT: ClassVar[struct.Struct] = struct.Struct("<B4s4sBHBB7sB16s")
    nid: bytes
    nmk: bytes = field(repr=False)
    my_nonce: bytes = bytes(4)
    your_nonce: bytes = bytes(4)
    key_type: int = NMK_KEY_TYPE
    protocol: int = KEY_PROTOCOL
    protocol_run: int = 0
    protocol_message: int = 0
    coordinator: int = 0
    new_eks: int = 1

    def pack(self) -> bytes:
        head = (self.key_type, self.my_nonce, self.your_nonce, self.protocol, self.protocol_run)
        return self._LAYOUT.pack(*head, self.protocol_message, self.coordinator, self.nid, self.new_eks, self.nmk)

    @classmethod
    def unpack(cls, body: bytes) -> SetKeyReq:
        key_type, my_nonce, your_nonce, *rest = cls._LAYOUT.unpack(need(body, cls._LAYOUT.size))
        protocol, run, message, coordinator, nid, eks, nmk = rest
        return cls(nid, nmk, my_nonce, your_nonce, key_type, protocol, run, message, coordinator, eks)


@frozen
class SetKeyCnf:
    """CM_SET_KEY.CNF: modems answer 1 when they have taken the key."""

    mmtype: ClassVar[int] = 0x6009
    mmv: ClassVar[int] = 1
    _LAYOUT: ClassVar[struct.Struct] = struct.Struct("<B4s4sBHBB")
    result: int
    my_nonce: bytes = bytes(4)
    your_nonce: bytes = bytes(4)
    protocol: int = KEY_PROTOCOL
    protocol_run: int = 0
    protocol_message: int = 0xFF
    coordinator: int = 0

    def pack(self) -> bytes:
        head = (self.result, self.my_nonce, self.your_nonce, self.protocol, self.protocol_run)
        return self._LAYOUT.pack(*head, self.protocol_message, self.coordinator)

    @classmethod
    def unpack(cls, body: bytes) -> SetKeyCnf:
        return cls(*cls._LAYOUT.unpack(need(body, cls._LAYOUT.size)))


@frozen
class GetKeyReq:
    """CM_GET_KEY.REQ: diagnosis of the key of a modem; layout as in captures."""

    mmtype: ClassVar[int] = 0x600C
    mmv: ClassVar[int] = 1
    _LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BB7s4sBHB")
    nid: bytes
    my_nonce: bytes = bytes(4)
    key_type: int = NMK_KEY_TYPE
    request_type: int = 0
    protocol: int = KEY_PROTOCOL
    protocol_run: int = 0
    protocol_message: int = 0

    def pack(self) -> bytes:
        head = (self.request_type, self.key_type, self.nid, self.my_nonce)
        return self._LAYOUT.pack(*head, self.protocol, self.protocol_run, self.protocol_message)

    @classmethod
    def unpack(cls, body: bytes) -> GetKeyReq:
        request, key_type, nid, nonce, *rest = cls._LAYOUT.unpack(need(body, cls._LAYOUT.size))
        return cls(nid, nonce, key_type, request, *rest)


@frozen
class GetKeyCnf:
    """CM_GET_KEY.CNF: contains the key, which is for no log."""

    mmtype: ClassVar[int] = 0x600D
    mmv: ClassVar[int] = 1
    _LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BB4s4s7sBBHB16s")
    result: int
    nid: bytes
    nmk: bytes = field(repr=False)
    my_nonce: bytes = bytes(4)
    your_nonce: bytes = bytes(4)
    key_type: int = NMK_KEY_TYPE
    eks: int = 1
    protocol: int = KEY_PROTOCOL
    protocol_run: int = 0
    protocol_message: int = 0xFF

    def pack(self) -> bytes:
        head = (self.result, self.key_type, self.my_nonce, self.your_nonce, self.nid, self.eks)
        return self._LAYOUT.pack(*head, self.protocol, self.protocol_run, self.protocol_message, self.nmk)

    @classmethod
    def unpack(cls, body: bytes) -> GetKeyCnf:
        result, key_type, mine, yours, nid, eks, *rest = cls._LAYOUT.unpack(need(body, cls._LAYOUT.size))
        protocol, run, message, nmk = rest
        return cls(result, nid, nmk, mine, yours, key_type, eks, protocol, run, message)


def _groups(body: bytes, count: int, start: int) -> bytes:
    if count > GROUPS:
        raise SlacFrameError(f"{count} groups of at most {GROUPS}")
    return need(body, start + count)[start:]
