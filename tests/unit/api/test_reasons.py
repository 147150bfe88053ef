"""Words for what a TrainJob is and why: none is used that is not listed, and each says what it means."""

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

from trainjobs.api import reasons
from trainjobs.api.reasons import COMPLETIONS, ConditionType, KubernetesReason, Reason, RunOutcome

ROOT = Path(__file__).parents[3]
OPERATOR = ROOT / "operator" / "trainjob_operator" / "trainjob"
SPEAKERS = sorted(
    [
        *OPERATOR.glob("*.py"),
        *(path for name in ("pod", "driver", "runs") for path in (ROOT / "trainjobs" / name).glob("*.py")),
        ROOT / "trainjobs" / "cli" / "departure.py",
        ROOT / "trainjobs" / "local" / "run_report.py",
        ROOT / "trainjobs" / "coordination" / "decision.py",
    ]
)
"""Modules that write or read conditions, failures and outcomes."""
CAMEL_CASE = re.compile(r"[A-Z][a-z]+([A-Z][a-z]+)*")
OF_KUBERNETES = {
    "diagnosis.py": {
        *("ContainerCreating", "PodInitializing", "PodScheduled", "Pending", "Running", "Failed", "Error"),
        *("False", "Job", "Pod"),
    },
    "events.py": {"False", "Normal", "Warning", "Reconcile"},
    "observed_job.py": {"Complete", "Failed", "FailureTarget", "SuccessCriteriaMet", "Suspended", "True"},
    "outcome.py": {"Failed", "FailureTarget", "PodFailurePolicy"},
    "reconcile.py": {"AlreadyExists"},
}
"""Words of its API about other objects than TrainJobs, and of its Events, by the operator's module that knows them."""
OTHERS = {"True", "Unknown", "Alive", "Best", "Last", "Unfinished", "Continue"}
"""Words that are nobody's reason: of conditions' truth, Ray, a model's weights, a run that is told of, a vote."""


def words(source):
    """Words in CamelCase that a module's code writes itself, but for docstrings and types."""
    tree = ast.parse(source)
    apart = {id(each.value) for each in ast.walk(tree) if isinstance(each, ast.Expr)}
    for each in ast.walk(tree):
        for name in ("annotation", "returns"):
            if (noted := getattr(each, name, None)) is not None:
                apart |= {id(part) for part in ast.walk(noted)}
    texts = (
        each.value for each in ast.walk(tree) if isinstance(each, ast.Constant) and id(each) not in apart
    )
    return {text for text in texts if isinstance(text, str) and CAMEL_CASE.fullmatch(text)}


def test_nobody_writes_a_reason_that_is_not_listed():
    assert len(SPEAKERS) > 20
    for path in SPEAKERS:
        known = OF_KUBERNETES.get(path.name, set()) if path.parent == OPERATOR else set()
        assert words(path.read_text()) <= known | OTHERS, path


@pytest.mark.parametrize(
    "line",
    [
        'State(Kind.FAILED, "MoonIsFull", "it is")',
        'yield "MoonIsFull", said, name',
        'termination.write("MoonIsFull", str(error))',
        'MOON: Final = "MoonIsFull"',
    ],
)
def test_a_reason_that_is_not_listed_would_be_found(line):
    assert words(f'"""A module about Moons."""\n\n{line}\n') == {"MoonIsFull"}


@pytest.mark.parametrize("kind", [ConditionType, RunOutcome, Reason, KubernetesReason])
def test_each_word_says_what_it_means(kind):
    tree = ast.parse(Path(reasons.__file__).read_text())
    (body,) = [
        each.body for each in tree.body if isinstance(each, ast.ClassDef) and each.name == kind.__name__
    ]
    told = [
        one.targets[0].id
        for one, after in pairwise(body)
        if isinstance(one, ast.Assign) and isinstance(after, ast.Expr)
    ]
    assert told == [each.name for each in kind]


def test_what_a_run_can_come_to_is_a_reason_by_the_same_name():
    assert {each.name: str(each) for each in RunOutcome}.items() <= {
        each.name: str(each) for each in Reason
    }.items()
    assert set(COMPLETIONS) == set(RunOutcome) - {RunOutcome.FAILED, RunOutcome.INTERRUPTED}


def test_the_operators_page_tells_of_reasons_that_there_are():
    page = (ROOT / "docs" / "operator.md").read_text()
    table = page.partition("| first condition | reason | means |")[2].partition("\n\n")[0]
    named = {
        word
        for row in table.splitlines()[2:]
        for word in re.findall(r"\b[A-Z][A-Za-z]+\b", row.split(" | ")[1])
    }
    assert named
    assert named <= {*Reason, *KubernetesReason}
