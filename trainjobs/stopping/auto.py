"""Auto: the run has stopped learning, by the best rule known to `tests/benchmarks/stopping_quality.py`.

It waits as plateau does, and differs in what it waits for:
- a mean of three reports is judged, and a gain counts if it is more than a share of all progress so far;
- it waits for a share of the run's length, and longer the later the best came;
- while hardly anything is learnt it waits several times as long, because some runs begin on a plateau;
- a score, such as an accuracy, moves in steps and by luck: it stops a run together with the validation loss, or
  alone after twice the wait.
All constants were chosen on the tuning runs of tests/data/curves, and none has a unit: metrics may have any scale.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from trainjobs.api import stopping as api
from trainjobs.api.stopping import Mode
from trainjobs.stopping.earliest import Earliest, Needs, Pace, after_reports
from trainjobs.stopping.fold import Scope
from trainjobs.stopping.improvement import Margin, Order, Standing
from trainjobs.stopping.monitored import Monitored, Reading
from trainjobs.stopping.observation import Observation
from trainjobs.stopping.smoothing import Values, Windowed
from trainjobs.stopping.verdict import Verdict
from trainjobs.stopping.wording import Moment, number, reports

RULE: Final = 1
"""Version of the rule, named in every sentence."""
MEAN: Final = Windowed(3, name="mean")
WAIT: Final = 0.08
"""Share of the run's reports to wait for."""
LEAST: Final = 3
"""Reports to wait for at least."""
LATER: Final = 0.1
"""Share of the reports until the best, waited for in addition."""
ALONE: Final = 2
"""A score without a loss waits so many times as long."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a kind of metric is judged."""

    share: float
    """Of the progress so far: a gain must be more to count."""
    little: float
    """Of the first value's magnitude: with no more progress than this, hardly anything is learnt."""
    slow: int
    """So many times as long it waits then."""


LOSS: Final = Manner(0.05, 0.05, 6)
SCORE: Final = Manner(0.01, 0.2, 2)


@dataclass(frozen=True, slots=True)
class Track:
    """What one metric has done, as means of three reports."""

    name: str
    manner: Manner
    order: Order
    recent: Values = ()
    first: float | None = None
    best: Standing | None = None
    seen: int = 0
    """Reports."""
    best_at: int = 0
    """The report of the best, from 1."""

    @property
    def waited(self) -> int:
        """Reports since the best."""
        return self.seen - self.best_at

    @property
    def progress(self) -> float:
        return abs(self.best.value - self.first) if self.best and self.first is not None else 0.0

    @property
    def slow(self) -> int:
        """How many times as long to wait for what has learnt so little."""
        return self.manner.slow if self.progress <= self.manner.little * abs(self.first or 0.0) else 1

    def after(self, value: float, moment: Moment) -> "Track":
        """With one more report; a value that is not finite is no improvement."""
        if not math.isfinite(value):
            return replace(self, seen=self.seen + 1)
        recent = MEAN.update(self.recent, value)
        mean, seen = MEAN.value(recent), self.seen + 1
        margin = Margin(self.manner.share * self.progress)
        if self.best is not None and not self.order.better(mean, self.best.value, margin):
            return replace(self, recent=recent, seen=seen)
        best, first = Standing(mean, moment.epoch, moment.step), mean if self.first is None else self.first
        return replace(self, recent=recent, seen=seen, first=first, best=best, best_at=seen)


@dataclass(frozen=True, slots=True)
class Course:
    """State: the monitored metric, the loss beside it if one was reported, and how far the run is."""

    own: Track
    loss: Track
    begun: int = 0
    """Epochs or steps, in the unit of the run's length, finished at the first report."""
    done: int = 0
    """The same at the latest."""


@dataclass(frozen=True, slots=True)
class Wait:
    """How long a metric has waited, and how long it is to."""

    track: Track
    needed: float

    @property
    def share(self) -> float:
        return self.track.waited / self.needed

    @property
    def over(self) -> bool:
        return self.track.waited >= self.needed


class Auto(Monitored[api.Auto, Course]):
    """Stops when neither the monitored metric nor the validation loss beside it has improved for long enough."""

    def __init__(self, parameters: api.Auto, scope: Scope) -> None:
        super().__init__(parameters, scope)
        self._length = scope.known_length()
        self._is_loss = parameters.loss == self._metric or is_loss(self._metric)
        given = (parameters.loss,) if parameters.loss else losses_beside(self._metric)
        self._losses = () if self._is_loss else given

    def begin(self) -> Course:
        own = Track(self._metric, LOSS if self._is_loss else SCORE, self.order)
        return Course(own, Track("", LOSS, Order(Mode.MIN)))

    def advance(self, state: Course, reading: Reading) -> Course:
        return replace(state, own=state.own.after(reading.value, reading))

    def take(self, state: Course, seen: Observation) -> Course:
        done, loss = self._length.named(seen.epochs, seen.step), self._loss(state.loss, seen.metrics, seen)
        return replace(state, loss=loss, done=done, begun=done if state.own.seen == 1 else state.begun)

    def reached(self, state: Course, reading: Reading) -> bool:
        return all(wait.over for wait in self._nearest(state))

    def conclude(self, state: Course, reading: Reading) -> Verdict:
        waits = self._nearest(state)
        last = min(waits, key=lambda wait: wait.share)
        needed = math.ceil(last.needed) if math.isfinite(last.needed) else "?"
        return Verdict(
            stop=self.reached(state, reading),
            reason=f"{self._told(waits)}; rule {RULE} of auto waits for {needed}",
            metric=reading.metric,
            value=reading.value,
            best=state.own.best.value if state.own.best else None,
            best_epoch=state.own.best.epoch if state.own.best else None,
            closeness=min(1.0, last.share),
            waiting=f"{last.track.waited}/{needed}",
        )

    def needs(self) -> Needs:
        """The second report is the best: with the first alone nothing is learnt."""
        return Needs(2 + math.ceil(_wait(self._length.amount, best_at=2)))

    def earliest(self, first: int, pace: Pace, *, stop: bool = True) -> Earliest:
        """Where reports come at moments that nobody knows, at once."""
        needs = self.needs() if stop and pace.between else Needs(1)
        return after_reports(needs, first, pace, self.parameters, self._path)

    def _loss(self, track: Track, metrics: Mapping[str, float], moment: Moment) -> Track:
        names = (track.name,) if track.name else self._losses
        name = next((name for name in names if name in metrics), None)
        return track if name is None else replace(track, name=name).after(float(metrics[name]), moment)

    def _nearest(self, state: Course) -> tuple[Wait, ...]:
        """What stops the run when all of it is over: of the two ways to a stop the one that is nearer."""
        own, loss = state.own, state.loss
        planned = self._planned(state)
        slow = loss.slow if loss.seen else own.slow
        alone = Wait(own, slow * _wait(planned, own.best_at) * (1 if self._is_loss else ALONE))
        if not loss.seen:
            return (alone,)
        both = (Wait(own, alone.needed / ALONE), Wait(loss, slow * _wait(planned, loss.best_at)))
        return max((both, (alone,)), key=lambda waits: min(wait.share for wait in waits))

    def _planned(self, state: Course) -> float:
        """Reports of the whole run, at the pace so far; infinite while there is none."""
        trained = state.done - state.begun
        return (state.own.seen - 1) * self._length.amount / trained if trained > 0 else math.inf

    def _told(self, waits: tuple[Wait, ...]) -> str:
        first, *others = [self._sentence(wait.track) for wait in waits]
        return f"{first}{''.join(f', and {other}' for other in others)}"

    def _sentence(self, track: Track) -> str:
        if track.best is None:
            return f"{track.name} has had no finite value for {reports(track.waited)}"
        label = f"{track.name} ({MEAN.label}) {number(MEAN.value(track.recent))}"
        if track.waited == 0:
            return f"{label} is an improvement at {self.when(track.best)}"
        margin = number(track.manner.share * track.progress)
        known = f"{number(track.best.value)} ({self.when(track.best)})"
        return f"{label} has not improved on {known} by more than {margin} for {reports(track.waited)}"


def _wait(planned: float, best_at: int) -> float:
    """Reports to wait for in a run of so many, with the best at that report."""
    return max(LEAST, WAIT * planned) + LATER * best_at


def is_loss(name: str) -> bool:
    """Whether the metric's name says that it is a loss: `val_loss`, `eval/perplexity`, not `val_accuracy`."""
    return re.search(r"loss|perplexity|ppl|nll|mse|mae", name, re.IGNORECASE) is not None


def losses_beside(metric: str) -> tuple[str, ...]:
    """Names that the loss on the same data may have, likeliest first: of val_accuracy val_loss, of acc/val loss/val."""
    ends = [match.end() for match in re.finditer(r"[_/. -]", metric)]
    before = [f"{metric[:end]}loss" for end in reversed(ends)]
    after = [f"loss{metric[end - 1 :]}" for end in ends]
    return (*before, *after, "val_loss", "validation_loss", "eval_loss")
