"""Components are written by themselves only, and private names are used in their own module only."""

from __future__ import annotations

import ast
import textwrap

import pytest

from tests.architecture.ownership import Modules, foreign_names, foreign_writes
from tests.source_tree import modules

OF_LIBRARIES = {  # private names of libraries; pyproject.toml pins those that may change
    "gateway/bench/echonet_pychonet.py": {"_logger", "_state"},
    "gateway/cluster/secure_client.py": {"_id", "_io_writer"},
    "gateway/mqtt/client.py": {"_on_connect"},
    "gateway/mqtt/client_life.py": {"_client", "_connected", "_disconnected", "_on_socket_close"},
    "gateway/mqtt/incoming.py": {"_handle_publish", "_in_packet"},
    "emulators/pytest_plugin/__init__.py": {"_fixtureinfo"},
    "emulators/runtime/clock.py": {"_getframe", "_run"},
    "emulators/runtime/embedded_broker.py": {"_servers"},
}
USES_PRIVATE_NAMES = r"(?<!self)(?<!cls)\._[a-z]|import .*\b_[a-z]"


def parsed(text: str) -> Modules:
    return [("a.py", ast.parse(textwrap.dedent(text)))]


@pytest.fixture(scope="module")
def product() -> Modules:
    return [(name, tree) for name, tree in modules("gateway") if not name.startswith("gateway/bench/")]


def test_no_component_writes_an_attribute_of_another(product: Modules) -> None:
    assert list(foreign_writes(product)) == []


def test_private_names_are_used_in_their_own_module_only() -> None:
    found = list(foreign_names(list(modules("gateway", "protocols", "emulators", containing=USES_PRIVATE_NAMES))))
    assert [one for one in found if one.name not in OF_LIBRARIES.get(one.module, set())] == []
    assert {one.module: {other.name for other in found if other.module == one.module} for one in found} == OF_LIBRARIES


@pytest.mark.parametrize(
    "body",
    [
        "def poke(lamp: Lamp) -> None:\n    lamp.level = 1",
        "def poke(lamp: Lamp | None) -> None:\n    lamp.level += 1",
        "def poke(lamps: list[Lamp]) -> None:\n    for one in lamps:\n        one.level = 1",
        "class Room:\n    def __init__(self, lamp: Lamp) -> None:\n        self._lamp = lamp\n"
        "    def poke(self) -> None:\n        self._lamp.level = 1",
        "class Room:\n    def __init__(self) -> None:\n        self.lamp, self.name = Lamp(), ''\n"
        "def poke(room: Room) -> None:\n    lamp = room.lamp\n    (lamp.level, other) = 1, 2",
    ],
)
def test_a_foreign_write_is_found(body: str) -> None:
    component = "class Lamp:\n    def __init__(self) -> None:\n        self.level = 0\n"
    assert len(list(foreign_writes(parsed(component + body)))) == 1
    record = "@dataclass\nclass Lamp:\n    level: int = 0\n"
    assert list(foreign_writes(parsed(record + body))) == []


@pytest.mark.parametrize("use", ["other._level", "from b import _level", "other._level = 1", "other._level()"])
def test_a_private_name_of_another_module_is_found(use: str) -> None:
    own = "class Lamp:\n    def __init__(self) -> None:\n        self._level = 0\n"
    assert len(list(foreign_names(parsed(use)))) == 1
    assert list(foreign_names(parsed(own + use))) == []
