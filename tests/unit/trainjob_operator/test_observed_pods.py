"""What is kept of a Job's pods and of Events about them, whatever somebody writes into these."""

import json
from functools import partial

import pytest

from trainjob_operator.trainjob.observation import observed_pods
from trainjob_operator.trainjob.observation.observed_job import observed_job
from trainjob_operator.trainjob.observation.observed_pods import looked_at, warnings
from trainjobs.kube.client import Listing

JOB = observed_job({"metadata": {"uid": "job"}})
OWNERS = [{"uid": "job", "controller": True}]
INDEX = "batch.kubernetes.io/job-completion-index"


def pod(**metadata):
    return {
        "metadata": {"name": "mnist-0-abcde", "ownerReferences": OWNERS, **metadata},
        "status": {"phase": "Pending"},
    }


def event(**fields):
    about = {"kind": "Job", "name": "mnist", "fieldPath": "x" * 100_000}
    return {"metadata": {"annotations": {"a": "x" * 100_000}}, "regarding": about, **fields}


def test_of_a_pod_no_label_is_kept_but_its_index():
    labels = {f"a{n}": "v" * 63 for n in range(8000)} | {INDEX: "0"}
    (kept,) = looked_at([Listing([pod(labels=labels), pod(ownerReferences=[])], "1")], JOB)
    assert kept["metadata"]["labels"] == {INDEX: "0"}
    assert len(json.dumps(kept)) < 512


def test_of_an_event_what_it_says_is_kept():
    (kept,) = warnings([Listing([event(reason="FailedCreate", note="x" * 100_000)], "1")])
    assert (kept["reason"], kept["regarding"]) == ("FailedCreate", {"kind": "Job", "name": "mnist"})
    assert len(json.dumps(kept)) < 2048


@pytest.mark.parametrize(
    ("look", "most", "item"),
    [(partial(looked_at, job=JOB), "MOST_LOOKED_AT", pod()), (warnings, "MOST_WARNINGS", event())],
)
def test_of_too_many_the_first_are_looked_at_and_no_further_page_is_asked_for(monkeypatch, look, most, item):
    monkeypatch.setattr(observed_pods, most, 3)
    asked = []

    def pages():
        for n in range(100):
            asked.append(n)
            yield Listing([item, item], "1")

    assert len(look(pages())) == 3
    assert asked == [0, 1]
