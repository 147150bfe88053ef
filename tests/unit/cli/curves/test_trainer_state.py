"""Hugging Face's log."""

import json
from pathlib import Path

import pytest

from trainjobs.api import Length
from trainjobs.cli.curves.reports import reports
from trainjobs.cli.curves.trainer_state import TrainerState
from trainjobs.exits import DataError

WRITTEN = Path(__file__).parents[3] / "data/logs/trainer_state.json"
"""By a Trainer that evaluated every 5 of 30 steps, 10 to an epoch, and logged the training loss every 4."""


def test_evaluations_are_reports_with_the_training_loss_before_them():
    state = TrainerState.read(WRITTEN)
    seen = tuple(reports(state.rows(), "eval_loss"))
    assert [(each.epoch, each.step, each.whole) for each in seen] == [
        *((1, 5, False), (1, 10, True), (2, 15, False)),
        *((2, 20, True), (3, 25, False), (3, 30, True)),
    ]
    assert seen[0].metrics["loss"] == pytest.approx(5.86, abs=0.01)
    assert state.length == Length.of(None, 30)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "trainer_state.json: not JSON"),
        ("[]", "trainer_state.json: expected the trainer_state.json of a Trainer, with log_history"),
        ('{"log_history": [{"loss": 1}]}', "log_history[0]: expected numbers with epoch and step"),
        ('{"log_history": [7]}', "log_history[0]: expected numbers with epoch and step"),
        ('{"log_history": [{"epoch": NaN, "step": 1}]}', "log_history[0]: epoch or step goes back"),
        (
            '{"log_history": [{"epoch": 2, "step": 1}, {"epoch": 1, "step": 2}]}',
            "log_history[1]: epoch or step goes back",
        ),
    ],
)
def test_what_is_no_such_log_is_named(tmp_path, text, message):
    path = tmp_path / "trainer_state.json"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        tuple(TrainerState.read(path).rows())
    assert message in str(caught.value)


def test_what_the_log_says_beside_numbers_is_no_metric(tmp_path):
    path = tmp_path / "trainer_state.json"
    entry = {"epoch": 1.0, "step": 3, "loss": 0.5, "total_flos": 9, "note": "x", "done": True}
    path.write_text(json.dumps({"log_history": [entry]}))
    (row,) = TrainerState.read(path).rows()
    assert row.metrics == {"loss": 0.5}
    assert TrainerState.read(path).length is None
