"""One session of the programs `v2x ev` and `v2x secc` in this process, over sockets."""

from __future__ import annotations

import asyncio
import json
from io import StringIO
from pathlib import Path
from typing import Any

from emulators.charger.secc.run import RunOptions
from emulators.charger.secc.run import run as run_secc
from emulators.ev.run import EvOptions
from emulators.ev.run import run as run_ev


class Outcome:
    """Exit status and output of both programs."""

    def __init__(self, ev_status: int, secc_status: int, ev: str, secc: str) -> None:
        self.ev_status, self.secc_status, self.ev_text, self.secc_text = ev_status, secc_status, ev, secc

    @property
    def ev(self) -> list[dict[str, Any]]:
        """Records of the car, with the option `json`."""
        return [json.loads(line) for line in self.ev_text.splitlines()]

    @property
    def secc(self) -> list[dict[str, Any]]:
        """Records of the charger."""
        return [json.loads(line) for line in self.secc_text.splitlines()]


async def port_of(out: StringIO, task: asyncio.Task[int]) -> int:
    """Return the port on which the charger listens."""
    while "Listening" not in out.getvalue():
        assert not task.done(), out.getvalue()
        await asyncio.sleep(0.01)
    return int(json.loads(out.getvalue().splitlines()[0])["port"])


async def one_session(
    ev: dict[str, Any] | None = None,
    secc: dict[str, Any] | None = None,
    pki: Path | None = None,
    version: str = "1.3",
    **wraps: Any,
) -> Outcome:
    """Run one session, with TLS if there are certificates; `ev_wrap` and `secc_wrap` are passed to the programs."""
    tls: dict[str, Any] = {"tls_version": version, "pki_directory": pki} if pki is not None else {}
    ev_out, secc_out = StringIO(), StringIO()
    options: dict[str, Any] = {"loop_timeout_s": 20.0, "power_w": -3000.0, "cable_check_s": 0.1, "sessions": 1} | (
        secc or {}
    )
    wrap: dict[str, Any] = {"wrap": wraps["secc_wrap"]} if "secc_wrap" in wraps else {}
    charger = asyncio.ensure_future(
        run_secc(RunOptions(listen="[::1]:0", json=True, **tls, **options), secc_out, **wrap)
    )
    try:
        address = f"[::1]:{await port_of(secc_out, charger)}"
        wrap = {"wrap": wraps["ev_wrap"]} if "ev_wrap" in wraps else {}
        car: dict[str, Any] = {"timeout_factor": 20.0, "loops": 3, "json": True} | (ev or {})
        status = await run_ev(EvOptions(connect=address, **tls, **car), ev_out, **wrap)
        async with asyncio.timeout(10):
            ended = await charger
    finally:
        charger.cancel()
        await asyncio.gather(charger, return_exceptions=True)
    return Outcome(status, ended, ev_out.getvalue(), secc_out.getvalue())
