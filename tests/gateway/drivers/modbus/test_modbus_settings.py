"""Configuration of devices over Modbus: products, addresses, mistakes and what is meant, notes, `v2x doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emulators.modbus.sunspec import Measurements, sunspec_device
from emulators.runtime.clock import RealClock, VirtualClock
from gateway.cli.doctor import examine
from gateway.cli.findings import Verdict
from gateway.config import ConfigError, from_table
from gateway.config.devices import modbus_devices, site_devices
from gateway.config.lint import notes
from gateway.config.verification import verify
from gateway.drivers.modbus.probe import probe
from gateway.drivers.modbus.settings import ModbusSettings, host_of, product_of
from gateway.drivers.site_inputs import SiteInputs
from gateway.model.site import InputKind
from protocols.modbus.io import ModbusClient, listen
from protocols.modbus.register import Meaning
from protocols.modbus.register_map import Kind, shipped
from tests.gateway.drivers.modbus.bench import Cable, wallbox

BOX = {"id": "BAY", "driver": "modbus", "product": "quasar-1", "address": "192.0.2.10"}


def config(**tables: Any) -> Any:
    return from_table({"store": {"url": "memory:"}, "ocpp": {"security_profile": 0, "listen": "127.0.0.1:0"}, **tables})


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            {"evses": [{**BOX, "product": "quasr-1"}]},
            "evses.0.product: there is no product 'quasr-1', did you mean 'quasar-1'",
        ),
        ({"evses": [{**BOX, "product": "sunspec-meter"}]}, "evses.0.product: sunspec-meter is no evse but meter"),
        ({"evses": [{**BOX, "connector": 2}]}, "evses.0.product: quasar-1 has connectors 1 to 1, not 2"),
        ({"evses": [{**BOX, "product": "missing.toml"}]}, "missing.toml cannot be read"),
        ({"meters": [{"product": "quasar-1", "address": "a"}]}, "meters.0.product: quasar-1 is no meter but evse"),
        ({"evses": [{**BOX, "adress": "x"}]}, "evses.0.adress: is not a key of the gateway; known here are driver"),
        ({"evses": [{**BOX, "driver": "modbuss"}]}, "evses.0: driver must be one of secc, chademo, modbus, echonet"),
        ({"evses": [{**BOX, "id": "BAY-1"}]}, "evses.0.id: BAY-1 would be an EVSE of a charging station"),
        ({"evses": [{**BOX, "address": "[::1]:70000"}]}, "evses.0.address: "),
        ({"evses": [BOX, BOX]}, "evses.1.id: BAY is listed twice"),
        ({"meters": [{"product": "sunspec", "address": "a", "input": "price"}]}, "meters.0.input: "),
    ],
)
def test_a_mistake_is_named_with_its_key(tables: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        verify(config(**tables))
    assert message in str(refused.value)


def test_a_map_of_the_site_is_read_beside_its_configuration(tmp_path: Path) -> None:
    text = (Path(__file__).parents[4] / "protocols/modbus/products/quasar-1.toml").read_text("utf-8")
    (tmp_path / "own.toml").write_text(text.replace('name = "quasar-1"', 'name = "own"'))
    table = {"evses": [{**BOX, "product": "own.toml", "unit": 7}]}
    found = modbus_devices(from_table(table, tmp_path))
    assert [(one.key, one.product.name, one.product.unit) for one in found] == [("evses.0", "own", 7)]
    (tmp_path / "own.toml").write_text(text.replace("least_w = 200", "leat_w = 200"))
    with pytest.raises(
        ConfigError, match=r"evses.0.product: .*leat_w is not a key of a register map, did you mean 'least_w'"
    ):
        modbus_devices(from_table(table, tmp_path))


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("192.0.2.10", "192.0.2.10", 502),
        ("192.0.2.10:5020", "192.0.2.10", 5020),
        ("box.home", "box.home", 502),
        ("[2001:db8::1]:5020", "2001:db8::1", 5020),
        ("[2001:db8::1]", "2001:db8::1", 502),
        ("2001:db8::1", "2001:db8::1", 502),
    ],
)
def test_an_address_with_and_without_a_port(address: str, host: str, port: int) -> None:
    settings = ModbusSettings("quasar-1", address)
    assert host_of(settings, shipped("quasar-1")) == (host, port)
    config(evses=[{**BOX, "address": address}])


def test_sunspec_is_the_product_of_each_kind() -> None:
    for kind in (Kind.METER, Kind.PV, Kind.STORAGE):
        assert product_of(ModbusSettings("sunspec", "a"), kind, Path()).name == f"sunspec-{kind}"


def test_what_the_devices_are_at_the_site() -> None:
    sunspec = {"product": "sunspec", "address": "a"}
    found = site_devices(
        config(
            meters=[sunspec, {**sunspec, "input": "load", "reversed": True}],
            pvs=[sunspec],
            storages=[sunspec],
            evses=[BOX],
        ),
        None,
        RealClock(),
        SiteInputs(lambda kind, payload: None, RealClock()),
        lambda: None,
        lambda: None,
    )
    assert found is not None
    kinds = [(one.name, one.kind, one.sign) for one in found.devices]
    assert kinds == [
        ("meters.0", InputKind.GRID, 1), ("meters.1", InputKind.LOAD, -1), ("storages.0", InputKind.STORAGE, 1),
        ("pvs.0", InputKind.PV, 1),
    ]  # fmt: skip


def test_a_product_without_a_time_out_is_noted() -> None:
    found = [
        one for one in notes(config(evses=[BOX, {**BOX, "id": "YARD", "product": "ambibox"}])) if "time-out" in one
    ]
    assert len(found) == 1
    assert found[0].startswith("evses.1.product: ambibox has no silence time-out")


async def test_doctor_reads_each_device_and_writes_nothing() -> None:
    measured = Measurements({Meaning.POWER_W: lambda at: 1234.0})
    meter = sunspec_device(shipped("sunspec-meter"), [1, 203], measured, RealClock())
    listener = await listen(meter.handle, "127.0.0.1", 0)
    sunspec = {"product": "sunspec", "address": f"127.0.0.1:{listener.port}"}
    found = await examine(config(meters=[sunspec], pvs=[sunspec], storages=[{**sunspec, "address": "127.0.0.1:1"}]))
    await listener.close()
    modbus = {one.text.partition(":")[0]: one for one in found if one.check == "modbus"}
    assert modbus["meters.0"].verdict is Verdict.OK
    assert "model E1, power_w 1234" in modbus["meters.0"].text
    assert modbus["pvs.0"].verdict is Verdict.FAILED
    assert "none of the registers that sunspec-pv reads" in modbus["pvs.0"].text
    assert modbus["storages.0"].verdict is Verdict.FAILED
    assert meter.writes == []


@pytest.mark.virtual_time
async def test_a_probe_of_a_wallbox_writes_nothing() -> None:
    product, clock = shipped("quasar-1"), VirtualClock()
    device, _ = wallbox(product, clock)
    cable = Cable(device)
    answers, text = await probe(product, ModbusClient(cable.connect, clock), clock, 5.0)
    assert answers
    assert "state ready, power_w 0" in text
    assert device.writes == []
    device.faults.silent = True
    answers, text = await probe(product, ModbusClient(cable.connect, clock), clock, 5.0)
    assert not answers
    for task in cable.tasks:
        task.cancel()
