"""A training function whose rank 0 tells where its mailboxes are, and waits there for a stranger."""

import gc
import time
from pathlib import Path

import digits

from trainjobs.runtime import Run
from trainjobs.runtime.torch_mailbox import TorchCommunicator


def train(run: Run) -> None:
    marks = Path(run.config["marks"])
    if run.rank == 0:
        mailbox = next(each for each in gc.get_objects() if isinstance(each, TorchCommunicator))
        marks.joinpath("port.new").write_text(str(mailbox._sender.port))
        marks.joinpath("port.new").rename(marks / "port")
    while run.config["stranger"] and not marks.joinpath("stranger").exists():
        time.sleep(0.005)
    digits.train(run)
