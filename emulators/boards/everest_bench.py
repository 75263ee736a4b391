"""Emulated hardware program with EVerest's MQTT API, and the product's driver connected to it by a broker in memory.

Entry point `emulated-everest`. The program serves board support, power supply, isolation monitor and power meter over
the hardware of `charger/hardware/board_hardware.py`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

from emulators.battery.pack import Pack
from emulators.charger.hardware.board_hardware import BoardHardware
from emulators.charger.hardware.dc_output import OutputMode
from emulators.charger.hardware.power_stage import PowerStage, StageSpec
from emulators.runtime.memory_broker import MemoryBroker
from gateway.drivers.board.everest.driver import EverestBoard
from gateway.drivers.board.everest.settings import EverestSettings
from gateway.drivers.board.faults import Part
from gateway.drivers.board.registry import Driver
from protocols.everest_api import READY_BEACON, Address, Kind, decode, encode, members, number, parse
from protocols.ports import Bus, BusMessage, Clock

STEP_S = 0.1
CHECK_S = 2.0  # period of the communication check; 5 s is the longest
METER_S = 1.0
SILENCE_S = 10.0  # of the program: without heartbeat the module is off
MODES = {
    "Off": OutputMode.OFF,
    "Export": OutputMode.CHARGE,
    "Import": OutputMode.DISCHARGE,
}
MODE_NAMES = {
    OutputMode.OFF: "Off",
    OutputMode.CHARGE: "Export",
    OutputMode.DISCHARGE: "Import",
    OutputMode.FORM: "Import",
    OutputMode.FAULT: "Fault",
}


class EverestProgram:
    """Hardware program; `mute` publishes nothing, `garbled` publishes incomplete payloads, `deaf` takes no commands."""

    def __init__(self, hardware: BoardHardware, clock: Clock, ids: dict[Kind, str]) -> None:
        self.hardware, self._clock, self.ids = hardware, clock, ids
        self.mute = self.garbled = self.deaf = False
        self._targets = {"Export": (0.0, 0.0), "Import": (0.0, 0.0)}
        self._shown: dict[str, object] = {}
        self._check_at = self._meter_at = 0.0
        self._bus: Bus | None = None

    async def run(self, bus: Bus) -> None:
        """Serve the API until cancelled."""
        async with bus:  # type: ignore[attr-defined]
            self._bus = bus
            await bus.subscribe("everest_api/1/+/+/e2m/+", 0)
            await bus.subscribe(READY_BEACON, 0)
            listening = asyncio.create_task(self._listen(bus))
            try:
                await self._capabilities()
                while True:
                    await self._step()
                    await self._clock.sleep(STEP_S)
            finally:
                listening.cancel()
                with suppress(asyncio.CancelledError):
                    await listening

    async def restart(self) -> None:
        """Restart: everything is off and discarded, the capabilities are sent again."""
        self._targets = {"Export": (0.0, 0.0), "Import": (0.0, 0.0)}
        self.hardware.output.restart(self._clock.now())
        await self._raise("HardwareFault", raised=True)
        await self._clock.sleep(2.0)
        await self._raise("HardwareFault", raised=False)
        await self._capabilities()

    async def _raise(self, name: str, *, raised: bool) -> None:
        verb = "raise_error" if raised else "clear_error"
        await self._publish(Kind.POWER, verb, {"type": name, "message": "restart"})

    async def _publish(self, kind: Kind, name: str, value: object) -> None:
        if self._bus is None or self.mute or kind not in self.ids:
            return
        payload = encode(value)
        if self.garbled:
            payload = payload[: len(payload) // 2]
        await self._bus.publish(BusMessage(Address(kind, self.ids[kind], False, name).topic, payload))

    async def _listen(self, bus: Bus) -> None:
        async for message in bus.messages():
            if message.topic == READY_BEACON:
                await self._capabilities()
            elif not self.deaf and (address := parse(message.topic)) is not None:
                self._command(address, decode(message.payload), self._clock.now())

    def _command(self, address: Address, value: object, now: float) -> None:
        hardware = self.hardware
        hardware.advance(now)
        match address.name:
            case "heartbeat" if address.kind is Kind.POWER:
                hardware.output.feed(now)
            case "pwm_on":
                hardware.pilot_signal = number(value)
            case "cp_state_X1" | "cp_state_E" | "cp_state_F":
                hardware.pilot_signal = address.name.removeprefix("cp_state_")
            case "allow_power_on":
                hardware.order_contactors(members(value)["allow_power_on"] is True, now)
            case "lock" | "unlock":
                hardware.order_lock(address.name == "lock", now)
            case "export_voltage_current" | "import_voltage_current":
                found = members(value)
                direction = "Export" if address.name.startswith("export") else "Import"
                self._targets[direction] = number(found["voltage_V"]), number(found["current_A"])
            case "mode":
                self._apply(str(members(value)["mode"]), now)
            case "start" | "stop":
                hardware.measuring = address.name == "start"
            case "start_self_test":
                hardware.start_self_test(now)
            case _:
                pass

    def _apply(self, mode: str, now: float) -> None:
        volts, amps = self._targets.get(mode, (0.0, 0.0))
        self.hardware.output.set(MODES[mode], volts, -amps if mode == "Import" else amps, now)

    async def _step(self) -> None:
        now, hardware = self._clock.now(), self.hardware
        hardware.advance(now)
        if now >= self._check_at:
            self._check_at = now + CHECK_S
            for kind in self.ids:
                await self._publish(kind, "communication_check", True)
        await self._changed("event", hardware.pilot_state, Kind.BOARD, {"event": hardware.pilot_state})
        power = "PowerOn" if hardware.closed else "PowerOff"
        await self._changed("power", power, Kind.BOARD, {"event": power}, "event")
        mode = MODE_NAMES[hardware.output.mode]
        await self._publish(Kind.POWER, "mode", mode)
        output = {"voltage_V": hardware.output.voltage_v, "current_A": hardware.output.current_a}
        await self._publish(Kind.POWER, "voltage_current", output)
        if (passed := hardware.self_test_result(now)) is not None:
            await self._publish(Kind.ISOLATION, "self_test_result", passed)
        if now >= self._meter_at:
            self._meter_at = now + METER_S
            await self._measure()

    async def _measure(self) -> None:
        hardware, meter = self.hardware, self.hardware.stage.meter
        if hardware.measuring:
            ohm = min(hardware.isolation_ohm, 1e9)
            await self._publish(Kind.ISOLATION, "isolation_measurement", {"resistance_F_Ohm": ohm})
        values = {
            "timestamp": datetime.fromtimestamp(self._clock.wall(), UTC).isoformat(),
            "energy_Wh_import": {"total": meter.charged_wh},
            "energy_Wh_export": {"total": meter.discharged_wh},
            "power_W": {"total": meter.power_w},
        }
        await self._publish(Kind.METER, "powermeter_values", values)

    async def _changed(self, key: str, value: object, kind: Kind, payload: object, name: str = "") -> None:
        if self._shown.get(key) != value and not self.mute:
            self._shown[key] = value
            await self._publish(kind, name or key, payload)

    async def _capabilities(self) -> None:
        spec = self.hardware.stage.spec
        self._shown.clear()
        await self._publish(
            Kind.POWER,
            "capabilities",
            {
                "bidirectional": True,
                "max_export_voltage_V": spec.max_voltage_v,
                "min_export_voltage_V": spec.min_voltage_v,
                "max_export_current_A": spec.max_current_a,
                "min_export_current_A": 0,
                "max_export_power_W": spec.max_charge_w,
                "max_import_voltage_V": spec.max_voltage_v,
                "min_import_voltage_V": spec.min_voltage_v,
                "max_import_current_A": spec.max_current_a,
                "min_import_current_A": 0,
                "max_import_power_W": spec.max_discharge_w,
                "current_regulation_tolerance_A": 1,
                "peak_current_ripple_A": 0.2,
            },
        )


IDS = {Kind.BOARD: "bsp", Kind.POWER: "ps", Kind.ISOLATION: "imd", Kind.METER: "meter"}
SETTINGS = {"board_support": "bsp", "power_supply": "ps", "isolation_monitor": "imd", "powermeter": "meter"}


class EverestBench:
    """Program, driver and a vehicle."""

    parts = frozenset({Part.POWER})

    def __init__(self, settings: EverestSettings, clock: Clock) -> None:
        self._clock = clock
        self.broker = MemoryBroker()
        self.hardware = BoardHardware(PowerStage(StageSpec(), step_s=0.02), clock.now(), SILENCE_S)
        self.hardware.isolation_ohm = 1e6
        self.program = EverestProgram(self.hardware, clock, IDS)
        chosen = settings.model_copy(update={**SETTINGS, "has_lock": True, "silence_s": SILENCE_S})
        self.board = EverestBoard(chosen, clock, lambda: self.broker.client("gateway"))
        self._restarts: set[asyncio.Task[None]] = set()

    @property
    def current_a(self) -> float:
        self.hardware.advance(self._clock.now())
        return self.hardware.stage.current_a

    @property
    def voltage_v(self) -> float:
        return self.hardware.stage.voltage_v

    @property
    def opened_at_a(self) -> list[float]:
        return self.hardware.opened_at_a

    async def run(self) -> None:
        """Operate program and vehicle."""
        program = asyncio.create_task(self.program.run(self.broker.client("program")))
        try:
            while True:
                if self.hardware.closed and self.hardware.pilot_state == "C":
                    self.hardware.close_vehicle(self._clock.now())
                await self._clock.sleep(STEP_S)
        finally:
            program.cancel()
            with suppress(asyncio.CancelledError):
                await program

    def attach(self) -> float:
        """Connect a vehicle; return its voltage."""
        battery = Pack(soc_start_pct=50.0)
        self.hardware.plug(battery)
        self.hardware.pilot_state = "C"
        return battery.voltage_v

    def detach(self) -> None:
        """Disconnect the vehicle."""
        self.hardware.unplug(self._clock.now())

    def cut(self, part: Part) -> None:
        """Cut the program from the broker."""
        self.program.mute = self.program.deaf = True

    def restore(self, part: Part) -> None:
        """Restore the link."""
        self.program.mute = self.program.deaf = self.program.garbled = False

    def corrupt(self, part: Part) -> None:
        """Let the program publish half payloads."""
        self.program.garbled = True

    def restart(self, part: Part) -> None:
        """Restart the program."""
        task = asyncio.get_running_loop().create_task(self.program.restart())
        self._restarts.add(task)
        task.add_done_callback(self._restarts.discard)


DRIVER = Driver(
    "emulated-everest", EverestSettings, lambda settings, clock: EverestBench(settings, clock).board, EverestBench,
    simulated=True,
)  # fmt: skip
