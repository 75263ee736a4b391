"""A whole site in one process: the gateway, emulated stations, vehicles, electrical installation and facility.

`simulate` runs a scenario file and judges the result; `World` is for tests that act on the parts while it runs. The
parts are connected in memory (virtual time, a reproducible transcript for a seed) or over real sockets (`Sockets`).

    world.py, emulated_site.py   the parts, and their operation from start to end
    builders/                    stations, vehicles, site and gateway configuration from the scenario
    timeline.py                  visits, commands, inputs and faults of the scenario
    network.py, sockets.py       connections in memory; over TCP, WebSocket and MQTT
    run.py, recording.py         from a scenario to its result; what is recorded
    report/                      HTML page, JUnit
    fast_forward.py              skipping of charge loops that only repeat
    multi_site.py                several sites and the vehicles deployed between them
"""

from emulators.world.network import Transports
from emulators.world.run import LiveCommands, SimulationResult, run_world, simulate
from emulators.world.sockets import Sockets
from emulators.world.world import World

__all__ = ["LiveCommands", "SimulationResult", "Sockets", "Transports", "World", "run_world", "simulate"]
