import pytest

from trainjobs.api.sweep import TrainSweep


def document(parameters, **spec):
    trainer = {"entrypoint": "train:train", "maxEpochs": 10, "config": {"hidden": 8}}
    return {
        "apiVersion": "trainjobs.dev/v1alpha1",
        "kind": "TrainSweep",
        "metadata": {"name": "tiny"},
        "spec": {
            "template": {"spec": {"trainer": {**trainer, **spec.pop("trainer", {})}}},
            "parameters": parameters,
            "objective": {"metric": "val_loss"},
            "maxTrials": 5,
            **spec,
        },
    }


@pytest.fixture
def sweep():
    """A TrainSweep of these parameters; other fields are those of its spec."""
    return lambda parameters, **spec: TrainSweep.model_validate(document(parameters, **spec))
