"""The page of one run: why it stopped, what that saved, its curves, its criteria, and what it was made of."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trainjobs.api import TrainJob
from trainjobs.cli.pages import parts
from trainjobs.cli.pages.curves import Family, families, metrics_of, places, values
from trainjobs.cli.pages.parts import Cells, KeyFigure, TableCell, TableRow
from trainjobs.cli.rendering.summary import headline, reason, run_facts, saved_words
from trainjobs.local.run_report import RunReport, RunStatus, read
from trainjobs.runs import events
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.events import CriterionResult
from trainjobs.runs.job_status import JobStatus
from trainjobs.stopping import Observation
from trainjobs.stopping.wording import number
from trainjobs.views.formatting import count, duration, spot, steps_of_ranks, unspent
from trainjobs.views.page.line_chart import Line, LineChart, Marker
from trainjobs.views.page.markup import Html, element
from trainjobs.views.page.scale import aligned

ROWS = 250
"""Reports whose values are in the table; of more, some at equal distances."""
_LOOKS = ("accent", "second", "third")


@dataclass(frozen=True, slots=True)
class ToldRun:
    """A run as its page needs it."""

    report: RunReport
    job: TrainJob
    happened: tuple[events.Event, ...]

    @classmethod
    def read(cls, directory: RunDirectory, place: Path | None = None) -> "ToldRun":
        """Raises NoInput where there is none, DataError or SpecError.

        Args:
            place: what the page calls the directory, where that is but a copy.
        """
        happened = directory.events()
        report = read(directory, happened=happened)
        return cls(replace(report, path=place or directory.path), directory.job(), happened)


def run_page(run: ToldRun) -> str:
    """The page as one file."""
    report = run.report
    charts = charts_of(report)
    shown = [
        parts.top(report.name, headline(report), reason(report), bad=report.state is RunStatus.FAILED),
        parts.key_figures(_figures(run)),
        parts.section("Curves", *parts.figures_of(charts), _values(report))
        if charts
        else parts.section("Curves", element("p", "Nothing was reported.", class_="quiet")),
        *_criteria(report),
        *_attempts(run),
        *_made_of(run),
    ]
    return parts.page(f"{report.name}: {headline(report)}", shown, charts)


def _figures(run: ToldRun) -> Iterator[KeyFigure]:
    report, length = run.report, run.report.length
    if (best := report.best) is not None:
        yield KeyFigure(f"Best {best.metric}", number(best.value), spot(length, best.epoch, best.step))
    if report.last is not None:
        done = count(length.named(report.last.epochs, report.step), length.unit)
        took = f"{duration(report.last.seconds)} on {count(report.workers, 'worker')}"
        yield KeyFigure("Trained", done, f"of {length.amount:,}, in {took}")
    if report.saved is not None and report.last is not None:
        amount = unspent(report.saved, report.last.whole, length)
        words = saved_words(report.saved, report.last.whole, report.workers, length)
        yield KeyFigure("Saved", amount, words.removeprefix(amount).lstrip(", "))
        if gpu_seconds := JobStatus(run.job, report.told).accounting().gpu_seconds_saved:
            yield KeyFigure("GPU time saved", duration(gpu_seconds), "an estimate, all GPUs together")
    for name, value in list((report.told.tests or {}).items())[:2]:
        yield KeyFigure(name if "test" in name.lower() else f"test {name}", number(value), "after the end")


# --- curves -------------------------------------------------------------------------------------------------------


def charts_of(report: RunReport) -> list[LineChart]:
    """A chart for each measure, the monitored one first and with everything that happened."""
    monitor = report.best.metric if report.best else None
    found = families(metrics_of(report.history), monitor)
    return [_chart(report, family, first=not i) for i, family in enumerate(found)]


def _chart(report: RunReport, family: Family, *, first: bool) -> LineChart:
    xs = places(report.history, report.length.unit)
    lines = [_line(report, metric, name, xs) for metric, name in family.names.items()]
    markers = list(_markers(report, xs)) if xs else []
    chart = LineChart(
        title=family.measure,
        unit=report.length.unit,
        lines=_looking(lines, report.best.metric if report.best else None, family),
        markers=markers if first else (),
        length=report.length.amount if report.state is not RunStatus.RUNNING else None,
        untrained_words=_untrained(report),
    )
    return replace(chart, told=_told(chart, report))


def _line(report: RunReport, metric: str, name: str, xs: Sequence[float]) -> Line:
    best = report.best
    at = best.report - 1 if best and best.metric == metric and best.report <= len(xs) else None
    return Line(name, xs, values(report.history, metric), "second", at)


def _looking(lines: Sequence[Line], monitor: str | None, family: Family) -> list[Line]:
    """The monitored curve, or else the last one, which is not of training data, is the one to look at."""
    chief = list(family.names).index(monitor) if monitor and monitor in family.names else len(lines) - 1
    others = iter(("second", *("third",) * len(lines)))
    looks = ["accent" if i == chief else next(others) for i in range(len(lines))]
    several = len(lines) > 1  # else the title says it
    return [replace(line, look=look, labelled=several) for line, look in zip(lines, looks, strict=True)]


def _markers(report: RunReport, xs: Sequence[float]) -> Iterator[Marker]:
    best, decision = report.best, report.told.decision
    if best and best.report <= len(xs):
        place = spot(report.length, best.epoch, best.step)
        yield Marker(xs[best.report - 1], f"best {number(best.value)}, {place}", "best")
    for name, at in list(report.told.shadows.items())[:3]:
        where = next((x for x, seen in zip(xs, report.history, strict=True) if seen.step >= at.step), xs[-1])
        yield Marker(where, f"shadow {name}, {spot(report.length, at.epoch, at.step)}", "shadow")
    if decision is not None and report.state is not RunStatus.FINISHED:
        by = f" by {decision.criterion}" if decision.criterion else ""
        yield Marker(xs[-1], f"{_ENDS.get(report.state, 'stopped')}{by}", "stop")


_ENDS = {RunStatus.PRUNED: "pruned", RunStatus.INTERRUPTED: "interrupted", RunStatus.FAILED: "failed"}


def _untrained(report: RunReport) -> tuple[str, str]:
    length, last = report.length, report.last
    left = length.amount - (length.named(last.epochs, report.step) if last else 0)
    return count(left, length.unit), "never trained" if report.saved else "not trained"


def _told(chart: LineChart, report: RunReport) -> str:
    """A sentence for those who do not see the chart."""
    ends = [
        f"{line.name} from {number(line.ys[0])} to {number(line.ys[-1])}" for line in chart.lines if line.ys
    ]
    span = f"{chart.unit} {chart.first:g} to {chart.last:g}"
    marks = "".join(f"; {marker.text}" for marker in chart.markers)
    return f"{chart.title}, {span}: {', '.join(ends)}{marks}. The values are in the table below."


def _values(report: RunReport) -> Html:
    metrics, history = metrics_of(report.history), report.history
    best = report.best.report - 1 if report.best else None
    step = -(-len(history) // ROWS)
    kept = sorted({*range(0, len(history), step), len(history) - 1, *([best] if best is not None else [])})
    chosen = [history[i] for i in kept]
    columns = [aligned(values(chosen, metric)) for metric in metrics]
    rows = [
        TableRow(_reported(seen, row), "best" if i == best else None)
        for i, seen, row in zip(kept, chosen, zip(*columns, strict=True), strict=True)
    ]
    heads: Cells = ["epoch", *map(_n, ("step", "seconds", *metrics))]
    every = (
        f"every {step}th of {count(len(history), 'report')}" if step > 1 else count(len(history), "report")
    )
    return parts.more(f"Values ({every})", parts.table(heads, rows))


def _reported(seen: Observation, metrics: Iterable[str]) -> Cells:
    return [f"{seen.epoch:,}", *map(_n, (f"{seen.step:,}", f"{seen.seconds:,.1f}", *metrics))]


def _n(text: str) -> TableCell:
    return TableCell("" if text == "nan" else text, "n")


# --- criteria -----------------------------------------------------------------------------------------------------


def _criteria(report: RunReport) -> Iterator[Html]:
    if report.trouble:
        words = f"The criteria cannot be judged by this history: {report.trouble}"
        yield parts.section("Criteria", element("p", words))
    elif report.criteria:
        rows = [TableRow(list(_criterion(report, said))) for said in report.criteria]
        heads: Cells = ["criterion", "state", "how close", _n(""), "what it says"]
        yield parts.section(
            "Criteria", parts.table(heads, rows, "stacked"), hint="As they stood at the last report."
        )


def _criterion(report: RunReport, said: CriterionResult) -> Iterator[TableCell | str]:
    state, look = _state(report, said)
    yield said.name
    yield TableCell(state, f"state {look}")
    yield TableCell(_bar(said.closeness), look)
    yield TableCell(said.waiting, "n nw")
    at = report.told.shadows.get(said.name)
    would = (
        f"Would have stopped the run at {spot(report.length, at.epoch, at.step)}: {at.reason}" if at else None
    )
    yield TableCell(would or said.reason, "long")


def _state(report: RunReport, said: CriterionResult) -> tuple[str, str]:
    decision = report.told.decision
    if decision and decision.criterion == said.name and report.state is RunStatus.EARLY_STOPPED:
        return "stopped the run", "met"
    if said.shadow:
        return ("shadow, met" if said.name in report.told.shadows or said.stop else "shadow"), "quiet"
    if said.gated:
        return "held back", "quiet"
    return ("met", "met") if said.stop else ("waiting", "")


def _bar(closeness: float) -> Html:
    share = min(max(closeness if math.isfinite(closeness) else 0.0, 0.0), 1.0)
    return element(
        "svg",
        element("rect", width="100%", height=6, rx=3),
        element("rect", width=f"{share * 100:.0f}%", height=6, rx=3, class_="full"),
        class_="bar",
        role="img",
        aria_label=f"{share * 100:.0f}%",
    )


# --- what it was made of ------------------------------------------------------------------------------------------


def _attempts(run: ToldRun) -> Iterator[Html]:
    rows = list(_lives(run.happened))
    if len(rows) > 1:
        heads: Cells = ["attempt", "workers", "began", "ended"]
        yield parts.section("Attempts", parts.table(heads, map(TableRow, rows)))
    failed = run.report.told.failure
    if run.report.state is RunStatus.FAILED and failed is not None and failed.traceback:
        yield parts.section("Where it failed", element("pre", failed.traceback.rstrip()))


def _lives(happened: Iterable[events.Event]) -> list[Cells]:
    """A row for each start of the workers, with how that ended."""
    rows: list[Cells] = []
    for event in happened:
        if isinstance(event, events.Started):
            began = "anew" if event.resumed_from_step is None else f"at step {event.resumed_from_step:,}"
            rows.append([str(len(rows) + 1), f"{event.world_size:,} on {event.device}", began, "not yet"])
        elif rows and (ended := _ending(event)):
            rows[-1][-1] = TableCell(ended, "long")
    return rows


def _ending(event: events.Event) -> str | None:
    match event:
        case events.Failed():
            whose = "" if event.rank is None else f"rank {event.rank}: "
            return f"{whose}{event.kind}: {event.message}"
        case events.Halted(decision=None):
            return f"to its end, {steps_of_ranks(event.steps)}"
        case events.Halted():
            return f"{steps_of_ranks(event.steps)}: {event.decision.reason if event.decision else ''}"
    return None


def _made_of(run: ToldRun) -> Iterator[Html]:
    trainer = run.job.spec.trainer
    config = parts.settings(trainer.config)
    if config:
        shown = parts.pairs((name, element("span", value, class_="code")) for name, value in config.items())
        yield parts.section("Configuration", shown)
    yield parts.section("The run", parts.pairs(_environment(run)))


def _environment(run: ToldRun) -> Iterator[tuple[str, str]]:
    report, trainer = run.report, run.job.spec.trainer
    told = report.told
    yield from (fact for fact in run_facts(report) if fact[0] not in ("best", "test"))
    if told.started is not None:
        nodes = f", {trainer.num_nodes} nodes" if trainer.num_nodes > 1 else ""
        yield "trained on", f"{count(told.started.world_size, 'worker')} on {told.started.device}{nodes}"
    yield "entrypoint", trainer.entrypoint
    if trainer.image:
        yield "image", trainer.image
    if trainer.num_gpus:
        yield "GPUs asked for", f"{trainer.num_gpus:,}"
    if trainer.env:
        yield "variables set", ", ".join(variable.name for variable in trainer.env)
