"""`trainjobs replay` of many runs: what each criterion would have saved and given up, and which one to take."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.progress import track
from rich.table import Table
from rich.text import Text

from trainjobs.api import Length, Stopping
from trainjobs.api.length import Unit
from trainjobs.api.manifest import SpecError
from trainjobs.api.monitoring import Mode
from trainjobs.api.stopping import Criterion
from trainjobs.cli.curves.found import RunLog
from trainjobs.cli.rendering.facts import facts_list
from trainjobs.cli.rendering.terminal import Output, show
from trainjobs.exits import ConfigError, DataError, UserError
from trainjobs.lint.metric_name import usual_mode
from trainjobs.runs.codec import jsonable
from trainjobs.stopping import MissingMetric, Observation, Panel
from trainjobs.stopping import replay as judge_again
from trainjobs.stopping.hindsight import Hindsight, Judged, Summary, outcome
from trainjobs.stopping.suggestion import FEW, WORTH, candidates, gained, ranked
from trainjobs.stopping.wording import number
from trainjobs.views.formatting import count
from trainjobs.views.writing import write_json

T = TypeVar("T")
AT_ONCE = 16
"""Criteria that one panel holds."""
_VALIDATION = re.compile(r"(?<![a-z])(validation|valid|val|eval|dev)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Subject:
    """The criteria that are replayed, and all that is around them."""

    stopping: Stopping
    length: Length | None
    """Of every run, where somebody has said it."""
    code: Path
    """Directory of criteria of one's own."""
    test_metric: str | None = None
    give_up: float | None = None
    """What a suggested criterion may give up on average; None: `WORTH` of what the runs have gained."""

    def panel(self, length: Length | None, criteria: Sequence[Criterion] | None = None) -> Panel:
        """The judges: the manifest's criteria, or these instead."""
        chosen = self.stopping
        if criteria is not None:
            unnamed = tuple(one.model_copy(update={"name": None}) for one in criteria)
            chosen = chosen.model_copy(update={"criteria": unnamed})
        return Panel.of(chosen, length, code=self.code)


@dataclass(frozen=True, slots=True)
class Past:
    """A run that was read."""

    curve: str
    history: tuple[Observation, ...]
    length: Length | None

    @property
    def reported(self) -> frozenset[str]:
        """Names of its metrics."""
        return frozenset(name for seen in self.history for name in seen.metrics)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A curve that was found and cannot be judged."""

    curve: str
    reason: str


@dataclass(frozen=True, slots=True)
class Findings:
    """What many runs say about criteria."""

    runs: int
    length: Length | None
    """What was taken for the length of runs that do not know theirs; None where all do, or no criterion asks."""
    criteria: tuple[Summary, ...]
    """In the manifest's order, or ranked."""
    metrics: tuple[str, ...]
    """What was given up is told by these; the last one decides a ranking."""
    skipped: tuple[Skipped, ...]
    at_most: float | None = None
    """What the suggested criterion may give up on average; None: nothing is suggested."""

    @property
    def suggested(self) -> Summary | None:
        """The first, if it saves something and gives up little enough."""
        if self.at_most is None:
            return None
        first = self.criteria[0]
        spread = first.given_up.get(self.metrics[-1])
        return first if spread and spread.mean <= self.at_most and first.saved > 0 else None


def replay_many(found: Sequence[RunLog], subject: Subject, output: Output, *, suggest: bool) -> None:
    """Judge all curves again and tell. Raises UserError."""
    findings = findings_of(found, subject, suggest=suggest)
    if output is Output.JSON:
        suggested = findings.suggested.name if findings.suggested else None
        write_json(jsonable({**asdict(findings), "suggested": suggested}))
    else:
        show(told(findings, subject.stopping))


def findings_of(found: Sequence[RunLog], subject: Subject, *, suggest: bool) -> Findings:
    """What the curves say. Raises UserError where none can be judged."""
    needy = "--suggest" if suggest else "--test-metric" if subject.test_metric is not None else None
    if needy and subject.stopping.monitor is None:
        raise ConfigError(f"stopping.monitor: {needy} needs the metric that tells which checkpoint is best")
    past, skipped = read_past(found, subject.stopping.first_metric)
    reported = frozenset.intersection(*(run.reported for run in past)) if past else frozenset()
    named = _named(subject.stopping, reported, suggest=suggest)
    judged = _judged(subject, reported)
    length = _assumed(past, subject, named.values())
    by_run: list[dict[str, Hindsight]] = []
    for run in _with_progress(past, "judging"):
        try:
            by_run.append(_outcomes(run, named, subject, subject.length or run.length or length, judged))
        except MissingMetric as error:
            skipped.append(Skipped(run.curve, str(error)))
    if not by_run:
        raise DataError("\n".join(f"{one.curve}: {one.reason}" for one in skipped))
    summaries = tuple(Summary.of(name, [outcomes[name] for outcomes in by_run]) for name in named)
    metrics = tuple(one.metric for one in judged)
    findings = Findings(len(by_run), length, summaries, metrics, tuple(skipped))
    if not suggest:
        return findings
    at_most = (
        subject.give_up
        if subject.give_up is not None
        else WORTH * gained((run.history for run in past), metrics[-1])
    )
    return replace(findings, criteria=tuple(ranked(summaries, metrics[-1], at_most)), at_most=at_most)


def read_past(found: Iterable[RunLog], metric: str | None) -> tuple[list[Past], list[Skipped]]:
    """The runs that can be read: reports are the rows with that metric."""
    past: list[Past] = []
    skipped: list[Skipped] = []
    for curve in _with_progress(list(found), "reading"):
        try:
            recorded = curve.read(metric)
            past.append(Past(curve.name, tuple(recorded.history), recorded.length))
        except (UserError, SpecError) as error:
            skipped.append(Skipped(curve.name, str(error).removeprefix(f"{curve.name}: ")))
    return past, skipped


def _named(stopping: Stopping, reported: frozenset[str], *, suggest: bool) -> dict[str, Criterion]:
    """The criteria to judge by, each by its name, or what the manifest would say."""
    if suggest:
        return {_written(one): one for one in candidates(stopping, reported)}
    if not stopping.criteria:
        raise ConfigError(
            "stopping.criteria: is empty, so nothing would have stopped; --suggest tries the usual"
        )
    return dict(zip(stopping.names, stopping.criteria, strict=True))


def _written(criterion: Criterion) -> str:
    """The criterion as a manifest has it, in one line."""
    document = criterion.model_dump(
        mode="json", by_alias=True, exclude_unset=True, exclude={"name", "shadow"}
    )
    return _flow(document)


def _flow(document: Mapping[str, Any]) -> str:
    """Of YAML one line."""
    return yaml.safe_dump(document, default_flow_style=True, sort_keys=False, width=10**6).strip()[1:-1]


def _judged(subject: Subject, reported: frozenset[str]) -> tuple[Judged, ...]:
    """The metrics that tell what was given up: the monitor, and one on test data."""
    monitor, mode = subject.stopping.monitor, subject.stopping.mode
    test = test_metric_of(monitor, mode, subject.test_metric, reported)
    if monitor is None:
        return ()
    own = Judged(monitor, mode)
    return (own,) if test is None else (own, test)


def test_metric_of(
    monitor: str | None, mode: Mode, asked: str | None, reported: frozenset[str]
) -> Judged | None:
    """The metric on test data that goes with this one, among those that all runs have reported; or the one that was
    asked for. Raises DataError where that is not among them."""
    if asked is not None and asked not in reported:
        known = ", ".join(sorted(reported)) or "none"
        raise DataError(f"--test-metric {asked}: not all runs have reported it; all have reported: {known}")
    if monitor is None:
        return None
    beside = _VALIDATION.sub("test", monitor)
    test = asked or (beside if beside != monitor and beside in reported else None)
    return None if test is None else Judged(test, usual_mode(test) or mode)


def _assumed(past: Sequence[Past], subject: Subject, criteria: Iterable[Criterion]) -> Length | None:
    """The longest curve, where a criterion goes by a length that nobody knows."""
    unknown = [run.history[-1].epoch for run in past if run.length is None and subject.length is None]
    asks = subject.stopping.model_copy(update={"criteria": tuple(criteria)}).by_length
    return Length(max(unknown), Unit.EPOCH) if unknown and asks else None


def _outcomes(
    run: Past,
    named: Mapping[str, Criterion],
    subject: Subject,
    length: Length | None,
    judged: Sequence[Judged],
) -> dict[str, Hindsight]:
    """What each criterion alone did to the run. Raises MissingMetric."""
    found: dict[str, Hindsight] = {}
    for i in range(0, len(named), AT_ONCE):
        names, criteria = zip(*list(named.items())[i : i + AT_ONCE], strict=True)
        again = judge_again(subject.panel(length, criteria), run.history)
        for name, alone in zip(names, again.criteria, strict=True):
            found[name] = outcome(run.history, again, alone, judged)
    return found


def _with_progress(runs: Sequence[T], doing: str) -> Iterable[T]:
    """With a bar on a terminal."""
    screen = Console(stderr=True)
    return track(runs, doing, console=screen, transient=True, disable=not screen.is_terminal)


def told(findings: Findings, stopping: Stopping) -> list[RenderableType]:
    """The findings for people."""
    suggestion: list[RenderableType] = [] if findings.at_most is None else _suggestion(findings, stopping)
    skipped = [Text(f"skipped {one.curve}: {one.reason}", style="yellow") for one in findings.skipped]
    return [
        Text(f"What each criterion alone would have done to {count(findings.runs, 'run')}", style="bold"),
        Text(),
        Padding(_table(findings), (0, 0, 0, 2)),
        Text(),
        facts_list(_facts(findings)),
        *skipped,
        *suggestion,
    ]


def _table(findings: Findings) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("criterion", overflow="fold")
    for title in ("stopped", "saved", "given up: mean", "95 %", "worst"):
        table.add_column(title, justify="right", no_wrap=True)
    for one in findings.criteria:
        lost = one.given_up.get(findings.metrics[-1]) if findings.metrics else None
        given_up = (lost.mean, lost.p95, lost.worst) if lost else ()
        table.add_row(one.name, f"{one.stopped}", f"{100 * one.saved:.1f} %", *(f"{x:.3g}" for x in given_up))
    return table


def _facts(findings: Findings) -> Iterable[tuple[str, str]]:
    """What the figures rest on."""
    yield "saved", "epochs, on average"
    if findings.metrics:
        metric = findings.metrics[-1]
        yield "given up", f"{metric} of the best checkpoint until the stop, against that of the whole run"
    if findings.length is not None:
        planned = count(findings.length.amount, findings.length.unit)
        yield (
            "length",
            f"taken to be {planned}, those of the longest curve; --max-epochs says what was planned",
        )
    if findings.runs < FEW:
        yield "note", f"{count(findings.runs, 'run')}: too few to know how badly one in twenty may end"


def _suggestion(findings: Findings, stopping: Stopping) -> list[RenderableType]:
    metric, at_most = findings.metrics[-1], number(float(f"{findings.at_most:.2g}"))
    best = findings.suggested
    if best is None:
        return [
            Text(),
            Text(f"None saves epochs and gives up at most {at_most} {metric} on average", style="bold"),
        ]
    above = stopping.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"criteria"})
    own = yaml.safe_load(f"{{{best.name}}}")
    lines = (
        *("stopping:", *_lines("  ", {"monitor": stopping.monitor, "mode": stopping.mode.value, **above})),
        *("  criteria:", *_lines("    - ", own)),
    )
    why = f"Suggested: it saves most of those that give up at most {at_most} {metric} on average"
    return [
        Text(),
        Text(why, style="bold green"),
        Text(),
        *(Text(f"  {line}", no_wrap=True) for line in lines),
    ]


def _lines(prefix: str, fields: Mapping[str, Any]) -> Iterable[str]:
    """Of a mapping a line for each field, after a prefix that the first line has and the others leave blank."""
    for i, (name, value) in enumerate(fields.items()):
        yield f"{' ' * len(prefix) if i else prefix}{_flow({name: value})}"
