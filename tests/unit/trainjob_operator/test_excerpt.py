"""What is kept of a TrainJob: little of a large one, and enough to work with."""

import json

import pytest

from manifests import manifest
from trainjob_operator.trainjob.objects.job import digest
from trainjob_operator.trainjob.observation.excerpt import LONG, LONGEST, abridged, excerpt
from trainjobs.api.manifest import SpecError, parse

LONG_TEXT = "x" * 1_000_000


def trainjob(item, **fields):
    return {**item("mnist", 1), "spec": manifest(**fields)["spec"]}


LARGE = {
    "configuration": {"trainer": {"config": {f"key-{n}": n for n in range(57_000)}}},
    "one text": {"trainer": {"config": {"text": LONG_TEXT}}},
    "environment": {"trainer": {"env": [{"name": "A", "value": LONG_TEXT[:32_000]}]}},
    "sources": {"trainer": {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": LONG_TEXT}}}]}},
    "pods": {"podTemplate": {"spec": {"nodeSelector": {"a": LONG_TEXT}}}},
    "annotations": {"podTemplate": {"metadata": {"annotations": {"a": LONG_TEXT}}}},
}


@pytest.mark.parametrize("spec", LARGE.values(), ids=LARGE)
def test_a_large_trainjob_is_kept_small_and_says_what_its_job_was_made_from(item, spec):
    whole = trainjob(item, **spec)
    kept = excerpt(whole)
    assert len(json.dumps(kept)) < 4 * LONG
    assert digest(parse(kept)) == digest(parse(whole))
    assert abridged(kept["spec"]) == kept["spec"]
    other = json.loads(json.dumps(whole).replace("xx", "xy").replace("56999", "0"))
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
    ],
)
def test_what_nobody_could_read_is_refused_with_its_path(item, spec, told):
    with pytest.raises(SpecError, match=f"{told}.*(nested deeper than 64 levels|longer than)"):
        parse(excerpt(trainjob(item, **spec)))
