"""What is counted when a run ends, and what is asked of the cache."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from trainjob_operator.trainjob.metrics import FAMILIES, MODELS, MODELS_OF_ONE, EndCounter, Metrics
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

    def count(labels=None, namespace="team", **status):
        made = {
            "labels": labels or {},
            "namespace": namespace,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }
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


@pytest.mark.parametrize(
    ("namespaces", "by_name"), [(1, MODELS_OF_ONE), (2, 2 * MODELS_OF_ONE), (MODELS + 50, MODELS)]
)
def test_kinds_of_models_are_counted_by_name_as_long_as_they_are_few(ended, namespaces, by_name):
    for number in range(MODELS + 50):
        read = ended({"trainjobs.dev/model-type": f"m{number}"}, f"n{number % namespaces}")
    others = MODELS + 50 - by_name
    assert read("trainjobs_early_stop_events_total", {"strategy": "plateau", "model_type": "other"}) == others
    assert (
        ended({})("trainjobs_early_stop_events_total", {"strategy": "plateau", "model_type": "unknown"}) == 1
    )


def test_no_run_counts_more_than_it_can_have_used(ended):
    read = ended(accounting={"gpuSecondsUsed": 1e308, "gpuSecondsSaved": 1e308, "secondsSaved": 1e308})
    assert read("trainjobs_gpu_seconds_total", {"kind": "used"}) == 7200 * 2
    assert read("trainjobs_gpu_seconds_total", {"kind": "saved"}) == 7200 * 2 * 30
    assert read("trainjobs_training_time_saved_hours") == 2 * 30


def test_a_best_value_that_is_no_number_is_left_out_and_the_others_are_not(metrics, item):
    odd = {**STATUS, "training": {"best": {"metric": "val_loss", "value": "abc", "epoch": 1}}}
    runs = [{**item("a", 1), "spec": SPEC, "status": odd}, {**item("b", 2), "spec": SPEC, "status": STATUS}]
    metrics.watch(lambda: runs)
    text = generate_latest(metrics.registry).decode()
    assert 'trainjobs_model_performance{metric="val_loss",namespace="team",trainjob="b"} 0.25' in text
    assert 'trainjobs_model_performance{metric="val_loss",namespace="team",trainjob="a"}' not in text


@pytest.mark.parametrize("stopping", [SPEC["stopping"], {}, "(nested deeper than 64 levels)"])
def test_a_run_names_no_series_of_prometheus(metrics, item, stopping):
    """It may write another name into its status each time; what its user monitors is one name."""
    written = {**STATUS, "training": {"best": {"metric": "made up", "value": "1", "epoch": 1}}}
    metrics.watch(lambda: [{**item("a", 1), "spec": {**SPEC, "stopping": stopping}, "status": written}])
    assert "made up" not in generate_latest(metrics.registry).decode()


@pytest.mark.parametrize("value", ["nan", "NaN", "inf", "-Infinity"])
def test_a_stop_at_nan_or_infinity_is_told_apart_whichever_criterion_saw_it(ended, value):
    read = ended(stopping={"criterion": "plateau", "value": value})
    labels = {"model_type": "unknown"}
    assert read("trainjobs_early_stop_events_total", {"strategy": "nonFinite", **labels}) == 1
    assert read("trainjobs_early_stop_events_total", {"strategy": "plateau", **labels}) == 0


def test_what_an_end_counts_was_there_at_0_before_it(metrics, item):
    def series():
        text = generate_latest(metrics.registry).decode()
        return {line.rpartition(" ")[0] for line in text.splitlines() if "_created" not in line}

    labels = {"labels": {"trainjobs.dev/model-type": "cnn"}, "creationTimestamp": "2026-01-01T00:00:00Z"}
    job = {**item("a", 1, **labels), "spec": SPEC}
    metrics.alive(job)
    before = series()
    metrics.ended({**job, "status": STATUS})
    metrics.ended({**job, "status": {**STATUS, "stopping": {"criterion": "mine", "value": "nan"}}})
    assert series() == before
    zero = [metrics.registry.get_sample_value("trainjobs_early_stop_events_total",
            {"strategy": family, "model_type": "unknown"}) for family in FAMILIES]  # fmt: skip
    assert set(zero) == {0}


@pytest.fixture
def ends(metrics, item):
    """`ends.look(…)`, and how many ends are counted."""
    ends = EndCounter(metrics)

    def look(uid="u1", name="a", **status):
        made = {"uid": uid, "creationTimestamp": "2026-01-01T00:00:00Z"}
        ends.look({**item(name, 1, **made), "spec": SPEC, "status": status})
        return metrics.registry.get_sample_value("trainjobs_ended_total", {"reason": "EarlyStopped"})

    return look


def test_an_end_counts_once_however_often_it_is_looked_at(ends):
    assert ends() == 0
    assert [ends(**STATUS), ends(**STATUS)] == [1, 1]


def test_what_had_ended_before_this_process_worked_is_not_counted_again(ends):
    assert ends(**STATUS) == 0


def test_a_successor_of_the_same_name_counts_for_itself(ends):
    ends()
    assert ends("u2", **STATUS) == 0
    ends("u3")
    assert ends("u3", **STATUS) == 1


def test_runs_that_train_say_when_they_were_last_heard_of(metrics, item):
    running = [{"type": "Running", "status": "True", "reason": "Running"}]
    heard = {"training": {"lastUpdateTime": "2026-01-01T00:00:10Z"}}
    statuses = {
        "trains": {"conditions": running, "restarts": 2, **heard},
        "ended": {**STATUS, **heard},
        "new": {},
        "odd": {"conditions": running, "training": {"lastUpdateTime": "yesterday"}},
        "ahead": {"conditions": running, "training": {"lastUpdateTime": "9999-01-01T00:00:00Z"}},
    }
    spec = {**SPEC, "progressDeadlineSeconds": 60}
    metrics.watch(
        lambda: [{**item(name, 1), "spec": spec, "status": each} for name, each in statuses.items()]
    )

    def read(name, of):
        return metrics.registry.get_sample_value(name, {"namespace": "team", "trainjob": of})

    heard_at = {of: read("trainjobs_last_report_timestamp_seconds", of) for of in statuses}
    assert heard_at == {"trains": 1767225610.0, "ended": None, "new": None, "odd": None, "ahead": 0.0}
    assert read("trainjobs_progress_deadline_seconds", "trains") == 60
    assert [read("trainjobs_restarts_total", of) for of in ("trains", "new")] == [2, 0]


def test_a_state_that_nobody_knows_is_another(metrics, item):
    told = {"conditions": [{"type": "Failed", "status": "True", "reason": "Whatever9"}]}
    metrics.watch(lambda: [{**item("a", 1), "status": told}])
    assert (
        metrics.registry.get_sample_value("trainjobs_trainjobs", {"namespace": "team", "state": "other"}) == 1
    )


def test_every_reason_of_ours_is_counted_by_its_name(metrics, item):
    told = [{"conditions": [{"type": "Running", "status": "False", "reason": reason}]} for reason in Reason]
    metrics.watch(lambda: [{**item(f"job-{i}", 1), "status": each} for i, each in enumerate(told)])
    counts = {
        reason: metrics.registry.get_sample_value(
            "trainjobs_trainjobs", {"namespace": "team", "state": reason}
        )
        for reason in Reason
    }
    assert set(counts.values()) == {1}


def test_states_and_best_values_are_those_of_the_cache(metrics, item):
    metrics.watch(lambda: [{**item("a", 1), "spec": SPEC, "status": STATUS}, item("b", 2)])
    read = metrics.registry.get_sample_value
    assert read("trainjobs_trainjobs", {"namespace": "team", "state": "EarlyStopped"}) == 1
    assert read("trainjobs_trainjobs", {"namespace": "team", "state": "New"}) == 1
    labels = {"namespace": "team", "trainjob": "a", "metric": "val_loss"}
    assert read("trainjobs_model_performance", labels) == 0.25
