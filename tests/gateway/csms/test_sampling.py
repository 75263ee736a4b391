"""Sampling of a station: a missing measurand is added, a long interval shortened."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gateway.csms.sampling import OPTIONAL, POWER, REQUIRED
from protocols.ocpp.schema import Version
from tests.gateway.csms.raw_station import Raw

pytestmark = pytest.mark.virtual_time

ENERGY = "Energy.Active.Import.Register"


async def settings_after_boot(
    version: Version, held: dict[str, str], *, takes: int = 12, readonly: bool = False, **about: Any
) -> tuple[dict[str, str], list[str]]:
    """Return the settings of a station after its boot, and every value that was sent; it accepts so many measurands."""
    sent: list[str] = []

    def take(key: str, value: str) -> str:
        sent.append(value)
        if key.endswith(("Data", "Measurands")) and len(value.split(",")) > takes:
            return "Rejected"
        held[key] = value
        return "Accepted"

    def answer(action: str, body: dict[str, Any]) -> dict[str, Any] | None:
        if action == "GetConfiguration":
            known = [{"key": k, "readonly": readonly, "value": held[k]} for k in body["key"] if k in held]
            return {"configurationKey": known}
        if action == "ChangeConfiguration":
            return {"status": take(body["key"], body["value"])}
        if action == "GetVariables":
            named = [(one, one["variable"]["name"]) for one in body["getVariableData"]]
            return {
                "getVariableResult": [
                    {**one, "attributeStatus": "Accepted", "attributeValue": held[name]}
                    if name in held
                    else {**one, "attributeStatus": "UnknownVariable"}
                    for one, name in named
                ]
            }
        if action == "SetVariables":
            [one] = body["setVariableData"]
            value = one.pop("attributeValue")
            return {"setVariableResult": [{**one, "attributeStatus": take(one["variable"]["name"], value)}]}
        return None

    async with Raw(version, inventory=True, **about) as raw:
        booting = asyncio.create_task(raw.boot())
        for _ in range(100):
            await asyncio.sleep(0.05)
            for message in list(raw.csms_calls):
                raw.csms_calls.remove(message)
                body_of_reply = answer(message[2], message[3])
                reply = (
                    [4, message[1], "NotSupported", "", {}] if body_of_reply is None else [3, message[1], body_of_reply]
                )
                await raw.send(json.dumps(reply))
        await booting
    return held, sent


KEYS = {
    Version.V16: ("MeterValuesSampledData", "MeterValueSampleInterval"),
    Version.V201: ("TxUpdatedMeasurands", "TxUpdatedInterval"),
    Version.V21: ("TxUpdatedMeasurands", "TxUpdatedInterval"),
}


@pytest.mark.parametrize("version", list(KEYS))
async def test_missing_measurands_are_added_and_the_interval_shortened(version: Version) -> None:
    values, interval = KEYS[version]
    held, sent = await settings_after_boot(version, {values: f"Voltage,{ENERGY}", interval: "300"})
    optional = OPTIONAL if version is Version.V21 else ()
    assert set(held[values].split(",")) == {"Voltage", *REQUIRED, *optional}
    assert held[interval] == "10"
    assert len(sent) == 2


@pytest.mark.parametrize("version", list(KEYS))
async def test_sufficient_sampling_is_not_changed(version: Version) -> None:
    values, interval = KEYS[version]
    _, sent = await settings_after_boot(version, {values: ",".join(("Frequency", *REQUIRED, *OPTIONAL)), interval: "5"})
    assert sent == []


@pytest.mark.parametrize("version", list(KEYS))
@pytest.mark.parametrize("takes", [1, 2, 3, 4])
async def test_a_station_with_few_measurands_samples_power_at_least(version: Version, takes: int) -> None:
    values, interval = KEYS[version]
    held, _ = await settings_after_boot(version, {values: ENERGY, interval: "0"}, takes=takes)
    expected = {1: {ENERGY}, 2: {ENERGY, POWER[0]}}.get(takes, {ENERGY, *POWER})
    assert set(held[values].split(",")) == expected
    assert held[interval] == "10"


async def test_optional_measurands_are_tried_once_on_a_21_station() -> None:
    values, _ = KEYS[Version.V21]
    held, sent = await settings_after_boot(Version.V21, {values: ",".join(REQUIRED)}, takes=len(REQUIRED))
    assert set(held[values].split(",")) == set(REQUIRED)
    assert len(sent) == 1


@pytest.mark.parametrize(("held_s", "left_s"), [("5", "5"), ("25", "25"), ("26", "25"), ("0", "25"), ("", "25")])
async def test_the_sampling_interval_is_configurable(held_s: str, left_s: str) -> None:
    _, interval = KEYS[Version.V21]
    held, _ = await settings_after_boot(Version.V21, {interval: held_s}, sample_every_s=25)
    assert held[interval] == left_s


async def test_read_only_and_unknown_settings_are_not_changed() -> None:
    values, interval = KEYS[Version.V16]
    held = {values: ENERGY, interval: "300"}
    assert await settings_after_boot(Version.V16, dict(held), readonly=True) == (held, [])
    assert await settings_after_boot(Version.V21, {}) == ({}, [])
