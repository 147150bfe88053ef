"""What the agents do when something happens, as tables; the processes and the line are recorded, not run."""

import json
import signal
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

import pytest

from trainjobs.exits import Exit
from trainjobs.pod import processes
from trainjobs.pod.agent_link import Disconnected, Received
from trainjobs.pod.head import HeadAgent
from trainjobs.pod.identity import PodIdentity
from trainjobs.pod.node import NodeAgent, RestartDue
from trainjobs.pod.processes import Ended
from trainjobs.runs.codec import REQUESTS
from trainjobs.runs.requests import interrupt_request

PLACE = PodIdentity.of_env(
    {
        "TRAINJOBS_NAME": "mnist",
        "TRAINJOBS_NAMESPACE": "team",
        "TRAINJOBS_UID": "0123456789",
        "TRAINJOBS_NUM_NODES": "3",
        "TRAINJOBS_NUM_PROC_PER_NODE": "1",
        "TRAINJOBS_HEAD": "mnist-0.mnist",
        "RAY_AUTH_TOKEN_PATH": "/token",
        "JOB_COMPLETION_INDEX": "0",
    }
)


def asked(reason):
    return REQUESTS.to_dict(interrupt_request(reason))


class Stage:
    """Records what an agent does."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.present = {1, 2}
        self.standing = True
        self.newest: dict[str, Recorded] = {}

    def start(self, name):
        self.done.append(f"start {name}")
        self.newest[name] = Recorded(name, self.done)
        return self.newest[name]

    def say(self, message, to=None):
        self.done.append(f"say {message} to {sorted(to) if to is not None else 'all'}")
        return self.standing

    def happened(self):
        """What was done since the last call."""
        done, self.done[:] = list(self.done), []
        return done


class Recorded:
    def __init__(self, name, done):
        self.name = name
        self._done = done

    def tell(self, message):
        self._done.append(f"tell {self.name} {message}")

    def kill(self):
        self._done.append(f"kill {self.name}")

    def end(self):
        self._done.append(f"end {self.name}")


@pytest.fixture
def stage(monkeypatch):
    stage = Stage()
    monkeypatch.setattr(processes, "ray_head", lambda *_: stage.start("ray"))
    monkeypatch.setattr(processes, "ray_node", lambda head, *_: stage.start(f"ray at {head}"))
    monkeypatch.setattr(
        processes,
        "driver",
        lambda kind, *, crashed, ended: stage.start("driver after a crash" if crashed else "driver"),
    )
    monkeypatch.setattr("trainjobs.pod.termination.PATH", Path("/nonexistent/log"))
    return stage


@pytest.fixture
def head(stage):
    """A head agent that has started Ray and the driver."""
    agent = HeadAgent(PLACE, SimpleQueue(), "10.0.0.5", stage)
    agent._start_ray()
    agent._start_driver()
    assert stage.happened() == ["start ray", "start driver", "tell driver {'absent': []}"]
    return agent


@pytest.fixture
def node(stage):
    return NodeAgent(PLACE, SimpleQueue(), "10.0.0.6", stage)


@pytest.mark.parametrize("code", [Exit.DONE, Exit.USER_CODE, Exit.GAVE_UP, Exit.CONFIG])
def test_when_the_run_is_over_every_pod_leaves_and_pod_0_tells_how_it_ended(stage, head, code):
    assert head._handle(Ended(stage.newest["driver"], code)) == code
    assert stage.happened() == ["say {'leave': True} to all"]


def test_a_pod_0_that_is_told_to_end_has_the_run_halted_first(stage, head):
    assert head._handle(signal.SIGTERM) is None
    assert stage.happened() == [f"tell driver {asked('pod mnist-0 was told to end')}"]
    assert head._handle(Ended(stage.newest["driver"], Exit.INTERRUPTED)) == Exit.INTERRUPTED


def test_a_run_that_ended_while_pod_0_was_told_to_end_has_ended(stage, head):
    head._handle(signal.SIGTERM)
    assert head._handle(Ended(stage.newest["driver"], Exit.DONE)) == Exit.DONE


def test_another_pod_that_is_told_to_end_leaves_after_the_run_has_halted_and_the_run_goes_on(stage, head):
    assert head._handle(Received(2, {"leaving": "SIGTERM"})) is None
    assert stage.happened() == [f"tell driver {asked('pod mnist-2 was told to end')}"]
    assert head._handle(Ended(stage.newest["driver"], Exit.INTERRUPTED)) is None
    assert stage.happened() == ["say {'released': True} to [2]"]
    stage.present = {1}
    assert head._handle(Disconnected(2)) is None
    assert stage.happened() == ["start driver", "tell driver {'absent': [2]}"]
    stage.present = {1, 2}
    head._handle(Received(2, {"index": 2}))
    assert stage.happened() == ["say {'ray': '10.0.0.5:6379'} to [2]", "tell driver {'absent': []}"]


def test_a_pod_that_is_told_to_end_while_no_driver_runs_leaves_at_once(stage, head):
    head._handle(Received(1, {"leaving": "SIGTERM"}))
    head._handle(Ended(stage.newest["driver"], Exit.INTERRUPTED))
    stage.happened()
    head._handle(Received(2, {"leaving": "SIGTERM"}))
    assert stage.happened() == ["say {'released': True} to [2]"]


def test_a_driver_that_dies_is_followed_by_another_with_a_new_head(stage, head):
    assert head._handle(Ended(stage.newest["driver"], -9)) is None
    assert stage.happened() == [
        "end ray",
        "start ray",
        "say {'ray': '10.0.0.5:6379'} to all",
        "start driver after a crash",
        "tell driver after a crash {'absent': []}",
    ]


def test_a_driver_does_not_outlive_rays_head(stage, head):
    assert head._handle(Ended(stage.newest["ray"], 1)) is None
    assert stage.happened() == ["kill driver"]
    head._handle(Ended(stage.newest["driver"], -9))
    assert stage.happened()[0] == "start ray"


def test_drivers_that_die_before_they_can_count_are_counted_by_their_agent(stage, monkeypatch, tmp_path):
    monkeypatch.setattr("trainjobs.pod.termination.PATH", tmp_path / "log")
    agent = HeadAgent(replace(PLACE, backoff_limit=0), SimpleQueue(), "10.0.0.5", stage)
    agent._start_ray()
    agent._start_driver()
    assert agent._handle(Ended(stage.newest["driver"], -9)) is None
    agent._handle(Ended(stage.newest["ray"], -9))
    assert agent._handle(Ended(stage.newest["driver after a crash"], -9)) == Exit.GAVE_UP
    assert stage.happened()[-1] == "say {'leave': True} to all"
    said = json.loads((tmp_path / "log").read_text())
    assert said["reason"] == "BackoffLimitExceeded"
    assert said["message"].startswith("Ray's head ended with signal 9: killed, most often for want of memory")
    assert said["message"].endswith("2 drivers have died (backoffLimit 0)")


def test_a_pod_that_is_lost_is_told_to_the_driver(stage, head):
    stage.present = {2}
    assert head._handle(Disconnected(1)) is None
    assert stage.happened() == ["tell driver {'absent': [1]}"]


def test_a_node_follows_the_head_from_one_life_to_the_next(stage, node):
    assert node._handle(Received(0, {"ray": "a:1"})) is None
    assert node._handle(Received(0, {"ray": "b:1"})) is None
    assert stage.happened() == ["start ray at a:1", "end ray at a:1", "start ray at b:1"]
    node._handle(Disconnected(0))
    assert stage.happened() == ["end ray at b:1"]


def test_a_nodes_ray_that_ends_by_itself_is_started_again(stage, node):
    node._handle(Received(0, {"ray": "a:1"}))
    node._handle(Ended(stage.newest["ray at a:1"], 1))
    assert node._events.get(timeout=10) == RestartDue()
    stage.happened()
    node._handle(RestartDue())
    assert stage.happened() == ["start ray at a:1"]


def test_a_node_leaves_with_0_when_the_run_is_over(stage, node):
    assert node._handle(Received(0, {"leave": True})) == Exit.DONE


def test_a_node_that_is_told_to_end_waits_for_the_run_to_halt(stage, node):
    node._handle(Received(0, {"ray": "a:1"}))
    assert node._handle(signal.SIGTERM) is None
    assert node._handle(Received(0, {"released": True})) == Exit.INTERRUPTED
    assert stage.happened()[-2:] == ["say {'leaving': 'SIGTERM'} to all", "end ray at a:1"]


@pytest.mark.parametrize("line", ["broken before", "breaks"])
def test_a_node_that_is_told_to_end_without_a_head_leaves_at_once(stage, node, line):
    stage.standing = line == "breaks"
    code = node._handle(signal.SIGTERM)
    if line == "breaks":
        assert code is None
        code = node._handle(Disconnected(0))
    assert code == Exit.INTERRUPTED
