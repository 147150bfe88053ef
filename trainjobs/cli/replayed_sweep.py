"""`trainjobs replay` by the criteria of a TrainSweep: which trials would have been pruned, when, and at what regret."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trainjobs.api.pruning import Objective, Pruning
from trainjobs.api.sweep import TrainSweep
from trainjobs.cli.curves.found import RunLog
from trainjobs.cli.rendering.facts import facts_list
from trainjobs.cli.rendering.terminal import Output, show
from trainjobs.cli.replays import Past, Skipped, read_past, test_metric_of
from trainjobs.exits import ConfigError, DataError
from trainjobs.runs.codec import jsonable
from trainjobs.stopping.across.replay import Chosen, Pruned, ReplayedSweep
from trainjobs.stopping.across.replay import replay as train_again
from trainjobs.stopping.hindsight import Judged
from trainjobs.views.formatting import count
from trainjobs.views.writing import write_json

TOGETHER = "all together"
FEWEST = 2


@dataclass(frozen=True, slots=True)
class PruningRow:
    """What pruning by some criteria comes to."""

    criteria: str
    pruned: tuple[Pruned, ...]
    saved: float
    """Share of the epochs of all trials, 0 to 1."""
    chosen: Chosen | None
    regret: float | None
    """How much worse the metric that tells is at the chosen report than at the best of all, in its units."""


@dataclass(frozen=True, slots=True)
class PruningFindings:
    """What was found about a sweep."""

    trials: int
    metric: str
    """Tells the regret."""
    best: Chosen | None
    rows: tuple[PruningRow, ...]
    skipped: tuple[Skipped, ...]


def replay_sweep(found: Sequence[RunLog], sweep: TrainSweep, test_metric: str | None, output: Output) -> None:
    """Judge the trials again, as if all had run side by side, and tell. Raises UserError."""
    findings = findings_of(found, sweep.spec.objective, sweep.spec.pruning, test_metric)
    if output is Output.JSON:
        write_json(jsonable(asdict(findings)))
    else:
        show(told(findings))


def findings_of(
    found: Sequence[RunLog], objective: Objective, pruning: Pruning, test_metric: str | None
) -> PruningFindings:
    """What the trials say. Raises ConfigError where nothing prunes, DataError where there are no two trials."""
    if not pruning.criteria:
        raise ConfigError("spec.pruning.criteria: is empty, so nothing would have been pruned")
    past, skipped = read_past(found, objective.metric)
    if len(past) < FEWEST:
        told = "\n".join(f"{one.curve}: {one.reason}" for one in skipped)
        raise DataError(told or "one trial has no others to be compared with: name at least two")
    tells = _tells(past, objective, test_metric)
    histories = {run.curve: run.history for run in past}
    judged = {name: train_again(histories, objective, by) for name, by in _prunings(pruning).items()}
    rows = tuple(_row(name, replayed, tells) for name, replayed in judged.items())
    best = next(iter(judged.values())).best
    return PruningFindings(len(past), tells.metric, best, rows, tuple(skipped))


def _prunings(pruning: Pruning) -> Mapping[str, Pruning]:
    """Each criterion alone, shadows too, and all that prune together if they are several."""
    ruling = tuple(one for one in pruning.criteria if not one.shadow)
    alone = {
        one.key: pruning.model_copy(update={"criteria": (one.model_copy(update={"shadow": False}),)})
        for one in pruning.criteria
    }
    together = {TOGETHER: pruning.model_copy(update={"criteria": ruling})} if len(ruling) > 1 else {}
    return {**alone, **together}


def _tells(past: Sequence[Past], objective: Objective, asked: str | None) -> Judged:
    """The metric that tells the regret: one on test data if all have reported it, else the objective."""
    reported = frozenset.intersection(*(run.reported for run in past))
    test = test_metric_of(objective.metric, objective.mode, asked, reported)
    return test or Judged(objective.metric, objective.mode)


def _row(name: str, replayed: ReplayedSweep, tells: Judged) -> PruningRow:
    saved = 1 - replayed.epochs / replayed.recorded if replayed.recorded else 0.0
    regret = replayed.regret(tells.metric, tells.mode)
    return PruningRow(name, replayed.pruned, saved, replayed.chosen, regret)


def told(findings: PruningFindings) -> list[RenderableType]:
    """The findings for people."""
    last = findings.rows[-1]
    skipped = [Text(f"skipped {one.curve}: {one.reason}", style="yellow") for one in findings.skipped]
    facts = [
        ("saved", "epochs of all trials, trained side by side"),
        (
            "regret",
            f"{findings.metric} of the trial that would have been chosen, against that of the best of all",
        ),
        *((("best of all", _trial(findings.best)),) if findings.best else ()),
    ]
    return [
        Text(f"What pruning would have done to a sweep of {count(findings.trials, 'trial')}", style="bold"),
        Text(),
        Padding(_table(findings.rows), (0, 0, 0, 2)),
        Text(),
        facts_list(facts),
        *skipped,
        *([Text(), Text(f"Pruned by {last.criteria}", style="bold")] if last.pruned else []),
        *(Text(f"  {one.trial} after epoch {one.epoch}: {one.reason}") for one in last.pruned),
    ]


def _table(rows: Sequence[PruningRow]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("criterion", overflow="fold")
    for title in ("pruned", "saved", "regret"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("chosen", overflow="fold")
    for row in rows:
        regret = "" if row.regret is None else f"{row.regret:.3g}"
        chosen = _trial(row.chosen) if row.chosen else "none"
        table.add_row(row.criteria, f"{len(row.pruned)}", f"{100 * row.saved:.1f} %", regret, chosen)
    return table


def _trial(choice: Chosen) -> str:
    return f"{choice.trial}, epoch {choice.seen.epoch}"
