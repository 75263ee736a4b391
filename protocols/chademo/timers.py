"""Times of a session in seconds. C: this side must act within; T: this side ends the wait after.

Sources: open implementations and public logs of 24 and 40 kWh LEAFs; the values of the logs are in brackets.
"""

from __future__ import annotations

CYCLE = 0.1  # every frame, both sides
FRAME_LOSS = 1.0  # T: without frames of the peer while power can flow (drafts of guides: 2 s)

# charger
FIRST_FRAME = 6.0  # T: d1 on to the first frame of the vehicle
PERMISSION = 8.0  # T: d1 on to permission (k and 102.5.0) [3.4, 3.9]
PERMISSION_SKEW = 0.5  # k and 102.5.0 may differ for so long
D2_AFTER_PERMISSION = 20.0  # C: permission to d2 [8.2, 13.4]
CONTACTORS_CLOSED = 4.0  # T: d2 on to 102.5.3 = 0 [1 to 2]
VOLTAGE_AFTER_CLOSED = 1.0  # C: contactors closed to the voltage of the battery on the cable
FIRST_REQUEST = 4.0  # T: contactors closed to the first request [1.7]
CURRENT_OFF = 2.0  # T: stop to at most 5 A (C 0.5 s)
CONTACTORS_OPEN = 10.0  # T: 109.5.0 = 0 to 102.5.3 = 1 (C 4 s) [2.4, 2.9]
CONTACTORS_OPEN_UNREPORTED = 4.0  # the same of vehicles before 1.0
D1_AFTER_D2 = 0.5  # d2 off to d1 off
SILENT_AFTER_RELEASE = 0.5  # lock bit cleared to the last frame
SUSTAINED = 1.0  # a voltage out of range becomes an error after
NO_CURRENT = 0.15  # T: voltage above the target without the requested current [0.2]
KEEP_ALIVE = 60.0  # without current, between two reports of 1 A

# vehicle
CHARGER_FRAMES = 5.0  # T: first frame to the first frame of the charger
D2_AWAITED = 22.0  # T: permission to d2 (C of the charger and a margin, assumed)
CABLE_WITHOUT_VOLTAGE = 4.0  # T: d2 to a cable below 20 V, before contactors close
POWER_AWAITED = 4.0  # T: first request to 109.5.0 = 1 (C 0.5 s)
CHARGER_OFF = 2.5  # T: stop to at most 5 A and 109.5.0 = 0
DEVIATION = 5.0  # T: request and current differ
DEVIATION_GRACE = 10.0  # after the start of power: deviation of voltages is not checked
VOLTAGE_DEVIATION = 0.5  # T: five frames
WELD_FALL = 1.0  # C: contactors open to 25 % of the voltage

# electrical limits
RAMP_A_PER_S = 20.0  # of requests
LOW_CURRENT_A = 5.0  # contactors may open
DIRECTION_A = 1.0  # the current counts as zero for a change of direction
SAFE_V = 10.0  # at the cable before the lock opens
CLOSE_BELOW_V = 20.0  # at the cable before contactors close
BATTERY_SEEN_V = 50.0  # at the cable with closed contactors
INSULATION_OHM_PER_V = 100.0
