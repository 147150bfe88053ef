"""The sentence for each event, as both the live display and the plain output tell it."""

from trainjobs.api import Length
from trainjobs.coordination.decision import Decision, Outcome
from trainjobs.runs.events import (
    Checkpointed,
    Event,
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
from trainjobs.runs.run_state import RunState
from trainjobs.stopping.wording import number
from trainjobs.views.formatting import count, duration, steps_of_ranks

_ENDS = {
    Outcome.EARLY_STOPPED: "stopping early",
    Outcome.STOP_REQUESTED: "stopping on request",
    Outcome.PRUNED: "pruned",
    Outcome.INTERRUPTED: "interrupted",
    Outcome.FAILED: "failing",
}


def starting(event: Starting) -> str:
    nodes = "" if event.nodes == 1 else f" on {count(event.nodes, 'node')}"
    return f"starting {count(event.workers, 'worker')}{nodes}"


def started(event: Started) -> str:
    where = "" if event.resumed_from_step is None else f", resumed from step {event.resumed_from_step:,}"
    workers = f"{count(event.world_size, 'worker')} on {event.device}"
    return f"training with {workers}{where} (up after {duration(event.startup_seconds)})"


def first_step(event: FirstStep) -> str:
    stages = ", ".join(f"{stage} {duration(seconds)}" for stage, seconds in event.seconds.items())
    return f"first step after {duration(event.total)}: {stages}"


def reported(event: Reported, length: Length | None) -> str:
    seen = event.observation
    of = f"/{length.amount:,}" if length else ""
    epochs, steps = length.named((of, ""), ("", of)) if length else ("", "")
    values = "  ".join(f"{name} {number(value)}" for name, value in seen.metrics.items())
    place = f"epoch {seen.epoch:,}{epochs}  step {seen.step:,}{steps}  {duration(seen.seconds)}"
    return f"{place}  {values}{_best(event)}{_closest(event)}"


def decided(decision: Decision) -> str:
    by = f" by {decision.criterion}" if decision.criterion else ""
    end = _ENDS.get(decision.outcome, decision.outcome)
    return f"{end}{by}, decided at step {decision.decided_at_step:,}: {decision.reason}"


def halted(event: Halted) -> str:
    return f"halted: {steps_of_ranks(event.steps)}, {event.milliseconds:.0f} ms after the decision"


def checkpointed(event: Checkpointed) -> str:
    return f"checkpoint of step {event.step:,} in {event.uri} ({duration(event.seconds)})"


def final(event: Final) -> str:
    return "test  " + "  ".join(f"{name} {number(value)}" for name, value in event.metrics.items())


def printed(event: Printed) -> str:
    return f"[rank {event.rank}] {event.text}"


def failed(event: Failed) -> str:
    """The user's frames first, as Python shows them, then the error, so that it stands next to the prompt."""
    whose = "" if event.rank is None else f" on rank {event.rank}"
    frames = f"{event.traceback.rstrip()}\n" if event.traceback else ""
    return f"{frames}failed{whose}: {event.kind}: {event.message}"


def restarting(event: Restarting) -> str:
    """Where it goes on is `started`'s to say, once a checkpoint has been found."""
    return f"starting attempt {event.attempt}: {event.reason}"


def warned(event: Warned) -> str:
    return f"warning: {event.message}"


def shadows(before: RunState, after: RunState) -> list[str]:
    """A line for each shadow criterion that says stop for the first time."""
    return [
        f"shadow {name} would stop here: {at.reason}"
        for name, at in after.shadows.items()
        if name not in before.shadows
    ]


def is_best(event: Reported) -> bool:
    return event.best is not None and event.best.report == event.report


def _best(event: Event) -> str:
    return "  (best)" if isinstance(event, Reported) and is_best(event) else ""


def _closest(event: Reported) -> str:
    return f"  [{event.waiting}]" if event.waiting else ""
