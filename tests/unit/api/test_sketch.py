"""All problems of a manifest are told in one round, in its own order, and none that is not there."""

import copy
from itertools import combinations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import model_validator
from specifications import criteria

from trainjobs.api.base import Model, refuse
from trainjobs.api.manifest import SpecError, parse, parse_stopping
from trainjobs.api.manifest.sketch import broken_rules

PLATEAU = {"plateau": {"patience": 3}}
SOUND = {
    "metadata": {"name": "mnist"},
    "spec": {
        "trainer": {
            "entrypoint": "train:train",
            "maxEpochs": 10,
            "env": [{"name": "A", "value": "1"}],
            "resourcesPerNode": {"limits": {"nvidia.com/gpu": 2}},
            "numProcPerNode": 2,
        },
        "stopping": {
            "monitor": "val_loss",
            "criteria": [PLATEAU, {"threshold": {"value": 1}, "name": "goal"}],
        },
        "checkpoint": {"storage": {"claimName": "runs"}},
    },
}
FAULTS = {
    "name": (("metadata", "name"), "MNIST"),
    "no length": (("spec", "trainer", "maxEpochs"), None),
    "two lengths": (("spec", "trainer", "maxSteps"), 5),
    "more processes than GPUs": (("spec", "trainer", "numProcPerNode"), 3),
    "a variable twice": (("spec", "trainer", "env"), [{"name": "A"}, {"name": "A"}]),
    "no image": (("spec", "trainer", "image"), "a b"),
    "a misspelt field": (("spec", "trainer", "numNods"), 2),
    "an unknown field": (("spec", "stopping", "wherefore"), "art thou"),
    "no monitor": (("spec", "stopping", "monitor"), None),
    "too late": (("spec", "stopping", "minEpochs"), 11),
    "best of nothing": (("spec", "stopping", "restoreBest"), True),
    "no patience": (("spec", "stopping", "criteria", 0, "plateau", "patience"), 0),
    "no family": (("spec", "stopping", "criteria", 1, "threshold"), None),
    "names": (("spec", "stopping", "criteria", 1, "name"), "plateau"),
    "count": (("spec", "stopping", "criteria", 1), {"atLeast": {"count": 2, "of": [PLATEAU]}}),
    "two storages": (("spec", "checkpoint", "storage", "uri"), "/runs"),
    "keep": (("spec", "checkpoint", "keep"), 0),
    "smoothing": (("spec", "stopping", "smoothing"), {}),
    "a mapping for a list": (("spec", "stopping", "criteria", 1), {"atLeast": {"count": 2, "of": {}}}),
    "beyond 64 bits": (("spec", "backoffLimit"), 10**30),
    "not JSON": (("spec", "trainer", "config"), {"a": float("nan")}),
}


def with_faults(*names):
    document = copy.deepcopy(SOUND)
    for name in names:
        *steps, last = FAULTS[name][0]
        part = document
        for step in steps:
            part = part[step]
        part[last] = FAULTS[name][1]
    return document


def problems(document):
    try:
        parse(document)
    except SpecError as error:
        return [(problem.path, problem.message) for problem in error.problems]
    return []


def test_the_manifest_without_a_fault_is_sound():
    assert problems(SOUND) == []


ALONE = {name: problems(with_faults(name)) for name in FAULTS}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_alone_is_told_alone(name):
    expected = {"no monitor": 2, "best of nothing": 0}.get(name, 1)
    assert len(ALONE[name]) == expected


INDEPENDENT = [
    pair
    for pair in combinations(FAULTS, 2)
    if FAULTS[pair[0]][0] != FAULTS[pair[1]][0]
    and set(pair)
    not in (
        {"no length", "two lengths"},  # together they are right
        {"no length", "too late"},
        {"no monitor", "best of nothing"},
        {"no monitor", "an unknown field"},  # it may have been meant for the monitor
        {"names", "an unknown field"},
        {"no monitor", "no family"},
        {"no family", "count"},
        {"names", "count"},
        {"names", "no family"},  # a criterion without a family has no name to compare with
        {"no monitor", "a mapping for a list"},  # what such a criterion reads is not known
        {"names", "a mapping for a list"},
        {"no family", "a mapping for a list"},
        {"no monitor", "count"},
    )
]


def test_two_faults_are_told_at_once():
    assert len(INDEPENDENT) > 100
    for one, other in INDEPENDENT:
        told = sorted(problems(with_faults(one, other)))
        assert told == sorted({*ALONE[one], *ALONE[other]}), (one, other)


def test_what_a_missing_metric_breaks_is_told_at_once():
    with pytest.raises(SpecError) as caught:
        parse_stopping({"restoreBest": True, "criteria": [PLATEAU, {"plateau": {}}]})
    assert [str(problem) for problem in caught.value.problems] == [
        "criteria[0].plateau.monitor: must name a metric, here or in stopping.monitor",
        "criteria[1].plateau.patience: is required: add patience",
        "criteria[1].plateau.monitor: must name a metric, here or in stopping.monitor",
        "monitor: must name the metric whose best model restoreBest restores",
    ]


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(["", "val_loss", "min", "all"])
    | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["plateau", "patience", "all", "not", "of", "x"]), inner, max_size=2
        )
    ),
    max_leaves=4,
)


def places(part, at=()):
    """Every location of a document."""
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    return [at, *(place for key, below in items for place in places(below, (*at, key)))][bool(not at) :]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.lists(criteria, min_size=1, max_size=3), st.integers(1, 3))
def test_whatever_is_written_is_valid_or_has_problems_with_a_sentence(data, several, changes):
    document = copy.deepcopy(SOUND)
    document["spec"]["stopping"] = {"monitor": "a", "criteria": copy.deepcopy(several)}
    for _ in range(changes):
        *steps, last = data.draw(st.sampled_from(places(document)))
        part = document
        for step in steps:
            part = part[step]
        part[last] = data.draw(anything)
    found = problems(document)
    assert all(message for _, message in found)
    assert len(found) == len(set(found))


class Length(Model):
    least: int | None = None
    most: int | None = None

    @model_validator(mode="after")
    def _in_order(self):
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError("least must be at most most")
        return self


class Job(Model):
    name: str
    length: Length = Length()
    others: tuple[Length, ...] = ()

    @model_validator(mode="after")
    def _blames_a_field(self):
        refuse([(("name",), self.name, "must not be x")] if self.name == "x" else [])
        return self

    @model_validator(mode="after")
    def _reads_inside(self):
        if self.length.most == 13:
            raise ValueError("most must not be 13")
        return self


WRONG = {"least": 5, "most": 3}
ORDER = "least must be at most most"


@pytest.mark.parametrize(
    ("found", "broken"),
    [
        ({"name": "x", "length": 3}, [(("name",), "must not be x")]),
        ({"name": 3, "length": WRONG}, [(("length",), ORDER)]),
        ({"name": 3, "others": [{}, WRONG, {"least": "?"}]}, [(("others", 1), ORDER)]),
        ({"name": "x", "length": WRONG}, [(("length",), ORDER), (("name",), "must not be x")]),
        ({"name": 3, "length": {"least": "?", "most": 13}}, [((), "most must not be 13")]),
        ({"name": 3, "length": {"least": "?", "most": 3}}, []),
        ({"name": 3, "length": {"most": 3}}, []),
        ({"name": 3, "length": {"leest": 5, "most": 3}}, []),
        ({"nam": "x", "length": {"most": 13}}, [((), "most must not be 13")]),
        ({"name": "x", "wherefore": 1}, []),
        ({"name": "x", "length": [WRONG]}, [(("name",), "must not be x")]),
        ([], []),
        (None, []),
    ],
)
def test_every_rule_whose_fields_are_valid_is_asked_and_no_other(found, broken):
    told = [(error["loc"], error["msg"]) for error in broken_rules(Job, found)]
    assert told == broken


def test_what_is_found_below_a_place_is_told_from_there():
    (error,) = broken_rules(Length, WRONG, ("spec", 2))
    assert (error["loc"], error["input"]) == (("spec", 2), WRONG)
