"""A pod finds its place in its environment."""

from pathlib import Path

import pytest

from trainjob_operator.trainjob.objects.pod import environment
from trainjobs.api.manifest import parse
from trainjobs.pod.identity import PodIdentity

JOB = parse(
    {
        "apiVersion": "trainjobs.dev/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": "mnist", "namespace": "team", "uid": "0123456789ab"},
        "spec": {
            "trainer": {
                "entrypoint": "train:train",
                "maxEpochs": 1,
                "numNodes": 2,
                "numProcPerNode": 4,
                "code": {"configMap": "mnist"},
            },
            "checkpoint": {"storage": {"uri": "s3://bucket/runs/"}},
        },
    }
)


@pytest.fixture
def variables(tmp_path):
    """What the operator sets, and what Kubernetes adds."""
    token = tmp_path / "token"
    token.write_text("secret\n")
    ours = {each["name"]: each["value"] for each in environment(JOB) if "value" in each}
    kubernetes = {"TRAINJOBS_ADDRESS": "10.0.0.7", "JOB_COMPLETION_INDEX": "1"}
    return {**ours, **kubernetes, "RAY_AUTH_TOKEN_PATH": str(token)}


def test_what_the_operator_sets_is_what_the_agent_reads(variables):
    place = PodIdentity.of_env(variables)
    assert (place.name, place.namespace, place.uid) == ("mnist", "team", "0123456789ab")
    assert (place.nodes, place.processes, place.index) == (2, 4, 1)
    assert place.head == "mnist-0.mnist.team.svc"
    assert place.code_directory == Path("/trainjobs/code")
    assert place.token() == b"secret"
    assert place.backoff_limit == 3


def test_checkpoints_of_a_new_trainjob_of_the_same_name_are_its_own(variables):
    place = PodIdentity.of_env(variables)
    assert place.storage_uri == "s3://bucket/runs/mnist-01234567"
    later = PodIdentity.of_env({**variables, "TRAINJOBS_UID": "abcdef0123"})
    assert later.storage_uri == "s3://bucket/runs/mnist-abcdef01"


def test_without_a_storage_there_is_no_uri(variables):
    del variables["TRAINJOBS_STORAGE"]
    assert PodIdentity.of_env(variables).storage_uri == ""


def test_the_address_is_the_pods_also_where_the_host_name_is_the_nodes(variables):
    assert PodIdentity.of_env(variables).own_address == "10.0.0.7"


def test_a_pod_that_an_older_operator_made_finds_its_address_by_its_name(variables, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "localhost")
    del variables["TRAINJOBS_ADDRESS"]
    assert PodIdentity.of_env(variables).own_address == "127.0.0.1"
