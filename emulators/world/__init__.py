"""A whole world in one process: the real gateway, emulated stations, cars, a site and its controller.

`simulate` runs a scenario file and judges it; `World` is for those who want to reach into it while it runs. The parts
are joined in memory (virtual time, the same words for the same seed) or over real sockets (`Sockets`). The rooms here:

    world.py        the parts, and how they live        building.py    stations, cars and settings from the scenario
    happenings.py   visits, commands, inputs, faults    process.py     the gateway's process: it starts, is killed
    network.py      joined in memory                    sockets.py     joined by TCP, WebSocket and MQTT
    running.py      from a scenario to an outcome       charging_port.py   where a SECC is found over sockets
"""

from emulators.world.network import MemoryTransports
from emulators.world.run import Outcome, live, simulate
from emulators.world.sockets import Sockets
from emulators.world.world import World

__all__ = ["MemoryTransports", "Outcome", "Sockets", "World", "live", "simulate"]
