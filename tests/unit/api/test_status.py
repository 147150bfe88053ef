"""The status: what the operator and the run write, and any version reads."""

from datetime import UTC, datetime, timedelta

import pytest

from trainjobs.api.manifest import SpecError, dump, load, parse
from trainjobs.api.status import Condition

MANIFEST = {
    "apiVersion": "trainjobs.dev/v1alpha1",
    "kind": "TrainJob",
    "metadata": {"name": "mnist", "uid": "1-2-3", "generation": 2, "resourceVersion": "7"},
    "spec": {"trainer": {"entrypoint": "train:train", "maxEpochs": 100}},
}
STATUS = {
    "conditions": [
        {
            "type": "Complete",
            "status": "True",
            "reason": "EarlyStopped",
            "message": "plateau stopped the run",
            "lastTransitionTime": "2026-11-21T10:00:00Z",
            "observedGeneration": 2,
        }
    ],
    "observedGeneration": 2,
    "startTime": "2026-11-21T09:00:00Z",
    "completionTime": "2026-11-21T10:00:00Z",
    "restarts": 1,
    "failedAttempts": 1,
    "activeSeconds": 30.5,
    "training": {
        "epoch": 37,
        "step": 1480,
        "metrics": [{"name": "val_loss", "value": "0.412"}, {"name": "train_loss", "value": "nan"}],
        "best": {"metric": "val_loss", "value": "0.398", "epoch": 32},
        "waiting": "plateau 5/5",
        "lastUpdateTime": "2026-11-21T10:00:00Z",
    },
    "stopping": {
        "criterion": "plateau",
        "reason": "val_loss 0.412 has not improved on 0.398 (epoch 32) for 5 reports",
        "metric": "val_loss",
        "value": "0.412",
        "decidedAtStep": 1480,
        "haltedAtStep": 1480,
        "ranksHalted": 2,
        "ranksTotal": 2,
        "decisionTime": "2026-11-21T10:00:00.125000Z",
        "haltTime": "2026-11-21T10:00:00.127000Z",
        "shadow": [{"criterion": "overfitting", "reason": "gap", "epoch": 20, "step": 800}],
    },
    "checkpoint": {
        "uri": "file:///runs/mnist/checkpoints/37",
        "epoch": 37,
        "step": 1480,
        "metric": "0.412",
        "time": "2026-11-21T10:00:00Z",
    },
    "accounting": {
        "gpuSecondsUsed": 7200.5,
        "gpuSecondsSaved": 12259.5,
        "gpuHoursSaved": 3.41,
        "secondsSaved": 1532.4375,
        "epochsSaved": 63.0,
        "stepsSaved": 2520.0,
        "baseline": "MaxEpochs",
    },
}


def test_a_full_status_is_read_and_written_back_unchanged():
    job = parse({**MANIFEST, "status": STATUS})
    assert job.status.model_dump(mode="json", by_alias=True, exclude_none=True) == STATUS


def test_a_status_survives_the_canonical_manifest(tmp_path):
    job = parse({**MANIFEST, "status": STATUS})
    path = tmp_path / "trainjob.yaml"
    path.write_text(dump(job))
    assert load(path) == job


def test_a_new_job_has_no_status():
    assert parse(MANIFEST).status is None


def test_an_empty_status_is_a_status_without_facts():
    status = parse({**MANIFEST, "status": {}}).status
    assert (status.conditions, status.restarts, status.training) == ((), 0, None)


def test_a_field_of_another_version_is_ignored_in_the_status_only():
    newer = {**STATUS, "gpuModel": "x", "training": {**STATUS["training"], "tokens": 5}}
    assert parse({**MANIFEST, "status": newer}) == parse({**MANIFEST, "status": STATUS})
    with pytest.raises(SpecError, match=r"spec\.gpuModel"):
        parse({**MANIFEST, "spec": {**MANIFEST["spec"], "gpuModel": "x"}})


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("restarts", -1, "status.restarts: -1: must be at least 0"),
        ("restarts", True, "status.restarts: true: must be a whole number"),
        ("training", {"metrics": [{"name": "a", "value": 0.5}]}, r"metrics\[0\].value: 0.5: must be text"),
        ("accounting", {"baseline": "Median"}, 'baseline: "Median": must be one of MaxEpochs, MaxSteps'),
        ("startTime", "2026-11-21T09:00:00", "status.startTime: .* timezone"),
    ],
)
def test_known_fields_of_the_status_are_checked(part, value, message):
    with pytest.raises(SpecError, match=message):
        parse({**MANIFEST, "status": {part: value}})


NOW = datetime(2026, 11, 21, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


@pytest.mark.parametrize(("holds", "since"), [(True, NOW), (False, LATER)])
def test_the_time_of_a_condition_moves_only_with_the_truth(holds, since):
    before = Condition.of("Running", True, "Starting", "", NOW)
    now = Condition.of("Running", holds, "Training", "3 of 5", LATER, before=before, generation=2)
    assert (now.last_transition_time, now.reason, now.message) == (since, "Training", "3 of 5")
    assert (now.status, now.observed_generation) == (str(holds), 2)


@pytest.mark.parametrize(
    ("reason", "message", "told"),
    [
        ("ValueError", "no", ("ValueError", "no")),
        ("_My Error:", "x" * 5000, ("MyError", "x" * 4095 + "…")),
        ("", "\udcff.png is gone", ("Unknown", "?.png is gone")),
        ("e" * 200, "", ("e" * 128, "")),
    ],
)
def test_a_condition_is_one_that_kubernetes_takes_whatever_went_wrong(reason, message, told):
    made = Condition.of("Failed", True, reason, message, NOW)
    assert (made.reason, made.message) == told
