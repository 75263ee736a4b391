"""Without `[cluster]` nothing of it is imported."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
import gateway.app, gateway.cli.main, gateway.cli.operator, gateway.csms.admin, gateway.web.api, gateway.config.mapping
loaded = [name for name in sys.modules if name.split(".")[0] == "nats" or name.startswith("gateway.cluster")]
print(loaded)
"""


def test_a_gateway_without_a_cluster_imports_nothing_of_it() -> None:
    found = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "[]"
