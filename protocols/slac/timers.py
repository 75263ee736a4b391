"""Timers and constants of ISO 15118-3 Annex A, in seconds. Names of the standard are beside them."""

from __future__ import annotations

SLAC_INIT = 40.0  # TT_EVSE_SLAC_init, 20 to 50 s: from state B to the first CM_SLAC_PARM.REQ
MATCH_SEQUENCE = 0.4  # TT_match_sequence: until the next request of the peer
MATCH_RESPONSE = 0.2  # TT_match_response: request to confirmation, indication to response
MATCH_RETRIES = 2  # C_EV_match_retry
START_INDICATIONS = 3  # C_EV_start_atten_char_inds
SOUNDS = 10  # C_EV_match_MNBC
BATCH_INTERVAL = 0.02  # TP_EV_batch_msg_interval, 20 to 50 ms
SOUND_UNIT = 0.1  # unit of the field TIME_OUT
SOUND_TIME = 6  # TT_EVSE_match_MNBC in that unit: 600 ms from the first CM_START_ATTEN_CHAR.IND
SOUND_GRACE = 0.045  # after the last expected profile, for late ones
ATTENUATION_RESULTS = 1.2  # TT_EV_atten_results: from the first CM_START_ATTEN_CHAR.IND
MATCH_SESSION = 10.0  # TT_EVSE_match_session: from CM_ATTEN_CHAR.RSP to CM_VALIDATE.REQ or CM_SLAC_MATCH.REQ
MATCH_JOIN = 12.0  # TT_match_join: from CM_SLAC_MATCH.CNF to the link
AMPLITUDE_MAP = 0.2  # TT_amp_map_exchange
MATCHING_RATE = 0.4  # TT_matching_rate: between two attempts of a vehicle
MATCHING_REPETITION = 10.0  # TT_matching_repetition: for all attempts
FEWEST_ATTEMPTS = 3  # C_conn_max_match
VALIDATION_TOGGLES = 3.5  # TT_EVSE_vald_toggle
VALIDATION_REPEAT, VALIDATION_REPEATS = 0.4, 2  # of the confirmation of step 1
KEY_CONFIRMATION = 1.0  # CM_SET_KEY.REQ to CNF; QCA is sometimes slow
KEY_ATTEMPTS = 4  # QCA7005 refuses right after a matching
POLL_JOINING, POLL_MATCHED = 0.1, 1.0  # of the link status
LOST_AFTER_POLLS = 3  # consecutive polls without a link
MOST_SOUNDS = 50  # that a vehicle sends for a peer that requests more
