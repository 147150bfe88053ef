"""Which way of telling whether a run will still improve is calibrated: candidates for the criterion `extrapolation`.

    python tests/benchmarks/extrapolation.py [--quick]

On the recorded runs of 100 epochs (tests/data/curves), on validation accuracy and loss, with three margins. A run is
stopped at the first report whose probability is below 5, 10 or 20 %. Told is how many of those stops were
wrong (the run would have improved on its best by more than the margin; calibrated is at most the limit), with Wilson's
95 % interval, the epochs saved in percent, the mean points of test accuracy (nats of test loss) given up by the best
checkpoint, and the microseconds of a probability.

- `regression`: what the product ships, fitted here to the tuning runs; the judging runs share no task and no seed.
- `curves`: power laws and exponentials c + a·g(t), averaged by their likelihood (Domhan et al. 2015), Gaussian noise.
- `walk`: a Gaussian process, a random walk with noise, variances from moments; the reflection principle.

`--quick` takes every fifth run. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from stopping_quality import Run, recorded

from trainjobs.stopping import extrapolation as shipped

LIMITS = (0.05, 0.1, 0.2)
ASKED = (0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4)
"""The limits that the weights are made for."""
MARGINS = {"val_accuracy": (0.0, 0.002, 0.01), "val_loss": (0.0, 0.01, 0.05)}
TESTED = {"val_accuracy": "test_accuracy", "val_loss": "test_loss"}
SHAPES = [lambda t, a=a: -(t**-a) for a in (0.25, 0.5, 1.0, 2.0)] + [
    lambda t, tau=tau: -math.exp(-t / tau) for tau in (3, 10, 30, 100)
]
NODES = ((-math.sqrt(3), 1 / 6), (0.0, 2 / 3), (math.sqrt(3), 1 / 6))
PLACES = 6


@dataclass(frozen=True)
class Moment:
    """A run after one of its reports: values as gains, the goal, and whether the rest came to it."""

    values: tuple[float, ...]
    best: float
    """The last value that counted as improvement."""
    margin: float
    left: int
    waited: int
    improves: bool

    @property
    def goal(self) -> float:
        return self.best + self.margin

    @property
    def recent(self) -> tuple[float, ...]:
        return self.values[-shipped.WINDOW :]

    @property
    def features(self) -> tuple[float, ...]:
        known = (self.values[0], self.best, self.goal)
        return shipped.features(self.recent, known, self.left, self.waited, len(self.values))


@dataclass(frozen=True)
class Case:
    """A run judged by a metric with a margin."""

    run: Run
    metric: str
    margin: float
    moments: tuple[Moment, ...]

    def given_up(self, stop: int) -> float:
        """What the best checkpoint until then is worse by, on the test set, than that of the whole run."""
        sign = 1 if self.metric == "val_accuracy" else -1
        seen = [each.metrics for each in self.run.history]

        def best(until: int) -> float:
            at = max(range(until), key=lambda i: sign * seen[i][self.metric])
            return sign * seen[at][TESTED[self.metric]]

        return best(len(seen)) - best(stop)


Candidate = Callable[[Moment], float]


def cases(runs: Sequence[Run], which: str) -> Iterator[Case]:
    for run in runs:
        for metric, margins in MARGINS.items():
            sign = 1 if metric == "val_accuracy" else -1
            values = tuple(sign * each.metrics[metric] for each in run.history)
            if run.which == which and len(values) == 100 and all(map(math.isfinite, values)):
                yield from (Case(run, metric, margin, _moments(values, margin)) for margin in margins)


def _moments(values: tuple[float, ...], margin: float) -> tuple[Moment, ...]:
    found, best, at = [], -math.inf, 0
    for n, value in enumerate(values[:-1], start=1):
        if value > best + margin:
            best, at = value, n
        if n >= shipped.REPORTS:
            found.append(
                Moment(values[:n], best, margin, len(values) - n, n - at, max(values[n:]) > best + margin)
            )
    return tuple(found)


Scores = Sequence[np.ndarray]
"""Of the moments of each case: the logarithm of the odds that the rest improves."""


@dataclass(frozen=True)
class Table:
    """A case as numbers: a row of features for each moment, and whether the rest improved."""

    task: str
    x: np.ndarray
    y: np.ndarray


def fitted(tuning: Sequence[Case]) -> tuple[float, ...]:
    """Weights whose probabilities hold where they stop a run, of a task that they were not fitted to.

    Fitted to all moments alike they are too sure: who asks after every report stops at the luckiest one. So they are
    spread and shifted (Platt 1999) to hold at the stops, and once more at those of each task by the weights of the
    others, as in cross-conformal prediction (Vovk 2015).
    """
    tables = [
        Table(
            case.run.task,
            np.array([each.features for each in case.moments]),
            np.array([each.improves for each in case.moments]),
        )
        for case in tuning
    ]
    without = {
        task: _calibrated([each for each in tables if each.task != task])
        for task in sorted({each.task for each in tables})
    }
    shift, spread = _platt(tables, [each.x @ without[each.task] for each in tables])
    weights = spread * _calibrated(tables)
    weights[0] += shift
    return tuple(round(float(weight), 3) for weight in weights)


def _calibrated(tables: Sequence[Table]) -> np.ndarray:
    """Weights that hold at their own stops."""
    weights = _likeliest(
        np.concatenate([each.x for each in tables]), np.concatenate([each.y for each in tables])
    )
    shift, spread = _platt(tables, [each.x @ weights for each in tables])
    weights *= spread
    weights[0] += shift
    return weights


def _platt(tables: Sequence[Table], scores: Scores) -> tuple[float, float]:
    """Shift and spread with which scores hold at the stops that they lead to."""
    shift, spread = 0.0, 1.0
    for _ in range(8):
        at, improved = _stops(tables, [shift + spread * each for each in scores])
        more, wider = _likeliest(np.stack([np.ones_like(at), at], axis=1), improved, decay=1e-3)
        shift, spread = more + wider * shift, wider * spread
    return shift, spread


def _stops(tables: Sequence[Table], scores: Scores) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and whether the rest improved, at all moments at which some limit stops a case."""
    at, improved = [], []
    for table, score in zip(tables, scores, strict=True):
        below = [score < math.log(limit / (1 - limit)) for limit in ASKED]
        for i in {int(each.argmax()) for each in below if each.any()}:
            at.append(score[i])
            improved.append(table.y[i])
    return np.array(at), np.array(improved)


def _likeliest(x: np.ndarray, y: np.ndarray, decay: float = 0.1) -> np.ndarray:
    """By Newton's method, with a little weight decay."""
    weights = np.zeros(x.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-x @ weights))
        curvature = (x * (p * (1 - p))[:, None]).T @ x + decay * np.eye(len(weights))
        weights += np.linalg.solve(curvature, x.T @ (y - p) - decay * weights)
    return weights


def regression(moment: Moment) -> float:
    return shipped.logistic(moment.features)


def walk(moment: Moment) -> float:
    steps = [b - a for a, b in pairwise(moment.recent)]
    square = sum(step * step for step in steps) / len(steps)
    product = sum(a * b for a, b in pairwise(steps)) / (len(steps) - 1)
    noise = min(square / 2, max(0.0, -product))
    spread = math.sqrt(max(square - 2 * noise, square / 1000) * moment.left + 2 * noise)
    way = moment.goal - sum(moment.recent[-5:]) / 5
    return min(1.0, 2 - 2 * _normal(way / spread)) if spread else float(way <= 0)


def curves(moment: Moment) -> float:
    scale = max(moment.values) - min(moment.values)
    if scale == 0:
        return 0.0
    found = [_curve(shape, moment, scale) for shape in SHAPES]
    top = max(likelihood for likelihood, _ in found)
    weights = [math.exp(likelihood - top) for likelihood, _ in found]
    return sum(w * p for w, (_, p) in zip(weights, found, strict=True)) / sum(weights)


def _curve(shape: Callable[[float], float], moment: Moment, scale: float) -> tuple[float, float]:
    """Log likelihood of a shape with c, a and noise integrated out, and the probability by it."""
    values, n = moment.values, len(moment.values)
    x = [shape(t) for t in range(1, n + 1)]
    mx, my = sum(x) / n, sum(values) / n
    sxx = sum((each - mx) ** 2 for each in x) + 1e-9
    a = sum((each - mx) * (v - my) for each, v in zip(x, values, strict=True)) / sxx
    rest = sum((v - my - a * (e - mx)) ** 2 for e, v in zip(x, values, strict=True)) + 1e-6 * scale**2
    noise = math.sqrt(rest / (n - 2))
    chance = 0.0
    for node, weight in NODES:
        log = 0.0
        for i in range(PLACES):
            d = shape(n + 1 + (moment.left - 1) * (i + 0.5) / PLACES) - mx
            level = my + a * d + node * noise * math.sqrt(1 / n + d * d / sxx)
            log += moment.left / PLACES * math.log(max(_normal((moment.goal - level) / noise), 1e-12))
        chance += weight * (1 - math.exp(log))
    return -(n - 1) / 2 * math.log(rest) - math.log(sxx) / 2, chance


def _normal(x: float) -> float:
    return math.erfc(-x / math.sqrt(2)) / 2


def wilson(wrong: int, stops: int, z: float = 1.96) -> tuple[float, float]:
    if not stops:
        return 0.0, 1.0
    p, size = wrong / stops, 1 + z * z / stops
    half = z * math.sqrt(p * (1 - p) / stops + z * z / (4 * stops * stops))
    return (p + z * z / (2 * stops) - half) / size, (p + z * z / (2 * stops) + half) / size


def rows(name: str, candidate: Candidate, judging: Sequence[Case]) -> Iterator[dict[str, object]]:
    begun = time.process_time()
    told = [[candidate(moment) for moment in case.moments] for case in judging]
    each = (time.process_time() - begun) / sum(map(len, told)) * 1e6
    for metric, margins in MARGINS.items():
        for margin in margins:
            for limit in LIMITS:
                pairs = [
                    (c, p)
                    for c, p in zip(judging, told, strict=True)
                    if (c.metric, c.margin) == (metric, margin)
                ]
                stops = [(c, next((i for i, x in enumerate(p) if x < limit), None)) for c, p in pairs]
                hit = [(c, c.moments[i]) for c, i in stops if i is not None]
                wrong = sum(moment.improves for _, moment in hit)
                low, high = wilson(wrong, len(hit))
                lost = sum(case.given_up(len(moment.values)) for case, moment in hit) / max(1, len(pairs))
                yield {
                    "candidate": name, "metric": metric, "margin": margin, "limit": limit,
                    "stops": len(hit), "wrong": wrong, "low": round(low, 3), "high": round(high, 3),
                    "saved": round(sum(moment.left for _, moment in hit) / max(1, len(pairs)), 1),
                    "given_up": round(lost * (100 if metric == "val_accuracy" else 1), 3),
                    "microseconds": round(each, 1),
                }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    runs = recorded()
    weights = fitted([*cases(runs, "tuning")])
    print(f"fitted  {weights}\nshipped {shipped.WEIGHTS}")
    judging = [*cases([run for run in runs if run.which == "judging"][:: 5 if quick else 1], "judging")]
    found = []
    for candidate in (regression, curves, walk):
        for row in rows(candidate.__name__, candidate, judging):
            found.append(row)
            print(
                "{candidate:11}{metric:13}{margin:6} below {limit:4}: wrong {wrong:3} of {stops:3} ({low} to {high}), "
                "saved {saved:5} %, given up {given_up:7}, {microseconds} µs".format_map(row)
            )
    print(json.dumps({"weights": weights, "rows": found}))


if __name__ == "__main__":
    main()
