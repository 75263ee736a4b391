"""Properties of the repository: versions agree, documents exist, nothing names a machine or a registry."""

from __future__ import annotations

import re
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import gateway

ROOT = Path(__file__).resolve().parent.parent
OURS = {"gateway", "protocols", "emulators"}
ROOT_ENTRIES = {
    *OURS,
    *("tests", "docs", "deploy", "examples", ".ci", ".gitignore"),
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "Makefile"),
    *("pyproject.toml", "constraints.txt", "release-requirements.txt", "zensical.toml"),
}


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.decode().split("\0") if name and (ROOT / name).exists()]


def test_the_changelog_contains_this_version_or_an_unreleased_section() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert "## Unreleased" in text or f"## {gateway.__version__}" in text


def test_constraints_hold_versions_and_no_addresses() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!-]+", line), line


def test_every_dependency_is_pinned_in_the_constraints() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [
        *project["dependencies"],
        *(one for name in ("broker", "can", "postgres", "dev") for one in extras[name]),
    ]
    pinned = {
        line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    names = {re.split(r"[\[<>=; ]", one)[0].lower().replace("_", "-") for one in wanted}
    assert names <= pinned, names - pinned


def release_pins() -> dict[str, str]:
    """Return the version of each distribution that a release installs; assert that each file of it has a hash."""
    pins = {}
    for entry in (ROOT / "release-requirements.txt").read_text().replace("\\\n", " ").splitlines():
        found = re.fullmatch(r"([a-z0-9.-]+)==(\S+)(?: ; [^-]+?)?((?: +--hash=sha256:[0-9a-f]{64})+)", entry.strip())
        assert found is not None, f"{entry}: `make release-requirements` writes it anew"
        pins[found[1]] = found[2]
    return pins


def test_a_release_installs_pinned_versions_with_hashes_and_no_addresses() -> None:
    """Every dependency at run time, in the version of the constraints that the tests have used."""
    pins = release_pins()
    constrained = dict(line.lower().split("==") for line in (ROOT / "constraints.txt").read_text().splitlines())
    assert {n: v for n, v in pins.items() if constrained.get(n.replace("-", "_"), constrained.get(n, v)) != v} == {}
    open_names, needed = ["v2x-gateway"], set()
    while open_names:
        name = open_names.pop()
        extras = ("", "broker", "postgres") if name == "v2x-gateway" else ("", "asyncio")
        for text in metadata.requires(name) or ():
            requirement = Requirement(text)
            one = canonicalize_name(requirement.name)
            marker = requirement.marker
            if one not in needed and (
                marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))
            ):
                needed.add(one)
                open_names.append(one)
    assert needed <= pins.keys(), f"{needed - pins.keys()}: `make release-requirements` writes it anew"


def test_the_root_has_only_what_belongs_there() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in tracked()} == ROOT_ENTRIES


def test_nothing_names_a_machine_or_a_registry() -> None:
    here = Path(__file__)
    bad = re.compile("/" + r"root/|/" + r"work/|files\.python" + r"hosted|registry\.npm" + r"js|deb\." + r"debian\.org")
    for path in tracked():
        if path == here or path.suffix in {".xz", ".png", ".db", ".pcap", ".bin"}:
            continue
        match = bad.search(path.read_text(errors="replace"))
        assert match is None, f"{path.relative_to(ROOT)} names {match and match.group()}"


def test_links_between_documents_have_targets() -> None:
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}, which is not there"
