"""What a car's and a charger's program load before their first session: no more than that session needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

NEVER = ("pydantic", "cryptography", "typer", "rich", "numpy", "tempfile", "protocols.iso15118.pki", "protocols.ocpp")
OTHER_STANDARDS = ("protocols.iso15118.iso2", "protocols.iso15118.din", "protocols.exi.explain")
THE_OTHER_SIDE = {
    "car": ("protocols.iso15118.iso20.secc", "emulators.charger"),
    "charger": ("protocols.iso15118.iso20.evcc", "emulators.ev.car", "emulators.ev.profile"),
}
READY = {
    "car": """
from emulators.ev import run
run.prepare_car([run.NAMES["dc_bpt"]], run.CONTROLS.values())
run.Car(run.profiles.load("ccs-63"), soc_pct=80.0)
""",
    "charger": """
from emulators.charger.secc import run
run.prepare_charger([run.NAMES["dc_bpt"]], run.CONTROLS.values())
run.PowerStage(run.StageSpec())
""",
}
LOADED = """
import sys
print(*sys.modules)
"""
AC_CLASSES = """
from protocols.iso15118.codecs import ISO20_AC, ISO20_DC
print(len(ISO20_AC._encoders) + len(ISO20_AC._decoders), len(ISO20_DC._encoders) + len(ISO20_DC._decoders))
"""


def said_by(code: str) -> list[str]:
    """The words a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.split()


@pytest.mark.parametrize("role", ["car", "charger"])
def test_nothing_is_loaded_that_a_plain_session_does_not_need(role: str) -> None:
    loaded = set(said_by(READY[role] + LOADED))
    assert "protocols.iso15118.iso20.dc" in loaded
    assert not loaded & {*NEVER, *OTHER_STANDARDS, *THE_OTHER_SIDE[role]}


@pytest.mark.parametrize("role", ["car", "charger"])
def test_direct_current_compiles_nothing_of_alternating_current(role: str) -> None:
    assert said_by(READY[role] + AC_CLASSES) == ["0", "2"]
