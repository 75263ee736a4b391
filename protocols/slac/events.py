"""Events of the SLAC engines, and the orders of their hosts. Addresses are MAC addresses of hosts, 6 bytes."""

from __future__ import annotations

from typing import TypeAlias

from protocols.frozen import frozen
from protocols.iec61851 import PilotState

# ------------------------------------------------------------------------------------------------------------- events


@frozen
class FrameIgnored:
    """A frame of HomePlug had no effect (V2G3-A09-47)."""

    source: bytes
    message: str
    reason: str


@frozen
class ModemIdentified:
    """The modem reported its firmware."""

    version: str


@frozen
class KeySet:
    """The modem took the key of a network."""

    nid: bytes


@frozen
class KeyRefused:
    """The modem did not take a key in `attempts` attempts; it is reset, where it can be, and tried again."""

    attempts: int


@frozen
class MatchingStarted:
    """A vehicle started to match; of the EV engine: this vehicle did, for the `attempt`-th time."""

    vehicle: bytes
    run_id: bytes
    attempt: int = 1


@frozen
class AttenuationReported:
    """An EVSE reported the attenuation of a vehicle's sounds."""

    vehicle: bytes
    evse: bytes
    sounds: int
    mean_db: float


@frozen
class EvseChosen:
    """The vehicle chose an EVSE. `ambiguous`: beyond the limit of a direct connection, or two are close."""

    evse: bytes
    mean_db: float
    ambiguous: bool
    candidates: int


@frozen
class ToggleRequested:
    """The vehicle is to toggle its control pilot now, for the validation."""

    count: int
    half_s: float


@frozen
class ValidationEnded:
    """A validation by toggles of the control pilot ended."""

    peer: bytes
    toggles: int
    ok: bool


@frozen
class MatchConfirmed:
    """The key of the network was given to the vehicle, or received by it."""

    vehicle: bytes
    evse: bytes
    run_id: bytes
    nid: bytes


@frozen
class Matched:
    """The modems have a link: IP can start (D-LINK_READY)."""

    vehicle: bytes
    evse: bytes
    nid: bytes


@frozen
class SessionEnded:
    """One of the matching sessions of an EVSE ended without a match."""

    vehicle: bytes
    run_id: bytes
    reason: str


@frozen
class MatchingFailed:
    """The matching failed (D-LINK_ERROR)."""

    reason: str


@frozen
class NoMatchingRequest:
    """No vehicle sent CM_SLAC_PARM.REQ within TT_EVSE_SLAC_init."""


@frozen
class LinkLost:
    """The link of a matched pair is lost (D-LINK_ERROR)."""

    peer: bytes


@frozen
class NetworkLeft:
    """The network of a pair was left: its key is replaced."""

    reason: str


@frozen
class AmplitudeMapReceived:
    """The peer requested and got a reduction of the amplitude, for `carriers` carriers."""

    carriers: tuple[int, ...]


@frozen
class AmplitudeMapAnswered:
    """The peer answered an amplitude map; not `ok` after every retry."""

    ok: bool


Event: TypeAlias = (
    FrameIgnored
    | ModemIdentified
    | KeySet
    | KeyRefused
    | MatchingStarted
    | AttenuationReported
    | EvseChosen
    | ToggleRequested
    | ValidationEnded
    | MatchConfirmed
    | Matched
    | SessionEnded
    | MatchingFailed
    | NoMatchingRequest
    | LinkLost
    | NetworkLeft
    | AmplitudeMapReceived
    | AmplitudeMapAnswered
)

# ------------------------------------------------------------------------------------------------------------- orders


@frozen
class PilotChanged:
    """Order to the EVSE engine: the state of the control pilot after bouncing."""

    state: PilotState


@frozen
class StartMatching:
    """Order to the EV engine: the EVSE offers 5 %."""


@frozen
class Leave:
    """Order to the EV engine: unplugged, or the session is over."""

    reason: str = "the vehicle leaves"


@frozen
class Pause:
    """Order: the session pauses. The pair stays matched and keeps its key; the modem may be in sleep mode."""


@frozen
class Resume:
    """Order: the session goes on; the link is polled again."""


@frozen
class SendAmplitudeMap:
    """Order: request a reduction of the amplitude from the matched peer; 4 bits for each carrier."""

    carriers: tuple[int, ...]


Order: TypeAlias = PilotChanged | StartMatching | Leave | Pause | Resume | SendAmplitudeMap
