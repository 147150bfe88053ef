"""A training function for tests that uses what Python gives to every program, and writes from everywhere."""

import argparse
import logging
import os
import subprocess
import sys
import threading
import warnings

import torch
from torch.utils.data import DataLoader, Dataset

from trainjobs.runtime import Run

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
log = logging.getLogger("world")
log.info("logged at import")
print("printed at import")


class Told(Dataset):
    """Samples that say that they are read, by a process of a loader."""

    def __init__(self, word):
        self._word = word

    def __len__(self):
        return 2

    def __getitem__(self, index):
        print(f"{self._word} {index}")
        return torch.tensor(index)


def train(run: Run) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.5)
    print("lr", parser.parse_args().lr, "of", os.path.basename(sys.argv[0]))  # noqa: PTH119
    warnings.warn("a warning", stacklevel=1)
    subprocess.run(["echo", "a subprocess"], check=True, stdout=sys.stdout)
    thread = threading.Thread(target=print, args=["a thread"])
    thread.start()
    thread.join()
    for start in ("fork", "spawn"):
        loader = DataLoader(Told(start), num_workers=1, persistent_workers=True, multiprocessing_context=start)
        for _ in range(2):
            list(loader)
    for _ in run.epochs():
        run.report(loss=1.0)
    log.info("logged at the end")
    print("no end", end="")


TOLD_ONCE = [
    "INFO logged at import",
    "printed at import",
    "lr 0.5 of world.py",
    "a subprocess",
    "a thread",
    "INFO logged at the end",
    "no end",
]
"""Lines that each rank writes once."""


def chatty(run: Run) -> None:
    """Epochs with more lines than anybody reads."""
    for _ in run.epochs():
        for number in range(run.config["lines"]):
            print("line", number)
        run.report(loss=1.0)


def leave(run: Run) -> None:
    """Train an epoch, then leave on one rank or on all, in some way."""
    for _ in run.epochs():
        run.report(loss=1.0)
        if run.rank in run.config["ranks"]:
            print("leaving")
            WAYS[run.config["way"]]()


def interrupt() -> None:
    raise KeyboardInterrupt


WAYS = {
    "sys.exit()": sys.exit,
    "sys.exit(0)": lambda: sys.exit(0),
    "sys.exit(2)": lambda: sys.exit(2),
    "sys.exit(text)": lambda: sys.exit("no data for today"),
    "KeyboardInterrupt": interrupt,
    "os._exit": lambda: os._exit(3),
    "input": input,
}
