"""A session in memory without a host: what programs do while they start, and what the benchmark measures."""

from __future__ import annotations

import pytest

from protocols.iso15118.iso20.rehearsal import rehearse, session
from protocols.iso15118.iso20.services import ControlMode, ServiceId


@pytest.mark.parametrize("service", list(ServiceId))
@pytest.mark.parametrize("control", list(ControlMode))
def test_every_session_can_be_rehearsed(service: ServiceId, control: ControlMode) -> None:
    rehearse([service], [control])


def test_a_thousand_loops_are_a_thousand_loops() -> None:
    assert session(ServiceId.DC_BPT, ControlMode.DYNAMIC, 1_000) == 1_000
