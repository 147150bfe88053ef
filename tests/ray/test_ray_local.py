"""A Ray that we start ourselves: what it leaves, and what it says when it does not come up."""

import gc
import os
import tempfile
import warnings
from pathlib import Path

import psutil
import pytest

from trainjobs.driver.launcher import StartFailed
from trainjobs.driver.ray_internals.node import sessions
from trainjobs.driver.ray_launcher import RayWorkers


@pytest.fixture
def nothing_left():
    """Neither a process nor a directory that was not there before."""
    processes, directories = psutil.Process().children(recursive=True), sessions()
    yield
    assert psutil.Process().children(recursive=True) == processes
    assert sessions() == directories


@pytest.fixture
def temp(monkeypatch):
    """Where Ray keeps what the test makes it leave; a path that is short enough for its sockets."""
    with tempfile.TemporaryDirectory(prefix="ray-") as directory:
        monkeypatch.setenv("RAY_TMPDIR", directory)
        yield Path(directory)


@pytest.fixture
def another(temp):
    """The address of a Ray that was started on this machine and is gone."""
    (temp / "ray").mkdir()
    (temp / "ray" / "ray_current_cluster").write_text("127.0.0.1:1")


@pytest.mark.usefixtures("another", "nothing_left")
def test_a_ray_of_our_own_comes_up_beside_another_and_what_an_attempt_has_reserved_is_free_for_the_next():
    with RayWorkers(2):
        import ray

        from trainjobs.driver.ray_internals.train import remove_placement_groups

        names = {child.name() for child in psutil.Process().children(recursive=True)}
        assert names & {"gcs_server", "raylet"} == {"gcs_server", "raylet"}
        cpus = ray.cluster_resources()["CPU"]
        for _ in range(2):
            group = ray.util.placement_group([{"CPU": cpus}])
            ray.get(group.ready(), timeout=60)
            remove_placement_groups()
        niceness = ray.get(ray.remote(lambda: os.nice(0)).remote(), timeout=60)
        assert niceness == os.nice(0)  # Ray's default is 15


@pytest.mark.usefixtures("temp")
def test_a_ray_that_does_not_come_up_leaves_no_process_and_says_where_its_logs_are(monkeypatch):
    from ray._private import services

    monkeypatch.setattr(services, "RAYLET_EXECUTABLE", "/bin/false")
    before = psutil.Process().children(recursive=True)
    with pytest.raises(StartFailed) as failed, RayWorkers(2):
        pytest.fail("it has come up")
    (kept,) = sessions()
    said = str(failed.value)
    assert said.startswith("Ray did not start within ")
    assert said.endswith(f"; its logs are in {kept / 'logs'}")
    assert psutil.Process().children(recursive=True) == before
    with warnings.catch_warnings(action="ignore"):  # Ray has never asked how its processes ended
        del failed
        gc.collect()
