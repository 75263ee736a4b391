"""Files that may hold personal data or secrets are readable by their owner only, and written as a whole."""

from __future__ import annotations

import ast
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocols import private_file
from tests.source_tree import modules

OTHERS = {  # what writes files in other ways, and why
    "protocols/private_file.py": "the helper",
    "gateway/cli/main.py": "the null device",
    "gateway/store/lock.py": "a number of a process, in a file that is locked",
    "emulators/charger/station/csms_link/dialer.py": "in a private directory",
    "emulators/world/multi_site.py": "in a private directory",
    "protocols/iso15118/tls.py": "in memory, or in a private directory",
    "emulators/conformance/state.py": "continues a file that the helper has made",
    "protocols/serial/io.py": "a device",
    "protocols/iso15118/pki.py": "certificates, which are public",
}


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_a_file_is_private_and_replaces_another_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "report"
    path.write_text("before")
    with private_file.replacing(path) as out:
        out.write("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(UnicodeEncodeError), private_file.replacing(path) as out:
        out.write("part\ud800")
    assert [one.name for one in tmp_path.iterdir()] == ["report"]
    assert path.read_text() == "after"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("x")
    (tmp_path / "link").symlink_to("victim")
    with pytest.raises(FileExistsError):
        private_file.create(tmp_path / "link")
    (tmp_path / ".link.new").symlink_to("victim")
    with private_file.replacing(tmp_path / "link") as out:
        out.write("new")
    assert (tmp_path / "victim").read_text() == "x"
    assert not (tmp_path / "link").is_symlink()


def written(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that open or write a file in another way than the helper."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        receiver = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
        modes = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        writes = any(set(mode) & set("wax+") and set(mode) <= set("wabxt+r") for mode in modes)
        text = name in ("write_text", "write_bytes") and receiver.strip("_") != "reporter"
        if text or (name == "open" and (receiver == "os" or writes)):
            yield node.lineno


def test_the_helper_is_used_everywhere() -> None:
    found = [
        f"{name}:{line}"
        for name, tree in modules("gateway", "emulators", "protocols", containing=r"write_(text|bytes)|open\(")
        if name not in OTHERS and not name.startswith("gateway/bench/")
        for line in written(tree)
    ]
    assert found == []
