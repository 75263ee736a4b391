# ruff: noqa: T201, ASYNC110  (a program of its own, written for the peer's interpreter)
"""Josev's SECC with a charger of plausible figures behind it. Runs in the peer's own interpreter: it imports
`iso15118`.

`python josev_secc.py INTERFACE FILE`; FILE holds the options of the next session as a JSON object, read with every SDP
request: power_w, protocols, modes, tls_1_3, authorization_polls, terminate_after and renegotiate_after (charge loops).
The peer's simulator answers 10 for everything (10 V, 10 A), which no car accepts, so its values are replaced here; its
engine is untouched."""

import asyncio
import json
import logging
import sys
from pathlib import Path

from iso15118.secc import SECCHandler
from iso15118.secc.controller.interface import AuthorizationResponse
from iso15118.secc.controller.simulator import SimEVSEController, get_evse_context
from iso15118.secc.secc_settings import Config
from iso15118.shared import comm_session
from iso15118.shared.exificient_exi_codec import ExificientEXICodec
from iso15118.shared.messages.datatypes import (
    DCEVSEChargeParameter,
    DCEVSEStatus,
    DCEVSEStatusCode,
    PVEVSEMaxCurrent,
    PVEVSEMaxCurrentLimit,
    PVEVSEMaxPowerLimit,
    PVEVSEMaxVoltageLimit,
    PVEVSEMinCurrentLimit,
    PVEVSEMinVoltageLimit,
    PVEVSENominalVoltage,
    PVEVSEPeakCurrentRipple,
)
from iso15118.shared.messages.datatypes import (
    EVSENotification as OlderNotification,
)
from iso15118.shared.messages.enums import AuthorizationStatus, EnergyTransferModeEnum, Protocol
from iso15118.shared.messages.iso15118_2.datatypes import ACEVSEChargeParameter
from iso15118.shared.messages.iso15118_20.common_types import EVSENotification, EVSEStatus
from iso15118.shared.settings import SettingKey, shared_settings
from josev_timeouts import impatient

VOLTAGE = 380.0
MAX_A, MAX_V, PHASE_A, PHASE_V = 28, 500, 16, 230
PROTOCOLS = ["ISO_15118_20_AC", "ISO_15118_20_DC", "ISO_15118_2", "DIN_SPEC_70121"]
MODES = ["DC_extended", "DC_core", "DC_combo_core", "AC_three_phase_core", "AC_single_phase_core"]


class Charger(SimEVSEController):
    """11 kW both ways, 150..500 V, 28 A; the current follows from `power_w`, or from the car where it requests one."""

    def __init__(self):
        super().__init__()
        self.options, self.loops, self.polls = {}, 0, 0
        self.prepare({})

    def prepare(self, options):
        """Begin a session with these options."""
        self.options, self.loops = options, 0
        self.polls = options.get("authorization_polls", 0)
        power = self.power = options.get("power_w", 0.0)
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
            "max_charge_power": 11000 if power >= 0 else 0,
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
        data.present_active_power = power / 3
        data.present_active_power_l2 = data.present_active_power_l3 = power / 3
        self.evse_data_context = data

    async def get_supported_energy_transfer_modes(self, protocol):
        modes = self.options.get("modes", MODES)
        return [EnergyTransferModeEnum(one) for one in modes[: 1 if protocol == Protocol.DIN_SPEC_70121 else None]]

    async def get_dc_charge_parameters(self):
        return DCEVSEChargeParameter(
            dc_evse_status=await self.get_dc_evse_status(),
            evse_maximum_power_limit=await self.get_evse_max_power_limit(),
            evse_maximum_current_limit=PVEVSEMaxCurrentLimit(multiplier=0, value=MAX_A, unit="A"),
            evse_maximum_voltage_limit=await self.get_evse_max_voltage_limit(),
            evse_minimum_current_limit=PVEVSEMinCurrentLimit(multiplier=0, value=0, unit="A"),
            evse_minimum_voltage_limit=PVEVSEMinVoltageLimit(multiplier=0, value=150, unit="V"),
            evse_peak_current_ripple=PVEVSEPeakCurrentRipple(multiplier=-1, value=5, unit="A"),
        )

    async def get_evse_max_power_limit(self):
        return PVEVSEMaxPowerLimit(multiplier=0, value=11000, unit="W")

    async def get_evse_max_voltage_limit(self):
        return PVEVSEMaxVoltageLimit(multiplier=0, value=MAX_V, unit="V")

    async def get_evse_max_current_limit(self):
        if self.ev_data_context.selected_energy_mode.value.startswith("AC"):
            return PVEVSEMaxCurrent(multiplier=0, value=PHASE_A, unit="A")
        return PVEVSEMaxCurrentLimit(multiplier=0, value=MAX_A, unit="A")

    async def get_ac_charge_params_v2(self):
        return ACEVSEChargeParameter(
            ac_evse_status=await self.get_ac_evse_status(),
            evse_nominal_voltage=PVEVSENominalVoltage(multiplier=0, value=PHASE_V, unit="V"),
            evse_max_current=PVEVSEMaxCurrent(multiplier=0, value=PHASE_A, unit="A"),
        )

    async def start_cable_check(self):
        self.evse_data_context.present_current = 0  # contactors are open, also after a renegotiation

    def notification(self):
        """Return the notification of ISO 15118-2 after this number of loops."""
        if self.options.get("terminate_after") and self.loops > self.options["terminate_after"]:
            return OlderNotification.STOP_CHARGING
        if self.loops == self.options.get("renegotiate_after"):
            del self.options["renegotiate_after"]
            return OlderNotification.RE_NEGOTIATION
        return OlderNotification.NONE

    async def get_ac_evse_status(self):
        status = await super().get_ac_evse_status()
        self.loops += 1
        status.evse_notification = self.notification()
        return status

    async def get_dc_evse_status(self) -> DCEVSEStatus:
        status = await super().get_dc_evse_status()
        status.evse_notification = self.notification()
        stopped = status.evse_notification == OlderNotification.STOP_CHARGING
        if stopped and self.get_selected_protocol() == Protocol.DIN_SPEC_70121:
            status.evse_status_code = DCEVSEStatusCode.EVSE_SHUTDOWN
        return status

    async def is_authorized(self, *args, **kwargs) -> AuthorizationResponse:
        answer = await super().is_authorized(*args, **kwargs)
        if self.polls > 0:
            self.polls -= 1
            answer.authorization_status = AuthorizationStatus.ONGOING
        return answer

    async def send_charging_command(self, *args, **kwargs) -> None:
        target_current = args[1] if len(args) > 1 else None
        self.loops += not kwargs.get("is_precharge", False)
        if kwargs.get("is_precharge") and args[0]:
            self.evse_data_context.present_voltage = args[0]
        self.evse_data_context.present_current = (
            self.power / VOLTAGE if target_current is None else min(target_current, MAX_A)
        )

    async def stop_charger(self) -> None:
        await super().stop_charger()
        self.evse_data_context.present_voltage = self.evse_data_context.present_current = 0

    async def get_evse_status(self):
        if not self.loops:
            self.loops = 1
        self.loops += 1
        if self.options.get("terminate_after") and self.loops > self.options["terminate_after"]:
            return EVSEStatus(notification_max_delay=5, evse_notification=EVSENotification.TERMINATE)
        return None

    async def get_ac_charge_loop_params_v20(self, control_mode, selected_service):
        """The peer's engine takes the set-point from the session's limits: one direction at a time."""
        limits = self.evse_data_context.session_limits.ac_limits
        for name in vars(limits):
            share = self.power / 3 if "max_charge_power" in name else -self.power / 3
            setattr(limits, name, 0 if "reactive" in name else max(share, 0))
        return await super().get_ac_charge_loop_params_v20(control_mode, selected_service)

    async def session_ended(self, current_state: str, reason: str):
        print(f"SESSION ENDED {current_state}: {reason}", flush=True)


class Handler(SECCHandler):
    """Reads the options of the session that an SDP request begins."""

    def __init__(self, file, **given):
        super().__init__(**given)
        self.file = file

    async def process_sdp_request(self, sdp_request):
        options = json.loads(self.file.read_text())
        self.evse_controller.prepare(options)
        self.config.supported_protocols = [Protocol[name] for name in options.get("protocols", PROTOCOLS)]
        shared_settings[SettingKey.ENABLE_TLS_1_3] = options.get("tls_1_3", False)
        return await super().process_sdp_request(sdp_request)


async def main():
    config = Config()
    config.load_envs()
    config.iface, file = sys.argv[1], Path(sys.argv[2])
    handler = Handler(file, exi_codec=ExificientEXICodec(), evse_controller=Charger(), config=config)
    task = asyncio.create_task(handler.start(config.iface))
    while handler.udp_server is None or not handler.udp_server.started:
        await asyncio.sleep(0.05)
    print("READY", flush=True)
    await task


if __name__ == "__main__":
    impatient(comm_session)
    logging.getLogger().setLevel(logging.INFO)
    asyncio.run(main())
