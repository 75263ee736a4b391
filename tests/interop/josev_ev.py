# ruff: noqa: T201  (a program of its own, written for the peer's interpreter)
"""Josev's EVCC with a car of plausible figures. Runs in the peer's own interpreter: it imports `iso15118`.

`python josev_ev.py` reads one session a line, such as `{"name": .., "interface": .., "service": "DC_BPT", "control": 2,
"connect": ["fe80::1", 50000]}` or `{.., "protocols": ["ISO_15118_2"], "mode": "DC_core", "evccid": "02.."}`, runs it
and prints `RESULT name PROTOCOL ok` or `RESULT name PROTOCOL failed: why`. The peer's simulator states 20,000 V and a
dead band of 300 kW and continues after five pre-charge polls at any voltage, so its values are replaced here; its
engine is untouched."""

import asyncio
import json
import sys
from ipaddress import IPv6Address

from iso15118.evcc import EVCCHandler, evcc_settings
from iso15118.evcc.controller.simulator import SimEVController
from iso15118.evcc.evcc_config import EVCCConfig
from iso15118.shared import comm_session
from iso15118.shared.exificient_exi_codec import ExificientEXICodec
from iso15118.shared.messages.datatypes import (
    DCEVChargeParams,
    PVEAmount,
    PVEVEnergyCapacity,
    PVEVMaxCurrent,
    PVEVMaxCurrentLimit,
    PVEVMaxPowerLimit,
    PVEVMaxVoltage,
    PVEVMaxVoltageLimit,
    PVEVMinCurrent,
    PVEVTargetCurrent,
    PVEVTargetVoltage,
)
from iso15118.shared.messages.enums import Protocol
from iso15118.shared.messages.iso15118_20.common_types import RationalNumber
from iso15118.shared.notifications import ReceiveTimeoutNotification, StopNotification, UDPPacketNotification
from iso15118.shared.settings import SettingKey, load_shared_settings, shared_settings
from josev_timeouts import impatient

SESSION_WITHIN = 30.0  # s
VOLTAGE, TOLERANCE = 380, 20  # V
TRIES = 3  # its codec is slower than its own timers on a busy machine
OPTIONS = {}  # of the session that runs
OUTCOME = []


def rn(value: float) -> RationalNumber:
    return RationalNumber.get_rational_repr(value)


class Car(SimEVController):
    """A 380 V car that takes 50 kW and gives 10 kW, in the middle of its energy window."""

    def __init__(self, config):
        super().__init__(config)
        self.dc_ev_charge_params = DCEVChargeParams(
            dc_max_current_limit=PVEVMaxCurrentLimit(multiplier=0, value=125, unit="A"),
            dc_max_power_limit=PVEVMaxPowerLimit(multiplier=1, value=5000, unit="W"),
            dc_max_voltage_limit=PVEVMaxVoltageLimit(multiplier=0, value=420, unit="V"),
            dc_energy_capacity=PVEVEnergyCapacity(multiplier=1, value=6000, unit="Wh"),
            dc_target_current=PVEVTargetCurrent(multiplier=0, value=20, unit="A"),
            dc_target_voltage=PVEVTargetVoltage(multiplier=0, value=VOLTAGE, unit="V"),
        )

    async def get_evcc_id(self, protocol, iface):
        given = await super().get_evcc_id(protocol, iface)
        return OPTIONS["name"] if given.startswith("WMI") else OPTIONS.get("evccid", given)  # -20 and the others

    async def get_charge_params_v2(self, protocol):
        params = await super().get_charge_params_v2(protocol)
        if params.ac_parameters is not None:
            params.ac_parameters.e_amount = PVEAmount(multiplier=1, value=2000, unit="Wh")
            params.ac_parameters.ev_max_voltage = PVEVMaxVoltage(multiplier=0, value=230, unit="V")
            params.ac_parameters.ev_max_current = PVEVMaxCurrent(multiplier=0, value=32, unit="A")
            params.ac_parameters.ev_min_current = PVEVMinCurrent(multiplier=0, value=6, unit="A")
        return params

    async def is_precharged(self, present_voltage_evse):
        return abs(float(present_voltage_evse.get_decimal_value()) - VOLTAGE) <= TOLERANCE

    async def select_energy_service_v20(self, services):
        selected = await super().select_energy_service_v20(services)
        for parameter_set in services[0].parameter_sets:
            values = {one.name: one.int_value for one in parameter_set.parameters}
            if values.get("ControlMode") == OPTIONS.get("control", 2):
                selected.parameter_set = parameter_set
                break
        return selected

    async def get_charge_params_v20(self, selected_service):
        params = await super().get_charge_params_v20(selected_service)
        for name, value in {
            "ev_max_voltage": 420,
            "ev_min_voltage": 270,
            "ev_min_charge_current": 0,
            "ev_max_discharge_power": 10000,
            "ev_min_discharge_power": 100,
            "ev_max_discharge_current": 30,
        }.items():
            if hasattr(params, name):
                setattr(params, name, rn(value))
        return params

    async def get_dynamic_se_params(self, selected_energy_service):
        params = await super().get_dynamic_se_params(selected_energy_service)
        params.ev_target_energy_request = rn(5000)
        params.ev_max_energy_request = rn(20000)
        params.ev_min_energy_request = rn(-20000)
        for name, value in {"ev_max_v2x_energy_request": 15000, "ev_min_v2x_energy_request": -15000}.items():
            if getattr(params, name, None) is not None:
                setattr(params, name, rn(value))
        return params

    async def get_scheduled_dc_charge_loop_params(self):
        params = await super().get_scheduled_dc_charge_loop_params()
        params.ev_target_current, params.ev_target_voltage = rn(10), rn(400)
        return params

    async def get_dynamic_dc_charge_loop_params(self):
        params = await super().get_dynamic_dc_charge_loop_params()
        for name, value in {
            "ev_target_energy_request": 5000,
            "ev_max_energy_request": 20000,
            "ev_min_energy_request": -20000,
            "ev_max_charge_power": 50000,
            "ev_min_charge_power": 100,
            "ev_max_charge_current": 125,
            "ev_max_voltage": 420,
            "ev_min_voltage": 270,
        }.items():
            setattr(params, name, rn(value))
        return params

    async def get_bpt_dynamic_dc_charge_loop_params(self):
        params = await super().get_bpt_dynamic_dc_charge_loop_params()
        params.ev_max_discharge_power = rn(OPTIONS.get("discharge_sign", 1) * 10000)
        params.ev_min_discharge_power = rn(100)
        params.ev_max_discharge_current = rn(OPTIONS.get("discharge_sign", 1) * 30)
        return params

    async def get_ac_charge_loop_params_v20(self, control_mode, selected_service):
        params = await super().get_ac_charge_loop_params_v20(control_mode, selected_service)
        for name, value in {
            "ev_target_energy_request": 3000,
            "ev_present_active_power": 0,
            "ev_present_reactive_power": 0,
            "ev_max_charge_power": 11000,
            "ev_max_discharge_power": 11000,
            "ev_min_discharge_power": 100,
        }.items():
            if getattr(params, name, None) is not None:
                setattr(params, name, rn(value))
        return params

    async def get_present_voltage(self):
        return rn(VOLTAGE)

    async def get_target_voltage(self):
        return rn(VOLTAGE)


class Watched(EVCCHandler):
    """Ends with one session instead of looking for the next."""

    async def get_from_rcv_queue(self, queue):
        while True:
            notification = await queue.get()
            if isinstance(notification, UDPPacketNotification):
                await self.process_incoming_udp_packet(notification)
            elif isinstance(notification, ReceiveTimeoutNotification):
                await self.restart_sdp(False)
            elif isinstance(notification, StopNotification):
                OPTIONS["agreed"] = self.comm_session[0].protocol.name
                OUTCOME.append("ok" if notification.successful else f"failed: {notification.reason}")
                raise Done  # the peer's own waiting for its tasks ends with this, and hides it


class Done(Exception):
    """The session ended; `OUTCOME` is its result."""


async def session(codec):
    evcc_settings.RESUME_SESSION_ID = OPTIONS.get("session_id")
    shared_settings[SettingKey.ENABLE_TLS_1_3] = OPTIONS.get("tls") == "1.3"
    service = OPTIONS.get("service", "DC")
    config = EVCCConfig(
        supportedProtocols=OPTIONS.get("protocols", [f"ISO_15118_20_{service[:2]}"]),
        supportedEnergyServices=[service],
        energyTransferMode=OPTIONS.get("mode", "DC_extended"),
        useTls=bool(OPTIONS.get("tls")),
        enforceTls=bool(OPTIONS.get("tls")),
        chargeLoopCycle=OPTIONS.get("loops", 6),
        sdpRetryCycles=1,
    )
    config.load_raw_values()
    config.supported_protocols = [Protocol[one] for one in config.raw_supported_protocols]  # it loses their order
    handler = Watched(evcc_config=config, iface=OPTIONS["interface"], exi_codec=codec, ev_controller=Car(config))
    if not OPTIONS.get("connect"):
        await handler.start()
        return
    address, port = OPTIONS["connect"]
    await handler.start_comm_session(IPv6Address(address), port, bool(OPTIONS.get("tls")))
    await handler.get_from_rcv_queue(handler._rcv_queue)


async def attempt(codec):
    OUTCOME.clear()
    try:
        await asyncio.wait_for(session(codec), SESSION_WITHIN)
    except Done:
        pass
    except Exception as error:
        OUTCOME.append(f"failed: {type(error).__name__} {error}")
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await asyncio.sleep(0.2)
    return OUTCOME[0] if OUTCOME else "failed: no result"


async def main():
    load_shared_settings()
    codec = ExificientEXICodec()
    print("READY", flush=True)
    for line in iter(sys.stdin.readline, ""):
        result = ""
        for _ in range(TRIES):
            OPTIONS.clear()
            OPTIONS.update(json.loads(line))
            result = await attempt(codec)
            if result == "ok":
                break
            print(f"AGAIN {OPTIONS['name']} {result}", flush=True)
        print(f"RESULT {OPTIONS['name']} {OPTIONS.get('agreed', '-')} {result}", flush=True)


if __name__ == "__main__":
    impatient(comm_session)
    asyncio.run(main())
