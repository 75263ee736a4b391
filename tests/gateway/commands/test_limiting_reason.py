"""The reason of a refusal is the limit that stands against the request, where several limits leave 0 W."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.model.site import SitePolicy
from tests.gateway.commands.rig import service_rig

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize(
    ("policy", "soc_pct", "verb", "can_discharge", "inputs", "code"),
    [
        ({"import_limit_w": 5000, "min_soc_pct": 30}, 20, "charge", True, {"load": 8000}, "import_limit"),
        ({"import_limit_w": 5000, "min_soc_pct": 30}, 20, "discharge", True, {"load": 8000}, "below_floor"),
        ({"import_limit_w": 5000}, 80, "discharge", False, {"load": 8000}, "charging_only"),
        ({"import_limit_w": 5000}, 80, "charge", False, {"load": 8000}, "import_limit"),
        ({"import_limit_w": 0, "export_limit_w": 0}, 80, "discharge", True, {"load": 0, "pv": 0}, "export_limit"),
        ({"import_limit_w": 0, "export_limit_w": 0}, 80, "charge", True, {"load": 0, "pv": 0}, "import_limit"),
    ],
)
async def test_the_limit_against_the_request_is_named(
    policy: dict[str, Any], soc_pct: float, verb: str, can_discharge: bool, inputs: dict[str, float], code: str
) -> None:
    async with service_rig("CP1-1", policy=SitePolicy("home", **policy), plugged=False) as rig:
        rig.stations.connect("CP1", "CP1-1", can_discharge=can_discharge)
        rig.stations.plug("CP1-1", "tx", soc_pct=soc_pct)
        for kind, power_w in inputs.items():
            rig.service.input(kind, b'{"ts": %f, "power_w": %f}' % (rig.clock.wall(), power_w))
        await rig.wait(1)
        for target in ("CP1-1", None):
            result = await rig.send(target, verb, f"{target}", power_w=3000, lease_s=30)
            assert (result.status, result.reason.code) == ("refused", code)
            for share in result.shares or ():
                assert share.reason.code == code
