"""What stopping rules save and what they give up, on the recorded curves of real runs.

    python tests/benchmarks/stopping_quality.py [--quick] [--set tuning|judging]

Every run of tests/data/curves went on to its end. Each rule is asked where it would have stopped, by the product's own
`replay`; the checkpoint is the best by the monitored validation metric until there, and what is given up is the test
metric of that checkpoint against the one that the whole run would have chosen. It can be negative: validation data is
a sample. Accuracy is told in points, loss in nats; mean, 95th percentile and worst over the runs.

Rules: no stopping and one epoch; plain patience on the accuracy and on the loss, as Keras and Lightning have it (the
value must be strictly better than the best); Optuna's PatientPruner by the monitored metric; the other criteria as
their documentation recommends them; `auto`; and an oracle that knows the future: it stops as early as possible with no
more than so many points given up.

`auto` was made on the tuning runs; the judging runs share no task and no seed with them. No figure is asserted. The
last line is one JSON object with all of them.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import optuna

from trainjobs.api.length import Length, Unit
from trainjobs.api.stopping import Mode, Stopping
from trainjobs.stopping import Observation, Panel, replay
from trainjobs.stopping.hindsight import Hindsight, Judged, Spread, outcome

CURVES = Path(__file__).parents[1] / "data" / "curves" / "curves.jsonl.gz"
PATIENCES = (3, 5, 10, 15, 20, 30)
TEST = (Judged("test_accuracy", Mode.MAX), Judged("test_loss", Mode.MIN))
ON_ACCURACY = {"monitor": "val_accuracy", "mode": "max"}
ON_LOSS = {"monitor": "val_loss", "mode": "min"}
MONITORS: dict[str, dict[str, str]] = {"val_accuracy": ON_ACCURACY, "val_loss": ON_LOSS}
RULES: dict[str, dict[str, Any]] = {
    "no stopping": {"budget": {"epochs": 10**6}},
    "one epoch": {"budget": {"epochs": 1}},
    **{f"patience {p} on accuracy": {"plateau": {"patience": p, **ON_ACCURACY}} for p in PATIENCES},
    **{f"patience {p} on loss": {"plateau": {"patience": p, **ON_LOSS}} for p in PATIENCES},
    "adaptive, tightened": {"adaptivePatience": {"patience": 20, "tightenAfter": 0.3, **ON_LOSS}},
    "adaptive, margin decays": {
        "adaptivePatience": {"patience": 10, "minDelta": 0.01, "decay": 3, **ON_LOSS}
    },
    "both metrics for 10": {"all": [{"plateau": {"patience": 10, **on}} for on in (ON_ACCURACY, ON_LOSS)]},
    "weighted, patience 10": {
        "weighted": {"patience": 10, "others": [{"metric": "val_accuracy", "mode": "max"}], **ON_LOSS}
    },
    "overfitting, gap 0.3 for 3": {"overfitting": {"gap": 0.3, "patience": 3, **ON_LOSS}},
    "divergence by 50 % for 3": {"divergence": {"factor": 0.5, "patience": 3, **ON_LOSS}},
    "auto": {"auto": {}},
}
OPTUNA_PATIENCES = (5, 10, 20)
TOLERANCES = (0.0, 0.3, 1.0)
"""What the oracle may give up, points of test accuracy."""
AT_ONCE = 16
"""Criteria that one panel holds."""


@dataclass(frozen=True)
class Run:
    """A recorded run."""

    which: str
    task: str
    history: tuple[Observation, ...]

    @property
    def length(self) -> Length:
        return Length(len(self.history), Unit.EPOCH)


@dataclass(frozen=True)
class Row:
    """What a rule did to all runs: percent of the epochs, points of accuracy, nats."""

    rule: str
    saved: float
    points: Spread
    nats: Spread

    @classmethod
    def of(cls, rule: str, outcomes: Sequence[Hindsight]) -> Row:
        points = Spread.of(100 * each.given_up["test_accuracy"] for each in outcomes)
        nats = Spread.of(each.given_up["test_loss"] for each in outcomes)
        return cls(rule, 100 * sum(each.saved for each in outcomes) / len(outcomes), points, nats)

    def __str__(self) -> str:
        p, n = self.points, self.nats
        return (
            f"{self.rule:28}{self.saved:7.1f} {p.mean:8.2f}{p.p95:7.2f}{p.worst:7.2f} "
            f"{n.mean:9.3f}{n.p95:8.3f}{n.worst:8.3f}"
        )


def recorded(path: Path = CURVES) -> list[Run]:
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    return [_run(json.loads(line)) for line in lines]


def _run(line: Mapping[str, Any]) -> Run:
    names, columns = line["curves"].keys(), line["curves"].values()
    rows = enumerate(zip(*columns, strict=True), start=1)
    history = (Observation(epoch, epoch, 0.0, dict(zip(names, row, strict=True))) for epoch, row in rows)
    return Run(line["set"], line["task"], tuple(history))


def judged(run: Run, monitor: Mapping[str, str], rules: Mapping[str, Any] = RULES) -> dict[str, Hindsight]:
    """What each rule did to a run."""
    found: dict[str, Hindsight] = {}
    for i in range(0, len(rules), AT_ONCE):
        names, criteria = zip(*list(rules.items())[i : i + AT_ONCE], strict=True)
        stopping = Stopping.model_validate({**monitor, "nonFinite": "Stop", "criteria": criteria})
        again = replay(Panel.of(stopping, run.length), run.history)
        found |= {
            name: outcome(run.history, again, alone, TEST)
            for name, alone in zip(names, again.criteria, strict=True)
        }
    return found


def bests(run: Run, monitor: Mapping[str, str]) -> list[Mapping[str, float]]:
    """The metrics of the best checkpoint until each epoch."""
    metric, sign = monitor["monitor"], 1 if monitor["mode"] == "max" else -1
    found, best = [], 0
    for i, seen in enumerate(run.history):
        best = i if sign * seen.metrics[metric] > sign * run.history[best].metrics[metric] else best
        found.append(run.history[best].metrics)
    return found


def stopped_at(best: Sequence[Mapping[str, float]], epoch: int) -> Hindsight:
    lost = {
        "test_accuracy": best[-1]["test_accuracy"] - best[epoch - 1]["test_accuracy"],
        "test_loss": best[epoch - 1]["test_loss"] - best[-1]["test_loss"],
    }
    return Hindsight(1 - epoch / len(best), lost)


def oracle(run: Run, monitor: Mapping[str, str], tolerance: float) -> Hindsight:
    """The earliest stop that gives up at most so many points of test accuracy."""
    best = bests(run, monitor)
    whole = best[-1]["test_accuracy"] - tolerance / 100
    epoch = next(i for i, then in enumerate(best, start=1) if then["test_accuracy"] >= whole - 1e-12)
    return stopped_at(best, epoch)


def by_optuna(run: Run, monitor: Mapping[str, str], patience: int) -> Hindsight:
    """Optuna's own PatientPruner, alone, asked after each epoch of a trial."""
    pruner = optuna.pruners.PatientPruner(None, patience)
    study = optuna.create_study(
        direction="maximize" if monitor["mode"] == "max" else "minimize", pruner=pruner
    )
    trial = study.ask()
    for seen in run.history:
        trial.report(seen.metrics[monitor["monitor"]], seen.epoch)
        if trial.should_prune():
            break
    return stopped_at(bests(run, monitor), seen.epoch)


def table(runs: Sequence[Run], monitor: Mapping[str, str]) -> list[Row]:
    outcomes = [judged(run, monitor) for run in runs]
    rows = [Row.of(rule, [each[rule] for each in outcomes]) for rule in RULES]
    rows += [
        Row.of(f"Optuna's PatientPruner, {p}", [by_optuna(run, monitor, p) for run in runs])
        for p in OPTUNA_PATIENCES
    ]
    oracles = {f"oracle within {t:g}": [oracle(run, monitor, t) for run in runs] for t in TOLERANCES}
    return rows + [Row.of(name, found) for name, found in oracles.items()]


def at_the_same_saving(rows: Sequence[Row], metric: str) -> float | None:
    """Points that plain patience on the metric gives up where it saves as much as `auto`: between its neighbours."""
    auto = next(row for row in rows if row.rule == "auto")
    frontier = sorted(
        (row.saved, row.points.mean) for row in rows if row.rule.startswith("patience") and metric in row.rule
    )
    for (low, less), (high, more) in pairwise(frontier):
        if low <= auto.saved <= high:
            return less + (more - less) * (auto.saved - low) / (high - low or 1.0)
    return None


def told(title: str, rows: Sequence[Row]) -> None:
    print(f"\n{title}")
    print(f"{'':28}{'saved':>7} {'points given up':>22} {'nats given up':>25}")
    print(f"{'':28}{'%':>7} {'mean':>8}{'95 %':>7}{'worst':>7} {'mean':>9}{'95 %':>8}{'worst':>8}")
    for row in rows:
        print(row)
    for metric in ("accuracy", "loss"):
        given_up = at_the_same_saving(rows, metric)
        if given_up is not None:
            print(f"plain patience on {metric} at auto's saving: {given_up:.2f} points")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    arguments.add_argument("--set", choices=("tuning", "judging"), help="one of them only")
    arguments.add_argument("--quick", action="store_true", help="every fourth run")
    options = arguments.parse_args()
    runs = recorded()
    figures: list[dict[str, Any]] = []
    for which in (options.set,) if options.set else ("tuning", "judging"):
        for epochs in (100, 1000):
            chosen = [run for run in runs if run.which == which and len(run.history) == epochs]
            chosen = chosen[:: 4 if options.quick else 1]
            for name, monitor in MONITORS.items() if chosen else ():
                rows = table(chosen, monitor)
                told(f"{which}: {len(chosen)} runs of {epochs} epochs, best checkpoint by {name}", rows)
                part = {"set": which, "runs": len(chosen), "epochs": epochs, "monitor": name}
                figures.append({**part, "rules": [asdict(row) for row in rows]})
    print(json.dumps({"tables": figures}))


if __name__ == "__main__":
    main()
