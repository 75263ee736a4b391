"""Run the EVCC or the SECC as a separate program: `python -m tests.interop.iso15118_program ev '{"connect": ...}'`."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from protocols.iso15118.tls import TlsProfile, TlsVersion, ensure_configuration


def main() -> int:
    role, options = sys.argv[1], json.loads(sys.argv[2])
    version = TlsVersion(options.get("tls_version", "none"))
    ensure_configuration(TlsProfile(options.get("tls_profile", "interop")), version)
    if options.get("pki_directory"):
        options["pki_directory"] = Path(options["pki_directory"])
    if role == "ev":
        from emulators.ev.run import EvOptions
        from emulators.ev.run import run as run_ev

        return asyncio.run(_interruptible(run_ev(EvOptions(**options, json=True))))
    from emulators.charger.secc.run import RunOptions
    from emulators.charger.secc.run import run as run_secc

    return asyncio.run(_interruptible(run_secc(RunOptions(**options, json=True))))


async def _interruptible(work: Coroutine[Any, Any, int]) -> int:
    """SIGINT and SIGTERM end the session in the ordinary way."""
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


if __name__ == "__main__":
    sys.exit(main())
