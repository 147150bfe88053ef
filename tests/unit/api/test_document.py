"""A document knows where each value was written, in which order, and what of it JSON cannot hold."""

import pytest

from trainjobs.api.manifest import SpecError, load
from trainjobs.api.manifest.document import DEEPEST, TOO_LARGE, Document, SourceLine


def test_problems_of_one_line_are_in_the_order_of_the_document(tmp_path):
    criteria = (
        "[{plateau: {}}, {not: 3}, {budget: {}}, {threshold: {value: x}}, {plateau: {patience: 0, mode: up}}]"
    )
    file = tmp_path / "mnist.yaml"
    file.write_text(
        "apiVersion: trainjobs.dev/v1alpha1\nkind: TrainJob\nmetadata: {name: a}\n"
        f"spec: {{stopping: {{criteria: {criteria}}}, trainer: {{maxEpochs: 0, entrypoint: train}}}}\n"
    )
    with pytest.raises(SpecError) as caught:
        load(file)
    assert [problem.path.removeprefix("spec.") for problem in caught.value.problems] == [
        "stopping.criteria[0].plateau.patience",
        "stopping.criteria[1].not",
        "stopping.criteria[2].budget",
        "stopping.criteria[3].threshold.value",
        "stopping.criteria[4].plateau.patience",
        "stopping.criteria[4].plateau.mode",
        "trainer.maxEpochs",
        "trainer.entrypoint",
    ]


NESTED = {"a": [1, {"b": 2}], "c": {"d": None}, 5: "five"}
PLACES = {
    (): SourceLine("x.yaml", 1),
    ("a",): SourceLine("x.yaml", 2),
    ("a", 1, "b"): SourceLine("--set", None),
}


@pytest.mark.parametrize(
    ("at", "source", "line"),
    [
        ((), "x.yaml", 1),
        (("c", "d"), "x.yaml", 1),
        (("a", 0), "x.yaml", 2),
        (("a", 1, "b"), "--set", None),
        (("a", 1, "b", "deeper"), "--set", None),
        (("absent",), "x.yaml", 1),
    ],
)
def test_a_problem_is_where_its_value_was_written_or_the_mapping_around_it(at, source, line):
    problem = Document(NESTED, PLACES).problem(at, 3, "must be x")
    assert (problem.source, problem.line, problem.value) == (source, line, 3)
    assert Document(NESTED).problem(at, 3, "must be x").line is None


@pytest.mark.parametrize(
    ("at", "order"),
    [
        ((), ()),
        (("a", 1, "b"), (0, 1, 0)),
        (("c", "d"), (1, 0)),
        (("c", "absent"), (1, 1)),
        (("5",), (2,)),
        (("absent",), (3,)),
        (("absent", "below"), (3, 0)),
    ],
)
def test_what_is_not_there_comes_last_of_its_mapping(at, order):
    assert Document(NESTED).order(at) == order


@pytest.mark.parametrize(
    ("value", "found"), [({"kind": "x"}, "x"), ({}, None), ([], None), (None, None), ("kind", None)]
)
def test_a_field_is_asked_of_whatever_was_read(value, found):
    assert Document(value).get("kind") == found


def deep(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "at", "rule"),
    [
        ({"a": 2**63}, ("a",), TOO_LARGE),
        ({"a": -(2**63) - 1}, ("a",), TOO_LARGE),
        ([0.0, float("nan")], (1,), "must be a finite number"),
        ({"a": [float("-inf")]}, ("a", 0), "must be a finite number"),
        ({"a": "\ud800"}, ("a",), "must be valid Unicode"),
        ({"a": {1, 2}}, ("a",), "not a Python set"),
        ({"a": b"x"}, ("a",), "not a Python bytes"),
        ({"m": {True: 1}}, ("m", "True"), "a field's name must be text: put true in quotes"),
        ({"m": {5: 1}}, ("m", "5"), "a field's name must be text: put 5 in quotes"),
        (deep(DEEPEST + 1), (0,) * (DEEPEST + 1), f"nests deeper than {DEEPEST} levels"),
    ],
)
def test_what_json_cannot_hold_is_a_fault_at_its_place(value, at, rule):
    (fault,) = Document(value).faults()
    assert fault.at == at
    assert rule in fault.rule


def test_a_name_that_is_no_text_spoils_the_mapping_and_a_value_only_itself():
    found = Document({"m": {5: float("nan")}}).faults()
    assert [(fault.at, fault.spoils) for fault in found] == [(("m", "5"), ("m",)), (("m", "5"), ("m", "5"))]


@pytest.mark.parametrize(
    "value",
    [None, True, 2**63 - 1, -(2**63), 1.5, "é", {"a": ({"b": []},)}, deep(DEEPEST)],
    ids=lambda v: str(v)[:9],
)
def test_what_json_holds_has_no_fault(value):
    assert Document(value).faults() == []
