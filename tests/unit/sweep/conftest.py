import pytest
from sweep_manifests import sweep_manifest

from trainjobs.api.sweep import TrainSweep


def document(parameters, *, trainer=(), **spec):
    """One that says of its slots nothing, unless asked to."""
    trainer = {"maxEpochs": 10, "config": {"hidden": 8}, **dict(trainer)}
    given = {"parameters": parameters, "maxTrials": 5, "parallelTrials": None, **spec}
    return sweep_manifest("tiny", trainer, **given)


@pytest.fixture
def sweep():
    """A TrainSweep of these parameters; other fields are those of its spec."""
    return lambda parameters, **spec: TrainSweep.model_validate(document(parameters, **spec))
