"""Ray's own errors, in the words that a user can use."""

import os
from pathlib import Path

import pytest
from ray.core.generated.common_pb2 import ActorDiedErrorContext
from ray.exceptions import ActorDiedError, OutOfMemoryError, RayTaskError
from ray.train import ControllerError, WorkerGroupError
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError

from trainjobs.driver.launcher import Unstartable, WorkersFailed
from trainjobs.driver.ray_errors import deaths_in, failure_of_group, in_a_line, start_failure

TRACEBACK = """\x1b[36mray::TrainController.__init__()\x1b[39m (pid=1817, ip=10.0.0.1, repr=<C object at 0x7f1>)
  File "x.py", line 3, in loads
    return pickle.loads(data)
KeyError: 'type'"""
CREATION = ActorDiedError(
    RayTaskError("TrainController.__init__()", TRACEBACK, KeyError("type"), actor_id="ab" * 16)
)
KILLED = ActorDiedError(
    ActorDiedErrorContext(
        actor_id=bytes(16),
        class_name="RayTrainWorker",
        pid=77,
        error_message="The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR "
        "Worker exit detail: Worker unexpectedly exits with a connection error code 2. End of file."
        " Some common causes include: (1) the OOM killer",
    )
)


def test_colours_addresses_and_frames_are_left_out_and_the_cause_is_there():
    line = in_a_line(CREATION)
    assert line == (
        "The actor died because of an error raised in its creation task, ray::TrainController.__init__(): "
        "KeyError: 'type'"
    )


@pytest.mark.parametrize("error", [CREATION, ControllerError(CREATION)])
def test_a_controller_that_cannot_be_made_is_not_tried_again(error):
    assert isinstance(failure_of_group(error), Unstartable)


@pytest.mark.parametrize(
    "error", [ControllerError(KILLED), ValueError("no"), WorkerGroupError("x", {1: KILLED})]
)
def test_other_failures_of_a_group_are_worth_another_attempt(error):
    failure = failure_of_group(error)
    assert type(failure) is WorkersFailed
    assert "\n" not in str(failure)


def test_workers_that_died_are_told_from_those_whose_code_raised():
    failures = {0: ValueError("label"), 2: WorkerHealthCheckFailedError("worker 2 failed", KILLED)}
    failures[3] = OutOfMemoryError("task was killed due to the node running low on memory")
    deaths = deaths_in(WorkerGroupError("workers failed", failures))
    assert deaths == {
        2: "died: Worker unexpectedly exits with a connection error code 2. End of file.",
        3: "died: task was killed due to the node running low on memory",
    }
    assert deaths_in(ValueError("no")) == {}


@pytest.mark.parametrize(
    ("load", "seconds", "words"),
    [
        (22.0, 41.3, "41 s: this machine is busy (load 22 on "),
        (0.1, 41.3, "41 s: no shared memory: at all; try again, or"),
        (22.0, 0.3, "0 s: no shared memory: at all; try again, or"),
    ],
)
def test_a_failed_start_says_why_what_to_do_and_where_more_is(monkeypatch, load, seconds, words):
    monkeypatch.setattr(os, "getloadavg", lambda: (load, load, load))
    sentence = start_failure(OSError("no shared memory\nat all"), seconds, [Path("/tmp/ray/session_1")])
    assert sentence.startswith(f"Ray did not start within {words}")
    assert sentence.endswith(", or take --launcher local; its logs are in /tmp/ray/session_1/logs")


def test_a_ray_that_has_written_nothing_has_no_logs():
    assert "logs" not in start_failure(OSError("no"), 1, [])
