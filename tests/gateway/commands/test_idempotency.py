"""Idempotency, expiry and rate limits: commands that are answered again, refused, or act once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.model.command import Channel, Submission
from gateway.model.journal import Phase, ReplyTo
from gateway.rate_limit import RateLimiter
from gateway.store.store import MemoryStore
from tests.gateway.commands.rig import service_rig
from tests.rounds import rounds
from tests.virtual_time import virtual_examples

pytestmark = pytest.mark.virtual_time


async def test_the_same_id_acts_once_and_gets_the_stored_result() -> None:
    async with service_rig("CP1-1") as rig:
        one, two, three = await asyncio.gather(*(rig.send("CP1-1", "discharge", "a", power_w=5000) for _ in range(3)))
        assert one == two == three
        await rig.wait(3)
        assert (await rig.send("CP1-1", "discharge", "a", power_w=5000)).status == "achieved"
        orders = [power_w for _, power_w, _ in rig.stations.evses["CP1-1"].orders if power_w]
        assert orders == [-5000]
        steps = [entry.step.value for entry in await rig.service.entries(command="a")]
        assert steps.count("journalled") == 1


@pytest.mark.parametrize(
    ("evse", "verb", "body"),
    [("CP1-1", "discharge", {"power_w": 4000}), ("CP1-1", "charge", {"power_w": 5000}),
     (None, "discharge", {"power_w": 5000}), ("CP1-1", "discharge", {"power_w": 5000, "lease_s": 31})],
)  # fmt: skip
async def test_the_same_id_with_another_body_is_refused(evse: str | None, verb: str, body: dict[str, Any]) -> None:
    async with service_rig("CP1-1") as rig:
        await rig.send("CP1-1", "discharge", "a", power_w=5000)
        refused = await rig.send(evse, verb, "a", **body)
        assert (refused.status, refused.reason.code) == ("refused", "id_conflict")
        same = await rig.send("CP1-1", "discharge", "a", power_w=5000, reply_to="elsewhere")
        assert same.reason.code != "id_conflict"


async def test_commands_no_longer_in_memory_are_found_in_the_store() -> None:
    async with service_rig("CP1-1", known_ids=3, evse_rate_per_s=100.0) as rig:
        first = await rig.send("CP1-1", "discharge", "a", power_w=5000)
        for number in range(10):
            await rig.send("CP1-1", "discharge", f"b{number}", power_w=5000)
        again = await rig.send("CP1-1", "discharge", "a", power_w=5000)
        assert again.id == "a"
        assert again.status in ("superseded", first.status)
        assert (await rig.send("CP1-1", "charge", "a", power_w=5000)).reason.code == "id_conflict"


async def test_expired_commands_are_refused_with_the_gateways_time() -> None:
    async with service_rig("CP1-1") as rig:
        late = await rig.send("CP1-1", "discharge", "a", power_w=5000, expires_at=rig.clock.wall() - 1)
        assert (late.status, late.reason.code) == ("refused", "expired")
        assert "2026-01-15T00:00:00" in late.reason.text
        good = await rig.send("CP1-1", "discharge", "b", power_w=5000, expires_at="2026-01-15T00:01:00+00:00")
        assert good.status == "accepted"


async def test_commands_above_the_rate_are_rejected_without_using_the_id_and_a_stop_is_always_accepted() -> None:
    async with service_rig("CP1-1", evse_rate_per_s=1.0, burst_s=5.0) as rig:
        results = [await rig.send("CP1-1", "discharge", f"a{n}", power_w=5000) for n in range(10)]
        assert [one.status.value for one in results] == ["accepted"] * 5 + ["refused"] * 5
        assert results[-1].reason.code == "rate_limited"
        assert (await rig.send("CP1-1", "stop", "s")).status == "accepted"
        await rig.wait(2)
        assert (await rig.send("CP1-1", "discharge", "a9", power_w=5000)).status == "accepted"


async def test_one_source_cannot_use_the_rate_of_the_others() -> None:
    async with service_rig("CP1-1", "CP2-1", source_rate_per_s=1.0, burst_s=2.0) as rig:
        codes = [
            (await rig.send(f"CP{1 + n % 2}-1", "charge", f"a{n}", power_w=1, source="x")).reason.code for n in range(4)
        ]
        assert codes == ["granted", "granted", "rate_limited", "rate_limited"]
        assert (await rig.send("CP1-1", "charge", "b", power_w=1, source="y")).reason.code == "granted"


@given(st.floats(0.5, 100), st.floats(1, 10), st.lists(st.floats(0, 3), max_size=60))
def test_no_pattern_of_arrival_gets_more_than_rate_and_burst(rate: float, burst_s: float, pauses: list[float]) -> None:
    rates, now, allowed = RateLimiter(rate, burst_s), 0.0, 0
    for pause in pauses:
        now += pause
        allowed += rates.allow("x", now)
    assert allowed <= max(1.0, rate * burst_s) + rate * now + 1e-6


BAD = [
    (b"", "bad_json"),
    (b"{", "bad_json"),
    (b"\xff\xfe\x00", "bad_json"),
    (b"[" * 100_00, "bad_json"),
    (b'"text"', "bad_command"),
    (b"[]", "bad_command"),
    (b'{"power_w": 1}', "bad_command"),
    (b'{"id": "a"}', "bad_command"),
    (b'{"id": "a", "power_w": "5000"}', "bad_command"),
    (b'{"id": "a", "power_w": true}', "bad_command"),
    (b'{"id": "a", "power_w": -1}', "bad_command"),
    (b'{"id": "a", "power_w": NaN}', "bad_command"),
    (b'{"id": "a", "power_w": 1e999}', "bad_command"),
    (b'{"id": "a", "power_w": 1, "lease_s": 4}', "bad_command"),
    (b'{"id": "a", "power_w": 1, "lease_s": 3601}', "bad_command"),
    (b'{"id": "a", "power_w": 1, "colour": "red"}', "bad_command"),
    (b'{"id": "a b", "power_w": 1}', "bad_command"),
    (b'{"id": "a", "power_w": 1, "expires_at": "tomorrow"}', "bad_command"),
    (b'{"id": "a", "power_w": 1, "reply_to": "a/#"}', "bad_command"),
    (b'{"id": "a", "power_w": 1, "priority": 101}', "bad_command"),
    (b'{"id": "a", "power_w": 1, "x": "' + b"y" * 70_000 + b'"}', "too_large"),
]


@pytest.mark.parametrize(("payload", "code"), BAD)
async def test_invalid_messages_are_rejected_with_a_reason_and_the_id_if_readable(payload: bytes, code: str) -> None:
    async with service_rig("CP1-1") as rig:
        result = await rig.service.submit(Submission("CP1-1", "discharge", payload, Channel.MQTT))
        assert (result.status, result.reason.code) == ("refused", code)
        assert result.reason.text.endswith(".")
        assert result.id == ("a" if b'"id": "a"' in payload else "a b" if b"a b" in payload else "")
        assert (await rig.send("CP1-1", "discharge", "a", power_w=5000)).status == "accepted"


async def test_retained_and_unknown_verbs_are_refused() -> None:
    async with service_rig("CP1-1") as rig:
        body = json.dumps({"id": "a", "power_w": 1}).encode()
        retained = await rig.service.submit(Submission("CP1-1", "discharge", body, retained=True))
        assert (retained.id, retained.reason.code) == ("a", "retained")
        unknown = await rig.service.submit(Submission("CP1-1", "explode", body, reply=ReplyTo("x")))
        assert unknown.reason.code == "unknown_verb"
        assert "discharge" in unknown.reason.text
        site_only = await rig.service.submit(Submission("CP1-1", "emergency_stop", b'{"id": "b"}'))
        assert site_only.reason.code == "unknown_verb"


NAMES = ["id", "power_w", "lease_s", "priority", "source", "expires_at", "reply_to", "periods", "x"]
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner),
    max_leaves=12,
).map(lambda value: json.dumps(value).encode())


@settings(max_examples=rounds(40, 150), suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.one_of(st.binary(max_size=200), JSON))
@virtual_examples
async def test_no_message_fails_the_command_intake(payload: bytes) -> None:
    async with service_rig("CP1-1") as rig:
        for verb in ("discharge", "schedule", "reserve"):
            result = await rig.service.submit(Submission("CP1-1", verb, payload, Channel.MQTT))
            assert result.status in ("accepted", "clamped", "refused")


@pytest.mark.parametrize("used", ["mode", "discharge"])
async def test_an_emergency_stop_acts_although_its_id_was_used_and_outlives_a_restart(used: str) -> None:
    """On a shared topic any sender could use up the id that a panel sends."""
    store = MemoryStore()
    async with service_rig("CP1-1", store=store) as rig:
        first = await rig.send("CP1-1", "discharge", "run", power_w=5000, lease_s=600)
        if used == "mode":
            await rig.send(None, "mode", "panel", mode="manual")
        else:
            await rig.send("CP1-1", "discharge", "panel", power_w=4000, lease_s=600)
        await rig.wait(3)
        stopped = await rig.send(None, "emergency_stop", "panel")
        assert (stopped.id, stopped.status) == ("panel", "accepted")
        await rig.wait(3)
        assert rig.power("CP1-1") == 0
        assert rig.control.site.emergency_stop is not None
        assert [
            one.id for one, phase in rig.published.results if phase is Phase.FINAL and one.verb == "emergency_stop"
        ] == ["panel"]
        again = await rig.send("CP1-1", "discharge", "run", power_w=5000, lease_s=600)
        assert again.ts >= first.ts  # the stored result, not a new discharge
        assert rig.power("CP1-1") == 0
    async with service_rig("CP1-1", store=store) as rig:
        await rig.wait(3)
        assert (await rig.send("CP1-1", "discharge", "b", power_w=5000)).reason.code == "emergency_stop"


async def test_a_stop_with_the_id_of_a_command_in_intake_acts() -> None:
    async with service_rig("CP1-1") as rig:
        await rig.send("CP1-1", "discharge", "run", power_w=5000, lease_s=600)
        await rig.wait(3)
        _, stopped = await asyncio.gather(
            rig.send("CP1-1", "reserve", "x", min_soc_pct=30), rig.send("CP1-1", "stop", "x")
        )
        assert stopped.status == "accepted"
        await rig.wait(3)
        assert rig.power("CP1-1") == 0
