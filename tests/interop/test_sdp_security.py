"""Security of the SDP response and of the connection after it, between programs of ours on a link."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.josev import Programs
from tests.interop.veth_link import veth_link

TLS_1_2, TLS_1_3 = "TLSv1.2", "TLSv1.3"
ISO2, ISO20, DIN = "urn:iso:15118:2:2013:MsgDef", "urn:iso:std:iso:15118:-20:DC", "urn:din:70121:2012:MsgDef"


@pytest.mark.parametrize(
    ("charger", "cars"),
    [
        (
            "allow",
            {  # the response has the security that the car requests
                "none": ("din,iso2", None, DIN),
                "1.2": ("iso2", TLS_1_2, ISO2),
                "1.3": ("iso20", TLS_1_3, ISO20),
                "allow": ("iso20,iso2", TLS_1_3, ISO20),
            },
        ),
        ("none", {"allow": ("iso20,iso2", None, ISO20), "none": ("iso2", None, ISO2)}),  # no TLS although requested
        ("require", {"require": ("iso20,iso2", TLS_1_3, ISO20), "1.2": ("iso2", TLS_1_2, ISO2), "none": None}),
    ],
)
def test_the_security_of_a_charger_and_its_cars(
    charger: str, cars: dict[str, tuple[str, str | None, str] | None], tmp_path: Path
) -> None:
    with veth_link() as link:
        programs = Programs(link, tmp_path)
        try:
            programs.our_charger(tls_version=charger, services="dc", power_w=3000, cable_check_s=0.0)
            sessions = [
                {"name": name, "tls": name, "service": "dc", "loops": 2, "protocols": car[0] if car else "iso2"}
                for name, car in cars.items()
            ]
            records = programs.our_cars(sessions)
        finally:
            programs.stop()
    for name, car in cars.items():
        record = records[name]
        if car is None:
            assert record["reason"] == "the charger on v2xev requires TLS"
        else:
            assert record["ok"], record
            assert (record["tls"], record["protocol"]) == car[1:]
