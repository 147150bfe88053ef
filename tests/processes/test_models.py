"""Models as people have them: wrapped, frozen, of each rank its own. Whole runs with 1 to 4 workers."""

import importlib

import pytest
import torch
from trials import RECIPES

from trainjobs.exits import Exit
from trainjobs.runs import events

LOSS = {"monitor": "val_loss"}


def model_of(trial):
    return torch.load(trial.place.model, weights_only=True)


def printed(trial, start):
    return [event.text for event in trial.of(events.Printed) if event.text.startswith(start)]


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


@pytest.mark.parametrize("workers", [1, 2])
def test_one_program_has_the_same_keys_and_weights_in_every_order_of_wrappers(trial, workers, monkeypatch):
    monkeypatch.syspath_prepend(RECIPES)
    plain = importlib.import_module("models").Net()

    best = LOSS | {"restoreBest": True}
    result = trial.train(stopping=best, workers=workers, entrypoint="models:all_orders", max_epochs=1)
    assert result.exit_code == Exit.DONE
    states = model_of(trial)
    assert len(states) == 16
    prepared = {order: state for order, state in states.items() if workers == 1 or "ddp" in order}
    for order, state in states.items():
        plain.load_state_dict(state, strict=True)
        assert order not in prepared or same(state, prepared["ddp"]), order


@pytest.fixture(scope="module")
def undisturbed(new_trial, tmp_path_factory):
    trials = {}
    for workers in (2, 3, 4):
        trials[workers] = trial = new_trial(tmp_path_factory.mktemp(f"{workers}-workers"))
        assert train(trial, workers, width=64, interrupt=False).exit_code == Exit.DONE
    return trials


def train(trial, workers, order="ddp", **config):
    return trial.train(
        stopping=LOSS,
        workers=workers,
        entrypoint="models:one_order",
        max_epochs=3,
        config={"order": order, **config},
    )


@pytest.mark.parametrize("workers", [2, 3, 4])
def test_a_resumed_run_ends_with_the_same_bits(trial, undisturbed, workers):
    assert train(trial, workers, width=64, interrupt=True).exit_code == Exit.INTERRUPTED
    assert train(trial, workers, width=64, interrupt=False).exit_code == Exit.DONE
    whole = model_of(undisturbed[workers])
    assert all(same(state, whole[name]) for name, state in model_of(trial).items())
    fresh = printed(undisturbed[workers], "tensors like a weight")[-workers:]
    assert printed(trial, "tensors like a weight")[-workers:] == fresh


def test_a_checkpoint_resumes_into_a_model_that_is_compiled_since(trial, undisturbed):
    assert train(trial, 2, width=64, interrupt=True).exit_code == Exit.INTERRUPTED
    assert train(trial, 2, width=64, order="ddp-compile", interrupt=False).exit_code == Exit.DONE
    assert all(same(state, model_of(undisturbed[2])[name]) for name, state in model_of(trial).items())


def test_each_rank_gets_its_own_counters_back_and_a_model_of_its_own_is_named(trial):
    def count(interrupt):
        return trial.train(
            stopping=LOSS, entrypoint="models:counting", max_epochs=4, config={"interrupt": interrupt}
        )

    assert count(interrupt=True).exit_code == Exit.INTERRUPTED
    (warning,) = trial.of(events.Warned)
    assert warning.message.startswith("own is not the same on every rank; checkpoints hold rank 0's")
    assert count(interrupt=False).exit_code == Exit.DONE
    assert sorted(printed(trial, "rank")) == ["rank 0 has seen 40, 4", "rank 1 has seen 44, 4"]


def test_a_state_of_one_rank_that_cannot_be_saved_ends_the_run_with_a_sentence(trial):
    result = trial.train(stopping=LOSS, entrypoint="models:unpackable", backoffLimit=0)
    assert result.exit_code == Exit.DATA
    failure = result.document["failure"]
    assert failure["rank"] == 1
    assert failure["message"].startswith("the state of seen cannot be saved: ")


@pytest.mark.parametrize("own", [False, True])
def test_an_average_is_evaluated_with_the_statistics_that_are_kept_of_it(trial, own):
    trial.train(entrypoint="models:averaged_statistics", workers=2, max_epochs=2, config={"own": own})
    statistics = printed(trial, "statistics")
    assert len(statistics) == 8  # of two epochs, amid the steps and after them, on two ranks
    assert len(set(statistics)) == 4
    assert f"statistics {model_of(trial)['average']['norm.running_mean'].tolist()}" in statistics
