"""pysunspec2, the SunSpec Alliance's own library: its models are the oracle of our tables, and its client reads and
commands our emulated devices over TCP."""

from __future__ import annotations

import asyncio
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from emulators.battery.pack import Pack, PackSpec
from emulators.modbus.sunspec import Measure, Measurements, StoragePlant, sunspec_device
from emulators.runtime.clock import RealClock
from emulators.site.storage import Storage
from protocols.modbus.io import listen
from protocols.modbus.register import Meaning
from protocols.modbus.register_map import shipped
from protocols.modbus.sunspec.models import tables
from tests.peers import python_peer

pytestmark = pytest.mark.peer

MODELS = """
import json, pathlib, sunspec2
found = {}
for path in (pathlib.Path(sunspec2.__file__).parent / "models" / "json").glob("model_*.json"):
    model, at, points = json.loads(path.read_text()), 0, {}
    for one in model["group"]["points"]:
        points[one["name"]] = [at, one["type"], one.get("sf"), one.get("access", "R")]
        at += one["size"]
    found[model["id"]] = [at - 2, points]
print(json.dumps(found))
"""
READ = """
import json, sys
import sunspec2.modbus.client as client
device = client.SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=int(sys.argv[1]))
device.scan()
found = {str(key): one[0].get_dict(computed=True) for key, one in device.models.items() if isinstance(key, int)}
if len(sys.argv) > 2:
    control = device.models[704][0]
    control.read()
    control.WSetRvrtTms.cvalue, control.WSetMod.cvalue, control.WSet.cvalue, control.WSetEna.cvalue = 60, 1, 2000, 1
    control.write()
device.close()
print(json.dumps(found, default=str))
"""


@cache
def interpreter() -> Path:
    """Return the interpreter that has the library."""
    return python_peer("pysunspec2", "pysunspec2==1.3.7")


async def run(script: str, *arguments: str) -> Any:
    process = await asyncio.create_subprocess_exec(
        str(interpreter()), "-c", script, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, errors.decode()[-2000:]
    return json.loads(out)


async def test_our_tables_are_those_of_the_library() -> None:
    theirs = await run(MODELS)
    for number, model in tables().items():
        length, points = theirs[str(number)]
        assert model.length == length, number
        for point in model.points.values():
            offset, kind, scale, access = points[point.name]
            assert (point.offset, point.kind.partition("(")[0]) == (offset, kind), (number, point.name)
            assert point.scale == ("" if scale is None else scale), (number, point.name)
            assert (point.access == "RW") == (access == "RW"), (number, point.name)


async def test_the_library_reads_our_meter() -> None:
    values: dict[Meaning, Measure] = {Meaning.POWER_W: lambda at: -5432.0, Meaning.VOLTAGE_V: lambda at: 231.5}
    measured = Measurements(values | {Meaning.FREQUENCY_HZ: lambda at: 49.98})
    exponents = {"m203_v_sf": -1, "m203_hz_sf": -2}
    meter = sunspec_device(shipped("sunspec-meter"), [1, 203], measured, RealClock(), exponents=exponents)
    listener = await listen(meter.handle, "127.0.0.1", 0)
    models = await run(READ, str(listener.port))
    await listener.close()
    assert (models["1"]["Mn"], models["1"]["Md"]) == ("Emulated", "E1")
    assert models["203"]["W"] == -5432
    assert models["203"]["PhV"] == pytest.approx(231.5)
    assert models["203"]["Hz"] == pytest.approx(49.98)


async def test_the_library_commands_our_storage() -> None:
    clock = RealClock()
    plant = StoragePlant(Storage(Pack(PackSpec("storage"), 55.0)))
    storage = sunspec_device(shipped("sunspec-storage"), [1, 701, 702, 713, 704], plant, clock)
    listener = await listen(storage.handle, "127.0.0.1", 0)
    await run(READ, str(listener.port), "command")
    await listener.close()
    assert plant.enabled
    assert plant.setpoint_w == -2000  # model 704 counts discharge as positive
    assert plant.reversion.seconds == 60
