"""Where the test bed cannot run, its tests say why; in CI they fail."""

from __future__ import annotations

import os

import pytest
from testbed import fixtures, requirements


@pytest.fixture
def _no_root(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


@pytest.mark.usefixtures("_no_root")
@pytest.mark.parametrize("part", fixtures.PARTS)
def test_without_root_tests_skip_with_the_reason(monkeypatch, part):
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="needs root"):
        fixtures.require(part)


@pytest.mark.usefixtures("_no_root")
def test_in_ci_a_skip_is_a_failure(monkeypatch):
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="needs root"):
        fixtures.require("node")


def test_missing_commands_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    reason = requirements.lacking(requirements.NODE_COMMANDS, requirements.NODE_TOOLS)
    assert reason is not None
    assert "containerd" in reason


def test_a_build_that_failed_is_the_reason(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(requirements, "lacking", lambda *_: None)
    monkeypatch.setitem(fixtures.failed_builds, "kwok", "building kwok failed: no network")
    with pytest.raises(pytest.skip.Exception, match="no network"):
        fixtures.require("fake_nodes")
    fixtures.require("node")
