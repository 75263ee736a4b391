"""ConnectedEV of 2.1: link and capacity of the vehicle; a CHAdeMO vehicle states no needs and can be discharged."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.model.event import NeedsStated, VehicleDescribed, VehicleIdentified
from gateway.model.vehicle_link import link_of
from tests.gateway.csms.raw_station import Raw

pytestmark = pytest.mark.virtual_time

V2X = {"SupportedOperationModes": "ChargingOnly,CentralSetpoint", "Enabled": "true"}
ID = "00" * 20 + "4C454146"


@pytest.mark.parametrize(
    ("agreed", "link"),
    [
        ("CHAdeMO,2", "chademo"),
        ("chademo,3", "chademo"),
        ("urn:iso:std:iso:15118:-20:DC,1,0", "iso15118-20"),
        ("urn:iso:15118:2:2013:MsgDef,2,0", "iso15118-2"),
        ("urn:din:70121:2012:MsgDef,2,0", "din70121"),
        ("urn:tesla:din:2018:MsgDef", None),
        ("", None),
    ],
)
def test_protocol_agreed_names_the_link(agreed: str, link: str | None) -> None:
    assert link_of(agreed) == link


def answer(**values: str | None) -> dict[str, Any]:
    """Return a GetVariables response; None: the station does not know the variable."""
    kinds = {"EnergyImport": "MaxSet"}
    return {
        "getVariableResult": [
            {
                "component": {"name": "ConnectedEV", "evse": {"id": 1}},
                "variable": {"name": name},
                "attributeType": kinds.get(name, "Actual"),
                "attributeStatus": "UnknownVariable" if value is None else "Accepted",
                **({} if value is None else {"attributeValue": value}),
            }
            for name, value in values.items()
        ]
    }


async def started(raw: Raw, *, component: bool = True) -> None:
    """Boot a station, which may have the component, and start a transaction."""
    await raw.boot()
    station = raw.csms.stations["CP1"]
    for name, value in V2X.items():
        station.set_variable(("V2XChargingCtrlr", 1, name, ""), value)
    if component:
        station.set_variable(("ConnectedEV", 1, "Available", ""), "false")
    station.evse(1)
    station.describe_all()
    await raw.event("Started", 0)


def of(raw: Raw, kind: type[Any]) -> list[Any]:
    return [event for event in raw.events if isinstance(event, kind)]


async def test_a_chademo_vehicle_without_stated_needs_can_be_discharged() -> None:
    async with Raw() as raw:
        await started(raw)
        asked = await raw.next_call(
            "GetVariables", answer(ProtocolAgreed="CHAdeMO,2", VehicleId=ID, EnergyImport="38800")
        )
        assert [(one["variable"]["name"], one["attributeType"]) for one in asked["getVariableData"]] == [
            ("ProtocolAgreed", "Actual"),
            ("VehicleId", "Actual"),
            ("EnergyImport", "MaxSet"),
        ]
        await raw.clock.sleep(1)
        (described,) = of(raw, VehicleDescribed)
        assert (described.evse, described.link, described.capacity_wh) == ("CP1-1", "chademo", 38_800)
        assert of(raw, VehicleIdentified)[-1].vehicle == ID
        needs = of(raw, NeedsStated)[-1].needs
        assert (needs.bidirectional, needs.limits.max_discharge_w) == (True, 10_000)
        assert raw.csms.stations["CP1"].evse(1).bidirectional is True


@pytest.mark.parametrize("capacity", ["0", "", "nan", "1e9", "many", None])
async def test_a_capacity_that_is_not_plausible_is_not_used(capacity: str | None) -> None:
    async with Raw() as raw:
        await started(raw)
        await raw.next_call("GetVariables", answer(ProtocolAgreed="CHAdeMO,2", VehicleId="", EnergyImport=capacity))
        await raw.clock.sleep(1)
        (described,) = of(raw, VehicleDescribed)
        assert described.capacity_wh is None
        assert of(raw, VehicleIdentified) == []


async def test_a_vehicle_of_iso_15118_without_needs_is_only_charged() -> None:
    async with Raw() as raw:
        await started(raw)
        agreed = "urn:iso:std:iso:15118:-20:DC,1,0"
        await raw.next_call("GetVariables", answer(ProtocolAgreed=agreed, VehicleId="WMIV1", EnergyImport="5000"))
        await raw.clock.sleep(1)
        (described,) = of(raw, VehicleDescribed)
        assert (described.link, described.capacity_wh) == ("iso15118-20", None)
        assert of(raw, NeedsStated) == []
        assert raw.csms.stations["CP1"].evse(1).bidirectional is None


async def test_it_is_read_once_with_the_needs_and_again_in_the_next_session() -> None:
    async with Raw() as raw:
        await started(raw)
        vehicle = answer(ProtocolAgreed="CHAdeMO,2", VehicleId="", EnergyImport="38800")
        for number, transaction in enumerate(("t1", "t2")):
            if number:
                await raw.event("Started", 0, transaction)
            needs = {"requestedEnergyTransfer": "DC_BPT", "v2xChargingParameters": {"maxChargePower": 10_000}}
            assert (await raw.ok("NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": needs}))[
                "status"
            ] == "Accepted"
            await raw.next_call("GetVariables", vehicle)
            await raw.clock.sleep(10)
            assert "GetVariables" not in [call[2] for call in raw.csms_calls]
            assert len(of(raw, VehicleDescribed)) == number + 1
            await raw.event("Ended", 1, transaction)


async def test_a_station_without_the_component_is_not_asked() -> None:
    async with Raw() as raw:
        await started(raw, component=False)
        await raw.clock.sleep(20)
        assert "GetVariables" not in [call[2] for call in raw.csms_calls]
        assert of(raw, VehicleDescribed) == []


async def test_an_answer_after_the_end_of_the_session_is_not_of_the_next_vehicle() -> None:
    async with Raw() as raw:
        await started(raw)
        await raw.next_call("GetVariables")
        await raw.event("Ended", 1)
        await raw.answer_last(answer(ProtocolAgreed="CHAdeMO,2", VehicleId=ID, EnergyImport="38800"))
        await raw.clock.sleep(1)
        assert of(raw, VehicleDescribed) == []
