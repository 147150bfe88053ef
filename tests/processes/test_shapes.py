"""Where a run is does not depend on how a loop is left: any shape, halted anywhere, equals its undisturbed self."""

import random
from itertools import product

import pytest
from living import LOSS, LivingWorkers, outcome, shape, trained
from trials import Trial

from trainjobs.exits import Exit
from trainjobs.runs import events

AXES = {
    "loader": ["prepared", "own", "stream"],
    "leave": ["end", "break", "limit", "raise"],
    "evaluate": ["after", "amid", "both"],
    "report": ["end", "amid", "both"],
    "accumulate": [1, 2],
    "prelude": [False, True],
    "epochs": [0, 2],
}
ALL = [dict(zip(AXES, values, strict=True)) for values in product(*AXES.values())]
SHAPES = random.Random(0).sample(ALL, 54)
HALTS = (1, 4, 7, 11, 16, 23)


@pytest.fixture(scope="module")
def living():
    workers = LivingWorkers(2)
    yield workers
    workers.close()


@pytest.mark.parametrize("number", range(len(SHAPES)))
def test_any_loop_of_run_halted_anywhere_equals_its_undisturbed_self(living, tmp_path, number):
    config = shape(**SHAPES[number])
    whole, _ = trained(living, tmp_path / "whole", "train", config)
    expected = outcome(whole)
    for halt in HALTS:
        broken, _ = trained(living, tmp_path / f"{halt}", "train", config | {"halt": halt})
        assert outcome(broken) == expected, (halt, config)


@pytest.mark.parametrize(
    ("entrypoint", "parts"),
    [
        *[("own_steps", {"loader": loader, "accumulate": n}) for loader in AXES["loader"] for n in (1, 2)],
        ("train", {"loader": "several"}),
        ("train", {"accumulate": 3, "leave": "break", "evaluate": "both"}),
        ("train", {"ddp": {"broadcast_buffers": False}}),
        ("by_the_reduced_loss", {}),
        ("other_weights", {}),
        ("other_weights", {"evaluate": "both"}),
        ("other_weights", {"write": "data"}),
        ("halved_states", {}),
        ("kept_iterators", {}),
        *[("own_polls", {"loader": loader}) for loader in ("own", "stream")],
        ("own_epochs", {}),
        ("late_schedule", {}),
        ("own_late_schedule", {}),
        ("written_in_evaluation", {}),
        *[
            ("uneven_evaluation", {"batches": batches, "leave": leave})
            for batches in ([2, 6], [6, 2], [0, 5], [5, 0])
            for leave in ("end", "break")
        ],
    ],
    ids=str,
)
def test_other_loops_halted_anywhere_equal_their_undisturbed_selves(living, tmp_path, entrypoint, parts):
    config = shape(**parts)
    expected = outcome(trained(living, tmp_path / "whole", entrypoint, config)[0])
    for halt in HALTS:
        broken, _ = trained(living, tmp_path / f"{halt}", entrypoint, config | {"halt": halt})
        assert outcome(broken) == expected, (halt, config)


@pytest.mark.parametrize("number", range(0, len(SHAPES), 3))
@pytest.mark.parametrize("steps", [4, 5])
def test_a_budget_of_steps_is_exact_in_any_loop(living, tmp_path, number, steps):
    config = shape(**SHAPES[number])
    trial, _ = trained(
        living, tmp_path / "run", "train", config, {"criteria": [{"budget": {"steps": steps}}]}
    )
    (halted,) = trial.of(events.Halted)
    saved = [checkpoint.uri for checkpoint in trial.of(events.Checkpointed)]
    assert len(saved) == len(set(saved))
    if max(halted.steps.values()) >= steps or halted.decision:
        assert set(halted.steps.values()) == {steps}
        assert f"{steps} of {steps} steps are used" in halted.decision.reason


def test_a_rate_that_follows_the_reduced_loss_is_one_on_all_ranks(living, tmp_path):
    trial, _ = trained(living, tmp_path / "run", "by_the_reduced_loss", shape())
    rates = [[line.text for line in trial.of(events.Printed) if line.rank == rank] for rank in (0, 1)]
    assert rates[0] == rates[1] == ["rate 0.025", "rate 0.0125", "rate 0.00625"]


def test_the_report_of_a_run_that_was_stopped_amid_an_epoch_can_be_asked_for_any_metric(living, tmp_path):
    stopping = {"criteria": [{"budget": {"steps": 8}}]}
    trial, _ = trained(living, tmp_path / "run", "by_the_reduced_loss", shape(), stopping)
    assert [(seen.epoch, seen.step) for seen in trial.place.history()] == [(1, 5)]
    assert {line.text.split()[0] for line in trial.of(events.Printed)} == {"rate"}
    assert trial.place.result()["state"] == "EarlyStopped"


def test_steps_that_go_on_into_the_next_epoch_are_refused(living, tmp_path):
    trial = Trial(tmp_path, living)
    result = trial.train(entrypoint="shapes:one_iterator", config=shape() | {"mark": "none"}, stopping=LOSS)
    assert result.exit_code == Exit.USER_CODE
    assert "these run.steps() were of an earlier epoch" in result.document["failure"]["message"]


def test_a_loop_that_begins_its_epoch_again_says_so(living, tmp_path):
    trial, lives = trained(living, tmp_path / "run", "own_polls_amid", shape(loader="own", halt=7, near=True))
    assert lives == 2
    saved = [saved for saved in trial.of(events.Checkpointed) if saved.repeats]
    assert [warned.message for warned in trial.of(events.Warned)] == [
        f"epoch 2 begins again with its first batch, though {saved[0].repeats} of its steps were trained before the "
        "checkpoint; coordinator.steps(loader) goes on with the next one"
    ]


def test_a_path_may_have_blanks_and_umlauts(living, tmp_path):
    trial, _ = trained(living, tmp_path / "päth with späce", "train", shape(halt=9))
    assert trial.place.result()["state"] == "Finished"
