"""Whether `trainjobs run` comes up on a busy machine, and what that costs.

    python tests/benchmarks/starts_under_load.py [--count 30] [--load 20] [--launcher ray|local] [--quick]

Runs a job of two workers that report once, `--count` times, one after the other, on two cores on which `--load` endless
loops run beside it. Of each run, from the command to the first report as our output lines tell it:
- whether the run ended with exit code 0,
- seconds, which say as much of the load as of us,
- processor seconds of all its processes, which say less of the load, and how many processes there were. They are read
  ten times a second: of a process that ends, the last 0.1 s may be missing.

No figure is asserted. `--quick` is one run beside no load. The last line is one JSON object with all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from machine import machine, told

CORES = 2
SAMPLE_S = 0.1
MANIFEST = """
apiVersion: trainjobs.dev/v1alpha1
kind: TrainJob
metadata: {name: start}
spec:
  trainer: {entrypoint: "train:train", maxEpochs: 1, numNodes: 2}
  stopping: {monitor: loss}
"""
PROGRAM = """
import torch
from torch.utils.data import TensorDataset

def train(run):
    model = run.prepare_model(torch.nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    run.track(model=model, optimizer=optimizer)
    loader = run.prepare_loader(TensorDataset(torch.ones(64, 8), torch.ones(64, 1)), batch_size=8)
    for epoch in run.epochs():
        for x, y in run.steps(loader):
            loss = ((model(x) - y) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        run.report(loss=(loss.detach(), 1))
"""
KINDS = (
    r"ray::\w+",
    r"gcs_server",
    r"raylet/raylet",
    r"dashboard/dashboard\.py",
    r"dashboard/agent\.py",
    r"runtime_env/agent",
    r"log_monitor\.py",
    r"monitor\.py",
    r"default_worker\.py",
    r"process_reaper",
    r"forkserver",
    r"trainjobs",
)
"""What a process is called here, by its command line; the first that is found."""


@dataclass(frozen=True, slots=True)
class Start:
    """One run."""

    succeeded: bool
    seconds: float | None
    """From the command to the first report; None if there was none."""
    processor_seconds: float
    processes: int
    by_kind: Mapping[str, float]
    """Processor seconds of processes of one kind."""
    told: str
    """The last line on standard error of a run that did not succeed."""


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--load", type=int, default=20, help="endless loops beside it")
    parser.add_argument("--launcher", choices=["ray", "local"], default="ray")
    parser.add_argument("--quick", action="store_true", help="one run beside no load")
    options = parser.parse_args(arguments)
    count, load = (1, 0) if options.quick else (options.count, options.load)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    facts = machine("ray")
    print(told(facts), flush=True)
    with busy(load):
        starts = [_shown(started(options.launcher)) for _ in range(count)]
    document = {
        "benchmark": "starts_under_load",
        "machine": facts,
        "load_1min_at_end": round(os.getloadavg()[0], 2),
        "launcher": options.launcher,
        "load": load,
        "starts": count,
        "successes": sum(start.succeeded for start in starts),
        "processor_seconds": statistics.median(start.processor_seconds for start in starts),
        "processes": statistics.median(start.processes for start in starts),
        "runs": [asdict(start) for start in starts],
    }
    print(json.dumps(document))


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """So many processes that do nothing, as fast as they can."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def started(launcher: str) -> Start:
    """Run the job once, to its end."""
    with _folder() as folder:
        (folder / "trainjob.yaml").write_text(MANIFEST)
        (folder / "train.py").write_text(PROGRAM)
        command = [
            Path(sys.executable).with_name("trainjobs"),
            "run",
            "trainjob.yaml",
            "--launcher",
            launcher,
        ]
        began = time.monotonic()
        process = subprocess.Popen(
            [*command, "--output", "json"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        family = Family(process.pid)
        assert process.stdout is not None
        assert process.stderr is not None
        reports = (time.monotonic() for line in process.stdout if json.loads(line)["event"] == "Reported")
        first = next(reports, None)
        costs = family.costs()
        for _ in reports:
            pass
        errors = process.stderr.read().strip().splitlines()
        succeeded = process.wait() == 0
    by_kind: dict[str, float] = defaultdict(float)
    for kind, seconds in costs:
        by_kind[kind] += seconds
    return Start(
        succeeded=succeeded,
        seconds=None if first is None else round(first - began, 2),
        processor_seconds=round(sum(by_kind.values()), 2),
        processes=len(costs),
        by_kind={kind: round(seconds, 2) for kind, seconds in by_kind.items()},
        told="" if succeeded else "".join(errors[-1:]),
    )


class Family:
    """A process and all that come from it, watched until `costs`."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._seen: dict[psutil.Process, tuple[str, float]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def costs(self) -> list[tuple[str, float]]:
        """Kind and processor seconds so far of each process there has been."""
        self._over.set()
        self._thread.join()
        return list(self._seen.values())

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE_S):
            self._look()
        self._look()

    def _look(self) -> None:
        with suppress(psutil.NoSuchProcess):
            for process in (self._process, *self._process.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    times = process.cpu_times()
                    self._seen[process] = (_kind(process.cmdline()), times.user + times.system)


def _kind(command: Sequence[str]) -> str:
    line = " ".join(command)
    found = (re.search(kind, line) for kind in KINDS)
    return next((match[0] for match in found if match), line[:40])


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="starts-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _shown(start: Start) -> Start:
    end = "ended well" if start.succeeded else f"FAILED: {start.told}"
    first = f"{start.seconds} s to the first report" if start.seconds is not None else "no report"
    print(f"{end}: {first}, {start.processor_seconds} processor s in {start.processes} processes", flush=True)
    for kind, seconds in sorted(start.by_kind.items(), key=lambda each: -each[1]):
        print(f"    {seconds:7.2f}  {kind}", flush=True)
    return start


if __name__ == "__main__":
    main(sys.argv[1:])
