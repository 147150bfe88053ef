"""The Indexed Job: what Kubernetes is told about pods, ends and failures."""

import pytest

from manifests import job
from trainjob_operator.trainjob.objects.job import digest, indexed_job


def trainjob(labels=None, **fields):
    return job(metadata={"namespace": "team", "uid": "me", "labels": labels or {}}, **fields)


def test_one_pod_a_node_and_the_driver_decides():
    spec = indexed_job(trainjob(trainer={"numNodes": 3}, backoffLimit=7), "default:1")["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 3)
    assert spec["successPolicy"] == {"rules": [{"succeededIndexes": "0"}]}
    assert (spec["backoffLimit"], spec["podReplacementPolicy"]) == (7, "Failed")


def test_a_lost_node_and_an_interruption_count_as_no_failure_and_a_mistake_ends_the_job():
    rules = indexed_job(trainjob(), "default:1")["spec"]["podFailurePolicy"]["rules"]
    assert [rule["action"] for rule in rules] == ["Ignore", "Ignore", "FailJob"]
    assert rules[0]["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    assert rules[1]["onExitCodes"]["values"] == [75]
    assert rules[2]["onExitCodes"]["values"] == [*range(64, 75), 76, 77, 78]


@pytest.mark.parametrize(
    ("labels", "suspend", "expected"),
    [({}, False, False), ({}, True, True), ({"kueue.x-k8s.io/queue-name": "q"}, False, True)],
)
def test_it_is_made_suspended_when_somebody_else_says_when_it_starts(labels, suspend, expected):
    assert indexed_job(trainjob(labels, suspend=suspend), "default:1")["spec"]["suspend"] is expected


def test_the_digest_changes_with_what_a_job_cannot_follow_and_with_nothing_else():
    before = digest(trainjob())
    assert (
        digest(trainjob(suspend=True, stop={}, stopping={"monitor": "a"}, activeDeadlineSeconds=1)) == before
    )
    assert digest(trainjob(trainer={"numNodes": 2})) != before
    assert digest(trainjob(backoffLimit=9)) != before


def test_it_says_who_looks_after_it_and_what_was_asked_of_its_suspension():
    queue = {"kueue.x-k8s.io/queue-name": "q"}
    made = indexed_job(trainjob(queue, managedBy="kueue.x-k8s.io/multikueue"), "default:1")
    assert made["spec"]["managedBy"] == "kueue.x-k8s.io/multikueue"
    assert made["metadata"]["annotations"]["trainjobs.dev/suspend"] == "true"
    made = indexed_job(trainjob(), "default:1")
    assert "managedBy" not in made["spec"]
    assert made["metadata"]["annotations"]["trainjobs.dev/suspend"] == "false"
