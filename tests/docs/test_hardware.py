"""Tables of docs/hardware.md, drawn from the fault table, the constants and the settings of the drivers."""

from __future__ import annotations

import re

from gateway.drivers.board import cable_check, fault_state, orders, ports, registry, supervision, supervisor
from gateway.drivers.board.cable_check import Step
from gateway.drivers.board.faults import RULES, FaultName
from gateway.model.event import PlugState
from tests.docs.pages import blocks
from tests.drawings import drawn
from tests.peers import ROOT

PAGE = ROOT / "docs" / "hardware.md"
OCPP16_ERRORS = {
    "ConnectorLockFailure", "EVCommunicationError", "GroundFailure", "HighTemperature", "InternalError", "NoError",
    "OtherError", "OverCurrentFailure", "OverVoltage", "PowerMeterFailure", "PowerSwitchFailure", "UnderVoltage",
}  # fmt: skip


def table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(cell or " " for cell in row) + " |\n" for row in lines).replace("  |", " |")


def faults() -> str:
    rows = []
    for rule in RULES:
        name = f"`{rule.name}`" + (f" of the {rule.part}" if rule.part else "")
        status = "unchanged" if rule.status is PlugState.AVAILABLE else "Faulted"
        rows.append([name, rule.meaning, str(rule.reaction), status, f"`{rule.ocpp16_error}`", f"`{rule.reason}`"])
    return table(["fault", "meaning", "reaction", "OCPP status", "OCPP 1.6 error", "MQTT reason"], rows)


def times() -> str:
    values = [
        ("set-point repeated by the supervisor", f"{supervisor.FEED_S:g} s"),
        ("set-point ends in the driver without it (`HOLD_S`)", f"{ports.HOLD_S:g} s"),
        ("set-point transmitted at the latest (`REAPPLY_S`)", f"{ports.REAPPLY_S:g} s"),
        ("order ends without repetition by the protocol", f"{orders.ORDER_VALID_S:g} s"),
        ("period of the supervision", f"{supervisor.POLL_S:g} s"),
        ("current 0 A after a stop, besides the time to settle", f"{supervision.ZERO_WITHIN_S:g} s"),
        ("current 0 A after a stop of an AC output (X1)", f"{supervision.AC_ZERO_WITHIN_S:g} s"),
        ("contactors open below", f"{supervision.OPEN_BELOW_A:g} A"),
        ("contactors confirm their position", f"{supervisor.CONTACTORS_WITHIN_S:g} s"),
        ("power stage counts as silent", f"{supervision.STAGE_SILENT_S:g} s"),
        ("meter counts as silent", f"{supervision.METER_SILENT_S:g} s"),
        (
            "a silent power stage counts as off",
            f"{ports.HOLD_S + supervision.SILENCE_MARGIN_S:g} s + its silence time-out "
            f"({supervision.BLIND_S:g} s where that is not known)",
        ),
        ("current outside of the set-point, after the time to settle", f"{supervision.DEVIATION_S:g} s"),
        ("cable check: isolation of at least", f"{cable_check.MIN_OHM_PER_V:g} Ω per V of the largest voltage"),
        ("cable check: current of the test voltage", f"{cable_check.TEST_CURRENT_A:g} A"),
        ("cable check: no voltage at the connector before", f"below {cable_check.SAFE_V:g} V"),
        *((f"cable check: {step}", f"{cable_check.WITHIN_S[step]:g} s") for step in Step),
        (
            "the pilot counts as bouncing",
            f"{fault_state.BOUNCES} changes within {fault_state.BOUNCE_WINDOW_S:g} s",
        ),
        ("the pilot counts as steady again", f"{fault_state.STEADY_S:g} s"),
    ]
    return table(["what", "value"], [[what, value] for what, value in values])


def settings(name: str) -> str:
    rows = []
    for key, field in registry.driver(name).settings_model().model_fields.items():
        default = "required" if field.is_required() else f"`{field.default}`"
        rows.append([f"`{key}`", default, field.description or ""])
    return f"### {name}\n\n" + table(["setting", "default", ""], rows)


HARDWARE = [
    "infypower-beg",
    "infypower",
    "winline",
    "everest",
    "emulated",
    "emulated-ac",
    "emulated-chademo",
    "combined",
]


def test_the_hardware_page() -> None:
    drivers = "\n\n".join(settings(name).strip() for name in HARDWARE)
    generated = {"Times and limits": times().strip(), "Faults": faults().strip(), "Drivers": drivers}
    parts = re.split(r"(?m)^## (.*)\n", PAGE.read_text(encoding="utf-8"))
    text = parts[0]
    for heading, body in zip(parts[1::2], parts[2::2], strict=True):
        new = body
        if heading in generated:
            prose = re.split(r"(?m)^###" if heading == "Drivers" else r"(?m)^\|", body)[0].strip()
            new = "\n" + (f"{prose}\n\n" if prose else "") + generated[heading] + "\n\n"
        text += f"## {heading}\n{new}"
    drawn("hardware.md", text.rstrip() + "\n")


def test_the_fault_table_is_complete() -> None:
    assert {rule.name for rule in RULES} == set(FaultName)
    assert {rule.ocpp16_error for rule in RULES} <= OCPP16_ERRORS
    assert all(rule.meaning for rule in RULES)
    assert len({(rule.part, rule.name) for rule in RULES}) == len(RULES)


def test_the_example_of_measured_voltages() -> None:
    [example] = [one for one in blocks(PAGE, "python") if "state_of_voltage" in one.code]
    exec(compile(example.code, str(example), "exec"), {})
