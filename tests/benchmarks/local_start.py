"""How long the demo takes on this machine, against the same training written by hand with Ray Train.

    python tests/benchmarks/local_start.py [--quick]

Runs in turns, each a process of its own:
- `trainjobs run manifests/examples/mnist/trainjob.yaml --output json`,
- handwritten.py with the Ray settings that the runtime uses (what ours is judged against),
- handwritten.py with Ray's defaults,
the latter two for as many epochs as the demo trained before it stopped. Measured from the command:
- `ray`: a local Ray is up,
- `worker`: the training function is entered on rank 0,
- `first step`: it is about to do its first step (data read, model built),
- `trained`: the training function has ended its last epoch and the test,
- `total`: the process has ended,
and for every epoch how long its report takes to arrive: at the program that reads our output lines; for
`ray.train.report` at Ray's controller, and how long the call blocks training.

Our milestones come from the event lines alone: a `Progress` carries the training seconds since the loop over epochs
began, so its time minus them is `first step`, and that plus the seconds of an observation is when its report was made
(a millisecond is rounded off). No figure is asserted. The last line is one JSON object with all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from machine import machine, told

from trainjobs.driver.ray_launcher import SETTINGS

REPOSITORY = Path(__file__).resolve().parents[2]
MANIFEST = REPOSITORY / "manifests" / "examples" / "mnist" / "trainjob.yaml"
HANDWRITTEN = Path(__file__).with_name("handwritten.py")
OURS, TUNED, DEFAULTS = "trainjobs run", "by hand, tuned", "by hand, defaults"
MILESTONES = ("ray", "worker", "first step", "trained", "total")
BAR = 1.15


@dataclass(frozen=True, slots=True)
class Timing:
    """One run of one program."""

    seconds: Mapping[str, float]
    """From the command to each milestone."""
    report_ms: Sequence[float]
    """From each report to its arrival."""
    blocked_ms: Sequence[float]
    """How long each report kept training from going on; only known for those written by hand."""
    epochs: int
    test_accuracy: float


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one run of each")
    repeats = 1 if parser.parse_args(arguments).quick else 3
    facts = machine("ray")
    print(told(facts), flush=True)
    found: dict[str, list[Timing]] = {OURS: [], TUNED: [], DEFAULTS: []}
    for _ in range(repeats):
        found[OURS].append(_shown(OURS, ours()))
        epochs = found[OURS][-1].epochs
        found[TUNED].append(_shown(TUNED, by_hand(epochs, tuned=True)))
        found[DEFAULTS].append(_shown(DEFAULTS, by_hand(epochs, tuned=False)))
    print("\n".join(_table(found)))
    document = {
        "benchmark": "local_start",
        "machine": facts,
        "load_1min_at_end": round(os.getloadavg()[0], 2),
        "repeats": repeats,
        "ratios": {
            name: {what: _ratio(found, name, what) for what in MILESTONES} for name in (TUNED, DEFAULTS)
        },
        "runs": {name: [asdict(timing) for timing in timings] for name, timings in found.items()},
    }
    print(json.dumps(document))


def ours() -> Timing:
    """Run the demo and read its event lines."""
    with _folder() as folder:
        command = [Path(sys.executable).with_name("trainjobs"), "run", MANIFEST, "--run-dir", folder / "run"]
        began = time.time()
        lines = list(_lines([*command, "--output", "json"]))
        ended = time.time()
    return _ours(lines, began, ended)


def _ours(lines: Sequence[tuple[float, dict[str, Any]]], began: float, ended: float) -> Timing:
    by_kind: dict[str, list[tuple[float, dict[str, Any]]]] = {}
    for read, line in lines:
        by_kind.setdefault(line["event"], []).append((read, line))
    started, started_line = by_kind["Started"][0]
    first = min(read - line["seconds"] for read, line in by_kind["Progress"] if line["step"])
    reports = [(read, line["observation"]) for read, line in by_kind["Reported"]]
    final, final_line = by_kind["Final"][0]
    times = {
        "ray": started - started_line["startup_seconds"],
        "worker": started,
        "first step": first,
        "trained": final,
        "total": ended,
    }
    return Timing(
        seconds={what: when - began for what, when in times.items()},
        report_ms=[1000 * (read - first - seen["seconds"]) for read, seen in reports],
        blocked_ms=(),
        epochs=len(reports),
        test_accuracy=final_line["metrics"]["test_accuracy"],
    )


def by_hand(epochs: int, *, tuned: bool) -> Timing:
    """Run the script and read the times it wrote down."""
    options, settings = (["--no-dashboard"], SETTINGS) if tuned else ([], {})
    with _folder() as folder:
        command = [sys.executable, HANDWRITTEN, "--epochs", str(epochs), "--folder", folder, *options]
        began = time.time()
        environment = {**os.environ, **settings}
        subprocess.run(
            command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        ended = time.time()
        notes = [json.loads(line) for line in (folder / "times.jsonl").read_text().splitlines()]
        final = json.loads((folder / "final.json").read_text())
    return _by_hand(notes, began, ended, final["accuracy"])


def _by_hand(notes: Sequence[dict[str, Any]], began: float, ended: float, accuracy: float) -> Timing:
    times: dict[str, list[float]] = {}
    for note in notes:
        times.setdefault(note["what"], []).append(note["time"])
    called = times["report called"]
    firsts = {what: times[what][0] - began for what in ("ray", "worker", "first step", "trained")}
    return Timing(
        seconds={**firsts, "total": ended - began},
        report_ms=_spans_ms(called, times["report arrived"]),
        blocked_ms=_spans_ms(called, times["report returned"]),
        epochs=len(called),
        test_accuracy=accuracy,
    )


def _spans_ms(starts: Sequence[float], ends: Sequence[float]) -> list[float]:
    return [1000 * (end - start) for start, end in zip(starts, ends, strict=True)]


def _lines(command: Sequence[str | Path]) -> Iterator[tuple[float, dict[str, Any]]]:
    """Each line the program prints, with the unix time at which it could be read."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        yield time.time(), json.loads(line)
    if process.wait() != 0:
        raise RuntimeError(f"{command} ended with {process.returncode}")


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="local-start-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# --- for people -----------------------------------------------------------------------------------------------------


def _shown(name: str, timing: Timing) -> Timing:
    spans = ", ".join(f"{what} {timing.seconds[what]:.2f}" for what in MILESTONES)
    print(f"{name}: {spans} s; {timing.epochs} epochs, test accuracy {timing.test_accuracy:.4f}", flush=True)
    return timing


def _table(found: Mapping[str, Sequence[Timing]]) -> list[str]:
    head = f"\n{'median seconds':20}" + "".join(f"{what:>12}" for what in MILESTONES)
    head += f"{'report arrives, ms':>22}{'max':>8}{'blocks, ms':>13}{'max':>8}"
    lines = [head, *(_row(name, timings) for name, timings in found.items())]
    for name in (TUNED, DEFAULTS):
        ratios = "".join(f"{_ratio(found, name, what):12.2f}" for what in MILESTONES)
        lines.append(f"{'ours / ' + name:20.20}{ratios}")
    total = _ratio(found, TUNED, "total")
    return [*lines, f"total {total:.2f} of the tuned one (bar {BAR}: {'met' if total <= BAR else 'MISSED'})"]


def _row(name: str, timings: Sequence[Timing]) -> str:
    cells = "".join(f"{_median(timings, what):12.2f}" for what in MILESTONES)
    arrivals = [ms for timing in timings for ms in timing.report_ms]
    blocked = [ms for timing in timings for ms in timing.blocked_ms]
    ends = f"{statistics.median(blocked):13.1f}{max(blocked):8.1f}" if blocked else ""
    return f"{name:20}{cells}{statistics.median(arrivals):22.1f}{max(arrivals):8.1f}{ends}"


def _median(timings: Sequence[Timing], what: str) -> float:
    return statistics.median(timing.seconds[what] for timing in timings)


def _ratio(found: Mapping[str, Sequence[Timing]], other: str, what: str) -> float:
    return _median(found[OURS], what) / _median(found[other], what)


if __name__ == "__main__":
    main(sys.argv[1:])
