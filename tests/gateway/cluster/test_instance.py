"""One instance by itself, without NATS and Postgres."""

from __future__ import annotations

import asyncio

import pytest

from gateway.clock import SystemClock
from gateway.clustered import Instance
from gateway.config import from_table
from gateway.csms.admission import AGAIN_AFTER_S
from tests.gateway.csms.test_unserved import rejected
from tests.gateway.mqtt.facility import free_port
from tests.interop.ocpp_sockets import until


@pytest.mark.parametrize("stopped", [True, False])
async def test_an_instance_that_is_stopped_or_has_no_nats_for_long_accepts_no_further_station(stopped: bool) -> None:
    config = from_table({
        "cluster": {"servers": ["nats://127.0.0.1:1"], "instance": "gw1"},
        "store": {"url": "postgresql://v2x@127.0.0.1:1/v2x"},
        "ocpp": {"listen": f"127.0.0.1:{free_port()}", "security_profile": 0},
        "stations": [{"id": "CP1"}],
    })  # fmt: skip
    instance = Instance(config, SystemClock())
    listening = asyncio.create_task(instance._listen())
    try:
        await until(lambda: "ocpp" in instance.ports)
        if stopped:
            await instance.drain()
        else:
            instance.node.cut_off.lasts = True
        assert await rejected(instance.ports["ocpp"], "CP1") == str(AGAIN_AFTER_S)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
