"""Deviations of vehicles and chargers in the field, as named switches of the engines.

The defaults are what this implementation does by itself. A profile is what a maker's product was seen to do (captures
of pyPLC, trackers of EVerest, open-plc-utils and ccs32clara); `docs/slac.md` names the source of each.
"""

from __future__ import annotations

from protocols.frozen import frozen
from protocols.slac import timers


@frozen
class EvBehaviour:
    """Behaviour of a vehicle.

    `run_id`: a fixed one; `run_id_of_mac`: the MAC address and two zeros. `parm_copies`: CM_SLAC_PARM.REQ of each try,
    `parm_gap` apart. `confirmation_within`: a later CM_SLAC_PARM.CNF is ignored. `strict_parameters`: only the values
    of the standard are accepted in it. `refuses_zero_db`: a report of 0 dB in every group is ignored as a defect.
    `discovery_after`: s from the link to the first SDP request of its emulator.
    """

    run_id: bytes | None = None
    run_id_of_mac: bool = False
    sound_random: bytes | None = None
    parm_copies: int = 1
    parm_gap: float = 0.015
    confirmation_within: float | None = None
    strict_parameters: bool = False
    start_after: float = 0.02
    batch_interval: float = timers.BATCH_INTERVAL
    match_after: float = 0.0
    attempt_pause: float = timers.MATCHING_RATE
    refuses_zero_db: bool = False
    discovery_after: float = 0.0


@frozen
class EvseBehaviour:
    """Behaviour of an EVSE.

    `restart_instead_of_fail`: a process that a vehicle aborts leads back to waiting. `time_out_required`: other values
    of TIME_OUT in CM_START_ATTEN_CHAR.IND are ignored. `report_after`: s from the last expected profile to the report;
    with `report_by_timer` from each profile, whatever their number. `one_db_without_profiles`: reports 1 dB where the
    modem gives no profile (a bench with AR7420, one vehicle only: every vehicle in range would choose it).
    `vendor_profiles`: profiles of Qualcomm's own message count. `fixed_nid`: instead of the one of the NMK.
    """

    restart_instead_of_fail: bool = True
    start_within: float = timers.MATCH_SEQUENCE
    time_out_required: int | None = None
    report_after: float = timers.SOUND_GRACE
    report_by_timer: bool = False
    report_minus_db: int = 0
    one_db_without_profiles: bool = False
    vendor_profiles: bool = False
    fixed_nid: bytes | None = None


EV_PROFILES: dict[str, EvBehaviour] = {
    "standard": EvBehaviour(),
    "tesla": EvBehaviour(run_id=b"TESLA EV", discovery_after=0.5),
    "ioniq": EvBehaviour(
        run_id_of_mac=True,
        sound_random=b"\xff" * 16,
        parm_copies=2,
        start_after=0.2,
        match_after=0.85,
        refuses_zero_db=True,
        discovery_after=4.1,
    ),
    "vw-meb": EvBehaviour(batch_interval=0.04, match_after=0.005, discovery_after=3.0),
    "taycan": EvBehaviour(confirmation_within=0.06, attempt_pause=40.0),
    "stellantis": EvBehaviour(attempt_pause=0.05),
    "big-name": EvBehaviour(strict_parameters=True),
}
EVSE_PROFILES: dict[str, EvseBehaviour] = {
    "standard": EvseBehaviour(),
    "alpitronic": EvseBehaviour(start_within=1.0, report_after=0.02),
    "abb": EvseBehaviour(start_within=1.0, report_by_timer=True, report_after=0.6),
    "compleo": EvseBehaviour(time_out_required=timers.SOUND_TIME, start_within=0.25, report_after=0.2),
    "supercharger": EvseBehaviour(start_within=0.25, report_minus_db=1),
    "pyplc": EvseBehaviour(one_db_without_profiles=True, fixed_nid=bytes(range(1, 8))),
    "strict": EvseBehaviour(restart_instead_of_fail=False),
}
