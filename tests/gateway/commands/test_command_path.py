"""Files that one discharge command crosses, from the MQTT message to the OCPP CALL.

Every function of `gateway` and `protocols` that runs in the tasks of the command is recorded: its receipt, its intake,
the journal it waits for and the set-point controller. The list stands in `tests/data/command_path.txt`; after a change
that is meant, write it anew with `UPDATE_COMMAND_PATH=1 python -m pytest tests/gateway/commands/test_command_path.py`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from types import FrameType

import pytest

from emulators.scenario.loading import parse
from emulators.world import World

ROOT = Path(__file__).resolve().parents[3]
LIST = ROOT / "tests" / "data" / "command_path.txt"
MAX_FILES = 32  # what subscribers do with a result is behind it, see `gateway.control.publisher`
RECORDS = "protocols/frozen.py"  # makes objects, as `dataclasses` does: nobody reads it to follow a command
EVSE = "CP1-1"
SITE = """
name = "command path"
start = 2026-01-15T18:00:00+09:00
duration = "10m"
loop = 0.25
telemetry = 60
[site]
kind = "home"
[gateway]
site = "home"
min_soc_pct = 30
[[charger]]
id = "CP1"
[[car]]
name = "car"
evse = "CP1-1"
soc_pct = 80
[[car.visits]]
arrive = 1
leave = 540
"""


class Recorder:
    """A profile function that records which files run in which task, between two calls."""

    def __init__(self) -> None:
        self.files: dict[str, set[str]] = {}
        self.chain = {"journal", f"set-point {EVSE}"}
        self._begun = self._ended = False

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event != "call" or self._ended or not path.is_relative_to(ROOT):
            return
        file, function = path.relative_to(ROOT).as_posix(), frame.f_code.co_name
        task = asyncio.current_task()
        if task is None or not file.startswith(("gateway/", "protocols/")) or file == RECORDS:
            return
        name = task.get_name()
        received = file == "gateway/mqtt/topics.py" and "discharge" in str(frame.f_locals.get("topic"))
        self._begun = self._begun or received
        if received or (file, function) == ("gateway/service.py", "submit"):
            self.chain.add(name)
        if self._begun:
            self.files.setdefault(name, set()).add(file)
            self._ended = (file, function) == ("protocols/ocpp/rpc.py", "encode") and name == f"set-point {EVSE}"

    def crossed(self) -> list[str]:
        """Return the files of the command's tasks."""
        return sorted({file for task in self.chain for file in self.files.get(task, ())})


@pytest.mark.virtual_time
async def test_one_discharge_crosses_the_listed_files_and_no_more() -> None:
    world, recorder = World(parse(SITE, "path"), keep_transcript=False), Recorder()
    async with world.running():
        await world.clock.sleep(90)
        before = sys.getprofile()
        sys.setprofile(recorder)
        try:
            await world.facility.command(EVSE, "discharge", power_w=4000, lease_s=60)
            await world.clock.sleep(5)
        finally:
            sys.setprofile(before)
    crossed = recorder.crossed()
    if os.environ.get("UPDATE_COMMAND_PATH"):
        LIST.write_text("\n".join(crossed) + "\n")
    assert crossed == LIST.read_text().split()
    assert len(crossed) <= MAX_FILES
