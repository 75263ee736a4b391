"""Control of each EVSE: what it reported, its set-point, and the task that keeps the station at it."""
