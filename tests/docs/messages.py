"""Texts of errors that a user can meet, read from the source: `…` stands for a value.

A text belongs to a user if a command prints it, an HTTP answer or a refused handshake contains it, or a fixture raises
it. Modules whose errors never leave the process by themselves are listed in `INTERNAL`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.source_tree import modules

PLACEHOLDER = "…"
# Errors with a text for a user, by the name of the class that is raised or of the function that is called.
RAISED = {
    "BadLine",
    "BlueSwitchError",
    "BoardError",
    "CapabilityError",
    "CaptureError",
    "CatalogueError",
    "ConfigError",
    "ConnectionError",
    "DemoError",
    "FaultError",
    "GatewayIdInUse",
    "HTTPException",
    "InvalidControl",
    "LaboratoryError",
    "LookupError",
    "NotFound",
    "NotSigned",
    "OSError",
    "OptionError",
    "ProfileError",
    "RecordingError",
    "RequestRejected",
    "RunError",
    "RuntimeError",
    "ScenarioError",
    "Stalled",
    "StartError",
    "StateError",
    "StoreError",
    "SubscriptionRefused",
    "TimeoutError",
    "TlsSetupError",
    "ToolError",
    "UsageError",
    "ValueError",
}
CALLED = {"fail", "reject", "respond", "report_error"}
INTERNAL = (
    "emulators/battery/",
    "emulators/boards/",
    "emulators/charger/hardware/",
    "emulators/charger/station/connector_sessions.py",
    "emulators/charger/station/csms_link/link.py",
    "emulators/charger/station/maintenance/",
    "emulators/conformance/case.py",
    "emulators/runtime/memory_broker.py",
    "emulators/runtime/memory_can.py",
    "emulators/runtime/transports.py",
    "emulators/site/facility.py",
    "emulators/world/echonet_bay.py",
    "emulators/world/hosted_bay.py",
    "emulators/world/modbus_bay.py",
    "emulators/world/multi_site.py",
    "emulators/world/network.py",
    "emulators/world/parking_bay.py",
    "emulators/world/world.py",
    "gateway/authority/",
    "gateway/bench/",
    "gateway/commands/",
    "gateway/control/",
    "gateway/csms/csms.py",
    "gateway/drivers/board/can/",
    "gateway/drivers/board/everest/",
    "gateway/drivers/hosted.py",
    "gateway/energy/forecast.py",
    "gateway/energy/planning/",
    "gateway/energy/price.py",
    "gateway/mqtt/commands.py",
    "gateway/mqtt/quarantine.py",
    "gateway/store/journal.py",
    "protocols/exi/",
    "protocols/frozen.py",
    "protocols/iso15118/app_protocol.py",
    "protocols/iso15118/din/",
    "protocols/iso15118/iso2/",
    "protocols/iso15118/iso20/",
    "protocols/ocpp/enums.py",
    "protocols/ocpp/incoming.py",
    "protocols/ocpp/rpc.py",
    "protocols/ports.py",
    "protocols/sdp.py",
    "protocols/v2gtp.py",
)


def messages() -> dict[str, str]:
    """Return each text with the file and the line that has it."""
    found: dict[str, str] = {}
    names = "|".join(sorted(RAISED | CALLED))
    for name, tree in modules("gateway", "emulators", "protocols", containing=rf"\b({names})\(|\byield "):
        if not name.startswith(INTERNAL):
            for line, text in _of_module(tree, name):
                found.setdefault(text, f"{name}:{line}")
    return found


def _of_module(tree: ast.Module, name: str) -> Iterator[tuple[int, str]]:
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in (one for one in ast.walk(tree) if isinstance(one, ast.stmt | ast.expr)):
        for argument in _arguments(node, name):
            text = " ".join(_text(argument, constants).split())
            if any(letter.isalpha() for letter in text.replace(PLACEHOLDER, "")) and " " in text:
                yield node.lineno, text


def _arguments(node: ast.AST, name: str) -> list[ast.expr]:
    """Return the expressions of the node that may be texts for a user."""
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and _name(node.exc) in RAISED:
        return [*node.exc.args, *(one.value for one in node.exc.keywords)]
    if isinstance(node, ast.Call) and _name(node) in CALLED:
        return node.args[1:] or node.args  # the first of several names the command or the HTTP status
    return [node.value] if name.endswith("/lint.py") and isinstance(node, ast.Yield) and node.value else []


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _text(node: ast.expr, constants: dict[str, str]) -> str:
    """Return the text of an expression with placeholders; "" for an expression without a text of its own."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(one.value) if isinstance(one, ast.Constant) else PLACEHOLDER for one in node.values)
    if isinstance(node, ast.Name):
        return constants.get(node.id, "")
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _text(node.left, constants), _text(node.right, constants)
        return (left or PLACEHOLDER) + (right or PLACEHOLDER)
    return ""
