"""The emulated charger as a separate program: `python -m tests.interop.our_charger '{"interface": ...}'`."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

from protocols.iso15118.tls import TlsProfile, TlsVersion, ensure_configuration


def main() -> int:
    options = json.loads(sys.argv[1])
    version = TlsVersion(options.get("tls_version", "none"))
    ensure_configuration(TlsProfile(options.get("tls_profile", "interop")), version)
    from emulators.charger.secc.run import RunOptions

    if "pki_directory" in options:
        options["pki_directory"] = Path(options["pki_directory"])
    return asyncio.run(_interruptible(RunOptions(**options, json=True)))


async def _interruptible(options: object) -> int:
    """SIGINT and SIGTERM end the session in the ordinary way."""
    from emulators.charger.secc.run import RunOptions, run

    assert isinstance(options, RunOptions)
    task = asyncio.ensure_future(run(options))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


if __name__ == "__main__":
    sys.exit(main())
