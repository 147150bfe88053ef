"""Errors name the place, the value, the rule and the remedy."""

import pytest

from trainjobs.api import path_text
from trainjobs.api.manifest import Problem, SpecError


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (
            Problem("spec.stopping.criteria[0].plateau.patience", 0, "must be at least 1", 14, "mnist.yaml"),
            "mnist.yaml:14: spec.stopping.criteria[0].plateau.patience: 0: must be at least 1",
        ),
        (
            Problem(
                "spec.trainer.maxEpochs", 0, "must be at least 1", None, "--set spec.trainer.maxEpochs=0"
            ),
            "--set spec.trainer.maxEpochs=0: must be at least 1",
        ),
        (
            Problem("spec.trainer", None, "must name one", None, "--set spec.trainer.maxEpochs=null"),
            "--set spec.trainer.maxEpochs=null: spec.trainer: must name one",
        ),
        (Problem("kind", "Job", "must be TrainJob"), 'kind: "Job": must be TrainJob'),
        (Problem("", None, "not UTF-8", 2, "a.yaml"), "a.yaml:2: not UTF-8"),
        (Problem("a", False, "must be text"), "a: false: must be text"),
    ],
)
def test_a_problem_reads_as_place_path_value_and_rule(problem, text):
    assert str(problem) == text


def test_a_long_value_is_cut():
    text = str(Problem("a", "x" * 1000, "is long"))
    assert len(text) < 90
    assert "…: is long" in text


def test_every_problem_has_a_line_of_the_error():
    error = SpecError([Problem("a", 1, "one"), Problem("b", 2, "two")])
    assert str(error).splitlines() == ["a: 1: one", "b: 2: two"]
    assert [problem.path for problem in error.problems] == ["a", "b"]


@pytest.mark.parametrize(
    ("at", "text"),
    [
        ((), ""),
        (("spec", "stopping", "criteria", 0, "plateau"), "spec.stopping.criteria[0].plateau"),
        (("limits", "nvidia.com/gpu"), 'limits["nvidia.com/gpu"]'),
        (("config", ""), 'config[""]'),
    ],
)
def test_a_path_is_written_as_in_the_manifest(at, text):
    assert path_text(at) == text
