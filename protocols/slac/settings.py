"""Settings and states of the SLAC engines."""

from __future__ import annotations

from enum import StrEnum

from protocols.frozen import frozen
from protocols.slac import timers
from protocols.slac.behaviour import EvBehaviour, EvseBehaviour
from protocols.slac.modem import ModemSettings


class EvState(StrEnum):
    """State of the matching process."""

    UNMATCHED = "unmatched"
    PARAMETERS = "parameters"  # CM_SLAC_PARM
    SOUNDS = "sounds"  # start indications and sounds
    REPORTS = "reports"  # waiting for the reports of every EVSE
    VALIDATING = "validating"
    MATCHING = "matching"  # CM_SLAC_MATCH
    JOINING = "joining"  # key and link
    MATCHED = "matched"
    WAITING = "waiting"  # between two attempts
    FAILED = "failed"


class EvValidation(StrEnum):
    """When a vehicle validates an EVSE by toggles of the control pilot."""

    NEVER = "never"
    AMBIGUOUS = "ambiguous"
    ALWAYS = "always"


@frozen
class EvSettings:
    """Settings of a vehicle. `host`: its MAC address.

    An EVSE of a mean attenuation up to `direct_db` is at its cable; one beyond `highest_db` is never chosen; two within
    `close_db` are ambiguous. `choose_when_all_reported`: as soon as every EVSE that confirmed the parameters reported.
    """

    host: bytes
    modem: ModemSettings = ModemSettings()
    behaviour: EvBehaviour = EvBehaviour()
    validation: EvValidation = EvValidation.NEVER
    direct_db: float = 10.0
    highest_db: float = 40.0
    close_db: float = 3.0
    choose_when_all_reported: bool = False


class EvseState(StrEnum):
    """State of the matching process."""

    RESET = "reset"  # the first key is being set
    UNMATCHED = "unmatched"
    MATCHING = "matching"  # from the first CM_SLAC_PARM.REQ
    MATCHED = "matched"
    FAILED = "failed"  # until the vehicle is unplugged


class Validation(StrEnum):
    """Answer to a vehicle that validates by toggles of the control pilot."""

    TOGGLES = "toggles"
    NOT_REQUIRED = "not-required"
    REFUSED = "refused"


@frozen
class EvseSettings:
    """Settings of an EVSE. `host`: its MAC address; `correction_db` of its own receive path."""

    host: bytes
    modem: ModemSettings = ModemSettings()
    behaviour: EvseBehaviour = EvseBehaviour()
    validation: Validation = Validation.TOGGLES
    correction_db: int = 0
    max_sessions: int = 8
    init_timeout: float = timers.SLAC_INIT
