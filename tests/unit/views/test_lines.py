"""Each event has one sentence, and what it leaves out is what it does not know."""

import pytest

from trainjobs.api import Length
from trainjobs.coordination.decision import Decision, Outcome
from trainjobs.runs.events import (
    Checkpointed,
    Failed,
    Final,
    FirstStep,
    Halted,
    Printed,
    Reported,
    Restarting,
    Started,
    Starting,
    Warned,
)
from trainjobs.runs.run_state import RunState, WouldStop
from trainjobs.stopping import Best, Observation
from trainjobs.views import lines

SEEN = Observation(3, 1200, 61.0, {"val_loss": 0.5})
EPOCHS, STEPS = Length.of(10, None), Length.of(None, 5000)


def decided(outcome, criterion=None):
    return Decision(outcome, criterion, "why", None, None, None, None, 1200, 1201, 0.0)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (lines.starting(Starting(1, 1)), "starting 1 worker"),
        (lines.starting(Starting(8, 2)), "starting 8 workers on 2 nodes"),
        (lines.started(Started(1, 1, "cpu", None, 0, 10)), "training with 1 worker on cpu (up after 0.0 s)"),
        (
            lines.started(Started(1, 2, "H200", 1200, 3, 10, (), 4.5)),
            "training with 2 workers on H200, resumed from step 1,200 (up after 4.5 s)",
        ),
        (
            lines.started(Started(1, 1, "cpu", 0, 0, 10)),
            "training with 1 worker on cpu, resumed from step 0 (up after 0.0 s)",
        ),
        (
            lines.first_step(FirstStep({"workers": 62.0, "imports": 3.25, "step": 0.5})),
            "first step after 1 min 6 s: workers 1 min 2 s, imports 3.2 s, step 0.5 s",
        ),
        (
            lines.halted(Halted(None, {0: 7, 1: 7}, 41.5)),
            "halted: step 7 on all 2 ranks, 42 ms after the decision",
        ),
        (
            lines.checkpointed(Checkpointed("runs/a/x.pt", 3, 1200, 0.2)),
            "checkpoint of step 1,200 in runs/a/x.pt (0.2 s)",
        ),
        (lines.final(Final({"loss": 0.25, "accuracy": 0.98})), "test  loss 0.25  accuracy 0.98"),
        (lines.printed(Printed(1, "hello")), "[rank 1] hello"),
        (lines.restarting(Restarting(2, "rank 1 was lost", 20)), "starting attempt 2: rank 1 was lost"),
        (lines.warned(Warned("no test set")), "warning: no test set"),
    ],
)
def test_an_event_is_a_sentence(line, text):
    assert line == text


@pytest.mark.parametrize(
    ("outcome", "criterion", "text"),
    [
        (Outcome.EARLY_STOPPED, "plateau", "stopping early by plateau, decided at step 1,200: why"),
        (Outcome.STOP_REQUESTED, None, "stopping on request, decided at step 1,200: why"),
        (Outcome.INTERRUPTED, None, "interrupted, decided at step 1,200: why"),
        (Outcome.FAILED, None, "failing, decided at step 1,200: why"),
    ],
)
def test_a_decision_says_what_ends_the_run_and_who_decided_it(outcome, criterion, text):
    assert lines.decided(decided(outcome, criterion)) == text


BEST, OLDER = Best("val_loss", 0.5, 3, 1200, 3), Best("val_loss", 0.4, 2, 800, 2)


@pytest.mark.parametrize(
    ("best", "waiting", "length", "text"),
    [
        (None, "", None, "epoch 3  step 1,200  1 min 1 s  val_loss 0.5"),
        (None, "", EPOCHS, "epoch 3/10  step 1,200  1 min 1 s  val_loss 0.5"),
        (None, "", STEPS, "epoch 3  step 1,200/5,000  1 min 1 s  val_loss 0.5"),
        (BEST, "", None, "epoch 3  step 1,200  1 min 1 s  val_loss 0.5  (best)"),
        (OLDER, "plateau 1/5", None, "epoch 3  step 1,200  1 min 1 s  val_loss 0.5  [plateau 1/5]"),
    ],
)
def test_a_report_says_where_it_is_and_whether_it_is_the_best(best, waiting, length, text):
    event = Reported(SEEN, (), best, waiting, 3)
    assert lines.reported(event, length) == text
    assert lines.is_best(event) is (best is BEST)


@pytest.mark.parametrize(
    ("rank", "traceback", "text"),
    [
        (1, "  File x\n    boom\n", "  File x\n    boom\nfailed on rank 1: ValueError: bad batch"),
        (None, "", "failed: ValueError: bad batch"),
        (0, "", "failed on rank 0: ValueError: bad batch"),
    ],
)
def test_a_failure_ends_with_its_error(rank, traceback, text):
    assert lines.failed(Failed(rank, "ValueError", "bad batch", traceback, 70)) == text


def test_a_shadow_criterion_has_its_line_when_it_is_new():
    early, late = (WouldStop(why, None, None, 3, 30) for why in ("flat", "spent"))
    before, after = RunState(shadows={"plateau": early}), RunState(shadows={"plateau": early, "budget": late})
    assert lines.shadows(before, after) == ["shadow budget would stop here: spent"]
    assert lines.shadows(after, after) == []
