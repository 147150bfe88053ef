"""A run that is read back: what a notebook shows is what was reported, and damage is named."""

import math

import pytest
import torch
import yaml
from torch import nn

import trainjobs
from trainjobs.exits import DataError, NoInput
from trainjobs.stopping import Observation


@pytest.fixture
def net():
    torch.manual_seed(1)
    return nn.Linear(3, 2)


def test_a_run_that_has_stopped(recording):
    recording.early_stop()
    run = trainjobs.load_run(recording.place.path)
    assert (run.outcome, run.job.metadata.name) == ("EarlyStopped", "mnist")
    assert run.rows[2]["val_loss"] == recording.place.history()[2].metrics["val_loss"]
    assert [row["epoch"] for row in run.rows] == list(range(1, len(run.history) + 1))
    assert run.best.value == min(row["val_loss"] for row in run.rows)
    assert run.decisions[0]["criterion"] == "plateau"
    assert run.result["stopping"]["criterion"] == "plateau"


def test_a_run_that_still_trains(recording):
    recording.play([*recording.beginning(), *recording.reports([0.9, 0.8])], close=False)
    run = trainjobs.load_run(str(recording.place.path))
    assert (run.outcome, run.result, len(run.rows)) == (None, None, 2)


def test_a_run_without_a_report(recording):
    recording.play(recording.beginning(), close=False)
    run = trainjobs.load_run(recording.place.path)
    assert (run.rows, run.best, run.checkpoints) == ([], None, ())
    assert list(run.to_pandas().columns) == ["epoch", "step", "seconds"]


def test_a_table_has_a_row_for_each_report_and_keeps_what_is_not_finite(recording):
    recording.play(recording.beginning(), close=False)
    recording.place.append_observation(Observation(1, 10, 2.0, {"loss": 1.0}))
    recording.place.append_observation(Observation(2, 20, 4.0, {"loss": math.nan, "extra": 3.0}))
    table = trainjobs.load_run(recording.place.path).to_pandas()
    assert list(table.columns) == ["epoch", "step", "seconds", "loss", "extra"]
    assert (len(table), table["extra"][1]) == (2, 3.0)
    assert math.isnan(table["loss"][1])


def test_checkpoints_come_in_the_order_of_the_run(recording):
    recording.early_stop()
    folder = recording.place.checkpoints
    folder.mkdir()
    names = [f"epoch-{n:05}-step-{70 * n:08}-report-{n:05}.pt" for n in (2, 10, 9)]
    for name in [*names, "best-report-00001.pt", "notes.txt"]:
        (folder / name).touch()
    assert trainjobs.load_run(recording.place.path).checkpoints == (names[0], names[2], names[1])


@pytest.mark.parametrize(
    "wrap", [lambda m: m, torch.optim.swa_utils.AveragedModel], ids=["plain", "averaged"]
)
def test_the_weights_are_loaded_into_a_model_however_it_is_wrapped(recording, net, wrap):
    recording.early_stop()
    torch.save(net.state_dict(), recording.place.model)
    fresh = nn.Linear(3, 2)
    loaded = wrap(fresh)
    assert trainjobs.load_run(recording.place.path).load_model(loaded) is loaded
    x = torch.ones(1, 3)
    assert torch.equal(loaded(x), net(x))


def test_of_several_models_one_is_named(recording, net):
    recording.early_stop()
    torch.save({"critic": net.state_dict(), "actor": nn.Linear(1, 1).state_dict()}, recording.place.model)
    run = trainjobs.load_run(recording.place.path)
    assert torch.equal(run.load_model(nn.Linear(3, 2), "critic").weight, net.weight)
    with pytest.raises(NoInput, match=r"holds critic, actor; say which"):
        run.load_model(nn.Linear(3, 2))
    with pytest.raises(NoInput, match=r"holds critic, actor; say which"):
        run.load_model(nn.Linear(3, 2), "generator")


def test_weights_in_a_storage_are_found(recording, net, tmp_path):
    recording.early_stop()
    manifest = yaml.safe_load(recording.place.manifest.read_text())
    manifest["spec"]["checkpoint"]["storage"] = {"uri": f"{tmp_path}/shared"}
    recording.place.manifest.write_text(yaml.safe_dump(manifest))
    (tmp_path / "shared" / "mnist").mkdir(parents=True)
    torch.save(net.state_dict(), tmp_path / "shared" / "mnist" / "model.pt")
    loaded = trainjobs.load_run(recording.place.path).load_model(nn.Linear(3, 2))
    assert torch.equal(loaded.weight, net.weight)


def test_no_weights_damaged_weights_and_another_model_are_told_apart(recording, net):
    recording.early_stop()
    run = trainjobs.load_run(recording.place.path)
    with pytest.raises(DataError, match=r"model\.pt"):
        run.load_model(net)
    recording.place.model.write_bytes(b"no model")
    with pytest.raises(DataError, match=r"model\.pt: damaged"):
        run.load_model(net)
    torch.save(nn.Linear(7, 7).state_dict(), recording.place.model)
    with pytest.raises(RuntimeError, match="size mismatch"):
        run.load_model(net)


def test_what_is_no_run_is_said(tmp_path):
    with pytest.raises(NoInput, match="no such run directory"):
        trainjobs.load_run(tmp_path / "none")
    with pytest.raises(AttributeError, match="no attribute 'load'"):
        trainjobs.load  # noqa: B018
