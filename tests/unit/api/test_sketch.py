"""All problems of a manifest are told in one round, in its own order, and none that is not there."""

import copy
from itertools import combinations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from specifications import criteria

from trainjobs.api.manifest import SpecError, parse, parse_stopping

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


@pytest.mark.parametrize("pair", INDEPENDENT, ids=" and ".join)
def test_two_faults_are_told_at_once(pair):
    assert sorted(problems(with_faults(*pair))) == sorted({*ALONE[pair[0]], *ALONE[pair[1]]})


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
