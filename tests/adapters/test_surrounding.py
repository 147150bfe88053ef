"""The adapters in a run that `trainjobs run` has started: its manifest judges, its directory has the record."""

import pytest
from adapted import Kept
from forked import ForkedWorkers
from trials import Trial

from trainjobs.exits import Exit


@pytest.mark.parametrize("framework", ["accelerate", "ignite", "keras", "lightning"])
def test_the_manifest_judges_and_all_ranks_stop_at_its_step(framework, tmp_path):
    trial = Trial(tmp_path, ForkedWorkers())
    result = trial.train(
        entrypoint=f"adapted_frameworks:{framework}",
        max_epochs=8,
        stopping={"monitor": "value", "criteria": [{"plateau": {"patience": 2}}]},
        env=[{"name": "KERAS_BACKEND", "value": "torch"}],
        backoffLimit=0,
    )
    assert (result.exit_code, result.document["state"]) == (Exit.DONE, "EarlyStopped"), result.document
    kept = Kept(trial.place.path)
    assert kept.check() == 5
    assert [row["value"] for row in kept.curve] == pytest.approx([1.0, 0.8, 0.7, 0.75, 0.72])
    assert not (tmp_path / "runs").exists()
