"""How long the demo takes on this machine, from the command to its end, against the same training written by hand.

    python tests/benchmarks/local_start.py [--quick]

Runs in turns, each a process of its own:
- `trainjobs run manifests/examples/mnist/trainjob.yaml`, which forks its ranks itself,
- handwritten.py under torchrun (what the one above is judged against),
- the demo with `--launcher ray`,
- handwritten.py as a `TorchTrainer` of Ray Train, with Ray's defaults (what that one is judged against),
those by hand for as many epochs as the demo trained before it stopped. Measured from the command:
- `worker`: the training function is entered on rank 0,
- `first step`: it is about to do its first step (data read, model built),
- `trained`: the training function has ended its last epoch and the test,
- `total`: the process has ended,
the processor time and the memory of all processes together (the largest sum of their proportional shares, looked at
twice a second), and how long the report of an epoch takes to arrive: at the program that reads our output lines; for
`ray.train.report` at Ray's controller. Under torchrun nobody listens.

Our milestones come from the event lines alone: a `Progress` carries the training seconds since the loop over epochs
began, so its time minus them is `first step`, and that plus the seconds of an observation is when its report was made
(a millisecond is rounded off). `--quick` leaves Ray out. No figure is asserted; the last line is one JSON object.
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
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
from machine import machine, told

REPOSITORY = Path(__file__).resolve().parents[2]
MANIFEST = REPOSITORY / "manifests" / "examples" / "mnist" / "trainjob.yaml"
HANDWRITTEN = Path(__file__).with_name("handwritten.py")
BIN = Path(sys.executable).parent
LOCAL, RAY = "trainjobs run", "trainjobs run --launcher ray"
TORCHRUN, TRAINER = "by hand, torchrun", "by hand, TorchTrainer"
LOOK_S = 0.5
"""How often memory and processor time are looked at."""
MILESTONES = ("worker", "first step", "trained", "total")
BARS = {LOCAL: (TORCHRUN, 1.0), RAY: (TRAINER, 0.6)}
"""For each of ours: against whom, and the most its total may be in proportion."""


@dataclass(frozen=True, slots=True)
class Timing:
    """One run of one program."""

    seconds: Mapping[str, float]
    """From the command to each milestone."""
    report_ms: Sequence[float]
    """From each report to its arrival."""
    epochs: int
    test_accuracy: float
    cpu_seconds: float = 0.0
    memory_mib: float = 0.0


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one run of each, without Ray")
    quick = parser.parse_args(arguments).quick
    facts = machine("ray")
    print(told(facts), flush=True)
    found: dict[str, list[Timing]] = {
        name: [] for name in ((LOCAL, TORCHRUN) if quick else (*BARS, TORCHRUN, TRAINER))
    }
    for _ in range(1 if quick else 3):
        _round(found)
    print("\n".join(_table(found)))
    document = {
        "benchmark": "local_start",
        "machine": facts,
        "load_1min_at_end": round(os.getloadavg()[0], 2),
        "ratios": {
            name: {what: _ratio(found, name, what) for what in MILESTONES} for name in BARS if found.get(name)
        },
        "runs": {name: [asdict(timing) for timing in timings] for name, timings in found.items()},
    }
    print(json.dumps(document))


def _round(found: Mapping[str, list[Timing]]) -> None:
    for name, (peer, _) in BARS.items():
        if name in found:
            found[name].append(_shown(name, _ours(*([] if name == LOCAL else ["--launcher", "ray"]))))
            found[peer].append(_shown(peer, _by_hand(found[name][-1].epochs, torchrun=peer == TORCHRUN)))


def _ours(*options: str) -> Timing:
    """Run the demo and read its event lines."""
    lines: list[tuple[float, dict[str, Any]]] = []
    with _folder() as folder, _measured() as spent:
        command = [
            BIN / "trainjobs",
            "run",
            MANIFEST,
            *options,
            "--run-dir",
            folder / "run",
            "--output",
            "json",
        ]
        lines.extend(_lines(command, spent))
    by_kind: dict[str, list[tuple[float, dict[str, Any]]]] = {}
    for read, line in lines:
        by_kind.setdefault(line["event"], []).append((read, line))
    first = min(read - line["seconds"] for read, line in by_kind["Progress"] if line["step"])
    reports = [(read, line["observation"]) for read, line in by_kind["Reported"]]
    final, final_line = by_kind["Final"][0]
    times = {"worker": by_kind["Started"][0][0], "first step": first, "trained": final, "total": spent.ended}
    return Timing(
        seconds={what: when - spent.began for what, when in times.items()},
        report_ms=[1000 * (read - first - seen["seconds"]) for read, seen in reports],
        epochs=len(reports),
        test_accuracy=final_line["metrics"]["test_accuracy"],
        cpu_seconds=spent.cpu_seconds,
        memory_mib=spent.memory_mib,
    )


def _by_hand(epochs: int, *, torchrun: bool) -> Timing:
    """Run the script and read the times it wrote down."""
    with _folder() as folder, _measured() as spent:
        program = [BIN / "torchrun", "--nproc-per-node", "2"] if torchrun else [sys.executable]
        options = ["--with", "torchrun" if torchrun else "ray", "--epochs", str(epochs), "--folder", folder]
        for _ in _lines([*program, HANDWRITTEN, *options], spent):
            pass
        notes = [json.loads(line) for line in (folder / "times.jsonl").read_text().splitlines()]
        final = json.loads((folder / "final.json").read_text())
    times: dict[str, list[float]] = {}
    for note in notes:
        times.setdefault(note["what"], []).append(note["time"])
    arrived = times.get("report arrived", [])
    firsts = {what: times[what][0] - spent.began for what in ("worker", "first step", "trained")}
    return Timing(
        seconds={**firsts, "total": spent.ended - spent.began},
        report_ms=[1000 * (then - at) for at, then in zip(times["report called"], arrived, strict=False)],
        epochs=len(times["report called"]),
        test_accuracy=final["accuracy"],
        cpu_seconds=spent.cpu_seconds,
        memory_mib=spent.memory_mib,
    )


# --- what it takes ----------------------------------------------------------------------------------------------------


@dataclass
class Spent:
    """What a command has used."""

    began: float
    ended: float = 0.0
    memory_mib: float = 0.0
    cpu_by_process: dict[psutil.Process, float] = field(default_factory=dict)

    @property
    def cpu_seconds(self) -> float:
        """Of all processes, up to the last look at each."""
        return sum(self.cpu_by_process.values())

    def look(self) -> None:
        """At all processes now; memory that they share counts once."""
        total = 0
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
                times = process.cpu_times()
                self.cpu_by_process[process] = times.user + times.system
        self.memory_mib = max(self.memory_mib, total / 2**20)


@contextmanager
def _measured() -> Iterator[Spent]:
    over, spent = threading.Event(), Spent(time.time())

    def watch() -> None:
        while not over.wait(LOOK_S):
            spent.look()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield spent
    finally:
        over.set()
        watcher.join()


def _lines(command: Sequence[str | Path], spent: Spent) -> Iterator[tuple[float, dict[str, Any]]]:
    """Each line of JSON that the program prints, with the unix time at which it could be read."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                yield time.time(), json.loads(line)
    spent.ended = time.time()
    if process.returncode != 0:
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
    head = f"\n{'medians':30}" + "".join(f"{what + ', s':>15}" for what in MILESTONES)
    lines = [head + f"{'processors, s':>15}{'memory, MiB':>13}{'report, ms':>12}"]
    lines += [_row(name, timings) for name, timings in found.items()]
    for name, (peer, bar) in BARS.items():
        if found.get(name):
            total = _ratio(found, name, "total")
            lines.append(
                f"{name} is {total:.2f} of {peer} (bar {bar}: {'met' if total <= bar else 'MISSED'})"
            )
    return lines


def _row(name: str, timings: Sequence[Timing]) -> str:
    cells = "".join(f"{_median(timings, what):15.2f}" for what in MILESTONES)
    arrivals = [ms for timing in timings for ms in timing.report_ms]
    arrival = f"{statistics.median(arrivals):12.1f}" if arrivals else ""
    cpu, memory = (
        statistics.median(getattr(t, what) for t in timings) for what in ("cpu_seconds", "memory_mib")
    )
    return f"{name:30}{cells}{cpu:15.1f}{memory:13.0f}{arrival}"


def _median(timings: Sequence[Timing], what: str) -> float:
    return statistics.median(timing.seconds[what] for timing in timings)


def _ratio(found: Mapping[str, Sequence[Timing]], name: str, what: str) -> float:
    return _median(found[name], what) / _median(found[BARS[name][0]], what)


if __name__ == "__main__":
    main(sys.argv[1:])
