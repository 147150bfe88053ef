"""`trainjobs replay`: what criteria would have done to a run that is already recorded."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from trainjobs.api import Length, Stopping
from trainjobs.api.length import Unit
from trainjobs.api.manifest import Manifest, SpecError
from trainjobs.cli.curves.found import RunLog, curves
from trainjobs.cli.rendering.criteria_table import criteria_table
from trainjobs.cli.rendering.facts import facts_list
from trainjobs.cli.rendering.terminal import Output, show
from trainjobs.cli.replays import Subject, replay_many
from trainjobs.exits import DataError, UsageError, reading
from trainjobs.runs.codec import jsonable
from trainjobs.runs.events import CriterionResult
from trainjobs.stopping import Alone, Best, MissingMetric, Observation, Replay, StopPoint
from trainjobs.stopping import replay as judge_again
from trainjobs.stopping.wording import number
from trainjobs.views.formatting import baseline, count, duration, spot, unspent
from trainjobs.views.writing import write_json


@dataclass(frozen=True, slots=True)
class Asked:
    """What a replay is asked."""

    criteria: Path
    max_epochs: int | None = None
    """Length of the runs; None: what the criteria's TrainJob says, or the run itself, or else its curve's end."""
    suggest: bool = False
    """Rank criteria, whatever the number of curves."""
    give_up: float | None = None
    """What the suggested criterion may give up on average, in units of the metric that tells."""
    test_metric: str | None = None
    """Metric that tells what was given up; None: the one on test data beside `stopping.monitor`, if there is one."""


def replay(paths: Sequence[Path], asked: Asked, output: Output) -> None:
    """Judge the curves again and tell. Raises UserError or SpecError."""
    with reading(asked.criteria):
        manifest = Manifest.read(asked.criteria)
    if manifest.holds_sweep:
        _replay_sweep(paths, manifest, asked, output)
        return
    if asked.give_up is not None and not asked.suggest:
        raise UsageError("--give-up is of a suggestion: add --suggest")
    stopping, length = criteria_in(manifest)
    length = Length(asked.max_epochs, Unit.EPOCH) if asked.max_epochs else length
    found = [curve for path in paths for curve in curves(path)]
    code = asked.criteria.absolute().parent
    if len(found) == 1 and not asked.suggest and asked.test_metric is None:
        replay_one(found[0], Subject(stopping, length, code), output)
    else:
        replay_many(
            found,
            Subject(stopping, length, code, asked.test_metric, asked.give_up),
            output,
            suggest=asked.suggest,
        )


def _replay_sweep(paths: Sequence[Path], manifest: Manifest, asked: Asked, output: Output) -> None:
    from trainjobs.cli.replayed_sweep import replay_sweep

    for option, given in (
        ("--suggest", asked.suggest),
        ("--give-up", asked.give_up),
        ("--max-epochs", asked.max_epochs),
    ):
        if given:
            raise UsageError(
                f"{option}: is for the criteria of one run, and {asked.criteria} is a TrainSweep"
            )
    with reading(asked.criteria):
        sweep = manifest.sweep()
    replay_sweep([curve for path in paths for curve in curves(path)], sweep, asked.test_metric, output)


def replay_one(curve: RunLog, subject: Subject, output: Output) -> None:
    """Judge one curve again and tell."""
    recorded = curve.read(subject.stopping.first_metric)
    length = subject.length or recorded.length
    history, planned = recorded.history, length
    if length is None and subject.stopping.by_length:
        history = tuple(history)
        planned = Length(history[-1].epoch, Unit.EPOCH)
    try:
        again = judge_again(subject.panel(planned), history, length)
    except MissingMetric as error:
        raise DataError(str(error)) from error
    if output is Output.JSON:
        write_json(jsonable(asdict(again)))
        return
    show(told(again, curve.name, length, assumed=planned if length is None else None))


def criteria_in(manifest: Manifest) -> tuple[Stopping, Length | None]:
    """The criteria of a TrainJob, of a document with `stopping` alone, or of what stands under it.

    And the TrainJob's length.
    """
    stopping = manifest.stopping()
    try:
        return stopping, manifest.job().spec.trainer.length
    except SpecError:
        return stopping, None


def told(
    again: Replay, curve: str, length: Length | None, assumed: Length | None = None
) -> list[RenderableType]:
    """The replay for people; `assumed` is the length that criteria went by where nobody knows it."""
    assert again.end is not None  # noqa: S101 - a curve has a report
    notes = {alone.name: _note(alone, again.best, again.end, length) for alone in again.criteria}
    results = [_result(alone) for alone in again.criteria]
    return [
        Text(_headline(again, length), style="bold green" if again.stopped_by else "bold"),
        *([Text(again.stopped_by.stop.reason)] if again.stopped_by and again.stopped_by.stop else []),
        Text(),
        facts_list([*_facts(again, curve, length), *_assumption(assumed)]),
        Text(),
        Text("Each criterion alone"),
        Padding(criteria_table(results, whole_sentences=True, notes=notes), (0, 0, 0, 2)),
    ]


def _headline(again: Replay, length: Length | None) -> str:
    by = again.stopped_by
    assert again.end is not None  # noqa: S101 - a curve has a report
    if by is None or by.stop is None:
        at = length.named("in", "at") if length else "in"
        end = f"{at} {spot(length, again.end.epoch, again.end.step)}"
        return f"No criterion would have stopped the run before its end {end}"
    where = f"{'after' if by.stop.whole else 'in'} epoch {by.stop.epoch}"
    return f"Would have stopped early by {by.name} {where}, at step {by.stop.step:,}"


def _facts(again: Replay, curve: str, length: Length | None) -> Iterator[tuple[str, str]]:
    assert again.end is not None  # noqa: S101 - a curve has a report
    end = spot(length, again.end.epoch, again.end.step)
    yield "curve", f"{curve}, {count(again.reports, 'report')} to {end}"
    if again.best is not None:
        best = again.best
        yield "best", f"{best.metric} {number(best.value)}, {spot(length, best.epoch, best.step)}"
    stop = again.stopped_by.stop if again.stopped_by else None
    if stop is None:
        return
    if again.best is not None:
        yield "best then", _best_then(stop, again.best, length)
    yield "saved", _saved_words(stop, again.end)
    if stop.saved_of_max is not None and length is not None:
        spent = _spent(stop.saved_of_max.seconds, "about ")
        yield "", f"{unspent(stop.saved_of_max, stop.whole, length)}{spent} {baseline(length)}"


def _assumption(assumed: Length | None) -> Iterator[tuple[str, str]]:
    if assumed is not None:
        planned = count(assumed.amount, assumed.unit)
        yield "length", f"taken to be {planned}, the end of the curve; --max-epochs says what was planned"


def _result(alone: Alone) -> CriterionResult:
    """What the criterion says where it stops, or else at the end."""
    said = CriterionResult.of(alone.last)
    if (stop := alone.stop) is None:
        return said
    place = f"epoch {stop.epoch}" if stop.whole else f"step {stop.step:,}"
    return replace(said, gated=None, stop=True, closeness=1.0, waiting=place, reason=stop.reason)


def _note(alone: Alone, best: Best | None, end: Observation, length: Length | None) -> str:
    if alone.stop is None:
        return "would not have stopped it"
    then = f"best then {_best_then(alone.stop, best, length)}; " if best else ""
    return f"{then}saves {_saved_words(alone.stop, end)}"


def _best_then(stop: StopPoint, overall: Best, length: Length | None) -> str:
    if stop.best is None:
        return "none yet"
    then = f"{number(stop.best.value)}, {spot(length, stop.best.epoch, stop.best.step)}"
    if stop.best == overall:
        return f"{then}, the best of the whole curve"
    return f"{then}, against {number(overall.value)} of the whole curve"


def _saved_words(stop: StopPoint, end: Observation) -> str:
    """In epochs; in steps where the stop or the end of the curve is amid an epoch."""
    if (stop.step, stop.epoch, stop.whole) == (end.step, end.epoch, end.whole):
        return "nothing of this curve, which ends there"
    by_epochs = stop.whole and end.whole
    saved = stop.saved.epochs if by_epochs else stop.saved.steps
    recorded = count(end.epochs, "epoch") if by_epochs else count(end.step, "step")
    return f"{saved:,} of the {recorded} recorded{_spent(stop.saved.seconds)}"


def _spent(seconds: float, prefix: str = "") -> str:
    return f", {prefix}{duration(seconds)}" if seconds else ""
