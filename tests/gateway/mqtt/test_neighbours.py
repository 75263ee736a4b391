"""States of other sites on the same broker, for vehicle lending: subscribed on demand, without effect if malformed."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.mqtt.topics import Kind, Topics
from protocols.ports import BusMessage
from tests.gateway.energy.test_energy_service import LENT
from tests.gateway.mqtt.memory import scene

pytestmark = pytest.mark.virtual_time

SCHOOL = '[[place]]\nname = "school"\nlatitude = 35.62\nlongitude = 139.58\n'


@pytest.mark.parametrize(
    ("topic", "site"),
    [
        ("v2x/1/school/site/state", "school"),
        ("v2x/1/home/site/state", None),
        ("v2x/2/school/site/state", None),
        ("v2x/1/school/site/event", None),
        ("v2x/1/school/evse/CP1-1/state", None),
        ("elsewhere", None),
    ],
)
def test_only_states_of_other_sites_are_neighbours(topic: str, site: str | None) -> None:
    parsed = Topics("home", "gw1").parse(topic)
    assert (parsed.name if parsed.kind is Kind.NEIGHBOUR else None) == site


async def test_a_site_request_is_received_over_the_broker_and_vehicles_are_deployed(tmp_path: Path) -> None:
    file = tmp_path / "lent.toml"
    file.write_text(SCHOOL + LENT)

    async with scene("CP1-1", blue_switch={"file": str(file)}) as one:

        async def publish(site: str, payload: bytes) -> None:
            topic = f"v2x/1/{site}/site/state"
            await one.client.publish(BusMessage(topic, payload, qos=1, retain=True))
            await one.wait(6)

        await publish("school", b"{")
        await publish("school", b"[" * 70_000)
        await publish(
            "school", b'{"energy": {"phase": "island", "need": {"draw_w": 1e999, "stored_wh": 0, "bays": 1}}}'
        )
        assert one.on("site/event") == [] or all(event.get("code") is None for event in one.on("site/event"))
        await publish("nowhere", b'{"energy": {"phase": "island", "need": {"draw_w": 900, "stored_wh": 0, "bays": 1}}}')
        await publish(
            "school", b'{"energy": {"phase": "island", "need": {"draw_w": 900, "stored_wh": 4000, "bays": 2}}}'
        )
        codes = {event.get("code"): event.get("subject") for event in one.on("site/event")}
        assert codes["site_needs_cars"] == "school"
        assert codes["car_called"] == "LENT"
