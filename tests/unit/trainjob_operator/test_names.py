"""What belongs to a TrainJob is named after it alone, so that making it twice makes it once."""

import pytest

from trainjob_operator.trainjob.objects import names
from trainjobs.api.manifest import parse
from trainjobs.kube.resources import Key

QUEUED = {"kueue.x-k8s.io/queue-name": "fast", "kueue.x-k8s.io/priority-class": "high"}


def job(**metadata):
    return parse(
        {
            "apiVersion": "trainjobs.dev/v1alpha1",
            "kind": "TrainJob",
            "metadata": {"name": "mnist", **metadata},
            "spec": {"trainer": {"entrypoint": "train:train", "maxEpochs": 1}},
        }
    )


JOB = job(namespace="team", uid="01234567-89ab")


@pytest.mark.parametrize(
    ("own", "kueue"),
    [
        ({}, {}),
        ({"app": "x", "kueue.example/x": "y"}, {}),
        ({"app": "x", **QUEUED}, QUEUED),
    ],
)
def test_labels_are_the_trainjobs_name_and_what_kueue_reads(own, kueue):
    labelled = job(labels=own)
    assert names.kueue(labelled) == kueue
    assert names.selector(labelled) == {"trainjobs.dev/trainjob": "mnist"}
    assert names.labels(labelled) == {**kueue, "trainjobs.dev/trainjob": "mnist"}


def test_nobody_else_says_which_trainjob_a_pod_belongs_to():
    labelled = job(labels={"trainjobs.dev/trainjob": "another"})
    assert names.labels(labelled) == {"trainjobs.dev/trainjob": "mnist"}


def test_an_object_goes_with_its_trainjob_and_does_not_hold_it_back():
    made = names.metadata(JOB, "mnist-x")
    (owner,) = made["ownerReferences"]
    assert owner == {
        "apiVersion": "trainjobs.dev/v1alpha1",
        "kind": "TrainJob",
        "name": "mnist",
        "uid": "01234567-89ab",
        "controller": True,
    }
    assert (made["name"], made["namespace"], made["labels"]) == ("mnist-x", "team", names.labels(JOB))


@pytest.mark.parametrize(
    ("made", "key", "secret", "head"),
    [
        (JOB, Key("team", "mnist"), "mnist-ray-token-01234567", "mnist-0.mnist.team.svc"),
        (
            job(namespace="other", uid="fedcba98-76"),
            Key("other", "mnist"),
            "mnist-ray-token-fedcba98",
            "mnist-0.mnist.other.svc",
        ),
    ],
)
def test_names_tell_trainjobs_of_one_name_apart_by_namespace_and_uid(made, key, secret, head):
    assert (names.key(made), names.token_secret(made), names.head(made)) == (key, secret, head)
