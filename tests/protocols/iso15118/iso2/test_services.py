"""Value-added services of ISO 15118-2: discovery with its filters, details, selection."""

from __future__ import annotations

from typing import Any

import pytest

from protocols.iso15118.din.dialect import DIN
from protocols.iso15118.iso2.dialect import ISO2
from protocols.iso15118.iso2.services import INTERNET, ValueAddedService
from protocols.iso15118.iso2.states import Step
from protocols.iso15118.iso20 import events
from tests.protocols.iso15118.iso2.iso2_pair import in_loop, old_pair
from tests.protocols.iso15118.iso2.raw_car import RawCar

OTHER = ValueAddedService(service_id=60_000, category="OtherCustom", name="Parking", scope="https://example.org")
TYPED = ValueAddedService(
    service_id=60_001, category="OtherCustom", sets=((1, (("Free", True), ("Minutes", 30), ("Name", "x"))),)
)
SERVICES = (INTERNET, OTHER, TYPED)


def discovered(**filters: Any) -> list[int]:
    car = RawCar(services=SERVICES)
    car.go(Step.SERVICE_DISCOVERY)
    listed = car.step(Step.SERVICE_DISCOVERY, **filters).ServiceList
    return [] if listed is None else [one.ServiceID for one in listed.Service]


def test_discovery_filters_by_category_and_scope() -> None:
    category = ISO2.types.ServiceCategory
    assert discovered() == [3, 60_000, 60_001]
    assert discovered(ServiceCategory=category.EVCharging) == [3, 60_000, 60_001]
    assert discovered(ServiceCategory=category.Internet) == [3]
    assert discovered(ServiceCategory=category.ContractCertificate) == []
    assert discovered(ServiceScope="https://example.com") == [3, 60_001]


def test_details_are_the_parameter_sets() -> None:
    car = RawCar(services=SERVICES)
    car.go(Step.PAYMENT_SELECTION)
    (first, second) = car.send(ISO2.request("ServiceDetailReq", ServiceID=3)).ServiceParameterList.ParameterSet
    assert [(one.Name, one.stringValue, one.intValue) for one in first.Parameter] == [
        ("Protocol", "http", None),
        ("Port", None, 80),
    ]
    assert second.ParameterSetID == 4
    (typed,) = car.send(ISO2.request("ServiceDetailReq", ServiceID=60_001)).ServiceParameterList.ParameterSet
    assert [(one.boolValue, one.intValue, one.stringValue) for one in typed.Parameter] == [
        (True, None, None),
        (None, 30, None),
        (None, None, "x"),
    ]
    assert car.send(ISO2.request("ServiceDetailReq", ServiceID=60_000)).ServiceParameterList is None


@pytest.mark.parametrize(
    ("chosen", "code"),
    [
        ([(1, None), (3, 4), (60_000, None)], "OK"),
        ([(1, None), (3, 9)], "FAILED_ServiceSelectionInvalid"),
        ([(1, None), (3, None)], "FAILED_ServiceSelectionInvalid"),
        ([(1, None), (60_000, 1)], "FAILED_ServiceSelectionInvalid"),
        ([(1, None), (7, None)], "FAILED_ServiceSelectionInvalid"),
        ([(3, 3)], "FAILED_NoChargeServiceSelected"),
    ],
)
def test_the_selection_is_checked(chosen: list[tuple[int, int | None]], code: str) -> None:
    """V2G2-467, 804."""
    t = ISO2.types
    car = RawCar(services=SERVICES)
    car.go(Step.PAYMENT_SELECTION)
    services = tuple(t.SelectedService(ServiceID=one, ParameterSetID=set_id) for one, set_id in chosen)
    listed = t.SelectedServiceList(SelectedService=services)
    assert car.step(Step.PAYMENT_SELECTION, SelectedServiceList=listed).ResponseCode == code
    selected = [one.services for one in car.seen(events.ValueAddedServicesSelected)]
    assert selected == ([((3, 4), (60_000, None))] if code == "OK" else [])


def test_a_car_selects_the_services_that_it_uses() -> None:
    pair = old_pair(ISO2, secc={"services": SERVICES}, ev={"services": ("Internet", "OtherCustom")})
    pair.run(in_loop)
    expected = ((3, 3), (60_000, None), (60_001, 1))
    assert pair.seen(events.ValueAddedServicesSelected)[0].services == expected
    assert pair.ev_seen(events.ValueAddedServicesSelected)[0].services == expected


def test_din_has_charging_only() -> None:
    pair = old_pair(DIN, secc={"services": SERVICES}, ev={"services": ("Internet",)})
    pair.run(in_loop)
    assert not pair.seen(events.ValueAddedServicesSelected)
