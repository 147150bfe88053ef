"""A TrainJob or a TrainSweep of a cluster, for people and as JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size
from rich.console import RenderableType
from rich.text import Text

from trainjobs.api.status import Accounting
from trainjobs.cli.rendering.facts import facts_list
from trainjobs.views.formatting import count, duration
from trainjobs.views.printable import on_one_line, printable

if TYPE_CHECKING:
    from trainjobs.cluster import ClusterTrainJob, ClusterTrainSweep

    Found = ClusterTrainJob | ClusterTrainSweep

Row = tuple[str, ...]
Facts = Iterator[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Told:
    """What the kinds say each in their own way."""

    progress: Sequence[str]
    facts: Facts
    columns: tuple[str, str, str, str]
    """Of a list: EPOCH, BEST, STOPPED BY, SAVED GPU H."""
    ended: Sequence[tuple[str, str]] = ()
    """Its trials that have ended, the latest last, each with a line."""


def _told(found: "Found") -> _Told:
    from trainjobs.cluster import ClusterTrainSweep

    if isinstance(found, ClusterTrainSweep):
        ended = list(_ended_trials(found))
        return _Told(list(_sweep_progress(found)), _sweep_facts(found), _sweep_columns(found), ended)
    return _Told(list(_progress(found)), _facts(found), _columns(found))


class Changes:
    """What a person who follows it reads: each trial of a sweep that has ended, and where the whole stands."""

    def __init__(self) -> None:
        self._line = ""
        self._ended: set[str] = set()

    def since(self, found: "Found") -> Iterator[str]:
        """A line for each thing that is new."""
        for trial, end in _told(found).ended:
            if trial not in self._ended:
                self._ended.add(trial)
                yield end
        if (now := line(found)) != self._line:
            self._line = now
            yield now


def line(found: "Found") -> str:
    """Where it stands, in one line that changes when something has happened."""
    parts = (found.state, *(_told(found).progress or [found.message]))
    return "  ".join(filter(None, map(on_one_line, parts)))


def explained(found: "Found") -> list[RenderableType]:
    """What it is doing or how it ended, why, and what that came to."""
    style = (
        "bold green" if found.ended and not found.exit_code else "bold red" if found.ended else "bold cyan"
    )
    kind, key = found.raw["kind"], found.key
    head = Text(f"{kind} {key.name} in namespace {key.namespace}: {printable(found.state)}", style=style)
    why = [Text(printable(found.message))] if found.message else []
    facts = ((name, printable(fact)) for name, fact in _told(found).facts)
    return [head, *why, Text(), facts_list(facts)]


def document(found: "Found") -> dict[str, Any]:
    """One JSON object."""
    return {
        "kind": found.raw["kind"],
        "namespace": found.key.namespace,
        "name": found.key.name,
        "state": found.state,
        "message": found.message,
        "ended": found.ended,
        "status": found.raw.get("status") or {},
    }


HEADINGS = ("NAME", "STATE", "EPOCH", "BEST", "STOPPED BY", "SAVED GPU H", "AGE")


def row(found: "Found") -> Row:
    """What a list shows, as `kubectl get` does."""
    age = duration(max(0.0, (datetime.now(UTC) - found.created).total_seconds()))
    return (_name(found), found.state, *_told(found).columns, age)


def _name(found: "Found") -> str:
    """A sweep's with its kind, as commands take it."""
    kind = "" if found.raw["kind"] == "TrainJob" else f"{found.raw['kind'].lower()}/"
    return f"{found.key.namespace}/{kind}{found.key.name}"


def table(rows: Sequence[Row]) -> Text:
    """Rows under their headings, nothing cut, however narrow the terminal is; without columns that nobody fills."""
    cells = [HEADINGS, *(tuple(map(on_one_line, each)) for each in rows)]
    columns = [column for column in zip(*cells, strict=True) if any(column[1:])]
    widths = [max(map(cell_len, column)) for column in columns]
    lines = ("  ".join(map(set_cell_size, line, widths)).rstrip() for line in zip(*columns, strict=True))
    return Text("\n".join(lines), no_wrap=True)


def _progress(job: "ClusterTrainJob") -> Iterator[str]:
    training = job.status.training
    if training is None:
        return
    of = f" of {job.length}" if job.length else ""
    yield f"epoch {training.epoch:,}, step {training.step:,}{of}"
    yield " · ".join(f"{metric.name} {_short(metric.value)}" for metric in training.metrics)
    yield f"[{training.waiting}]" if training.waiting else ""


def _facts(job: "ClusterTrainJob") -> Facts:
    status = job.status
    if (training := status.training) is not None:
        if training.metrics:
            yield "last", " · ".join(f"{metric.name} {_short(metric.value)}" for metric in training.metrics)
        if training.best is not None:
            best = training.best
            yield "best", f"{best.metric} {_short(best.value)}, epoch {best.epoch:,}"
        of = f" of {job.length}" if job.length else ""
        yield "trained", f"epoch {training.epoch:,}, step {training.step:,}{of}"
        if training.waiting:
            yield "nearest", training.waiting
    stopping = status.stopping
    if stopping is not None and stopping.reason:
        yield "decided", f"{stopping.criterion or 'nobody'}: {stopping.reason}"
    if stopping is not None and stopping.halted_at_step is not None:
        ranks = f"{stopping.ranks_halted} of {stopping.ranks_total} ranks"
        yield "halted", f"step {stopping.halted_at_step:,} on {ranks}"
    for shadow in stopping.shadow if stopping else ():
        yield "shadow", f"{shadow.criterion} would have stopped it in epoch {shadow.epoch:,}: {shadow.reason}"
    if status.accounting is not None and job.ended:
        yield "saved", _saved(status.accounting)
    if status.checkpoint is not None:
        yield "checkpoint", f"{status.checkpoint.uri} (step {status.checkpoint.step:,})"
    if status.restarts:
        yield "restarts", f"{status.restarts}, of which {count(status.failed_attempts, 'failure')}"


def _saved(amount: Accounting) -> str:
    parts = f"{amount.epochs_saved:g} epochs, {amount.steps_saved:g} steps, about {duration(amount.seconds_saved)}"
    gpus = f", {amount.gpu_hours_saved:g} GPU hours" if amount.gpu_hours_saved else ""
    field = amount.baseline.value[0].lower() + amount.baseline.value[1:]
    return f"{parts}{gpus} (an estimate against your own {field})"


def _columns(job: "ClusterTrainJob") -> tuple[str, str, str, str]:
    training, stopping, amount = job.status.training, job.status.stopping, job.status.accounting
    best = training.best if training else None
    return (
        str(training.epoch) if training else "",
        f"{best.metric} {_short(best.value)}" if best else "",
        (stopping.criterion if stopping else None) or "",
        f"{amount.gpu_hours_saved:g}" if amount else "",
    )


def _sweep_progress(sweep: "ClusterTrainSweep") -> Iterator[str]:
    trials, best = sweep.status.trials, sweep.status.best
    if trials is None:
        return
    yield f"{trials.ended:,} of {count(trials.total, 'trial')} ended"
    yield f"{trials.running:,} running" if trials.running else ""
    yield f"best {best.metric} {_short(best.objective)} (trial {best.trial})" if best else ""


def _sweep_facts(sweep: "ClusterTrainSweep") -> Facts:
    trials, best, amount = sweep.status.trials, sweep.status.best, sweep.status.accounting
    if trials is not None:
        ways = {
            "succeeded": trials.succeeded,
            "stopped early": trials.early_stopped,
            "pruned": trials.pruned,
            "failed": trials.failed,
            "running": trials.running,
        }
        many = ", ".join(f"{number:,} {way}" for way, number in ways.items() if number)
        yield "trials", f"{trials.ended:,} of {trials.total:,} ended" + (f": {many}" if many else "")
    if best is not None:
        yield "best", f"trial {best.trial}, {best.metric} {_short(best.objective)}  {best.values}".rstrip()
    for trial in sweep.status.latest:
        value = f", objective {_short(trial.objective)}" if trial.objective is not None else ""
        why = f": {trial.reason}" if trial.reason else ""
        yield f"trial {trial.trial}", f"{trial.state}, epoch {trial.epoch:,}{value}{why}"
    if amount is not None and sweep.ended:
        yield "saved", f"{amount.epochs_saved:g} epochs, about {duration(amount.seconds_saved)} (an estimate)"
    if sweep.status.restarts:
        yield "restarts", str(sweep.status.restarts)


def _ended_trials(sweep: "ClusterTrainSweep") -> Iterator[tuple[str, str]]:
    for trial in reversed(sweep.status.latest):
        if trial.reason:
            value = f", objective {_short(trial.objective)}" if trial.objective is not None else ""
            ended = f"trial {trial.trial}  {trial.state} at epoch {trial.epoch:,}{value}"
            yield trial.trial, f"{ended}: {on_one_line(trial.reason)}"


def _sweep_columns(sweep: "ClusterTrainSweep") -> tuple[str, str, str, str]:
    best, amount = sweep.status.best, sweep.status.accounting
    return (
        "",
        f"{best.metric} {_short(best.objective)}" if best else "",
        "",
        f"{amount.gpu_hours_saved:g}" if amount else "",
    )


def _short(value: str) -> str:
    """Six digits of a number that is text."""
    try:
        return f"{float(value):.6g}"
    except ValueError:
        return value
