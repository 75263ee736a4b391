"""Coverage-guided fuzzing of every EXI codec: seconds here, ten minutes each by `pytest -m soak`.

The corpora are kept in `exi_corpus`, one input a line in hex; new inputs of a run are written back only with
`V2X_KEEP_CORPUS=1`, in minimised form.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from protocols.errors import RemoteProtocolError
from protocols.iso15118.codecs import BY_NAME
from tests.peers import absent

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "exi_corpus"
TARGET = HERE / "exi_target.py"
SECONDS = 1
SOAK_SECONDS = int(os.environ.get("V2X_SOAK_SECONDS", "600"))
AT_ONCE = 2
START_WITHIN = 60  # s, for imports under instrumentation
LONGEST_INPUT = 4096
MOST_KEPT = 150  # inputs of a corpus


def seeds(name: str) -> list[bytes]:
    """Return the kept corpus of a codec."""
    return [bytes.fromhex(line) for line in (CORPUS / f"{name}.hex").read_text().split()]


def fuzz(name: str, seconds: int, home: Path) -> subprocess.CompletedProcess[str]:
    """Run the fuzzer in a process of its own, starting from the kept corpus."""
    corpus = home / name
    corpus.mkdir()
    for index, data in enumerate(seeds(name)):
        (corpus / f"{index:04}").write_bytes(data)
    options = [f"-max_total_time={seconds}", f"-max_len={LONGEST_INPUT}", "-rss_limit_mb=4096", "-timeout=10"]
    command = [sys.executable, str(TARGET), name, *options, f"-artifact_prefix={home}/{name}-", str(corpus)]
    place = {**os.environ, "PYTHONPATH": str(HERE.parent.parent)}
    return subprocess.run(
        command, env=place, capture_output=True, text=True, timeout=seconds + START_WITHIN, check=False
    )


def report(name: str, done: subprocess.CompletedProcess[str], home: Path) -> str:
    """Return the report of a failed run: the end of its log and the input that caused it."""
    found = [f"{path.name}: {path.read_bytes().hex()}" for path in home.glob(f"{name}-*") if path.is_file()]
    return "\n".join([f"{name}: exit {done.returncode}", done.stderr[-2000:], *found])


def keep(name: str, home: Path) -> None:
    """Add new inputs of a run to the kept corpus, the shortest ones first."""
    found = {path.read_bytes() for path in (home / name).iterdir()} | set(seeds(name))
    kept = sorted(sorted(found, key=len)[:MOST_KEPT])
    (CORPUS / f"{name}.hex").write_text("".join(f"{data.hex()}\n" for data in kept))


def test_every_codec_has_a_corpus_that_still_runs() -> None:
    assert {path.stem for path in CORPUS.glob("*.hex")} == set(BY_NAME)
    for name, codec in BY_NAME.items():
        read = 0
        for data in seeds(name):
            try:
                element, message = codec.decode_element(data)
            except RemoteProtocolError:
                continue
            read += 1
            assert codec.decode_element(codec.encode(message, element=element)) == (element, message)
        assert read, name


@pytest.mark.timeout(300)
def test_no_input_breaks_a_codec(tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        absent("atheris is not installed (pip install atheris; Linux, CPython before 3.14)")
    names = list(BY_NAME)[1::3]  # `test_soak` has the others
    with ThreadPoolExecutor(AT_ONCE) as runs:
        done = dict(zip(names, runs.map(lambda name: fuzz(name, SECONDS, tmp_path), names), strict=True))
    failures = [report(name, result, tmp_path) for name, result in done.items() if result.returncode]
    assert not failures, "\n\n".join(failures)


@pytest.mark.soak
@pytest.mark.timeout(SOAK_SECONDS + 300)
@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_soak(name: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        absent("atheris is not installed (pip install atheris; Linux, CPython before 3.14)")
    done = fuzz(name, SOAK_SECONDS, tmp_path)
    assert not done.returncode, report(name, done, tmp_path)
    if os.environ.get("V2X_KEEP_CORPUS") == "1":
        keep(name, tmp_path)
