"""Where checkpoints go, the same for a run on one machine, the operator and its pods."""

import pytest

from trainjobs.api.manifest import parse
from trainjobs.api.storage_uri import below, storage_root


@pytest.mark.parametrize(
    ("uri", "folder"),
    [
        ("/runs/", "/runs/a"),
        ("/what?/runs", "/what?/runs/a"),
        ("s3://bucket/runs/", "s3://bucket/runs/a"),
        (
            "s3://bucket/runs?region=x&endpoint_override=h:1",
            "s3://bucket/runs/a?region=x&endpoint_override=h:1",
        ),
    ],
)
def test_a_folder_of_a_storage_keeps_the_way_to_it(uri, folder):
    assert below(uri, "a") == folder


@pytest.mark.parametrize(
    ("storage", "here", "in_a_pod"),
    [
        (None, "", ""),
        ({"uri": "s3://b/r"}, "s3://b/r", "s3://b/r"),
        ({"claimName": "checkpoints"}, "", "/mnt"),
    ],
)
def test_a_claim_is_a_storage_only_where_it_is_mounted(storage, here, in_a_pod):
    job = parse(
        {
            "apiVersion": "trainjobs.dev/v1alpha1",
            "kind": "TrainJob",
            "metadata": {"name": "mnist"},
            "spec": {
                "trainer": {"entrypoint": "train:train", "maxEpochs": 1},
                "checkpoint": {"storage": storage},
            },
        }
    )
    assert (storage_root(job), storage_root(job, "/mnt")) == (here, in_a_pod)


def test_without_a_storage_there_is_no_folder():
    assert below("", "mnist") == ""
