"""What stands around the pods."""

import pytest

from trainjob_operator.trainjob.objects.dependents import network_policy, runner, secret, service
from trainjobs.api.manifest import parse

JOB = parse(
    {
        "apiVersion": "trainjobs.dev/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": "mnist", "namespace": "team", "uid": "me"},
        "spec": {"trainer": {"entrypoint": "train:train", "maxEpochs": 1}},
    }
)
OURS = {"trainjobs.dev/trainjob": "mnist"}


def test_pods_have_names_before_they_are_ready():
    spec = service(JOB)["spec"]
    pod_0 = {**OURS, "batch.kubernetes.io/job-completion-index": "0"}
    assert spec == {
        "type": "ClusterIP",
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": pod_0,
    }


def test_nobody_but_pods_of_the_same_trainjob_comes_in():
    spec = network_policy(JOB)["spec"]
    assert spec["podSelector"] == {"matchLabels": OURS}
    assert spec["policyTypes"] == ["Ingress"]
    assert spec["ingress"] == [{"from": [{"podSelector": {"matchLabels": OURS}}]}]


def test_a_token_once_made_cannot_change():
    made = secret(JOB, "t")
    assert made["immutable"] is True
    assert made["stringData"] == {"token": "t"}


@pytest.mark.parametrize("item", runner(JOB), ids=lambda item: item["kind"])
def test_the_identity_is_the_namespaces_and_outlives_the_trainjob(item):
    assert item["metadata"] == {"name": "trainjobs-runner", "namespace": "team"}
