"""Wheel and sdist, as `make dist` builds them, hold everything that the product and its emulators read."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import gateway
from tests.test_project import OURS, ROOT, tracked


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the wheel and the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    return built / f"v2x_gateway-{gateway.__version__}-py3-none-any.whl"


def test_the_wheel_has_every_file_of_the_packages(wheel: Path) -> None:
    expected = {path.relative_to(ROOT).as_posix() for path in tracked() if path.relative_to(ROOT).parts[0] in OURS}
    with zipfile.ZipFile(wheel) as archive:
        files = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert files == expected
    kinds = {Path(name).suffix for name in files}
    assert {".py", ".toml", ".md", ".json", ".typed"} <= kinds


def test_the_wheel_has_entry_points_and_metadata(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (points,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith("/entry_points.txt"))
        (metadata,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA"))
    assert "v2x = gateway.cli:main" in points
    assert "v2x = emulators.pytest_plugin" in points
    assert f"Version: {gateway.__version__}\n" in metadata
    assert "License-Expression: Apache-2.0" in metadata


def test_the_product_runs_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    """Scenarios, vendor profiles, vehicle profiles and migrations are read from the unpacked wheel."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'installed')!r})\n"
        "import gateway; from emulators.ev import profile; from emulators.scenario import loading\n"
        "from gateway.store import schema; from protocols.ocpp import vendor\n"
        f"assert gateway.__file__.startswith({str(tmp_path)!r}), gateway.__file__\n"
        "[loading.load(name) for name in loading.shipped()]; [profile.load(name) for name in profile.names()]\n"
        "print(len(loading.shipped()), len(vendor.shipped()), len(profile.names()), schema.newest())\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    scenarios, vendors, cars, migration = done.stdout.split()
    assert int(scenarios) == len(list((ROOT / "emulators" / "scenario").glob("*.toml")))
    assert int(vendors) >= 7
    assert int(cars) == len(list((ROOT / "emulators" / "ev" / "profiles").glob("*.toml")))
    assert migration


def test_the_sdist_builds_the_wheel_and_has_the_documents(built: Path) -> None:
    name = f"v2x_gateway-{gateway.__version__}"
    with tarfile.open(built / f"{name}.tar.gz") as archive:
        files = {one.removeprefix(f"{name}/") for one in archive.getnames()}
    wanted = {
        "README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "Makefile", "zensical.toml",
        "constraints.txt", "release-requirements.txt", "deploy/compose.yaml", "deploy/Dockerfile", "docs/index.md",
        "examples/first-light/gateway.toml", "gateway/config/reference_head.md", "tests/conftest.py",
    }  # fmt: skip
    assert wanted - files == set()
    assert not any(one.startswith(("deploy/secrets", ".venv", "site/")) for one in files)
