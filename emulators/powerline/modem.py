"""An emulated powerline modem: between its host (Ethernet) and the line, without I/O.

It answers its host's messages (keys, version, link status), passes management messages on, reports the attenuation of
every sound that it receives, and passes other traffic on while it has a link. Modems find each other by a beacon, which
real ones do not send on Ethernet: ethertype 0x88B5, reserved for experiments.
"""

from __future__ import annotations

import hashlib
from collections import deque

from protocols.frozen import frozen
from protocols.slac.codec import decode
from protocols.slac.frames import BROADCAST, ETHERTYPE, Frame, Message, SlacFrameError
from protocols.slac.messages import GROUPS, AttenProfileInd, MnbcSoundInd, SetKeyCnf, SetKeyReq
from protocols.slac.vendor import (
    QUALCOMM_MODEM,
    AttenuationInd,
    LinkStatusCnf,
    LinkStatusReq,
    LumissilLinkCnf,
    LumissilLinkReq,
    LumissilResetReq,
    LumissilVersionCnf,
    LumissilVersionReq,
    ModemVendor,
    ResetCnf,
    ResetReq,
    SoftwareVersionCnf,
    SoftwareVersionReq,
)

BEACON_ETHERTYPE = 0x88B5
BEACON_MARK = b"v2x beacon 1"
BEACON_INTERVAL = 0.25  # s
PEER_FORGOTTEN_AFTER = 2.0  # s without a beacon
MOST_PEERS = 64
MOST_WAITING = 256  # frames in one direction
_SHAPE = (2, 0, -2, 1, -1)  # dB of a group beside the mean


@frozen
class ModemProfile:
    """Behaviour of a modem. `refused_keys`: number of first keys that it refuses; `link_after`: s from key to link."""

    vendor: ModemVendor = ModemVendor.QUALCOMM
    version: str = "MAC-QCA7000-1.1.0-emulated"
    profiles: bool = True
    vendor_profiles: bool = False
    refused_keys: int = 0
    key_after: float = 0.03
    key_result: int = 1
    link_after: float = 0.5
    reset_after: float = 2.0


MODEM_PROFILES: dict[str, ModemProfile] = {
    "qca7000": ModemProfile(),
    "qca7005": ModemProfile(version="MAC-QCA7005-1.1.0-emulated", refused_keys=1, vendor_profiles=True),
    "ar7420": ModemProfile(version="MAC-QCA7420-1.4.0-emulated", profiles=False),
    "cg5317": ModemProfile(vendor=ModemVendor.LUMISSIL, version="CG5317-emulated"),
    "slow": ModemProfile(key_after=0.3, link_after=5.0),
}


def profile_of(mean_db: int) -> bytes:
    """Return the attenuation of each group for a mean."""
    return bytes(min(255, max(0, mean_db + _SHAPE[group % len(_SHAPE)])) for group in range(GROUPS))


class EmulatedModem:
    """One modem. `host_frames` and `line_frames` are what it sends to each side."""

    def __init__(self, mac: bytes, profile: ModemProfile = MODEM_PROFILES["qca7000"]) -> None:
        self.mac = mac
        self.profile = profile
        self.host: bytes | None = None
        self.nmk = b""
        self._nid = b""
        self._refused = 0
        self._to_host: deque[bytes] = deque(maxlen=MOST_WAITING)
        self._to_line: deque[bytes] = deque(maxlen=MOST_WAITING)
        self._later: deque[tuple[float, Message]] = deque(maxlen=MOST_WAITING)  # confirmations
        self._beacon_at: float | None = None
        self._link_from = 0.0
        self._deaf_until = 0.0  # during a reset
        self._peers: dict[bytes, tuple[bytes, float]] = {}  # modem to its host and the time of its last beacon

    # frames

    def from_host(self, data: bytes, now: float) -> None:
        """Process a frame of the host."""
        if now < self._deaf_until or len(data) < 14:
            return
        if data[12:14] != ETHERTYPE.to_bytes(2, "big"):
            if self.linked(now):
                self._to_line.append(data)
            return
        self.host = data[6:12]
        if data[:6] not in (QUALCOMM_MODEM, self.mac):
            self._to_line.append(data)
            return
        try:
            self._serve(decode(data).message, now)
        except SlacFrameError:
            return

    def from_line(self, data: bytes, now: float, mean_db: int) -> None:
        """Process a frame of the line; `mean_db` is the attenuation on its way."""
        if now < self._deaf_until or len(data) < 14:
            return
        ethertype = int.from_bytes(data[12:14], "big")
        if ethertype == BEACON_ETHERTYPE:
            self._take_beacon(data, now)
        elif ethertype != ETHERTYPE:
            if self.linked(now) and any(host == data[6:12] for host, _ in self._peers.values()):
                self._to_host.append(data)
        elif data[:6] in (BROADCAST, self.host):
            self._to_host.append(data)
            self._measure(data, mean_db)

    def host_frames(self) -> list[bytes]:
        """Return the frames for the host, and remove them."""
        frames = list(self._to_host)
        self._to_host.clear()
        return frames

    def line_frames(self) -> list[bytes]:
        """Return the frames for the line, and remove them."""
        frames = list(self._to_line)
        self._to_line.clear()
        return frames

    def expire(self, now: float) -> None:
        """Process the passage of time: confirmations and beacons that are due."""
        while self._later and now >= self._later[0][0]:
            self._to_host.append(Frame(self.host or BROADCAST, self.mac, self._later.popleft()[1]).encode())
        if self._beacon_at is not None and now >= self._beacon_at:
            self._beacon_at = now + BEACON_INTERVAL
            if self.host is not None:
                content = BEACON_MARK + self.host + self._proof()
                self._to_line.append(BROADCAST + self.mac + BEACON_ETHERTYPE.to_bytes(2, "big") + content.ljust(46))

    def deadline(self) -> float | None:
        later = self._later[0][0] if self._later else None
        return min((when for when in (later, self._beacon_at) if when is not None), default=None)

    def linked(self, now: float) -> bool:
        """Return True if there is another modem with the same key."""
        self._peers = {mac: one for mac, one in self._peers.items() if now - one[1] < PEER_FORGOTTEN_AFTER}
        return bool(self._peers) and now >= self._link_from

    # messages of the host

    def _serve(self, message: Message, now: float) -> None:
        qualcomm = self.profile.vendor is ModemVendor.QUALCOMM
        if isinstance(message, SetKeyReq):
            self._take_key(message, now)
        elif isinstance(message, SoftwareVersionReq) and qualcomm:
            self._later.append((now, SoftwareVersionCnf(self.profile.version)))
        elif isinstance(message, LinkStatusReq) and qualcomm:
            self._later.append((now, LinkStatusCnf(self.linked(now))))
        elif isinstance(message, LumissilVersionReq) and not qualcomm:
            self._later.append((now, LumissilVersionCnf((1, 0, 0, 0))))
        elif isinstance(message, LumissilLinkReq) and not qualcomm:
            self._later.append((now, LumissilLinkCnf(self.linked(now))))
        elif isinstance(message, ResetReq | LumissilResetReq):
            if qualcomm and self.host is not None:
                self._to_host.append(Frame(self.host, self.mac, ResetCnf()).encode())
            self._later.clear()
            self._peers.clear()
            self._deaf_until = now + self.profile.reset_after
        self.expire(now)

    def _take_key(self, message: SetKeyReq, now: float) -> None:
        nonce, due = hashlib.sha256(message.nmk).digest()[:4], now + self.profile.key_after
        if self._refused < self.profile.refused_keys:
            self._refused += 1
            self._later.append((due, SetKeyCnf(0xFF, nonce, message.my_nonce)))
            return
        if (message.nmk, message.nid) != (self.nmk, self._nid):
            self.nmk, self._nid = message.nmk, message.nid
            self._peers.clear()
            self._link_from = now + self.profile.link_after
        self._beacon_at = now
        self._later.append((due, SetKeyCnf(self.profile.key_result, nonce, message.my_nonce)))

    # the line

    def _proof(self) -> bytes:
        return hashlib.sha256(BEACON_MARK + self._nid + self.nmk).digest()[:8]

    def _take_beacon(self, data: bytes, now: float) -> None:
        mark = len(BEACON_MARK)
        content = data[14:]
        if not self.nmk or content[:mark] != BEACON_MARK or data[6:12] == self.mac:
            return
        host, proof = content[mark : mark + 6], content[mark + 6 : mark + 14]
        if proof != self._proof():
            self._peers.pop(data[6:12], None)
        elif data[6:12] in self._peers or len(self._peers) < MOST_PEERS:
            self._peers[data[6:12]] = (host, now)

    def _measure(self, data: bytes, mean_db: int) -> None:
        """Report the attenuation of a sound to the host."""
        try:
            frame = decode(data)
        except SlacFrameError:
            return
        if not isinstance(frame.message, MnbcSoundInd):
            return
        groups = profile_of(mean_db)
        if self.profile.profiles:
            self._to_host.append(Frame(BROADCAST, self.mac, AttenProfileInd(frame.source, groups)).encode())
        if self.profile.vendor_profiles:
            self._to_host.append(Frame(BROADCAST, self.mac, AttenuationInd(frame.source, groups)).encode())
