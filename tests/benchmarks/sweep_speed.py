"""How long a sweep takes: `trainjobs sweep` against the documented way of Ray, a `TorchTrainer` inside each Tune trial.

    python tests/benchmarks/sweep_speed.py [--trials N] [--quick]

Both train the same trials one after the other, in one run of this program: the network of manifests/examples/mnist on
5,000 images, DDP on two workers, two epochs, learning rates over two decades. Measured:
- the whole, from the command to its end, in proportion to the number of trials,
- the switch: from one training function's last line to the next one's first, on rank 0,
- what is left afterwards: processes, and for Ray's way CPUs that are not free when `fit` has returned.

Ours runs as many trials as asked for; Ray's way as many, with `--quick` three of each. No figure is asserted. The last
line is one JSON object.
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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import yaml
from machine import machine, told

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLE = REPOSITORY / "manifests" / "examples" / "mnist" / "train.py"
MARK = "TRAINJOBS_BENCHMARK"
"""Environment variable by which processes that are left are found."""
EPOCHS = 2
BARS = {"times as fast": 8.0, "median switch, s": 0.5}

NOTING = """
import time
from pathlib import Path

import train as demo


def train(run):
    note(run, "worker")
    demo.train(run)
    note(run, "trained")


def note(run, what):
    if run.rank == 0:
        with Path(run.config["notes"]).open("a") as file:
            print(what, time.time(), file=file)
"""

BY_RAY = """
from pathlib import Path

import handwritten


def train_one(config):
    from ray.tune import get_context
    from ray.tune.integration.ray_train import TuneReportCallback
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    trial = get_context().get_trial_id()
    folder = Path({folder!r}) / trial
    folder.mkdir()
    TorchTrainer(
        handwritten.in_ray_worker,
        train_loop_config={{**handwritten.CONFIG, **config, "epochs": {epochs}, "folder": folder}},
        scaling_config=ScalingConfig(num_workers=2),
        run_config=RunConfig(name=trial, storage_path={folder!r}, callbacks=[TuneReportCallback()]),
    ).fit()


if __name__ == "__main__":
    import json
    import ray
    from ray import tune

    ray.init(num_cpus=4, log_to_driver=False)
    tune.Tuner(
        tune.with_resources(train_one, {{"cpu": 1}}),
        param_space={{"learningRate": tune.grid_search({rates!r})}},
        tune_config=tune.TuneConfig(max_concurrent_trials=1),
        run_config=tune.RunConfig(storage_path={folder!r}, name="sweep", verbose=0),
    ).fit()
    Path({folder!r}, "free.json").write_text(json.dumps(ray.available_resources().get("CPU", 0)))
    ray.shutdown()
"""


@dataclass(frozen=True, slots=True)
class Timing:
    """One sweep."""

    trials: int
    seconds: float
    """From the command to its end."""
    switches: Sequence[float]
    """Seconds from one training function to the next."""
    processes_left: int
    cpus_not_free: float = 0.0

    @property
    def each(self) -> float:
        """Seconds a trial."""
        return self.seconds / self.trials


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--quick", action="store_true", help="three trials of each")
    given = parser.parse_args(arguments)
    trials = 3 if given.quick else given.trials
    rates = [round(0.002 * 100 ** (i / max(1, trials - 1)), 6) for i in range(trials)]
    facts = machine("ray")
    print(told(facts), flush=True)
    ours = _shown("trainjobs sweep", _ours(rates))
    theirs = _shown("Ray Tune, a TorchTrainer in each trial", _by_ray(rates))
    found = {
        "times as fast": theirs.seconds / ours.seconds,
        "median switch, s": statistics.median(ours.switches),
    }
    fast, switch = found.values()
    print(f"{fast:.1f} times as fast (bar {BARS['times as fast']}: {'met' if fast >= 8 else 'MISSED'})")
    print(
        f"median switch {switch:.2f} s (bar {BARS['median switch, s']}: {'met' if switch <= 0.5 else 'MISSED'})"
    )
    document = {"benchmark": "sweep_speed", "machine": facts, "found": found, "bars": BARS}
    print(json.dumps({**document, "ours": asdict(ours), "ray": asdict(theirs)}))


def _ours(rates: Sequence[float]) -> Timing:
    with _folder() as folder:
        shutil.copy(EXAMPLE, folder / "train.py")
        (folder / "noting.py").write_text(NOTING)
        notes = folder / "notes"
        config = {"channels": 8, "batchSize": 32, "learningRate": 0.02, "seed": 7, "notes": str(notes)}
        trainer = {"entrypoint": "noting:train", "maxEpochs": EPOCHS, "numNodes": 2, "config": config}
        spec = {
            "template": {"spec": {"trainer": trainer}},
            "parameters": {"learningRate": {"grid": list(rates)}},
            "objective": {"metric": "val_loss"},
            "parallelTrials": 1,
        }
        head = {"apiVersion": "trainjobs.dev/v1alpha1", "kind": "TrainSweep", "metadata": {"name": "speed"}}
        (folder / "sweep.yaml").write_text(yaml.safe_dump({**head, "spec": spec}))
        command = [Path(sys.executable).with_name("trainjobs"), "sweep", folder / "sweep.yaml"]
        seconds, left = _timed([*command, "--sweep-dir", folder / "out"], folder)
        times = [line.split() for line in notes.read_text().splitlines()]
    return Timing(len(rates), seconds, _gaps([(what, float(when)) for what, when in times]), left)


def _by_ray(rates: Sequence[float]) -> Timing:
    with _folder() as folder:
        values = {
            "folder": str(folder),
            "epochs": EPOCHS,
            "rates": rates,
        }
        (folder / "by_ray.py").write_text(BY_RAY.format(**values))
        seconds, left = _timed([sys.executable, folder / "by_ray.py"], folder)
        noted = [
            json.loads(line)
            for file in folder.glob("*/times.jsonl")
            for line in file.read_text().splitlines()
        ]
        free = json.loads((folder / "free.json").read_text())
        if sum(note["what"] == "trained" for note in noted) < len(rates):
            raise RuntimeError(f"not every trial has trained: {(folder / 'log').read_text()[-2000:]}")
    times = sorted(((note["what"], note["time"]) for note in noted), key=lambda pair: pair[1])
    return Timing(len(rates), seconds, _gaps(times), left, 4 - free)


def _gaps(times: Sequence[tuple[str, float]]) -> list[float]:
    """From each "trained" to the "worker" after it."""
    ends = [when for what, when in times if what == "trained"]
    begins = [when for what, when in times if what == "worker"]
    return [begin - end for end, begin in zip(ends, begins[1:], strict=False)]


def _timed(command: Sequence[str | Path], folder: Path) -> tuple[float, int]:
    """Seconds until the command's end, and how many processes it has left two seconds later."""
    began = time.monotonic()
    with (folder / "log").open("w") as log:
        modules = os.pathsep.join(filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, MARK: str(folder), "PYTHONPATH": modules}
        done = subprocess.run(command, check=False, env=environment, stdout=log, stderr=log, cwd=folder)
    seconds = time.monotonic() - began
    if done.returncode != 0:
        raise RuntimeError(f"{command} ended with {done.returncode}: {(folder / 'log').read_text()[-2000:]}")
    time.sleep(2)
    return seconds, sum(_is_of(process, folder) for process in psutil.process_iter())


def _is_of(process: psutil.Process, folder: Path) -> bool:
    with suppress(psutil.Error):
        return process.environ().get(MARK) == str(folder)
    return False


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="sweep-speed-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _shown(name: str, timing: Timing) -> Timing:
    switch = f"switch {statistics.median(timing.switches):.2f} s (worst {max(timing.switches):.2f})"
    left = f"{timing.processes_left} processes and {timing.cpus_not_free:g} CPUs not free afterwards"
    print(
        f"{name}: {timing.trials} trials in {timing.seconds:.1f} s, {timing.each:.1f} s each; {switch}; {left}",
        flush=True,
    )
    return timing


if __name__ == "__main__":
    main(sys.argv[1:])
