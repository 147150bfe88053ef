"""Programs of the test bed are the pinned ones, wherever they come from."""

from __future__ import annotations

import re
import shutil

import pytest
from testbed import binaries


@pytest.fixture(autouse=True)
def _nothing_found(monkeypatch, tmp_path):
    monkeypatch.delenv(binaries.DIRECTORY_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))


def install(directory, name, version):
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("tool", binaries.ALL_TOOLS, ids=lambda tool: tool.folder)
def test_the_version_and_the_programs_stand_in_go_mod(tool):
    text = (binaries.TOOLS / tool.folder / "go.mod").read_text()
    assert re.fullmatch(r"v\d+\.\d+\.\d+", tool.version)
    assert set(tool.packages.values()) == set(re.findall(r"^(?:tool )?\t?(\S+/\S+)$", text, re.MULTILINE))


def test_every_staging_module_is_of_the_kubernetes_release():
    text = (binaries.TOOLS / "kubernetes" / "go.mod").read_text()
    releases = set(re.findall(r"^\t(k8s\.io/\S+) => (\S+) (\S+)$", text, re.MULTILINE))
    assert len(releases) == 33
    assert {release for _, _, release in releases} == {binaries.KUBERNETES.version.replace("v1.", "v0.")}
    assert all(module == target for module, target, _ in releases)


def test_a_named_directory_comes_first(monkeypatch, tmp_path):
    install(tmp_path / "path", "kubectl", binaries.KUBERNETES.version)
    named = install(tmp_path / "named", "kubectl", "v0.1.0")
    monkeypatch.setenv(binaries.DIRECTORY_VARIABLE, str(tmp_path / "named"))
    assert binaries.program("kubectl") == named


@pytest.mark.parametrize(("version", "found"), [("v1.36.0", True), ("v1.35.3", False), ("1.36", True)])
def test_path_counts_at_the_pinned_minor_version(tmp_path, version, found):
    path = install(tmp_path / "path", "kubectl", version)
    assert binaries.find("kubectl") == (path if found else None)


def test_the_cache_is_keyed_by_version(tmp_path):
    cached = install(tmp_path / "cache/trainjobs-testbed" / f"etcd-{binaries.ETCD.version}", "etcd", "?")
    assert binaries.find("etcd") == cached


def test_without_go_the_error_names_the_way_out():
    assert shutil.which("go") is None
    with pytest.raises(binaries.MissingProgramError, match=binaries.DIRECTORY_VARIABLE):
        binaries.program("helm")
