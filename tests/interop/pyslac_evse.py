"""EVSE of the PyPI package pyslac for one matching. Runs in the environment of pyslac.

Argument: network interface. Prints READY when the modem has its key, then RESULT with the key when a vehicle matched.
"""

import asyncio
import logging
import sys

from pyslac import session
from pyslac.environment import Config
from pyslac.session import STATE_MATCHED, SlacEvseSession, SlacSessionController

session.SLAC_SETTLE_TIME = 0.3  # s for a modem, 10 in the package


async def main(interface):
    config = Config()
    config.load_envs("/nonexistent")
    logging.disable(logging.DEBUG)
    evse = SlacEvseSession("DE*ABC*E1", interface, config)
    await evse.evse_set_key()
    controller = SlacSessionController()
    await controller.process_cp_state(evse, "B")
    sys.stdout.write("READY\n")
    sys.stdout.flush()
    while evse.state != STATE_MATCHED:  # noqa: ASYNC110  # the package reports it nowhere else
        await asyncio.sleep(0.05)
    sys.stdout.write(f"RESULT {evse.nid.hex()} {evse.pev_mac.hex()} {evse.num_total_sounds}\n")
    sys.stdout.flush()
    await asyncio.sleep(20)


asyncio.run(main(sys.argv[1]))
