"""Coverage-guided fuzzing of the frames and engines of SLAC: seconds here, ten minutes by `pytest -m soak`."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from protocols.slac.frames import BROADCAST, Frame, Message
from protocols.slac.messages import (
    AttenCharInd,
    AttenCharRsp,
    AttenProfileInd,
    MnbcSoundInd,
    SlacMatchReq,
    SlacParmCnf,
    SlacParmReq,
    StartAttenCharInd,
    ValidateReq,
)
from tests.peers import absent
from tests.protocols.slac.bench import EV, EVSE, OTHER_EV
from tests.protocols.slac.test_frames import LENGTHS

TARGET = Path(__file__).resolve().parent / "slac_target.py"
SECONDS, SOAK_SECONDS = 2, int(os.environ.get("V2X_SOAK_SECONDS", "600"))
START_WITHIN = 60  # s, for imports under instrumentation
RUN = bytes(8)


def matching(vehicle: bytes, pauses: int) -> bytes:
    """Return a matching of a vehicle as an input."""
    modem = bytes.fromhex("00b052000001")
    steps: list[tuple[bytes, bytes, Message] | None] = [
        (BROADCAST, vehicle, SlacParmReq(RUN)),
        (EV, EVSE, SlacParmCnf(RUN, EV)),
        None,
        (BROADCAST, vehicle, StartAttenCharInd(RUN, vehicle)),
        (BROADCAST, vehicle, MnbcSoundInd(RUN, 0, bytes(16))),
        (EVSE, modem, AttenProfileInd(vehicle, b"\x08" * 58)),
        *[None] * pauses,
        (EV, EVSE, AttenCharInd(EV, RUN, 1, b"\x08" * 58)),
        (EVSE, vehicle, AttenCharRsp(vehicle, RUN)),
        (EVSE, vehicle, ValidateReq(0)),
        *[None] * pauses,
        (EVSE, vehicle, SlacMatchReq(vehicle, EVSE, RUN)),
        *[None] * pauses,
    ]
    frames = [b"" if one is None else Frame(*one).encode() for one in steps]
    return b"".join(bytes((len(frame),)) + frame for frame in frames)


def fuzz(seconds: int, home: Path) -> None:
    """Run the fuzzer in a process of its own, starting from every message and from whole matchings."""
    if importlib.util.find_spec("atheris") is None:
        absent("atheris is not installed (pip install atheris; Linux, CPython before 3.14)")
    corpus = home / "corpus"
    corpus.mkdir()
    seeds = [Frame(EVSE, EV, message).encode() for message, _, _ in LENGTHS]
    seeds += [matching(EV, 4), matching(OTHER_EV, 6), matching(EV, 4) + matching(OTHER_EV, 4)]
    for index, data in enumerate(seeds):
        (corpus / f"{index:04}").write_bytes(data)
    options = [f"-max_total_time={seconds}", "-max_len=4096", "-rss_limit_mb=4096", "-timeout=10"]
    command = [sys.executable, str(TARGET), *options, f"-artifact_prefix={home}/found-", str(corpus)]
    place = {**os.environ, "PYTHONPATH": str(TARGET.parents[2])}
    done = subprocess.run(
        command, env=place, capture_output=True, text=True, timeout=seconds + START_WITHIN, check=False
    )
    found = [path.read_bytes().hex() for path in home.glob("found-*")]
    assert not done.returncode, "\n".join([done.stderr[-3000:], *found])


@pytest.mark.timeout(120)
def test_no_frame_breaks_an_engine(tmp_path: Path) -> None:
    fuzz(SECONDS, tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(SOAK_SECONDS + 300)
def test_soak(tmp_path: Path) -> None:
    fuzz(SOAK_SECONDS, tmp_path)
