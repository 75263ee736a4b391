"""Recordings: the formats that are read, what is written, and what is refused."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.runtime import candump
from protocols.can import CanFrame

FRAME = CanFrame(0x102, bytes.fromhex("029A010000C80300"))
FRAMES = st.builds(
    CanFrame,
    st.integers(0, 0x7FF),
    st.binary(max_size=8),
    st.just(False),
) | st.builds(CanFrame, st.integers(0, 0x1FFFFFFF), st.binary(max_size=8), st.just(True))


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("(1436509052.249713) can0 102#029A010000C80300", 1436509052.249713),
        ("(1436509052.249713) vcan0 102#029A010000C80300 T", 1436509052.249713),
        (" (2022-06-02 22:43:42.714008)  can1  102   [8]  02 9A 01 00 00 C8 03 00", 1654209822.714008),
        (" (000.000012)  can0  102   [8]  02 9A 01 00 00 C8 03 00   '........'", 0.000012),
        (" (1.5)  can0  RX - -  102   [8]  02 9A 01 00 00 C8 03 00", 1.5),
        ("3016672,00000102,false,Rx,0,8,02,9A,01,00,00,C8,03,00,", 3.016672),
        ("18446744071797529302,00000102,false,Rx,0,8,02,9A,01,00,00,C8,03,00,", 2382.944982),
    ],
)
def test_formats_that_are_read(text: str, at: float) -> None:
    found = candump.parse([text])
    ((found_at, frame),) = found.frames
    assert found_at == pytest.approx(at)
    assert frame == FRAME
    assert found.skipped == 0


@pytest.mark.parametrize(
    "text",
    [
        "2 message with some parmeters", "Time Stamp,ID,Extended,Dir,Bus,LEN,D1", "(x) can0 102#00", "(1) can0 1G2#00",
        "(1) can0 102#0", "1,102,false,Rx,0,8,02,9A", "1,102,false,Rx,0,8,02,9A,01,00,00,C8,03,XX,",
    ],
)  # fmt: skip
def test_other_lines_are_skipped(text: str) -> None:
    assert candump.parse([text, "", "  "]) == candump.Recording([], 1)


@given(st.lists(st.tuples(st.integers(0, 2**40).map(lambda us: us / 1e6), FRAMES)))
def test_what_is_written_is_read(frames: list[tuple[float, CanFrame]]) -> None:
    found = candump.parse(list(candump.lines(frames)))
    assert [frame for _, frame in found.frames] == [frame for _, frame in frames]
    assert [at for at, _ in found.frames] == pytest.approx([at for at, _ in frames], abs=1e-6)


def test_files(tmp_path: Path) -> None:
    plain = tmp_path / "session.log"
    candump.write(plain, [(1.25, FRAME)], "can1")
    assert plain.read_text() == "(1.250000) can1 102#029A010000C80300\n"
    assert plain.stat().st_mode & 0o77 == 0
    for suffix, pack in ((".xz", lzma.compress), (".gz", gzip.compress)):
        packed = tmp_path / f"session.log{suffix}"
        packed.write_bytes(pack(plain.read_bytes()))
        assert candump.read(packed) == candump.read(plain)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    bad = tmp_path / "bad.xz"
    bad.write_bytes(b"no archive")
    empty = tmp_path / "empty.log"
    empty.write_text("\n")
    for path in (bad, empty, tmp_path / "absent", tmp_path):
        with pytest.raises(candump.RecordingError, match=str(path)):
            candump.read(path)


def test_a_full_recording_repeats_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last frame is old: repeating it up to the present would take longer each time."""
    monkeypatch.setattr(candump, "MOST_FRAMES", 3)
    recording = candump.CanRecording()
    recording.add(0.0, CanFrame(0x102, bytes(8)))
    recording.repeat(10.0)
    assert len(recording) == 3
    recording.repeat(1e9)
    assert len(recording) == 3
