"""Replay of recorded sessions against the emulated peers of every generation."""

from __future__ import annotations

import asyncio
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from emulators.charger.secc.run import RunOptions
from emulators.charger.secc.run import run as run_secc
from emulators.ev.run import EvOptions
from emulators.ev.run import run as run_ev
from emulators.replay.run import ReplayOptions
from emulators.replay.run import run as run_replay
from gateway.cli import exi_capture
from protocols.iso15118 import pki
from tests.emulators.session_programs import one_session, port_of
from tests.emulators.test_control_input import Script, both
from tests.rounds import some

GENERATIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "iso20-dc-dynamic": ({"service": "dc_bpt"}, {}),
    "iso20-dc-scheduled": ({"service": "dc", "control": "scheduled"}, {"power_w": 3000.0}),
    "iso20-ac": ({"service": "ac_bpt"}, {"services": "ac,ac_bpt"}),
    "iso2-dc": ({"service": "dc", "protocols": "iso2"}, {"power_w": 3000.0}),
    "iso2-ac": ({"service": "ac", "protocols": "iso2"}, {"services": "ac", "power_w": 3000.0}),
    "din": ({"service": "dc", "protocols": "din"}, {"power_w": 3000.0}),
}
CHARGER: dict[str, Any] = {"cable_check_s": 0.1, "loop_timeout_s": 20.0, "power_w": -3000.0, "sessions": 1}
CAR: dict[str, Any] = {"timeout_factor": 20.0, "loops": 3, "json": True}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki")
    pki.create(directory)
    return directory


async def replayed_as_ev(recording: Path, secc: dict[str, Any], **options: Any) -> tuple[int, list[dict[str, Any]]]:
    """Play the EV against an emulated charger."""
    secc_out, out = StringIO(), StringIO()
    tls = {name: options[name] for name in ("tls_version", "pki_directory") if name in options}
    charger = asyncio.ensure_future(
        run_secc(RunOptions(listen="[::1]:0", json=True, **(CHARGER | secc | tls)), secc_out)
    )
    try:
        address = f"[::1]:{await port_of(secc_out, charger)}"
        given = {"pace": 0.0, "json": True} | options
        status = await run_replay(ReplayOptions(capture=recording, role="ev", connect=address, **given), out)
    finally:
        charger.cancel()
        await asyncio.gather(charger, return_exceptions=True)
    return status, [json.loads(line) for line in out.getvalue().splitlines()]


async def replayed_as_secc(
    recording: Path, ev: dict[str, Any], script: Script | None = None
) -> tuple[int, int, list[dict[str, Any]]]:
    """Play the charger for an emulated EV, which may have orders; return its exit status first."""
    out = StringIO()
    orders: dict[str, Any] = {} if script is None else {"orders": script.orders()}
    replayed = ReplayOptions(capture=recording, role="secc", listen="[::1]:0", pace=0.0, json=True)
    secc = asyncio.ensure_future(run_replay(replayed, out))
    try:
        address = f"[::1]:{await port_of(out, secc)}"
        options = EvOptions(connect=address, control_stdin=script is not None, **(CAR | ev))
        car = await run_ev(options, StringIO() if script is None else script, **orders)
        async with asyncio.timeout(10):
            status = await secc
    except TimeoutError:
        pytest.fail(f"{out.getvalue()[-1500:]}\nEV: {'' if script is None else script.left()}")
    finally:
        secc.cancel()
        await asyncio.gather(secc, return_exceptions=True)
    return car, status, [json.loads(line) for line in out.getvalue().splitlines()]


@pytest.mark.parametrize("generation", some(GENERATIONS, every=3))
async def test_a_session_of_ours_replayed_gives_no_difference_and_a_changed_one_names_it(
    generation: str, tmp_path: Path
) -> None:
    ev, secc = GENERATIONS[generation]
    recording = tmp_path / "session.pcapng"
    done = await one_session(ev | {"pcap": recording, "trace": True}, secc)
    assert done.ev_status == 0, done.ev_text[-2000:]
    status, lines = await replayed_as_ev(recording, secc)
    assert (status, lines[-1]["reason"]) == (0, "as recorded"), lines[-5:]
    trace = tmp_path / "trace.jsonl"
    trace.write_text(done.ev_text)
    car, status, lines = await replayed_as_secc(trace, ev)
    assert (car, status, lines[-1]["reason"]) == (0, 0, "as recorded"), lines[-5:]

    status, lines = await replayed_as_ev(recording, secc | {"evse_id": "49123456789000"})
    differences = [line for line in lines if line["event"] == "Difference"]
    assert status == 1
    assert {(one["message"], one["path"]) for one in differences} >= {("SessionSetupRes", "EVSEID")}
    assert {one["path"] for one in differences} == {"EVSEID"}
    _, status, lines = await replayed_as_secc(trace, ev | {"evccid": "020000000001"})
    differences = [line for line in lines if line["event"] == "Difference"]
    assert status == 1
    assert [(one["message"], one["path"]) for one in differences] == [("SessionSetupReq", "EVCCID")]


async def test_a_refusal_ends_the_replay_with_its_code(tmp_path: Path) -> None:
    recording = tmp_path / "session.pcapng"
    await one_session({"pcap": recording, "service": "dc_bpt"})
    status, lines = await replayed_as_ev(recording, {"services": "dc"})
    found = [line for line in lines if line["event"] == "Difference"]
    assert status == 1
    assert any(one["path"].startswith("EnergyTransferServiceList") for one in found), lines[-6:]
    assert "the peer refuses ServiceDetailReq: FAILED_ServiceIDInvalid" in lines[-1]["reason"]


async def test_measured_values_are_compared_on_request(tmp_path: Path) -> None:
    recording = tmp_path / "session.pcapng"
    await one_session({"pcap": recording, "loops": 20, "loop_interval_s": 0.05}, {"power_w": 3000.0})
    status, lines = await replayed_as_ev(recording, {"power_w": 1000.0}, pace=1.0, measured_pct=5.0)
    assert status == 1
    assert "EVSEPresentCurrent" in {line["path"] for line in lines if line["event"] == "Difference"}


@pytest.mark.parametrize("version", ["1.3", "1.2"])
async def test_a_session_with_tls_is_replayed_with_and_without_tls(
    version: str, certificates: Path, tmp_path: Path
) -> None:
    ev, secc = GENERATIONS["iso2-dc" if version == "1.2" else "iso20-dc-dynamic"]
    secc = secc | {"protocols": ev.get("protocols", "iso20")}
    recording, log = tmp_path / "session.pcapng", tmp_path / "log"
    done = await one_session(ev | {"pcap": recording, "keylog": log}, secc, certificates, version)
    assert done.ev_status == 0, done.ev_text[-2000:]
    status, lines = await replayed_as_ev(recording, secc)
    assert status == 0, lines[-5:]
    status, lines = await replayed_as_ev(recording, secc, tls_version=version, pki_directory=certificates)
    assert status == 0, lines[-5:]


async def test_a_transcript_of_exi_decode_is_played(tmp_path: Path) -> None:
    recording, transcript = tmp_path / "session.pcapng", tmp_path / "session.jsonl"
    await one_session({"pcap": recording})
    transcript.write_text("\n".join(exi_capture.transcript(recording, as_json=True)))
    status, lines = await replayed_as_ev(transcript, {})
    assert status == 0, lines[-5:]


@pytest.mark.parametrize("generation", ["iso20-dc-dynamic", "iso2-dc"])
async def test_a_paused_and_resumed_session_is_resumed_with_the_live_id(generation: str, tmp_path: Path) -> None:
    recording = tmp_path / "session.pcapng"
    steps = (
        ("ChargeLoopAnswered", '{"order": "pause"}'),
        ("SessionEnded", '{"order": "resume"}'),
        ("ChargeLoopAnswered", '{"order": "stop"}'),
    )
    ev = Script(*steps)
    secc = Script(("SessionEnded", ""), ("SessionEnded", '{"order": "stop"}'))
    car, charger = GENERATIONS[generation]
    await both(ev, secc, car=car | {"pcap": recording}, **charger)
    assert [one["resumed"] for one in ev.records() if one["event"] == "SessionOpened"] == [False, True], ev.left()
    status, lines = await replayed_as_ev(recording, charger | {"sessions": 2})
    assert (status, lines[-1]["reason"]) == (0, "as recorded"), lines[-5:]
    assert [line["event"] for line in lines].count("Playing") == 2
    live = Script(*steps)
    _, status, lines = await replayed_as_secc(recording, car | {"loops": None}, live)
    assert [one["resumed"] for one in live.records() if one["event"] == "SessionOpened"] == [False, True], live.left()
    assert (status, lines[-1]["reason"]) == (0, "as recorded"), lines[-5:]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "neither a pcap nor a pcapng file, and no transcript"),
        (b'{"event": "Summary"}\n', "has no message of a session"),
        (b'{"event": "MessageSent", "at": 1}\n', "line 1 of the transcript cannot be read"),
        (b"{broken\n", "line 1 of the transcript cannot be read"),
    ],
)
async def test_a_file_without_a_session_is_an_error(
    data: bytes, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_bytes(data)
    assert await run_replay(ReplayOptions(capture=tmp_path / "file", role="ev", connect="[::1]:1")) == 2
    assert reason in capsys.readouterr().err


async def test_wrong_options_are_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run_replay(ReplayOptions(capture=tmp_path / "no", role="ev", connect="[::1]:1")) == 2
    assert await run_replay(ReplayOptions(capture=tmp_path / "no", role="ev", listen="[::1]:1")) == 2
    errors = capsys.readouterr().err
    assert "no: No such file or directory" in errors
    assert "--as ev needs --connect" in errors
