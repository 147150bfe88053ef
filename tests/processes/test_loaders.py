"""Whole runs over loaders of every kind: no rank waits for a batch that another one does not have."""

import re

import pytest

from trainjobs.exits import Exit
from trainjobs.runs import events


def printed(trial, rank, word):
    """What a rank has printed after this word, line by line."""
    lines = [event.text.split() for event in trial.of(events.Printed) if event.rank == rank]
    return [" ".join(line[1:]) for line in lines if line[0] == word]


def feed(trial, kind, counts, max_epochs=1, **config):
    """A run on as many ranks as there are counts of samples."""
    return trial.train(
        entrypoint="feeds:train",
        config={"feed": kind, "counts": counts, **config},
        workers=len(counts),
        max_epochs=max_epochs,
        backoffLimit=0,
        progressDeadlineSeconds=60,
    )


@pytest.mark.parametrize("counts", [[40, 24], [24, 40], [20, 27, 33]])
@pytest.mark.parametrize("kind", ["stream", "own sampler", "list", "stateful"])
def test_every_rank_trains_the_smallest_number_of_batches_that_come(trial, kind, counts):
    assert feed(trial, kind, counts).exit_code == Exit.DONE
    batches = -(-min(counts) // 4)
    assert [len(printed(trial, rank, "trained")) for rank in range(len(counts))] == [batches] * len(counts)
    assert set(trial.of(events.Halted)[-1].steps.values()) == {batches}


@pytest.mark.parametrize("counts", [[44, 36], [36, 44], [40, 44, 36]])
@pytest.mark.parametrize("kind", ["stream", "list"])
def test_the_last_step_of_an_uneven_stream_has_the_batches_that_every_rank_has(trial, kind, counts):
    assert feed(trial, kind, counts, accumulate=4).exit_code == Exit.DONE
    for rank in range(len(counts)):
        trained = printed(trial, rank, "trained")
        assert [done for done, line in enumerate(trained, 1) if "stepped" in line] == [4, 8, 9]
        assert len(trained) == 9


@pytest.mark.parametrize("counts", [[24, 16], [16, 24], [24, 24, 16], [16, 16], [16]])
def test_a_data_set_that_ends_before_its_length_ends_the_run_with_both_numbers(trial, counts):
    result = feed(trial, "ends early", counts, length=24)
    assert result.exit_code == Exit.DATA
    message = result.document["failure"]["message"]
    assert re.search(r"length of 6 batches on rank \d and ended after 4", message)
    short = {rank for rank, count in enumerate(counts) if count == 16}
    assert int(re.search(r"rank (\d)", message)[1]) in short


def test_a_run_on_one_rank_has_the_same_steps_however_it_is_fed(new_trial, tmp_path):
    for kind in ("stream", "own sampler", "list", "stateful"):
        directory = tmp_path / kind
        directory.mkdir()
        trial = new_trial(directory)
        assert feed(trial, kind, [18], accumulate=2).exit_code == Exit.DONE
        assert [("stepped" in line) for line in printed(trial, 0, "trained")] == [0, 1, 0, 1, 1]


@pytest.mark.parametrize(("ranks", "samples"), [(2, 5), (2, 1), (3, 2), (3, 4)])
def test_every_sample_is_evaluated_once_even_where_a_rank_has_none(trial, ranks, samples):
    assert feed(trial, "prepared", [24] * ranks, validation=samples).exit_code == Exit.DONE
    shares = [printed(trial, rank, "evaluated") for rank in range(ranks)]
    assert shares == [[str(index) for index in range(rank, samples, ranks)] for rank in range(ranks)]
    (seen,) = trial.place.history()
    assert seen.metrics["mean"] == (samples - 1) / 2


@pytest.mark.parametrize("counts", [[40], [40, 32]])
@pytest.mark.parametrize("kind", ["stateful", "seeded", "stream", "prepared"])
@pytest.mark.parametrize(("accumulate", "step"), [(1, 3), (3, 2), (1, 13)])
def test_an_interrupted_epoch_goes_on_with_the_batches_of_the_undisturbed_one(
    new_trial, tmp_path, kind, counts, accumulate, step
):
    trials = []
    for name in ("whole", "broken"):
        (tmp_path / name).mkdir()
        trials.append(new_trial(tmp_path / name))
    whole, broken = trials
    assert feed(whole, kind, counts, max_epochs=3, accumulate=accumulate).exit_code == Exit.DONE
    parts = {"max_epochs": 3, "accumulate": accumulate, "interrupt": step}
    assert feed(broken, kind, counts, **parts).exit_code == Exit.INTERRUPTED
    assert feed(broken, kind, counts, **parts).exit_code == Exit.DONE
    for rank in range(len(counts)):
        assert printed(broken, rank, "trained") == printed(whole, rank, "trained")
    assert broken.outcome() == whole.outcome()


def test_a_rank_without_data_amid_the_steps_needs_none_after_a_resume_either(trial):
    parts = {"validation": 1, "evaluate_amid": 2, "interrupt": 3}
    assert feed(trial, "prepared", [80, 80], **parts).exit_code == Exit.INTERRUPTED
    assert trial.of(events.Checkpointed)[-1].step < 20
    assert feed(trial, "prepared", [80, 80], **parts).exit_code == Exit.DONE
    (seen,) = trial.place.history()
    assert seen.metrics["mean"] == 0


def test_a_loader_with_a_state_does_not_read_again_what_it_has_passed(trial):
    assert feed(trial, "stateful", [40, 40], interrupt=3).exit_code == Exit.INTERRUPTED
    (halted,) = set(trial.of(events.Halted)[-1].steps.values())
    trial.events.clear()
    assert feed(trial, "stateful", [40, 40], interrupt=3).exit_code == Exit.DONE
    for rank in (0, 1):
        assert printed(trial, rank, "read") == [str(index) for index in range(4 * halted, 40, 4)]
