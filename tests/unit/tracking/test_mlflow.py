"""What MLflow's own client reads of a run, from a store of its own."""

from dataclasses import replace

import mlflow
import pytest
from recording import STEPS_PER_EPOCH, VAL_LOSS

from trainjobs.api.reasons import RunOutcome
from trainjobs.tracking.mlflow import MLflow
from trainjobs.tracking.tracker import TrackedRun

pytestmark = pytest.mark.filterwarnings("ignore::Warning")  # MLflow's and Alembic's own


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    place = tmp_path_factory.mktemp("mlflow")
    mlflow.set_tracking_uri(f"sqlite:///{place}/mlflow.db")
    mlflow.create_experiment("runs", artifact_location=f"{place}/artifacts")
    yield mlflow.MlflowClient()
    mlflow.set_tracking_uri(None)


@pytest.fixture(autouse=True)
def experiment(store, monkeypatch):
    """As a user names it."""
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "runs")
    monkeypatch.setattr("mlflow.tracking.fluent._active_experiment_id", None)


def kept(store, run):
    return store.get_run((run.folder / "mlflow-run-id").read_text().strip())


def curve(store, run, metric):
    history = store.get_metric_history(kept(store, run).info.run_id, metric)
    return [(each.step, each.value) for each in history]


def test_a_run_has_its_curves_its_settings_and_its_decision(store, run, reports, started, stopped, tell):
    tell(MLflow(run), started, *reports, stopped)
    found = kept(store, run)
    assert (found.info.run_name, found.info.status) == ("mnist", "FINISHED")
    assert store.get_experiment(found.info.experiment_id).name == "runs"
    assert found.data.params == {"lr": "0.1", "hidden": "128", "augment": "True", "act": "relu"}
    assert curve(store, run, "val_loss") == [
        (epoch * STEPS_PER_EPOCH, value) for epoch, value in enumerate(VAL_LOSS, start=1)
    ]
    assert curve(store, run, "stop/val_loss") == [(910, 0.412)]
    assert found.data.metrics["best/val_loss"] == 0.3975
    assert found.data.tags["outcome"] == "EarlyStopped"
    assert found.data.tags["decision"].startswith("EarlyStopped at step 910: flat for 5 reports; best ")
    assert (found.data.tags["best.step"], found.data.tags["best.epoch"]) == ("770", "11")


def test_a_resume_goes_on_with_the_same_run(store, run, reports, started, stopped, tell):
    tell(MLflow(run), started, *reports[:3], replace(stopped, outcome=RunOutcome.INTERRUPTED))
    first = kept(store, run)
    assert first.info.status == "KILLED"
    tell(MLflow(run), replace(started, attempt=2), *reports[3:], stopped)
    again = kept(store, run)
    assert (again.info.run_id, again.info.status) == (first.info.run_id, "FINISHED")
    assert len(curve(store, run, "val_loss")) == len(VAL_LOSS)


def test_names_and_numbers_that_mlflow_refuses_are_told_as_it_takes_them(
    store, run, reports, started, stopped, tell
):
    settings = {f"layer[{number}]": number for number in range(101)}
    seen = replace(reports[0].observation, metrics={"loss(train)": float("nan")})
    one = TrackedRun(run.name, settings, run.folder)
    failed = replace(stopped, outcome=RunOutcome.FAILED)
    tell(MLflow(one), started, replace(reports[0], observation=seen, best=None), failed)
    found = kept(store, one)
    assert (len(found.data.params), found.data.params["layer_7_"]) == (101, "7")
    assert "loss_train_" in found.data.metrics
    assert found.info.status == "FAILED"


@pytest.mark.parametrize(
    ("told", "taken"),
    [
        ("/loss", "_/loss"),
        ("val//loss", "val/_/loss"),
        ("val/../loss", "val/_/loss"),
        ("loss/.", "loss/_"),
        ("", "_"),
        ("..loss", "_loss"),
        (".loss", ".loss"),
        ("größe", "größe"),
        ("a" * 249 + "/b", "a" * 249),
    ],
)
def test_a_name_that_is_no_path_or_too_long_is_told_as_one_that_mlflow_takes(
    store, run, reports, started, stopped, tell, told, taken
):
    seen = replace(reports[0].observation, metrics={told: 0.5})
    one = TrackedRun(run.name, {told: 1}, run.folder)
    tell(MLflow(one), started, replace(reports[0], observation=seen, best=None), stopped)
    assert curve(store, one, taken) == [(seen.step, 0.5)]
    assert kept(store, one).data.params == {taken: "1"}
