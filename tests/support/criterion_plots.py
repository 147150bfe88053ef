"""A picture of each criterion at work, for docs/criteria.md: `python tests/support/criterion_plots.py docs`.

Each judges a whole run, most of them recorded ones (tests/data/curves). What it would not have let train is drawn pale.
The dashed line is the criterion's own best, or its limit; the lower plot is how close it says that it is to a stop.
"""

import gzip
import json
import math
import re
import sys
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml
from pages import blocks

from trainjobs.api.length import Length
from trainjobs.api.stopping import Stopping
from trainjobs.stopping import Observation, Panel, Verdict
from trainjobs.views.page.line_chart import Line, LineChart, Marker
from trainjobs.views.page.picture import picture

ROOT = Path(__file__).parents[2]
CURVES = ROOT / "tests" / "data" / "curves" / "curves.jsonl.gz"
PAGE = ROOT / "docs" / "criteria.md"
HEIGHT, LOW = 130, 40
"""Pixels of a metric's plot, and of that of the closeness."""
WORDS = 118
"""Characters of a line."""
LOOKS = ("accent", "second")
"""Of the metrics of a plot."""

Curves = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Scene:
    """A criterion and the run that it judges.

    Args:
        run: seed of a recorded one.
        told: what the run is, if it is not a recorded one.
        charts: the metrics that are drawn, in one plot each.
        limits: values drawn as a line, by metric.
    """

    criterion: str
    run: int | None = None
    charts: tuple[tuple[str, ...], ...] = (("val_loss",),)
    limits: Mapping[str, float] = field(default_factory=dict)
    curves: Curves = field(default_factory=dict)
    told: str = ""
    epochs: int = 100
    """Of the run as they are drawn and judged."""


def falling(rate: float, until: int) -> list[float]:
    """A learning rate that is cut to a tenth after half and after three quarters of a hundred epochs."""
    return [rate * (1.0, 0.1, 0.01)[(epoch > 50) + (epoch > 75)] for epoch in range(1, until + 1)]


DIVERGING = [0.93, 0.71, 0.58, 0.52, 0.47, 0.45, 0.43, 0.44, 0.47, 0.55, 0.74, 1.21, 2.6] + 7 * [math.nan]
EVIDENCE = [
    *(-3.44, -2.58, -1.69, -1.66, -1.58, -1.0, -0.937, -0.985, -0.598, -0.95, -0.682, -0.227, -0.604, -0.378),
    *(-0.195, -0.922, -0.4, -0.374, -0.264, -0.364, 0.0476, -0.232, -0.15, -0.579, -0.478, -0.257, -0.214),
    *(-0.461, 0.0873, 0.0535, -0.55, -0.348, -0.205, -0.249, -0.159, -0.0599, -0.478, 0.193, 0.0118, 0.0227),
]
DISPARITY = [
    *(1.72, 1.47, 1.37, 1.02, 1.2, 0.881, 1.03, 0.894, 0.794, 0.664, 0.924, 0.939, 0.88, 0.883, 0.759, 0.602),
    *(0.75, 0.723, 1.01, 0.686, 0.799, 0.776, 0.896, 0.67, 0.748, 0.651, 0.659, 0.583, 0.967, 0.708, 0.656),
    *(0.689, 0.793, 0.574, 0.729, 0.921, 0.602, 0.889, 0.732, 0.818),
]
ON_WINE = "the gradients of four workers, an MLP on wine (tests/benchmarks/without_validation.py)"
OVER = (("val_loss", "train_loss"),)
ACCURACY = (("val_accuracy",),)
SCENES = {
    "auto": Scene("auto: {monitor: val_accuracy, mode: max}", 102, (("val_accuracy",), ("val_loss",))),
    "plateau": Scene("plateau: {patience: 8}", 65),
    "threshold": Scene(
        "threshold: {monitor: val_accuracy, mode: max, value: 0.95}", 116, ACCURACY, {"val_accuracy": 0.95}
    ),
    "divergence": Scene("divergence: {factor: 0.5, patience: 3}", 109),
    "nonFinite": Scene(
        "nonFinite: {patience: 3}", curves={"val_loss": DIVERGING}, told="invented: the loss explodes", epochs=20
    ),
    "budget": Scene("budget: {epochs: 30}", 24),
    "overfitting": Scene("overfitting: {gap: 0.3, patience: 3}", 65, OVER),
    "generalizationLoss": Scene("generalizationLoss: {alpha: 5}", 44),
    "productivityQuotient": Scene("productivityQuotient: {alpha: 0.5}", 11, OVER),
    "generalizationIncrease": Scene("generalizationIncrease: {strips: 3}", 100),
    "trend": Scene("trend: {window: 10, minDelta: 0.01, minDeltaMode: Relative}", 47),
    "standardDeviation": Scene("standardDeviation: {window: 10, limit: 0.002}", 211),
    "oneStandardError": Scene(
        "oneStandardError: {monitor: val_accuracy, mode: max, samples: 200, patience: 8}", 116, ACCURACY
    ),
    "correlation": Scene("correlation: {window: 12, least: -0.5}", 37, OVER),
    "adaptivePatience": Scene("adaptivePatience: {patience: 12, minDelta: 0.01, tightenAfter: 0.3}", 296),
    "extrapolation": Scene(
        "extrapolation: {monitor: val_accuracy, mode: max, minDelta: 0.002}", 296, ACCURACY
    ),
    "weighted": Scene(
        "weighted: {others: [{metric: val_accuracy, mode: max}], patience: 8}",
        182,
        (("val_loss",), ("val_accuracy",)),
    ),
    "decayedPlateau": Scene(
        "decayedPlateau: {patience: 5, decayedTo: 0.1, cooldown: 2}",
        234,
        (("val_loss",), ("learning_rate",)),
        curves={"learning_rate": falling(0.00701, 100)},
    ),
    "evidence": Scene(
        "evidence: {patience: 2}", None, (("gradient_evidence",),), {"gradient_evidence": 0.0},
        {"gradient_evidence": EVIDENCE}, ON_WINE, len(EVIDENCE),
    ),
    "gradientDisparity": Scene(
        "gradientDisparity: {patience: 5}", None, (("gradient_disparity",),), {},
        {"gradient_disparity": DISPARITY}, ON_WINE, len(DISPARITY),
    ),
    "private": Scene("private: {patience: 8, minDelta: 0.01, sensitivity: 0.0005, epsilon: 1, seed: 7}", 37),
    "custom": Scene(
        'custom: {class: "rules:Doubled", parameters: {metric: val_loss}}', 246, limits={"val_loss": 2 * 2.2779}
    ),
    "compositions": Scene("all: [overfitting: {gap: 0.1}, plateau: {patience: 5}]", 273, OVER),
}  # fmt: skip
"""By the name of the file."""


@dataclass(frozen=True)
class Plot:
    """A scene that has been judged."""

    name: str
    scene: Scene
    curves: Curves
    verdicts: Sequence[Verdict]
    """One for each report up to the stop."""

    @classmethod
    def of(cls, name: str) -> Self:
        scene = SCENES[name]
        curves = _curves(scene)
        return cls(name, scene, curves, _verdicts(scene, curves))

    @property
    def end(self) -> int:
        return len(self.verdicts)

    @property
    def alternative(self) -> str:
        """What it shows, in words."""
        return f"{self.name} stops a run after epoch {self.end}: {self.verdicts[-1].reason}"

    def drawn(self) -> str:
        """The file."""
        said = f"{self.verdicts[-1].reason}. The run: {_told(self.scene)}."
        charts = [self._chart(metrics, first=i == 0) for i, metrics in enumerate(self.scene.charts)]
        return picture([*charts, self._closeness()], self.alternative, textwrap.wrap(said, WORDS))

    def _chart(self, metrics: Sequence[str], *, first: bool) -> LineChart:
        lines = [line for i, metric in enumerate(metrics) for line in self._curve(metric, LOOKS[i])]
        lines += self._own(metrics[0])
        title = self.scene.criterion if first else metrics[0]
        markers = self._markers() if first else []
        return LineChart(title, "epoch", lines, markers, height=HEIGHT if first else HEIGHT // 2)

    def _curve(self, metric: str, look: str) -> list[Line]:
        values, xs = self.curves[metric], list(range(1, self.scene.epochs + 1))
        rest = Line(metric, xs[self.end - 1 :], values[self.end - 1 : self.scene.epochs], f"{look} pale")
        ends_here = not math.isfinite(values[self.scene.epochs - 1])
        return [rest, Line(metric, xs[: self.end], values[: self.end], look, labelled=ends_here)]

    def _own(self, metric: str) -> list[Line]:
        """What the criterion measures the metric by."""
        last = self.verdicts[-1]
        if metric in self.scene.limits:
            return [Line("limit", [1, self.scene.epochs], 2 * [self.scene.limits[metric]], "third")]
        if last.metric != metric or last.best is None:
            return []
        bests = [math.nan if verdict.best is None else verdict.best for verdict in self.verdicts]
        return [Line("best", [*range(1, self.end + 1), self.scene.epochs], [*bests, last.best], "third")]

    def _markers(self) -> list[Marker]:
        best = self.verdicts[-1].best_epoch
        found = [] if best is None else [Marker(best, f"best, epoch {best}", "best")]
        return [*found, Marker(self.end, f"stop, epoch {self.end}", "stop")]

    def _closeness(self) -> LineChart:
        values = [verdict.closeness for verdict in self.verdicts]
        line = Line("closeness", list(range(1, self.end + 1)), values, "second", labelled=False)
        whole = Line("", [1, self.scene.epochs], [0.0, 1.0], "hidden", labelled=False)
        return LineChart("closeness to a stop", "epoch", [line, whole], height=LOW)


def _curves(scene: Scene) -> Curves:
    found: dict[str, Sequence[float]] = dict(_recorded(scene.run)["curves"]) if scene.run is not None else {}
    return {**found, **scene.curves}


def _told(scene: Scene) -> str:
    if scene.run is None:
        return scene.told
    run = _recorded(scene.run)
    return f"{run['model']} on {run['task']}, seed {scene.run} of tests/data/curves"


def _recorded(seed: int) -> Mapping[str, Any]:
    lines = gzip.decompress(CURVES.read_bytes()).decode().splitlines()
    return next(run for run in map(json.loads, lines) if run["seed"] == seed)


def _verdicts(scene: Scene, curves: Curves) -> list[Verdict]:
    """What the criterion says after each report, up to its stop."""
    criterion = yaml.safe_load(f"{{{scene.criterion}}}")
    stopping = Stopping.model_validate({"monitor": "val_loss", "criteria": [criterion]})
    with tempfile.TemporaryDirectory() as place:
        (rules,) = (block for block in blocks(PAGE, "python") if "# rules.py" in block)
        (Path(place) / "rules.py").write_text(rules)
        panel = Panel.of(stopping, Length.of(scene.epochs, None), code=Path(place))
        state, found = panel.fold(()), []
        for i in range(scene.epochs):
            metrics = {metric: values[i] for metric, values in curves.items()}
            state = panel.fold((Observation(i + 1, i + 1, float(i + 1), metrics),), state)
            found.append(panel.judge(state).findings[0].verdict)
            if found[-1].stop:
                return found
    raise ValueError(f"{scene.criterion}: does not stop the run of its picture")


def with_alternatives(page: str, plots: Sequence[Plot]) -> str:
    """The page with what its pictures show, in words."""
    for plot in plots:
        page = re.sub(
            rf"!\[.*\]\(criteria/{plot.name}\.svg\)",
            lambda _, plot=plot: f"![{plot.alternative}](criteria/{plot.name}.svg)",
            page,
        )
    return page


def main(docs: Path) -> None:
    plots = [Plot.of(name) for name in SCENES]
    (docs / "criteria").mkdir(parents=True, exist_ok=True)
    for plot in plots:
        (docs / "criteria" / f"{plot.name}.svg").write_text(plot.drawn())
    (docs / "criteria.md").write_text(with_alternatives(PAGE.read_text(), plots))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
