"""Commands of a laboratory."""

from __future__ import annotations

import pytest

from emulators.conformance.case import Inconclusive, NotApplicable
from emulators.conformance.ocpp.environment import run_command


async def test_a_command_that_is_missing_or_fails() -> None:
    await run_command("plug", 'test "$EVSE" = 1', {"EVSE": "1"})
    with pytest.raises(NotApplicable, match="no command for 'plug'"):
        await run_command("plug", None, {})
    with pytest.raises(Inconclusive, match="the command for 'plug' ended with status 3"):
        await run_command("plug", "exit 3", {})
