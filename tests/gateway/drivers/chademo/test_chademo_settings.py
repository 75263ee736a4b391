"""Settings of CHAdeMO EVSEs: what is accepted, what is refused with the key, and what v2x doctor finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emulators.runtime.embedded_broker import EmbeddedBroker
from gateway.cli.doctor import examine
from gateway.cli.findings import Verdict
from gateway.config import Config, ConfigError, from_table
from gateway.config.lint import notes
from gateway.config.mapping import chademo_settings
from gateway.config.verification import verify
from gateway.drivers.board.ports import Capability, Range
from gateway.drivers.chademo.settings import charger_settings
from tests.gateway.mqtt.facility import free_port

EVSE = {"id": "LEAF1", "driver": "chademo", "board": "emulated-chademo", "can": "memory:settings"}


def config(folder: Path | None = None, **values: Any) -> Config:
    """Return a configuration with one EVSE."""
    return from_table({"store": {"url": "memory:"}, "evses": [EVSE | values]}, folder or Path())


def test_the_defaults_are_those_of_a_v2h_charger() -> None:
    (found,) = chademo_settings(config())
    assert (found.protocol, found.v2h, found.keep_alive_s, found.bidirectional) == (2, 2, 60.0, True)
    (found,) = chademo_settings(config(protocol="2.0", v2h="none", keep_alive_s=0, max_charge_w=3000))
    assert (found.protocol, found.v2h, found.keep_alive_s, found.bidirectional) == (3, None, None, False)
    assert found.max_charge_w == 3000


def test_the_engine_gets_the_limits_of_the_hardware() -> None:
    (found,) = chademo_settings(config())
    stage = Range(150, 450.5, 300.0, 10_000), Range(150, 450.5, 20.9, 6000)
    made = charger_settings(found, Capability(*stage))
    assert (made.max_voltage_v, made.min_voltage_v, made.test_voltage_v) == (450, 150, 450)
    assert (made.max_charge_a, made.max_discharge_a, made.v2h) == (255, 20, True)
    made = charger_settings(found, Capability(stage[0]))
    assert (made.max_discharge_a, made.v2h) == (0, False)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"board": "emulated"}, "evses.0.board: board emulated has no lines of a CHAdeMO plug"),
        ({"board": "nothing"}, "evses.0.board: unknown board nothing"),
        ({"board_settings": {"chanel": "x"}}, "board_settings.chanel"),
        ({"can": "can9"}, "evses.0.can: this machine has no interface can9"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_key(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        verify(config(**values))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"can": ""}, "evses.0.can"),
        ({"v2h": "3.0"}, "evses.0.v2h"),
        ({"keep_alive_s": 900}, "evses.0.keep_alive_s"),
        ({"services": ["dc"]}, "evses.0.services"),
    ],
)
def test_wrong_values_name_the_key(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(**values)


def test_a_bus_on_the_network_is_noted() -> None:
    assert [note for note in notes(config(can="udp:239.74.163.3")) if ".can:" in note]
    assert not [note for note in notes(config()) if ".can:" in note]


async def test_the_doctor_opens_the_bus(tmp_path: Path) -> None:
    pytest.importorskip("can")
    async with EmbeddedBroker() as broker:
        table = {
            "mqtt": {"url": broker.url},
            "ocpp": {"listen": f"127.0.0.1:{free_port()}"},
            "store": {"url": "memory:"},
            "evses": [EVSE, EVSE | {"id": "LEAF2", "can": "udp:no-such-group"}],
        }
        found = [one for one in await examine(from_table(table, tmp_path)) if one.check == "CAN"]
    assert [one.verdict for one in found] == [Verdict.OK, Verdict.FAILED]
    assert found[0].text == "evses.0.can: memory:settings can be opened"
    assert found[1].text.startswith("evses.1.can: CAN udp:no-such-group:")
