"""Every family judges a real run: nobody has to do more for it than to name it in the manifest."""

import pytest
import yaml

from trainjobs.api.stopping import Single
from trainjobs.exits import Exit
from trainjobs.runs import events

LIMIT = 16
"""Criteria of a manifest at most."""
REPORTED = {"weighted": {"others": [{"metric": "train_loss"}]}}
"""Metrics of the recipe, where an example names others."""
EXAMPLES = [
    {
        field.alias: yaml.safe_load(field.annotation.__args__[0].example) | REPORTED.get(field.alias, {}),
        "shadow": True,
    }
    for field in map(Single.model_fields.get, Single.alternatives())
]
SLICES = [EXAMPLES[i : i + LIMIT] for i in range(0, len(EXAMPLES), LIMIT)]


@pytest.mark.parametrize("criteria", SLICES, ids=range(len(SLICES)))
def test_every_family_judges_a_run(trial, criteria):
    result = trial.train(stopping={"monitor": "val_loss", "criteria": criteria}, max_epochs=2)
    assert result.exit_code == Exit.DONE
    told = {each.family: each.reason for each in trial.of(events.Reported)[-1].results}
    assert set(told) == {key for criterion in criteria for key in criterion if key != "shadow"}
    assert [reason for reason in told.values() if "was not reported" in reason] == []


def test_a_run_reports_the_learning_rate_only_to_a_criterion_that_reads_it(trial):
    plateau = {"decayedPlateau": {"patience": 1, "decayedTo": 1.0, "minDelta": 10}}
    result = trial.train(stopping={"monitor": "val_loss", "criteria": [plateau]}, max_epochs=4)
    assert result.document["stopping"]["criterion"] == "decayedPlateau"
    rates = [report.observation.metrics["learning_rate"] for report in trial.of(events.Reported)]
    assert rates == pytest.approx([0.05 * 0.9 ** (i + 1) for i in range(len(rates))])
    trial.events.clear()
