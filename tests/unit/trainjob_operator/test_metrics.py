"""What is counted when a run ends, and what is asked of the cache."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from trainjob_operator.trainjob.metrics import MODELS, Metrics
from trainjobs.api.reasons import Reason

STATUS = {
    "conditions": [{"type": "Complete", "status": "True", "reason": "EarlyStopped"}],
    "activeSeconds": 3600,
    "completionTime": "2026-01-01T02:00:00Z",
    "training": {"epoch": 10, "best": {"metric": "val_loss", "value": "0.25", "epoch": 7}},
    "stopping": {"criterion": "plateau"},
    "accounting": {"gpuSecondsUsed": 7200, "gpuSecondsSaved": 14400, "secondsSaved": 7200, "epochsSaved": 20},
}


SPEC = {
    "trainer": {
        "entrypoint": "train:train",
        "maxEpochs": 30,
        "resourcesPerNode": {"limits": {"nvidia.com/gpu": 2}},
    },
    "stopping": {
        "monitor": "val_loss",
        "criteria": [{"plateau": {"patience": 2}}, {"name": "mine", "nonFinite": {}}],
    },
}


@pytest.fixture
def metrics():
    return Metrics(CollectorRegistry())


@pytest.fixture
def ended(metrics, item):
    """`ended(stopping={…})`: counts the end of a TrainJob; returns what is counted under a name."""

    def count(labels=None, **status):
        made = {"labels": labels or {}, "creationTimestamp": "2026-01-01T00:00:00Z"}
        metrics.ended({**item("a", 1, **made), "spec": SPEC, "status": {**STATUS, **status}})
        return metrics.registry.get_sample_value

    return count


def test_an_early_stop_counts_with_its_criterion_and_kind_of_model(ended):
    read = ended({"trainjobs.dev/model-type": "cnn"})
    assert read("trainjobs_early_stop_events_total", {"strategy": "plateau", "model_type": "cnn"}) == 1
    assert read("trainjobs_training_time_saved_hours") == 2
    assert read("trainjobs_gpu_seconds_total", {"kind": "used"}) == 7200
    assert read("trainjobs_gpu_seconds_total", {"kind": "saved"}) == 14400


def test_the_hours_saved_are_those_that_the_run_has_counted(ended):
    read = ended(activeSeconds=99_999, accounting={"epochsSaved": 1, "secondsSaved": 1800})
    assert read("trainjobs_training_time_saved_hours") == 0.5


def test_a_run_that_failed_at_once_saved_nothing(ended):
    read = ended(training=None, stopping=None, accounting=None, activeSeconds=0)
    assert read("trainjobs_training_time_saved_hours") == 0


@pytest.mark.parametrize(
    ("criterion", "strategy"),
    [("plateau-2", "plateau"), ("mine", "nonFinite"), ("x" * 256, "other"), ("", "other")],
)
def test_a_stop_counts_under_the_family_of_its_criterion_whatever_it_is_called(ended, criterion, strategy):
    read = ended(stopping={"criterion": criterion})
    assert read("trainjobs_early_stop_events_total", {"strategy": strategy, "model_type": "unknown"}) == 1


def test_kinds_of_models_are_counted_by_name_as_long_as_they_are_few(ended):
    for number in range(MODELS + 50):
        read = ended({"trainjobs.dev/model-type": f"m{number}"})
    assert read("trainjobs_early_stop_events_total", {"strategy": "plateau", "model_type": "other"}) == 50


def test_no_run_counts_more_than_it_can_have_used(ended):
    read = ended(accounting={"gpuSecondsUsed": 1e308, "gpuSecondsSaved": 1e308, "secondsSaved": 1e308})
    assert read("trainjobs_gpu_seconds_total", {"kind": "used"}) == 7200 * 2
    assert read("trainjobs_gpu_seconds_total", {"kind": "saved"}) == 7200 * 2 * 30
    assert read("trainjobs_training_time_saved_hours") == 2 * 30


def test_a_best_value_that_is_no_number_is_left_out_and_the_others_are_not(metrics, item):
    odd = {**STATUS, "training": {"best": {"metric": "val_loss", "value": "abc", "epoch": 1}}}
    metrics.watch(lambda: [{**item("a", 1), "status": odd}, {**item("b", 2), "status": STATUS}])
    text = generate_latest(metrics.registry).decode()
    assert 'trainjobs_model_performance{metric="val_loss",namespace="team",trainjob="b"} 0.25' in text
    assert 'trainjob="a"' not in text


def test_a_state_that_nobody_knows_is_another(metrics, item):
    told = {"conditions": [{"type": "Failed", "status": "True", "reason": "Whatever9"}]}
    metrics.watch(lambda: [{**item("a", 1), "status": told}])
    assert metrics.registry.get_sample_value("trainjobs_trainjobs", {"state": "other"}) == 1


def test_every_reason_of_ours_is_counted_by_its_name(metrics, item):
    told = [{"conditions": [{"type": "Running", "status": "False", "reason": reason}]} for reason in Reason]
    metrics.watch(lambda: [{**item(f"job-{i}", 1), "status": each} for i, each in enumerate(told)])
    counts = {
        reason: metrics.registry.get_sample_value("trainjobs_trainjobs", {"state": reason})
        for reason in Reason
    }
    assert set(counts.values()) == {1}


def test_states_and_best_values_are_those_of_the_cache(metrics, item):
    metrics.watch(lambda: [{**item("a", 1), "status": STATUS}, item("b", 2)])
    read = metrics.registry.get_sample_value
    assert read("trainjobs_trainjobs", {"state": "EarlyStopped"}) == 1
    assert read("trainjobs_trainjobs", {"state": "New"}) == 1
    labels = {"namespace": "team", "trainjob": "a", "metric": "val_loss"}
    assert read("trainjobs_model_performance", labels) == 0.25
