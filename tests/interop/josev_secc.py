# ruff: noqa: T201, ASYNC110  (a program of its own, written for the peer's interpreter)
"""Josev's SECC with a charger of plausible figures behind it. Runs in the peer's own interpreter: it imports
`iso15118`.

`python josev_secc.py '{"interface": .., "power_w": -5000, "port": 0, "tls": false, ..}'`; the peer's simulator
answers 10 for everything (10 V, 10 A), which no car accepts, so its values are replaced here; its engine is
untouched."""

import asyncio
import json
import logging
import sys

from iso15118.secc import SECCHandler
from iso15118.secc.controller.interface import AuthorizationResponse
from iso15118.secc.controller.simulator import SimEVSEController, get_evse_context
from iso15118.secc.secc_settings import Config
from iso15118.shared import comm_session
from iso15118.shared.exificient_exi_codec import ExificientEXICodec
from iso15118.shared.messages.enums import AuthorizationStatus
from iso15118.shared.messages.iso15118_20.common_types import EVSENotification, EVSEStatus
from josev_timeouts import impatient

OPTIONS = json.loads(sys.argv[1])
VOLTAGE = OPTIONS.get("voltage_v", 380.0)
POWER = OPTIONS.get("power_w", 0.0)


class Charger(SimEVSEController):
    """11 kW both ways, 150..500 V; the current follows from `power_w`."""

    def __init__(self):
        super().__init__()
        data = get_evse_context()
        dc, ac = data.rated_limits.dc_limits, data.rated_limits.ac_limits
        for name, value in {
            "max_charge_power": 11000,
            "min_charge_power": 0,
            "max_charge_current": 40,
            "min_charge_current": 0,
            "max_voltage": 500,
            "min_voltage": 150,
            "max_discharge_power": 11000,
            "min_discharge_power": 0,
            "max_discharge_current": 40,
            "min_discharge_current": 0,
        }.items():
            setattr(dc, name, value)
        for name, value in vars(ac).items():
            if value is not None:
                setattr(ac, name, 3700 if "max" in name else 0)
        loop_dc, loop_ac = data.session_limits.dc_limits, data.session_limits.ac_limits
        for name, value in {
            "max_charge_power": 11000 if POWER >= 0 else 0,
            "min_charge_power": 0,
            "max_charge_current": 40,
            "max_voltage": 500,
            "max_discharge_power": 11000,
            "min_discharge_power": 0,
            "max_discharge_current": 40,
            "min_voltage": 150,
        }.items():
            setattr(loop_dc, name, value)
        for name, value in vars(loop_ac).items():
            if value is not None:
                setattr(loop_ac, name, 3700)
        data.nominal_voltage, data.nominal_frequency = 230, 50
        data.present_voltage, data.present_current = VOLTAGE, 0
        data.present_active_power = POWER / 3
        data.present_active_power_l2 = data.present_active_power_l3 = POWER / 3
        self.evse_data_context = data
        self.loops = 0
        self.polls = OPTIONS.get("authorization_polls", 0)

    async def is_authorized(self, *args, **kwargs) -> AuthorizationResponse:
        answer = await super().is_authorized(*args, **kwargs)
        if self.polls > 0:
            self.polls -= 1
            answer.authorization_status = AuthorizationStatus.ONGOING
        return answer

    async def send_charging_command(self, *args, **kwargs) -> None:
        self.loops += 1
        target_current = args[1] if len(args) > 1 else None
        self.evse_data_context.present_current = POWER / VOLTAGE if target_current is None else target_current

    async def get_evse_status(self):
        if not self.loops:
            self.loops = 1
        self.loops += 1
        if OPTIONS.get("terminate_after") and self.loops > OPTIONS["terminate_after"]:
            return EVSEStatus(notification_max_delay=5, evse_notification=EVSENotification.TERMINATE)
        return None

    async def get_ac_charge_loop_params_v20(self, control_mode, selected_service):
        """The peer's engine takes the set-point from the session's limits: one direction at a time."""
        limits = self.evse_data_context.session_limits.ac_limits
        for name in vars(limits):
            share = POWER / 3 if "max_charge_power" in name else -POWER / 3
            setattr(limits, name, 0 if "reactive" in name else max(share, 0))
        return await super().get_ac_charge_loop_params_v20(control_mode, selected_service)

    async def session_ended(self, current_state: str, reason: str):
        print(f"SESSION ENDED {current_state}: {reason}", flush=True)
        self.loops = 0
        self.polls = OPTIONS.get("authorization_polls", 0)


async def main():
    config = Config()
    config.load_envs()
    config.iface = OPTIONS["interface"]
    handler = SECCHandler(exi_codec=ExificientEXICodec(), evse_controller=Charger(), config=config)
    if not OPTIONS.get("port"):
        task = asyncio.create_task(handler.start(config.iface))
        while handler.udp_server is None or not handler.udp_server.started:
            await asyncio.sleep(0.05)
        print("READY", flush=True)
        await task
        return
    task = asyncio.create_task(handler.start(config.iface, start_udp_server=False))
    while handler.tcp_server is None:
        await asyncio.sleep(0.05)
    handler.tcp_server.port = OPTIONS["port"]
    while True:  # the peer closes its server after every session
        await handler.start_tcp_server(bool(OPTIONS.get("tls")))
        print(f"READY [{handler.tcp_server.ipv6_address_host}%{config.iface}]:{handler.tcp_server.port}", flush=True)
        while handler.tcp_server_handler is not None:
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    impatient(comm_session)
    logging.getLogger().setLevel(logging.INFO)
    asyncio.run(main())
