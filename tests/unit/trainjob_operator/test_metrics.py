"""What is counted when a run ends, and what is asked of the cache."""

import pytest

from trainjob_operator.metrics import Metrics

STATUS = {
    "conditions": [{"type": "Complete", "status": "True", "reason": "EarlyStopped"}],
    "activeSeconds": 3600,
    "training": {"epoch": 10, "best": {"metric": "val_loss", "value": "0.25", "epoch": 7}},
    "stopping": {"criterion": "plateau"},
    "accounting": {"gpuSecondsUsed": 7200, "gpuSecondsSaved": 14400, "epochsSaved": 20},
}


@pytest.fixture
def metrics():
    return Metrics()


def test_an_early_stop_counts_with_its_criterion_and_kind_of_model(metrics, item):
    metrics.ended({**item("a", 1, labels={"trainjobs.dev/model-type": "cnn"}), "status": STATUS})
    read = metrics.registry.get_sample_value
    assert read("trainjobs_early_stop_events_total", {"strategy": "plateau", "model_type": "cnn"}) == 1
    assert read("trainjobs_training_time_saved_hours") == 2
    assert read("trainjobs_gpu_seconds_total", {"kind": "used"}) == 7200
    assert read("trainjobs_gpu_seconds_total", {"kind": "saved"}) == 14400


def test_a_run_of_so_many_steps_saves_steps(metrics, item):
    accounting = {"baseline": "MaxSteps", "epochsSaved": 0, "stepsSaved": 3000}
    status = {**STATUS, "training": {"epoch": 0, "step": 1500}, "accounting": accounting}
    metrics.ended({**item("a", 1), "status": status})
    assert metrics.registry.get_sample_value("trainjobs_training_time_saved_hours") == 2


def test_a_run_that_failed_at_once_saved_nothing(metrics, item):
    metrics.ended(item("a", 1))
    assert metrics.registry.get_sample_value("trainjobs_training_time_saved_hours") == 0


def test_states_and_best_values_are_those_of_the_cache(metrics, item):
    metrics.watch(lambda: [{**item("a", 1), "status": STATUS}, item("b", 2)])
    read = metrics.registry.get_sample_value
    assert read("trainjobs_trainjobs", {"state": "EarlyStopped"}) == 1
    assert read("trainjobs_trainjobs", {"state": "New"}) == 1
    labels = {"namespace": "team", "trainjob": "a", "metric": "val_loss"}
    assert read("trainjobs_model_performance", labels) == 0.25
