"""What pruning saves and what it gives up, against Ray Tune's schedulers and Optuna's pruners, on recorded sweeps.

    python tests/benchmarks/pruning_quality.py [--quick] [--set tuning|judging] [--seeds N] [--lcdb DIRECTORY]

The runs of tests/data/curves, which nobody stopped, are trials here: those of one task with clean or with noisy
labels are a sweep's. A seed draws 16 of them, in an order and each with a speed, and `simulated_sweep` plays them in
four slots under every rule: the real classes of ours, of Ray Tune and of Optuna, as they come, told the length of a
trial where they ask for it, with no warm-up in seconds.

The chosen trial is the one with the best validation metric in what was trained, at that epoch. **Regret** is the test
accuracy of the best trial of the draw, trained to its end, less that of the chosen one, in points; "none" has some,
too, for validation data is a sample. **Compute** is the epochs trained, in percent of all. Means over problems and
seeds with 95 % intervals of a bootstrap that draws problems, then seeds. Criteria within a trial come with none of the
rules but those named "auto".

Rules are chosen on the `tuning` tasks; the `judging` ones share no task, sample or seed with them. The bar, on each
objective: what docs/sweeps.md recommends has no more regret than Ray's ASHA at no more than 60 % of its compute.

`--lcdb` judges by LCDB, too: the folder `lcdb` of the source package `lcdb` 0.1.0, with its `database-accuracy.csv`.
A trial is one of 20 learners there, a report the next larger training set, counted as an epoch.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import math
import random
import statistics
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import optuna
from machine import machine
from pruners import ASHA, DEFAULT, OURS, THEIRS, Factory
from simulated_sweep import Judged, Recorded, Sweep, judged

CURVES = Path(__file__).parents[1] / "data" / "curves" / "curves.jsonl.gz"
EPOCHS, TRIALS, SLOTS = 100, 16, 4
OBJECTIVES = {"val_loss": "min", "val_accuracy": "max"}
RULES: Mapping[str, Factory] = {**OURS, **THEIRS}
RESAMPLES = 500
BAR = 0.6
"""Most compute, as a share of ASHA's."""


@dataclass(frozen=True)
class Problem:
    """Trials of one model on the same data: curves by metric."""

    which: str
    name: str
    trials: Sequence[Mapping[str, Sequence[float]]]

    def drawn(self, metric: str, seed: int) -> list[Recorded]:
        """As many trials as a sweep has, each up to four times as fast as another."""
        draw = random.Random(f"{self.name} {seed}")
        trials = draw.sample(self.trials, min(TRIALS, len(self.trials)))
        return [
            Recorded(f"{i:04d}", curves[metric], curves["test_accuracy"], 2 ** draw.uniform(-1, 1))
            for i, curves in enumerate(trials)
        ]


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:7.2f} [{self.low:6.2f},{self.high:6.2f}]"


@dataclass(frozen=True)
class Row:
    """What a rule came to: points, percent, points more than ASHA, share of ASHA's compute."""

    rule: str
    regret: Interval
    compute: Interval
    more_regret: Interval
    of_asha: Interval

    def __str__(self) -> str:
        return f"{self.rule:34}{self.regret}{self.compute}{self.more_regret}{self.of_asha}"


Played = Mapping[str, Sequence[Judged]]
"""What a rule did to each problem, seed by seed."""


def recorded(path: Path = CURVES) -> list[Problem]:
    """Those of which there are enough runs for a choice."""
    found: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for line in map(json.loads, gzip.decompress(path.read_bytes()).decode().splitlines()):
        if line["epochs"] == EPOCHS:
            name = f"{line['task']}, noisy" if line["noise"] else line["task"]
            found[line["set"], name].append(line["curves"])
    return [Problem(which, name, trials) for (which, name), trials in found.items() if len(trials) > 8]


def lcdb(folder: Path, least: int = 15) -> list[Problem]:
    """Datasets with so many learners at least, of the first split; those with an even number are for tuning."""
    found: dict[str, dict[str, list[tuple[int, float, float]]]] = defaultdict(lambda: defaultdict(list))
    with (folder / "database-accuracy.csv").open() as file:
        for row in csv.DictReader(file):
            if row["outer_seed"] == row["inner_seed"] == "0":
                point = int(row["size_train"]), float(row["score_valid"]), float(row["score_test"])
                found[row["openmlid"]][row["learner"]].append(point)
    return [
        Problem(
            "tuning" if int(name) % 2 == 0 else "judging",
            f"LCDB {name}",
            [_by_size(c) for c in curves.values()],
        )
        for name, curves in found.items()
        if len(curves) >= least
    ]


def _by_size(points: list[tuple[int, float, float]]) -> dict[str, list[float]]:
    _, validation, test = zip(*sorted(points), strict=True)
    return {"val_accuracy": list(validation), "test_accuracy": list(test)}


def played(problem: Problem, metric: str, seeds: int, rule: Factory) -> list[Judged]:
    """A sweep for each seed under one rule."""
    mode, found = OBJECTIVES[metric], []
    for seed in range(seeds):
        trials = problem.drawn(metric, seed)
        longest = max(len(trial.validation) for trial in trials)
        scheduler = rule(metric, mode, longest, crc32(problem.name.encode()) % 10_000 + seed)
        epochs = Sweep(scheduler, trials, metric, SLOTS).play()
        found.append(judged(trials, epochs, 1 if mode == "max" else -1))
    return found


def table(problems: Sequence[Problem], metric: str, seeds: int) -> list[Row]:
    by_rule = {
        name: {problem.name: played(problem, metric, seeds, rule) for problem in problems}
        for name, rule in RULES.items()
    }
    return [row(name, found, by_rule[ASHA]) for name, found in by_rule.items()]


def row(name: str, found: Played, asha: Played) -> Row:
    regret = bootstrapped(found, asha, lambda ours, _: 100 * mean(ours, "regret"))
    compute = bootstrapped(found, asha, lambda ours, _: 100 * mean(ours, "compute"))
    more = bootstrapped(found, asha, lambda ours, its: 100 * (mean(ours, "regret") - mean(its, "regret")))
    share = bootstrapped(found, asha, lambda ours, its: mean(ours, "compute") / mean(its, "compute"))
    return Row(name, regret, compute, more, share)


def mean(groups: Sequence[Sequence[Judged]], figure: str) -> float:
    """Every problem counts the same."""
    return statistics.fmean(statistics.fmean(getattr(one, figure) for one in group) for group in groups)


def bootstrapped(
    found: Played, asha: Played, figure: Callable[[list[list[Judged]], list[list[Judged]]], float]
) -> Interval:
    """A figure of a rule and of ASHA on the same sweeps."""
    draw, figures = random.Random(0), []
    pairs = [list(zip(found[name], asha[name], strict=True)) for name in found]

    def of(chosen: Sequence[Sequence[tuple[Judged, Judged]]]) -> float:
        return figure(
            [[a for a, _ in group] for group in chosen], [[b for _, b in group] for group in chosen]
        )

    for _ in range(RESAMPLES):
        figures.append(of([draw.choices(group, k=len(group)) for group in draw.choices(pairs, k=len(pairs))]))
    ascending = sorted(figures)
    tail = math.ceil(0.025 * RESAMPLES)
    return Interval(of(pairs), ascending[tail - 1], ascending[-tail])


def told(title: str, rows: Sequence[Row]) -> None:
    print(f"\n{title}")
    heads = ("regret, points", "compute, %", "points above ASHA", "of ASHA's compute")
    print(f"{'':34}" + "".join(f"{head:>24}" for head in heads))
    for one in rows:
        print(one, flush=True)


def against_the_bar(rows: Sequence[Row]) -> dict[str, Any]:
    ours = next(row for row in rows if row.rule == DEFAULT)
    found = {"points above ASHA": ours.more_regret.mean, "of ASHA's compute": ours.of_asha.mean}
    met = ours.more_regret.mean <= 0 and ours.of_asha.mean <= BAR
    return {"found": found, "bar": {"points above ASHA": 0.0, "of ASHA's compute": BAR}, "met": met}


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--set", choices=("tuning", "judging"), help="one of them only")
    arguments.add_argument("--seeds", type=int, default=20, help="sweeps of each task")
    arguments.add_argument("--quick", action="store_true", help="one sweep of each judging task")
    arguments.add_argument("--lcdb", type=Path, help="the folder with LCDB's tables")
    options = arguments.parse_args()
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    seeds = 1 if options.quick else options.seeds
    sets = [options.set] if options.set else ["judging"] if options.quick else ["tuning", "judging"]
    sources = {"recorded": recorded()} | ({"LCDB": lcdb(options.lcdb)} if options.lcdb else {})
    parts = []
    for which, (source, problems) in ((which, item) for which in sets for item in sources.items()):
        chosen = [problem for problem in problems if problem.which == which]
        for metric in OBJECTIVES if source == "recorded" else ("val_accuracy",):
            rows = table(chosen, metric, seeds if source == "recorded" else 1)
            told(f"{which}, {source}: {len(chosen)} problems, best by {metric}", rows)
            part = {"set": which, "source": source, "problems": len(chosen), "objective": metric}
            parts.append({**part, **against_the_bar(rows), "rules": [asdict(row) for row in rows]})
    met = {f"{p['set']}, {p['source']}, {p['objective']}": p["met"] for p in parts}
    print(
        json.dumps(
            {"benchmark": "pruning_quality", "machine": machine("ray", "optuna"), "tables": parts, "met": met}
        )
    )


if __name__ == "__main__":
    main()
