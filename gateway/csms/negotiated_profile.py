"""Profiles for a vehicle that states its needs, or negotiates anew: the set-point in force in the mode it agreed on."""

from __future__ import annotations

from gateway.csms import setpoint
from gateway.csms.evse import Evse
from gateway.csms.station import Station
from gateway.model.station import Answer

REPEATED_VALID_FOR_S = 60.0  # of the 0 W for a vehicle that negotiates while no set-point is in force


async def repeat(station: Station, evse: Evse) -> None:
    """Send the set-point in force again, for a vehicle that negotiates anew; its validity is not extended.

    A call that was delayed reaches the station with too long a validity, so another one with the rest follows.
    """
    clock, late = station.context.clock, True
    while late:
        async with evse.lock:  # an order on its way is the one in force
            began = clock.now()
            power_w, until = evse.setpoint or (0.0, began)
            if began >= until:
                await setpoint.send(station, evse, 0.0, REPEATED_VALID_FOR_S)
                return
            outcome = await setpoint.send(station, evse, power_w, until - began)
            if outcome.answer is not Answer.REFUSED:
                evse.setpoint = power_w, until
            delayed = clock.now() - began > setpoint.PROMPT_S
            late = delayed and outcome.answer is not Answer.REFUSED and station.connected


async def initialise(station: Station, evse: Evse) -> None:
    """Send the profiles for a vehicle's needs: the fallback profile, and whatever was before one in the mode it agreed
    on (Q01.FR.07, Q02.FR.01), with the set-point in force for the rest of its validity."""
    async with evse.lock:
        transaction = station.context.transactions.active_at(station.id, evse.number)
        if transaction is None or not station.connected:
            return
        await setpoint.install_fallback(station, evse)
        now = station.context.clock.now()
        power_w, until = evse.setpoint or (0.0, now)
        in_force = until > now and evse.fallback.installed  # without one nothing ends a power
        duration = setpoint.duration_of(evse, until - now) if in_force else None
        if not in_force:
            power_w = 0.0 if evse.bidirectional else setpoint.fallback_limit_w(station)
        power_w = power_w if evse.bidirectional else max(0.0, power_w)
        await setpoint.install(station, evse, transaction, power_w, duration)
        late = power_w != 0 and in_force and station.context.clock.now() - now > setpoint.PROMPT_S
    if late:
        await repeat(station, evse)  # with the rest of its validity
