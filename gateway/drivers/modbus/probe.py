"""One reading of a device, for `v2x doctor`."""

from __future__ import annotations

from gateway.drivers.modbus.device import Client, ModbusDevice
from gateway.drivers.modbus.events import DeviceReady, DeviceSilent, Event, ReadRefused
from protocols.modbus.register import Meaning
from protocols.modbus.register_map import RegisterMap
from protocols.ports import Clock

SHOWN = (Meaning.MANUFACTURER, Meaning.MODEL, Meaning.STATE, Meaning.POWER_W, Meaning.SOC_PCT)


async def probe(product: RegisterMap, client: Client, clock: Clock, within_s: float) -> tuple[bool, str]:
    """Return whether a device answers as its register map states, and what it is or what is wrong. Writes nothing."""
    events: list[Event] = []
    device = ModbusDevice(product.changed(control=()), client, clock, events.append)
    try:
        async with clock.timeout_at(clock.now() + within_s):
            await device.run_until(lambda: any(isinstance(one, DeviceReady | DeviceSilent) for one in events))
    except TimeoutError:
        return False, f"no complete reading within {within_s:g} s"
    for event in events:
        if isinstance(event, DeviceSilent):
            return False, event.reason
    values = next(one.values for one in events if isinstance(one, DeviceReady))
    missing = [name for one in events if isinstance(one, ReadRefused) for name in one.registers]
    parts = [f"{meaning} {_text(values[meaning])}" for meaning in SHOWN if meaning in values]
    parts += [f"without {', '.join(missing)}"] if missing else []
    return True, ", ".join(parts) or "it answers"


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
