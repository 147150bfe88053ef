"""On an object store a run's log outlives the pods that write it."""

from uuid import uuid4

import pytest
from gpujob import JOB
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from trainjobs.runs.storage import storage_at
from trainjobs.tracking import remote_copy
from trainjobs.tracking.remote_copy import RemoteCopy
from trainjobs.tracking.tracker import KeptId, TrackedRun
from trainjobs.tracking.trackers import Trackers


@pytest.fixture
def pod(tmp_path):
    """Each with a disk of its own, and one storage."""
    uri = f"memory://bucket/{uuid4()}"
    return lambda number: TrackedRun.of(JOB, tmp_path / str(number), uri, None)


def test_one_log_of_all_pods_is_on_the_storage(pod, reports, started, stopped, tmp_path):
    for number, told in enumerate((reports[:3], reports[3:])):
        history = tuple(each.observation for each in reports[: 3 * number])
        trackers = Trackers(JOB, pod(number))
        for event in (type(started)(1, 2, "cpu", None, 0, 100, history), *told):
            trackers(event)
        assert [said for said in trackers.end(stopped) if "no more" in said] == []
    storage = storage_at(pod(0).remote)
    assert len(storage.names("tensorboard")) == 2
    for name in storage.names("tensorboard"):
        with storage.open(f"tensorboard/{name}") as file:
            (tmp_path / name).write_bytes(file.read())
    reader = EventAccumulator(str(tmp_path)).Reload()
    assert [each.step for each in reader.Scalars("val_loss")] == [each.observation.step for each in reports]


def test_the_next_pod_knows_what_a_server_calls_the_run(pod):
    first = RemoteCopy(pod(1), "mlflow-run-id")
    assert KeptId(pod(1), "mlflow-run-id").read() is None
    pod(1).folder.mkdir()
    KeptId(pod(1), "mlflow-run-id").write("abc")
    first.write()
    RemoteCopy(pod(2), "mlflow-run-id")
    assert KeptId(pod(2), "mlflow-run-id").read() == "abc"


def test_what_is_there_after_the_first_report_is_copied_at_once(pod, monkeypatch):
    """A pod may be gone before a pause is over, and the next one has to know what a server calls the run."""
    monkeypatch.setattr(remote_copy, "PAUSE_S", 1e9)
    first = RemoteCopy(pod(1), "mlflow-run-id")
    pod(1).folder.mkdir()
    KeptId(pod(1), "mlflow-run-id").write("abc")
    first.write_when_due()
    RemoteCopy(pod(2), "mlflow-run-id")
    assert KeptId(pod(2), "mlflow-run-id").read() == "abc"


def test_a_file_is_copied_when_it_has_grown_and_not_at_each_report(pod, monkeypatch):
    monkeypatch.setattr(remote_copy, "PAUSE_S", 1e9)
    run = pod(1)
    log = run.folder / "tensorboard" / "events"
    copy = RemoteCopy(run, "tensorboard/*")
    log.parent.mkdir(parents=True)
    log.write_text("a")
    storage = storage_at(run.remote)
    copy.write_when_due()
    log.write_text("ab")
    copy.write_when_due()
    with storage.open("tensorboard/events") as file:
        assert file.read() == b"a"
    monkeypatch.setattr(remote_copy, "PAUSE_S", 0.0)
    copy.write_when_due()
    with storage.open("tensorboard/events") as file:
        assert file.read() == b"ab"
