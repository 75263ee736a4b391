"""One matching session of an EVSE with one vehicle: its phase, its measurement, the verification of its messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from protocols.slac import timers
from protocols.slac.behaviour import EvseBehaviour
from protocols.slac.frames import NO_ID
from protocols.slac.messages import (
    GROUPS,
    MATCH_REQ_LENGTH,
    NO_SECURITY,
    SLAC_APPLICATION,
    AttenCharInd,
    AttenCharRsp,
    SlacMatchReq,
    StartAttenCharInd,
)

LATE_COPY = 1.0  # s after CM_SLAC_MATCH.CNF, in which no vehicle has found that there is no link


class Phase(StrEnum):
    """Event that a session waits for."""

    START = "CM_START_ATTEN_CHAR.IND"
    SOUNDS = "CM_MNBC_SOUND.IND"
    RESPONSE = "CM_ATTEN_CHAR.RSP"
    MATCH = "CM_SLAC_MATCH.REQ"
    JOINING = "link"


@dataclass(slots=True)
class Session:
    """A session, which `deadline` ends or moves to the next phase."""

    vehicle: bytes
    run_id: bytes
    deadline: float
    phase: Phase = Phase.START
    sounds: int = 0  # received
    expected: int = timers.SOUNDS
    profiles: int = 0
    sums: list[int] = field(default_factory=lambda: [0] * GROUPS)
    report: AttenCharInd | None = None
    tries: int = 0

    def repeats(self, run_id: bytes, now: float) -> bool:
        """Return True if a CM_SLAC_PARM.REQ is a late copy of the one that began the session, not a new begin."""
        confirmed_at = self.deadline - timers.MATCH_JOIN
        return self.phase is Phase.JOINING and run_id == self.run_id and now < confirmed_at + LATE_COPY

    def add_profile(self, groups: bytes) -> bool:
        """Add the attenuation of one sound; return False for one too many, or of another size than the standard's."""
        if len(groups) != GROUPS or self.profiles >= self.expected:
            return False
        self.profiles += 1
        self.sums = [total + value for total, value in zip(self.sums, groups, strict=True)]
        return True

    def average(self, correction_db: int) -> bytes:
        """Return the mean attenuation of each group, dB. A report of 0 dB everywhere would be taken as a defect."""
        if not self.profiles:
            return bytes((1,)) * GROUPS
        means = [min(255, max(0, total // self.profiles + correction_db)) for total in self.sums]
        return bytes(means) if any(means) else bytes((1,)) * GROUPS


def start_fault(message: StartAttenCharInd, behaviour: EvseBehaviour) -> str | None:
    """Return why a CM_START_ATTEN_CHAR.IND is ignored, None if it is not."""
    if message.application != SLAC_APPLICATION or message.security != NO_SECURITY:
        return "application or security type"
    if behaviour.time_out_required not in (None, message.time_out):
        return f"TIME_OUT {message.time_out}"
    return None if message.sounds else "no sounds"


def response_fault(message: AttenCharRsp, session: Session) -> str | None:
    """Return why a CM_ATTEN_CHAR.RSP is ignored, None if it is not."""
    if message.application != SLAC_APPLICATION or message.security != NO_SECURITY:
        return "application or security type"
    if message.vehicle != session.vehicle or message.source_id != NO_ID or message.responder_id != NO_ID:
        return "address or id"
    return None if message.result == 0 else f"result {message.result}"


def match_fault(message: SlacMatchReq, session: Session, host: bytes) -> str | None:
    """Return why a CM_SLAC_MATCH.REQ is ignored (CmSlacMatch tests of ISO 15118-5), None if it is not."""
    if message.application != SLAC_APPLICATION or message.security != NO_SECURITY:
        return "application or security type"
    if message.length != MATCH_REQ_LENGTH:
        return f"MVFLength {message.length:#06x}"
    if message.vehicle_id != NO_ID or message.evse_id != NO_ID:
        return "id of a station"
    if message.vehicle != session.vehicle:
        return "address of the vehicle"
    return None if message.evse == host else "address of the EVSE"
