"""The page of a sweep: the best trial, all curves, the objective against each parameter, and every trial in a table."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainjobs.api.sweep import TrainSweep
from trainjobs.cli.pages import parts
from trainjobs.cli.pages.parts import Cells, KeyFigure, TableCell, TableRow, measured
from trainjobs.cli.rendering.sweep_table import saved_of_sweep, state_of_sweep, tally
from trainjobs.stopping.across import Curve
from trainjobs.stopping.wording import number
from trainjobs.sweeps.lines import values as parameters_line
from trainjobs.sweeps.record import SweepDirectory, Table, Trial, TrialState
from trainjobs.views.formatting import count, duration
from trainjobs.views.page import dot_chart
from trainjobs.views.page.dot_chart import Dot, DotChart
from trainjobs.views.page.line_chart import Line, LineChart
from trainjobs.views.page.markup import Html, element
from trainjobs.views.page.scale import Scale, aligned

EPOCHS = 10
"""Columns of the table with the curves' values."""
CHOICES = 8
"""Of a parameter: so many at most stand side by side, more numbers lie on an axis."""
_FADED = (TrialState.PRUNED, TrialState.FAILED)


@dataclass(frozen=True, slots=True)
class ToldSweep:
    """A sweep as its page needs it."""

    sweep: TrainSweep
    table: Table
    curves: Mapping[str, Curve]
    result: Mapping[str, Any] | None

    @classmethod
    def read(cls, directory: SweepDirectory) -> "ToldSweep":
        """Raises NoInput where there is none, DataError or SpecError."""
        sweep = directory.sweep()
        objective = sweep.spec.objective
        return cls(sweep, directory.table(objective), directory.curves(objective), directory.result())

    @property
    def trials(self) -> list[Trial]:
        """In the order in which they began: the number of a trial in the page's data."""
        return list(self.table.trials.values())

    @property
    def metric(self) -> str:
        """The objective's."""
        return self.table.objective.metric

    def look(self, trial: Trial) -> str:
        """How it is drawn."""
        if trial is self.table.best:
            return "accent"
        return "faded" if trial.state in _FADED else "plain"


def sweep_page(directory: SweepDirectory) -> str:
    """The page as one file. Raises NoInput where there is no sweep, DataError or SpecError."""
    told = ToldSweep.read(directory)
    name = told.sweep.metadata.name
    charts = [_curves(told)] if any(curve.epochs for curve in told.curves.values()) else []
    shown = [
        parts.top(name, _outcome(told), state_of_sweep(told.result), bad=_failed(told)),
        parts.key_figures(_figures(told)),
        *(
            parts.section("Curves", *parts.figures_of(charts), _values(told), hint=_hint(told))
            for _ in charts
        ),
        *_parameters(told),
        parts.section("Trials", _trials(told)),
        parts.section("The sweep", parts.pairs(_facts(told))),
    ]
    return parts.page(f"{name}: {tally(told.table)}", shown, charts)


def _failed(told: ToldSweep) -> bool:
    return told.result is not None and told.result.get("state") == "Failed"


def _outcome(told: ToldSweep) -> str:
    best = told.table.best
    if best is None:
        return f"{count(len(told.trials), 'trial')}, none with a {told.metric}"
    return f"Trial {best.name} is the best of {len(told.trials):,}: {told.metric} {number(best.objective)}"


def _figures(told: ToldSweep) -> Iterator[KeyFigure]:
    trials, best = told.trials, told.table.best
    if best is not None:
        yield KeyFigure(f"Best {told.metric}", number(best.objective), f"trial {best.name}, {best.state}")
    states = ", ".join(f"{n:,} {state}" for state, n in told.table.counts.items())
    yield KeyFigure("Trials", f"{len(trials):,}", states)
    seconds = sum(trial.seconds for trial in trials)
    gpus = told.sweep.spec.template.spec.trainer.num_gpus
    used = f", {duration(seconds * gpus)} of GPUs" if gpus else ""
    yield KeyFigure(
        "Trained", count(sum(trial.epoch for trial in trials), "epoch"), f"{duration(seconds)} in all{used}"
    )
    if saved := saved_of_sweep(told.table):
        yield KeyFigure("Saved", *saved)


# --- curves -------------------------------------------------------------------------------------------------------


def _curves(told: ToldSweep) -> LineChart:
    lines = [_line(told, trial, i) for i, trial in enumerate(told.trials)]
    best = told.table.best
    leader = f", the best {number(best.objective)} of trial {best.name}" if best else ""
    words = (
        f"{told.metric} of {count(len(lines), 'trial')} by epoch{leader}. The values are in the table below."
    )
    return LineChart(told.metric, "epoch", lines, told=words)


def _line(told: ToldSweep, trial: Trial, i: int) -> Line:
    curve, is_best = told.curves.get(trial.name, Curve()), trial is told.table.best
    return Line(
        f"trial {trial.name}",
        curve.epochs,
        curve.values,
        told.look(trial),
        _best_of(told, curve) if is_best else None,
        labelled=is_best,
        note=f"{trial.state} · {parameters_line(trial)}",
        trial=i,
    )


def _best_of(told: ToldSweep, curve: Curve) -> int | None:
    """Which value of the curve is its objective, where that is the best one."""
    sign = -1 if told.table.objective.mode == "max" else 1
    finite = [i for i, value in enumerate(curve.values) if math.isfinite(value)]
    return min(finite, key=lambda i: sign * curve.values[i], default=None)


def _hint(told: ToldSweep) -> str:
    pruned = told.table.counts.get(TrialState.PRUNED, 0)
    return f"Trials that were pruned ({pruned:,}) or have failed are faint." if pruned else ""


def _values(told: ToldSweep) -> Html:
    """The curves' values at some epochs."""
    most = max((curve.epoch for curve in told.curves.values()), default=0)
    step = max(1, -(-most // EPOCHS))
    epochs = sorted({1, *range(step, most + 1, step), most})
    rows: list[TableRow] = []
    for trial in told.trials:
        curve = told.curves.get(trial.name, Curve())
        known = [(f"{curve.by_epoch[epoch]:.4g}" if epoch in curve.by_epoch else "") for epoch in epochs]
        rows.append(TableRow([trial.name, *(TableCell(text, "n") for text in known)]))
    heads: Cells = ["trial", *(TableCell(f"epoch {epoch:,}", "n") for epoch in epochs)]
    return parts.more("Values", parts.table(heads, rows))


# --- parameters and trials ----------------------------------------------------------------------------------------


def _parameters(told: ToldSweep) -> Iterator[Html]:
    names = [name for name in _names(told) if len({str(t.parameters.get(name)) for t in told.trials}) > 1]
    if not names:
        return
    scale = Scale.of(trial.objective for trial in told.trials)
    charts = (dot_chart.drawn(_dots(told, name, scale)) for name in names)
    hint = (
        f"Each dot is a trial: its {told.metric} against one parameter. Pruned and failed trials are hollow."
    )
    yield parts.section("Parameters", element("div", *charts, class_="multiples"), hint=hint)


def _dots(told: ToldSweep, name: str, scale: Scale) -> DotChart:
    asked = told.sweep.spec.parameters.get(name)
    listed = asked is not None and asked.listed is not None and len(asked.listed) <= CHOICES
    dots = [
        Dot(_place(trial.parameters[name], listed=listed), trial.objective, told.look(trial), i)
        for i, trial in enumerate(told.trials)
        if name in trial.parameters
    ]
    log = True if asked is not None and asked.log_uniform is not None else None
    words = (
        f"{told.metric} of {count(len(dots), 'trial')} against {name}; the values are in the table of trials."
    )
    return DotChart(name, dots, scale, log, words)


def _place(value: Any, *, listed: bool = False) -> float | str:
    """A number's place on an axis, or a choice in words."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and not listed else parts.setting(value)


def _names(told: ToldSweep) -> list[str]:
    """Of all parameters, as the manifest orders them."""
    given = {name: None for trial in told.trials for name in trial.parameters}
    return [name for name in told.sweep.spec.parameters if name in given]


def _trials(told: ToldSweep) -> Html:
    names, trials = _names(told), told.trials
    objectives = aligned(trial.objective for trial in trials)
    columns = {name: _column(trials, name) for name in names}
    rows = [
        TableRow(
            [*_trial(trial, objectives[i]), *(columns[name][i] for name in names), _why(trial)],
            _row_look(told, trial),
            i,
        )
        for i, trial in enumerate(trials)
    ]
    heads: Cells = [
        *("trial", TableCell(told.metric, "n"), "state", TableCell("epochs", "n"), TableCell("time", "n")),
        *(TableCell(name, columns[name][0].look) for name in names),
        "why",
    ]
    return parts.table(heads, rows, "sortable")


def _trial(trial: Trial, objective: str) -> Iterator[TableCell | str]:
    yield TableCell(trial.name, "nw")
    yield measured(trial.objective, "" if math.isnan(trial.objective) else objective, "n key")
    yield TableCell(str(trial.state), "nw")
    yield measured(trial.epoch)
    yield measured(trial.seconds, duration(trial.seconds) if trial.epoch else "", "n nw")


def _why(trial: Trial) -> TableCell:
    return TableCell(trial.reason, "long")


def _row_look(told: ToldSweep, trial: Trial) -> str | None:
    look = told.look(trial)
    return {"accent": "best", "faded": "faded"}.get(look)


def _column(trials: Sequence[Trial], name: str) -> list[TableCell]:
    """One parameter of every trial; numbers are aligned."""
    values = [trial.parameters.get(name) for trial in trials]
    places = [None if value is None else _place(value) for value in values]
    if not all(place is None or isinstance(place, float) for place in places):
        return [TableCell("" if value is None else parts.setting(value)) for value in values]
    numbers = [math.nan if place is None else float(place) for place in places]
    return [TableCell("" if math.isnan(value) else number(value), "n", value) for value in numbers]


def _facts(told: ToldSweep) -> Iterator[tuple[str, Html | str]]:
    spec, objective = told.sweep.spec, told.table.objective
    yield "objective", f"{objective.metric}, {objective.mode}, {objective.at} value of a trial"
    if spec.pruning.criteria:
        judges = ", ".join(f"{one.key}{' (shadow)' if one.shadow else ''}" for one in spec.pruning.criteria)
        yield (
            "pruned by",
            f"{judges}; after epoch {spec.pruning.start_after.epoch:,}, "
            f"among at least {count(spec.pruning.min_trials, 'other trial')}",
        )
    yield "proposed by", ", ".join(dict.fromkeys(trial.proposed for trial in told.trials)) or "nobody yet"
    yield "entrypoint", spec.template.spec.trainer.entrypoint
    for name, value in parts.settings(spec.template.spec.trainer.config).items():
        if name not in spec.parameters:
            yield name, element("span", value, class_="code")
