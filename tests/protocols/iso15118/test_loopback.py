"""A session in memory without a host, as the benchmark measures it."""

from __future__ import annotations

import pytest

from protocols.iso15118.iso20.loopback import session
from protocols.iso15118.iso20.services import ControlMode, ServiceId


@pytest.mark.parametrize("service", list(ServiceId))
@pytest.mark.parametrize("control", list(ControlMode))
def test_every_session_can_be_simulated(service: ServiceId, control: ControlMode) -> None:
    assert session(service, control, 2) == 2


def test_a_thousand_loops_are_a_thousand_loops() -> None:
    assert session(ServiceId.DC_BPT, ControlMode.DYNAMIC, 1_000) == 1_000
