"""All criteria of a run together: one history in, one ruling out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from trainjobs.api import stopping as api
from trainjobs.api.length import Length
from trainjobs.stopping.families import build
from trainjobs.stopping.fold import Fold, Scope
from trainjobs.stopping.gates import Delayed, Matured, Shadowed
from trainjobs.stopping.improvement import Improvement, Order
from trainjobs.stopping.observation import Observation
from trainjobs.stopping.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Best:
    """The strictly best finite value of `stopping.monitor` as reported: no smoothing, minDelta or gate."""

    metric: str
    value: float
    epoch: int
    step: int
    report: int
    """Which report it came with, counted from 1 over the whole history: steps need not move between reports."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one criterion says."""

    name: str
    family: str
    """The manifest's key, e.g. "plateau" or "atLeast"."""
    shadow: bool
    verdict: Verdict
    """A shadow criterion's verdict may say stop; the ruling's stop is never a shadow criterion's."""

    @property
    def gated(self) -> str | None:
        """The gate that holds it back, e.g. "startAfter epoch 3"."""
        return self.verdict.gated


@dataclass(frozen=True, slots=True)
class Ruling:
    """What all criteria say."""

    stop: Finding | None
    """The first criterion, in the manifest's order, that stops the run; None if the run goes on."""
    findings: tuple[Finding, ...]
    """One for each criterion, in the manifest's order."""
    best: Best | None
    waiting: str
    """The criterion that may stop the run and is closest to it, e.g. "plateau 3/5"; empty if none has an opinion."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Budgets that hold between reports too: those of no shadow, composition or gate."""

    steps: int | None = None
    seconds: float | None = None
    steps_criterion: str | None = None
    """Name of the criterion that sets `steps`."""
    seconds_criterion: str | None = None


@dataclass(frozen=True, slots=True)
class Judge:
    """One criterion, ready to fold."""

    name: str
    family: str
    shadow: bool
    fold: Fold[Any]

    @classmethod
    def of(cls, name: str, criterion: api.Criterion, stopping: api.Stopping, around: Scope, i: int) -> Self:
        fold = build(criterion, around.at(("criteria", i)))
        if criterion.start_after is None and stopping.start_after is not None:
            fold = Delayed(fold, stopping.start_after, around.at(("startAfter",)).path, around.unit)
        if stopping.min_epochs or stopping.min_steps:
            fold = Matured(fold, stopping.min_epochs or 0, stopping.min_steps or 0, around.unit)
        return cls(name, criterion.key, criterion.shadow, Shadowed(fold) if criterion.shadow else fold)

    def find(self, state: Any) -> Finding:
        return Finding(self.name, self.family, self.shadow, self.fold.judge(state))


@dataclass(frozen=True, slots=True)
class PanelState:
    """All that is known of a history; folding on from it equals folding the whole."""

    states: tuple[Any, ...]
    best: Best | None = None
    reports: int = 0
    """Observations folded."""


@dataclass(frozen=True, slots=True)
class Panel:
    """The judges of a run. It holds no history: fold one, then ask for the ruling."""

    judges: tuple[Judge, ...]
    limits: Limits
    monitor: str | None
    improvement: Improvement
    """Decides `Best`: any strict gain counts."""
    restore_best: bool = False
    """Whether the run is to end with the weights of the best."""

    @classmethod
    def of(
        cls,
        stopping: api.Stopping,
        length: Length | None = None,
        path: str = "spec.stopping",
        code: Path | None = None,
    ) -> Self:
        """The panel that a manifest asks for.

        Args:
            stopping: the criteria.
            length: of the run, where it is known: sentences name moments in its unit, else in epochs.
            path: where the criteria stand; errors name places below it.
            code: directory of the user's modules; without it, criteria of the user's own have no opinion.

        Raises:
            ConfigError: a criterion asks how much of a run is done whose length is not known.
        """
        around = Scope.of(stopping, path, length, code)
        named = enumerate(zip(stopping.names, stopping.criteria, strict=True))
        judges = tuple(Judge.of(name, criterion, stopping, around, i) for i, (name, criterion) in named)
        better = Improvement(Order(stopping.mode))
        return cls(judges, _limits(stopping), stopping.monitor, better, stopping.restore_best)

    def fold(self, history: Iterable[Observation], state: PanelState | None = None) -> PanelState:
        """The state after these observations, on top of a state or from the start. Raises MissingMetric."""
        state = state or PanelState(tuple(judge.fold.start() for judge in self.judges))
        for seen in history:
            pairs = zip(self.judges, state.states, strict=True)
            states = tuple(judge.fold.update(inner, seen) for judge, inner in pairs)
            reports = state.reports + 1
            state = PanelState(states, self._better(state.best, seen, reports), reports)
        return state

    def judge(self, state: PanelState) -> Ruling:
        """What the criteria say in this state."""
        pairs = zip(self.judges, state.states, strict=True)
        findings = tuple(judge.find(inner) for judge, inner in pairs)
        acting = [finding for finding in findings if not finding.shadow]
        stop = next((finding for finding in acting if finding.verdict.stop), None)
        return Ruling(stop, findings, state.best, _waiting(acting))

    def _better(self, best: Best | None, seen: Observation, report: int) -> Best | None:
        if self.monitor is None or self.monitor not in seen.metrics:
            return best
        value = float(seen.metrics[self.monitor])
        if not self.improvement.counts(value, best.value if best else None):
            return best
        return Best(self.monitor, value, seen.epoch, seen.step, report)


def _waiting(findings: Sequence[Finding]) -> str:
    able = [finding for finding in findings if not (finding.gated or finding.verdict.undecided)]
    closest = max(able, key=lambda finding: finding.verdict.closeness, default=None)
    return f"{closest.name} {closest.verdict.waiting}".rstrip() if closest else ""


def _limits(stopping: api.Stopping) -> Limits:
    if stopping.min_epochs or stopping.min_steps:
        return Limits()
    budgets = [
        (name, criterion.budget)
        for name, criterion in zip(stopping.names, stopping.criteria, strict=True)
        if criterion.budget
        and not criterion.shadow
        and _always_open(criterion.start_after or stopping.start_after)
    ]
    steps = min(((b.steps, name) for name, b in budgets if b.steps is not None), default=(None, None))
    seconds = min(((b.seconds, name) for name, b in budgets if b.seconds is not None), default=(None, None))
    return Limits(steps[0], seconds[0], steps[1], seconds[1])


def _always_open(gate: api.StartAfter | None) -> bool:
    return gate is None or 0 in (gate.epoch, gate.step)
