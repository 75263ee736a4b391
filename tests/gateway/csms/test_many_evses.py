"""A station that reports too many EVSEs: those beyond the limit are rejected, the others work on."""

from __future__ import annotations

import pytest

from gateway.csms.station import MOST_EVSES
from gateway.model.event import EvseDescribed, PlugChanged
from protocols.ocpp.schema import Version
from tests.gateway.csms.raw_station import Raw

pytestmark = pytest.mark.virtual_time


def status(raw: Raw, number: int) -> dict[str, object]:
    if raw.version is Version.V16:
        return {"connectorId": number, "errorCode": "NoError", "status": "Available"}
    return {"timestamp": raw.time(), "connectorStatus": "Available", "evseId": number, "connectorId": 1}


@pytest.mark.parametrize("version", list(Version))
async def test_unbounded_evse_numbers_are_rejected_and_leave_no_state(version: Version) -> None:
    async with Raw(version) as raw:
        await raw.boot()
        refused = 0
        for number in [*range(1, 400), 1000, 2**31 - 1]:
            answer = await raw.call("StatusNotification", status(raw, number))
            if answer[0] == 4:
                refused += 1
                assert answer[2] == "PropertyConstraintViolation"
            await raw.clock.sleep(0.1)
        assert refused == 401 - MOST_EVSES
        assert len({event.evse for event in raw.of(EvseDescribed)}) == MOST_EVSES
        await raw.ok("StatusNotification", status(raw, 1) | ({"status": "Preparing"} if version is Version.V16 else {}))
        assert raw.of(PlugChanged)
