"""A training function for tests that uses what Python gives to every program, and writes from everywhere."""

import argparse
import logging
import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

from speaking import Speaking
from torch.utils.data import DataLoader

from trainjobs.runtime import Run

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
log = logging.getLogger("world")
log.info("logged at import")
print("printed at import")


def train(run: Run) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.5)
    print("lr", parser.parse_args().lr, "of", Path(sys.argv[0]).name)
    warnings.warn("a warning", stacklevel=1)
    subprocess.run(["echo", "a subprocess"], check=True, stdout=sys.stdout)
    thread = threading.Thread(target=print, args=["a thread"])
    thread.start()
    thread.join()
    for start in ("fork", "spawn"):
        loader = DataLoader(
            Speaking(start), num_workers=1, persistent_workers=True, multiprocessing_context=start
        )
        for _ in range(2):
            list(loader)
    for _ in run.epochs():
        run.report(loss=1.0)
    log.info("logged at the end")
    print("no end", end="")


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


def fork(run: Run) -> None:
    """Train once a child of each rank has left this function in some way."""
    child = os.fork()
    if child == 0:
        print("the child leaves")
        WAYS[run.config["way"]]()
        return
    print("the child ended with", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    for _ in run.epochs():
        run.report(loss=1.0)


def interrupt() -> None:
    raise KeyboardInterrupt


WAYS = {
    "return": lambda: None,
    "sys.exit()": sys.exit,
    "sys.exit(0)": lambda: sys.exit(0),
    "sys.exit(2)": lambda: sys.exit(2),
    "sys.exit(text)": lambda: sys.exit("no data for today"),
    "KeyboardInterrupt": interrupt,
    "os._exit(3)": lambda: os._exit(3),
    "os._exit(0)": lambda: os._exit(0),
    "input": input,
}
