"""What a decision to prune costs in a large sweep, and what the driver keeps of a report.

    python tests/benchmarks/sweep_scale.py [--trials 1000] [--reports 100]

`PruningScheduler`, the real one, holds the curves of all trials and is asked about the next report of some, with one
criterion at a time. Memory is what it keeps for each report as the sweep grows, in quarters of the reports. The bars:
a decision takes less than 1 ms, and the last quarter needs no more a report than the first. The last line is one JSON
object with `found`, `bar` and `met`.
"""

from __future__ import annotations

import argparse
import json
import time
import tracemalloc
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from figures import Spread
from machine import machine

from trainjobs.api.pruning import Objective, Pruning
from trainjobs.stopping import Observation
from trainjobs.stopping.across import Curve
from trainjobs.sweeps.scheduling import PruningScheduler

CRITERIA: dict[str, dict[str, Any]] = {
    "median": {},
    "percentile": {"keep": 25.0},
    "successiveHalving": {},
    "hyperband": {"maxEpochs": 100},
    "wilcoxon": {},
}
ASKED = 200
"""Trials whose next report is timed."""
BAR_MS, BAR_GROWTH = 1.0, 1.1


def report(scheduler: PruningScheduler, trial: int, epoch: int) -> None:
    result = {"epoch": epoch, "loss": loss(trial, epoch)}
    scheduler.on_trial_result(None, SimpleNamespace(trial_id=f"{trial:05}"), result)


def loss(trial: int, epoch: int) -> float:
    """A curve that falls, each trial's a little above the one before."""
    return 1 + trial / 1000 + 1 / epoch


def filled(trials: int, reports: int) -> Mapping[str, Curve]:
    """The curves of so many trials, each one report before its last."""
    objective = Objective(metric="loss")
    return {
        f"{trial:05}": Curve.of(
            (Observation(e, e, 0.0, {"loss": loss(trial, e)}) for e in range(1, reports)), objective
        )
        for trial in range(trials)
    }


def decisions(name: str, curves: Mapping[str, Curve], epoch: int) -> Spread:
    """Milliseconds of a report with this criterion when all others have come as far."""
    pruning = Pruning.model_validate({"criteria": [{name: CRITERIA[name]}]})
    asked = PruningScheduler(Objective(metric="loss"), pruning, curves)
    return Spread.of([1000 * _seconds(asked, trial * len(curves) // ASKED, epoch) for trial in range(ASKED)])


def _seconds(asked: PruningScheduler, trial: int, epoch: int) -> float:
    began = time.perf_counter()
    report(asked, trial, epoch)
    return time.perf_counter() - began


def kept(trials: int, reports: int) -> Iterator[float]:
    """Bytes for each report in each quarter of the sweep's reports, trials one after the other."""
    silent = PruningScheduler.of({"objective": {"metric": "loss"}})
    tracemalloc.start()
    for quarter in range(4):
        before = tracemalloc.get_traced_memory()[0]
        among = range(quarter * trials // 4, (quarter + 1) * trials // 4)
        for trial in among:
            for epoch in range(1, reports + 1):
                report(silent, trial, epoch)
        yield (tracemalloc.get_traced_memory()[0] - before) / (len(among) * reports)
    tracemalloc.stop()


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--trials", type=int, default=1000)
    arguments.add_argument("--reports", type=int, default=100)
    options = arguments.parse_args()
    found, curves = {}, filled(options.trials, options.reports)
    for name in CRITERIA:
        found[name] = decisions(name, curves, options.reports)
        print(f"{name:20} median {found[name].median:.3f} ms, 99 % {found[name].p99:.3f} ms", flush=True)
    quarters = list(kept(options.trials, options.reports))
    print("bytes a report:", ", ".join(f"{each:.0f}" for each in quarters))
    figures = {
        "median decision, ms": {name: spread.median for name, spread in found.items()},
        "bytes a report, by quarter": quarters,
    }
    met = {
        "decision": all(spread.median < BAR_MS for spread in found.values()),
        "memory": quarters[-1] <= BAR_GROWTH * quarters[0],
    }
    bar = {"median decision, ms": BAR_MS, "growth of bytes a report": BAR_GROWTH}
    print(
        json.dumps(
            {"benchmark": "sweep_scale", "machine": machine("ray"), "found": figures, "bar": bar, "met": met}
        )
    )


if __name__ == "__main__":
    main()
