"""What is published of a meeting, given what the ranks brought to it."""

import pytest

from trainjobs.api.stopping import Stopping
from trainjobs.coordination import EpochMismatch, MetricMismatch, Outcome
from trainjobs.coordination.evaluation import Evaluator
from trainjobs.coordination.messages import Arrive, Gathered
from trainjobs.stopping.observation import MissingMetric, Observation
from trainjobs.stopping.panel import Panel

WALL = 7.0


def panel(*criteria, **fields):
    return Panel.of(Stopping.model_validate({"criteria": list(criteria), **fields}))


PLATEAU = panel({"plateau": {"patience": 1}}, monitor="loss")
BUDGET = panel({"budget": {"steps": 20}})
HISTORY = (Observation(1, 5, 5.0, {"loss": 1.0}),)


def gathered(*payloads, call="report"):
    return Gathered(3, tuple(Arrive(3, call, payload) for payload in payloads))


def report(loss, epoch=2, **metrics):
    pairs = {"loss": loss, **metrics}
    return {
        "epoch": epoch,
        "step": 10,
        "seconds": 9.0,
        "metrics": pairs,
        "whole": True,
        "without data": False,
    }


def evaluator(of=PLATEAU, history=()):
    return Evaluator(of, history, lambda: WALL)


def test_a_report_is_reduced_and_the_run_goes_on_in_words():
    it = evaluator()
    rule = it.rule(gathered(report((6.0, 2)), report((0.0, 1))), step=10)
    assert (rule.segment, rule.decision, rule.body["calls"], rule.body["limit"]) == (
        3,
        None,
        ["report"] * 2,
        None,
    )
    assert Observation.from_dict(rule.body["observation"]) == Observation(2, 10, 9.0, {"loss": 2.0})
    assert rule.body["onward"]["outcome"] == Outcome.CONTINUE
    assert it.ruling is not None


def test_a_criterion_that_stops_is_a_decision_on_the_history_of_a_resumed_run():
    decision = evaluator(history=HISTORY).rule(gathered(report((1.0, 1))), step=10).decision
    assert (decision.outcome, decision.criterion, decision.value) == (Outcome.EARLY_STOPPED, "plateau", 1.0)
    assert (decision.decided_at_step, decision.decided_at) == (10, WALL)


@pytest.mark.parametrize(
    ("reports", "error"),
    [
        ([report((1.0, 1)), report((1.0, 1), epoch=3)], EpochMismatch),
        ([report((1.0, 1)), report((1.0, 1), acc=(1.0, 1))], MetricMismatch),
    ],
)
def test_what_does_not_fit_together_is_published_as_an_error_and_not_folded(reports, error):
    it = evaluator()
    rule = it.rule(gathered(*reports), step=10)
    assert (type(it.error), rule.decision, rule.body["error"]["kind"]) == (error, None, error.__name__)
    assert it.rule(gathered(report((1.0, 1))), step=10).decision is None
    assert it.error is None


def test_in_any_other_call_everybody_learns_what_all_have_brought():
    rule = evaluator().rule(gathered(7, 8, call="align"), step=10)
    assert (rule.decision, rule.body) == (None, {"limit": None, "calls": ["align"] * 2, "payloads": [7, 8]})


@pytest.mark.parametrize(("step", "stops"), [(19, False), (20, True), (21, True)])
def test_a_rank_at_the_limit_of_steps_ends_the_run_unless_it_was_raised(step, stops):
    rule = evaluator(BUDGET).rule(gathered(step, call="limit"), step=step)
    assert (rule.decision is not None, rule.body["limit"]) == (stops, 20)
    if stops:
        assert (rule.decision.criterion, rule.decision.reason) == ("budget", f"{step} of 20 steps are used")


def test_other_criteria_judge_the_whole_history_and_one_that_cannot_changes_nothing():
    history = (*HISTORY, Observation(2, 10, 9.0, {"loss": 1.0}))
    it = evaluator(BUDGET, history)
    with pytest.raises(MissingMetric):
        it.change(panel({"plateau": {"patience": 1}}, monitor="accuracy"))
    assert it.limits.steps == 20
    assert it.change(PLATEAU).stop.name == "plateau"
    assert it.limits.steps is None
