"""The host's side of its own modem: keys with retries, reset, firmware, link status.

Part of both engines. The modem is addressed by `ModemSettings.address`; the address from which it answers becomes known
with its first confirmation, and only that one may report attenuation.
"""

from __future__ import annotations

from collections.abc import Callable

from protocols.frozen import frozen
from protocols.slac import timers
from protocols.slac.events import Event, KeyRefused, KeySet, ModemIdentified
from protocols.slac.frames import Frame, Message
from protocols.slac.keys import nid_of
from protocols.slac.messages import TAKEN_BY_MODEM, TAKEN_BY_TEXT, SetKeyCnf, SetKeyReq
from protocols.slac.vendor import (
    LINK_REQUEST,
    QUALCOMM_MODEM,
    RESET_REQUEST,
    VERSION_REQUEST,
    LinkStatusCnf,
    LumissilLinkCnf,
    LumissilVersionCnf,
    ModemVendor,
    SoftwareVersionCnf,
)

RESET_SETTLE = 5.0  # s after a reset until a modem answers


@frozen
class ModemSettings:
    """The modem of a host. `results`: those of CM_SET_KEY.CNF that mean success; modems and the text differ."""

    address: bytes = QUALCOMM_MODEM
    vendor: ModemVendor = ModemVendor.QUALCOMM
    results: frozenset[int] = frozenset({TAKEN_BY_MODEM, TAKEN_BY_TEXT})


class Modem:
    """State of the local modem. Requests are sent by `send(destination, message)`, events are in `events`."""

    def __init__(self, settings: ModemSettings, send: Callable[[bytes, Message], None]) -> None:
        self._settings = settings
        self._send = send
        self.address: bytes | None = None  # from which it answers
        self.nmk = self.nid = b""
        self.link = False
        self.events: list[Event] = []
        self._attempts = 0
        self._key_by: float | None = None  # end of the wait for CM_SET_KEY.CNF, or of a reset
        self._poll_at: float | None = None
        self._poll_every: float | None = None
        self._failed_polls = 0

    @property
    def key_pending(self) -> bool:
        """Return True until the modem has confirmed the last key."""
        return self._key_by is not None

    @property
    def reports_link(self) -> bool:
        """Return True if the vendor has a link status."""
        return self._settings.vendor in LINK_REQUEST

    def is_own(self, source: bytes) -> bool:
        """Return True if a frame comes from this modem."""
        return source in (self._settings.address, self.address)

    def identify(self) -> None:
        """Request the firmware."""
        request = VERSION_REQUEST.get(self._settings.vendor)
        if request is not None:
            self._send(self._settings.address, request)

    def set_key(self, nmk: bytes, now: float, *, nid: bytes | None = None) -> None:
        """Give the modem a key, until it confirms; `nid` of a peer that does not derive it from the NMK."""
        self.nmk, self.nid = nmk, nid if nid is not None else nid_of(nmk)
        self._attempts = 0
        self.link = False
        self.watch(None, now)
        self._request_key(now)

    def watch(self, every: float | None, now: float) -> None:
        """Poll the link status at an interval; None stops."""
        self._poll_every = every if self.reports_link else None
        self._poll_at = now if self._poll_every is not None else None
        self._failed_polls = 0

    def receive(self, frame: Frame, now: float) -> bool:
        """Process a frame; return False if it is not about the modem."""
        message = frame.message
        if isinstance(message, SetKeyCnf):
            self._confirm(message, frame.source, now)
        elif isinstance(message, LinkStatusCnf | LumissilLinkCnf):
            if self.is_own(frame.source) and self._poll_every is not None:
                self._failed_polls = 0 if message.up else self._failed_polls
                self.link = self.link or message.up
        elif isinstance(message, SoftwareVersionCnf | LumissilVersionCnf):
            if self.is_own(frame.source):
                version = message.version
                text = version if isinstance(version, str) else ".".join(map(str, version))
                self.events.append(ModemIdentified(text))
        else:
            return False
        return True

    def expire(self, now: float) -> None:
        """Process the passage of time."""
        if self._key_by is not None and now >= self._key_by:
            self._attempt_failed(now)
        if self._poll_at is not None and self._poll_every is not None and now >= self._poll_at:
            self._failed_polls += 1  # until an answer resets it
            if self._failed_polls > timers.LOST_AFTER_POLLS:
                self.link = False
            self._poll_at = now + self._poll_every
            self._send(self._settings.address, LINK_REQUEST[self._settings.vendor])

    def deadline(self) -> float | None:
        return min((when for when in (self._key_by, self._poll_at) if when is not None), default=None)

    def _request_key(self, now: float) -> None:
        self._attempts += 1
        self._key_by = now + timers.KEY_CONFIRMATION
        self._send(self._settings.address, SetKeyReq(self.nid, self.nmk))

    def _confirm(self, message: SetKeyCnf, source: bytes, now: float) -> None:
        if self._key_by is None or self._attempts == 0:
            return
        if message.result in self._settings.results:
            self.address = source
            self._key_by = None
            self.events.append(KeySet(self.nid))
        else:
            self._key_by = min(self._key_by, now + timers.MATCH_SEQUENCE)

    def _attempt_failed(self, now: float) -> None:
        if self._attempts < timers.KEY_ATTEMPTS:
            self._request_key(now)
            return
        self.events.append(KeyRefused(self._attempts))
        self._attempts = 0
        self._key_by = now + RESET_SETTLE
        reset = RESET_REQUEST.get(self._settings.vendor)
        if reset is not None:
            self._send(self._settings.address, reset)
