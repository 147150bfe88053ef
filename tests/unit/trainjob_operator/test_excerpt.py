"""What is kept of a TrainJob: little of a large one, and enough to work with."""

import json

import pytest

from manifests import manifest
from trainjob_operator.trainjob.objects.job import digest
from trainjob_operator.trainjob.observation.excerpt import LONG, LONGEST, abridged, excerpt
from trainjobs.api.manifest import SpecError, parse

LONG_TEXT = "x" * 200_000


def trainjob(item, **fields):
    return {**item("mnist", 1), "spec": manifest(**fields)["spec"]}


LARGE = {
    "configuration": {"trainer": {"config": {f"key-{n}": n for n in range(1_000)}}},
    "one text": {"trainer": {"config": {"text": LONG_TEXT}}},
    "environment": {"trainer": {"env": [{"name": "A", "value": LONG_TEXT[:32_000]}]}},
    "many variables": {"trainer": {"env": [{"name": f"A{n}", "value": "xx" * 400} for n in range(128)]}},
    "sources": {"trainer": {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": LONG_TEXT}}}]}},
    "pods": {"podTemplate": {"spec": {"nodeSelector": {"a": LONG_TEXT}}}},
    "labels": {"podTemplate": {"metadata": {"labels": {f"a{n}": "xx" * 30 for n in range(64)}}}},
    "annotations": {"podTemplate": {"metadata": {"annotations": {"a": LONG_TEXT[:32_000]}}}},
}


@pytest.mark.parametrize("spec", LARGE.values(), ids=LARGE)
def test_a_large_trainjob_is_kept_small_and_says_what_its_job_was_made_from(item, spec):
    whole = trainjob(item, **spec)
    kept = excerpt(whole)
    assert len(json.dumps(kept)) < 4 * LONG
    assert digest(parse(kept)) == digest(parse(whole))
    assert abridged(kept["spec"]) == kept["spec"]
    other = json.loads(json.dumps(whole).replace("xx", "xy").replace("999", "0"))
    assert digest(parse(excerpt(other))) != digest(parse(whole))


def test_of_a_small_one_nothing_is_lost_but_what_nobody_reads(item):
    spec = {
        "trainer": {"config": {"lr": 0.1}, "env": [{"name": "A", "value": "1"}]},
        "stopping": {"monitor": "a"},
    }
    whole = trainjob(item, **spec)
    whole["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": LONG_TEXT}
    assert excerpt(whole)["spec"] == whole["spec"]
    assert "annotations" not in excerpt(whole)["metadata"]


def test_the_names_of_fields_are_in_memory_once_for_all_trainjobs(item):
    def names(value):
        if isinstance(value, dict):
            return [*value, *(name for below in value.values() for name in names(below))]
        return [name for below in value for name in names(below)] if isinstance(value, list) else []

    status = {"conditions": [{"type": "Running", "reason": "Running"}]}
    text = json.dumps({**trainjob(item, trainer={"config": {"lr": 0.1}}), "status": status})
    one, other = (names(excerpt(json.loads(text))) for _ in range(2))
    assert {"lr", "entrypoint", "reason", "resourceVersion"} <= set(one)
    assert all(name is same for name, same in zip(one, other, strict=True))


def test_long_criteria_are_left_to_the_run_and_to_who_makes_the_job(item):
    inner = [{"threshold": {"monitor": "a", "value": float(n)}} for n in range(8)]
    whole = trainjob(item, stopping={"monitor": "a", "criteria": [{"all": inner}] * 16})
    kept = excerpt(whole)
    assert kept["spec"]["stopping"] == {"monitor": "a"}
    assert digest(parse(kept)) == digest(parse(whole))


def test_of_a_status_what_the_operator_reads_is_kept(item):
    read = {
        "conditions": [{"type": "Running"}],
        "training": {"epoch": 1, "best": {"metric": "a", "value": "1", "epoch": 1}},
        "stopping": {"criterion": "plateau"},
        "accounting": {"gpuSecondsUsed": 1.0},
    }
    unread = {
        "checkpoint": {"uri": LONG_TEXT},
        "training": {"metrics": [{"name": LONG_TEXT}], "waiting": LONG_TEXT},
        "stopping": {"shadow": [{"reason": LONG_TEXT}]},
    }
    merged = {name: {**read.get(name, {}), **unread[name]} for name in unread}
    assert excerpt({**trainjob(item), "status": {**read, **merged}})["status"] == read
    assert "status" not in excerpt(trainjob(item))


def nested(levels):
    value = {}
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"trainer": {"config": nested(900)}}, "spec.trainer.config"),
        ({"podTemplate": {"spec": nested(900)}}, "spec.podTemplate"),
        ({"stopping": {"criteria": [{"all": [{"all": [{"plateau": nested(900)}]}]}]}}, "spec.stopping"),
        ({"stopping": {"criteria": [{"name": "x" * (LONGEST + 1)}]}}, "spec.stopping"),
        ({"trainer": {"config": {"a": [{}] * 100_000}}}, "spec.trainer.config"),
        ({"trainer": {"env": [{"name": "A", "valueFrom": {"a": [{}] * 100_000}}]}}, "spec.trainer.env"),
        ({"podTemplate": {"spec": {"a": [{}] * 100_000}}}, "spec.podTemplate.spec"),
        ({"trainer": {"resourcesPerNode": {"limits": {LONG_TEXT: "1"}}}}, "spec.trainer.resourcesPerNode"),
    ],
)
def test_what_nobody_could_read_is_refused_with_its_path(item, spec, told):
    with pytest.raises(SpecError, match=f"{told}.*(nested deeper than 64 levels|longer than)"):
        parse(excerpt(trainjob(item, **spec)))


def test_all_resources_that_a_node_can_name_are_kept(item):
    names = {f"{n:02}{'a' * 251}/{'b' * 63}": "1" * 64 for n in range(32)}
    whole = trainjob(item, trainer={"resourcesPerNode": {"limits": names, "requests": names}})
    assert digest(parse(excerpt(whole))) == digest(parse(whole))
