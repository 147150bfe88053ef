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
from trainjobs.api.reasons import COMPLETIONS
from trainjobs.cli.program import program
from trainjobs.cli.rendering.criteria_table import criteria_table
from trainjobs.cli.rendering.facts import facts_list
from trainjobs.local.run_report import RunReport, RunStatus
from trainjobs.runs.codec import jsonable
from trainjobs.stopping import Observation, Saving
from trainjobs.stopping.wording import number
from trainjobs.views import lines
from trainjobs.views.formatting import baseline, count, duration, measures, spot, steps_of_ranks, unspent

_STYLES = {
    RunStatus.FINISHED: "bold green",
    RunStatus.EARLY_STOPPED: "bold green",
    RunStatus.STOP_REQUESTED: "bold green",
    RunStatus.PRUNED: "bold yellow",
    RunStatus.INTERRUPTED: "bold yellow",
    RunStatus.UNFINISHED: "bold yellow",
    RunStatus.RUNNING: "bold cyan",
    RunStatus.FAILED: "bold red",
}


def headline(report: RunReport) -> str:  # noqa: PLR0911 - one return for each state
    """What happened, in a few words with the place."""
    where = _where(report)
    match report.state:
        case RunStatus.FINISHED:
            end = report.told.finish(report.length)
            return f"{end[0].upper()}{end[1:]}; no criterion stopped the run"
        case RunStatus.EARLY_STOPPED:
            return f"Stopped early by {_criterion(report) or 'the coordinator'} {where}"
        case RunStatus.STOP_REQUESTED:
            return f"Stopped on request {where}"
        case RunStatus.PRUNED:
            return f"Pruned by {_criterion(report) or 'the sweep'} {where}"
        case RunStatus.INTERRUPTED:
            return f"Interrupted {where}; {_way_on(report)}"
        case RunStatus.RUNNING:
            process = f" in process {report.process}" if report.process is not None else ""
            return f"Running{process}: {where.removeprefix('in ')}"
        case RunStatus.FAILED:
            return f"Failed {where}"
        case RunStatus.UNFINISHED:
            return f"Not finished, and nobody is training it; it ended {where}, without a word"


def reason(report: RunReport) -> str | None:
    """Why, with the numbers."""
    failure = report.told.failure
    if report.state == RunStatus.FAILED and failure is not None:
        whose = "" if failure.rank is None else f"rank {failure.rank}: "
        return f"{whose}{failure.kind}: {failure.message}"
    if report.told.decision is not None and report.state != RunStatus.FINISHED:
        return report.told.decision.reason
    return None


def saved_words(saved: Saving, whole: bool, workers: int, length: Length) -> str:
    """What was saved, always with its baseline. Not `whole`: one of the epochs saved was trained in part."""
    spent = f", about {duration(saved.seconds)}" if saved.seconds else ""
    each = f" on each of {workers} workers" if spent and workers > 1 else ""
    return f"{unspent(saved, whole, length)}{spent}{each} {baseline(length)}"


def summary(report: RunReport) -> list[RenderableType]:
    """The whole report for people, with the criteria as they stood at the end."""
    parts: list[RenderableType] = [Text(headline(report), style=_STYLES[report.state])]
    if why := reason(report):
        parts.append(Text(why))
    parts.append(Text())
    parts.append(facts_list(run_facts(report)))
    if report.criteria or report.trouble:
        parts += [Text(), *_criteria(report)]
    return parts


def frames(report: RunReport) -> list[RenderableType]:
    """The user's frames of a failure, which whoever watched the run has seen already."""
    if (
        report.state is not RunStatus.FAILED
        or report.told.failure is None
        or not report.told.failure.traceback
    ):
        return []
    return [Text(), Text(report.told.failure.traceback.rstrip())]


def next_commands(report: RunReport, file: str = "FILE", options: Sequence[str] = ()) -> list[str]:
    """What one would type next; `file` and `options` are what the run was begun with, where that is known."""
    begin = _begin(report, file, options)
    again = f"{begin} --resume" if report.told.checkpoint or report.history else begin
    explain = f"{program()} explain {shlex.quote(str(report.path))}"
    replay = f"{program()} replay {shlex.quote(str(report.path))} --criteria {shlex.quote(file)}"
    match report.state:
        case RunStatus.RUNNING:
            return [explain]
        case RunStatus.INTERRUPTED | RunStatus.UNFINISHED:
            return [again, explain]
        case RunStatus.FAILED:
            return [again]
        case _:
            return [explain, replay]


def _begin(report: RunReport, file: str, options: Sequence[str]) -> str:
    words = ["run", file, *options]
    if report.path != Path("runs") / report.name:
        words += ["--run-dir", str(report.path)]
    return f"{program()} {shlex.join(words)}"


def next_line(commands: list[str]) -> Text:
    """The commands under each other, each in one piece to copy."""
    return Text("Next  " + "\n      ".join(commands), style="dim", no_wrap=True)


def document(report: RunReport) -> dict[str, Any]:
    """The report as one JSON object."""
    saved, length = report.saved, report.length
    facts: dict[str, Any] = {
        "name": report.name,
        "directory": str(report.path),
        "state": report.state.value,
        "headline": headline(report),
        "reason": reason(report),
        "process": report.process,
        "attempts": report.told.attempt,
        "workers": report.workers,
        "max_epochs": length.named(length.amount, None),
        "max_steps": length.named(None, length.amount),
        "start": report.told.first_step and report.told.first_step.seconds,
        "last": report.last,
        "best": report.best,
        "decision": report.told.decision,
        "halted": report.told.halted.steps if report.told.halted else None,
        "tests": report.told.tests,
        "saved": saved and asdict(saved),
        "criteria": report.criteria,
        "model": str(report.model) if report.model else None,
        "kept": _kept(report),
    }
    return {name: jsonable(value) for name, value in facts.items()}


def run_facts(report: RunReport) -> Iterator[tuple[str, str]]:
    """What the run came to: (name, fact)."""
    told, best, length = report.told, report.best, report.length
    if report.last is not None:
        yield "last", f"{measures(report.last.metrics)}, {_last_spot(report.last, length)}"
    if best is not None:
        also = length.named(f" (step {best.step:,})", "")
        place = spot(length, best.epoch, best.step)
        yield "best", f"{best.metric} {number(best.value)}, {place}{also}"
    if told.tests:
        yield "test", measures(told.tests)
    if told.halted is not None and told.decision is not None:
        took = f", {told.halted.milliseconds:.0f} ms after the decision"
        yield "halted", steps_of_ranks(told.halted.steps) + took
    if report.last is not None:
        yield "trained", _trained(report)
    if told.first_step is not None:
        yield "start", lines.first_step(told.first_step)
    if report.saved is not None and report.last is not None:
        yield "saved", saved_words(report.saved, not report.told.amid, report.workers, length)
    yield "kept in", _kept(report)


def _last_spot(last: Observation, length: Length) -> str:
    amid = length.named("" if last.whole else "amid ", "")
    step = length.named("" if last.whole else f" (step {last.step:,})", "")
    return f"{amid}{spot(length, last.epoch, last.step)}{step}"


def _trained(report: RunReport) -> str:
    assert report.last is not None  # noqa: S101 - only asked with a history
    restarts = "" if report.told.attempt < 2 else f", {count(report.told.attempt, 'attempt')}"
    each = f" on {count(report.workers, 'worker')}"
    length = report.length
    part = f"{length.named(report.told.epochs, report.step):,} of {count(length.amount, length.unit)}"
    start = report.told.started.startup_seconds if report.told.started else 0.0
    up = f", up after {duration(start)}" if start else ""
    return f"{part} in {duration(report.last.seconds)}{each}{up}{restarts}"


def _kept(report: RunReport) -> str:
    saved = report.told.model
    if saved is None:
        has_none = report.state.value in COMPLETIONS and report.model is None
        return f"{report.path}{'; no weights: no model was tracked' * has_none}"
    weights = "best" if saved.best else "last"
    file = f"{report.storage}/{saved.name}" if report.storage else saved.name
    return (
        f"{report.path}; {file} has the {weights} weights, of {spot(report.length, saved.epoch, saved.step)}"
    )


def _criteria(report: RunReport) -> list[RenderableType]:
    if report.trouble:
        return [Text(f"The criteria cannot be judged by this history: {report.trouble}", style="yellow")]
    table = criteria_table(report.criteria, whole_sentences=True)
    return [Text("Criteria at the last report"), Padding(table, (0, 0, 0, 2))]


def _criterion(report: RunReport) -> str | None:
    return report.told.decision.criterion if report.told.decision else None


def _way_on(report: RunReport) -> str:
    saved = report.told.checkpoint
    if report.told.halted is not None and saved is not None:
        again = f", and trains the {count(saved.repeats, 'step')} of this epoch once more"
        return f"it can be resumed at the next step{again if saved.repeats else ''}"
    if saved is not None:
        return "it can be resumed from its last checkpoint"
    return "there is no checkpoint, so it begins anew"


def _where(report: RunReport) -> str:
    """Where it halted; of a run that has not halted only its last report is known."""
    step, last = report.step, report.last
    if last is None:
        return "before the first report" if not step else f"at step {step:,}, before the first report"
    of = f" of {report.length.amount:,}"
    epochs, steps = report.length.named((of, ""), ("", of))
    reported = f"after the report {'of' if last.whole else 'in'} epoch {last.epoch:,}"
    place = report.told.place if report.told.halted else reported
    return f"{place}{epochs}, at step {step:,}{steps}"
