"""EVSEs and vehicles on one powerline in memory, built for a test from few numbers."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

from emulators.powerline.medium import Disturbance, Powerline, undisturbed
from emulators.powerline.modem import MODEM_PROFILES
from emulators.powerline.simulated_cable import CABLE_DB, Cable, add_cable
from protocols.slac.behaviour import EV_PROFILES, EVSE_PROFILES
from protocols.slac.events import Matched
from protocols.slac.modem import ModemSettings
from protocols.slac.plug import EvPlug, EvsePlug
from protocols.slac.settings import EvseSettings, EvSettings, EvValidation, Validation

STARTED_AFTER = 3.0  # s until every modem has its key


def evse_mac(number: int) -> bytes:
    """Return the address of the host of an EVSE."""
    return bytes((2, 0, 0, 0, 0, number))


def ev_mac(number: int) -> bytes:
    """Return the address of the host of a vehicle."""
    return bytes((2, 0, 0, 0, 1, number))


def site(
    count: int = 1,
    *,
    seed: int = 1,
    disturbance: Disturbance = undisturbed,
    cable_db: Sequence[int] = (CABLE_DB,),
    cross_db: int = 40,
    ev: str = "standard",
    evse: str = "standard",
    evse_modem: str = "qca7000",
    ev_modem: str = "qca7000",
    validation: EvValidation = EvValidation.NEVER,
    validated: Validation = Validation.TOGGLES,
    silent: Collection[int] = (),
) -> tuple[Powerline, list[Cable]]:
    """Return a powerline with `count` bays after `STARTED_AFTER`; no vehicle is plugged in.

    Vehicles whose number is in `silent` have no SLAC.
    """
    chance = random.Random(seed)
    line = Powerline(disturbance)
    cables = []
    for number in range(1, count + 1):
        evse_settings = EvseSettings(
            evse_mac(number), settings_of(evse_modem), EVSE_PROFILES[evse], validation=validated
        )
        ev_settings = EvSettings(ev_mac(number), settings_of(ev_modem), EV_PROFILES[ev], validation)
        cables.append(
            add_cable(
                line,
                f"{number}",
                EvsePlug(evse_settings, line.now, entropy=chance.randbytes),
                EvPlug(ev_settings, line.now, digital=number not in silent, entropy=chance.randbytes),
                cable_db=cable_db[(number - 1) % len(cable_db)],
                evse_modem=MODEM_PROFILES[evse_modem],
                ev_modem=MODEM_PROFILES[ev_modem],
            )
        )
    for one in line.stations:
        for other in line.stations:
            if one.name.partition("-")[2] != other.name.partition("-")[2]:
                line.attenuate(one.name, other.name, cross_db)
    line.run(STARTED_AFTER)
    return line, cables


def settings_of(modem: str) -> ModemSettings:
    """Return the settings for an emulated modem."""
    return ModemSettings(vendor=MODEM_PROFILES[modem].vendor)


def matched(cable: Cable) -> bool:
    """Return True if both ends of a cable report that they are matched with each other."""
    ends = (cable.evse.slac.settings.host, cable.ev.slac.settings.host)
    both = [station.reported(Matched)[-1:] for station in (cable.evse_station, cable.ev_station)]
    return all(bool(one) and isinstance(one[0], Matched) and (one[0].evse, one[0].vehicle) == ends for one in both)
