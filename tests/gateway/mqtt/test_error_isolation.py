"""A defect behind one message costs that message; passwords stand in no message and no log."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from gateway.model.energy_state import SharedEnergyState
from gateway.mqtt.client import BrokerLink, MqttBus
from gateway.mqtt.commands import MAX_OTHER_GATEWAYS
from gateway.mqtt.connection import BrokerLinks, MqttConnection
from gateway.mqtt.topics import MqttSettings, Topics
from gateway.observability import log
from protocols.ports import Bus, BusMessage
from tests.gateway.mqtt.memory import scene


def broken() -> Any:
    raise RuntimeError("a defect")


@pytest.mark.virtual_time
async def test_an_invalid_state_does_not_delay_other_messages(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with scene("CP1-1") as one:
        one.running.service.site_state = broken  # type: ignore[method-assign]
        for _ in range(3):
            await one.send("evse/CP1-1/cmd/discharge", {"id": f"d{_}", "power_w": 3000})
            await one.wait(5)
            assert one.results(f"d{_}") == ["accepted", "achieved"]
        before = len(one.on("evse/CP1-1/telemetry"))
        await one.wait(10)
        assert len(one.on("evse/CP1-1/telemetry")) >= before + 9
        assert one.retained("gateway/gw1/status")["state"] == "online"
        assert one.running.mqtt.counts["defects"] > 1
    assert [one.message for one in caplog.records].count("the site's state cannot be published") == 1


@pytest.mark.virtual_time
async def test_an_exception_in_a_handler_costs_its_message_and_not_the_link() -> None:
    calls: list[str] = []

    def fails_once(site: str, _energy: SharedEnergyState) -> None:
        calls.append(site)
        if len(calls) == 1:
            broken()

    async with scene("CP1-1") as one:

        def connect(will: BusMessage) -> AbstractAsyncContextManager[Bus]:
            return one.broker.client("v2x-home-gw2", will=will)

        settings = MqttSettings(Topics("home", "gw2"), takes_site_commands=False)
        connection = MqttConnection(one.running.service, settings, BrokerLinks(connect), one.clock, 1, fails_once)
        running = asyncio.create_task(connection.run())
        await one.wait(1)
        state = b'{"energy": {"phase": "on_grid"}}'
        await one.client.publish(BusMessage("v2x/1/elsewhere/site/state", state, qos=1, retain=True))
        await one.wait(0.1)
        assert connection.connected.is_set()
        assert (connection.counts["defects"], connection.counts["links"]) == (1, 1)
        await one.send("evse/CP1-1/cmd/discharge", {"id": "d", "power_w": 3000})
        await one.wait(3)
        assert one.results("d")[0] == "accepted"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert calls == ["elsewhere"]


@pytest.mark.virtual_time
@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("cancelled_first", [True, False])
async def test_a_cancel_that_comes_with_a_lost_link_ends_the_connection(turns: int, cancelled_first: bool) -> None:
    """A task group of Python 3.11 drops a cancellation that meets an error; the gateway would never stop."""
    async with scene("CP1-1") as one:
        [task] = [task for task in asyncio.all_tasks() if task.get_name() == "mqtt"]
        for cancels in (cancelled_first, not cancelled_first):
            if cancels:
                task.cancel()
            else:
                one.broker.cut("v2x-home-gw1")
            for _ in range(turns):
                await asyncio.sleep(0)
        await asyncio.wait({task}, timeout=30)
        over = task.done()
        task.cancel()
    assert over


@pytest.mark.parametrize("url", ["mqtt://bems:hunter2@127.0.0.1:1", "mqtt://bems:hun%40ter2@127.0.0.1:1"])
async def test_no_password_in_the_errors_of_a_broker(url: str) -> None:
    link = BrokerLink(url, "gw", version="5", password="hunter2")

    with pytest.raises(ConnectionError) as error:
        async with MqttBus(link):
            pass
    assert "hun" not in f"{error.value}{link!r}"
    assert "127.0.0.1:1" in str(error.value)


@pytest.mark.parametrize("format", ["console", "json"])
def test_no_values_of_variables_in_a_logged_traceback(format: str) -> None:
    root, stream = logging.getLogger(), io.StringIO()
    kept, level = root.handlers[:], root.level
    try:
        log.configure("info", format, stream)
        secret = "hunter" + "2"
        try:
            raise RuntimeError(f"{len(secret)}")
        except RuntimeError:
            logging.getLogger("v2x").exception("failed")
    finally:
        root.handlers[:] = kept
        root.setLevel(level)
    assert "RuntimeError: 7" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


@pytest.mark.virtual_time
async def test_states_of_many_unknown_gateways_use_no_memory() -> None:
    async with scene("CP1-1") as one:
        for number in range(1000):
            status = {"state": "online", "gateway": f"g{number}", "version": "1", "evses": [f"X{number}-1"]}
            await one.client.publish(
                BusMessage(f"v2x/1/home/gateway/g{number}/status", json.dumps(status).encode(), qos=1, retain=True)
            )
        await one.wait(2)
        assert one.running.mqtt.counts["ignored"] >= 1000 - MAX_OTHER_GATEWAYS
        await one.send("evse/CP1-1/cmd/discharge", {"id": "d", "power_w": 3000})
        await one.wait(3)
        assert one.results("d")[0] == "accepted"
