"""How a run is summed up: after `run` and in `explain`, for people and as JSON."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from trainjobs.api import Length
from trainjobs.cli.criteria_table import criteria_table
from trainjobs.cli.facts import facts_list
from trainjobs.cli.program import program
from trainjobs.cli.run_report import State, Story
from trainjobs.runs.codec import jsonable
from trainjobs.stopping import Observation, Saving
from trainjobs.stopping.wording import number
from trainjobs.views.formatting import baseline, count, duration, measures, spot, steps_of_ranks, unspent

_STYLES = {
    State.FINISHED: "bold green",
    State.EARLY_STOPPED: "bold green",
    State.STOP_REQUESTED: "bold green",
    State.INTERRUPTED: "bold yellow",
    State.UNFINISHED: "bold yellow",
    State.RUNNING: "bold cyan",
    State.FAILED: "bold red",
}


def headline(story: Story) -> str:  # noqa: PLR0911 - one return for each state
    """What happened, in a few words with the place."""
    where = _where(story)
    match story.state:
        case State.FINISHED:
            return (
                f"Trained all {count(story.length.amount, story.length.unit)}; no criterion stopped the run"
            )
        case State.EARLY_STOPPED:
            return f"Stopped early by {_criterion(story) or 'the coordinator'} {where}"
        case State.STOP_REQUESTED:
            return f"Stopped on request {where}"
        case State.INTERRUPTED:
            return f"Interrupted {where}; {_way_on(story)}"
        case State.RUNNING:
            return f"Running in process {story.process}: {where.removeprefix('in ')}"
        case State.FAILED:
            return f"Failed {where}"
        case State.UNFINISHED:
            return f"Not finished, and nobody is training it; it ended {where}, without a word"


def reason(story: Story) -> str | None:
    """Why, with the numbers."""
    failure = story.told.failure
    if story.state == State.FAILED and failure is not None:
        whose = "" if failure.rank is None else f"rank {failure.rank}: "
        return f"{whose}{failure.kind}: {failure.message}"
    if story.told.decision is not None and story.state != State.FINISHED:
        return story.told.decision.reason
    return None


def saved_words(saved: Saving, whole: bool, workers: int, length: Length) -> str:
    """What was saved, always with its baseline. Not `whole`: one of the epochs saved was trained in part."""
    spent = f", about {duration(saved.seconds)}" if saved.seconds else ""
    each = f" on each of {workers} workers" if spent and workers > 1 else ""
    return f"{unspent(saved, whole, length)}{spent}{each} {baseline(length)}"


def summary(story: Story) -> list[RenderableType]:
    """The whole story for people, with the criteria as they stood at the end."""
    parts: list[RenderableType] = [Text(headline(story), style=_STYLES[story.state])]
    if why := reason(story):
        parts.append(Text(why))
    parts.append(Text())
    parts.append(facts_list(_facts(story)))
    if story.criteria or story.trouble:
        parts += [Text(), *_criteria(story)]
    return parts


def frames(story: Story) -> list[RenderableType]:
    """The user's frames of a failure, which whoever watched the run has seen already."""
    if story.state is not State.FAILED or story.told.failure is None or not story.told.failure.traceback:
        return []
    return [Text(), Text(story.told.failure.traceback.rstrip())]


def next_commands(story: Story, file: str = "FILE", options: Sequence[str] = ()) -> list[str]:
    """What one would type next; `file` and `options` are what the run was begun with, where that is known."""
    begin = _begin(story, file, options)
    again = f"{begin} --resume" if story.told.checkpoint or story.history else begin
    explain = f"{program()} explain {shlex.quote(str(story.path))}"
    replay = f"{program()} replay {shlex.quote(str(story.path))} --criteria {shlex.quote(file)}"
    match story.state:
        case State.RUNNING:
            return [explain]
        case State.INTERRUPTED | State.UNFINISHED:
            return [again, explain]
        case State.FAILED:
            return [again]
        case _:
            return [explain, replay]


def _begin(story: Story, file: str, options: Sequence[str]) -> str:
    words = ["run", file, *options]
    if story.path != Path("runs") / story.name:
        words += ["--run-dir", str(story.path)]
    return f"{program()} {shlex.join(words)}"


def next_line(commands: list[str]) -> Text:
    """The commands under each other, each in one piece to copy."""
    return Text("Next  " + "\n      ".join(commands), style="dim", no_wrap=True)


def document(story: Story) -> dict[str, Any]:
    """The story as one JSON object."""
    saved, length = story.saved, story.length
    facts: dict[str, Any] = {
        "name": story.name,
        "directory": str(story.path),
        "state": story.state.value,
        "headline": headline(story),
        "reason": reason(story),
        "process": story.process,
        "attempts": story.told.attempts,
        "workers": story.workers,
        "max_epochs": length.named(length.amount, None),
        "max_steps": length.named(None, length.amount),
        "last": story.last,
        "best": story.best,
        "decision": story.told.decision,
        "halted": story.told.halted.steps if story.told.halted else None,
        "tests": story.told.tests,
        "saved": saved and asdict(saved),
        "criteria": story.criteria,
        "model": str(story.model) if story.model else None,
        "kept": _kept(story),
    }
    return {name: jsonable(value) for name, value in facts.items()}


def _facts(story: Story) -> Iterator[tuple[str, str]]:
    told, best, length = story.told, story.best, story.length
    if story.last is not None:
        yield "last", f"{measures(story.last.metrics)}, {_last_spot(story.last, length)}"
    if best is not None:
        also = length.named(f" (step {best.step:,})", "")
        place = spot(length, best.epoch, best.step)
        yield "best", f"{best.metric} {number(best.value)}, {place}{also}"
    if told.tests:
        yield "test", measures(told.tests)
    if told.halted is not None and told.decision is not None:
        took = f", {told.halted.milliseconds:.0f} ms after the decision"
        yield "halted", steps_of_ranks(told.halted.steps) + took
    if story.last is not None:
        yield "trained", _trained(story)
    if story.saved is not None and story.last is not None:
        yield "saved", saved_words(story.saved, story.last.whole, story.workers, length)
    yield "kept in", _kept(story)


def _last_spot(last: Observation, length: Length) -> str:
    amid = length.named("" if last.whole else "amid ", "")
    step = length.named("" if last.whole else f" (step {last.step:,})", "")
    return f"{amid}{spot(length, last.epoch, last.step)}{step}"


def _trained(story: Story) -> str:
    assert story.last is not None  # noqa: S101 - only asked with a history
    restarts = "" if story.told.attempts < 2 else f", {count(story.told.attempts, 'attempt')}"
    each = f" on {count(story.workers, 'worker')}"
    length = story.length
    part = f"{length.named(story.last.epochs, story.step):,} of {count(length.amount, length.unit)}"
    return f"{part} in {duration(story.last.seconds)}{each}{restarts}"


def _kept(story: Story) -> str:
    saved = story.told.model
    if saved is None:
        return str(story.path)
    weights = "best" if saved.best else "last"
    file = f"{story.storage}/{saved.name}" if story.storage else saved.name
    return f"{story.path}; {file} has the {weights} weights, of {spot(story.length, saved.epoch, saved.step)}"


def _criteria(story: Story) -> list[RenderableType]:
    if story.trouble:
        return [Text(f"The criteria cannot be judged by this history: {story.trouble}", style="yellow")]
    table = criteria_table(story.criteria, whole_sentences=True)
    return [Text("Criteria at the last report"), Padding(table, (0, 0, 0, 2))]


def _criterion(story: Story) -> str | None:
    return story.told.decision.criterion if story.told.decision else None


def _way_on(story: Story) -> str:
    saved = story.told.checkpoint
    if story.told.halted is not None and saved is not None:
        again = f", and trains the {count(saved.repeats, 'step')} of this epoch once more"
        return f"it can be resumed at the next step{again if saved.repeats else ''}"
    if saved is not None:
        return "it can be resumed from its last checkpoint"
    return "there is no checkpoint, so it begins anew"


def _where(story: Story) -> str:
    step, last = story.step, story.last
    if last is None:
        return "before the first report" if not step else f"at step {step:,}, before the first report"
    of = f" of {story.length.amount:,}"
    epochs, steps = story.length.named((of, ""), ("", of))
    return f"{'after' if last.whole else 'in'} epoch {last.epoch}{epochs}, at step {step:,}{steps}"
