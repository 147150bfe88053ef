"""The page of several runs: their curves over each other, what became of each, and what they were given differently."""

from collections.abc import Iterator, Sequence

from trainjobs.api.length import Unit
from trainjobs.cli.pages import parts
from trainjobs.cli.pages.curves import metrics_of, places, values
from trainjobs.cli.pages.parts import Cells, TableCell, TableRow, measured
from trainjobs.cli.pages.run_page import ToldRun
from trainjobs.cli.rendering.summary import headline
from trainjobs.stopping.wording import number
from trainjobs.views.formatting import count, duration, spot, unspent
from trainjobs.views.page.line_chart import Line, LineChart
from trainjobs.views.page.markup import Html, element

COLOURS = 6
STROKES = ("", " dashed", " dotted")


def runs_page(runs: Sequence[ToldRun]) -> str:
    """The page as one file."""
    names = names_of(runs)
    units = {run.report.length.unit for run in runs}
    unit = units.pop() if len(units) == 1 else Unit.STEP
    charts = [_chart(runs, names, metric, unit) for metric in _metrics(runs)]
    title = f"{len(runs):,} runs"
    shown = [
        parts.top(title, _leader(runs, names) or title, None),
        parts.section("Outcomes", _outcomes(runs, names)),
        parts.section("Curves", *parts.figures_of(charts), _values(runs, names)),
        *_differences(runs, names),
    ]
    return parts.page(f"{title}: {', '.join(names)}", shown, charts)


def _leader(runs: Sequence[ToldRun], names: Sequence[str]) -> str:
    """Which run has the best value, where all are judged by the same metric; else nothing."""
    bests = [(run.report.best, name) for run, name in zip(runs, names, strict=True)]
    kinds = {
        (best.metric, run.job.spec.stopping.mode) for (best, _), run in zip(bests, runs, strict=True) if best
    }
    if len(kinds) != 1 or not all(best for best, _ in bests):
        return ""
    ((metric, mode),) = kinds
    sign = -1 if mode == "max" else 1
    value, name = min(((best.value, name) for best, name in bests if best), key=lambda one: sign * one[0])
    return f"{name} is the best of {len(runs):,}: {metric} {number(value)}"


def names_of(runs: Sequence[ToldRun]) -> list[str]:
    """What each is called: its own name where no other has it, else its directory's, or else the whole path."""
    choices = (
        [run.report.name for run in runs],
        [run.report.path.name for run in runs],
        [str(run.report.path) for run in runs],
    )
    return next((names for names in choices if len(set(names)) == len(names)), choices[-1])


def _metrics(runs: Sequence[ToldRun]) -> list[str]:
    """Those of every run, the monitored ones first."""
    all_ = list(dict.fromkeys(metric for run in runs for metric in metrics_of(run.report.history)))
    monitored = {run.report.best.metric for run in runs if run.report.best}
    return sorted(all_, key=lambda metric: metric not in monitored)


def _chart(runs: Sequence[ToldRun], names: Sequence[str], metric: str, unit: Unit) -> LineChart:
    lines = [
        _line(run, name, metric, _look(i), places(run.report.history, unit))
        for i, (run, name) in enumerate(zip(runs, names, strict=True))
        if any(metric in seen.metrics for seen in run.report.history)
    ]
    ends = ", ".join(f"{line.name} ends at {number(line.ys[-1])}" for line in lines[:20])
    words = f"{metric} of {count(len(lines), 'run')} by {unit}: {ends}. The values are in the table below."
    return LineChart(metric, unit, lines, told=words)


def _line(run: ToldRun, name: str, metric: str, look: str, xs: Sequence[float]) -> Line:
    report = run.report
    ys = values(report.history, metric)
    best = report.best
    at = best.report - 1 if best and best.metric == metric and best.report <= len(ys) else None
    return Line(name, xs, ys, look, at, note=report.state.value)


def _look(i: int) -> str:
    """A colour and a stroke: together they tell eighteen runs apart."""
    return f"run-{i % COLOURS + 1}{STROKES[i // COLOURS % len(STROKES)]}"


def _outcomes(runs: Sequence[ToldRun], names: Sequence[str]) -> Html:
    numbers = (TableCell(word, "n") for word in ("trained", "time", "saved"))
    heads: Cells = ["run", TableCell("best", "n"), "", *numbers, "outcome"]
    rows = [
        TableRow(list(_outcome(run, name, i))) for i, (run, name) in enumerate(zip(runs, names, strict=True))
    ]
    return parts.table(heads, rows, "sortable")


def _outcome(run: ToldRun, name: str, i: int) -> Iterator[TableCell | str]:
    report, best, last = run.report, run.report.best, run.report.last
    yield TableCell(element("span", _swatch(i), name))
    yield measured(best.value, look="n key") if best else ""
    yield TableCell(
        f"{best.metric}, {spot(report.length, best.epoch, best.step)}" if best else "", "quiet nw"
    )
    done = report.length.named(last.epochs, report.step) if last else 0
    yield measured(done, f"{done:,} of {count(report.length.amount, report.length.unit)}", "n nw")
    yield measured(last.seconds, duration(last.seconds), "n nw") if last else ""
    saved = unspent(report.saved, last.whole, report.length) if report.saved and last else ""
    yield TableCell(saved, "n nw", report.saved.epochs or report.saved.steps if report.saved else 0)
    yield TableCell(headline(report), "long")


def _swatch(i: int) -> Html:
    line = element("line", x1=0, x2="100%", y1=5, y2=5, class_=f"line {_look(i)}")
    return element("svg", line, class_="swatch", aria_hidden="true")


def _values(runs: Sequence[ToldRun], names: Sequence[str]) -> Html:
    """Where each curve begins, is best and ends."""
    rows = [
        TableRow([name, metric, *(TableCell(number(ys[at]), "n") for at in (0, len(ys) // 2, -1))])
        for run, name in zip(runs, names, strict=True)
        for metric in metrics_of(run.report.history)
        if (ys := values(run.report.history, metric))
    ]
    heads: Cells = ["run", "metric", *(TableCell(word, "n") for word in ("first", "halfway", "last"))]
    return parts.more("Values", parts.table(heads, rows))


def _differences(runs: Sequence[ToldRun], names: Sequence[str]) -> Iterator[Html]:
    given = [parts.settings(_given(run)) for run in runs]
    every = dict.fromkeys(name for one in given for name in one)
    differing = [name for name in every if len({one.get(name) for one in given}) > 1]
    if not differing:
        yield parts.section("Configuration", element("p", "All were given the same.", class_="quiet"))
        return
    rows = [TableRow([name, *(TableCell(one.get(name, ""), "code") for one in given)]) for name in differing]
    yield parts.section("Configuration", parts.table(["", *names], rows), hint="Only what differs.")


def _given(run: ToldRun) -> dict[str, object]:
    """What a run was given that may make it another one."""
    trainer, length = run.job.spec.trainer, run.report.length
    criteria = [one.key for one in run.job.spec.stopping.criteria]
    return {
        **trainer.config,
        "entrypoint": trainer.entrypoint,
        length.field: length.amount,
        "workers": trainer.num_workers,
        "criteria": ", ".join(criteria),
    }
