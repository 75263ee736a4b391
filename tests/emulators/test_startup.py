"""Modules that vehicle and charger load before their first session: only what the session needs."""

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


def output_of(code: str) -> list[str]:
    """Return the words that a new interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.split()


@pytest.mark.parametrize("role", ["car", "charger"])
def test_a_plain_session_loads_only_what_it_needs(role: str) -> None:
    loaded = set(output_of(READY[role] + LOADED))
    assert "protocols.iso15118.iso20.dc" in loaded
    assert not loaded & {*NEVER, *OTHER_STANDARDS, *THE_OTHER_SIDE[role]}


@pytest.mark.parametrize("role", ["car", "charger"])
def test_dc_compiles_no_codec_of_ac(role: str) -> None:
    assert output_of(READY[role] + AC_CLASSES) == ["0", "2"]
