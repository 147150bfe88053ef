"""What workers report of their own gradients is what they really are."""

import pytest

from trainjobs.exits import Exit
from trainjobs.runs import events

BOTH = {
    "monitor": "train_loss",
    "criteria": [
        {"evidence": {}, "shadow": True},
        {"gradientDisparity": {"patience": 3}, "shadow": True},
    ],
}


def metrics(trial):
    return [report.observation.metrics for report in trial.of(events.Reported)]


@pytest.mark.parametrize(
    ("workers", "config"),
    [
        (2, {}),
        (3, {}),
        (2, {"accumulate": 3}),
        (2, {"accumulate": 3, "synced": False}),
        (2, {"batch": 4}),
    ],
    ids=["two", "three", "accumulated", "accumulated and exchanged each time", "many steps"],
)
def test_the_metrics_are_those_of_the_explicit_computation(trial, workers, config):
    result = trial.train(
        stopping=BOTH, entrypoint="gradients:train", workers=workers, config=config, max_epochs=3
    )
    assert result.exit_code == Exit.DONE
    found = metrics(trial)
    if config.get("batch") is None:  # else some of the later steps are looked at, too
        assert [each["gradient_disparity"] for each in found] == pytest.approx(
            [each["pairwise"] for each in found], rel=1e-3
        )
        assert [each["gradient_evidence"] for each in found] == pytest.approx(
            [each["by_hand"] for each in found], rel=1e-3
        )
    assert len({each["gradient_disparity"] for each in found}) == 3


def test_a_report_after_a_resume_has_the_gradients_of_the_steps_before_it(new_trial, tmp_path):
    parts = {"stopping": BOTH, "entrypoint": "gradients:train", "max_epochs": 2}
    whole, broken = (new_trial(make(tmp_path / name)) for name in ("whole", "broken"))
    assert whole.train(**parts).exit_code == Exit.DONE
    config = {"interrupt": whole.place.history()[0].step}
    assert broken.train(config=config, **parts).exit_code == Exit.INTERRUPTED
    assert not broken.place.history()
    assert broken.train(config=config, **parts).exit_code == Exit.DONE
    assert broken.outcome() == whole.outcome()


def make(directory):
    directory.mkdir()
    return directory


def test_evidence_stops_a_run_that_has_learnt_what_there_is_to_learn(trial):
    stopping = {"criteria": [{"evidence": {"patience": 2}}]}
    result = trial.train(
        stopping=stopping, entrypoint="gradients:train", config={"learningRate": 0.5}, max_epochs=200
    )
    assert result.document["stopping"]["criterion"] == "evidence"
    assert "is above 0, no more than noise, for 2 reports" in result.document["stopping"]["reason"]
    losses = [each["train_loss"] for each in metrics(trial)]
    assert losses[-1] < losses[0]


def test_nothing_is_measured_unless_a_criterion_asks(trial):
    trial.train(stopping={"monitor": "train_loss"}, entrypoint="gradients:train", max_epochs=1)
    assert "gradient_disparity" not in metrics(trial)[0]


def test_one_worker_has_nothing_to_compare_with(trial):
    result = trial.train(stopping=BOTH, entrypoint="gradients:train", workers=1, max_epochs=1)
    assert result.exit_code == Exit.CONFIG
    (failure,) = trial.of(events.Failed)
    assert "compares gradients of workers, and there is one; raise numNodes" in failure.message
