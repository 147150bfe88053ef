"""The nodes of Ray that agents start: options that `ray start` takes, and what it is told besides."""

import sys
from unittest.mock import ANY

import pytest
from ray._private import services
from ray.scripts import scripts

from trainjobs.api.pod_contract import RAY_AGENT_PORT
from trainjobs.pod import processes, ray_start


@pytest.fixture
def options(monkeypatch):
    """What the newest node's process was given."""
    given = []

    def start(command, ended):
        assert command[:3] == [sys.executable, "-m", "trainjobs.pod.ray_start"]
        given[:] = command[3:]

    monkeypatch.setattr(processes, "Process", start)
    return given


@pytest.mark.parametrize(
    ("begin", "fields"),
    [
        (lambda: processes.ray_head("10.0.0.5", 6379, 2, ANY), {"head": True, "port": 6379}),
        (lambda: processes.ray_node("10.0.0.5:6379", "10.0.0.6", 2, ANY), {"address": "10.0.0.5:6379"}),
    ],
    ids=["head", "node"],
)
def test_ray_takes_the_options_of_a_node(options, begin, fields):
    begin()
    taken = scripts.start.make_context("start", list(options)).params
    expected = {**fields, "num_cpus": 2, "block": True, "runtime_env_agent_port": RAY_AGENT_PORT}
    assert {name: taken[name] for name in expected} == expected


def test_a_node_is_a_lean_one_while_it_is_up(monkeypatch):
    seen = []

    def start(arguments):
        seen.append((arguments, services.start_api_server()))

    monkeypatch.setattr(scripts, "cli", start)
    ray_start.main(["--head"])
    assert seen == [(["start", "--head"], (None, None))]
