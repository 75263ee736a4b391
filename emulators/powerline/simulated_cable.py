"""A cable in memory: the plugs of an EVSE and of a vehicle whose control pilots it connects, on a `Powerline`."""

from __future__ import annotations

from dataclasses import dataclass

from emulators.powerline.medium import Powerline, Station
from emulators.powerline.modem import MODEM_PROFILES, ModemProfile
from protocols.iec61851 import OutputKind, PlugIn, Unplug
from protocols.slac.plug import EvPlug, EvsePlug

CABLE_DB = 8  # mean attenuation between the two modems of one cable


@dataclass(eq=False, slots=True)
class Cable:
    """A vehicle at an EVSE, connected as soon as the powerline runs."""

    line: Powerline
    evse: EvsePlug
    ev: EvPlug
    evse_station: Station
    ev_station: Station

    def couple(self, now: float) -> None:
        """Carry the control pilot both ways."""
        self.ev_station.events.extend((now, event) for event in self.ev.measured(self.evse.output, now))
        if self.evse.output.kind not in (OutputKind.E, OutputKind.F):  # of those a board measures its own voltage
            self.evse_station.events.extend((now, event) for event in self.evse.measured(self.ev.state, now))

    def plug_in(self) -> None:
        """Insert the plug."""
        self.ev.command(PlugIn(), self.line.now)

    def unplug(self) -> None:
        """Remove the plug."""
        self.ev.command(Unplug(), self.line.now)


def add_cable(
    line: Powerline,
    name: str,
    evse: EvsePlug,
    ev: EvPlug,
    *,
    cable_db: int = CABLE_DB,
    evse_modem: ModemProfile = MODEM_PROFILES["qca7000"],
    ev_modem: ModemProfile = MODEM_PROFILES["qca7000"],
) -> Cable:
    """Add an EVSE and its vehicle, as stations `evse-NAME` and `ev-NAME`."""
    evse_station = line.add(f"evse-{name}", evse, evse_modem)
    ev_station = line.add(f"ev-{name}", ev, ev_modem)
    line.attenuate(evse_station.name, ev_station.name, cable_db)
    cable = Cable(line, evse, ev, evse_station, ev_station)
    line.couple.append(cable.couple)
    return cable
